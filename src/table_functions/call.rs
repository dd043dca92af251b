//! One call of a table function: its arguments, and the queries that it may make.

use std::fmt::Debug;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{IntervalMonthDayNano, SchemaRef};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{collect, execute_stream};
use futures::stream;

use super::Signature;
use crate::error::{Result, UserError, sqlstate};
use crate::operators::asof_join;
use crate::storage::Lake;

/// One call of a table function.
pub struct Call {
    pub(super) signature: &'static Signature,
    pub(super) arguments: Vec<ScalarValue>,
    pub(super) state: SessionState,
    pub(super) task: Arc<TaskContext>,
    /// Columns of the result that the query uses, by position; a function may leave the others null.
    pub projection: Option<Vec<usize>>,
}

impl Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("function", &self.signature.name).field("arguments", &self.arguments).finish()
    }
}

impl Call {
    /// The name of the function that is called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.signature.name
    }

    /// The lake that the session reads.
    ///
    /// # Errors
    /// When the session has none, which is a defect of ours.
    pub fn lake(&self) -> Result<Arc<Lake>> {
        let lake = self.state.config().get_extension::<Lake>();
        lake.ok_or_else(|| UserError::new(sqlstate::INTERNAL, "the session has no lake").into())
    }

    /// The session that the call runs in.
    #[must_use]
    pub fn state(&self) -> &SessionState {
        &self.state
    }

    /// What plans of the call run with.
    #[must_use]
    pub fn task(&self) -> &Arc<TaskContext> {
        &self.task
    }

    /// Whether the query uses a column of the result.
    #[must_use]
    pub fn uses(&self, column: &str) -> bool {
        let Some(projection) = &self.projection else { return true };
        projection.iter().any(|at| self.signature.columns.get(*at).is_some_and(|known| known.name == column))
    }

    fn argument(&self, at: usize) -> Option<&ScalarValue> {
        self.arguments.get(at).filter(|value| !value.is_null())
    }

    /// A `text` argument; none when it is null or not given.
    #[must_use]
    pub fn text(&self, at: usize) -> Option<&str> {
        match self.argument(at)? {
            ScalarValue::Utf8(Some(text)) => Some(text),
            _ => None,
        }
    }

    /// A `timestamptz` argument in microseconds since the epoch; none when it is null or not given.
    #[must_use]
    pub fn time(&self, at: usize) -> Option<i64> {
        match self.argument(at)? {
            ScalarValue::TimestampMicrosecond(micros, _) => *micros,
            _ => None,
        }
    }

    /// A `bigint` argument; none when it is null or not given.
    #[must_use]
    pub fn int(&self, at: usize) -> Option<i64> {
        match self.argument(at)? {
            ScalarValue::Int64(value) => *value,
            _ => None,
        }
    }

    /// A `double precision` argument; none when it is null or not given.
    #[must_use]
    pub fn double(&self, at: usize) -> Option<f64> {
        match self.argument(at)? {
            ScalarValue::Float64(value) => *value,
            _ => None,
        }
    }

    /// An `interval` argument in microseconds (a month is 30 days); none when it is null or not given.
    #[must_use]
    pub fn interval(&self, at: usize) -> Option<i64> {
        interval_micros(self.argument(at)?)
    }

    /// A window of two `timestamptz` arguments: from the first, inclusive, to the second, exclusive.
    ///
    /// # Errors
    /// When one is missing or the window is backward.
    pub fn window(&self, from: usize, to: usize) -> Result<(i64, i64)> {
        window_of(self.signature, self.time(from), self.time(to))
    }

    /// The rows of a statement, as they come. `$name` in the text is replaced by the parameter of that name.
    ///
    /// # Errors
    /// When the statement cannot be planned or started.
    pub async fn query(&self, sql: &str, parameters: Vec<(&str, ScalarValue)>) -> Result<SendableRecordBatchStream> {
        self.execute(&self.plan(sql, parameters).await?).await
    }

    /// The plan of a statement. `$name` in the text is replaced by the parameter of that name.
    ///
    /// # Errors
    /// When the statement cannot be planned.
    pub async fn plan(&self, sql: &str, parameters: Vec<(&str, ScalarValue)>) -> Result<LogicalPlan> {
        let plan = asof_join::plan(&self.state, sql).await?;
        let named: Vec<(String, ScalarValue)> =
            parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(if named.is_empty() { plan } else { plan.with_param_values(ParamValues::from(named))? })
    }

    /// The rows of a plan, as they come.
    ///
    /// # Errors
    /// When the plan cannot be started.
    pub async fn execute(&self, plan: &LogicalPlan) -> Result<SendableRecordBatchStream> {
        let physical = self.state.create_physical_plan(plan).await?;
        Ok(execute_stream(physical, Arc::clone(&self.task))?)
    }

    /// All rows of a statement: for results that are known to be small.
    ///
    /// # Errors
    /// When the statement cannot be planned or fails.
    pub async fn collect(&self, sql: &str, parameters: Vec<(&str, ScalarValue)>) -> Result<Vec<RecordBatch>> {
        let plan = self.plan(sql, parameters).await?;
        self.collect_plan(&plan).await
    }

    /// All rows of a plan: for results that are known to be small.
    ///
    /// # Errors
    /// When the plan fails.
    pub async fn collect_plan(&self, plan: &LogicalPlan) -> Result<Vec<RecordBatch>> {
        let physical = self.state.create_physical_plan(plan).await?;
        Ok(collect(physical, Arc::clone(&self.task)).await?)
    }

    /// The schema of the function's result.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.signature.schema()
    }

    /// Batches that are there already, as the stream that [`super::TableFunction::run`] returns.
    #[must_use]
    pub fn rows(&self, batches: Vec<RecordBatch>) -> SendableRecordBatchStream {
        let batches = stream::iter(batches.into_iter().map(Ok));
        Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches))
    }
}

/// An `interval` in microseconds (a month is 30 days).
pub(super) fn interval_micros(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano { months, days, nanoseconds })) => {
            let days = i64::from(*months) * 30 + i64::from(*days);
            Some(days.saturating_mul(86_400_000_000).saturating_add(nanoseconds / 1000))
        }
        _ => None,
    }
}

/// A window of a call, which must have both ends, in order.
pub(super) fn window_of(signature: &Signature, from: Option<i64>, to: Option<i64>) -> Result<(i64, i64)> {
    let missing = || {
        UserError::invalid(format!("{}: the window needs a beginning and an end", signature.name))
            .hint(super::arguments::called_as(signature))
    };
    let (begin, end) = (from.ok_or_else(missing)?, to.ok_or_else(missing)?);
    if end < begin {
        return Err(UserError::invalid(format!("{}: the window ends before it begins", signature.name))
            .hint("give the earlier time first")
            .into());
    }
    Ok((begin, end))
}

/// A `timestamptz` parameter from microseconds since the epoch.
#[must_use]
pub fn timestamp(micros: i64) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()))
}
