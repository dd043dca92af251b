//! Service visits: what one service did for one request it received, with everything inside it folded together.
//!
//! A visit is a maximal connected group of spans of one service. It is the unit of incident attribution: internal
//! spans may overlap each other and their children freely without its own time being counted twice, and systems with
//! one span a hop and with two look alike.

use std::collections::HashMap;

use super::anomaly::Names;
use super::templates::Templates;

/// Which side of an RPC a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Side {
    /// Calls out: CLIENT or PRODUCER.
    Caller,
    /// Anything else.
    #[default]
    Other,
}

/// No name.
pub const NONE: u32 = u32::MAX;

/// One span, names as numbers. Ids are hashes of (trace id, span id), so that they are unique across traces.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Hash of the trace id.
    pub trace: u64,
    /// Hash of trace id and span id.
    pub id: u64,
    /// Hash of trace id and parent span id; 0 for a root.
    pub parent: u64,
    /// Service.
    pub service: u32,
    /// Operation.
    pub operation: u32,
    /// Version of the service, or [`NONE`].
    pub version: u32,
    /// Tenant, or [`NONE`].
    pub tenant: u32,
    /// Who a client span says that it called, or [`NONE`].
    pub peer: u32,
    /// Side of an RPC.
    pub side: Side,
    /// Whether the span is an error.
    pub error: bool,
    /// Start, nanoseconds since the epoch.
    pub start: i64,
    /// Duration in nanoseconds, not negative.
    pub duration: i64,
    /// How many spans this one stands for.
    pub weight: f32,
}

/// One log line that belongs to a span.
#[derive(Debug, Clone, Copy)]
pub struct LogLine {
    /// Hash of trace id and span id.
    pub span: u64,
    /// Template of the line.
    pub template: u32,
    /// Whether it is an error (severity ERROR or above).
    pub error: bool,
}

/// A feature flag that was evaluated within a span.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation {
    /// Hash of trace id and span id.
    pub span: u64,
    /// Flag.
    pub flag: u32,
    /// The variant that it had.
    pub variant: u32,
}

/// Something that can be seen inside a visit or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Feature {
    /// A span of that name.
    Operation(u32),
    /// A call to that service.
    Call(u32),
    /// A log line of that template.
    Log(u32),
    /// A log line of that template, which is an error.
    ErrorLog(u32),
    /// A span of that name with status error.
    Failed(u32),
    /// A flag that was evaluated, and its variant. Last in order: [`Visits::features`] ends before these.
    Flag(u32, u32),
}

/// What one service did for one request.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Hash of the trace id.
    pub trace: u64,
    /// Place of the span that it begins with among the spans; of the client span when `external`.
    pub entry: u32,
    /// Service, or the name of a peer when `external`.
    pub service: u32,
    /// Operation of the entry span.
    pub operation: u32,
    /// Version.
    pub version: u32,
    /// Tenant.
    pub tenant: u32,
    /// Visit that called this one.
    pub caller: Option<u32>,
    /// Only the caller's client span is there: the callee is outside, or not instrumented.
    pub external: bool,
    /// Whether it failed.
    pub error: bool,
    /// Start, nanoseconds since the epoch.
    pub start: i64,
    /// Duration in milliseconds.
    pub duration: f64,
    /// Milliseconds that none of its calls cover.
    pub own: f64,
    /// Milliseconds by which the caller's client span was longer; 0 where there is none.
    pub gap: f64,
    /// Whether there was a client span to compare with.
    pub has_gap: bool,
    /// How many visits this one stands for.
    pub weight: f64,
    /// Whether the alerting service is this or an ancestor.
    pub in_scope: bool,
    features: (u32, u32),
    flags: u32,
}

/// All visits, callers before callees.
#[derive(Debug, Default)]
pub struct Visits {
    /// The visits; a caller comes before whom it calls.
    pub all: Vec<Visit>,
    features: Vec<Feature>,
    /// Spans that came twice, or whose parent chain runs in a circle.
    pub malformed: u64,
}

impl Visits {
    /// What was seen inside a visit, sorted, without duplicates.
    #[must_use]
    pub fn features(&self, visit: &Visit) -> &[Feature] {
        self.features.get(visit.features.0 as usize..visit.features.1 as usize).unwrap_or_default()
    }

