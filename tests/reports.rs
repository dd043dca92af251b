//! Reports: run once, survive restarts, catch up, deliver what they say.

use std::collections::BTreeMap;
use std::sync::Arc;

use ascribe::Database;
use ascribe::clock::ManualClock;
use ascribe::config::{Config, REPORT_ATTEMPTS, REPORT_CATCH_UP_RUNS};
use ascribe::reports::{self, Report, Scheduler, Trigger};
use ascribe::storage::Lake;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;

const HOUR: i64 = 3_600_000_000;
/// 2026-03-02T00:00:00Z
const START: i64 = 1_772_409_600_000_000;

const HOURLY: &str = "-- title: Incidents <of> the hour
-- description: What went wrong & where.
-- schedule: 0 * * * * UTC
-- parameter: begin timestamptz = $at - interval '1 hour'
-- parameter: service text = 'checkout'
-- section: incidents
-- column: incident_id: Incident
-- column: cost: Cost, money, total
-- chart: bar x=incident_id y=cost
SELECT incident_id, 1234.565 AS cost FROM incidents
WHERE started_at >= $begin AND started_at < $at AND service_name = $service ORDER BY incident_id;
";

fn open(folder: &tempfile::TempDir, clock: &Arc<ManualClock>) -> Database {
    let clock: Arc<dyn ascribe::clock::Clock> = Arc::<ManualClock>::clone(clock);
    let lake = Lake::open_with_clock(&folder.path().display().to_string(), &Config::default(), clock).unwrap();
    Database::over(lake, Config::default()).unwrap()
}

fn hourly() -> Report {
    reports::parse("hourly", HOURLY).unwrap()
}

fn due(records: &[reports::RunRecord]) -> Vec<i64> {
    records.iter().map(|record| (record.due_at - START) / HOUR).collect()
}

async fn count(database: &Database, sql: &str) -> i64 {
    database.sql(sql).await.unwrap()[0].column(0).as_primitive::<Int64Type>().value(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_due_run_happens_once_and_downtime_is_made_up_for() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(START + HOUR / 2);
    let scheduler = Scheduler::new(open(&folder, &clock), vec![hourly()]);
    assert_eq!(due(&scheduler.tick().await.unwrap()), [0; 0]);
    clock.set(START + HOUR);
    assert_eq!(due(&scheduler.tick().await.unwrap()), [1]);
    assert_eq!(due(&scheduler.tick().await.unwrap()), [0; 0]);
    drop(scheduler);

    clock.set(START + 4 * HOUR + 1);
    let restarted = Scheduler::new(open(&folder, &clock), vec![hourly()]);
    assert_eq!(due(&restarted.tick().await.unwrap()), [2, 3, 4]);
    assert_eq!(due(&restarted.tick().await.unwrap()), [0; 0]);

    clock.set(START + 104 * HOUR);
    let made_up = restarted.tick().await.unwrap();
    assert_eq!(made_up.len(), REPORT_CATCH_UP_RUNS);
    assert_eq!(due(&made_up).last(), Some(&104));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_make_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(START);
    let nodes = [open(&folder, &clock), open(&folder, &clock)];
    Scheduler::new(nodes[0].clone(), vec![hourly()]).tick().await.unwrap();
    clock.set(START + 3 * HOUR);
    let mut running = Vec::new();
    for node in nodes.clone() {
        running.push(tokio::spawn(async move { Scheduler::new(node, vec![hourly()]).tick().await.unwrap().len() }));
    }
    let mut made = 0;
    for node in running {
        made += node.await.unwrap();
    }
    assert_eq!(made, 3);
    let rows = "SELECT count(*) FROM system.report_runs WHERE status = 'succeeded'";
    assert_eq!(count(&nodes[0], rows).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_report_is_tried_again_and_then_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(START);
    let database = open(&folder, &clock);
    let broken =
        reports::parse("broken", "-- schedule: 0 * * * * UTC\n-- section: a\nSELECT x FROM incidents").unwrap();
    let scheduler = Scheduler::new(database.clone(), vec![broken]);
    scheduler.tick().await.unwrap();
    let mut attempts = 0;
    for minute in 0..120 {
        clock.set(START + HOUR + minute * 60_000_000 / 2);
        for record in scheduler.tick().await.unwrap() {
            assert!(record.error.unwrap().contains('x'));
            attempts += 1;
        }
    }
    assert_eq!(attempts, REPORT_ATTEMPTS);
    assert_eq!(count(&database, "SELECT count(*) FROM system.report_runs WHERE status = 'failed'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_delivers_csv_parquet_and_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(START + 5 * HOUR);
    let database = open(&folder, &clock);
    database
        .sql(
            "INSERT INTO incidents (incident_id, service_name, started_at) VALUES
             ('<b>1', 'checkout', '2026-03-02T02:10:00Z'), ('2,x', 'checkout', '2026-03-02T02:20:00Z'),
             ('3', 'cart', '2026-03-02T02:20:00Z'), ('4', 'checkout', '2026-03-02T03:00:00Z')",
        )
        .await
        .unwrap();
    let record = reports::run(&database, &hourly(), START + 3 * HOUR, &BTreeMap::new(), Trigger::Manual).await.unwrap();
    assert_eq!(record.rows, 2);
    let below = |name: &str| folder.path().join("reports/hourly/2026-03-02T03-00-00Z").join(name);
    let csv = std::fs::read_to_string(below("incidents.csv")).unwrap();
    assert_eq!(csv, "incident_id,cost\n\"2,x\",1234.565\n<b>1,1234.565\n");
    let page = std::fs::read_to_string(below("report.html")).unwrap();
    assert!(page.contains("Incidents &lt;of&gt; the hour") && page.contains("&lt;b&gt;1") && !page.contains("<b>1"));
    assert!(page.contains(">2,469.13<"), "the total is of the exact amounts");
    assert!(!page.contains("http://") || page.matches("http://").count() == page.matches("xmlns=\"http://").count());
    assert!(below("incidents.parquet").exists());

    let set = BTreeMap::from([("service".to_owned(), "cart".to_owned())]);
    let record = reports::run(&database, &hourly(), START + 3 * HOUR, &set, Trigger::Manual).await.unwrap();
    assert_eq!(record.rows, 1);
    let wrong = BTreeMap::from([("servise".to_owned(), "cart".to_owned())]);
    let error = reports::run(&database, &hourly(), START, &wrong, Trigger::Manual).await.unwrap_err();
    assert_eq!(error.sqlstate(), "22023");
    assert!(error.to_string().contains("begin, service"));
}
