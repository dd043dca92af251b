//! What is answered about a simulated company, against the truth about it.

use std::collections::{BTreeMap, BTreeSet};

use ascribe::simulate::{DEFAULT_START, Plan, Scenario};
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
    for (scenario, seed) in [(Scenario::BadDeploy, 1), (Scenario::LeakedCiKey, 2), (Scenario::CostSpike, 33), (Scenario::LeakedCiKey, 104)] {
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
