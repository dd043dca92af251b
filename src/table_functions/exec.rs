//! A call as a table: its rows are computed when the plan runs.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, collect};
use futures::{StreamExt, TryStreamExt, stream};

use super::arguments::{Arguments, Moment};
use super::{Call, TableFunction};
use crate::error::Error;
use crate::security::Rights;

/// A call as the query engine sees it.
#[derive(Debug)]
pub(super) struct CallTable {
    pub(super) function: &'static dyn TableFunction,
    pub(super) arguments: Arguments,
}

/// What a call that is about to run is given.
#[derive(Clone)]
enum Given {
    Values(Vec<ScalarValue>),
    /// What has them as its one row. It is planned in the session of whoever asks, with the rights of that role.
    Row(Arc<dyn ExecutionPlan>, Moment),
}

#[async_trait]
impl TableProvider for CallTable {
    fn schema(&self) -> SchemaRef {
        self.function.signature().schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(state) = state.as_any().downcast_ref::<SessionState>() else {
            return internal_err!("a table function runs in a session of its own kind only");
        };
        Rights::check_function(state, self.function.signature().name).await.map_err(engine_error)?;
        let arguments = match &self.arguments {
            Arguments::Known(values) => Given::Values(values.clone()),
            Arguments::Asked(question, moment) => Given::Row(state.create_physical_plan(question).await?, *moment),
        };
        let schema = match projection {
            Some(columns) => Arc::new(self.schema().project(columns)?),
            None => self.schema(),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Arc::new(CallExec {
            function: self.function,
            arguments,
            // What it asks itself, it asks with its own rights.
            state: Rights::definer(state),
            projection: projection.cloned(),
            properties: Arc::new(properties),
        }))
    }
}

/// Runs a table function.
pub(super) struct CallExec {
    function: &'static dyn TableFunction,
    arguments: Given,
    state: SessionState,
    projection: Option<Vec<usize>>,
    properties: Arc<PlanProperties>,
}

impl fmt::Debug for CallExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallExec").field("function", &self.function.signature().name).finish_non_exhaustive()
    }
}

impl DisplayAs for CallExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signature = self.function.signature();
        write!(f, "TableFunctionExec: {}(", signature.name)?;
        match &self.arguments {
            Given::Values(values) => {
                let named = signature.arguments.iter().zip(values);
                for (at, (argument, value)) in named.filter(|(_, value)| !value.is_null()).enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}{} => {value}", argument.name())?;
                }
            }
            Given::Row(..) => f.write_str("arguments of subqueries")?,
        }
        f.write_str(")")
    }
}

impl ExecutionPlan for CallExec {
    fn name(&self) -> &'static str {
        "TableFunctionExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { internal_err!("a table function has no children") }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return exec_err!("a table function has one partition, not {}", partition + 1);
        }
        let (function, projection, given) = (self.function, self.projection.clone(), self.arguments.clone());
        let (signature, state, columns) = (function.signature(), self.state.clone(), self.projection.clone());
        let started = stream::once(async move {
            let arguments = match given {
                Given::Values(values) => values,
                Given::Row(plan, moment) => {
                    moment.settle_row(signature, &collect(plan, Arc::clone(&context)).await?)?
                }
            };
            let call = Call { signature, arguments, state, task: context, projection: columns };
            function.run(call).await.map_err(engine_error)
        });
        let rows = started.try_flatten().map(move |batch| match (&projection, batch) {
            (Some(columns), Ok(batch)) => Ok(batch.project(columns)?),
            (_, batch) => batch,
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

/// An error of ours in the engine's clothes; the session takes them off again.
pub(super) fn engine_error(error: Error) -> datafusion::error::DataFusionError {
    match error {
        Error::Engine(inner) => inner,
        Error::User(inner) => inner.into(),
        other => datafusion::error::DataFusionError::External(Box::new(other)),
    }
}
