//! A call as a table: its rows are computed when the plan runs.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, collect,
};
use futures::{StreamExt, TryStreamExt, stream};

use super::arguments::{Arguments, Moment};
use super::traces::{explain_nothing, over_lake};
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
        // What it asks itself, it asks with its own rights.
        let state = Rights::definer(state);
        let operator = match (self.function.computation(), &arguments) {
            (Some(computation), Given::Values(values)) => {
                let call = Call {
                    signature: self.function.signature(),
                    arguments: values.clone(),
                    task: state.task_ctx(),
                    state: state.clone(),
                    projection: projection.cloned(),
                };
                Some(over_lake(computation, &call).await.map_err(engine_error)?)
            }
            _ => None,
        };
        let partitions = operator.as_ref().map_or(1, |operator| operator.output_partitioning().partition_count());
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Arc::new(CallExec {
            function: self.function,
            arguments,
            state,
            projection: projection.cloned(),
            properties: Arc::new(properties),
            operator,
            answered: Arc::default(),
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
    /// What computes the rows, where that is part of the plan.
    operator: Option<Arc<dyn ExecutionPlan>>,
    /// Partitions of it that came to their end, and rows that it had.
    answered: Arc<(AtomicUsize, AtomicUsize)>,
}

impl CallExec {
    fn call(&self, arguments: Vec<ScalarValue>, context: Arc<TaskContext>) -> Call {
        Call {
            signature: self.function.signature(),
            arguments,
            state: self.state.clone(),
            task: context,
            projection: self.projection.clone(),
        }
    }
}

/// The rows of an operator, in the types of the function. That there are none has to be explained.
fn answer(
    operator: &Arc<dyn ExecutionPlan>,
    partition: usize,
    schema: SchemaRef,
    call: Call,
    answered: Arc<(AtomicUsize, AtomicUsize)>,
) -> Result<SendableRecordBatchStream> {
    let (shown, counted) = (Arc::clone(&schema), Arc::clone(&answered));
    let rows = operator.execute(partition, Arc::clone(&call.task))?.map(move |batch| {
        let batch = batch?;
        counted.1.fetch_add(batch.num_rows(), Ordering::Relaxed);
        let column = |field: &FieldRef| match batch.column_by_name(field.name()) {
            Some(column) => Ok(cast(column, field.data_type())?),
            None => internal_err!("the operator has no column {}", field.name()),
        };
        let columns = shown.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&shown), columns, &options)?)
    });
    let partitions = operator.output_partitioning().partition_count();
    let end = stream::once(async move {
        let is_last = answered.0.fetch_add(1, Ordering::AcqRel) + 1 == partitions;
        if is_last && answered.1.load(Ordering::Acquire) == 0 {
            explain_nothing(&call).await.map_err(engine_error)?;
        }
        Ok(None)
    });
    let rows = rows.map_ok(Some).chain(end).try_filter_map(|batch| async { Ok(batch) });
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
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
        self.operator.iter().collect()
    }

    /// What the operator says of the order of its rows holds.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.children().len()]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        if children.len() != self.children().len() {
            return internal_err!("a table function has {} children", self.children().len());
        }
        let Some(operator) = children.into_iter().next() else { return Ok(self) };
        let partitions = operator.output_partitioning().clone();
        let properties = self.properties.as_ref().clone().with_partitioning(partitions);
        Ok(Arc::new(Self {
            function: self.function,
            arguments: self.arguments.clone(),
            state: self.state.clone(),
            projection: self.projection.clone(),
            properties: Arc::new(properties),
            operator: Some(operator),
            answered: Arc::default(),
        }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if let (Some(operator), Given::Values(values)) = (&self.operator, &self.arguments) {
            let call = self.call(values.clone(), context);
            return answer(operator, partition, self.schema(), call, Arc::clone(&self.answered));
        }
        if partition != 0 {
            return exec_err!("a table function has one partition, not {}", partition + 1);
        }
        let (function, projection, given) = (self.function, self.projection.clone(), self.arguments.clone());
        let (call, schema) = (self.call(Vec::new(), Arc::clone(&context)), self.schema());
        let started = stream::once(async move {
            let arguments = match given {
                Given::Values(values) => values,
                Given::Row(plan, moment) => {
                    moment.settle_row(call.signature, &collect(plan, Arc::clone(&context)).await?)?
                }
            };
            let call = Call { arguments, ..call };
            if let Some(computation) = function.computation() {
                let operator = over_lake(computation, &call).await.map_err(engine_error)?;
                let operator: Arc<dyn ExecutionPlan> = Arc::new(CoalescePartitionsExec::new(operator));
                return answer(&operator, 0, schema, call, Arc::default());
            }
            let rows = function.run(call).await.map_err(engine_error)?.map(move |batch| match (&projection, batch) {
                (Some(columns), Ok(batch)) => Ok(batch.project(columns)?),
                (_, batch) => batch,
            });
            let rows: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(schema, rows));
            Ok(rows)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), started.try_flatten())))
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
