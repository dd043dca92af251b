//! Who is to blame for an incident of which there are metrics only: how far every service is out of the ordinary, and
//! the flow of blame from the alerting service down the graph of calls.
//!
//! Excess is counted in what the outcome is counted in, seconds of requests or failed requests, so that the excess of a
//! callee can be compared with that of its caller.

use std::collections::{BTreeMap, HashMap};

use super::blame_flow::{Edge, Node, blame_flow};
use super::detectors::{Finding, Findings, Outcome, Signal, Surprise, Suspect};
use super::stats::Usual;

/// What was measured at one service up to one moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Point {
    /// Microseconds since the epoch.
    pub time: i64,
    /// Requests since the point before.
    pub requests: f64,
    /// Of them failed.
    pub failed: f64,
    /// Requests of which the time is known.
    pub timed: f64,
    /// Sum of their durations, seconds.
    pub seconds: f64,
}

/// A service, or something that is called, and its points in any order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    /// Service or external peer.
    pub service: u32,
    /// Whether only its callers measured it.
    pub inferred: bool,
    /// What was measured.
    pub points: Vec<Point>,
}

/// A caller and a callee.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// Calling service.
    pub caller: u32,
    /// Called service.
    pub callee: u32,
    /// Calls that were counted; 0 when it is only known that there are some.
    pub calls: f64,
}

/// The stretches that are compared, microseconds since the epoch: [`before`, `until`) is usual, [`from`, `to`) is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Start of what is usual.
    pub before: i64,
    /// End of what is usual.
    pub until: i64,
    /// Start of the incident.
    pub from: i64,
    /// End of the incident.
    pub to: i64,
}

/// How unusual one quantity of a service is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Unusual {
    /// The usual value: seconds a request, or failures a request.
    pub usual: f64,
    /// The highest during the incident.
    pub peak: f64,
    /// How many scales the peak lies above the usual value.
    pub z: f64,
    /// Sum over the requests of what is above usual.
    pub excess: f64,
    /// Share of the intervals of the incident that are unusual.
    pub share: f64,
    /// By how many standard deviations the incident exceeds what is usual: its mean, or its peak less what the highest of
    /// so many intervals is by chance.
    pub surprise: f64,
    /// Start of the first unusual interval.
    pub since: Option<i64>,
}

/// Instances report at different moments; their points of one interval are added up.
const INTERVAL: i64 = 60_000_000;
/// Intervals before the incident that it takes to know what is usual.
const KNOWN: usize = 3;
/// Scales above the median from which an excess counts in full.
const FULL_SCALES: f64 = 3.0;
/// A mean duration within this share of the median is usual, however steady it was.
const STEADY: f64 = 0.03;

/// Requests, failures and mean duration of a service in one interval.
type Interval = (i64, Point);

fn intervals(points: &[Point]) -> Vec<Interval> {
    let mut sums: BTreeMap<i64, Point> = BTreeMap::new();
    for point in points {
        let sum = sums.entry(point.time.div_euclid(INTERVAL)).or_default();
        sum.requests += point.requests;
        sum.failed += point.failed;
        sum.timed += point.timed;
        sum.seconds += point.seconds;
    }
    sums.into_iter().map(|(at, sum)| (at * INTERVAL, sum)).collect()
}

/// What is unusual about one quantity; none where too little is known of the time before.
fn unusual(intervals: &[Interval], span: &Span, errors: bool) -> Option<Unusual> {
    let value = |point: &Point| {
        let (of, whole) = if errors { (point.failed, point.requests) } else { (point.seconds, point.timed) };
        (whole > 0.0).then(|| (of / whole, whole))
    };
    let within = |from: i64, to: i64| {
        let inside = move |interval: &&Interval| interval.0 >= from && interval.0 < to;
        intervals.iter().filter(inside).filter_map(move |(at, point)| Some((*at, value(point)?)))
    };
    let mut before: Vec<f64> = within(span.before, span.until).map(|(_, (value, _))| value).collect();
    if before.len() < KNOWN {
        return None;
    }
    let usual = Usual::of(&mut before, if errors { 0.0 } else { STEADY }, 1e-9);
    let mut found = Unusual { usual: usual.median, peak: f64::NEG_INFINITY, ..Unusual::default() };
    let (mut odd, mut all, mut sum) = (0.0, 0.0, 0.0);
    for (at, (value, requests)) in within(span.from, span.to) {
        // A share of few requests jumps: its scale is at least that of the binomial distribution.
        let pooled = (usual.median * requests + 1.0) / (requests + 2.0);
        let chance = if errors { (pooled * (1.0 - pooled) / requests).sqrt() } else { 0.0 };
        let z = (value - usual.median) / usual.scale.max(chance);
        all += 1.0;
        sum += z;
        if z >= FULL_SCALES {
            odd += 1.0;
            found.since = found.since.or(Some(at));
        }
        if value > found.peak {
            (found.peak, found.z) = (value, z);
        }
        found.excess += requests * (value - usual.median).max(0.0) * (z / FULL_SCALES).clamp(0.0, 1.0);
    }
    found.share = odd / f64::max(all, 1.0);
    // What is usual is known from some intervals only, too.
    let known = before.len() as f64;
    let mean = sum / f64::max(all, 1.0) / (1.0 / f64::max(all, 1.0) + 1.0 / known).sqrt();
    found.surprise = mean.max((found.z - (2.0 * f64::max(all, 1.0).ln()).sqrt()) / (1.0 + 1.0 / known).sqrt());
    (all > 0.0).then_some(found)
}

