//! Traces: the tree of a trace, its critical path, where its errors began, who called whom.
//!
//! Everything works on one trace at a time, a slice of [`Span`]s. Nothing here is recursive: a chain of 100,000 spans, a
//! fan-out of 100,000, cycles and duplicated ids take O(n log n).

mod critical_path;
mod dependencies;
mod error_origin;
mod ids;
mod stats;
mod tree;

#[cfg(test)]
mod crisp_tests;
#[cfg(test)]
mod data_tests;
#[cfg(test)]
mod tests;

pub use critical_path::{CriticalPath, PathStep, self_time};
pub use dependencies::{Call, Calls, Dependencies, DependencyStats};
pub use error_origin::ErrorFlow;
pub use ids::{Dictionary, SpanId, TraceId};
pub use stats::{OperationShare, OperationStats, OperationTotals};
pub use tree::{Extent, Tree};

/// A string in a [`Dictionary`] of the caller.
pub type Code = u32;

/// The [`Code`] of a value that is null.
pub const NULL_CODE: Code = Code::MAX;

/// The row of a span that is not there: the parent of a root.
pub const NO_ROW: u32 = u32::MAX;

/// The kind of a span, after OpenTelemetry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The receiving side of a synchronous call.
    Server,
    /// The receiving side of a message.
    Consumer,
    /// Work inside a service.
    Internal,
    /// The sender did not say.
    #[default]
    Unspecified,
    /// The calling side of a synchronous call.
    Client,
    /// The sending side of a message.
    Producer,
}

impl Kind {
    /// The kind that a stored name stands for; anything else is [`Kind::Unspecified`].
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "SERVER" => Self::Server,
            "CONSUMER" => Self::Consumer,
            "INTERNAL" => Self::Internal,
            "CLIENT" => Self::Client,
            "PRODUCER" => Self::Producer,
            _ => Self::Unspecified,
        }
    }

    /// Whether it is the side that receives.
    #[must_use]
    pub fn receives(self) -> bool {
        matches!(self, Self::Server | Self::Consumer)
    }

    /// Whether it is the side that calls or sends.
    #[must_use]
    pub fn sends(self) -> bool {
        matches!(self, Self::Client | Self::Producer)
    }
}

/// Status of a span, after OpenTelemetry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Status {
    /// Nothing was said.
    #[default]
    Unset,
    /// The application says that it went well.
    Ok,
    /// It failed.
    Error,
}

impl Status {
    /// The status that a stored name stands for; anything else is [`Status::Unset`].
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "OK" => Self::Ok,
            "ERROR" => Self::Error,
            _ => Self::Unset,
        }
    }
}

/// A span as the algorithms see it. Strings are codes of the caller's dictionaries.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Its id.
    pub id: SpanId,
    /// Its parent's id, or [`SpanId::NONE`].
    pub parent: SpanId,
    /// Start, nanoseconds since the epoch.
    pub start: i64,
    /// Duration, nanoseconds; a negative one counts as 0.
    pub duration: i64,
    /// Which side of which kind of call.
    pub kind: Kind,
    /// How it ended.
    pub status: Status,
    /// service.name.
    pub service: Code,
    /// What shares one clock: the service instance, or the service where the instance is not known.
    pub instance: Code,
    /// Name of the operation.
    pub name: Code,
    /// Who a client span says that it called.
    pub peer: Code,
    /// How many spans this one stands for; not a number when that is not known.
    pub adjusted_count: f64,
}

impl Default for Span {
    fn default() -> Self {
        Self {
            id: SpanId::NONE,
            parent: SpanId::NONE,
            start: 0,
            duration: 0,
            kind: Kind::default(),
            status: Status::default(),
            service: NULL_CODE,
            instance: NULL_CODE,
            name: NULL_CODE,
            peer: NULL_CODE,
            adjusted_count: f64::NAN,
        }
    }
}

impl Span {
    /// Duration, never negative.
    #[must_use]
    pub fn length(&self) -> i64 {
        self.duration.max(0)
    }

    /// Start, moved if the end would not be a number that can be stored: `begin + length` never overflows.
    #[must_use]
    pub fn begin(&self) -> i64 {
        self.start.min(i64::MAX - self.length())
    }

    /// Start and end.
    #[must_use]
    pub fn interval(&self) -> (i64, i64) {
        (self.begin(), self.begin() + self.length())
    }

    /// Whether its status is ERROR.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.status == Status::Error
    }
}

/// What a trace says about one of its spans. Rows count from 0 within the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanFacts {
    /// Row of the parent in the resolved tree, or [`NO_ROW`].
    pub parent: u32,
    /// Row of the root that it hangs below; its own row for a root.
    pub root: u32,
    /// Edges between it and its root.
    pub depth: u32,
    /// Spans directly below it.
    pub child_count: u32,
    /// Duration without the union of its children's intervals, clamped to its own; 0 for a repeated delivery.
    pub self_time: i64,
    /// Its share of the critical path below its root: the shares below one root sum to that root's duration.
    pub critical_path: i64,
    /// It names a parent that is not there (or itself, or one of its own descendants), so it is a root of its own.
    pub is_orphan: bool,
    /// The same span delivered once more: it keeps its row, has no children and takes no share of anything.
    pub is_repeated: bool,
    /// It failed, and nothing that it waited for did.
    pub is_error_origin: bool,
}

/// Analyzes traces one by one and reuses its memory.
#[derive(Debug, Default)]
pub struct Analyzer {
    /// The tree of the last trace.
    pub tree: Tree,
    /// The critical path of the last trace.
    pub path: CriticalPath,
    /// How errors spread in the last trace.
    pub errors: ErrorFlow,
    facts: Vec<SpanFacts>,
}

impl Analyzer {
    /// The facts of every span of one trace, in the order of `spans`.
    pub fn analyze(&mut self, spans: &[Span]) -> &[SpanFacts] {
        self.tree.resolve(spans);
        self.path.resolve(spans, &self.tree);
        self.errors.resolve(spans, &self.tree);
        self.facts.clear();
        for (at, span) in spans.iter().enumerate() {
            let row = row(at);
            let is_repeated = self.tree.is_repeated(row);
            self.facts.push(SpanFacts {
                parent: self.tree.parent(row),
                root: self.tree.root(row),
                depth: self.tree.depth(row),
                child_count: u32::try_from(self.tree.children(row).len()).unwrap_or(u32::MAX),
                self_time: if is_repeated { 0 } else { self_time(spans, &self.tree, row, span) },
                critical_path: self.path.share(row),
                is_orphan: self.tree.is_orphan(row),
                is_repeated,
                is_error_origin: self.errors.is_origin(row),
            });
        }
        &self.facts
    }

    /// The facts of the last trace.
    #[must_use]
    pub fn facts(&self) -> &[SpanFacts] {
        &self.facts
    }
}

/// A position as a row number. A trace of more than 2³² spans does not fit the memory that its spans take.
fn row(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(NO_ROW)
}

/// The span of a row.
pub(crate) fn span_at(spans: &[Span], row: u32) -> Option<&Span> {
    spans.get(row as usize)
}

/// The smallest value that at least `share` of the values do not exceed (nearest rank); sorts the values.
fn quantile(values: &mut [i64], share: f64) -> Option<i64> {
    if values.is_empty() {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 ≤ share ≤ 1, so 0 ≤ rank ≤ len")]
    let rank = (share * values.len() as f64).ceil() as usize;
    let at = rank.saturating_sub(1).min(values.len() - 1);
    Some(*values.select_nth_unstable(at).1)
}
