//! `span_tree(t0, t1 [, service, trace_id])`: the primitive that the other trace functions build on.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{filter_record_batch, take};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;

use super::exec::engine_error;
use super::traces::{
    Encoder, Needs, Output, Selection, TraceBatch, WholeTraces, each_trace, known_service, known_trace, start_of,
    trace_argument, window_arguments,
};
use super::{Argument, ArgumentType, Call, Signature, TableFunction};
use crate::attribution::clock_skew::{ClockMap, ClockOffset, SkewSamples, rpc_pairs};
use crate::attribution::trace::{Analyzer, Code, Span, SpanFacts};
use crate::error::Result;
use crate::model::Column;
use crate::model::cell::{Bool, Int, Text};
use crate::model::telemetry::SPANS;

/// The function `span_tree`.
#[derive(Debug)]
pub struct SpanTree;

const WINDOW: [Argument; 2] = window_arguments();

/// How many columns of `spans` stand here too: all but the nested ones, which come last there.
const STORED: usize = SPANS.columns.len() - 4;

static COMPUTED: &[Column] = crate::columns! {
    /// Edges between the span and its root.
    depth: Int,
    /// Span id of the root that it hangs below; its own for a root.
    root_span_id: Text,
    /// Service of that root.
    root_service: Text,
    /// Duration without the union of the children's intervals, each clamped to the span's own, nanoseconds.
    self_time_nano: Int,
    /// Nanoseconds of the critical path below the root that are the span's own.
    critical_path_nano: Int,
    /// Spans directly below.
    child_count: Int,
    /// The span names a parent that is not there (or itself, or a descendant), and is a root of its own.
    is_orphan: Bool,
    /// The span failed, and nothing that it waited for did.
    is_error_origin: Bool,
    /// By how much the clock of its instance is ahead of that of the root's; null when no calls connect them.
    clock_offset_nano: Int,
    /// By how much clock_offset_nano may be wrong, either way.
    clock_bound_nano: Int,
};

/// The span's own columns, then what the tree says of it.
static COLUMNS: [Column; STORED + COMPUTED.len()] = {
    let mut columns = [SPANS.columns[0]; STORED + COMPUTED.len()];
    let mut at = 1;
    while at < columns.len() {
        columns[at] = if at < STORED { SPANS.columns[at] } else { COMPUTED[at - STORED] };
        at += 1;
    }
    columns
};

static SIGNATURE: Signature = Signature {
    name: "span_tree",
    doc: &[
        "Every span of the traces in a window, with its place in the tree of its trace. A trace belongs to the window",
        "that its root starts in and is returned whole. A span whose parent is missing is a root of its own, flagged as",
        "orphan. The critical_path_nano of the spans below one root sum to the root's duration. What a trace did more than",
        "an hour outside the window is not read.",
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
    ],
    columns: &COLUMNS,
    example: "SELECT service_name, sum(critical_path_nano) FROM span_tree('2026-03-01T10:00:00Z', '2026-03-01T11:00:00Z') GROUP BY 1",
};

