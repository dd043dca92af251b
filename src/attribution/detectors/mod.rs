//! What went wrong, and in which service: every visit is compared with what is usual for its operation, what a callee
//! explains is taken from its callers, and what is left is added up by service.
//!
//! Four findings are kept apart because they are measured differently: own latency, the gap between client and server
//! duration, structure (a span, call or log line that used to follow and stopped, a new error), and resources.

use std::collections::HashMap;

use super::anomaly::{ResourceSeries, Saturation, saturation};
use super::contrast::Cohort;
use super::stats::Usual;
use super::visits::{Feature, NONE, Visit, Visits, Vocabulary};

mod outcome;
mod unusual;

pub use outcome::ActiveTime;
use outcome::{onset, outcome, surprise};
pub use unusual::Odd;
use unusual::{ErrorLike, Normal, explain_away, normals, odd};

/// The stretches of time that are compared, nanoseconds since the epoch: [`before`, `until`) is usual, [`from`, `to`) is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Start of what is usual.
    pub before: i64,
    /// End of what is usual.
    pub until: i64,
    /// Start of the incident.
    pub from: i64,
    /// End of the incident.
    pub to: i64,
}

/// What was noticed about an outcome, if the alert said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Signal {
    /// Anything.
    #[default]
    Any,
    /// It was slow.
    Latency,
    /// It failed.
    Errors,
}

/// How a finding was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Detector {
    /// Time spent in the service itself.
    Latency,
    /// Time between the caller's and the callee's clock stopping: network, queues.
    Gap,
    /// Failures, vanished successors, new error lines.
    Structure,
    /// CPU, memory and the like.
    Resource,
}

/// Weights of the detectors in the strength of a service. One set for all systems.
const WEIGHTS: [(Detector, f64); 4] =
    [(Detector::Latency, 1.0), (Detector::Gap, 1.0), (Detector::Structure, 1.5), (Detector::Resource, 0.6)];
/// Scales above the median that are still usual.
const USUAL_SCALES: f64 = 3.0;
/// A successor in this share of the visits is expected.
const EXPECTED: f64 = 0.9;
/// An error in at most this share of the visits is news.
const RARE: f64 = 0.1;
/// Share of the blame from which on a service has an onset of its own.
const MUCH_BLAME: f64 = 0.1;
/// Reasons kept a service.
const MAX_REASONS: usize = 6;

/// Why a service is suspected.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// How it was found.
    pub detector: Detector,
    /// Operation that it is about.
    pub operation: u32,
    /// What vanished or appeared.
    pub feature: Option<Feature>,
    /// Whether the feature vanished.
    pub vanished: bool,
    /// Visits (by weight) that show it during the incident.
    pub visits: f64,
    /// The value beyond which a duration is unusual, milliseconds.
    pub threshold: f64,
    /// The usual value: milliseconds, or the share of visits with the feature.
    pub usual: f64,
    /// Caller of a slow edge.
    pub caller: u32,
}

/// What one detector found in one service.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Finding {
    /// Effect a request to the alerting service, above what is usual: durations relative to its median duration,
    /// structure as a share of requests.
    pub effect: f64,
    /// Share of the service's visits that show it, above what is usual.
    pub consistency: f64,
}

/// What was found about one service.
#[derive(Debug, Clone, Default)]
pub struct Suspect {
    /// Service, or external peer.
    pub service: u32,
    /// Whether it is outside: known from its callers only.
    pub external: bool,
    /// Visits before the incident.
    pub visits_before: f64,
    /// Visits during it.
    pub visits_during: f64,
    /// Own latency.
    pub latency: Finding,
    /// Client–server gap.
    pub gap: Finding,
    /// Structure.
    pub structure: Finding,
    /// The most unusual resource.
    pub resource: Option<(String, Saturation)>,
    /// All findings together; 0 for a service about which there is nothing unusual.
    pub strength: f64,
    /// Share of the outcome: the strengths scaled so that they sum to 1 over the services (if any is positive).
    pub blame: f64,
    /// The reasons with the most visits.
    pub reasons: Vec<Reason>,
}

