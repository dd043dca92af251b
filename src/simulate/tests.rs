//! What a generated directory promises.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::*;

fn generate(scenario: Scenario, seed: u64, spans: u64) -> (tempfile::TempDir, Value) {
    let directory = tempfile::tempdir().unwrap();
    let summary = run(&Plan { scenario, seed, spans, start: DEFAULT_START }, directory.path()).unwrap();
    let truth = serde_json::from_slice(&std::fs::read(summary.truth).unwrap()).unwrap();
    (directory, truth)
}

fn digest(directory: &Path) -> BTreeMap<String, String> {
    let files = walkdir::WalkDir::new(directory).into_iter().map(Result::unwrap).filter(|e| e.file_type().is_file());
    files
        .map(|entry| {
            let name = entry.path().strip_prefix(directory).unwrap().display().to_string();
            (name, hex::encode(Sha256::digest(std::fs::read(entry.path()).unwrap())))
        })
        .collect()
}

#[test]
fn the_same_plan_gives_the_same_bytes() {
    let (first, _) = generate(Scenario::TwoCauses, 11, 2_000);
    let (again, _) = generate(Scenario::TwoCauses, 11, 2_000);
    let (other, _) = generate(Scenario::TwoCauses, 12, 2_000);
    assert_eq!(digest(first.path()), digest(again.path()));
    let (first, other) = (digest(first.path()), digest(other.path()));
    for name in ["truth.json", "otlp/traces-0001.jsonl.gz", "otlp/logs-0001.jsonl.gz", "focus/2026-03.csv"] {
        assert_ne!(first[name], other[name], "{name}");
    }
}

#[derive(Debug)]
struct Sent {
    trace: String,
    parent: Option<String>,
    start: i64,
    end: i64,
    kind: i64,
    failed: bool,
    state: Option<String>,
}

fn lines(directory: &Path, prefix: &str) -> Vec<Value> {
    let mut lines = Vec::new();
    for import in manifest(directory).unwrap() {
        for path in import.paths {
            if path.file_name().unwrap().to_string_lossy().starts_with(prefix) {
                let reader = BufReader::new(GzDecoder::new(std::fs::File::open(path).unwrap()));
                lines.extend(reader.lines().map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap()));
            }
        }
    }
    lines
}

fn attribute<'v>(attributes: &'v Value, key: &str) -> &'v str {
    let found = attributes.as_array().unwrap().iter().find(|a| a["key"] == key).unwrap();
    found["value"]["stringValue"].as_str().unwrap()
}

/// All spans, in the true time.
fn spans(directory: &Path, truth: &Value) -> BTreeMap<String, Sent> {
    let mut spans = BTreeMap::new();
    for line in lines(directory, "traces") {
        for resource in line["resourceSpans"].as_array().unwrap() {
            let instance = attribute(&resource["resource"]["attributes"], "service.instance.id");
            let skew = truth["clock_offset_nano"][instance].as_i64().unwrap();
            for span in resource["scopeSpans"][0]["spans"].as_array().unwrap() {
                let time = |key: &str| span[key].as_str().unwrap().parse::<i64>().unwrap() - skew;
                let sent = Sent {
                    trace: span["traceId"].as_str().unwrap().to_owned(),
                    parent: span["parentSpanId"].as_str().map(str::to_owned),
                    start: time("startTimeUnixNano"),
                    end: time("endTimeUnixNano"),
                    kind: span["kind"].as_i64().unwrap(),
                    failed: span["status"]["code"] == 2,
                    state: span["traceState"].as_str().map(str::to_owned),
                };
                let known = spans.insert(span["spanId"].as_str().unwrap().to_owned(), sent);
                assert!(known.is_none(), "span ids are unique");
            }
        }
    }
    spans
}

