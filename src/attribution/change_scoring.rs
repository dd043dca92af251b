//! From what was found to causes: every recorded change, every service, and "no change explains it" compete.
//!
//! The score of a change is a sum of log-odds: how often changes of its kind cause incidents, how much blame reaches
//! the changed service, whether the new version fares worse than the old one at the same time, and whether the trouble
//! began when it should have. The hypothesis that no change did it is spread over the services by their blame, with a
//! bonus for a service whose traffic grew. A soft-max over all of them makes them comparable.

use std::collections::HashMap;

use super::contrast::{Cohort, contrast};
use super::detectors::{Findings, Group, Groups, Suspect};
use super::load::Traffic;
use super::stats::{logistic, softmax};
use super::visits::NONE;

/// A change that may have caused it.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its id.
    pub id: String,
    /// Its kind, as in the table `changes`.
    pub kind: String,
    /// Service or peer that was changed, or [`NONE`] when it is not known to the traces.
    pub service: u32,
    /// Version after the change, or [`NONE`].
    pub version: u32,
    /// The feature flag that was changed, or [`NONE`].
    pub flag: u32,
    /// When it began to act, microseconds since the epoch.
    pub time: i64,
    /// Whether it came to pass: a failed or cancelled change counts less.
    pub succeeded: bool,
    /// Whether somebody recorded it; else only the versions in the spans tell of it.
    pub recorded: bool,
}

/// What a score is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// How often this kind of cause is one.
    Prior,
    /// Blame that reaches it.
    Blame,
    /// New version against old at the same time.
    Cohort,
    /// From the change to the onset.
    LeadTime,
    /// Growth of traffic.
    Load,
    /// Hardly anything is out of the ordinary.
    Quiet,
}

impl Part {
    /// The name in the column `kind` of the evidence.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Prior => "prior",
            Self::Blame => "blame",
            Self::Cohort => "cohort",
            Self::LeadTime => "lead_time",
            Self::Load => "load",
            Self::Quiet => "quiet",
        }
    }
}

/// What a candidate is.
#[derive(Debug, Clone, PartialEq)]
pub enum Cause {
    /// A recorded change, by its place in the list of changes.
    Change(usize),
    /// The service itself; no change explains it.
    Service,
    /// Something that the services call and that is not one of them.
    Dependency,
    /// More traffic than usual, from everybody.
    Load,
    /// More traffic than usual, from one tenant.
    Tenant(u32),
    /// No change and no service: what is left.
    Nothing,
}

/// A candidate cause.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// What it is.
    pub cause: Cause,
    /// Service, or [`NONE`].
    pub service: u32,
    /// Relative weight among the candidates; the scores sum to 1.
    pub score: f64,
    /// Share of the outcome's blame that lies with it.
    pub effect: f64,
    /// Onset minus change, microseconds.
    pub lead_time: Option<i64>,
    /// The log-odds that make the score.
    pub parts: Vec<(Part, f64)>,
}

/// What is looked at.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// What the detectors found.
    pub findings: &'a Findings,
    /// The changes that could matter.
    pub changes: &'a [Change],
    /// When the trouble began, microseconds since the epoch.
    pub onset: i64,
    /// Traffic by service; under [`NONE`] that of the whole system, if it is known.
    pub traffic: &'a HashMap<u32, Traffic>,
}

const NO_CHANGE: f64 = -2.0;
/// What is outside is changed by others, who seldom tell: "no recorded change" says less about it.
const NO_CHANGE_OUTSIDE: f64 = -1.2;
const BLAME_WEIGHT: f64 = 2.0;
const BLAME_FLOOR: f64 = 0.02;
const HOP: f64 = 0.5;
const MAX_HOPS: usize = 2;
/// Own blame of a service from which on a contrast within it counts in full: elsewhere it is about something else.
const CONCERNED: f64 = 0.25;
const AFTER_ONSET: f64 = -4.0;
const AFTER_ONSET_MICROS: i64 = 30_000_000;
const LEAD_FREE_SECONDS: f64 = 90.0;
const LEAD_SCALE_SECONDS: f64 = 180.0;
const LOAD_WEIGHT: f64 = 5.0;
/// Log-odds from which on the contrast of a tenant with the others makes it a candidate.
const TENANT_CONTRAST: f64 = 1.0;
/// Service hypotheses that are listed.
const MAX_SERVICES: usize = 25;
/// Log-odds that something happened where somebody asks.
const ASKED: f64 = 0.7;
/// Weight of "no change and no service" among the hypotheses without a change.
const LEFT_OVER: f64 = 0.02;