/// The outcome itself: the visits of the alerting service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// Requests before the incident.
    pub requests_before: f64,
    /// Requests during it.
    pub requests_during: f64,
    /// Requests a second before, over the time that has requests.
    pub rate_before: f64,
    /// Requests a second during.
    pub rate_during: f64,
    /// Median duration before, milliseconds.
    pub median_before: f64,
    /// Median duration during, milliseconds.
    pub median_during: f64,
    /// 99th percentile before, milliseconds.
    pub p99_before: f64,
    /// 99th percentile during, milliseconds.
    pub p99_during: f64,
    /// Share of failed requests before.
    pub errors_before: f64,
    /// Share of failed requests during.
    pub errors_during: f64,
    /// Requests by tenant: before, during.
    pub tenants: Vec<(u32, f64, f64)>,
    /// Start of the second in which the first of a lasting run of unusual requests was seen, nanoseconds.
    pub onset: Option<i64>,
}

/// What the visits of a service differ in, apart from what went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// Version that served.
    Version(u32),
    /// Tenant that asked.
    Tenant(u32),
    /// Feature flag and the variant that it had.
    Flag(u32, u32),
}

/// Groups of the visits of one service, before and from the onset on.
pub type Groups = HashMap<Group, (Cohort, Cohort)>;

/// By how many standard deviations the odd visits of an incident exceed their usual number or, where there are metrics
/// only, the incident what is usual.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Surprise {
    /// Of all services in scope; from metrics, of the alerting service.
    pub all: f64,
    /// Of the service with the most blame.
    pub first: f64,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Suspects, strongest first.
    pub suspects: Vec<Suspect>,
    /// The outcome.
    pub outcome: Outcome,
    /// How the visits of each group of a service fared: before, and from the onset on.
    pub cohorts: HashMap<u32, Groups>,
    /// Calls between services in scope during the incident: (caller, callee) → calls.
    pub edges: HashMap<(u32, u32), f64>,
    /// Onset at each service with much of the blame, nanoseconds.
    pub onsets: HashMap<u32, i64>,
    /// What is unusual about each visit, in their order.
    pub odds: Vec<Odd>,
    /// Whether the incident is out of the ordinary at all; none where there is nothing to compare.
    pub surprise: Option<Surprise>,
}

/// Which stretch of time something belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// What is usual.
    Before,
    /// The incident.
    During,
    /// Neither.
    Outside,
}

impl Window {
    /// The stretch that a time belongs to, nanoseconds since the epoch.
    #[must_use]
    pub fn phase(&self, at: i64) -> Phase {
        if at >= self.from && at < self.to {
            Phase::During
        } else if at >= self.before && at < self.until {
            Phase::Before
        } else {
            Phase::Outside
        }
    }
}

/// Compare the incident with what is usual. `resources` are the resource metrics by service.
#[must_use]
pub fn detect(
    visits: &Visits,
    vocabulary: &Vocabulary,
    window: &Window,
    signal: Signal,
    resources: &HashMap<u32, Vec<ResourceSeries>>,
) -> Findings {
    let normals = normals(visits, window);
    let error_like = ErrorLike::new(vocabulary);
    let mut reasons: HashMap<(u32, Detector, u32, Option<Feature>, bool), Reason> = HashMap::new();
    let mut odds: Vec<Odd> = Vec::with_capacity(visits.all.len());
    for visit in &visits.all {
        odds.push(odd(visits, visit, normals.get(&(visit.service, visit.operation)), &error_like));
    }
    explain_away(visits, &mut odds);
    for (visit, odd) in visits.all.iter().zip(&odds) {
        if visit.in_scope && window.phase(visit.start) == Phase::During && odd.is_bad() {
            let normal = normals.get(&(visit.service, visit.operation));
            note(visits, visit, odd, normal, &error_like, &mut reasons);
        }
    }
    let outcome = outcome(visits, window, &odds);
    let mut findings = Findings { outcome, ..Findings::default() };
    let mut sums = add_up(visits, window, &odds, &mut findings);
    cohorts(visits, window, &odds, signal, &mut findings);
    share_gaps(&mut sums);
    for (service, sum) in sums.services {
        findings.suspects.push(suspect(service, &sum, &findings.outcome, signal, resources.get(&service)));
    }
    for reason in reasons.into_iter() {
        let ((service, ..), reason) = reason;
        if let Some(suspect) = findings.suspects.iter_mut().find(|suspect| suspect.service == service) {
            suspect.reasons.push(reason);
        }
    }
    finish(&mut findings.suspects);
    for suspect in findings.suspects.iter().filter(|suspect| suspect.blame >= MUCH_BLAME) {
        let at = onset(visits, window, &odds, |visit| visit.service == suspect.service);
        findings.onsets.extend(at.map(|at| (suspect.service, at)));
    }
    let first = findings.suspects.first().map(|suspect| suspect.service);
    findings.surprise = surprise(visits, window, &odds, signal, first);
    findings.odds = odds;
    findings
}

