//! The tree of a trace, from whatever its senders delivered.
//!
//! - A parent that is not there makes a span an *orphan*: a root of its own, never attached to something else.
//! - A span that is its own parent, or whose ancestors lead back to it, is an orphan too; of a cycle it is the member
//!   that began first.
//! - The same span delivered twice keeps both rows; the longer delivery is the one that counts.
//! - Different spans with one id keep their rows. Where one receives what the other sent (Zipkin's shared spans), the
//!   receiver becomes the sender's child. A child goes to the one of its own service that was running when it began.

use std::cmp::Reverse;

use super::{Kind, NO_ROW, Span, SpanId, row, span_at};

/// Of how many different spans with the same id the best parent is looked for.
const MAX_CANDIDATES: usize = 8;

/// Slots that are looked at for one id. Ids that are drawn by chance need a few.
const MAX_PROBES: usize = 64;

/// The tree of one trace. Rows are positions in the spans that it was made of.
#[derive(Debug, Default)]
pub struct Tree {
    parent: Vec<u32>,
    root: Vec<u32>,
    depth: Vec<u32>,
    orphan: Vec<bool>,
    repeated: Vec<bool>,
    /// `children[offsets[row]..offsets[row + 1]]` hang below `row`.
    offsets: Vec<u32>,
    children: Vec<u32>,
    order: Vec<u32>,
    roots: Vec<u32>,
    /// Where no two rows have one id: rows by the hash of theirs.
    slots: Vec<u32>,
    is_unique: bool,
    /// Otherwise: rows by id.
    by_id: Vec<u32>,
    ids: Vec<(SpanId, u32)>,
    scratch: Vec<u32>,
}

/// How much of a tree is made: each more than the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// Parents, and what is an orphan or repeated.
    Parents,
    /// Children as well.
    Children,
    /// Roots, depths and an order as well.
    Whole,
}

/// Siblings and roots in this order: by time, the longer first, then whatever tells them apart.
pub(super) fn rank(span: &Span, row: u32) -> (i64, Reverse<i64>, SpanId, u32) {
    (span.start, Reverse(span.duration), span.id, row)
}

