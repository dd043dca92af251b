//! The spans of a window or of one trace, trace after trace.
//!
//! The engine sorts them by trace id, in memory or in spill files; what is held here is one batch and the trace that
//! is not complete yet.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

use crate::config::TRACE_MARGIN_MICROS;
use crate::error::{Result, UserError};
use crate::table_functions::{Call, timestamp};

/// Which traces a call is about.
#[derive(Debug, Clone, Default)]
pub(in crate::table_functions) struct Selection {
    /// The traces whose root starts at or after the first and before the second time, microseconds since the epoch.
    pub window: Option<(i64, i64)>,
    /// The trace with this id.
    pub trace_id: Option<String>,
}

impl Selection {
    /// The trace with this id, wherever it is.
    pub fn trace(trace_id: &str) -> Self {
        Self { window: None, trace_id: Some(trace_id.to_owned()) }
    }

    /// Whether a trace whose root starts at this time (nanoseconds since the epoch) is selected.
    pub fn contains(&self, root_start: i64) -> bool {
        let micros = root_start.div_euclid(1000);
        self.window.is_none_or(|(from, to)| from <= micros && micros < to)
    }

    /// The selected spans as whole traces, with these columns beside the trace id and the start.
    pub async fn read(&self, call: &Call, columns: &[&str]) -> Result<WholeTraces> {
        let mut wanted = vec!["trace_id"];
        for column in columns {
            if !wanted.contains(column) {
                wanted.push(column);
            }
        }
        let mut conditions = Vec::new();
        let mut parameters = Vec::new();
        if let Some((from, to)) = self.window {
            conditions.push("start_time >= $from AND start_time < $to");
            parameters.push(("from", timestamp(from.saturating_sub(TRACE_MARGIN_MICROS))));
            parameters.push(("to", timestamp(to.saturating_add(TRACE_MARGIN_MICROS))));
        }
        if let Some(trace_id) = &self.trace_id {
            conditions.push("trace_id = $trace_id");
            parameters.push(("trace_id", ScalarValue::from(trace_id.as_str())));
        }
        let sql = format!(
            "SELECT {} FROM public.spans WHERE {} ORDER BY trace_id",
            wanted.join(", "),
            if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") },
        );
        Ok(WholeTraces { input: call.query(&sql, parameters).await?, pending: Vec::new(), is_done: false })
    }
}

/// Make sure that some span of the lake has this trace id, whenever it was.
///
/// # Errors
/// When none has.
pub(in crate::table_functions) async fn known_trace(call: &Call, trace_id: &str) -> Result<()> {
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
pub(in crate::table_functions) fn unknown_trace(trace_id: &str) -> UserError {
    UserError::invalid(format!("there is no trace {trace_id}"))
        .detail("the table spans has no row with this trace_id")
        .hint("a trace id is lowercase hex: SELECT DISTINCT trace_id FROM spans lists them")
}

/// A stream of batches none of which ends within a trace.
pub(in crate::table_functions) struct WholeTraces {
    input: SendableRecordBatchStream,
    /// The rows of the trace that may go on in the next batch.
    pending: Vec<RecordBatch>,
    is_done: bool,
}

/// Whole traces: rows, and where each trace ends.
#[derive(Debug)]
pub(in crate::table_functions) struct TraceBatch {
    /// The rows, sorted by trace id.
    pub rows: RecordBatch,
    /// The row behind the last of each trace.
    pub ends: Vec<usize>,
}

impl TraceBatch {
    /// A column of text; empty strings are text too.
    pub fn text(&self, name: &str) -> Result<StringArray> {
        Ok(self.column(name, &DataType::Utf8)?.as_string::<i32>().clone())
    }

    /// A column in the type that is wanted; null where the table has no such column.
    pub fn column(&self, name: &str, data_type: &DataType) -> Result<ArrayRef> {
        let Some(column) = self.rows.column_by_name(name) else {
            return Ok(datafusion::arrow::array::new_null_array(data_type, self.rows.num_rows()));
        };
        Ok(cast(column, data_type)?)
    }
}

impl WholeTraces {
    /// The next whole traces; none at the end.
    pub async fn next(&mut self) -> Result<Option<TraceBatch>> {
        while !self.is_done {
            let Some(batch) = self.input.next().await.transpose()? else {
                self.is_done = true;
                break;
            };
            if batch.num_rows() == 0 {
                continue;
            }
            let ids = trace_ids(&batch)?;
            let open_from = last_start(&ids);
            let goes_on = open_from == 0 && self.continues(&ids)?;
            if !goes_on {
                let tail = batch.slice(open_from, batch.num_rows() - open_from);
                let mut whole = std::mem::replace(&mut self.pending, vec![tail]);
                whole.push(batch.slice(0, open_from));
                if let Some(traces) = join(&whole)? {
                    return Ok(Some(traces));
                }
                continue;
            }
            self.pending.push(batch);
        }
        join(&std::mem::take(&mut self.pending))
    }

    /// Whether the first row belongs to the trace that is pending.
    fn continues(&self, ids: &StringArray) -> Result<bool> {
        let Some(last) = self.pending.last() else { return Ok(false) };
        let before = trace_ids(&last.slice(last.num_rows() - 1, 1))?;
        Ok(before.is_valid(0) && ids.is_valid(0) && before.value(0) == ids.value(0))
    }
}

fn trace_ids(batch: &RecordBatch) -> Result<StringArray> {
    let Some(column) = batch.column_by_name("trace_id") else { return Ok(StringArray::new_null(batch.num_rows())) };
    Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone())
}

/// The first row of the last trace.
fn last_start(ids: &StringArray) -> usize {
    (1..ids.len()).rev().find(|row| begins(ids, *row)).unwrap_or(0)
}

/// Whether a row begins a trace. Spans without a trace id are traces of their own.
fn begins(ids: &StringArray, row: usize) -> bool {
    row == 0 || ids.is_null(row) || ids.is_null(row - 1) || ids.value(row) != ids.value(row - 1)
}

fn join(batches: &[RecordBatch]) -> Result<Option<TraceBatch>> {
    let Some(first) = batches.first() else { return Ok(None) };
    let rows = concat_batches(&first.schema(), batches)?;
    let ids = trace_ids(&rows)?;
    let mut ends: Vec<usize> = (1..rows.num_rows()).filter(|row| begins(&ids, *row)).collect();
    if rows.num_rows() > 0 {
        ends.push(rows.num_rows());
    }
    Ok((rows.num_rows() > 0).then_some(TraceBatch { rows, ends }))
}