fn prior(change: &Change) -> f64 {
    let kind: f64 = match change.kind.as_str() {
        "provider" => 0.3,
        "deploy" | "config" | "feature_flag" => 0.0,
        "migration" | "infrastructure" => -0.3,
        "rollback" | "scale" => -0.8,
        _ => -0.5,
    };
    if change.succeeded { kind } else { kind - 1.5 }
}

/// The candidates, likeliest first.
#[must_use]
pub fn rank(evidence: &Evidence<'_>) -> Vec<Candidate> {
    let blame = Blame::of(evidence.findings);
    let mut candidates: Vec<(f64, Candidate)> = Vec::new();
    for (at, change) in evidence.changes.iter().enumerate() {
        candidates.push(score_change(evidence, at, change, &blame));
    }
    candidates.extend(without_change(evidence));
    let others: f64 =
        candidates.iter().filter(|other| other.1.cause != Cause::Nothing).map(|other| other.0.exp()).sum();
    let happened = something_happened(evidence.findings);
    for (score, candidate) in candidates.iter_mut().filter(|candidate| candidate.1.cause == Cause::Nothing) {
        let quiet = (score.exp() + others * (1.0 - happened) / happened.max(1e-12)).ln() - *score;
        *score += quiet;
        candidate.parts.push((Part::Quiet, quiet));
    }
    let scores = softmax(&candidates.iter().map(|candidate| candidate.0).collect::<Vec<_>>());
    let mut ranked: Vec<Candidate> =
        candidates.into_iter().zip(scores).map(|((_, candidate), score)| Candidate { score, ..candidate }).collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
    ranked
}

/// Probability that something happened at all: somebody saw reason to ask, but what was measured may be no more than
/// chance. A logistic curve that was fitted, at even odds, to 35 simulated incidents and 209 windows before them of two to
/// five minutes (seeds 500 to 504, 12,000 spans); 1 where nothing was counted.
#[must_use]
pub fn something_happened(findings: &Findings) -> f64 {
    let Some(surprise) = findings.surprise else { return 1.0 };
    let measured = 1.6 * surprise.first.asinh() + 1.2 * surprise.all.asinh() - 3.6;
    logistic(ASKED + measured)
}

/// Where the blame lies.
struct Blame {
    /// What reaches each service: see [`reached_blame`].
    reached: HashMap<u32, f64>,
    own: HashMap<u32, f64>,
    /// Sum of the blames, each to the power of its weight.
    whole: f64,
}

impl Blame {
    fn of(findings: &Findings) -> Self {
        let own: HashMap<u32, f64> = findings.suspects.iter().map(|suspect| (suspect.service, suspect.blame)).collect();
        let whole = own.values().map(|blame| blame.powf(BLAME_WEIGHT)).sum();
        Self { reached: reached_blame(findings), own, whole }
    }

    /// Log-odds of that much blame. Blame that is spread thinly over many says as little against a change as against
    /// the service itself.
    fn log_odds(&self, blame: f64) -> f64 {
        BLAME_WEIGHT * ((blame + BLAME_FLOOR) / (1.0 + BLAME_FLOOR)).ln() - self.whole.clamp(1e-12, 1.0).ln()
    }
}

