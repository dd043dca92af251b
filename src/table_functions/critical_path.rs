//! `critical_path(trace_id)`: what a trace spent its time on.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Float64Array, Int64Array, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::execution::SendableRecordBatchStream;

use super::traces::{Output, one_trace, text, trace_argument};
use super::{Argument, Call, Signature, TableFunction};
use crate::attribution::trace::{Analyzer, PathStep};
use crate::error::Result;
use crate::model::cell::{Double, Int, Text};
use crate::operators::trace_tree::{Computation, spans_of};

/// The function `critical_path`.
#[derive(Debug)]
pub struct CriticalPathOf;

const ARGUMENTS: [Argument; 1] = [trace_argument(true)];

static SIGNATURE: Signature = Signature {
    name: "critical_path",
    doc: &[
        "The critical path of a trace: the spans that it waited for, callers before what they called, each with the time",
        "that was its own. self_nano sums to exactly the root's duration. In a trace with several roots it is the path",
        "below the first one that has no parent id.",
    ],
    arguments: &ARGUMENTS,
    columns: crate::columns! {
        /// Position on the path, from 1.
        seq: Int,
        /// Span id.
        span_id: Text,
        /// service.name.
        service_name: Text,
        /// Name of the operation.
        span_name: Text,
        /// When the span began: nanoseconds since the epoch, as the sender's clock showed.
        start_unix_nano: Int,
        /// Nanoseconds of the path that are the span's own.
        self_nano: Int,
        /// self_nano as a share of the root's duration.
        share: Double,
    },
    example: "SELECT service_name, span_name, self_nano, share FROM critical_path('4bf92f3577b34da6a3ce929d0e0e4736') ORDER BY seq",
};

#[async_trait]
impl TableFunction for CriticalPathOf {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    async fn run(&self, call: Call) -> Result<SendableRecordBatchStream> {
        let mut columns = Computation::SpanTree.needs(&|_| false);
        columns.push("span_name");
        let batch = one_trace(&call, &columns).await?;
        let spans = spans_of(&batch)?;
        let mut analyzer = Analyzer::default();
        analyzer.analyze(&spans);
        let root = analyzer.tree.main_root();
        let steps: Vec<PathStep> = root.iter().flat_map(|root| analyzer.path.steps(&analyzer.tree, *root)).collect();
        let starts = steps.iter().filter_map(|step| spans.get(step.row as usize)).map(|span| span.start);
        let starts: Vec<i64> = starts.collect();
        let total: i128 = steps.iter().map(|step| i128::from(step.self_time)).sum();
        let share = |step: &PathStep| if total == 0 { 0.0 } else { step.self_time as f64 / total as f64 };
        let rows: UInt32Array = steps.iter().map(|step| Some(step.row)).collect();
        let count = steps.len();
        let mut output = Output::default();
        output.set("seq", Arc::new((1..).take(count).collect::<Int64Array>()));
        for name in ["span_id", "service_name", "span_name"] {
            output.set(name, take(&text(&batch, name)?, &rows, None)?);
        }
        output.set("start_unix_nano", Arc::new(Int64Array::from(starts)));
        output.set("self_nano", Arc::new(steps.iter().map(|step| Some(step.self_time)).collect::<Int64Array>()));
        output.set("share", Arc::new(steps.iter().map(|step| Some(share(step))).collect::<Float64Array>()));
        let rows = output.finish(&call.schema(), count)?;
        Ok(call.rows(vec![rows]))
    }
}
