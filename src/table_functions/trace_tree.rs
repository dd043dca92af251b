//! `trace_tree(trace_id)`: one trace, in tree order, for reading.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, BooleanArray, Int64Array, RecordBatch, StringArray, StringBuilder, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::execution::SendableRecordBatchStream;

use super::traces::{Output, one_trace, text, trace_argument};
use super::{Argument, Call, Signature, TableFunction};
use crate::attribution::trace::{Analyzer, Span, SpanFacts};
use crate::error::Result;
use crate::model::cell::{Bool, Int, Text};
use crate::operators::trace_tree::{Computation, spans_of};

/// The function `trace_tree`.
#[derive(Debug)]
pub struct TraceTree;

/// Levels that are shown by indenting; deeper spans say their depth.
const MAX_INDENT: u32 = 40;

/// Rows of a batch of the result.
const ROWS_PER_BATCH: usize = 8192;

const ARGUMENTS: [Argument; 1] = [trace_argument(true)];

static SIGNATURE: Signature = Signature {
    name: "trace_tree",
    doc: &[
        "One trace in tree order: every span below its parent, siblings by start. Spans whose parent is missing are roots",
        "of their own and come after the trace's root.",
    ],
    arguments: &ARGUMENTS,
    columns: crate::columns! {
        /// Position in the tree, from 1.
        seq: Int,
        /// Service and operation, indented by depth; below 40 levels the depth is a number.
        tree: Text,
        /// Start minus that of the trace's first root, nanoseconds; negative where clocks disagree.
        offset_nano: Int,
        /// End minus start, nanoseconds.
        duration_nano: Int,
        /// Duration without the union of the children's intervals, nanoseconds.
        self_time_nano: Int,
        /// Nanoseconds of the critical path that are the span's own.
        critical_path_nano: Int,
        /// UNSET, OK or ERROR.
        status_code: Text,
        /// error.type, or exception.type of an exception event.
        error_type: Text,
        /// SERVER, CLIENT, PRODUCER, CONSUMER, INTERNAL or UNSPECIFIED.
        span_kind: Text,
        /// service.name.
        service_name: Text,
        /// Name of the operation.
        span_name: Text,
        /// Span id.
        span_id: Text,
        /// Span id of the parent as sent.
        parent_span_id: Text,
        /// Edges between the span and its root.
        depth: Int,
        /// Spans directly below.
        child_count: Int,
        /// The span names a parent that is not there, and is a root of its own.
        is_orphan: Bool,
        /// The span failed, and nothing that it waited for did.
        is_error_origin: Bool,
    },
    example: "SELECT tree, offset_nano, duration_nano FROM trace_tree('4bf92f3577b34da6a3ce929d0e0e4736') ORDER BY seq",
};

const OWN: [&str; 8] = [
    "duration_nano",
    "status_code",
    "error_type",
    "span_kind",
    "service_name",
    "span_name",
    "span_id",
    "parent_span_id",
];

#[async_trait]
impl TableFunction for TraceTree {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    async fn run(&self, call: Call) -> Result<SendableRecordBatchStream> {
        let inputs: Vec<&str> = Computation::SpanTree.needs(&|_| true).into_iter().chain(OWN).collect();
        let batch = one_trace(&call, &inputs).await?;
        let spans = spans_of(&batch)?;
        let mut analyzer = Analyzer::default();
        analyzer.analyze(&spans);
        let parts = analyzer.tree.order().chunks(ROWS_PER_BATCH).enumerate();
        let batches = parts.map(|(part, order)| rows(&call, &batch, &spans, &analyzer, order, part * ROWS_PER_BATCH));
        Ok(call.rows(batches.collect::<Result<Vec<_>>>()?))
    }
}

/// The rows of a part of the tree; `before` rows came before them.
fn rows(
    call: &Call,
    batch: &RecordBatch,
    spans: &[Span],
    analyzer: &Analyzer,
    order: &[u32],
    before: usize,
) -> Result<RecordBatch> {
    let found: Vec<(&Span, &SpanFacts)> = order
        .iter()
        .filter_map(|row| Some((spans.get(*row as usize)?, analyzer.facts().get(*row as usize)?)))
        .collect();
    let root = analyzer.tree.main_root().and_then(|root| spans.get(root as usize)).map_or(0, |root| root.start);
    let at = UInt32Array::from(order.to_vec());
    let mut output = Output::default();
    for name in OWN {
        if let Some(column) = batch.column_by_name(name) {
            output.set(name, take(column, &at, None)?);
        }
    }
    let int = |value: &dyn Fn(&Span, &SpanFacts) -> i64| -> Arc<Int64Array> {
        Arc::new(found.iter().map(|(span, fact)| Some(value(span, fact))).collect())
    };
    let first = i64::try_from(before).unwrap_or(i64::MAX);
    output.set("seq", Arc::new((first + 1..).take(found.len()).collect::<Int64Array>()));
    output.set("offset_nano", int(&|span, _| span.start.saturating_sub(root)));
    output.set("self_time_nano", int(&|_, fact| fact.self_time));
    output.set("critical_path_nano", int(&|_, fact| fact.critical_path));
    output.set("depth", int(&|_, fact| i64::from(fact.depth)));
    output.set("child_count", int(&|_, fact| i64::from(fact.child_count)));
    let flag = |value: &dyn Fn(&SpanFacts) -> bool| -> Arc<BooleanArray> {
        Arc::new(found.iter().map(|(_, fact)| Some(value(fact))).collect())
    };
    output.set("is_orphan", flag(&|fact| fact.is_orphan));
    output.set("is_error_origin", flag(&|fact| fact.is_error_origin));
    let depths: Vec<u32> = found.iter().map(|(_, fact)| fact.depth).collect();
    output.set("tree", Arc::new(labels(batch, order, &depths)?));
    output.finish(&call.schema(), order.len())
}

/// Service and operation, indented.
fn labels(batch: &RecordBatch, order: &[u32], depths: &[u32]) -> Result<StringArray> {
    let (services, names) = (text(batch, "service_name")?, text(batch, "span_name")?);
    let mut labels = StringBuilder::new();
    for (row, depth) in order.iter().zip(depths) {
        let shown = |column: &StringArray| {
            let at = *row as usize;
            if column.is_valid(at) { column.value(at).to_owned() } else { "?".to_owned() }
        };
        let mut label = "  ".repeat((*depth).min(MAX_INDENT) as usize);
        if *depth > MAX_INDENT {
            label.push_str(&format!("({depth}) "));
        }
        label.push_str(&shown(&services));
        label.push_str(": ");
        label.push_str(&shown(&names));
        labels.append_value(label);
    }
    Ok(labels.finish())
}
