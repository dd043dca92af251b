//! `owner_of(kind, entity, at)`: a lookup on the ownership table that may stand wherever an expression may.
//!
//! A scalar function cannot read a table. So what a statement calls is only a name; when the physical plan is made,
//! which may wait for the object store, [`BindingPlanner`] reads the newest committed ownership table and puts
//! functions in its place that hold its index. All calls of one statement see the same state of the table.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use ascribe_udfs::{Form, Parameter};
use async_trait::async_trait;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::catalog::Session;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result, exec_err, internal_err};
use datafusion::execution::SessionState;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use tokio::sync::Mutex;

use crate::attribution::owners::{OwnerSet, OwnershipIndex};
use crate::config::SCHEMA;
use crate::error::{Error, UserError, sqlstate};
use crate::model::ownership::OWNERSHIP;
use crate::operators::asof_join::PlanAsofJoins;
use crate::security::{Restriction, Rights};
use crate::storage::Lake;
use crate::table_functions::{PlanTraceFunctions, owners};

/// SQL name of the function.
pub const NAME: &str = "owner_of";

/// The function as statements name it.
#[must_use]
pub fn owner_of() -> ScalarUDF {
    ScalarUDF::from(OwnerOf::new(None))
}

/// How it is called.
#[must_use]
pub fn owner_of_form() -> Form {
    let types = [("kind", DataType::Utf8), ("entity", DataType::Utf8), ("at", instant())];
    let parameters = types.map(|(name, data_type)| Parameter { name, data_type, required: true });
    Form { parameters: parameters.to_vec(), returns: DataType::Utf8 }
}

#[derive(Debug)]
struct OwnerOf {
    signature: Signature,
    index: Option<Arc<OwnershipIndex>>,
}

impl OwnerOf {
    fn new(index: Option<Arc<OwnershipIndex>>) -> Self {
        let names = owner_of_form().parameters.iter().map(|parameter| parameter.name.to_owned()).collect();
        let signature = Signature { parameter_names: Some(names), ..Signature::user_defined(Volatility::Stable) };
        Self { signature, index }
    }

    fn identity(&self) -> Option<*const OwnershipIndex> {
        self.index.as_ref().map(Arc::as_ptr)
    }
}

impl PartialEq for OwnerOf {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for OwnerOf {}

impl Hash for OwnerOf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

fn bad_call(why: &str) -> DataFusionError {
    UserError::new(sqlstate::UNDEFINED_FUNCTION, format!("cannot call owner_of: {why}"))
        .hint("it is called as owner_of(kind text, entity text, at timestamptz)")
        .into()
}

fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

impl ScalarUDFImpl for OwnerOf {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn documentation(&self) -> Option<&Documentation> {
        static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
            let doc = "Who owned an entity at a time, by the ownership table as of the query; of several owners the one \
                       with the highest weight, of equal ones the first by name. Null if nobody did.";
            Documentation::builder(
                DocSection { label: "Attribution", ..DocSection::default() },
                doc,
                "owner_of(kind, entity, at)",
            )
            .with_argument("kind", "service, resource, account, tag, repository, path, dataset, feature or tenant.")
            .with_argument("entity", "The thing owned; a tag is written key=value.")
            .with_argument("at", "The time, a timestamptz.")
            .with_sql_example(
                "SELECT owner_of('service', service_name, start_time) AS owner, count(*) FROM spans GROUP BY 1",
            )
            .build()
        });
        Some(&DOCUMENTATION)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let textual = |kind: &DataType| {
            let plain = if let DataType::Dictionary(_, value) = kind { value } else { kind };
            matches!(plain, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Null)
        };
        match given {
            [kind, entity, at] if textual(kind) && textual(entity) => match at {
                DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => {
                    Ok(vec![DataType::Utf8, DataType::Utf8, instant()])
                }
                at if textual(at) => Ok(vec![DataType::Utf8, DataType::Utf8, instant()]),
                other => Err(bad_call(&format!("the time is a timestamptz, not {other}"))),
            },
            _ => Err(bad_call("it takes two texts and a time")),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(index) = &self.index else {
            // While a statement is being simplified there is no table yet; the simplifier leaves the call alone then.
            return exec_err!("owner_of is bound to the ownership table when a statement is executed");
        };
        let all_constant = args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if all_constant { 1 } else { args.number_rows };
        let [kinds, entities, times] = args.args.as_slice() else {
            return internal_err!("owner_of takes three arguments");
        };
        let column = |value: &ColumnarValue, wanted: &DataType| -> Result<ArrayRef> {
            Ok(cast(&value.to_array(rows)?, wanted)?)
        };
        let (kinds, entities) = (column(kinds, &DataType::Utf8)?, column(entities, &DataType::Utf8)?);
        let times = column(times, &instant())?;
        let (kinds, entities) = (kinds.as_string::<i32>(), entities.as_string::<i32>());
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let mut owners = StringBuilder::new();
        for row in 0..rows {
            let known = kinds.is_valid(row) && entities.is_valid(row) && times.is_valid(row);
            let found = known.then(|| index.owners_at(kinds.value(row), entities.value(row), times.value(row)));
            owners.append_option(found.flatten().and_then(OwnerSet::primary));
        }
        let owners: ArrayRef = Arc::new(owners.finish());
        Ok(if all_constant {
            ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&owners, 0)?)
        } else {
            ColumnarValue::Array(owners)
        })
    }
}

