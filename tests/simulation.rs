//! What is answered about a simulated company, against the truth about it.

use std::collections::{BTreeMap, BTreeSet};

use ascribe::simulate::{self, DEFAULT_START, Plan, Scenario};
use serde_json::Value;

use crate::company::{self, Company};

/// Long enough for every call that a simulation records.
const CALLS: &str = "access_attribution('2026-03-01T00:00:00Z', '2026-04-01T00:00:00Z')";

async fn audited(scenario: Scenario, seed: u64) -> Company {
    let plan = Plan { scenario, seed, spans: 1000, start: DEFAULT_START };
    company::land(&plan, &["otlp", "focus", "backstage"]).await
}

/// Who is behind each call, by event: kind, identity, CI run, hops, reason.
async fn attributed(company: &Company) -> BTreeMap<String, Vec<Option<String>>> {
    let sql = format!("SELECT event_id, origin_kind, origin_identity, pipeline_run_id, hops, reason FROM {CALLS}");
    let mut found = BTreeMap::new();
    for mut row in company.rows(&sql).await {
        let event = row.remove(0).unwrap();
        assert!(found.insert(event.clone(), row).is_none(), "{event} is attributed twice");
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_event_resolves_to_who_was_behind_it_and_nobody_is_invented() {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for (scenario, seed) in
        [(Scenario::BadDeploy, 1), (Scenario::LeakedCiKey, 2), (Scenario::CostSpike, 33), (Scenario::LeakedCiKey, 104)]
    {
        let company = audited(scenario, seed).await;
        let found = attributed(&company).await;
        let events = company.one("SELECT count(*) FROM iam_events").await;
        assert_eq!(found.len().to_string(), events, "every call has one row");
        let origins = company.truth["access"]["origins"].as_array().unwrap();
        let mut real: BTreeSet<&str> = BTreeSet::new();
        for origin in origins {
            let text = |key: &str| origin[key].as_str().filter(|text| !text.is_empty());
            let row = &found[text("event_id").unwrap()];
            let cell = |at: usize| row[at].as_deref();
            let kind = text("origin_kind").unwrap();
            *kinds.entry(kind.to_owned()).or_default() += 1;
            real.extend(text("origin_identity"));
            assert_eq!((cell(0), cell(1)), (Some(kind), text("origin_identity")), "{origin} {row:?}");
            assert_eq!(cell(2), text("pipeline_run_id"), "{origin} {row:?}");
            if kind == "unknown" {
                assert!(cell(4).is_some_and(|reason| reason.contains("is not in the logs")), "{row:?}");
            } else {
                assert_eq!(cell(3), Some(origin["hops"].to_string().as_str()), "{origin} {row:?}");
            }
        }
        // What calls without a role are attributed to is written in the call itself.
        let sql = "SELECT principal_arn, principal_name, federated_subject, invoked_by FROM iam_events \
                   WHERE principal_type IS DISTINCT FROM 'AssumedRole'";
        let written: BTreeSet<String> = company.rows(sql).await.into_iter().flatten().flatten().collect();
        for (event, row) in &found {
            if let Some(identity) = row[1].as_deref() {
                assert!(real.contains(identity) || written.contains(identity), "{event}: {identity} is invented");
            }
        }
    }
    let met: BTreeSet<&str> = kinds.keys().map(String::as_str).collect();
    assert_eq!(met, BTreeSet::from(["ci_job", "human", "provider", "unknown", "workload"]), "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stolen_key_of_a_job_shows_as_one_run_at_two_addresses() {
    for seed in [5, 6, 77] {
        let company = audited(Scenario::LeakedCiKey, seed).await;
        let leak = &company.truth["access"]["leak"];
        let sql = format!(
            "SELECT pipeline_run_id, origin_identity FROM {CALLS} JOIN iam_events USING (event_id) \
             WHERE origin_kind = 'ci_job' GROUP BY 1, 2 HAVING count(DISTINCT source_ip) > 1"
        );
        let run = leak["pipeline_run_id"].as_str().unwrap();
        let suspicious = company.rows(&sql).await;
        let expected = [run, leak["federated_subject"].as_str().unwrap()].map(|text| Some(text.to_owned()));
        assert_eq!(suspicious, [expected.to_vec()], "seed {seed}");

        let sql = format!(
            "SELECT event_id, iam_events.event_name FROM {CALLS} JOIN iam_events USING (event_id) WHERE pipeline_run_id = '{run}' \
             AND source_ip = '{}'",
            leak["source_ip"].as_str().unwrap()
        );
        let mut calls = company.rows(&sql).await;
        // The hop to the role that may read secrets is not in the list of what was done.
        calls.retain(|row| row[1].as_deref() != Some("AssumeRole"));
        let stolen: BTreeSet<&str> = calls.iter().filter_map(|row| row[0].as_deref()).collect();
        let truly: BTreeSet<&str> = leak["event_ids"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(stolen, truly, "seed {seed}");
    }
}

/// What the alerting service measured in one phase.
#[derive(Debug)]
struct Phase {
    requests: f64,
    errors: f64,
    mean_ms: f64,
}

impl Phase {
    fn rate(&self) -> f64 {
        self.errors / self.requests
    }
}

/// The trouble of a plan as its alerting service saw it.
struct Trouble {
    signal: String,
    before: Phase,
    during: Phase,
}

impl Trouble {
    fn of(scenario: Scenario, seed: u64, spans: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plan = Plan { scenario, seed, spans, start: DEFAULT_START };
        let summary = simulate::run(&plan, folder.path()).unwrap();
        let truth: Value = serde_json::from_slice(&std::fs::read(summary.truth).unwrap()).unwrap();
        let name = &truth["incident"]["service_name"];
        let row = truth["services"].as_array().unwrap().iter().find(|row| row["service_name"] == *name).unwrap();
        let [before, during] = ["before", "during"].map(|phase| {
            let number = |key: &str| row[phase][key].as_f64().unwrap();
            Phase { requests: number("requests"), errors: number("errors"), mean_ms: number("mean_ms") }
        });
        assert!(before.requests >= 10.0 && during.requests >= 10.0, "{name}: {before:?} {during:?}");
        Self { signal: truth["incident"]["signal"].as_str().unwrap().to_owned(), before, during }
    }

    fn is_seen(&self) -> bool {
        if self.signal == "errors" {
            self.during.rate() > self.before.rate() + 0.015
        } else {
            self.during.mean_ms > self.before.mean_ms * 1.12
        }
    }
}

/// The probability of at most `most` errors in `requests` requests that each fail with probability `rate`.
fn at_most(most: f64, requests: f64, rate: f64) -> f64 {
    let mut term = (1.0 - rate).powf(requests);
    let mut sum = term;
    for errors in 1..=most as u64 {
        term *= (requests - errors as f64 + 1.0) / errors as f64 * rate / (1.0 - rate);
        sum += term;
    }
    sum
}

#[test]
fn trouble_reaches_the_service_that_alerts() {
    const TROUBLED: [Scenario; 7] = [
        Scenario::BadDeploy,
        Scenario::BadConfig,
        Scenario::InnocentDeploy,
        Scenario::TwoCauses,
        Scenario::SlowDependency,
        Scenario::NoChange,
        Scenario::NoisyTenant,
    ];
    const SEEDS: std::ops::Range<u64> = 1..4;
    for (scenario, seed) in TROUBLED.iter().flat_map(|scenario| SEEDS.map(|seed| (*scenario, seed))) {
        let trouble = Trouble::of(scenario, seed, 15_000);
        let Trouble { signal, before, during } = &trouble;
        if scenario == Scenario::NoChange {
            assert!(during.rate() < before.rate() + 0.02, "load alone raises no errors: {before:?} {during:?}");
        }
        if trouble.is_seen() {
            continue;
        }
        // So small a volume leaves some services a few dozen requests, among which a rare failure may not be. It is
        // there if a larger volume shows it, and chance hid it if what was seen is not improbable at the larger one's rate:
        // the level is that of one false alarm in a hundred for all of these incidents together.
        let large = Trouble::of(scenario, seed, 240_000);
        let name = scenario.name();
        assert!(large.is_seen(), "{name} {seed} has no effect: {:?} {:?}", large.before, large.during);
        assert_eq!(signal, "errors", "{name} {seed}: durations are not that rare: {before:?} {during:?}");
        let chance = at_most(during.errors, during.requests, large.during.rate());
        let level = 0.01 / (TROUBLED.len() as f64 * SEEDS.count() as f64);
        assert!(chance > level, "{name} {seed} was hidden with probability {chance}: {during:?} {:?}", large.during);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_clusters_are_split_by_traced_demand_and_the_bill_adds_up() {
    let plan = Plan { scenario: Scenario::BadDeploy, seed: 52, spans: 4000, start: DEFAULT_START };
    let company = company::land(&plan, &["cloudtrail", "backstage", "github", "cdevents"]).await;
    let window = format!("'{}', '2026-03-01T00:00:00Z', '2026-04-01T00:00:00Z'", simulate::RULE_SET);
    let billed = company.truth["cost"]["total"].as_array().unwrap().iter().filter(|row| row["period"] == "2026-03");
    let billed: BTreeMap<String, String> = billed
        .map(|row| {
            (row["currency"].as_str().unwrap().to_owned(), format!("{}00", row["billed_cost"].as_str().unwrap()))
        })
        .collect();
    let sql = format!("SELECT billing_currency, sum(allocated_cost) FROM allocate_cost({window}) GROUP BY 1");
    let allocated = company.rows(&sql).await.into_iter().map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap()));
    assert_eq!(allocated.collect::<BTreeMap<_, _>>(), billed);
    let wrong = format!("SELECT count(*) FROM allocation_check({window}) WHERE residual <> 0");
    assert_eq!(company.one(&wrong).await, "0");

    // The same work, added up from the spans that another function returns.
    for (cluster, workload) in [("shared-a", "inventory"), ("shared-b", "user-profile")] {
        let sql = format!(
            "SELECT service_name, owner, CAST(sum(allocated_cost) AS double) FROM allocate_cost({window}) \
             WHERE method = 'demand' AND resource_name = '{cluster}' GROUP BY 1, 2"
        );
        let parts = company.rows(&sql).await;
        let whole: f64 = parts.iter().map(|row| row[2].as_deref().unwrap().parse::<f64>().unwrap()).sum();
        let work = format!(
            "SELECT root_service, sum(self_time_nano * coalesce(adjusted_count, 1)) FROM \
             span_tree('2026-03-01T00:00:00Z', '2026-04-01T00:00:00Z') WHERE service_name = '{workload}' GROUP BY 1"
        );
        let work: BTreeMap<String, f64> = company
            .rows(&work)
            .await
            .into_iter()
            .map(|row| (row[0].clone().unwrap(), row[1].as_deref().unwrap().parse().unwrap()))
            .collect();
        let total: f64 = work.values().sum();
        let owners: BTreeSet<&str> = parts.iter().filter_map(|row| row[1].as_deref()).collect();
        assert!(owners.len() > 1 && !owners.contains("__unallocated__"), "{cluster}: {parts:?}");
        let mut shares: BTreeMap<&str, f64> = BTreeMap::new();
        for row in &parts {
            let cost: f64 = row[2].as_deref().unwrap().parse().unwrap();
            *shares.entry(row[0].as_deref().unwrap()).or_default() += cost / whole;
        }
        for (service, share) in shares {
            let worked = work.get(service).copied().unwrap_or_default() / total;
            assert!((share - worked).abs() < 0.02, "{cluster} {service}: {share} of the cost, {worked} of the work");
        }
    }
}