/// The blame that reaches each service: its own, or that of a neighbour in the call graph, halved with every hop.
#[must_use]
pub fn reached_blame(findings: &Findings) -> HashMap<u32, f64> {
    let mut reached: HashMap<u32, f64> =
        findings.suspects.iter().map(|suspect| (suspect.service, suspect.blame)).collect();
    for _ in 0..MAX_HOPS {
        let mut next = reached.clone();
        for (caller, callee) in findings.edges.keys() {
            for (of, from) in [(caller, callee), (callee, caller)] {
                let passed = reached.get(from).copied().unwrap_or_default() * HOP;
                let known = next.entry(*of).or_default();
                *known = known.max(passed);
            }
        }
        reached = next;
    }
    reached
}

fn score_change(evidence: &Evidence<'_>, at: usize, change: &Change, blame: &Blame) -> (f64, Candidate) {
    let reaches = blame.reached.get(&change.service).copied().unwrap_or_default();
    let own = blame.own.get(&change.service).copied().unwrap_or_default();
    // Two causes have two onsets: the one where the change was made, if it can be seen there.
    let onset = evidence.findings.onsets.get(&change.service).map_or(evidence.onset, |nanos| nanos / 1000);
    let lead = onset - change.time;
    let parts = vec![
        (Part::Prior, prior(change)),
        (Part::Blame, blame.log_odds(reaches)),
        (Part::Cohort, cohort(evidence.findings, change, own)),
        (Part::LeadTime, lead_score(lead)),
    ];
    let score = parts.iter().map(|part| part.1).sum();
    let candidate = Candidate {
        cause: Cause::Change(at),
        service: change.service,
        score: 0.0,
        effect: reaches,
        lead_time: Some(lead),
        parts,
    };
    (score, candidate)
}

fn lead_score(lead: i64) -> f64 {
    if lead < -AFTER_ONSET_MICROS {
        return AFTER_ONSET;
    }
    let seconds = lead as f64 / 1e6;
    -(1.0 + (seconds - LEAD_FREE_SECONDS).max(0.0) / LEAD_SCALE_SECONDS).ln()
}

/// How the requests that a change concerns fared since the onset, how the others to the same service did, and what was
/// usual of both.
#[must_use]
pub fn sides(findings: &Findings, change: &Change) -> Option<(Cohort, Cohort, Cohort)> {
    let groups = findings.cohorts.get(&change.service)?;
    if change.version != NONE {
        return Some(split(groups, |group| match group {
            Group::Version(version) => Some(version == change.version),
            _ => None,
        }));
    }
    let new = new_variant(findings, change)?;
    Some(split(groups, |group| match group {
        Group::Flag(flag, variant) if flag == change.flag => Some(variant == new),
        _ => None,
    }))
}

/// The variant of a change's flag of which the share of the requests grew most.
#[must_use]
pub fn new_variant(findings: &Findings, change: &Change) -> Option<u32> {
    let flag = change.flag;
    let groups = findings.cohorts.get(&change.service)?;
    let variants: Vec<(u32, f64, f64)> = groups
        .iter()
        .filter_map(|(group, (before, during))| match group {
            Group::Flag(of, variant) if *of == flag => Some((*variant, before.visits, during.visits)),
            _ => None,
        })
        .collect();
    let before: f64 = variants.iter().map(|variant| variant.1).sum();
    let during: f64 = variants.iter().map(|variant| variant.2).sum();
    let grown = |variant: &(u32, f64, f64)| variant.2 / during.max(1.0) - variant.1 / before.max(1.0);
    let new = variants.iter().max_by(|a, b| grown(a).total_cmp(&grown(b)).then(b.0.cmp(&a.0)))?;
    Some(new.0)
}

/// The visits since the onset on both sides, and those before it.
fn split(groups: &Groups, is_new: impl Fn(Group) -> Option<bool>) -> (Cohort, Cohort, Cohort) {
    let (mut new, mut others, mut usual) = (Cohort::default(), Cohort::default(), Cohort::default());
    for (group, (before, during)) in groups {
        match is_new(*group) {
            Some(true) => new.add(during),
            Some(false) => others.add(during),
            None => continue,
        }
        usual.add(before);
    }
    (new, others, usual)
}