fn note(
    visits: &Visits,
    visit: &Visit,
    odd: &Odd,
    normal: Option<&Normal>,
    error_like: &ErrorLike,
    reasons: &mut HashMap<(u32, Detector, u32, Option<Feature>, bool), Reason>,
) {
    let Some(normal) = normal else { return };
    let mut add = |detector, feature, vanished, threshold, usual, caller| {
        let key = (visit.service, detector, visit.operation, feature, vanished);
        let reason = reasons.entry(key).or_insert(Reason {
            detector,
            operation: visit.operation,
            feature,
            vanished,
            visits: 0.0,
            threshold,
            usual,
            caller,
        });
        reason.visits += visit.weight;
    };
    let limit = |usual: &Usual| usual.median + USUAL_SCALES * usual.scale;
    if odd.latency > 0.0 {
        add(Detector::Latency, None, false, limit(&normal.own), normal.own.median, NONE);
    }
    if odd.gap > 0.0 {
        let caller = visit.caller.and_then(|up| visits.all.get(up as usize)).map_or(NONE, |up| up.service);
        add(Detector::Gap, None, false, limit(&normal.gap), normal.gap.median, caller);
    }
    if odd.own_structure() > 0.0 {
        let seen = visits.features(visit);
        for (feature, share) in &normal.features {
            if *share >= EXPECTED && !error_like.is(*feature) && seen.binary_search(feature).is_err() {
                add(Detector::Structure, Some(*feature), true, 0.0, *share, NONE);
            }
        }
        for feature in seen {
            let share = normal.features.get(feature).copied().unwrap_or(0.0);
            if error_like.is(*feature) && share <= RARE {
                add(Detector::Structure, Some(*feature), false, 0.0, share, NONE);
            }
        }
    }
}

#[derive(Debug, Default, Clone)]
struct Measure {
    before: f64,
    during: f64,
    odd_before: f64,
    odd_during: f64,
}

impl Measure {
    fn add(&mut self, phase: Phase, amount: f64, odd: f64, weight: f64) {
        match phase {
            Phase::Before => {
                self.before += amount * weight;
                self.odd_before += odd * weight;
            }
            Phase::During => {
                self.during += amount * weight;
                self.odd_during += odd * weight;
            }
            Phase::Outside => {}
        }
    }

    /// Effect a request, and share of the visits, both above what is usual.
    fn finding(&self, visits: (f64, f64), requests: (f64, f64), unit: f64) -> Finding {
        let effect = self.during / requests.1.max(1.0) - self.before / requests.0.max(1.0);
        let usual = (self.odd_before + 0.5) / (visits.0 + 1.0);
        let now = self.odd_during / (visits.1 + 0.5);
        let consistency = if usual < 1.0 { (now - usual) / (1.0 - usual) } else { 0.0 };
        Finding { effect: (effect / unit).max(0.0), consistency: consistency.clamp(0.0, 1.0) }
    }
}

