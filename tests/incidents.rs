//! Incident attribution end to end: simulated incidents in, ranked causes with evidence that can be checked out.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use ascribe::Database;
use ascribe::config::Maintenance;
use ascribe::error::Error;
use ascribe::ingest::{self, Options, Progress};
use ascribe::maintenance::{Eagerness, Maintainer};
use ascribe::model::telemetry::METRIC_POINTS;
use ascribe::simulate::{DEFAULT_START, Plan, Scenario};
use datafusion::arrow::array::{Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::{can_cast_types, cast};
use datafusion::arrow::datatypes::DataType;
use serde_json::Value;

use crate::company;

struct World {
    database: Database,
    truth: Value,
    _folder: tempfile::TempDir,
}

async fn world(scenario: Scenario, seed: u64) -> World {
    let plan = Plan { scenario, seed, spans: 6000, start: DEFAULT_START };
    let company = company::land(&plan, &["focus", "cloudtrail", "backstage"]).await;
    World { database: company.database, truth: company.truth, _folder: company.folder }
}

impl World {
    async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let batches = self.database.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        batches.iter().flat_map(texts).collect()
    }

    fn call(&self) -> String {
        let of = |key: &str| self.truth["incident"][key].as_str().unwrap();
        format!(
            "attribute_incident('{}', timestamptz '{}', timestamptz '{}', signal => '{}')",
            of("service_name"),
            of("t0"),
            of("t1"),
            of("signal")
        )
    }

    /// Every row of evidence returns what it claims: so many rows, and the number that its statement begins with.
    async fn evidence_holds(&self) -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        // What is said of a service is said of each candidate that it is part of.
        let evidence = self.rows("SELECT DISTINCT kind, statement, row_count, query FROM attribution_evidence").await;
        for row in &evidence {
            let [kind, statement, claimed, query] = [0, 1, 2, 3].map(|at| row[at].as_deref().unwrap());
            let rows = self.rows(query).await;
            assert_eq!(rows.len().to_string(), claimed, "{kind}: {statement}\n{query}");
            let first = statement.split(' ').next().unwrap();
            match kind {
                "latency" | "gap" | "new_error" | "vanished_successor" | "no_change" => {
                    assert_eq!(first, claimed, "{statement}\n{query}");
                }
                "blame" if !rows.is_empty() => {
                    let sql = format!("SELECT reached_blame, blame FROM ({query}) AS services");
                    let known = &self.rows(&sql).await[0];
                    let shown =
                        |at: usize| format!("{:.1}", 100.0 * known[at].as_deref().unwrap().parse::<f64>().unwrap());
                    assert!(first == shown(0) || first == shown(1), "{statement} {known:?}");
                }
                "quiet" => {
                    let of = |phase: &str, at: usize| -> f64 {
                        let found = rows.iter().find(|row| row[0].as_deref() == Some(phase));
                        found.map_or(0.0, |row| row[at].as_deref().unwrap().parse().unwrap())
                    };
                    let deviations = [1, 2].map(|at| {
                        let usual = of("before", at) / of("before", 3).max(1.0) * of("during", 3);
                        format!("{:.1}", (of("during", at) - usual) / (usual + 1.0).sqrt())
                    });
                    assert!(deviations.iter().any(|shown| statement.contains(shown)), "{statement}: {rows:?}");
                }
                "cohort" => {
                    for side in &rows {
                        let [unusual, requests] = [1, 2].map(|at| side[at].as_deref().unwrap());
                        assert!(statement.contains(&format!("({unusual} of {requests})")), "{statement}: {rows:?}");
                    }
                }
                "load" => {
                    for rate in rows.iter().flat_map(|phase| &phase[1..]) {
                        let rate = format!("{:.2}", rate.as_deref().unwrap().parse::<f64>().unwrap());
                        assert!(statement.contains(&rate), "{statement}: {rows:?}");
                    }
                }
                _ => {}
            }
            *kinds.entry(kind.to_owned()).or_default() += 1;
        }
        kinds
    }

    async fn error(&self, sql: &str) -> Error {
        self.database.sql(sql).await.err().unwrap_or_else(|| panic!("{sql} was answered"))
    }
}

