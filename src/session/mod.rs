//! The only builder of a `SessionContext`: the lake's tables, our functions, our rules, PostgreSQL's dialect.

pub(crate) mod administer;
mod answer;
pub(crate) mod control;
pub(crate) mod copy;
pub(crate) mod copy_in;
pub(crate) mod define;
mod drop;
pub(crate) mod explain;
mod external;
mod insert;
mod kinds;
pub(crate) mod memory;
pub(crate) mod plan;
mod rename;
pub(crate) mod roles;
pub(crate) mod statement;
pub(crate) mod utility;

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::context::SessionContext;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SendableRecordBatchStream, SessionStateDefaults, TaskContext};
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::{Analyzer, Optimizer};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{DataFrame, SessionConfig};

use crate::catalog::{self, Client, UserViews};
use crate::config::{Config, DATABASE, SCHEMA};
use crate::dialect;
use crate::dialect::encode::Style;
use crate::error::Result;
use crate::operators::asof_join::{self, PlanAsofRelations};
use crate::optimizer::{self, BindingPlanner, MapOperators};
use crate::storage::Lake;
use crate::table_functions::FunctionPlanner;

pub use answer::{Answer, Scripted, Statement, answer, answer_text, copied};
pub use copy::csv_line;
pub(crate) use plan::Planned;

/// What all sessions of one engine share: memory, spill files, caches.
///
/// # Errors
/// When the spill directory cannot be made.
pub fn runtime(config: &Config) -> Result<Arc<RuntimeEnv>> {
    let pool = Arc::new(FairSpillPool::new(config.memory_limit));
    // What is in a folder of others is looked up by each statement: a kept list would not know of new files.
    Ok(Arc::new(RuntimeEnvBuilder::new().with_memory_pool(pool).with_object_list_cache_limit(0).build()?))
}

/// A new session: its settings, views and prepared statements are its own.
///
/// # Errors
/// When a built-in definition is broken, which is a defect of ours.
pub fn new(lake: &Arc<Lake>, runtime: &Arc<RuntimeEnv>, config: &Config) -> Result<SessionContext> {
    new_for(lake, runtime, config, &Arc::new(Client::default()))
}

/// The same for the connection of a client.
///
/// # Errors
/// As [`new`].
pub fn new_for(
    lake: &Arc<Lake>,
    runtime: &Arc<RuntimeEnv>,
    config: &Config,
    client: &Arc<Client>,
) -> Result<SessionContext> {
    let mut settings = SessionConfig::new()
        .with_default_catalog_and_schema(DATABASE, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_batch_size(config.batch_size)
        .with_extension(Arc::clone(lake))
        .with_extension(Arc::new(answer::Asker::new(client)))
        .with_extension(Arc::new(UserViews(Arc::new(define::ViewPlanner))))
        .set_str("datafusion.sql_parser.dialect", "PostgreSQL")
        // A text that a statement names is what a literal is: where a key is looked up in a map the two do not mix.
        .set_bool("datafusion.sql_parser.map_string_types_to_utf8view", false)
        .set_bool("datafusion.execution.parquet.pushdown_filters", true)
        .set_bool("datafusion.execution.parquet.reorder_filters", true)
        .set_bool("datafusion.execution.listing_table_ignore_subdirectory", false)
        .set_str("datafusion.execution.time_zone", "UTC");
    if config.target_partitions > 0 {
        settings = settings.with_target_partitions(config.target_partitions);
    }
    let limit = if config.session_memory_limit == 0 { config.memory_limit } else { config.session_memory_limit };
    let pool = memory::SessionPool::new(Arc::clone(&runtime.memory_pool), limit);
    let runtime = RuntimeEnv { memory_pool: Arc::new(pool), ..RuntimeEnv::clone(runtime) };
    let mut rules = optimizer::rules();
    rules.extend(Optimizer::new().rules);
    let mut expressions: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(MapOperators), Arc::new(dialect::Operators)];
    expressions.extend(SessionStateDefaults::default_expr_planners());
    let state = SessionStateBuilder::new()
        .with_config(settings)
        .with_runtime_env(Arc::new(runtime))
        .with_default_features()
        .with_expr_planners(expressions)
        .with_analyzer_rules(dialect::analyzer_rules(Analyzer::new().rules))
        .with_optimizer_rules(rules)
        .with_physical_optimizer_rules(optimizer::physical_rules())
        .with_relation_planners(vec![Arc::new(FunctionPlanner), Arc::new(PlanAsofRelations)])
        .with_query_planner(Arc::new(BindingPlanner::default()))
        .build();
    let context = SessionContext::new_with_state(state);
    ascribe_udfs::register_all(&context)?;
    dialect::register(&mut *context.state_ref().write())?;
    catalog::register(&context, lake, client)?;
    context.register_udf(optimizer::owner_of());
    Ok(context)
}

/// The query that a text is in the engine's own terms, with the joins that only our sessions know: what is built in is
/// written in them. What a user wrote is answered by [`answer_text`].
///
/// # Errors
/// When the text is not one statement, or what it names does not exist.
pub async fn query(session: &SessionContext, text: &str) -> Result<DataFrame> {
    let plan = asof_join::plan(&session.state(), text).await?;
    Ok(session.execute_logical_plan(plan).await?)
}

/// Bytes that the copies of a constant have in a batch of rows, at most.
const CONSTANT_BYTES: usize = 256 << 20;

/// Bytes of the largest text or list that a plan has as a constant. It is copied into each row of a batch.
fn widest_constant(plan: &LogicalPlan) -> Result<usize> {
    let mut widest = 0;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Expr::Literal(value, _) = part
                    && (value.data_type().is_string() || value.data_type().is_nested())
                {
                    widest = widest.max(value.size());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(widest)
}

/// Start a plan; nothing of it is computed here.
pub(crate) async fn start(session: &SessionContext, plan: LogicalPlan) -> Result<SendableRecordBatchStream> {
    let mut state = session.state();
    if let LogicalPlan::Explain(explained) = &plan {
        // The engine would show what is wrong with a plan as a row of it.
        state.create_physical_plan(&explained.plan).await?;
    }
    let plan = state.optimize(&plan)?;
    let room = CONSTANT_BYTES / widest_constant(&plan)?.max(1);
    if room < state.config().batch_size() {
        *state.config_mut() = std::mem::take(state.config_mut()).with_batch_size(room.max(1));
    }
    let physical = state.query_planner().create_physical_plan(&plan, &state).await?;
    let stream = execute_stream(physical, Arc::new(TaskContext::from(&state)))?;
    Ok(if explain::is(&plan) { explain::one_column(stream) } else { stream })
}

/// How a session prints values.
#[must_use]
pub fn style(session: &SessionContext) -> Style {
    Style { zone: dialect::session_zone(session.state_ref().read().config_options()) }
}