#[test]
fn spans_form_trees_but_for_the_lost_ones() {
    let (directory, truth) = generate(Scenario::SlowDependency, 4, 6_000);
    let spans = spans(directory.path(), &truth);
    let counts = &truth["counts"];
    assert_eq!(spans.len() as u64, counts["spans"].as_u64().unwrap());
    assert!((4_800..7_200).contains(&spans.len()), "{} spans", spans.len());
    let orphans = spans.values().filter(|s| s.parent.as_ref().is_some_and(|p| !spans.contains_key(p))).count();
    assert_eq!(orphans as u64, counts["orphan_spans"].as_u64().unwrap());
    assert!(orphans > 0 && counts["lost_spans"].as_u64().unwrap() > 0);
    let mut consumers = 0;
    for span in spans.values() {
        assert!(span.start < span.end);
        consumers += u64::from(span.kind == 5);
        let Some(parent) = span.parent.as_ref().and_then(|parent| spans.get(parent)) else { continue };
        assert_eq!(parent.trace, span.trace);
        let within = span.start >= parent.start && span.end <= parent.end;
        let outlives = parent.kind == 4 || (parent.failed && span.kind == 2);
        assert!(within || outlives, "{parent:?} {span:?}");
    }
    assert!(consumers > 0);
    assert_eq!(
        spans.values().map(|s| &s.trace).collect::<BTreeSet<_>>().len() as u64,
        counts["traces"].as_u64().unwrap()
    );
}

#[test]
fn sampled_traces_pass_their_own_threshold() {
    let (directory, truth) = generate(Scenario::BadDeploy, 21, 4_000);
    let mut sampled = 0;
    for span in spans(directory.path(), &truth).values() {
        let Some(state) = &span.state else { continue };
        let digits = state.strip_prefix("ot=th:").unwrap();
        let threshold = u64::from_str_radix(&format!("{digits:0<14}"), 16).unwrap();
        let randomness = u64::from_str_radix(&span.trace[18..], 16).unwrap();
        assert!(randomness >= threshold, "{state} {}", span.trace);
        sampled += usize::from(threshold > 0);
    }
    assert!(sampled > 100, "{sampled}");
}

#[test]
fn every_scenario_finds_a_place_under_many_seeds() {
    for &scenario in scenarios() {
        let mut culprits = BTreeSet::new();
        for seed in 0..40 {
            let plan = Plan { scenario, seed, spans: 20_000, start: DEFAULT_START };
            let mut world = world::World::new(seed).unwrap();
            let story = scenario::draw(scenario, seed, &mut world, windows(&plan).unwrap()).unwrap();
            let roles: Vec<&str> = story.causes.iter().map(|cause| cause.role).collect();
            match scenario {
                Scenario::NoChange => assert!(roles.is_empty()),
                Scenario::TwoCauses => {
                    assert_eq!(roles.iter().filter(|role| **role == "primary").count(), 1);
                    assert_eq!(roles.len(), 2);
                }
                _ => assert_eq!(roles, ["primary"]),
            }
            for cause in &story.causes {
                culprits.insert(cause.service.clone());
                if let Some(id) = &cause.change {
                    let change = story.changes.iter().find(|change| &change.id == id).unwrap();
                    assert!(change.started <= cause.since, "{change:?}");
                    assert!(change.started > story.windows.start, "{change:?}");
                }
            }
            let innocent =
                story.changes.iter().filter(|c| c.kind == "deploy" && c.started > story.windows.start).count();
            assert!(innocent >= 3, "{innocent} deploys");
            let ids: BTreeSet<&String> = story.changes.iter().map(|change| &change.id).collect();
            assert_eq!(ids.len(), story.changes.len());
            assert!(story.incident.t0 < story.incident.t1);
        }
        assert!(scenario == Scenario::NoChange || culprits.len() >= 6, "{}: {culprits:?}", scenario.name());
    }
}

/// An exact decimal as an integer of 10⁻¹⁰.
fn exact(text: &str) -> i128 {
    let (whole, rest) = text.split_once('.').unwrap();
    assert_eq!(rest.len(), 10, "{text}");
    format!("{whole}{rest}").parse().unwrap()
}

