//! EXPLAIN as PostgreSQL answers it: one column, one line a row.

use std::sync::Arc;

use datafusion::arrow::array::{AsArray, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;

/// The one column.
pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("QUERY PLAN", DataType::Utf8, true)]))
}

/// Whether a plan explains another.
pub(crate) fn is(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_))
}

/// The engine's rows of a kind and a plan as lines.
pub(crate) fn one_column(stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let lines = stream.map(|batch| batch.and_then(|batch| lines(&batch)));
    Box::pin(RecordBatchStreamAdapter::new(schema(), lines))
}

fn lines(batch: &RecordBatch) -> Result<RecordBatch> {
    let texts = |at: usize| cast(batch.column(at), &DataType::Utf8);
    let (kinds, plans) = (texts(0)?, texts(1)?);
    let mut all: Vec<String> = Vec::new();
    for (kind, plan) in kinds.as_string::<i32>().iter().zip(plans.as_string::<i32>()) {
        all.push(kind.unwrap_or_default().to_owned());
        all.extend(plan.unwrap_or_default().lines().map(|line| format!("  {line}")));
    }
    Ok(RecordBatch::try_new(schema(), vec![Arc::new(StringArray::from_iter_values(all))])?)
}