    /// What was seen inside a visit, flags included.
    pub fn seen(&self, visit: &Visit) -> impl Iterator<Item = Feature> {
        let (from, to) = visit.features;
        self.features.get(from as usize..(to + visit.flags) as usize).unwrap_or_default().iter().copied()
    }

    /// Flags that were evaluated inside a visit, with their variants.
    pub fn flags(&self, visit: &Visit) -> impl Iterator<Item = (u32, u32)> {
        let from = visit.features.1 as usize;
        let flags = self.features.get(from..from + visit.flags as usize).unwrap_or_default();
        flags.iter().filter_map(|feature| match feature {
            Feature::Flag(flag, variant) => Some((*flag, *variant)),
            _ => None,
        })
    }
}

/// Names used by spans and their logs.
#[derive(Debug, Default)]
pub struct Vocabulary {
    /// Services and external peers.
    pub services: Names,
    /// Operations.
    pub operations: Names,
    /// Service versions.
    pub versions: Names,
    /// Tenants.
    pub tenants: Names,
    /// Feature flags.
    pub flags: Names,
    /// Variants of flags.
    pub variants: Names,
    /// Log templates by (service, is an error).
    pub templates: Templates<(u32, bool)>,
}

const NANOS_PER_MILLI: f64 = 1e6;
const UNASSIGNED: u32 = u32::MAX;
const IN_PROGRESS: u32 = u32::MAX - 1;

struct Builder<'a> {
    spans: &'a [Span],
    parent: Vec<u32>,
    visit_of: Vec<u32>,
    /// Entry span of each visit.
    entry: Vec<u32>,
}

/// Fold spans, their log lines and the flags evaluated in them into visits. `alerting` limits the scope to what that
/// service did or caused.
#[must_use]
pub fn fold(spans: &[Span], logs: &[LogLine], flags: &[Evaluation], alerting: Option<u32>) -> Visits {
    let mut malformed = 0;
    let mut by_id: HashMap<u64, u32> = HashMap::with_capacity(spans.len());
    let mut parent = vec![UNASSIGNED; spans.len()];
    for (at, span) in spans.iter().enumerate() {
        let at32 = u32::try_from(at).unwrap_or(UNASSIGNED);
        if let Some(first) = by_id.get(&span.id) {
            // Zipkin lets client and server share a span id; anything else is a duplicate.
            malformed += u64::from(spans[*first as usize].service == span.service);
            parent[at] = *first;
        } else {
            by_id.insert(span.id, at32);
        }
    }
    for (at, span) in spans.iter().enumerate() {
        if parent[at] == UNASSIGNED && span.parent != 0 && span.parent != span.id {
            parent[at] = by_id.get(&span.parent).copied().unwrap_or(UNASSIGNED);
        }
    }
    let mut builder = Builder { spans, parent, visit_of: vec![UNASSIGNED; spans.len()], entry: Vec::new() };
    malformed += builder.assign();
    let mut visits = builder.visits();
    visits.malformed = malformed;
    builder.externals(&mut visits);
    builder.own_time(&mut visits);
    builder.features(&mut visits, (logs, flags), &by_id);
    order_and_scope(&mut visits, alerting);
    visits
}