/// Makes physical plans; puts the ownership table into the calls of `owner_of` first.
#[derive(Debug, Default)]
pub struct BindingPlanner {
    /// The index of the version that was read last.
    known: Mutex<Option<Known>>,
}

/// An index, of which version of the table it is, and what the role saw of it.
#[derive(Debug)]
struct Known {
    version: Option<u64>,
    seen: Restriction,
    index: Arc<OwnershipIndex>,
}

impl BindingPlanner {
    async fn index(&self, state: &SessionState) -> Result<Arc<OwnershipIndex>> {
        let lake = state.config().get_extension::<Lake>();
        let lake = lake.ok_or_else(|| UserError::new(sqlstate::INTERNAL, "the session has no lake"))?;
        let version = lake.version(&OWNERSHIP).await.map_err(engine_error)?;
        let seen = Rights::restriction(state, SCHEMA, OWNERSHIP.name).await.map_err(engine_error)?;
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref()
            && known.version == version
            && known.seen == seen
        {
            return Ok(Arc::clone(&known.index));
        }
        // The function reads with its own rights, whoever may call it.
        let definer = Rights::definer(state);
        let index = Arc::new(owners::load(&definer, &definer.task_ctx()).await.map_err(engine_error)?);
        *known = Some(Known { version, seen, index: Arc::clone(&index) });
        Ok(index)
    }
}

fn engine_error(error: Error) -> DataFusionError {
    match error {
        Error::Engine(inner) => inner,
        Error::User(inner) => inner.into(),
        other => DataFusionError::External(Box::new(other)),
    }
}

#[async_trait]
impl QueryPlanner for BindingPlanner {
    async fn create_physical_plan(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![
            Arc::new(PlanAsofJoins),
            Arc::new(PlanTraceFunctions),
        ]);
        if !calls_owner_of(plan)? {
            return planner.create_physical_plan(plan, session).await;
        }
        let Some(state) = session.as_any().downcast_ref::<SessionState>() else {
            return internal_err!("owner_of runs in a session of its own kind only");
        };
        Rights::check_function(state, NAME).await.map_err(engine_error)?;
        let bound = Arc::new(ScalarUDF::from(OwnerOf::new(Some(self.index(state).await?))));
        let plan = plan.clone().transform_down_with_subqueries(|node| {
            node.map_expressions(|expression| expression.transform_up(|part| Ok(bind(part, &bound))))
        })?;
        planner.create_physical_plan(&plan.data, session).await
    }
}

fn is_unbound(expression: &Expr) -> bool {
    matches!(expression, Expr::ScalarFunction(call) if call.func.name() == NAME)
}

fn bind(expression: Expr, bound: &Arc<ScalarUDF>) -> Transformed<Expr> {
    match expression {
        Expr::ScalarFunction(mut call) if call.func.name() == NAME => {
            call.func = Arc::clone(bound);
            Transformed::yes(Expr::ScalarFunction(call))
        }
        other => Transformed::no(other),
    }
}

fn calls_owner_of(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            found |= expression.exists(|part| Ok(is_unbound(part)))?;
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(found)
}
