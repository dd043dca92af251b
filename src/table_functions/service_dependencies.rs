//! `service_dependencies(t0, t1)`, `service_dependencies(TABLE relation, …)`: who called whom, how often, how slowly and with how many errors.

use async_trait::async_trait;

use super::traces::{margin_argument, window_arguments};
use super::{Argument, Signature, TableFunction};
use crate::operators::trace_tree::{Computation, SERVICE_DEPENDENCIES};

/// The function `service_dependencies`.
#[derive(Debug)]
pub struct ServiceDependencies;

const WINDOW: [Argument; 2] = window_arguments();

static SIGNATURE: Signature = Signature {
    name: "service_dependencies",
    doc: &[
        "Who called whom in the traces of a window. A call counts once, whether both of its sides have spans or one.",
        "Calls are counted as they were traced, not weighted by sampling. External: only the calling side has a span,",
        "and the callee is what that span names. With a relation of spans as its first argument, TABLE name or a subquery,",
        "it is about those.",
    ],
    arguments: &[WINDOW[0], WINDOW[1], margin_argument()],
    columns: SERVICE_DEPENDENCIES,
    example: "SELECT * FROM service_dependencies('2026-03-01T10:00:00Z', '2026-03-01T11:00:00Z') ORDER BY calls DESC",
};

#[async_trait]
impl TableFunction for ServiceDependencies {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn computation(&self) -> Option<Computation> {
        Some(Computation::ServiceDependencies)
    }
}