fn cohort(findings: &Findings, change: &Change, own_blame: f64) -> f64 {
    let contrast = sides(findings, change).map_or(0.0, |(new, others, usual)| contrast(&new, &others, &usual));
    if contrast > 0.0 { contrast * (own_blame / CONCERNED).min(1.0) } else { contrast }
}

/// The tenant whose requests to a service fare worst against those of the others, if any does. The worst of many is so
/// by chance as well: their number counts against it.
fn worst_tenant(findings: &Findings, service: u32) -> Option<(u32, f64)> {
    let mut tenants: Vec<(u32, &Cohort)> = Vec::new();
    let (mut all, mut usual) = (Cohort::default(), Cohort::default());
    for (group, (before, during)) in findings.cohorts.get(&service)? {
        if let Group::Tenant(tenant) = group {
            tenants.push((*tenant, during));
            all.add(during);
            usual.add(before);
        }
    }
    let chance = (tenants.len().max(1) as f64).ln();
    let contrasts = tenants.into_iter().map(|(tenant, cohort)| {
        let others = Cohort { visits: all.visits - cohort.visits, bad: all.bad - cohort.bad };
        (tenant, contrast(cohort, &others, &usual) - chance)
    });
    let worst = contrasts.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))?;
    (worst.1 > TENANT_CONTRAST).then_some(worst)
}

/// How far growth of traffic explains what is odd about a service, and the tenant that it came from: more load makes a
/// service slow, it breaks nothing. A shift between services, with the whole system as busy as before, is no load unless
/// it is one tenant's.
fn own_load(evidence: &Evidence<'_>, suspect: &Suspect) -> (f64, Option<u32>) {
    let Some(traffic) = evidence.traffic.get(&suspect.service).filter(|_| !suspect.external) else {
        return (0.0, None);
    };
    let slow = suspect.latency.effect + suspect.gap.effect;
    let share = if slow > 0.0 { slow / (slow + suspect.structure.effect) } else { 0.0 };
    // A resource used beyond what the traffic grew by is not the traffic's doing.
    let share = share * (1.0 - suspect.resource.as_ref().map_or(0.0, |(_, saturation)| saturation.strength));
    let system = evidence.traffic.get(&NONE);
    // The whole system shows who sends more with less chance in it than one service does.
    let source = system.and_then(Traffic::source).filter(|tenant| traffic.more_from(*tenant));
    let source = source.or_else(|| traffic.source());
    let most = match (source, system) {
        (None, Some(system)) => 2.0 * system.growth(None),
        _ => f64::INFINITY,
    };
    (share * traffic.growth(system).min(most), source)
}

