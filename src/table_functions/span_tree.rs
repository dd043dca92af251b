//! `span_tree(t0, t1 [, service, trace_id])`, `span_tree(TABLE relation, …)`: the primitive that the other trace functions
//! build on.

use async_trait::async_trait;

use super::traces::{margin_argument, trace_argument, window_arguments};
use super::{Argument, ArgumentType, Signature, TableFunction};
use crate::model::Column;
use crate::model::telemetry::SPANS;
use crate::operators::trace_tree::{Computation, SPAN_TREE};

/// The function `span_tree`.
#[derive(Debug)]
pub struct SpanTree;

const WINDOW: [Argument; 2] = window_arguments();

/// How many columns of `spans` stand here too: all but the nested ones, which come last there.
const STORED: usize = SPANS.columns.len() - 4;

/// The span's own columns, then what the tree says of it.
static COLUMNS: [Column; STORED + SPAN_TREE.len()] = {
    let mut columns = [SPANS.columns[0]; STORED + SPAN_TREE.len()];
    let mut at = 1;
    while at < columns.len() {
        columns[at] = if at < STORED { SPANS.columns[at] } else { SPAN_TREE[at - STORED] };
        at += 1;
    }
    columns
};

static SIGNATURE: Signature = Signature {
    name: "span_tree",
    doc: &[
        "Every span of the traces in a window, with its place in the tree of its trace. A trace belongs to the window",
        "that its root starts in and is returned whole. A span whose parent is missing is a root of its own, flagged as",
        "orphan. The critical_path_nano of the spans below one root sum to the root's duration. What a trace did outside of",
        "the window by more than the margin is not read. With a relation of spans as its first argument, TABLE name or a",
        "subquery, it is about those instead of the lake's: its own columns come first, and the window may be left out.",
    ],
    arguments: &[
        WINDOW[0],
        WINDOW[1],
        Argument {
            names: &["service", "service_name"],
            kind: ArgumentType::Text,
            required: false,
            doc: "Only traces that this service took part in; default: all.",
        },
        trace_argument(false),
        margin_argument(),
    ],
    columns: &COLUMNS,
    example: "SELECT service_name, sum(critical_path_nano) FROM span_tree('2026-03-01T10:00:00Z', '2026-03-01T11:00:00Z') GROUP BY 1",
};

#[async_trait]
impl TableFunction for SpanTree {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn computation(&self) -> Option<Computation> {
        Some(Computation::SpanTree)
    }
}