#[derive(Debug, Default, Clone)]
struct Sum {
    /// Spans of its own were seen: lost ones make its callers' calls look as if it were outside.
    inside: bool,
    known: (f64, f64),
    visits: (f64, f64),
    /// Calls whose gaps count for the service.
    calls: (f64, f64),
    latency: Measure,
    gap: Measure,
    structure: Measure,
}

#[derive(Debug, Default)]
struct Sums {
    services: HashMap<u32, Sum>,
    /// Gaps by (caller, callee), with the calls in both phases.
    gaps: HashMap<(u32, u32), (Measure, (f64, f64))>,
}

fn add_up(visits: &Visits, window: &Window, odds: &[Odd], findings: &mut Findings) -> Sums {
    let mut sums = Sums::default();
    for (visit, odd) in visits.all.iter().zip(odds) {
        let phase = window.phase(visit.start);
        if !visit.in_scope || phase == Phase::Outside {
            continue;
        }
        let weight = visit.weight;
        let sum = sums.services.entry(visit.service).or_default();
        sum.inside |= !visit.external;
        let count = |pair: &mut (f64, f64)| match phase {
            Phase::Before => pair.0 += weight,
            _ => pair.1 += weight,
        };
        count(&mut sum.visits);
        let structure = odd.own_structure();
        if odd.known {
            count(&mut sum.known);
        }
        sum.latency.add(phase, odd.latency, f64::from(odd.latency > 0.0), weight);
        sum.structure.add(phase, structure, structure, weight);
        let Some(caller) = visit.caller.and_then(|up| visits.all.get(up as usize)) else { continue };
        if caller.in_scope {
            *findings.edges.entry((caller.service, visit.service)).or_default() += weight;
            if odd.known && visit.has_gap {
                let edge = sums.gaps.entry((caller.service, visit.service)).or_default();
                edge.0.add(phase, odd.gap, f64::from(odd.gap > 0.0), weight);
                count(&mut edge.1);
            }
        }
    }
    sums
}

/// How every group of visits fared. Visits count once each, whatever they stand for: what is compared is chance.
fn cohorts(visits: &Visits, window: &Window, odds: &[Odd], signal: Signal, findings: &mut Findings) {
    let onset = findings.outcome.onset.map_or(window.from, |onset| onset.max(window.from));
    for (visit, odd) in visits.all.iter().zip(odds).filter(|(visit, odd)| visit.in_scope && odd.known) {
        let before = match window.phase(visit.start) {
            Phase::Before => true,
            Phase::During if visit.start >= onset => false,
            _ => continue,
        };
        let bad = odd.counts(signal);
        let version = (visit.version != NONE).then_some(Group::Version(visit.version));
        let tenant = (visit.tenant != NONE).then_some(Group::Tenant(visit.tenant));
        let flags = visits.flags(visit).map(|(flag, variant)| Group::Flag(flag, variant));
        for group in version.into_iter().chain(tenant).chain(flags) {
            let cohort = findings.cohorts.entry(visit.service).or_default().entry(group).or_default();
            let cohort = if before { &mut cohort.0 } else { &mut cohort.1 };
            cohort.visits += 1.0;
            cohort.bad += f64::from(bad);
        }
    }
}