#[test]
fn the_bill_adds_up_to_the_truth() {
    let (directory, truth) = generate(Scenario::CostSpike, 8, 1_500);
    let mut totals: BTreeMap<(String, String), i128> = BTreeMap::new();
    let mut negative = 0;
    for month in ["2026-02", "2026-03"] {
        let mut reader = csv::Reader::from_path(directory.path().join(format!("focus/{month}.csv"))).unwrap();
        for row in reader.deserialize::<BTreeMap<String, String>>() {
            let row = row.unwrap();
            let billed = exact(&row["BilledCost"]);
            negative += usize::from(billed < 0);
            assert!(row["BillingPeriodStart"].starts_with(month));
            *totals.entry((month.to_owned(), row["BillingCurrency"].clone())).or_default() += billed;
        }
    }
    assert!(negative > 5);
    assert_eq!(totals.len(), 4);
    let cost = &truth["cost"];
    let sum = |part: &str, month: &str, currency: &str| -> i128 {
        let rows = cost[part].as_array().unwrap().iter();
        let rows = rows.filter(|row| row["period"] == month && row["currency"] == currency);
        rows.map(|row| exact(row["billed_cost"].as_str().unwrap())).sum()
    };
    for ((month, currency), total) in totals {
        assert_eq!(sum("total", &month, &currency), total);
        let parts = sum("by_owner", &month, &currency) + sum("without_service_or_team_tag", &month, &currency);
        assert_eq!(parts, total, "{month} {currency}");
    }
    let service = truth["incident"]["service_name"].as_str().unwrap();
    let of = |month: &str| -> f64 {
        let rows = cost["by_tagged_service"].as_array().unwrap().iter();
        let rows = rows.filter(|row| row["period"] == month && row["service_name"] == service);
        rows.map(|row| row["billed_cost"].as_str().unwrap().parse::<f64>().unwrap()).sum()
    };
    assert!(of("2026-03") > 1.3 * of("2026-02"), "{service}: {} {}", of("2026-03"), of("2026-02"));
}

fn records(directory: &Path) -> Vec<Value> {
    let mut records = Vec::new();
    for import in manifest(directory).unwrap().into_iter().filter(|import| import.source == "cloudtrail") {
        for path in import.paths {
            let mut text = String::new();
            GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
            let mut file: Value = serde_json::from_str(&text).unwrap();
            records.append(file["Records"].as_array_mut().unwrap());
        }
    }
    records
}

#[test]
fn every_role_event_has_a_true_origin_and_the_thief_uses_the_jobs_key() {
    let (directory, truth) = generate(Scenario::LeakedCiKey, 5, 1_500);
    let records = records(directory.path());
    let by_id: BTreeMap<&str, &Value> = records.iter().map(|r| (r["eventID"].as_str().unwrap(), r)).collect();
    assert_eq!(by_id.len(), records.len());
    let origins = truth["access"]["origins"].as_array().unwrap();
    let role_events = records.iter().filter(|record| record["userIdentity"]["type"] == "AssumedRole").count();
    assert_eq!(role_events, origins.len());
    let issued: BTreeSet<&str> =
        records.iter().filter_map(|r| r["responseElements"]["credentials"]["accessKeyId"].as_str()).collect();
    for origin in origins {
        let record = by_id[origin["event_id"].as_str().unwrap()];
        let key = record["userIdentity"]["accessKeyId"].as_str().unwrap();
        assert_eq!(issued.contains(key), origin["origin_kind"] != "unknown", "{origin}");
    }
    let leak = &truth["access"]["leak"];
    let first = by_id[leak["event_ids"][0].as_str().unwrap()];
    assert_eq!(first["userIdentity"]["accessKeyId"], leak["access_key_id"]);
    assert_eq!(first["sourceIPAddress"], leak["source_ip"]);
    let secrets = leak["event_ids"].as_array().unwrap().iter();
    assert!(secrets.filter(|id| by_id[id.as_str().unwrap()]["eventName"] == "GetSecretValue").count() >= 3);
}

#[test]
fn the_manifest_names_every_file_but_the_truth() {
    let (directory, _) = generate(Scenario::NoChange, 2, 1_500);
    let listed: BTreeSet<PathBuf> =
        manifest(directory.path()).unwrap().into_iter().flat_map(|import| import.paths).collect();
    let all: BTreeSet<PathBuf> = digest(directory.path()).into_keys().map(|name| directory.path().join(name)).collect();
    let missing: Vec<_> = all.difference(&listed).map(|path| path.file_name().unwrap()).collect();
    assert_eq!(missing, ["truth.json"]);
    assert_eq!(listed.difference(&all).count(), 0);
}

#[test]
fn an_impossible_plan_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let plan = Plan { scenario: Scenario::NoChange, seed: 1, spans: 10, start: DEFAULT_START };
    assert!(run(&plan, directory.path()).unwrap_err().to_string().contains("cannot simulate 10 spans"));
    let plan = Plan { spans: 2_000, start: i64::MAX, ..plan };
    assert!(run(&plan, directory.path()).unwrap_err().to_string().contains("cannot start at that time"));
    assert_eq!("bad-deploy".parse::<Scenario>().unwrap(), Scenario::BadDeploy);
    assert!("nonsense".parse::<Scenario>().unwrap_err().hint.unwrap().contains("noisy-tenant"));
}
