//! `error_origin(trace_id)`: where the errors of a trace began, and what they propagated to.

use async_trait::async_trait;

use super::error_origins::ORIGIN_COLUMNS;
use super::traces::trace_argument;
use super::{Argument, Signature, TableFunction};
use crate::operators::trace_tree::Computation;

/// The function `error_origin`.
#[derive(Debug)]
pub struct ErrorOrigin;

const ARGUMENTS: [Argument; 1] = [trace_argument(true)];

static SIGNATURE: Signature = Signature {
    name: "error_origin",
    doc: &[
        "Where the errors of a trace began, and what they propagated to: the failed spans none of which waited for",
        "another failed one. No row: nothing in the trace failed.",
    ],
    arguments: &ARGUMENTS,
    columns: &ORIGIN_COLUMNS,
    example: "SELECT service_name, span_name, error_type, propagated_to FROM error_origin('4bf92f3577b34da6a3ce929d0e0e4736')",
};

#[async_trait]
impl TableFunction for ErrorOrigin {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn computation(&self) -> Option<Computation> {
        Some(Computation::ErrorOrigins)
    }
}