#[async_trait]
impl TableFunction for SpanTree {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    async fn run(&self, call: Call) -> Result<SendableRecordBatchStream> {
        let selection = Selection { window: Some(call.window(0, 1)?), trace_id: call.text(3).map(str::to_owned) };
        let mut encoder = Encoder::new(Needs { instance: true, ..Needs::default() });
        let wants_clocks = call.uses("clock_offset_nano") || call.uses("clock_bound_nano");
        let clocks =
            if wants_clocks { Some(Clocks::new(learn_clocks(&call, &selection, &mut encoder).await?)) } else { None };
        let needs = Needs { instance: wants_clocks, ..Needs::default() };
        encoder.set_needs(needs);
        let own = COLUMNS[..STORED].iter().map(|column| column.name).filter(|name| call.uses(name));
        let columns: Vec<&str> = needs.columns().into_iter().chain(own).collect();
        let service = call.text(2).map(|service| encoder.services.encode(Some(service)));
        let input = selection.read(&call, &columns).await?;
        let schema = call.schema();
        let state = State { call, selection, input, encoder, analyzer: Analyzer::default(), service, clocks, rows: 0 };
        let batches = stream::try_unfold(state, |mut state| async move {
            let batch = state.next().await.map_err(engine_error)?;
            Ok(batch.map(|batch| (batch, state)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

/// What the calls in the selected traces say about clocks.
async fn learn_clocks(call: &Call, selection: &Selection, encoder: &mut Encoder) -> Result<ClockMap<Code>> {
    let needs = Needs { instance: true, ..Needs::default() };
    let mut samples = SkewSamples::default();
    each_trace(call, selection, needs, encoder, |spans, tree| {
        rpc_pairs(spans, tree, |pair| samples.add(&pair.client, &pair.server, &pair));
    })
    .await?;
    Ok(samples.solve())
}

/// Offsets from the instances that requests begin in.
struct Clocks {
    map: ClockMap<Code>,
    known: HashMap<Code, HashMap<Code, ClockOffset>>,
    entries: usize,
}

impl Clocks {
    /// Offsets that are remembered.
    const MAX_ENTRIES: usize = 4_000_000;

    fn new(map: ClockMap<Code>) -> Self {
        Self { map, known: HashMap::new(), entries: 0 }
    }

    fn offset(&mut self, root: Code, instance: Code) -> Option<ClockOffset> {
        if !self.known.contains_key(&root) {
            let offsets = self.map.offsets_from(&root);
            if self.entries + offsets.len() > Self::MAX_ENTRIES {
                self.known.clear();
                self.entries = 0;
            }
            self.entries += offsets.len();
            self.known.insert(root, offsets);
        }
        self.known.get(&root)?.get(&instance).copied()
    }
}

/// A call under way.
struct State {
    call: Call,
    selection: Selection,
    input: WholeTraces,
    encoder: Encoder,
    analyzer: Analyzer,
    service: Option<Code>,
    clocks: Option<Clocks>,
    rows: usize,
}

impl State {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while let Some(batch) = self.input.next().await? {
            let rows = self.compute(&batch)?;
            self.rows += rows.num_rows();
            if rows.num_rows() > 0 {
                return Ok(Some(rows));
            }
        }
        if self.rows == 0 {
            explain_nothing(&self.call).await?;
        }
        Ok(None)
    }

    fn compute(&mut self, batch: &TraceBatch) -> Result<RecordBatch> {
        let set = self.encoder.encode(batch)?;
        let mut found = Computed::default();
        for spans in set.traces() {
            self.analyzer.analyze(spans);
            let selected = self.selection.contains(start_of(spans, &self.analyzer.tree))
                && self.service.is_none_or(|service| spans.iter().any(|span| span.service == service));
            found.add(spans, self.analyzer.facts(), selected, &mut self.clocks);
        }
        let mut output = Output::default();
        for column in &COLUMNS[..STORED] {
            if self.call.uses(column.name) {
                output.set(column.name, batch.column(column.name, &(column.data_type)())?);
            }
        }
        let selected = found.fill(&self.call, batch, &mut output)?;
        let rows = output.finish(&self.call.schema(), batch.rows.num_rows())?;
        Ok(filter_record_batch(&rows, &selected)?)
    }
}

/// An empty result is right only if what was asked for is known.
async fn explain_nothing(call: &Call) -> Result<()> {
    if let Some(trace_id) = call.text(3) {
        known_trace(call, trace_id).await?;
    }
    if let Some(service) = call.text(2) {
        known_service(call, service).await?;
    }
    Ok(())
}

/// The computed columns of a batch.
#[derive(Debug, Default)]
struct Computed {
    selected: Vec<bool>,
    roots: Vec<u32>,
    depth: Vec<i64>,
    self_time: Vec<i64>,
    critical_path: Vec<i64>,
    children: Vec<i64>,
    is_orphan: Vec<bool>,
    is_error_origin: Vec<bool>,
    offset: Vec<Option<i64>>,
    bound: Vec<Option<i64>>,
}

impl Computed {
    /// Add the spans of a trace.
    fn add(&mut self, spans: &[Span], facts: &[SpanFacts], selected: bool, clocks: &mut Option<Clocks>) {
        let base = u32::try_from(self.roots.len()).unwrap_or(u32::MAX);
        for (span, fact) in spans.iter().zip(facts) {
            self.selected.push(selected);
            self.roots.push(base.saturating_add(fact.root));
            self.depth.push(i64::from(fact.depth));
            self.self_time.push(fact.self_time);
            self.critical_path.push(fact.critical_path);
            self.children.push(i64::from(fact.child_count));
            self.is_orphan.push(fact.is_orphan);
            self.is_error_origin.push(fact.is_error_origin);
            let root = spans.get(fact.root as usize).filter(|_| selected);
            let clock =
                clocks.as_mut().zip(root).and_then(|(clocks, root)| clocks.offset(root.instance, span.instance));
            self.offset.push(clock.map(|clock| clock.offset));
            self.bound.push(clock.map(|clock| clock.bound));
        }
    }

    /// Set the computed columns; returns which rows belong to selected traces.
    fn fill(self, call: &Call, batch: &TraceBatch, output: &mut Output) -> Result<BooleanArray> {
        let roots = UInt32Array::from(self.roots);
        for (name, of) in [("root_span_id", "span_id"), ("root_service", "service_name")] {
            if call.uses(name) {
                output.set(name, take(&batch.text(of)?, &roots, None)?);
            }
        }
        let int = |values: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
        output.set("depth", int(self.depth));
        output.set("self_time_nano", int(self.self_time));
        output.set("critical_path_nano", int(self.critical_path));
        output.set("child_count", int(self.children));
        output.set("is_orphan", Arc::new(BooleanArray::from(self.is_orphan)));
        output.set("is_error_origin", Arc::new(BooleanArray::from(self.is_error_origin)));
        output.set("clock_offset_nano", Arc::new(Int64Array::from(self.offset)));
        output.set("clock_bound_nano", Arc::new(Int64Array::from(self.bound)));
        Ok(BooleanArray::from(self.selected))
    }
}