/// A slow edge may be its caller's doing or its callee's: the one whose other edges are slow too. With nothing to
/// choose by, the callee: its queue and its network are between the two clocks.
fn share_gaps(sums: &mut Sums) {
    let mut inward: HashMap<u32, (f64, f64)> = HashMap::new();
    let mut outward: HashMap<u32, (f64, f64, u32)> = HashMap::new();
    for ((caller, callee), (measure, calls)) in &sums.gaps {
        let odd = measure.finding(*calls, (1.0, 1.0), 1.0).consistency;
        let into = inward.entry(*callee).or_default();
        *into = (into.0 + odd * calls.1, into.1 + calls.1);
        let out = outward.entry(*caller).or_default();
        *out = (out.0 + odd * calls.1, out.1 + calls.1, out.2 + 1);
    }
    for ((caller, callee), (measure, calls)) in &sums.gaps {
        let into = inward.get(callee).map_or(0.0, |(odd, all)| odd / all.max(1.0));
        let out = outward.get(caller).map_or(0.0, |(odd, all, edges)| {
            let single = if *edges < 2 { 0.5 } else { 1.0 };
            single * odd / all.max(1.0)
        });
        // All or nothing: half a reason on both sides would explain neither away.
        let callee_share = if into >= out { 1.0 } else { 0.0 };
        for (service, share) in [(*callee, callee_share), (*caller, 1.0 - callee_share)] {
            let sum = sums.services.entry(service).or_default();
            sum.calls = (sum.calls.0 + calls.0 * share, sum.calls.1 + calls.1 * share);
            let gap = &mut sum.gap;
            gap.before += measure.before * share;
            gap.during += measure.during * share;
            gap.odd_before += measure.odd_before * share;
            gap.odd_during += measure.odd_during * share;
        }
    }
}

fn suspect(
    service: u32,
    sum: &Sum,
    outcome: &Outcome,
    signal: Signal,
    resources: Option<&Vec<ResourceSeries>>,
) -> Suspect {
    let requests = (outcome.requests_before, outcome.requests_during);
    let unit = outcome.median_before.max(1.0);
    let mut suspect = Suspect {
        service,
        external: !sum.inside,
        visits_before: sum.visits.0,
        visits_during: sum.visits.1,
        latency: sum.latency.finding(sum.known, requests, unit),
        gap: sum.gap.finding(sum.calls, requests, unit),
        structure: sum.structure.finding(sum.known, requests, 1.0),
        ..Suspect::default()
    };
    let growth = outcome.rate_during / outcome.rate_before.max(1e-9);
    suspect.resource = resources
        .into_iter()
        .flatten()
        .filter_map(|series| Some((series.metric.clone(), saturation(series, growth)?)))
        .max_by(|a, b| a.1.strength.total_cmp(&b.1.strength));
    suspect.strength = WEIGHTS.iter().map(|(detector, weight)| weight * part(&suspect, *detector, signal)).sum();
    suspect
}

/// What one detector adds to the strength of a suspect, before its weight: 0…1.
fn part(suspect: &Suspect, detector: Detector, signal: Signal) -> f64 {
    let mean = |finding: Finding| (finding.effect.min(1.0) * finding.consistency).sqrt();
    match detector {
        Detector::Latency | Detector::Gap => {
            let finding = if detector == Detector::Gap { suspect.gap } else { suspect.latency };
            mean(finding) * if signal == Signal::Errors { 0.5 } else { 1.0 }
        }
        Detector::Structure => mean(suspect.structure) * if signal == Signal::Latency { 0.5 } else { 1.0 },
        Detector::Resource => suspect.resource.as_ref().map_or(0.0, |(_, saturation)| saturation.strength),
    }
}

/// What a detector contributed to the strength of a suspect.
#[must_use]
pub fn contribution(suspect: &Suspect, detector: Detector, signal: Signal) -> f64 {
    let weight = WEIGHTS.iter().find(|(of, _)| *of == detector).map_or(0.0, |(_, weight)| *weight);
    weight * part(suspect, detector, signal)
}

fn finish(suspects: &mut [Suspect]) {
    let total: f64 = suspects.iter().map(|suspect| suspect.strength).sum();
    for suspect in suspects.iter_mut() {
        suspect.blame = if total > 0.0 { suspect.strength / total } else { 0.0 };
        suspect.reasons.sort_unstable_by(|a, b| {
            b.visits
                .total_cmp(&a.visits)
                .then(a.detector.cmp(&b.detector))
                .then(a.operation.cmp(&b.operation))
                .then(a.feature.cmp(&b.feature))
        });
        suspect.reasons.truncate(MAX_REASONS);
    }
    suspects.sort_unstable_by(|a, b| b.strength.total_cmp(&a.strength).then(a.service.cmp(&b.service)));
}
