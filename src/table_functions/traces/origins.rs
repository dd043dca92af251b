//! The rows of `error_origin` and `error_origins`.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Int64Array, ListBuilder, RecordBatch, StringBuilder, UInt32Array,
};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::SchemaRef;

use super::{Encoder, Output, Selection, TraceBatch, start_of};
use crate::attribution::trace::{ErrorFlow, Span, Tree};
use crate::error::Result;
use crate::model::cell::TextList;
use crate::model::{CellType, Column};

/// Services that `propagated_to` lists at most.
const MAX_SERVICES: usize = 64;

/// Columns of an origin that are the failed span's own.
const OWN: [&str; 13] = [
    "trace_id",
    "span_id",
    "service_name",
    "span_name",
    "span_kind",
    "status_message",
    "error_type",
    "start_time",
    "start_unix_nano",
    "duration_nano",
    "service_version",
    "tenant_id",
    "peer_service",
];

/// The columns of both functions.
pub(in crate::table_functions) static ORIGIN_COLUMNS: &[Column] = {
    use crate::model::cell::{Bool, Int, Text, Time};
    crate::columns! {
        /// Trace id.
        trace_id: Text,
        /// Span id of the span that failed first.
        span_id: Text,
        /// Its service.
        service_name: Text,
        /// Its operation.
        span_name: Text,
        /// SERVER, CLIENT, PRODUCER, CONSUMER, INTERNAL or UNSPECIFIED; a CLIENT: the other side did not answer well.
        span_kind: Text,
        /// Status description.
        status_message: Text,
        /// error.type, or exception.type of an exception event.
        error_type: Text,
        /// When it began, to the microsecond.
        start_time: Time,
        /// When it began: nanoseconds since the epoch.
        start_unix_nano: Int,
        /// Nanoseconds.
        duration_nano: Int,
        /// service.version.
        service_version: Text,
        /// Tenant that the request was for.
        tenant_id: Text,
        /// Who a client span called.
        peer_service: Text,
        /// Failed spans above it that its error was passed on to.
        hops: Int,
        /// The other services that it was passed on to, upward, each change of service once, 64 at most.
        propagated_to: TextList,
        /// The last span upward that it was passed on to; its own id if to none.
        top_span_id: Text,
        /// The service of that span.
        top_service: Text,
        /// Whether it reached the root: the request as a whole failed.
        reached_root: Bool,
    }
};

/// The columns to read.
pub(in crate::table_functions) fn origin_inputs() -> Vec<&'static str> {
    super::Needs::default().columns().into_iter().chain(OWN).collect()
}

/// The origins of errors in the selected traces of a batch.
pub(in crate::table_functions) fn origins(
    batch: &TraceBatch,
    encoder: &mut Encoder,
    selection: &Selection,
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let mut found = Origins::default();
    let (mut tree, mut errors) = (Tree::default(), ErrorFlow::default());
    let mut base = 0;
    for spans in encoder.encode(batch)?.traces() {
        if spans.iter().any(Span::is_error) {
            tree.resolve(spans);
            if selection.contains(start_of(spans, &tree)) {
                errors.resolve(spans, &tree);
                found.add(base, spans, &tree, &errors);
            }
        }
        base += u32::try_from(spans.len()).unwrap_or(u32::MAX);
    }
    found.finish(batch, encoder, schema)
}

#[derive(Debug, Default)]
struct Origins {
    rows: Vec<u32>,
    tops: Vec<u32>,
    hops: Vec<i64>,
    reached_root: Vec<bool>,
    services: Vec<Vec<u32>>,
}

impl Origins {
    fn add(&mut self, base: u32, spans: &[Span], tree: &Tree, errors: &ErrorFlow) {
        for row in tree.order().iter().copied().filter(|row| errors.is_origin(*row)) {
            let top = errors.top(row);
            self.rows.push(base + row);
            self.tops.push(base + top);
            self.hops.push(i64::from(errors.hops(row)));
            self.reached_root.push(tree.root(top) == top);
            self.services.push(errors.services(spans, row).take(MAX_SERVICES).collect());
        }
    }

    fn finish(self, batch: &TraceBatch, encoder: &Encoder, schema: &SchemaRef) -> Result<RecordBatch> {
        let count = self.rows.len();
        let (rows, tops) = (UInt32Array::from(self.rows), UInt32Array::from(self.tops));
        let mut output = Output::default();
        for name in OWN {
            if let Some(column) = batch.rows.column_by_name(name) {
                output.set(name, take(column, &rows, None)?);
            }
        }
        output.set("hops", Arc::new(Int64Array::from(self.hops)));
        output.set("propagated_to", lists(&self.services, encoder));
        output.set("top_span_id", take(&batch.text("span_id")?, &tops, None)?);
        output.set("top_service", take(&batch.text("service_name")?, &tops, None)?);
        output.set("reached_root", Arc::new(BooleanArray::from(self.reached_root)));
        output.finish(schema, count)
    }
}

fn lists(services: &[Vec<u32>], encoder: &Encoder) -> ArrayRef {
    let mut builder: ListBuilder<StringBuilder> = TextList::builder();
    for row in services {
        for service in row {
            builder.values().append_option(encoder.services.text(*service));
        }
        builder.append(true);
    }
    Arc::new(builder.finish())
}
