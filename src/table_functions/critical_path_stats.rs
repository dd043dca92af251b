//! `critical_path_stats(t0, t1 [, service, operation])`, `critical_path_stats(TABLE relation, …)`: what many requests spent their time on.

use async_trait::async_trait;

use super::traces::{margin_argument, window_arguments};
use super::{Argument, ArgumentType, Signature, TableFunction};
use crate::operators::trace_tree::{CRITICAL_PATH_STATS, Computation};

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
        "are is a column. With a relation of spans as its first argument, TABLE name or a subquery, it is about those.",
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
        margin_argument(),
    ],
    columns: CRITICAL_PATH_STATS,
    example: "SELECT service_name, operation, share FROM critical_path_stats('2026-03-01T10:00:00Z', '2026-03-01T11:00:00Z', service => 'checkout') ORDER BY share DESC",
};

#[async_trait]
impl TableFunction for CriticalPathStats {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn computation(&self) -> Option<Computation> {
        Some(Computation::CriticalPathStats)
    }
}
