//! From a call to the operator over traces: below it the lake's spans, or a relation that the call was given.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::Session;
use datafusion::common::{Result as EngineResult, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Extension, LogicalPlan, LogicalPlanBuilder, UserDefinedLogicalNode, col, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::EmbeddedProjection;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};

use super::source::{known_service, known_trace, spans};
use crate::config::TRACE_MARGIN_MICROS;
use crate::error::{Result, UserError};
use crate::operators::trace_tree::{Computation, PlanTraceTrees, Question, TraceTree, TraceTreeExec};
use crate::security::Rights;
use crate::table_functions::call::{interval_micros, window_of};
use crate::table_functions::exec::engine_error;
use crate::table_functions::{Call, Signature, timestamp};

/// The arguments of a call by name.
struct Given<'a> {
    signature: &'static Signature,
    arguments: &'a [ScalarValue],
}

impl Given<'_> {
    fn value(&self, name: &str) -> Option<&ScalarValue> {
        let at = self.signature.arguments.iter().position(|argument| argument.names.contains(&name))?;
        self.arguments.get(at).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.value(name)?.try_as_str().flatten().map(str::to_owned)
    }

    fn time(&self, name: &str) -> Option<i64> {
        match self.value(name)? {
            ScalarValue::TimestampMicrosecond(micros, _) => *micros,
            _ => None,
        }
    }

    fn window(&self) -> Result<Option<(i64, i64)>> {
        match (self.time("t0"), self.time("t1")) {
            (None, None) => Ok(None),
            (from, to) => window_of(self.signature, from.or(Some(i64::MIN)), to.or(Some(i64::MAX))).map(Some),
        }
    }

    /// The time that spans have to begin in to be looked at.
    fn read(&self) -> Result<Option<(i64, i64)>> {
        let margin = self.value("margin").and_then(interval_micros).unwrap_or(TRACE_MARGIN_MICROS);
        if margin < 0 {
            return Err(UserError::invalid(format!("{}: the margin is negative", self.signature.name))
                .hint("it is how long before and after the window spans are looked for")
                .into());
        }
        let window = self.window()?;
        Ok(window.map(|(from, to)| (from.saturating_sub(margin), to.saturating_add(margin))))
    }

    fn question(&self, computation: Computation) -> Result<Question> {
        Ok(Question {
            window: self.window()?,
            service: self.text("service"),
            operation: self.text("operation"),
            ..Question::about_all(self.signature.name, computation)
        })
    }
}

/// The operator over the lake's spans, with the columns of the result that are used, and perhaps others.
pub(in crate::table_functions) async fn over_lake(
    computation: Computation,
    call: &Call,
) -> Result<Arc<dyn ExecutionPlan>> {
    let given = Given { signature: call.signature, arguments: &call.arguments };
    let computed = |name: &str| computation.columns().iter().any(|column| column.name == name);
    let own: Vec<&str> = call
        .signature
        .columns
        .iter()
        .map(|column| column.name)
        .filter(|name| computation.keeps_rows() && !computed(name) && call.uses(name))
        .collect();
    let columns: Vec<&str> = own.iter().copied().chain(computation.needs(&|name| call.uses(name))).collect();
    let trace_id = given.text("trace_id");
    let plan = spans(call, &columns, given.read()?, trace_id.as_deref()).await?;
    let input = call.state().create_physical_plan(&plan).await?;
    let exec = TraceTreeExec::try_new(input, given.question(computation)?, None)?;
    let schema = exec.schema();
    let used = |(at, name): (usize, &String)| {
        (own.contains(&name.as_str()) || (computed(name) && call.uses(name))).then_some(at)
    };
    let used = schema.fields().iter().map(|field| field.name()).enumerate().filter_map(used).collect();
    Ok(Arc::new(exec.with_projection(Some(used))?))
}

/// The node over a relation.
pub(in crate::table_functions) fn over_relation(
    signature: &'static Signature,
    computation: Computation,
    relation: LogicalPlan,
    arguments: &[ScalarValue],
) -> EngineResult<LogicalPlan> {
    let given = Given { signature, arguments };
    let question = given.question(computation).map_err(engine_error)?;
    let mut relation = relation;
    if let Some(trace_id) = given.text("trace_id") {
        relation = LogicalPlanBuilder::from(relation).filter(col("trace_id").eq(lit(trace_id)))?.build()?;
    }
    if let Some((from, to)) = given.read().map_err(engine_error)? {
        relation = within(relation, from, to)?;
    }
    let node = TraceTree::try_new(Arc::new(relation), question)?;
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

/// Makes physical plans of functions over relations, for who may call them.
#[derive(Debug, Default)]
pub struct PlanTraceFunctions;

#[async_trait]
impl ExtensionPlanner for PlanTraceFunctions {
    async fn plan_extension(
        &self,
        planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        plans: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        context: &PhysicalPlanningContext,
    ) -> EngineResult<Option<Arc<dyn ExecutionPlan>>> {
        if let Some(node) = node.as_any().downcast_ref::<TraceTree>()
            && let Some(state) = session.as_any().downcast_ref::<SessionState>()
        {
            Rights::check_function(state, node.question.name).await.map_err(engine_error)?;
        }
        PlanTraceTrees.plan_extension(planner, node, plans, inputs, session, context).await
    }
}

/// The spans that begin in a window, or of which that is not known.
fn within(relation: LogicalPlan, from: i64, to: i64) -> EngineResult<LogicalPlan> {
    let schema = relation.schema().as_arrow();
    let exact = schema.column_with_name("start_unix_nano").map(|(_, field)| field.data_type().clone());
    let (name, bound): (&str, fn(i64) -> ScalarValue) = match exact {
        Some(DataType::Int64) => ("start_unix_nano", |micros| ScalarValue::Int64(Some(micros.saturating_mul(1000)))),
        Some(DataType::Timestamp(..)) => ("start_unix_nano", timestamp),
        Some(_) => return Ok(relation),
        None => ("start_time", timestamp),
    };
    let start = || col(name);
    let inside = start().gt_eq(lit(bound(from))).and(start().lt(lit(bound(to))));
    LogicalPlanBuilder::from(relation).filter(inside.or(start().is_null()))?.build()
}

/// An empty result is right only if what was asked for is known.
pub(in crate::table_functions) async fn explain_nothing(call: &Call) -> Result<()> {
    let given = Given { signature: call.signature, arguments: &call.arguments };
    if let Some(trace_id) = given.text("trace_id") {
        known_trace(call, &trace_id).await?;
    }
    if let Some(service) = given.text("service") {
        known_service(call, &service).await?;
    }
    Ok(())
}
