//! Allocation and role chains over real data: what the lake answers against sums and chains computed from the files.
//!
//! The data are looked for in the folder that `ASCRIBE_SHARED_DATA` names, or else beside the project.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests are tests too")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ascribe::Database;
use ascribe::ingest::{self, Options, Progress};
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Decimal128Type, Int64Type};
use serde_json::Value;

fn shared(path: &str) -> Option<PathBuf> {
    let beside = || Path::new("../shared/data").to_path_buf();
    let folder = ascribe::config::variable("ASCRIBE_SHARED_DATA").map_or_else(beside, PathBuf::from);
    let found = Some(folder.join(path)).filter(|path| path.exists());
    if found.is_none() {
        eprintln!("SKIPPED: {} is not there", folder.join(path).display());
    }
    found
}

async fn empty() -> (tempfile::TempDir, Database) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().display().to_string()).await.unwrap();
    (folder, database)
}

/// Rows of a query as text.
async fn rows(database: &Database, sql: &str) -> Vec<Vec<Option<String>>> {
    let batches = database.sql(sql).await.unwrap();
    let cell = |batch: &RecordBatch, column: usize, row: usize| {
        let column = batch.column(column);
        let text = datafusion::arrow::compute::cast(column, &datafusion::arrow::datatypes::DataType::Utf8).unwrap();
        (!column.is_null(row)).then(|| text.as_string::<i32>().value(row).to_owned())
    };
    batches
        .iter()
        .flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)))
        .map(|(batch, row)| (0..batch.num_columns()).map(|column| cell(batch, column, row)).collect())
        .collect()
}

/// A decimal number in units of 10⁻¹².
fn units(text: &str) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<12}").parse().unwrap()
}

/// What the file says: billed cost by currency, and what of it has no tags.
fn focus_sums(path: &Path) -> (BTreeMap<String, i128>, i128) {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let names = reader.headers().unwrap().clone();
    let (mut sums, mut untagged, mut rows) = (BTreeMap::new(), 0, 0);
    for record in reader.records().map(Result::unwrap) {
        let column = |name: &str| record.get(names.iter().position(|known| known == name).unwrap()).unwrap();
        let billed = units(column("BilledCost"));
        *sums.entry(column("BillingCurrency").to_owned()).or_default() += billed;
        untagged += if column("Tags") == "NULL" { billed } else { 0 };
        rows += 1;
    }
    assert_eq!(rows, 500);
    (sums, untagged)
}

async fn import(database: &Database, source: &str, path: String) {
    let source = ingest::find(source).unwrap();
    ingest::import(database.lake(), source, &[path], &Options::default(), &Arc::<Progress>::default()).await.unwrap();
}

const SEPTEMBER: &str = "'2024-09-01T00:00:00Z', '2024-10-01T00:00:00Z'";

#[tokio::test(flavor = "multi_thread")]
async fn the_focus_sample_is_allocated_to_the_last_digit() {
    let Some(path) = shared("focus/focus-1.0-sample-500.csv") else { return };
    let (_folder, database) = empty().await;
    let (sums, untagged) = focus_sums(&path);
    import(&database, "focus", path.display().to_string()).await;
    let fixed = "INSERT INTO allocation_rules (rule_set, seq, action, split, weights) \
                 VALUES ('thirds', 1, 'shared', 'even', 'a,b,c')";
    database.sql(fixed).await.unwrap();
    for set in ["default", "thirds"] {
        let sql = format!(
            "SELECT billing_currency, sum(allocated_cost) AS cost FROM allocate_cost('{set}', {SEPTEMBER}) GROUP BY 1"
        );
        let batches = database.sql(&sql).await.unwrap();
        let mut found = BTreeMap::new();
        for batch in &batches {
            for row in 0..batch.num_rows() {
                let currency = batch.column(0).as_string::<i32>().value(row).to_owned();
                found.insert(currency, batch.column(1).as_primitive::<Decimal128Type>().value(row));
            }
        }
        assert_eq!(found, sums, "{set}");
        let sql = format!(
            "SELECT count(*), count(DISTINCT origin_id), count(*) FILTER (WHERE residual <> 0) \
             FROM allocation_check('{set}', {SEPTEMBER})"
        );
        let checked = rows(&database, &sql).await;
        assert_eq!(checked, [["500", "500", "0"].map(|number| Some(number.to_owned())).to_vec()], "{set}");
    }
    let sql = format!(
        "SELECT sum(allocated_cost), count(*) FROM allocate_cost('default', {SEPTEMBER}) \
         WHERE owner = '__unallocated__' AND basis = 'untagged'"
    );
    let batches = database.sql(&sql).await.unwrap();
    let (sum, count) = (batches[0].column(0).as_primitive::<Decimal128Type>(), batches[0].column(1));
    assert_eq!((sum.value(0), count.as_primitive::<Int64Type>().value(0)), (untagged, 146));
}

