//! `error_origins(t0, t1)`, `error_origins(TABLE relation, …)`: where the errors of many traces began, and what they
//! propagated to.

use async_trait::async_trait;

use super::traces::{margin_argument, window_arguments};
use super::{Argument, Signature, TableFunction};
use crate::model::Column;
use crate::operators::trace_tree::{Computation, ERROR_ORIGINS};

/// The function `error_origins`.
#[derive(Debug)]
pub struct ErrorOrigins;

const WINDOW: [Argument; 2] = window_arguments();

static OWN: &[Column] = {
    use crate::model::cell::{Int, Text, Time};
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
    }
};

/// The failed span's own columns, then what became of its error.
pub(super) static ORIGIN_COLUMNS: [Column; OWN.len() + ERROR_ORIGINS.len()] = {
    let mut columns = [OWN[0]; OWN.len() + ERROR_ORIGINS.len()];
    let mut at = 1;
    while at < columns.len() {
        columns[at] = if at < OWN.len() { OWN[at] } else { ERROR_ORIGINS[at - OWN.len()] };
        at += 1;
    }
    columns
};

static SIGNATURE: Signature = Signature {
    name: "error_origins",
    doc: &[
        "Where the errors of the traces in a window began, and what they propagated to: one row for every failed span",
        "that did not wait for another failed one. Spans are counted as they are, not weighted by sampling. With a relation",
        "of spans as its first argument, TABLE name or a subquery, it is about those, and their own columns come first.",
    ],
    arguments: &[WINDOW[0], WINDOW[1], margin_argument()],
    columns: &ORIGIN_COLUMNS,
    example: "SELECT service_name, error_type, count(*) FROM error_origins('2026-03-01T10:00:00Z', '2026-03-01T11:00:00Z') WHERE reached_root GROUP BY 1, 2",
};

#[async_trait]
impl TableFunction for ErrorOrigins {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn computation(&self) -> Option<Computation> {
        Some(Computation::ErrorOrigins)
    }
}