impl Builder<'_> {
    /// Walk from every span up to the entry of its visit; paths are shortened as they are walked.
    fn assign(&mut self) -> u64 {
        let mut circles = 0;
        let mut path: Vec<usize> = Vec::new();
        for start in 0..self.spans.len() {
            let mut at = start;
            let visit = loop {
                match self.visit_of[at] {
                    UNASSIGNED => {}
                    IN_PROGRESS => {
                        circles += 1;
                        self.parent[at] = UNASSIGNED;
                        break self.open(at);
                    }
                    known => break known,
                }
                self.visit_of[at] = IN_PROGRESS;
                path.push(at);
                let up = self.parent[at];
                if up == UNASSIGNED || self.spans[up as usize].service != self.spans[at].service {
                    break self.open(at);
                }
                at = up as usize;
            };
            for walked in path.drain(..) {
                self.visit_of[walked] = visit;
            }
        }
        circles
    }

    fn open(&mut self, at: usize) -> u32 {
        self.entry.push(u32::try_from(at).unwrap_or(UNASSIGNED));
        u32::try_from(self.entry.len() - 1).unwrap_or(UNASSIGNED)
    }

    fn visits(&self) -> Visits {
        let all = self.entry.iter().map(|&at| {
            let span = &self.spans[at as usize];
            let caller_span = self.parent[at as usize];
            let caller = self.spans.get(caller_span as usize);
            let client = caller.filter(|caller| caller.side == Side::Caller);
            Visit {
                trace: span.trace,
                entry: at,
                service: span.service,
                operation: span.operation,
                version: span.version,
                tenant: span.tenant,
                caller: caller.and_then(|_| self.visit_of.get(caller_span as usize)).copied(),
                external: false,
                error: span.error,
                start: span.start,
                duration: span.duration as f64 / NANOS_PER_MILLI,
                own: 0.0,
                gap: client.map_or(0.0, |client| (client.duration - span.duration).max(0) as f64 / NANOS_PER_MILLI),
                has_gap: client.is_some(),
                weight: f64::from(span.weight),
                in_scope: false,
                features: (0, 0),
                flags: 0,
            }
        });
        Visits { all: all.collect(), features: Vec::new(), malformed: 0 }
    }

    /// Client spans that name a peer of which no span was seen become visits of that peer.
    fn externals(&mut self, visits: &mut Visits) {
        let mut answered = vec![false; self.spans.len()];
        for at in 0..self.spans.len() {
            let up = self.parent[at];
            if up != UNASSIGNED && self.spans[up as usize].service != self.spans[at].service {
                answered[up as usize] = true;
            }
        }
        for (at, span) in self.spans.iter().enumerate() {
            if span.side != Side::Caller || span.peer == NONE || answered[at] || span.peer == span.service {
                continue;
            }
            visits.all.push(Visit {
                trace: span.trace,
                entry: u32::try_from(at).unwrap_or(UNASSIGNED),
                service: span.peer,
                operation: span.operation,
                version: NONE,
                tenant: span.tenant,
                caller: Some(self.visit_of[at]),
                external: true,
                error: span.error,
                start: span.start,
                duration: span.duration as f64 / NANOS_PER_MILLI,
                own: 0.0,
                gap: 0.0,
                has_gap: false,
                weight: f64::from(span.weight),
                in_scope: false,
                features: (0, 0),
                flags: 0,
            });
        }
    }

    /// Own time is the visit's duration less the union of its calls' intervals, as its caller saw them.
    fn own_time(&self, visits: &mut Visits) {
        let mut calls: Vec<(u32, i64, i64)> = Vec::new();
        for (number, visit) in visits.all.iter().enumerate() {
            let Some(caller) = visit.caller else { continue };
            let client = self
                .entry
                .get(number)
                .map(|&entry| self.parent[entry as usize])
                .and_then(|up| self.spans.get(up as usize).filter(|span| span.side == Side::Caller));
            let (start, nanos) =
                client.map_or((visit.start, (visit.duration * NANOS_PER_MILLI) as i64), |c| (c.start, c.duration));
            calls.push((caller, start, start.saturating_add(nanos)));
        }
        calls.sort_unstable();
        let mut covered = vec![0_i64; visits.all.len()];
        let mut reached = (UNASSIGNED, i64::MIN);
        for (caller, start, end) in calls {
            let visit = &visits.all[caller as usize];
            let last = visit.start.saturating_add((visit.duration * NANOS_PER_MILLI) as i64);
            let from = if reached.0 == caller { start.max(reached.1) } else { start.max(visit.start) };
            let to = end.min(last);
            if to > from {
                covered[caller as usize] += to - from;
            }
            reached = (caller, if reached.0 == caller { reached.1.max(end) } else { end.max(visit.start) });
        }
        for (visit, covered) in visits.all.iter_mut().zip(covered) {
            visit.own = (visit.duration - covered as f64 / NANOS_PER_MILLI).max(0.0);
        }
    }

    fn features(&self, visits: &mut Visits, notes: (&[LogLine], &[Evaluation]), by_id: &HashMap<u64, u32>) {
        let (logs, flags) = notes;
        let mut seen: Vec<(u32, Feature)> = Vec::with_capacity(self.spans.len() + logs.len());
        for (at, span) in self.spans.iter().enumerate() {
            let visit = self.visit_of[at];
            if self.entry.get(visit as usize).is_none_or(|&entry| entry as usize != at) {
                seen.push((visit, Feature::Operation(span.operation)));
            }
            if span.error {
                seen.push((visit, Feature::Failed(span.operation)));
            }
        }
        for log in logs {
            if let Some(&at) = by_id.get(&log.span) {
                let feature = if log.error { Feature::ErrorLog(log.template) } else { Feature::Log(log.template) };
                seen.push((self.visit_of[at as usize], feature));
            }
        }
        for evaluated in flags {
            if let Some(&at) = by_id.get(&evaluated.span) {
                seen.push((self.visit_of[at as usize], Feature::Flag(evaluated.flag, evaluated.variant)));
            }
        }
        for (number, visit) in visits.all.iter().enumerate() {
            if let Some(caller) = visit.caller {
                seen.push((caller, Feature::Call(visit.service)));
            }
            if visit.external && visit.error {
                seen.push((u32::try_from(number).unwrap_or(UNASSIGNED), Feature::Failed(visit.operation)));
            }
        }
        seen.sort_unstable();
        seen.dedup();
        for (at, (visit, feature)) in seen.into_iter().enumerate() {
            let at = u32::try_from(at).unwrap_or(UNASSIGNED);
            if let Some(visit) = visits.all.get_mut(visit as usize) {
                if visit.features.1 == 0 && visit.flags == 0 {
                    visit.features = (at, at);
                }
                match feature {
                    Feature::Flag(..) => visit.flags += 1,
                    _ => visit.features.1 = at + 1,
                }
                // A failure anywhere inside is the visit's only when its entry says so: a handled error is not one.
            }
            visits.features.push(feature);
        }
    }
}

