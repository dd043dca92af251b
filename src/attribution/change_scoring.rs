//! From what was found to causes: every recorded change, every service, and "no change explains it" compete.
//!
//! The score of a change is a sum of log-odds: how often changes of its kind cause incidents, how much blame reaches
//! the changed service, whether the new version fares worse than the old one at the same time, and whether the trouble
//! began when it should have. The hypothesis that no change did it is spread over the services by their blame, with a
//! bonus for a service whose traffic grew. A soft-max over all of them makes them comparable.

use std::collections::HashMap;

use super::detectors::{Cohort, Findings, Suspect};
use super::stats::softmax;
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
    /// When it began to act, microseconds since the epoch.
    pub time: i64,
    /// Whether it came to pass: a failed or cancelled change counts less.
    pub succeeded: bool,
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

/// Traffic of a service: requests a second before and during, and by tenant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Traffic {
    /// Traces a second before.
    pub before: f64,
    /// Traces a second during.
    pub during: f64,
    /// The same by tenant.
    pub tenants: HashMap<u32, (f64, f64)>,
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
const BLAME_WEIGHT: f64 = 2.2;
const BLAME_FLOOR: f64 = 0.02;
const HOP: f64 = 0.5;
const MAX_HOPS: usize = 2;
const COHORT_CAP: f64 = 3.0;
/// Standard errors between two cohorts from which on their contrast counts in full.
const SURE_STANDARD_ERRORS: f64 = 3.0;
const AFTER_ONSET: f64 = -4.0;
const AFTER_ONSET_MICROS: i64 = 30_000_000;
const LEAD_FREE_SECONDS: f64 = 90.0;
const LEAD_SCALE_SECONDS: f64 = 180.0;
const LOAD_GROWTH: f64 = 1.4;
const LOAD_WEIGHT: f64 = 4.0;
const LOAD_CAP: f64 = 1.2;
const TENANT_SHARE: f64 = 0.5;
/// Service hypotheses that are listed.
const MAX_SERVICES: usize = 25;
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
    let blame = reach(evidence.findings);
    let mut candidates: Vec<(f64, Candidate)> = Vec::new();
    for (at, change) in evidence.changes.iter().enumerate() {
        candidates.push(score_change(evidence, at, change, &blame));
    }
    candidates.extend(without_change(evidence));
    let scores = softmax(&candidates.iter().map(|candidate| candidate.0).collect::<Vec<_>>());
    let mut ranked: Vec<Candidate> =
        candidates.into_iter().zip(scores).map(|((_, candidate), score)| Candidate { score, ..candidate }).collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
    ranked
}

/// Blame that reaches each service: its own, or that of a neighbour in the call graph, halved with every hop.
fn reach(findings: &Findings) -> HashMap<u32, (f64, usize)> {
    let mut reached: HashMap<u32, (f64, usize)> =
        findings.suspects.iter().map(|suspect| (suspect.service, (suspect.blame, 0))).collect();
    for hop in 1..=MAX_HOPS {
        let mut next = reached.clone();
        for (caller, callee) in findings.edges.keys() {
            for (of, from) in [(caller, callee), (callee, caller)] {
                let passed = reached.get(from).map_or(0.0, |blame| blame.0) * HOP;
                let known = next.entry(*of).or_insert((0.0, hop));
                if passed > known.0 {
                    *known = (passed, hop);
                }
            }
        }
        reached = next;
    }
    reached
}