struct Call {
    id: String,
    time: String,
    kind: String,
    arn: Option<String>,
    key: Option<String>,
    issued: Option<String>,
}

fn calls(folder: &Path) -> Vec<Call> {
    let mut calls = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let document: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for event in document.as_array().unwrap() {
            let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            calls.push(Call {
                id: text("/eventID").unwrap(),
                time: text("/eventTime").unwrap(),
                kind: text("/userIdentity/type").unwrap_or_default(),
                arn: text("/userIdentity/arn"),
                key: text("/userIdentity/accessKeyId"),
                issued: text("/responseElements/credentials/accessKeyId"),
            });
        }
    }
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_whose_issuing_call_is_logged_resolves_and_none_is_invented() {
    let Some(folder) = shared("cloudtrail/stratus") else { return };
    let (_lake, database) = empty().await;
    import(&database, "cloudtrail", format!("{}/*.json", folder.display())).await;
    let calls = calls(&folder);
    let issuers: HashMap<&str, &Call> =
        calls.iter().filter_map(|call| call.issued.as_deref().map(|key| (key, call))).collect();
    let sql = "SELECT event_id, origin_kind, origin_identity, confidence, reason \
               FROM access_attribution('2000-01-01T00:00:00Z', '2100-01-01T00:00:00Z')";
    let mut found: HashMap<String, Vec<Vec<Option<String>>>> = HashMap::new();
    for row in rows(&database, sql).await {
        found.entry(row[0].clone().unwrap()).or_default().push(row);
    }
    let (mut resolved, mut unresolved) = (0, 0);
    let known: BTreeSet<&str> = calls.iter().filter_map(|call| call.arn.as_deref()).collect();
    for call in calls.iter().filter(|call| ["AssumedRole", "FederatedUser"].contains(&call.kind.as_str())) {
        let answers = &found[&call.id];
        assert_eq!(answers.len(), 1, "{}", call.id);
        let answer = |column: usize| answers[0][column].as_deref();
        let mut at = call;
        while let Some(issuer) = at.key.as_deref().and_then(|key| issuers.get(key)) {
            assert!(issuer.time <= at.time);
            at = issuer;
        }
        if std::ptr::eq(at, call) || at.kind == "AssumedRole" {
            unresolved += 1;
            assert_eq!((answer(1), answer(2), answer(3)), (Some("unknown"), None, None), "{}", call.id);
            assert!(answer(4).unwrap().starts_with("the call that issued key ASIA"), "{:?}", answer(4));
        } else {
            resolved += 1;
            assert_eq!(
                (answer(1), answer(2), answer(3)),
                (Some("human"), at.arn.as_deref(), Some("1.0")),
                "{}",
                call.id
            );
        }
    }
    assert_eq!((resolved, unresolved), (48, 21));
    let named = found.values().flatten().filter_map(|row| row[2].as_deref());
    let invented: Vec<&str> = named.filter(|name| !known.contains(name) && !name.ends_with(".amazonaws.com")).collect();
    assert!(invented.is_empty(), "{invented:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures; run it alone, in release, with ASCRIBE_CHARGES charges"]
async fn a_large_bill() {
    let charges: i64 = ascribe::config::variable("ASCRIBE_CHARGES").map_or(1_000_000, |text| text.parse().unwrap());
    let (_folder, database) = empty().await;
    let sql = format!(
        "INSERT INTO costs (billed_cost, billing_currency, charge_period_start, billing_period_start, charge_category, \
         provider_service_name, sub_account_id, resource_id, tags) \
         SELECT 1.0 / (value % 997 + 3), 'USD', to_timestamp_seconds(1772323200 + (value % 720) * 3600), \
         TIMESTAMPTZ '2026-03-01T00:00:00Z', CASE value % 100 WHEN 0 THEN 'Tax' ELSE 'Usage' END, 'Compute', \
         'account-' || value % 40, 'vm-' || value % 20000, \
         CASE value % 7 WHEN 0 THEN map(['env'], ['dev']) ELSE map(['team', 'env'], ['team-' || value % 30, 'prod']) END \
         FROM generate_series(1, {charges})"
    );
    database.sql(&sql).await.unwrap();
    let window = "'2026-03-01T00:00:00Z', '2026-04-01T00:00:00Z'";
    for sql in [
        format!("SELECT owner, sum(allocated_cost) FROM allocate_cost('default', {window}) GROUP BY 1"),
        format!("SELECT count(*) FILTER (WHERE residual <> 0) FROM allocation_check('default', {window})"),
        format!("SELECT count(DISTINCT origin_id) FROM allocate_cost('default', {window})"),
    ] {
        let started = std::time::Instant::now();
        let batches = database.sql(&sql).await.unwrap();
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        eprintln!("{:?} for {charges} charges, {rows} rows: {sql}", started.elapsed());
        if sql.contains("residual") {
            assert_eq!(batches[0].column(0).as_primitive::<Int64Type>().value(0), 0);
        }
    }
}
