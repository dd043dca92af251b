//! The critical path of a trace: which span the request was waiting for, at every instant of its duration.
//!
//! The rules are those of CRISP (Zhang et al., USENIX ATC 2022). Of the children of a span the one that returned last
//! is on the path; before it the last one that had returned when it began, and so on. Children that ran at the same
//! time as one on the path did not hold it up. A child counts only within its parent: what outlives the parent is
//! cut, what lies outside is off the path. Since clocks are not exact, an overlap of less than 1 % of the parent, with
//! no other sibling starting or ending in it, is taken for a sequence: the earlier child is thought to be moved ahead
//! by the overlap, and its time stays its own.
//!
//! What no child on the path accounts for is the span's own. Each span hands on parts of what it was given itself, so
//! the shares below a root sum to the root's duration exactly, whatever the trace looks like.

use std::cmp::Reverse;

use super::tree::rank;
use super::{Span, SpanId, Tree, span_at};

/// An overlap is taken for a sequence when it is shorter than the parent divided by this (CRISP: 1 %).
const OVERLAP_DIVISOR: i128 = 100;

/// A span on a critical path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathStep {
    /// Its row.
    pub row: u32,
    /// Its share: nanoseconds of its own.
    pub self_time: i64,
}

/// The critical paths of one trace, one below each root.
#[derive(Debug, Default)]
pub struct CriticalPath {
    share: Vec<i64>,
    on_path: Vec<bool>,
    stack: Vec<Window>,
    siblings: Vec<Sibling>,
    starts: Vec<i64>,
}

/// The part of a span that its share of the path is made of.
#[derive(Debug, Clone, Copy)]
struct Window {
    row: u32,
    from: i64,
    to: i64,
}

/// A child within its parent's window.
#[derive(Debug, Clone, Copy)]
struct Sibling {
    row: u32,
    from: i64,
    to: i64,
    tie: (i64, Reverse<i64>, SpanId, u32),
}

impl CriticalPath {
    /// Find the path below every root of the tree.
    pub fn resolve(&mut self, spans: &[Span], tree: &Tree) {
        let roots = tree.roots().iter().copied();
        self.resolve_below(spans, tree, roots.filter(|root| !tree.is_repeated(*root)));
    }

    /// Find the paths below these spans only, none of which may be below another.
    pub fn resolve_below(&mut self, spans: &[Span], tree: &Tree, entries: impl Iterator<Item = u32>) {
        self.share.clear();
        self.share.resize(spans.len(), 0);
        self.on_path.clear();
        self.on_path.resize(spans.len(), false);
        for entry in entries {
            self.follow(spans, tree, entry);
        }
    }

    /// Nanoseconds of a critical path that are this span's own.
    #[must_use]
    pub fn share(&self, row: u32) -> i64 {
        self.share.get(row as usize).copied().unwrap_or(0)
    }

    /// Whether the span is on a path, if only with a share of 0.
    #[must_use]
    pub fn is_on_path(&self, row: u32) -> bool {
        self.on_path.get(row as usize).copied().unwrap_or(false)
    }

    /// The spans on the path below `root`, callers before what they called, by start.
    pub fn steps<'a>(&'a self, tree: &'a Tree, root: u32) -> impl Iterator<Item = PathStep> + 'a {
        let below = tree.order().iter().copied().filter(move |row| tree.root(*row) == root);
        below.filter(|row| self.is_on_path(*row)).map(|row| PathStep { row, self_time: self.share(row) })
    }

    fn follow(&mut self, spans: &[Span], tree: &Tree, root: u32) {
        let Some(span) = span_at(spans, root) else { return };
        let (from, to) = span.interval();
        self.stack.push(Window { row: root, from, to });
        while let Some(window) = self.stack.pop() {
            let share = self.divide(spans, tree, window);
            let at = window.row as usize;
            if let (Some(slot), Some(on_path)) = (self.share.get_mut(at), self.on_path.get_mut(at)) {
                *slot = share;
                *on_path = true;
            }
        }
    }

    /// Give the children on the path their windows; returns what is left for the span itself.
    fn divide(&mut self, spans: &[Span], tree: &Tree, window: Window) -> i64 {
        self.clamp_children(spans, tree, window);
        let mut siblings = std::mem::take(&mut self.siblings);
        siblings.sort_unstable_by_key(|sibling| (Reverse(sibling.to), sibling.from, sibling.tie));
        self.starts.clear();
        let mut left = window.to - window.from;
        let mut cursor = window.to;
        let mut later: Option<Sibling> = None;
        for sibling in &siblings {
            if let Some(later) = later
                && !self.happens_before(&siblings, window, *sibling, later)
            {
                continue;
            }
            let to = sibling.to.min(cursor);
            let from = to.saturating_sub(sibling.to - sibling.from).max(window.from);
            left -= to - from;
            cursor = from;
            later = Some(*sibling);
            self.stack.push(Window { row: sibling.row, from: sibling.to - (to - from), to: sibling.to });
        }
        self.siblings = siblings;
        left
    }

    fn clamp_children(&mut self, spans: &[Span], tree: &Tree, window: Window) {
        self.siblings.clear();
        for row in tree.children(window.row) {
            let Some(span) = span_at(spans, *row) else { continue };
            let (begin, end) = span.interval();
            let (from, to) = (begin.max(window.from), end.min(window.to));
            let inside = from < to || (from == to && begin == end);
            if inside && !tree.is_repeated(*row) {
                self.siblings.push(Sibling { row: *row, from, to, tie: rank(span, *row) });
            }
        }
    }

    /// Whether `before` had returned when `later` began; `siblings` are sorted by descending end.
    fn happens_before(&mut self, siblings: &[Sibling], window: Window, before: Sibling, later: Sibling) -> bool {
        if before.to <= later.from {
            return true;
        }
        let overlap = i128::from(before.to) - i128::from(later.from);
        let length = i128::from(window.to) - i128::from(window.from);
        if before.to >= later.to || before.from >= later.from || overlap * OVERLAP_DIVISOR >= length {
            return false;
        }
        if self.starts.is_empty() {
            self.starts.extend(siblings.iter().map(|sibling| sibling.from));
            self.starts.sort_unstable();
        }
        let (first, last) = (later.from, before.to);
        let starts =
            self.starts.partition_point(|start| *start <= last) - self.starts.partition_point(|start| *start < first);
        let ends = siblings.partition_point(|sibling| sibling.to >= first)
            - siblings.partition_point(|sibling| sibling.to > last);
        starts + ends == 2
    }
}

/// Duration without the union of the children's intervals, clamped to the span's own.
#[must_use]
pub fn self_time(spans: &[Span], tree: &Tree, row: u32, span: &Span) -> i64 {
    let (begin, end) = span.interval();
    let mut covered_to = begin;
    let mut left = span.length();
    for child in tree.children(row) {
        let Some(span) = span_at(spans, *child) else { continue };
        let (from, to) = span.interval();
        let (from, to) = (from.max(covered_to), to.min(end));
        if from < to {
            left -= to - from;
            covered_to = to;
        }
    }
    left
}