/// What was found: the same as from traces, with the services' blame by flow, and what is unusual by service.
#[derive(Debug, Default)]
pub struct Answer {
    /// Suspects by blame, the edges, the outcome.
    pub findings: Findings,
    /// What is unusual about every service with blame, in the quantity that was followed.
    pub unusual: HashMap<u32, Unusual>,
    /// Whether failures were followed, and not durations.
    pub errors: bool,
}

/// Find who is to blame for what the alerting service suffers.
#[must_use]
pub fn find(services: &[Measured], links: &[Link], alerting: u32, span: &Span, signal: Signal) -> Answer {
    let at: HashMap<u32, usize> = services.iter().enumerate().map(|(at, service)| (service.service, at)).collect();
    let binned: Vec<Vec<Interval>> = services.iter().map(|service| intervals(&service.points)).collect();
    let Some(&root) = at.get(&alerting) else { return Answer::default() };
    let of = |node: usize, errors: bool| unusual(&binned[node], span, errors);
    let errors = match signal {
        Signal::Errors => true,
        Signal::Latency => false,
        Signal::Any => of(root, true).map_or(0.0, |errors| errors.z) > of(root, false).map_or(0.0, |slow| slow.z),
    };
    let found: Vec<Option<Unusual>> = (0..services.len()).map(|node| of(node, errors)).collect();
    let nodes: Vec<Node> = found
        .iter()
        .zip(services)
        .map(|(found, service)| Node {
            excess: found.map_or(0.0, |found| found.excess),
            known: found.is_some(),
            inferred: service.inferred,
        })
        .collect();
    let requests: Vec<f64> = binned.iter().map(|intervals| requests_during(intervals, span)).collect();
    let blame = blame_flow(&nodes, &edges(links, &at), root);
    let mut answer = Answer { errors, ..Answer::default() };
    answer.findings.outcome = outcome(&binned[root], span, found[root].as_ref());
    answer.findings.edges = links.iter().map(|link| ((link.caller, link.callee), link.calls.max(1.0))).collect();
    let whole = nodes[root].excess.max(1e-12);
    for (node, (service, found)) in services.iter().zip(&found).enumerate() {
        let Some(found) = found.filter(|_| blame[node] > 0.0) else { continue };
        let finding = Finding { effect: (found.excess / whole).min(1.0), consistency: found.share };
        let quiet = Finding::default();
        answer.findings.suspects.push(Suspect {
            service: service.service,
            external: service.inferred,
            visits_during: requests[node],
            latency: if errors { quiet } else { finding },
            structure: if errors { finding } else { quiet },
            strength: if found.excess > 0.0 { blame[node] } else { 0.0 },
            blame: blame[node],
            ..Suspect::default()
        });
        answer.unusual.insert(service.service, found);
    }
    answer.findings.suspects.sort_unstable_by(|a, b| b.blame.total_cmp(&a.blame).then(a.service.cmp(&b.service)));
    let first = answer.findings.suspects.first().and_then(|first| answer.unusual.get(&first.service));
    answer.findings.surprise = found[root]
        .map(|root| Surprise { all: root.surprise, first: first.map_or(root.surprise, |first| first.surprise) });
    answer
}

fn requests_during(intervals: &[Interval], span: &Span) -> f64 {
    let inside = |interval: &&Interval| interval.0 >= span.from && interval.0 < span.to;
    intervals.iter().filter(inside).map(|(_, point)| point.requests.max(point.timed)).sum()
}

/// Edges with the share of the callee's requests that each caller sends. Where calls were not counted every caller is
/// taken to suffer all of what its callee does: the flow is bounded by the caller's own excess.
fn edges(links: &[Link], at: &HashMap<u32, usize>) -> Vec<Edge> {
    let mut counted: BTreeMap<(usize, usize), f64> = BTreeMap::new();
    let mut total: HashMap<usize, f64> = HashMap::new();
    for link in links {
        let Some(&callee) = at.get(&link.callee) else { continue };
        *total.entry(callee).or_default() += link.calls;
        if let Some(&caller) = at.get(&link.caller) {
            *counted.entry((caller, callee)).or_default() += link.calls;
        }
    }
    let share = |callee: usize, calls: f64| match total.get(&callee) {
        Some(all) if *all > 0.0 => calls / all,
        _ => 1.0,
    };
    counted.iter().map(|(&(caller, callee), &calls)| Edge { caller, callee, share: share(callee, calls) }).collect()
}

