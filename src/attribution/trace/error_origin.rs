//! Where an error began, and what it was passed on to.
//!
//! An error goes from a span to the span that waited for it. Spans that say nothing about their outcome pass it on
//! (a client, or work inside a service, whose status is unset); a span that says OK, and a receiving or sending span
//! that did not fail, stop it: whoever fails above them fails for a reason of its own. A message is not waited for,
//! so a consumer's error stays there. A client that failed while its server did not is an origin: a timeout, a broken
//! connection.

use super::{Code, Kind, NO_ROW, NULL_CODE, Span, Status, Tree, row, span_at};

/// How errors spread in one trace.
#[derive(Debug, Default)]
pub struct ErrorFlow {
    /// For every row the failed span above it that an error of it would reach, or [`NO_ROW`].
    into: Vec<u32>,
    origin: Vec<bool>,
    top: Vec<u32>,
    hops: Vec<u32>,
    other_service: Vec<u32>,
}

fn get(rows: &[u32], row: u32) -> u32 {
    rows.get(row as usize).copied().unwrap_or(NO_ROW)
}

fn set(rows: &mut [u32], row: u32, value: u32) {
    if let Some(slot) = rows.get_mut(row as usize) {
        *slot = value;
    }
}

impl ErrorFlow {
    /// Follow the errors of a trace; what was here before is forgotten.
    pub fn resolve(&mut self, spans: &[Span], tree: &Tree) {
        for rows in [&mut self.into, &mut self.top, &mut self.other_service, &mut self.hops] {
            rows.clear();
            rows.resize(spans.len(), NO_ROW);
        }
        self.origin.clear();
        self.origin.extend((0..row(spans.len())).map(|row| {
            let failed = span_at(spans, row).is_some_and(Span::is_error);
            failed && !tree.is_repeated(row)
        }));
        for here in tree.order() {
            self.visit(spans, tree, *here);
        }
    }

    fn visit(&mut self, spans: &[Span], tree: &Tree, here: u32) {
        let Some(span) = span_at(spans, here) else { return };
        let into = self.reached_from(spans, tree, here, span);
        set(&mut self.into, here, into);
        if !span.is_error() || tree.is_repeated(here) {
            return;
        }
        let Some(above) = span_at(spans, into) else {
            set(&mut self.top, here, here);
            set(&mut self.hops, here, 0);
            return;
        };
        if let Some(origin) = self.origin.get_mut(into as usize) {
            *origin = false;
        }
        let (top, hops) = (get(&self.top, into), get(&self.hops, into).saturating_add(1));
        set(&mut self.top, here, top);
        set(&mut self.hops, here, hops);
        let other = if above.service == span.service { get(&self.other_service, into) } else { into };
        set(&mut self.other_service, here, other);
    }

    /// The failed span that an error of `here` reaches.
    fn reached_from(&self, spans: &[Span], tree: &Tree, here: u32, span: &Span) -> u32 {
        let parent = tree.parent(here);
        let Some(above) = span_at(spans, parent).filter(|_| span.kind != Kind::Consumer) else { return NO_ROW };
        let silent = matches!(above.kind, Kind::Client | Kind::Internal | Kind::Unspecified);
        match above.status {
            Status::Error => parent,
            Status::Unset if silent => get(&self.into, parent),
            Status::Unset | Status::Ok => NO_ROW,
        }
    }

    /// Whether the span failed and nothing that it waited for did.
    #[must_use]
    pub fn is_origin(&self, row: u32) -> bool {
        self.origin.get(row as usize).copied().unwrap_or(false)
    }

    /// For a failed span: the last span upward that its error was passed on to; itself if to none.
    #[must_use]
    pub fn top(&self, row: u32) -> u32 {
        get(&self.top, row)
    }

    /// For a failed span: how many failed spans above it its error was passed on to.
    #[must_use]
    pub fn hops(&self, row: u32) -> u32 {
        match get(&self.hops, row) {
            NO_ROW => 0,
            hops => hops,
        }
    }

    /// The services that the error of a failed span was passed on to, upward, each change of service once.
    pub fn services(&self, spans: &[Span], row: u32) -> impl Iterator<Item = Code> {
        let next = |row: &u32| Some(get(&self.other_service, *row)).filter(|row| *row != NO_ROW);
        std::iter::successors(next(&row), next).map(|row| span_at(spans, row).map_or(NULL_CODE, |span| span.service))
    }
}
