//! The spans of the lake that a call is about.

use datafusion::arrow::array::{AsArray, RecordBatch, StringArray};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::LogicalPlan;

use crate::error::{Result, UserError};
use crate::table_functions::{Call, timestamp};

/// The plan that reads columns of the spans that begin in a window (microseconds since the epoch), or of one trace.
pub(super) async fn spans(
    call: &Call,
    columns: &[&str],
    window: Option<(i64, i64)>,
    trace_id: Option<&str>,
) -> Result<LogicalPlan> {
    let mut wanted: Vec<&str> = Vec::new();
    for column in columns {
        if !wanted.contains(column) {
            wanted.push(column);
        }
    }
    let mut conditions = Vec::new();
    let mut parameters = Vec::new();
    if let Some((from, to)) = window {
        conditions.push("start_time >= $from AND start_time < $to");
        parameters.push(("from", timestamp(from)));
        parameters.push(("to", timestamp(to)));
    }
    if let Some(trace_id) = trace_id {
        conditions.push("trace_id = $trace_id");
        parameters.push(("trace_id", ScalarValue::from(trace_id)));
    }
    let conditions = if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") };
    call.plan(&format!("SELECT {} FROM public.spans WHERE {conditions}", wanted.join(", ")), parameters).await
}

/// All spans of the trace that the first argument names.
///
/// # Errors
/// When there is no such trace.
pub(in crate::table_functions) async fn one_trace(call: &Call, columns: &[&str]) -> Result<RecordBatch> {
    let trace_id = call.text(0).ok_or_else(|| UserError::invalid("the trace id is null"))?;
    let plan = spans(call, columns, None, Some(trace_id)).await?;
    let batches = call.collect_plan(&plan).await?;
    match batches.iter().find(|batch| batch.num_rows() > 0) {
        Some(some) => Ok(concat_batches(&some.schema(), &batches)?),
        None => Err(unknown_trace(trace_id).into()),
    }
}

/// A column of text.
pub(in crate::table_functions) fn text(batch: &RecordBatch, name: &str) -> Result<StringArray> {
    match batch.column_by_name(name) {
        Some(column) => Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone()),
        None => Ok(StringArray::new_null(batch.num_rows())),
    }
}

/// Make sure that some span of the lake has this trace id, whenever it was.
///
/// # Errors
/// When none has.
pub(super) async fn known_trace(call: &Call, trace_id: &str) -> Result<()> {
    if has_spans(call, "trace_id = $value", trace_id).await? { Ok(()) } else { Err(unknown_trace(trace_id).into()) }
}

/// Make sure that some span of the lake is of this service, whenever it was.
///
/// # Errors
/// When none is.
pub(in crate::table_functions) async fn known_service(call: &Call, service: &str) -> Result<()> {
    if has_spans(call, "service_name = $value", service).await? {
        return Ok(());
    }
    let error = UserError::invalid(format!("there is no service {service}"));
    let error = error.detail("the table spans has no row with this service_name");
    Err(error.hint("SELECT DISTINCT service_name FROM spans lists the services").into())
}

async fn has_spans(call: &Call, condition: &str, value: &str) -> Result<bool> {
    let sql = format!("SELECT trace_id FROM public.spans WHERE {condition} LIMIT 1");
    let batches = call.collect(&sql, vec![("value", ScalarValue::from(value))]).await?;
    Ok(batches.iter().any(|batch| batch.num_rows() > 0))
}

/// The error for a trace id that no span has.
fn unknown_trace(trace_id: &str) -> UserError {
    // Whatever is given is repeated, but not megabytes of it.
    let shown: String = trace_id.chars().take(64).collect();
    UserError::invalid(format!("there is no trace {shown}"))
        .detail("the table spans has no row with this trace_id")
        .hint("a trace id is lowercase hex: SELECT DISTINCT trace_id FROM spans lists them")
}
