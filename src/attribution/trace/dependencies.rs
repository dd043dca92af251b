//! Who called whom, from traces that have both sides of a call, one of them, or a service's own spans in between.

use super::ids::CodeMap;
use super::{Code, Dictionary, Kind, NO_ROW, Span, Tree, quantile, row, span_at};

/// One call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Service that called.
    pub caller: Code,
    /// Service that was called; [`super::NULL_CODE`] when nobody said.
    pub callee: Code,
    /// Either side says that it failed.
    pub is_error: bool,
    /// Duration as the caller saw it; the callee's where the caller has no span of the call.
    pub duration: i64,
    /// Duration of the calling side minus that of the called side: what the network and queues took.
    pub gap: Option<i64>,
    /// Only the calling side has a span: the callee is what that span names.
    pub is_external: bool,
}

/// Finds the calls of traces one by one, and reuses its memory.
#[derive(Debug, Default)]
pub struct Calls {
    /// The sending span that a row's work is done for within its own service.
    sender: Vec<u32>,
    /// How many called spans a sending span has.
    reached: Vec<u32>,
    /// Spans that were called, with their parents and the spans that sent.
    received: Vec<(u32, u32, u32)>,
}

impl Calls {
    /// The calls of one trace, whose tree is whole.
    ///
    /// A call is a span below a span of another service, or a SERVER or CONSUMER span below a CLIENT or PRODUCER span of
    /// any; and a CLIENT or PRODUCER span from which no other service is reached, called external.
    pub fn each(&mut self, spans: &[Span], tree: &Tree, mut emit: impl FnMut(Call)) {
        self.sender.clear();
        self.sender.resize(spans.len(), NO_ROW);
        self.reached.clear();
        self.reached.resize(spans.len(), 0);
        self.received.clear();
        for here in tree.order().iter().filter(|row| !tree.is_repeated(**row)) {
            let Some(span) = span_at(spans, *here) else { continue };
            let parent = tree.parent(*here);
            let above = span_at(spans, parent);
            let via = self.sender.get(parent as usize).copied().unwrap_or(NO_ROW);
            let crosses = above.is_some_and(|above| {
                above.service != span.service || (span.kind.receives() && via == parent && above.kind.sends())
            });
            if crosses {
                self.received.push((*here, parent, via));
            }
            let inherits = !crosses && matches!(span.kind, Kind::Internal | Kind::Unspecified);
            let own = if span.kind.sends() {
                *here
            } else if inherits {
                via
            } else {
                NO_ROW
            };
            if let Some(slot) = self.sender.get_mut(*here as usize) {
                *slot = own;
            }
            // A sending span inside another one (a library above a transport) is the same call once more.
            if (crosses || span.kind.sends())
                && let Some(count) = self.reached.get_mut(via as usize)
            {
                *count += 1;
            }
        }
        for (here, parent, via) in self.received.iter().copied() {
            let (Some(span), Some(above)) = (span_at(spans, here), span_at(spans, parent)) else { continue };
            let client = span_at(spans, via);
            let only = self.reached.get(via as usize) == Some(&1);
            let waits = client.is_some_and(|client| client.kind == Kind::Client);
            emit(Call {
                caller: above.service,
                callee: span.service,
                is_error: span.is_error() || client.is_some_and(|client| only && client.is_error()),
                duration: client.filter(|_| only && waits).unwrap_or(span).length(),
                gap: client.filter(|_| only && waits).map(|client| client.length() - span.length()),
                is_external: false,
            });
        }
        for (at, span) in spans.iter().enumerate() {
            if span.kind.sends() && self.reached.get(at) == Some(&0) && !tree.is_repeated(row(at)) {
                emit(Call {
                    caller: span.service,
                    callee: span.peer,
                    is_error: span.is_error(),
                    duration: span.length(),
                    gap: None,
                    is_external: true,
                });
            }
        }
    }
}

/// Calls by caller and callee, added up by code.
#[derive(Debug, Default)]
pub struct Dependencies {
    durations: bool,
    gaps: bool,
    edges: CodeMap<(Code, Code, bool), Edge>,
}

#[derive(Debug, Default)]
struct Edge {
    calls: u64,
    errors: u64,
    durations: Vec<i64>,
    gaps: Vec<i64>,
}

/// One edge of the service graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DependencyStats {
    /// Service that called.
    pub caller: Option<Box<str>>,
    /// Service that was called, or what an external call names.
    pub callee: Option<Box<str>>,
    /// Calls seen (spans are not weighted by sampling).
    pub calls: u64,
    /// Of which failed.
    pub errors: u64,
    /// Median duration, nanoseconds.
    pub p50: Option<i64>,
    /// 99th percentile of the duration.
    pub p99: Option<i64>,
    /// 99th percentile of [`Call::gap`], over the calls that have both sides.
    pub gap_p99: Option<i64>,
    /// See [`Call::is_external`].
    pub is_external: bool,
}

impl Dependencies {
    /// None yet. What quantiles are made of is kept only where they are asked for.
    #[must_use]
    pub fn new(durations: bool, gaps: bool) -> Self {
        Self { durations, gaps, edges: CodeMap::default() }
    }

    /// Bytes held, about.
    #[must_use]
    pub fn size(&self) -> usize {
        let numbers = |edge: &Edge| (edge.durations.capacity() + edge.gaps.capacity()) * size_of::<i64>();
        self.edges.values().map(|edge| size_of::<Edge>() + numbers(edge)).sum()
    }

    /// Add the calls of other traces, with the same codes.
    pub fn merge(&mut self, other: Self) {
        for (key, more) in other.edges {
            let edge = self.edges.entry(key).or_default();
            edge.calls += more.calls;
            edge.errors += more.errors;
            edge.durations.extend(more.durations);
            edge.gaps.extend(more.gaps);
        }
    }

    /// Add a call.
    pub fn add(&mut self, call: &Call) {
        let edge = self.edges.entry((call.caller, call.callee, call.is_external)).or_default();
        edge.calls += 1;
        edge.errors += u64::from(call.is_error);
        edge.durations.extend(self.durations.then_some(call.duration));
        edge.gaps.extend(call.gap.filter(|_| self.gaps));
    }

    /// The edges, by caller, callee and kind; `peers` has the names of external callees, `services` all others.
    #[must_use]
    pub fn finish(self, services: &Dictionary, peers: &Dictionary) -> Vec<DependencyStats> {
        let mut rows: Vec<_> = self
            .edges
            .into_iter()
            .map(|((caller, callee, is_external), mut edge)| DependencyStats {
                caller: services.text(caller).map(Into::into),
                callee: if is_external { peers } else { services }.text(callee).map(Into::into),
                calls: edge.calls,
                errors: edge.errors,
                p50: quantile(&mut edge.durations, 0.5),
                p99: quantile(&mut edge.durations, 0.99),
                gap_p99: quantile(&mut edge.gaps, 0.99),
                is_external,
            })
            .collect();
        rows.sort_by(|a, b| (&a.caller, &a.callee, a.is_external).cmp(&(&b.caller, &b.callee, b.is_external)));
        rows
    }
}
