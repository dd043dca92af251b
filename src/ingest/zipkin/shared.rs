//! Spans of one id: completing partial ones, and giving the shared sides ids of their own.

use std::collections::HashMap;

use super::json::Span;
use crate::ingest::telemetry::HexId;

/// Ids of a span that lands.
#[derive(Debug, Clone, Copy)]
pub struct Ids {
    pub trace: HexId,
    pub span: HexId,
    pub parent: Option<HexId>,
}

/// Put spans without any time into the span of the same id and service that has one; those without one stay.
pub fn complete(spans: Vec<Span>) -> Vec<Span> {
    let (mut timed, partial): (Vec<Span>, Vec<Span>) = spans.into_iter().partition(|span| span.timestamp.is_some());
    let key = |span: &Span| (span.trace_id.clone(), span.id.clone(), span.local_endpoint.service_name.clone());
    let places: HashMap<_, usize> = timed.iter().enumerate().map(|(at, span)| (key(span), at)).collect();
    for span in partial {
        match places.get(&key(&span)).and_then(|at| timed.get_mut(*at)) {
            Some(whole) => merge(whole, span),
            None => timed.push(span),
        }
    }
    timed
}

fn merge(whole: &mut Span, partial: Span) {
    let fill = |into: &mut String, from: String| {
        if into.is_empty() {
            *into = from;
        }
    };
    fill(&mut whole.name, partial.name);
    fill(&mut whole.kind, partial.kind);
    fill(&mut whole.parent_id, partial.parent_id);
    whole.duration = whole.duration.or(partial.duration);
    whole.annotations.extend(partial.annotations);
    for (key, value) in partial.tags {
        whole.tags.entry(key).or_insert(value);
    }
}

/// The ids of each span; none where a span's own are invalid.
pub fn resolve(spans: &[Span]) -> Vec<Option<Ids>> {
    let plain: Vec<Option<Ids>> = spans.iter().map(ids_of).collect();
    let mut sides: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
    for (at, ids) in plain.iter().enumerate() {
        if let Some(ids) = ids {
            sides.entry((ids.trace.as_str(), ids.span.as_str())).or_default().push(at);
        }
    }
    let mut derived: HashMap<usize, HexId> = HashMap::new();
    let mut keepers: HashMap<(&str, &str), usize> = HashMap::new();
    for (key, members) in sides.iter().filter(|(_, members)| members.len() > 1) {
        let callee = |at: &usize| spans.get(*at).is_some_and(is_callee);
        let keeper = members.iter().copied().find(|at| !callee(at)).unwrap_or(members[0]);
        keepers.insert(*key, keeper);
        for at in members.iter().copied().filter(|at| *at != keeper && callee(at)) {
            let Some(span) = spans.get(at) else { continue };
            let side = &span.local_endpoint;
            let port = side.port.map(|port| port.to_string()).unwrap_or_default();
            // One message may be received by one endpoint more than once.
            let time = span.timestamp.map(|time| time.to_string()).unwrap_or_default();
            let parts = ["zipkin shared side", key.0, key.1, &side.service_name, side.address(), &port, &time];
            derived.extend(HexId::derived(&parts).map(|id| (at, id)));
        }
    }
    let resolved = |(at, ids): (usize, &Option<Ids>)| {
        let ids = (*ids)?;
        if let Some(own) = derived.get(&at) {
            let calls = keepers.get(&(ids.trace.as_str(), ids.span.as_str())).and_then(|at| spans.get(*at));
            let parent = if calls.is_some_and(|side| !is_callee(side)) { Some(ids.span) } else { ids.parent };
            return Some(Ids { span: *own, parent, ..ids });
        }
        let parent = ids.parent.map(|parent| {
            let members = sides.get(&(ids.trace.as_str(), parent.as_str())).map_or(&[][..], Vec::as_slice);
            spans.get(at).and_then(|span| side_of(span, members, spans, &derived)).unwrap_or(parent)
        });
        Some(Ids { parent, ..ids })
    };
    plain.iter().enumerate().map(resolved).collect()
}

/// The derived id of the side that a child hangs on, unless that is the side that kept the id: the side of its own
/// service, at its own address if there are several, or the only callee if the caller is of another service.
fn side_of(child: &Span, members: &[usize], spans: &[Span], derived: &HashMap<usize, HexId>) -> Option<HexId> {
    let at = |test: &dyn Fn(&Span) -> bool| members.iter().copied().find(|at| spans.get(*at).is_some_and(test));
    let here = &child.local_endpoint;
    let same = |side: &Span| side.local_endpoint.service_name == here.service_name;
    let exact = at(&|side| is_callee(side) && side.local_endpoint == *here);
    let found = exact.or_else(|| at(&|side| is_callee(side) && same(side)));
    if let Some(found) = found {
        return derived.get(&found).copied();
    }
    let caller = at(&|side| !is_callee(side) && same(side));
    let mut callees = members.iter().filter_map(|at| derived.get(at));
    let only = callees.next().filter(|_| callees.next().is_none());
    only.filter(|_| caller.is_none()).copied()
}

fn is_callee(span: &Span) -> bool {
    span.shared || matches!(span.kind.as_str(), "SERVER" | "CONSUMER")
}

fn ids_of(span: &Span) -> Option<Ids> {
    let trace = HexId::trace_of_text(&span.trace_id)?;
    let id = HexId::span_of_text(&span.id)?;
    Some(Ids { trace, span: id, parent: HexId::span_of_text(&span.parent_id) })
}