/// Rows as text; what has no text (a map) is left out.
fn texts(batch: &RecordBatch) -> Vec<Vec<Option<String>>> {
    let columns: Vec<StringArray> = batch
        .columns()
        .iter()
        .filter(|column| can_cast_types(column.data_type(), &DataType::Utf8))
        .map(|column| cast(column, &DataType::Utf8).unwrap().as_any().downcast_ref::<StringArray>().unwrap().clone())
        .collect();
    let value = |column: &StringArray, row: usize| (!column.is_null(row)).then(|| column.value(row).to_owned());
    (0..batch.num_rows()).map(|row| columns.iter().map(|column| value(column, row)).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_deploy_is_found_with_evidence_that_holds_and_asked_twice_is_kept_once() {
    let world = world(Scenario::BadDeploy, 1).await;
    let cause = &world.truth["causes"][0];
    let sql =
        format!("SELECT cause_id, service_name, owner, role, attribution_id FROM {} WHERE rank <= 3", world.call());
    let first = world.rows(&sql).await;
    assert_eq!(first[0][3].as_deref(), Some("primary"));
    // How often the true cause is the very first is measured over many incidents, not asserted on one.
    let found = first.iter().find(|row| row[0].as_deref() == cause["change_id"].as_str());
    let found = found.unwrap_or_else(|| panic!("{cause} is not among {first:?}"));
    assert_eq!(found[1].as_deref(), cause["service_name"].as_str());
    let owner = world.truth["services"]
        .as_array()
        .unwrap()
        .iter()
        .find(|service| service["service_name"] == cause["service_name"])
        .and_then(|service| service["owner"].as_str());
    assert_eq!(found[2].as_deref(), owner);

    let count = "SELECT count(*), count(DISTINCT attribution_id), round(sum(score), 6) FROM attributions";
    let kept = world.rows(count).await;
    assert_eq!(kept[0][0], kept[0][1]);
    assert_eq!(world.rows(&sql).await, first);
    assert_eq!(world.rows(count).await, kept, "the same question over the same data adds nothing");

    assert!(world.evidence_holds().await.len() > 3, "many kinds of evidence");
    let id = found[4].as_deref().unwrap();
    let chain = world.rows(&format!("SELECT kind FROM evidence('{id}') ORDER BY seq")).await;
    assert_eq!(chain[0][0].as_deref(), Some("lead_time"));

    let change = cause["change_id"].as_str().unwrap();
    let impact = world.rows(&format!("SELECT metric, verdict FROM deploy_impact('{change}')")).await;
    let metrics: Vec<_> = impact.iter().map(|row| row[0].as_deref().unwrap()).collect();
    assert_eq!(metrics, ["duration_p50_ms", "duration_p99_ms", "error_rate", "throughput"]);

    let service = cause["service_name"].as_str().unwrap();
    let (start, end) =
        (world.truth["window"]["start"].as_str().unwrap(), world.truth["window"]["end"].as_str().unwrap());
    let versions = world
        .rows(&format!("SELECT kind, to_version, change_id FROM version_changes('{start}', '{end}', '{service}')"))
        .await;
    assert_eq!(versions[0][0].as_deref(), Some("initial"));
    assert!(
        versions.iter().any(|row| row[1].as_deref() == cause["version"].as_str() && row[2].as_deref() == Some(change)),
        "{versions:?}"
    );

    let recent =
        world.rows(&format!("SELECT change_id, hop FROM recent_changes('{service}', timestamptz '{end}')")).await;
    assert!(recent.iter().any(|row| row[0].as_deref() == Some(change) && row[1].as_deref() == Some("0")), "{recent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_evidence_returns_what_it_says() {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for (scenario, seed) in [
        (Scenario::NoisyTenant, 3),
        (Scenario::SlowDependency, 3),
        (Scenario::BadConfig, 4),
        (Scenario::InnocentDeploy, 5),
        (Scenario::NoChange, 6),
    ] {
        let world = world(scenario, seed).await;
        assert!(!world.rows(&format!("SELECT rank FROM {}", world.call())).await.is_empty());
        for (kind, rows) in world.evidence_holds().await {
            *kinds.entry(kind).or_default() += rows;
        }
    }
    let seen: Vec<&str> = kinds.keys().map(String::as_str).collect();
    for kind in
        ["blame", "cohort", "lead_time", "latency", "load", "new_error", "no_change", "quiet", "vanished_successor"]
    {
        assert!(seen.contains(&kind), "no {kind} among {kinds:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_time_in_which_nothing_happened_that_is_the_likeliest() {
    let mut quiet = 0;
    for seed in 11..14 {
        let world = world(Scenario::NoChange, seed).await;
        let of = |key: &str| world.truth["incident"][key].as_str().unwrap();
        let call = |minutes: i32| {
            let t0 = format!("timestamptz '{}' - interval '{minutes} minutes'", of("t0"));
            format!(
                "SELECT cause_kind, confidence FROM attribute_incident('{}', {t0}, {t0} + interval '5 minutes', '{}') \
                 ORDER BY rank LIMIT 1",
                of("service_name"),
                of("signal")
            )
        };
        for minutes in [10, 15] {
            let first = world.rows(&call(minutes)).await.remove(0);
            let confidence: f64 = first[1].as_deref().unwrap().parse().unwrap();
            quiet += usize::from(first[0].as_deref() == Some("none"));
            assert!(first[0].as_deref() == Some("none") || confidence < 0.9, "seed {seed}: {first:?}");
        }
        let during = world.rows(&format!("SELECT cause_kind FROM {} ORDER BY rank LIMIT 1", world.call())).await;
        assert_ne!(during[0][0].as_deref(), Some("none"));
    }
    assert!(quiet >= 3, "{quiet} of 6");
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_cost_or_security_is_asked_of_others() {
    let world = world(Scenario::NoChange, 2).await;
    let insert = |id: &str, signal: &str| {
        let of = |key: &str| world.truth["incident"][key].as_str().unwrap();
        format!(
            "INSERT INTO incidents (incident_id, service_name, started_at, resolved_at, signal) VALUES \
             ('{id}', '{}', timestamptz '{}', timestamptz '{}', '{signal}')",
            of("service_name"),
            of("t0"),
            of("t1")
        )
    };
    for (signal, word) in [("cost", "allocate_cost"), ("security", "access_attribution")] {
        world.rows(&insert(signal, signal)).await;
        let error = world.error(&format!("SELECT * FROM attribute_incident('{signal}')")).await;
        assert_eq!(error.sqlstate(), "22023");
        assert!(error.to_string().contains(signal) && error.to_string().contains(word), "{error}");
        let all_the_same = format!("SELECT rank FROM attribute_incident('{signal}', signal => 'any')");
        assert!(!world.rows(&all_the_same).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_says_why() {
    let world = world(Scenario::NoChange, 2).await;
    let window = "timestamptz '2026-03-17T09:50:00Z', timestamptz '2026-03-17T10:00:00Z'";
    for (sql, word) in [
        ("SELECT * FROM attribute_incident('INC-0')".to_owned(), "table incidents"),
        (format!("SELECT * FROM attribute_incident('nobody', {window})"), "no spans of a service"),
        ("SELECT * FROM attribute_incident('cart', timestamptz '2026-03-17T10:00:00Z', timestamptz '2026-03-17T09:00:00Z')".to_owned(), "ends before"),
        (format!("SELECT * FROM attribute_incident('{}', {window}, 'noise')", world.truth["incident"]["service_name"].as_str().unwrap()), "unknown signal"),
        ("SELECT * FROM evidence('no-such-id')".to_owned(), "no attribution"),
        ("SELECT * FROM deploy_impact('no-such-change')".to_owned(), "no change"),
        ("SELECT * FROM recent_changes('nobody', timestamptz '2026-03-17T10:00:00Z')".to_owned(), "no service named"),
    ] {
        let error = world.error(&sql).await;
        assert_eq!(error.sqlstate(), "22023", "{sql}: {error}");
        assert!(error.to_string().contains(word), "{sql}: {error}");
    }
    let none = world.rows("SELECT * FROM version_changes('2020-01-01T00:00:00Z', '2020-01-02T00:00:00Z')").await;
    assert!(none.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_asked_for_by_its_id() {
    let world = world(Scenario::BadConfig, 1).await;
    let of = |key: &str| world.truth["incident"][key].as_str().unwrap();
    world
        .rows(&format!(
            "INSERT INTO incidents (incident_id, service_name, started_at, resolved_at, signal) VALUES \
             ('{}', '{}', timestamptz '{}', timestamptz '{}', '{}')",
            of("incident_id"),
            of("service_name"),
            of("t0"),
            of("t1"),
            of("signal")
        ))
        .await;
    let by_id =
        world.rows(&format!("SELECT rank, cause_id, score FROM attribute_incident('{}')", of("incident_id"))).await;
    let by_window = world.rows(&format!("SELECT rank, cause_id, score FROM {}", world.call())).await;
    assert_eq!(by_id, by_window);
    assert!(!by_id.is_empty());
    let kept = world.database.sql("SELECT count(*) FROM attributions WHERE subject_id LIKE 'INC-%'").await.unwrap();
    let kept = kept[0].column(0).as_any().downcast_ref::<Int64Array>().unwrap().value(0);
    assert_eq!(usize::try_from(kept).unwrap(), by_id.len());
}

async fn lake(folder: &tempfile::TempDir) -> Database {
    Database::open(&folder.path().join("lake").display().to_string()).await.unwrap()
}

async fn land(database: &Database, source: &str, path: &str, table: Option<&str>) {
    let options = Options { table: table.map(str::to_owned), ..Options::default() };
    let source = ingest::find(source).unwrap();
    let paths = [path.to_owned()];
    let summary = ingest::import(database.lake(), source, &paths, &options, &Arc::<Progress>::default()).await.unwrap();
    assert_eq!(summary.rejections(), 0, "{:?}", summary.rejected);
}

async fn rows(database: &Database, sql: &str) -> Vec<Vec<Option<String>>> {
    let batches = database.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    batches.iter().flat_map(texts).collect()
}

/// Every query of evidence returns as many rows as are claimed.
async fn check_counts(database: &Database, evidence: &[Vec<Option<String>>]) {
    for row in evidence {
        let batches = database.sql(row[0].as_deref().unwrap()).await.unwrap();
        let returned: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(Some(returned.to_string()), row[1], "{row:?}");
    }
}

/// A point a minute: a shop that calls stock and prices, of which stock is slow from 10:30 on.
fn metrics_of_a_shop() -> String {
    let mut text = String::from(
        "time,metric_name,metric_kind,unit,temporality,value,count,sum,service_name,client,server,error.type\n",
    );
    for minute in 0..40 {
        let slow = minute >= 30;
        let at = format!("2026-03-17T10:{minute:02}:00Z");
        // Nothing is ever exactly steady.
        let wobble = f64::from(minute % 3) / 1000.0;
        let stock = if slow { 0.220 } else { 0.020 } + wobble;
        for (service, mean) in [("shop", 0.080 + stock), ("stock", stock), ("prices", 0.030 + wobble)] {
            let sum = 100.0 * mean;
            writeln!(text, "{at},http.server.request.duration,histogram,s,delta,,100,{sum},{service},,,").unwrap();
            writeln!(text, "{at},http.server.request.duration,histogram,s,delta,,1,{mean},{service},,,500").unwrap();
        }
        for callee in ["stock", "prices"] {
            // A counter since the start of the process.
            let total = 1000 + 101 * minute;
            writeln!(text, "{at},traces_service_graph_request_total,sum,,cumulative,{total},,,,shop,{callee},")
                .unwrap();
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn without_traces_blame_flows_by_metrics_to_the_change_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let database = lake(&folder).await;
    let points = folder.path().join("points.csv");
    std::fs::write(&points, metrics_of_a_shop()).unwrap();
    land(&database, "csv", &points.display().to_string(), Some("metric_points")).await;
    let changes = folder.path().join("changes.csv");
    let header = "change_id,kind,service_name,status,started_at\n";
    let recorded =
        "c-1,config,stock,succeeded,2026-03-17T10:29:30Z\nc-2,config,prices,succeeded,2026-03-17T10:29:30Z\n";
    std::fs::write(&changes, format!("{header}{recorded}")).unwrap();
    let call = "attribute_incident('shop', timestamptz '2026-03-17T10:30:00Z', timestamptz '2026-03-17T10:40:00Z')";
    let ask = format!("SELECT cause_kind, cause_id, service_name, effect, confidence FROM {call} ORDER BY rank");

    let before = rows(&database, &ask).await;
    assert_eq!(before[0][..3], [Some("service".into()), Some("stock".into()), Some("stock".into())]);
    assert!(before[0][3].as_deref().unwrap().parse::<f64>().unwrap() > 0.9, "{before:?}");

    land(&database, "csv", &changes.display().to_string(), Some("changes")).await;
    let after = rows(&database, &ask).await;
    assert_eq!(after[0][1].as_deref(), Some("c-1"), "{after:?}");
    let sure = |row: &Vec<Option<String>>| row[4].as_deref().unwrap().parse::<f64>().unwrap();
    assert!(sure(&after[0]) > 0.5 && after.iter().all(|row| (0.0..=1.0).contains(&sure(row))), "{after:?}");
    let innocent = after.iter().find(|row| row[1].as_deref() == Some("c-2")).unwrap();
    assert!(sure(innocent) < 0.1, "{innocent:?}");

    let ask_why = "SELECT query, row_count, statement FROM attribution_evidence WHERE source_table = 'metric_points'";
    let evidence = rows(&database, ask_why).await;
    assert!(
        evidence.iter().any(|row| row[2].as_deref().unwrap().contains("222.0 ms on average; 21.0 ms is usual")),
        "{evidence:?}"
    );
    check_counts(&database, &evidence).await;

    // The same points once more: what is said of them holds while they are there twice, and when maintenance has dropped them.
    std::fs::write(&points, metrics_of_a_shop() + "2026-03-17T10:00:00Z,other,gauge,1,,1,,,shop,,,\n").unwrap();
    land(&database, "csv", &points.display().to_string(), Some("metric_points")).await;
    let count = "SELECT count(*) FROM metric_points";
    check_counts(&database, &evidence).await;
    let (twice, again) = (rows(&database, count).await, rows(&database, &ask).await);
    assert_eq!((twice[0][0].as_deref(), again[0][1].as_deref()), (Some("641"), Some("c-1")));
    let maintainer = Maintainer::new(database.lake(), Maintenance::default()).unwrap();
    maintainer.once(&[&METRIC_POINTS], Eagerness::All).await.unwrap();
    assert_eq!(rows(&database, count).await[0][0].as_deref(), Some("321"));
    let evidence = rows(&database, ask_why).await;
    assert!(evidence.len() > 2, "{evidence:?}");
    check_counts(&database, &evidence).await;

    let nobody = database.sql(&ask.replace("'shop'", "'nobody'")).await.err().unwrap();
    assert!(nobody.to_string().contains("no spans of a service named nobody"), "{nobody}");
}

/// The public benchmark's incidents, where they are at hand: `ASCRIBE_SHARED_DATA`, else `../shared/data`.
#[tokio::test(flavor = "multi_thread")]
async fn the_faulty_service_of_every_trainticket_incident_is_first() {
    let root = std::env::var("ASCRIBE_SHARED_DATA")
        .map_or_else(|_| PathBuf::from("../shared/data"), PathBuf::from)
        .join("trainticket");
    let Ok(truth) = std::fs::read(root.join("truth.json")) else {
        eprintln!("SKIPPED: {} is not there; set ASCRIBE_SHARED_DATA", root.display());
        return;
    };
    let truth: BTreeMap<String, Value> = serde_json::from_slice(&truth).unwrap();
    assert_eq!(truth.len(), 4);
    for (case, truth) in &truth {
        let folder = tempfile::tempdir().unwrap();
        let database = lake(&folder).await;
        land(&database, "otlp", &root.join(case).display().to_string(), None).await;
        // The largest silence ends the fault-free minute.
        let window = "SELECT start_time, (SELECT max(start_time) FROM spans) FROM \
                      (SELECT start_time, start_unix_nano - lag(start_unix_nano) OVER (ORDER BY start_unix_nano) AS gap FROM spans) AS gaps \
                      ORDER BY gap DESC NULLS LAST LIMIT 1";
        let window = rows(&database, window).await.remove(0);
        let (from, to) = (window[0].as_deref().unwrap(), window[1].as_deref().unwrap());
        let call = format!("attribute_incident('ts-gateway-service', timestamptz '{from}', timestamptz '{to}')");
        let first = rows(&database, &format!("SELECT service_name FROM {call} ORDER BY rank LIMIT 1")).await;
        assert_eq!(first[0][0].as_deref(), truth["service"].as_str(), "{case}");
    }
}
