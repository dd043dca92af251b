//! `service_dependencies(t0, t1)`: who called whom, how often, how slowly and with how many errors.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray};
use datafusion::execution::SendableRecordBatchStream;

use super::traces::{Encoder, Needs, Output, Selection, each_trace, window_arguments};
use super::{Argument, Call, Signature, TableFunction};
use crate::attribution::trace::{self, Dependencies, DependencyStats};
use crate::error::Result;
use crate::model::cell::{Bool, Int, Text};

/// The function `service_dependencies`.
#[derive(Debug)]
pub struct ServiceDependencies;

const ARGUMENTS: [Argument; 2] = window_arguments();

static SIGNATURE: Signature = Signature {
    name: "service_dependencies",
    doc: &[
        "Who called whom in the traces of a window. A call counts once, whether both of its sides have spans or one.",
        "Calls are counted as they were traced, not weighted by sampling. External: only the calling side has a span,",
        "and the callee is what that span names.",
    ],
    arguments: &ARGUMENTS,
    columns: crate::columns! {
        /// Service that called.
        caller: Text,
        /// Service that was called; for an external call its peer service, null when the span names none.
        callee: Text,
        /// Calls that were traced.
        calls: Int,
        /// Of which either side says that they failed.
        errors: Int,
        /// Median duration as the caller saw it, nanoseconds; as the callee saw it where the caller has no span.
        p50_nano: Int,
        /// 99th percentile of that.
        p99_nano: Int,
        /// 99th percentile of client duration minus server duration: network and queues; null without both sides.
        gap_p99_nano: Int,
        /// Only the calling side has a span.
        is_external: Bool,
    },
    example: "SELECT * FROM service_dependencies('2026-03-01T10:00:00Z', '2026-03-01T11:00:00Z') ORDER BY calls DESC",
};

#[async_trait]
impl TableFunction for ServiceDependencies {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    async fn run(&self, call: Call) -> Result<SendableRecordBatchStream> {
        let selection = Selection { window: Some(call.window(0, 1)?), trace_id: None };
        let needs = Needs { peer: true, ..Needs::default() };
        let mut encoder = Encoder::new(needs);
        let mut all = Dependencies::default();
        each_trace(&call, &selection, needs, &mut encoder, |spans, tree| {
            trace::calls(spans, tree, |call| all.add(&call));
        })
        .await?;
        let rows = all.finish(&encoder.services, &encoder.peers);
        let text = |value: &dyn Fn(&DependencyStats) -> Option<&str>| -> ArrayRef {
            Arc::new(rows.iter().map(value).collect::<StringArray>())
        };
        let int = |value: &dyn Fn(&DependencyStats) -> Option<i64>| -> ArrayRef {
            Arc::new(rows.iter().map(value).collect::<Int64Array>())
        };
        let count = |value: u64| i64::try_from(value).ok();
        let mut output = Output::default();
        output.set("caller", text(&|row| row.caller.as_deref()));
        output.set("callee", text(&|row| row.callee.as_deref()));
        output.set("calls", int(&|row| count(row.calls)));
        output.set("errors", int(&|row| count(row.errors)));
        output.set("p50_nano", int(&|row| row.p50));
        output.set("p99_nano", int(&|row| row.p99));
        output.set("gap_p99_nano", int(&|row| row.gap_p99));
        output.set("is_external", Arc::new(rows.iter().map(|row| Some(row.is_external)).collect::<BooleanArray>()));
        let rows = output.finish(&call.schema(), rows.len())?;
        Ok(call.rows(vec![rows]))
    }
}