fn outcome(intervals: &[Interval], span: &Span, found: Option<&Unusual>) -> Outcome {
    let total = |from: i64, to: i64| -> f64 {
        let inside = intervals.iter().filter(|interval| interval.0 >= from && interval.0 < to);
        inside.map(|(_, point)| point.requests.max(point.timed)).sum()
    };
    let (before, during) = (total(span.before, span.until), total(span.from, span.to));
    let seconds = |from: i64, to: i64| ((to - from) as f64 / 1e6).max(1.0);
    Outcome {
        requests_before: before,
        requests_during: during,
        rate_before: before / seconds(span.before, span.until),
        rate_during: during / seconds(span.from, span.to),
        onset: found.and_then(|found| found.since).map(|since| since.max(span.from).saturating_mul(1000)),
        ..Outcome::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;
    const SPAN: Span = Span { before: 0, until: 10 * MINUTE, from: 10 * MINUTE, to: 13 * MINUTE };

    /// Ten usual minutes and three of the incident.
    fn service(service: u32, requests: f64, usual: (f64, f64), odd: (f64, f64)) -> Measured {
        let points = (0..13)
            .map(|minute| {
                let (seconds, failed) = if minute < 10 { usual } else { odd };
                // A service is never exactly steady.
                let wobble = 1.0 + 0.01 * f64::from(minute % 3);
                let time = i64::from(minute) * MINUTE + 1;
                let seconds = requests * seconds * wobble;
                Point { time, requests, failed: requests * failed, timed: requests, seconds }
            })
            .collect();
        Measured { service, inferred: false, points }
    }

    fn blame(answer: &Answer) -> Vec<(u32, f64)> {
        answer.findings.suspects.iter().map(|suspect| (suspect.service, suspect.blame)).collect()
    }

    fn link(caller: u32, callee: u32, calls: f64) -> Link {
        Link { caller, callee, calls }
    }

    #[test]
    fn the_slow_callee_has_the_blame_and_its_callers_do_not() {
        let services = [
            service(1, 100.0, (0.100, 0.0), (0.150, 0.0)),
            service(2, 200.0, (0.010, 0.0), (0.035, 0.0)),
            service(3, 50.0, (0.010, 0.0), (0.010, 0.0)),
        ];
        let links = [link(1, 2, 0.0), link(1, 3, 0.0)];
        let answer = find(&services, &links, 1, &SPAN, Signal::Any);
        let blame = blame(&answer);
        assert_eq!(blame[0].0, 2);
        assert!(blame[0].1 > 0.9, "{blame:?}");
        assert!(!answer.errors);
        assert_eq!(answer.findings.outcome.onset, Some(10 * MINUTE * 1000));
        let found = answer.unusual[&2];
        assert!((found.usual - 0.0101).abs() < 1e-4 && (found.peak - 0.0357).abs() < 1e-4, "{found:?}");
    }

    #[test]
    fn failures_are_followed_when_they_are_what_stands_out() {
        let services = [
            service(1, 100.0, (0.1, 0.0), (0.1, 0.05)),
            service(2, 80.0, (0.01, 0.0), (0.01, 0.06)),
            service(3, 90.0, (0.01, 0.0), (0.9, 0.0)),
        ];
        let links = [link(1, 2, 80.0), link(1, 3, 90.0)];
        let answer = find(&services, &links, 1, &SPAN, Signal::Any);
        assert!(answer.errors);
        assert_eq!(blame(&answer)[0].0, 2);
        let slow = find(&services, &links, 1, &SPAN, Signal::Latency);
        assert!(!slow.errors);
    }

    #[test]
    fn a_callee_that_others_call_more_explains_less() {
        let services = [service(1, 100.0, (0.1, 0.0), (0.2, 0.0)), service(2, 1000.0, (0.01, 0.0), (0.02, 0.0))];
        let of = |links: &[Link]| {
            let answer = find(&services, links, 1, &SPAN, Signal::Latency);
            blame(&answer).iter().find(|row| row.0 == 2).map_or(0.0, |row| row.1)
        };
        assert!(of(&[link(1, 2, 100.0)]) > 0.95);
        assert!(of(&[link(1, 2, 0.0), link(9, 2, 0.0)]) > 0.95, "calls were not counted");
        let shared = of(&[link(1, 2, 100.0), link(9, 2, 900.0)]);
        assert!((shared - 0.1).abs() < 0.02, "{shared}");
    }

    #[test]
    fn unknown_services_and_empty_input_are_no_trouble() {
        assert!(find(&[], &[], 1, &SPAN, Signal::Any).findings.suspects.is_empty());
        let new = Measured {
            points: service(2, 10.0, (1.0, 0.0), (9.0, 0.0)).points.split_off(10),
            service: 2,
            ..Measured::default()
        };
        let answer = find(&[service(1, 10.0, (0.1, 0.0), (0.9, 0.0)), new], &[link(1, 2, 5.0)], 1, &SPAN, Signal::Any);
        assert_eq!(blame(&answer), [(1, 1.0)], "a callee without a past gives its blame back");
    }
}