fn without_change(evidence: &Evidence<'_>) -> Vec<(f64, Candidate)> {
    let suspects: Vec<&Suspect> =
        evidence.findings.suspects.iter().filter(|suspect| suspect.strength > 0.0).take(MAX_SERVICES).collect();
    let squares: f64 = suspects.iter().map(|suspect| suspect.blame.powf(BLAME_WEIGHT)).sum();
    let blame = |suspect: &Suspect| suspect.blame.powf(BLAME_WEIGHT) / squares.max(1e-12);
    let loads: Vec<(f64, Option<u32>)> = suspects.iter().map(|suspect| own_load(evidence, suspect)).collect();
    // The bonus is for "no change" as a whole: which service it was is for the blame alone to say.
    let shared: f64 = suspects.iter().zip(&loads).map(|(suspect, (load, _))| blame(suspect) * load).sum();
    let mut rows = Vec::new();
    let mut push = |cause: Cause, suspect: &Suspect, parts: Vec<(Part, f64)>| {
        let score = parts.iter().map(|part| part.1).sum();
        let (service, effect) = (suspect.service, suspect.blame);
        rows.push((score, Candidate { cause, service, score: 0.0, effect, lead_time: None, parts }));
    };
    for (suspect, (load, source)) in suspects.iter().zip(loads) {
        let prior = (Part::Prior, if suspect.external { NO_CHANGE_OUTSIDE } else { NO_CHANGE });
        let blame = (Part::Blame, blame(suspect).ln());
        let cause = match source {
            Some(tenant) if load > 0.0 => Cause::Tenant(tenant),
            None if load > 0.0 => Cause::Load,
            _ if suspect.external => Cause::Dependency,
            _ => Cause::Service,
        };
        push(cause.clone(), suspect, vec![prior, blame, (Part::Load, LOAD_WEIGHT * shared)]);
        if let Some((tenant, contrast)) = worst_tenant(evidence.findings, suspect.service)
            && cause != Cause::Tenant(tenant)
        {
            push(Cause::Tenant(tenant), suspect, vec![prior, blame, (Part::Cohort, contrast)]);
        }
    }
    let left = if rows.is_empty() { 0.0 } else { LEFT_OVER.ln() };
    let parts = vec![(Part::Prior, NO_CHANGE + left)];
    let nothing = Candidate { cause: Cause::Nothing, service: NONE, score: 0.0, effect: 0.0, lead_time: None, parts };
    rows.push((NO_CHANGE + left, nothing));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn findings(blames: &[f64]) -> Findings {
        let slow = super::super::detectors::Finding { effect: 1.0, consistency: 1.0 };
        let suspects = blames
            .iter()
            .zip(0..)
            .map(|(&blame, service)| Suspect { service, blame, strength: blame, latency: slow, ..Suspect::default() })
            .collect();
        Findings { suspects, ..Findings::default() }
    }

    fn change(id: &str, service: u32, time: i64) -> Change {
        Change {
            id: id.into(),
            kind: "deploy".into(),
            service,
            version: NONE,
            flag: NONE,
            time,
            succeeded: true,
            recorded: true,
        }
    }

    fn ranked(findings: &Findings, changes: &[Change], traffic: &HashMap<u32, Traffic>) -> Vec<Candidate> {
        let ranked = rank(&Evidence { findings, changes, onset: 1000 * SECOND, traffic });
        assert!((ranked.iter().map(|candidate| candidate.score).sum::<f64>() - 1.0).abs() < 1e-9);
        ranked
    }

    #[test]
    fn the_change_to_the_blamed_service_just_before_wins() {
        let changes = [
            change("elsewhere", 2, 990 * SECOND),
            change("it", 0, 980 * SECOND),
            change("after", 0, 1100 * SECOND),
            change("long ago", 0, -20_000 * SECOND),
        ];
        let all = ranked(&findings(&[0.8, 0.1, 0.1]), &changes, &HashMap::new());
        assert_eq!(all[0].cause, Cause::Change(1));
        assert_eq!(all[0].lead_time, Some(20 * SECOND));
        assert!(all[0].score > 0.5, "{all:?}");
    }

    #[test]
    fn without_a_plausible_change_the_service_itself_is_first() {
        let all = ranked(&findings(&[0.7, 0.3]), &[change("after", 0, 1200 * SECOND)], &HashMap::new());
        assert_eq!((all[0].cause.clone(), all[0].service), (Cause::Service, 0));
        let none = ranked(&findings(&[]), &[], &HashMap::new());
        assert_eq!(none[0].cause, Cause::Nothing);
    }

    #[test]
    fn a_canary_that_fares_like_the_old_version_is_cleared() {
        let mut found = findings(&[1.0]);
        let during = |visits, bad| (Cohort::default(), Cohort { visits, bad });
        found.cohorts.entry(0).or_default().insert(Group::Version(1), during(500.0, 100.0));
        found.cohorts.entry(0).or_default().insert(Group::Version(2), during(100.0, 20.0));
        found.cohorts.entry(0).or_default().insert(Group::Tenant(2), during(600.0, 120.0));
        let canary = Change { version: 2, ..change("canary", 0, 950 * SECOND) };
        assert!(cohort(&found, &canary, 1.0) < -1.0, "{}", cohort(&found, &canary, 1.0));
        found.cohorts.entry(0).or_default().insert(Group::Version(1), during(500.0, 2.0));
        assert_eq!(cohort(&found, &canary, 1.0), 3.0);
        assert_eq!(cohort(&found, &canary, 0.0), 0.0, "in a service that is not to blame it is about something else");
        found.cohorts.entry(0).or_default().insert(Group::Version(2), during(100.0, 0.0));
        found.cohorts.entry(0).or_default().insert(Group::Version(1), during(500.0, 100.0));
        assert_eq!(cohort(&found, &canary, 1.0), -3.0);
    }

    #[test]
    fn the_variant_that_came_with_a_flag_is_compared_with_the_other() {
        let mut found = findings(&[1.0]);
        let cohorts =
            |before, during, bad| (Cohort { visits: before, bad: before / 100.0 }, Cohort { visits: during, bad });
        let (off, on) = (Group::Flag(4, 0), Group::Flag(4, 1));
        found.cohorts.entry(0).or_default().insert(off, cohorts(1000.0, 200.0, 2.0));
        found.cohorts.entry(0).or_default().insert(on, cohorts(0.0, 200.0, 80.0));
        let flipped = Change { flag: 4, ..change("flag", 0, 950 * SECOND) };
        assert_eq!(cohort(&found, &flipped, 1.0), 3.0);
        found.cohorts.entry(0).or_default().insert(off, cohorts(1000.0, 200.0, 80.0));
        assert!(cohort(&found, &flipped, 1.0) < -1.0);
        assert_eq!(cohort(&found, &Change { flag: 5, ..flipped }, 1.0), 0.0);
    }

    #[test]
    fn grown_traffic_of_one_tenant_beats_a_deploy_that_proves_nothing() {
        let mut tenants = HashMap::from([(1, (5.0, 5.0)), (2, (5.0, 20.0))]);
        let traffic = |tenants: &HashMap<u32, (f64, f64)>| {
            let seen = (1000.0, 1000.0);
            HashMap::from([(0, Traffic { before: 10.0, during: 25.0, seen, tenants: tenants.clone() })])
        };
        let all = ranked(&findings(&[0.9, 0.1]), &[change("near", 0, 990 * SECOND)], &traffic(&tenants));
        assert_eq!(all[0].cause, Cause::Tenant(2));
        tenants = HashMap::from([(1, (5.0, 12.0)), (2, (5.0, 13.0))]);
        let spread = ranked(&findings(&[0.9, 0.1]), &[change("near", 0, 990 * SECOND)], &traffic(&tenants));
        assert_eq!(spread[0].cause, Cause::Load);
    }

    #[test]
    fn a_tenant_whose_requests_alone_fail_is_a_cause() {
        let mut found = findings(&[0.9, 0.1]);
        let usual = Cohort { visits: 500.0, bad: 2.0 };
        for (tenant, bad) in [(1, 2.0), (2, 1.0), (3, 60.0)] {
            found.cohorts.entry(0).or_default().insert(Group::Tenant(tenant), (usual, Cohort { visits: 100.0, bad }));
        }
        let all = ranked(&found, &[], &HashMap::new());
        assert_eq!((all[0].cause.clone(), all[0].service), (Cause::Tenant(3), 0));
    }

    #[test]
    fn blame_is_halved_with_every_hop() {
        let mut found = findings(&[1.0]);
        found.edges.insert((5, 0), 10.0);
        found.edges.insert((6, 5), 10.0);
        let reached = Blame::of(&found).reached;
        assert_eq!((reached[&5], reached[&6]), (0.5, 0.25));
    }

    #[test]
    fn lead_time_counts_as_written() {
        assert_eq!(lead_score(60 * SECOND), 0.0);
        assert_eq!(lead_score(-20 * SECOND), 0.0);
        assert_eq!(lead_score(-31 * SECOND), -4.0);
        assert!((lead_score(270 * SECOND) + 2.0_f64.ln()).abs() < 1e-12);
    }
}