fn score_change(
    evidence: &Evidence<'_>,
    at: usize,
    change: &Change,
    blame: &HashMap<u32, (f64, usize)>,
) -> (f64, Candidate) {
    let (reaches, _) = blame.get(&change.service).copied().unwrap_or_default();
    let lead = evidence.onset - change.time;
    let parts = vec![
        (Part::Prior, prior(change)),
        (Part::Blame, BLAME_WEIGHT * ((reaches + BLAME_FLOOR) / (1.0 + BLAME_FLOOR)).ln()),
        (Part::Cohort, cohort(evidence.findings, change)),
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

/// How much worse the new version fares than the others in the same window: the log of the ratio of the shares of bad
/// visits, drawn to 0 where there are few.
fn cohort(findings: &Findings, change: &Change) -> f64 {
    if change.version == NONE || change.service == NONE {
        return 0.0;
    }
    let (mut new, mut old) = (Cohort::default(), Cohort::default());
    for ((service, version), (_, during)) in &findings.cohorts {
        if *service == change.service {
            let side = if *version == change.version { &mut new } else { &mut old };
            side.visits += during.visits;
            side.bad += during.bad;
        }
    }
    let few = new.visits.min(old.visits);
    if few < 3.0 {
        return 0.0;
    }
    let pooled = (new.bad + old.bad + 0.5) / (new.visits + old.visits + 1.0);
    let share = |cohort: &Cohort| (cohort.bad + 4.0 * pooled) / (cohort.visits + 4.0);
    let contrast = 2.0 * (share(&new) / share(&old)).ln();
    // A ratio of rare things is mostly chance: it counts by how far apart the shares are in standard errors.
    let error = (pooled * (1.0 - pooled) * (1.0 / new.visits + 1.0 / old.visits)).sqrt();
    let apart = (new.bad / new.visits - old.bad / old.visits).abs() / error.max(1e-12);
    let sure = (apart / SURE_STANDARD_ERRORS).min(1.0);
    (contrast * sure * (few / (few + 10.0))).clamp(-COHORT_CAP, COHORT_CAP)
}

/// Growth of a service's traffic on the scale of the load score: 0 for none, 1 for twice [`LOAD_GROWTH`].
fn load(traffic: Option<&Traffic>) -> f64 {
    let Some(traffic) = traffic.filter(|traffic| traffic.before > 0.0) else { return 0.0 };
    let growth = traffic.during / traffic.before / LOAD_GROWTH;
    (growth.ln() / 2.0_f64.ln()).clamp(0.0, LOAD_CAP)
}

/// How far growth of traffic explains what is odd about a service: more load makes it slow, it breaks nothing; and a
/// shift between services, with the whole system as busy as before, is no load.
fn own_load(evidence: &Evidence<'_>, suspect: &Suspect) -> f64 {
    let slow = suspect.latency.effect + suspect.gap.effect;
    let share = if slow > 0.0 { slow / (slow + suspect.structure.effect) } else { 0.0 };
    // A resource used beyond what the traffic grew by is not the traffic's doing.
    let share = share * (1.0 - suspect.resource.as_ref().map_or(0.0, |(_, saturation)| saturation.strength));
    let system = evidence.traffic.get(&NONE).map_or(LOAD_CAP, |system| 2.0 * load(Some(system)));
    share * load(evidence.traffic.get(&suspect.service)).min(system)
}

/// The tenant that most of the growth came from, if there is one.
fn tenant(traffic: &Traffic) -> Option<u32> {
    let grown = traffic.during - traffic.before;
    let (tenant, (before, during)) = traffic
        .tenants
        .iter()
        .filter(|(tenant, _)| **tenant != NONE)
        .max_by(|a, b| (a.1.1 - a.1.0).total_cmp(&(b.1.1 - b.1.0)).then(b.0.cmp(a.0)))?;
    (traffic.tenants.len() > 1 && during - before > TENANT_SHARE * grown && during / grown.max(1e-9) > 0.0)
        .then_some(*tenant)
}

fn without_change(evidence: &Evidence<'_>) -> Vec<(f64, Candidate)> {
    let suspects: Vec<&Suspect> =
        evidence.findings.suspects.iter().filter(|suspect| suspect.strength > 0.0).take(MAX_SERVICES).collect();
    let squares: f64 = suspects.iter().map(|suspect| suspect.blame * suspect.blame).sum();
    // The bonus is for "no change" as a whole: which service it was is for the blame alone to say.
    let shared: f64 = suspects
        .iter()
        .filter(|suspect| !suspect.external)
        .map(|suspect| suspect.blame * suspect.blame / squares.max(1e-12) * own_load(evidence, suspect))
        .sum();
    let mut rows = Vec::new();
    for suspect in suspects {
        let traffic = evidence.traffic.get(&suspect.service);
        let load = if suspect.external { 0.0 } else { own_load(evidence, suspect) };
        let cause = match traffic.filter(|_| load > 0.0).map(tenant) {
            Some(Some(tenant)) => Cause::Tenant(tenant),
            Some(None) => Cause::Load,
            None if suspect.external => Cause::Dependency,
            None => Cause::Service,
        };
        let parts = vec![
            (Part::Prior, if suspect.external { NO_CHANGE_OUTSIDE } else { NO_CHANGE }),
            (Part::Blame, (suspect.blame * suspect.blame / squares.max(1e-12)).ln()),
            (Part::Load, LOAD_WEIGHT * shared),
        ];
        let score = parts.iter().map(|part| part.1).sum();
        rows.push((
            score,
            Candidate { cause, service: suspect.service, score: 0.0, effect: suspect.blame, lead_time: None, parts },
        ));
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
        Change { id: id.into(), kind: "deploy".into(), service, version: NONE, time, succeeded: true }
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
        found.cohorts.insert((0, 1), during(500.0, 100.0));
        found.cohorts.insert((0, 2), during(100.0, 20.0));
        let canary = Change { version: 2, ..change("canary", 0, 950 * SECOND) };
        let part = |found: &Findings| cohort(found, &canary);
        assert!(part(&found).abs() < 0.1, "{}", part(&found));
        found.cohorts.insert((0, 1), during(500.0, 2.0));
        assert!(part(&found) > 2.0);
        found.cohorts.insert((0, 2), during(100.0, 0.0));
        found.cohorts.insert((0, 1), during(500.0, 100.0));
        assert!(part(&found) < -1.0);
    }

    #[test]
    fn grown_traffic_of_one_tenant_beats_an_idle_deploy() {
        let mut tenants = HashMap::from([(1, (5.0, 5.0)), (2, (5.0, 20.0))]);
        let traffic = |tenants: &HashMap<u32, (f64, f64)>| {
            HashMap::from([(0, Traffic { before: 10.0, during: 25.0, tenants: tenants.clone() })])
        };
        let all = ranked(&findings(&[0.9, 0.1]), &[change("near", 1, 990 * SECOND)], &traffic(&tenants));
        assert_eq!(all[0].cause, Cause::Tenant(2));
        tenants.insert(1, (5.0, 12.0));
        tenants.insert(2, (5.0, 13.0));
        tenants.insert(3, (0.0, 0.0));
        let spread = ranked(&findings(&[0.9, 0.1]), &[], &traffic(&tenants));
        assert!(matches!(spread[0].cause, Cause::Tenant(_) | Cause::Load));
    }

    #[test]
    fn blame_is_halved_with_every_hop() {
        let mut found = findings(&[1.0]);
        found.edges.insert((5, 0), 10.0);
        found.edges.insert((6, 5), 10.0);
        let reached = reach(&found);
        assert_eq!(reached[&5], (0.5, 1));
        assert_eq!(reached[&6], (0.25, 2));
    }

    #[test]
    fn lead_time_counts_as_written() {
        assert_eq!(lead_score(60 * SECOND), 0.0);
        assert_eq!(lead_score(-20 * SECOND), 0.0);
        assert_eq!(lead_score(-31 * SECOND), -4.0);
        assert!((lead_score(270 * SECOND) + 2.0_f64.ln()).abs() < 1e-12);
    }
}
