//! `critical_path_stats(t0, t1 [, service, operation])`: what many requests spent their time on.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use datafusion::execution::SendableRecordBatchStream;

use super::traces::{Encoder, Needs, Output, Selection, each_trace, known_service, window_arguments};
use super::{Argument, ArgumentType, Call, Signature, TableFunction};
use crate::attribution::trace::{OperationShare, OperationStats, OperationTotals};
use crate::error::Result;
use crate::model::cell::{Double, Int, Text};

/// The function `critical_path_stats`.
#[derive(Debug)]
pub struct CriticalPathStats;

const WINDOW: [Argument; 2] = window_arguments();

static SIGNATURE: Signature = Signature {
    name: "critical_path_stats",
    doc: &[
        "What the requests of a window spent their time on: the critical paths of all traces, by service and operation.",
        "With a service or an operation, the paths below its topmost spans. The weighted columns count each request as",
        "often as its entry point's adjusted_count says and leave out requests whose weight is unknown; how many those",
        "are is a column.",
    ],
    arguments: &[
        WINDOW[0],
        WINDOW[1],
        Argument {
            names: &["service", "service_name"],
            kind: ArgumentType::Text,
            required: false,
            doc: "Requests enter at this service; default: at the root of their trace.",
        },
        Argument {
            names: &["operation", "span_name"],
            kind: ArgumentType::Text,
            required: false,
            doc: "Requests enter at this operation; default: any.",
        },
    ],
    columns: crate::columns! {
        /// service.name.
        service_name: Text,
        /// Span name.
        operation: Text,
        /// Requests that had it on their critical path.
        requests: Int,
        /// Its spans on a critical path.
        spans: Int,
        /// Its own nanoseconds on the critical paths.
        critical_path_nano: Int,
        /// critical_path_nano as a share of the duration of all requests; the shares sum to 1.
        share: Double,
        /// Median of its nanoseconds among the requests that had it on their path.
        p50_nano: Int,
        /// 99th percentile of that.
        p99_nano: Int,
        /// critical_path_nano weighted by adjusted count; null when no weight is known.
        weighted_critical_path_nano: Double,
        /// The same as a share of the weighted duration of the requests of known weight; these shares sum to 1 too.
        weighted_share: Double,
        /// Of requests, how many have an unknown weight.
        unknown_weight_requests: Int,
        /// The share of all requests of the call whose weight is unknown.
        unknown_weight_share: Double,
    },
    example: "SELECT service_name, operation, share FROM critical_path_stats('2026-03-01T10:00:00Z', '2026-03-01T11:00:00Z', service => 'checkout') ORDER BY share DESC",
};

#[async_trait]
impl TableFunction for CriticalPathStats {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    async fn run(&self, call: Call) -> Result<SendableRecordBatchStream> {
        let selection = Selection { window: Some(call.window(0, 1)?), trace_id: None };
        let needs = Needs { name: true, weight: true, ..Needs::default() };
        let mut encoder = Encoder::new(needs);
        let service = call.text(2).map(|service| encoder.services.encode(Some(service)));
        let operation = call.text(3).map(|operation| encoder.names.encode(Some(operation)));
        let mut stats = OperationStats::new(service, operation);
        each_trace(&call, &selection, needs, &mut encoder, |spans, tree| stats.add(spans, tree)).await?;
        let (totals, rows) = stats.finish(&encoder.services, &encoder.names);
        if let Some(service) = call.text(2).filter(|_| rows.is_empty()) {
            known_service(&call, service).await?;
        }
        let output = fill(&totals, &rows);
        let rows = output.finish(&call.schema(), rows.len())?;
        Ok(call.rows(vec![rows]))
    }
}

fn fill(totals: &OperationTotals, rows: &[OperationShare]) -> Output {
    let text = |value: &dyn Fn(&OperationShare) -> Option<&str>| -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<StringArray>())
    };
    let int = |value: &dyn Fn(&OperationShare) -> Option<i64>| -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<Int64Array>())
    };
    let double = |value: &dyn Fn(&OperationShare) -> Option<f64>| -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<Float64Array>())
    };
    let count = |value: u64| i64::try_from(value).ok();
    let known = totals.unknown_weight < totals.requests;
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let mut output = Output::default();
    output.set("service_name", text(&|row| row.service.as_deref()));
    output.set("operation", text(&|row| row.operation.as_deref()));
    output.set("requests", int(&|row| count(row.requests)));
    output.set("spans", int(&|row| count(row.spans)));
    output.set("critical_path_nano", int(&|row| i64::try_from(row.critical_path).ok()));
    output.set("share", double(&|row| Some(share(row.critical_path as f64, totals.duration as f64))));
    output.set("p50_nano", int(&|row| row.p50));
    output.set("p99_nano", int(&|row| row.p99));
    output.set("weighted_critical_path_nano", double(&|row| known.then_some(row.weighted_critical_path)));
    let weighted = |row: &OperationShare| share(row.weighted_critical_path, totals.weighted_duration);
    output.set("weighted_share", double(&|row| known.then(|| weighted(row))));
    output.set("unknown_weight_requests", int(&|row| count(row.unknown_weight)));
    let unknown = share(totals.unknown_weight as f64, totals.requests as f64);
    output.set("unknown_weight_share", double(&|_| Some(unknown)));
    output
}