/// The first slot for an id, of a table of so many (a power of two).
fn slot(id: SpanId, slots: usize) -> usize {
    let (low, high) = id.parts();
    let mixed = (low ^ u64::from(high)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    usize::try_from((mixed ^ mixed >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 32).unwrap_or(0) & (slots - 1)
}

impl Tree {
    /// Make the tree of these spans; what was here before is forgotten.
    pub fn resolve(&mut self, spans: &[Span]) {
        self.resolve_to(spans, Extent::Whole);
    }

    /// Make only so much of the tree of these spans; of the rest there is nothing.
    pub fn resolve_to(&mut self, spans: &[Span], extent: Extent) {
        let count = spans.len();
        self.orphan.clear();
        self.orphan.resize(count, false);
        self.group_by_id(spans);
        if !self.find_parents(spans) {
            self.break_cycles(spans);
        }
        self.offsets.clear();
        self.children.clear();
        if extent >= Extent::Children {
            self.collect_children(spans);
        }
        self.roots.clear();
        self.order.clear();
        self.root.clear();
        self.depth.clear();
        if extent == Extent::Whole {
            self.walk(spans);
        }
    }

    /// Row of the parent, or [`NO_ROW`].
    #[must_use]
    pub fn parent(&self, row: u32) -> u32 {
        self.parent.get(row as usize).copied().unwrap_or(NO_ROW)
    }

    /// Row of the root that it hangs below.
    #[must_use]
    pub fn root(&self, row: u32) -> u32 {
        self.root.get(row as usize).copied().unwrap_or(NO_ROW)
    }

    /// Edges between it and its root.
    #[must_use]
    pub fn depth(&self, row: u32) -> u32 {
        self.depth.get(row as usize).copied().unwrap_or(0)
    }

    /// Whether it names a parent that it cannot have.
    #[must_use]
    pub fn is_orphan(&self, row: u32) -> bool {
        self.orphan.get(row as usize).copied().unwrap_or(false)
    }

    /// Whether it is a span that another row delivers too, and that one counts.
    #[must_use]
    pub fn is_repeated(&self, row: u32) -> bool {
        self.repeated.get(row as usize).copied().unwrap_or(false)
    }

    /// The rows directly below, by start.
    #[must_use]
    pub fn children(&self, row: u32) -> &[u32] {
        let at = row as usize;
        match (self.offsets.get(at), self.offsets.get(at + 1)) {
            (Some(from), Some(to)) => self.children.get(*from as usize..*to as usize).unwrap_or_default(),
            _ => &[],
        }
    }

    /// All rows, every parent before its children, depth first, siblings by start.
    #[must_use]
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// The roots: those without a parent id before orphans, then by start.
    #[must_use]
    pub fn roots(&self) -> &[u32] {
        &self.roots
    }

    /// The root that stands for the trace: the first of [`Tree::roots`].
    #[must_use]
    pub fn main_root(&self) -> Option<u32> {
        self.roots.first().copied()
    }

    /// Find the repeated deliveries, and sort the other rows by id.
    fn group_by_id(&mut self, spans: &[Span]) {
        self.repeated.clear();
        self.repeated.resize(spans.len(), false);
        self.is_unique = self.place(spans);
        if self.is_unique {
            return;
        }
        self.ids.clear();
        self.ids.extend(spans.iter().zip(0..row(spans.len())).map(|(span, row)| (span.id, row)));
        self.ids.sort_unstable();
        self.by_id.clear();
        self.by_id.extend(self.ids.iter().map(|(_, row)| *row));
        let key = |row: &u32| {
            let span = span_at(spans, *row).copied().unwrap_or_default();
            let same = (span.id, span.kind, span.service, span.parent, span.start);
            (same, Reverse(span.duration), span.instance, *row)
        };
        self.by_id.sort_unstable_by_key(key);
        for pair in self.by_id.windows(2) {
            if let [first, second] = pair
                && key(first).0 == key(second).0
                && key(first).0.0 != SpanId::NONE
                && let Some(repeated) = self.repeated.get_mut(*second as usize)
            {
                *repeated = true;
            }
        }
        let repeated = &self.repeated;
        self.by_id.retain(|row| repeated.get(*row as usize) == Some(&false));
    }

    /// Put all rows in their slots; false if two have one id, or if ids have the same slots as if on purpose.
    fn place(&mut self, spans: &[Span]) -> bool {
        let count = (spans.len() * 2).next_power_of_two();
        self.slots.clear();
        self.slots.resize(count, NO_ROW);
        for (own, span) in (0..row(spans.len())).zip(spans) {
            if span.id == SpanId::NONE {
                continue;
            }
            let first = slot(span.id, count);
            let free = (first..first + MAX_PROBES).map(|at| at & (count - 1)).find_map(|at| {
                let there = self.slots.get(at).copied()?;
                let same = span_at(spans, there).is_some_and(|other| other.id == span.id);
                (there == NO_ROW || same).then_some((at, same))
            });
            match free.and_then(|(at, same)| self.slots.get_mut(at).filter(|_| !same)) {
                Some(free) => *free = own,
                None => return false,
            }
        }
        true
    }

    /// The rows with this id, without repeated deliveries.
    fn rows_of(&self, spans: &[Span], id: SpanId) -> &[u32] {
        if self.is_unique {
            let count = self.slots.len();
            let first = slot(id, count);
            for at in (first..first + MAX_PROBES).map(|at| at & (count - 1)) {
                match self.slots.get(at..=at) {
                    Some([row]) if *row == NO_ROW => break,
                    Some(found @ [row]) if span_at(spans, *row).is_some_and(|span| span.id == id) => return found,
                    _ => {}
                }
            }
            return &[];
        }
        let id_of = |row: &u32| span_at(spans, *row).map_or(SpanId::NONE, |span| span.id);
        let from = self.by_id.partition_point(|row| id_of(row) < id);
        let rest = self.by_id.get(from..).unwrap_or_default();
        // Most ids are there once; a run is measured by doubling, so that a long one costs a logarithm.
        let mut reach = 1;
        while rest.get(reach).is_some_and(|row| id_of(row) == id) {
            reach *= 2;
        }
        let within = rest.get(..reach.min(rest.len())).unwrap_or_default();
        within.get(..within.partition_point(|row| id_of(row) == id)).unwrap_or_default()
    }

    /// Tells whether all parents come before their children, so that there is no cycle.
    fn find_parents(&mut self, spans: &[Span]) -> bool {
        let mut in_order = true;
        self.parent.clear();
        for (at, span) in spans.iter().enumerate() {
            let own = row(at);
            let parent = self.sender_of_same_id(spans, span).unwrap_or_else(|| self.parent_of(spans, span));
            let is_orphan = span.parent != SpanId::NONE && parent == NO_ROW;
            if let Some(orphan) = self.orphan.get_mut(at) {
                *orphan = is_orphan;
            }
            let parent = if parent == own { NO_ROW } else { parent };
            in_order &= parent < own || parent == NO_ROW;
            self.parent.push(parent);
        }
        in_order
    }

    /// For the receiving half of a shared span: the row of the half that sent.
    fn sender_of_same_id(&self, spans: &[Span], span: &Span) -> Option<u32> {
        let sender = match span.kind {
            Kind::Server => Kind::Client,
            Kind::Consumer => Kind::Producer,
            _ => return None,
        };
        if span.id == SpanId::NONE || self.is_unique {
            return None;
        }
        let group = self.rows_of(spans, span.id);
        let kind_of = |row: &u32| span_at(spans, *row).map(|span| span.kind);
        let first = group.partition_point(|row| kind_of(row) < Some(sender));
        let row = group.get(first)?;
        let other = span_at(spans, *row)?;
        let same_parent = span.parent == other.parent || span.parent == SpanId::NONE;
        (other.kind == sender && same_parent).then_some(*row)
    }

    /// Of the rows with the parent's id the most plausible one.
    fn parent_of(&self, spans: &[Span], span: &Span) -> u32 {
        if span.parent == SpanId::NONE || span.parent == span.id {
            return NO_ROW;
        }
        let plausible = |row: &u32| {
            let candidate = span_at(spans, *row).copied().unwrap_or_default();
            let (begin, end) = candidate.interval();
            let running = begin <= span.start && span.start <= end;
            let same_service = candidate.service == span.service;
            (Reverse(same_service), Reverse(running), candidate.kind, rank(&candidate, *row))
        };
        let group = self.rows_of(spans, span.parent);
        if let [only] = group {
            return *only;
        }
        group.iter().take(MAX_CANDIDATES).min_by_key(|row| plausible(row)).copied().unwrap_or(NO_ROW)
    }

    /// Cut every cycle above the member that began first.
    fn break_cycles(&mut self, spans: &[Span]) {
        const NEW: u32 = 0;
        let mut visit = std::mem::take(&mut self.scratch);
        visit.clear();
        visit.resize(spans.len(), NEW);
        for (at, start) in (0..row(spans.len())).enumerate() {
            // Every walk marks what it passes with a number of its own; running into it again is a cycle.
            let path = row(at).saturating_add(1);
            let mut here = start;
            while let Some(state) = visit.get_mut(here as usize).filter(|state| **state == NEW) {
                *state = path;
                here = self.parent(here);
            }
            if visit.get(here as usize) == Some(&path) {
                self.cut(spans, here);
            }
        }
        self.scratch = visit;
    }

    /// Cut the cycle that `member` is in.
    fn cut(&mut self, spans: &[Span], member: u32) {
        let rank_of = |row: u32| span_at(spans, row).map(|span| rank(span, row));
        let mut first = member;
        let mut here = self.parent(member);
        while here != member && here != NO_ROW {
            if rank_of(here) < rank_of(first) {
                first = here;
            }
            here = self.parent(here);
        }
        if let Some(parent) = self.parent.get_mut(first as usize) {
            *parent = NO_ROW;
        }
        if let Some(orphan) = self.orphan.get_mut(first as usize) {
            *orphan = true;
        }
    }

    fn collect_children(&mut self, spans: &[Span]) {
        self.offsets.resize(spans.len() + 1, 0);
        for parent in &self.parent {
            if let Some(count) = self.offsets.get_mut((*parent as usize).saturating_add(1)) {
                *count += 1;
            }
        }
        let mut total = 0;
        for offset in &mut self.offsets {
            total += *offset;
            *offset = total;
        }
        self.children.resize(total as usize, NO_ROW);
        let mut next = std::mem::take(&mut self.scratch);
        next.clone_from(&self.offsets);
        for (child, parent) in (0..row(spans.len())).zip(&self.parent) {
            if let Some(at) = next.get_mut(*parent as usize) {
                if let Some(place) = self.children.get_mut(*at as usize) {
                    *place = child;
                }
                *at += 1;
            }
        }
        self.scratch = next;
        for ends in self.offsets.windows(2) {
            if let [from, to] = ends
                && to - from > 1
                && let Some(siblings) = self.children.get_mut(*from as usize..*to as usize)
            {
                siblings.sort_unstable_by_key(|row| span_at(spans, *row).map(|span| rank(span, *row)));
            }
        }
    }

    fn walk(&mut self, spans: &[Span]) {
        let parent = &self.parent;
        self.roots.extend((0..row(spans.len())).filter(|row| parent.get(*row as usize) == Some(&NO_ROW)));
        let (orphan, repeated) = (&self.orphan, &self.repeated);
        self.roots.sort_unstable_by_key(|row| {
            let at = *row as usize;
            (repeated.get(at).copied(), orphan.get(at).copied(), spans.get(at).map(|span| rank(span, *row)))
        });
        self.root.resize(spans.len(), NO_ROW);
        self.depth.resize(spans.len(), 0);
        let mut stack = std::mem::take(&mut self.scratch);
        stack.clear();
        stack.extend(self.roots.iter().rev());
        while let Some(here) = stack.pop() {
            self.order.push(here);
            let parent = self.parent(here);
            let (root, depth) = match parent {
                NO_ROW => (here, 0),
                _ => (self.root(parent), self.depth(parent) + 1),
            };
            if let Some(slot) = self.root.get_mut(here as usize) {
                *slot = root;
            }
            if let Some(slot) = self.depth.get_mut(here as usize) {
                *slot = depth;
            }
            stack.extend(self.children(here).iter().rev());
        }
        self.scratch = stack;
    }
}