/// Put callers before callees and mark what the alerting service did or caused.
fn order_and_scope(visits: &mut Visits, alerting: Option<u32>) {
    let count = visits.all.len();
    let mut callees: Vec<(u32, u32)> = visits
        .all
        .iter()
        .enumerate()
        .filter_map(|(number, visit)| Some((visit.caller?, u32::try_from(number).ok()?)))
        .collect();
    callees.sort_unstable();
    let mut order: Vec<u32> = Vec::with_capacity(count);
    let mut place = vec![UNASSIGNED; count];
    let mut put = |number: u32, order: &mut Vec<u32>| {
        if place[number as usize] == UNASSIGNED {
            place[number as usize] = u32::try_from(order.len()).unwrap_or(UNASSIGNED);
            order.push(number);
        }
    };
    for (number, visit) in visits.all.iter().enumerate() {
        if visit.caller.is_none() {
            put(u32::try_from(number).unwrap_or(UNASSIGNED), &mut order);
        }
    }
    let mut next = 0;
    while next < order.len() {
        let caller = order[next];
        let from = callees.partition_point(|pair| pair.0 < caller);
        for pair in callees[from..].iter().take_while(|pair| pair.0 == caller) {
            put(pair.1, &mut order);
        }
        next += 1;
    }
    // Visits that call each other in a circle hang from no root: their first one becomes it.
    let mut ordered: Vec<Visit> = Vec::with_capacity(count);
    for &number in &order {
        ordered.push(visits.all[number as usize].clone());
    }
    for visit in &mut ordered {
        visit.caller = visit.caller.map(|caller| place[caller as usize]);
    }
    for at in 0..ordered.len() {
        let above = ordered[at].caller.and_then(|caller| ordered.get(caller as usize)).is_some_and(|up| up.in_scope);
        ordered[at].in_scope = above || alerting.is_none_or(|service| service == ordered[at].service);
    }
    visits.malformed += (count - ordered.len()) as u64;
    visits.all = ordered;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: u64, parent: u64, service: u32, side: Side, start: i64, duration: i64) -> Span {
        Span {
            trace: 1,
            id,
            parent,
            service,
            operation: service,
            version: NONE,
            tenant: NONE,
            peer: NONE,
            side,
            error: false,
            start: start * 1_000_000,
            duration: duration * 1_000_000,
            weight: 1.0,
        }
    }

    #[test]
    fn parallel_calls_and_overlapping_internal_spans_are_counted_once() {
        let spans = [
            span(1, 0, 1, Side::Other, 0, 100),
            span(2, 1, 1, Side::Other, 0, 100),
            span(3, 1, 1, Side::Caller, 10, 40),
            span(4, 3, 2, Side::Other, 15, 30),
            span(5, 1, 1, Side::Caller, 30, 40),
            span(6, 5, 3, Side::Other, 31, 38),
        ];
        let visits = fold(&spans, &[], &[], None);
        let own: Vec<f64> = visits.all.iter().map(|visit| visit.own).collect();
        assert_eq!(own, [40.0, 30.0, 38.0], "100 − the union of 10..50 and 30..70");
        let gaps: Vec<f64> = visits.all.iter().map(|visit| visit.gap).collect();
        assert_eq!(gaps, [0.0, 10.0, 2.0]);
        assert_eq!(visits.features(&visits.all[0]), [Feature::Operation(1), Feature::Call(2), Feature::Call(3)]);
    }

    #[test]
    fn scope_is_the_alerting_service_and_what_it_called() {
        let spans =
            [span(1, 0, 1, Side::Other, 0, 100), span(2, 1, 2, Side::Other, 0, 50), span(3, 2, 3, Side::Other, 0, 20)];
        let scope: Vec<(u32, bool)> =
            fold(&spans, &[], &[], Some(2)).all.iter().map(|visit| (visit.service, visit.in_scope)).collect();
        assert_eq!(scope, [(1, false), (2, true), (3, true)]);
    }

    #[test]
    fn circles_duplicates_orphans_and_depth_are_data() {
        let mut spans = vec![
            span(1, 2, 1, Side::Other, 0, 10),
            span(2, 1, 1, Side::Other, 0, 10),
            span(3, 3, 2, Side::Other, 0, 10),
            span(4, 99, 3, Side::Other, 0, 10),
            span(4, 99, 3, Side::Other, 0, 10),
        ];
        let visits = fold(&spans, &[], &[], None);
        assert_eq!(visits.all.len(), 3);
        assert_eq!(visits.malformed, 2);
        spans = (1..=100_000).map(|id| span(id, id - 1, (id % 2) as u32, Side::Other, 0, 10)).collect();
        let deep = fold(&spans, &[], &[], None);
        assert_eq!(deep.all.len(), 100_000);
        assert!(deep.all.iter().enumerate().all(|(at, visit)| visit.caller.is_none_or(|up| (up as usize) < at)));
        let across = [span(1, 2, 1, Side::Other, 0, 10), span(2, 1, 2, Side::Other, 0, 10)];
        assert!(fold(&across, &[], &[], None).malformed > 0);
    }

    #[test]
    fn an_unanswered_client_span_with_a_peer_is_a_visit_of_that_peer() {
        let mut client = span(2, 1, 1, Side::Caller, 10, 40);
        client.peer = 7;
        client.error = true;
        let visits = fold(&[span(1, 0, 1, Side::Other, 0, 100), client], &[], &[], None);
        let peer = &visits.all[1];
        assert_eq!((peer.service, peer.external, peer.own, peer.error), (7, true, 40.0, true));
        assert_eq!(visits.all[0].own, 60.0);
        assert_eq!(visits.features(peer), [Feature::Failed(1)]);
    }

    #[test]
    fn logs_and_flags_land_in_the_visit_of_their_span() {
        let spans = [span(1, 0, 1, Side::Other, 0, 100), span(2, 1, 1, Side::Other, 0, 50)];
        let logs = [LogLine { span: 2, template: 5, error: true }, LogLine { span: 77, template: 6, error: false }];
        let flags = [Evaluation { span: 1, flag: 8, variant: 9 }, Evaluation { span: 78, flag: 8, variant: 9 }];
        let visits = fold(&spans, &logs, &flags, None);
        assert!(visits.features(&visits.all[0]).contains(&Feature::ErrorLog(5)));
        assert_eq!(visits.features(&visits.all[0]).len(), 2);
        assert_eq!(visits.flags(&visits.all[0]).collect::<Vec<_>>(), [(8, 9)]);
    }
}
