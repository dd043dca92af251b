//! The lake: atomic appends and replacements, by several writers, once.

use std::collections::BTreeSet;
use std::sync::Arc;

use ascribe::Database;
use ascribe::config::Config;
use ascribe::model::cost::{COSTS, CostBuilder, CostRow};
use ascribe::model::telemetry::{SPANS, SpanBuilder, SpanRow};
use ascribe::model::{RowBuilder, month_of};
use ascribe::storage::{Commit, Lake, Outcome, Replace};
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;

const JANUARY: i64 = 1_767_225_600_000_000;
const FEBRUARY: i64 = 1_769_904_000_000_000;

fn open(folder: &tempfile::TempDir) -> Arc<Lake> {
    Lake::open(&folder.path().display().to_string(), &Config::default()).unwrap()
}

async fn number(lake: &Arc<Lake>, sql: &str) -> i64 {
    let database = Database::over(Arc::clone(lake), Config::default()).unwrap();
    let rows = database.sql(sql).await.unwrap();
    rows[0].column(0).as_primitive::<Int64Type>().value(0)
}

fn charges(export: &str, month: i64, costs: &[i128]) -> RecordBatch {
    let mut builder = CostBuilder::default();
    for cost in costs {
        builder.append(&CostRow {
            billed_cost: Some(*cost),
            billing_period_start: Some(month),
            charge_period_start: Some(month),
            export_id: Some(export.into()),
            ..CostRow::default()
        });
    }
    builder.finish("focus", 0)
}

fn spans(count: usize, day: i64) -> RecordBatch {
    let mut builder = SpanBuilder::default();
    for at in 0..count {
        builder.append(&SpanRow {
            trace_id: Some(format!("{:032x}", (at * 7919) % count).into()),
            span_id: Some(format!("{at:016x}").into()),
            start_time: Some(JANUARY + day * 86_400_000_000 + at as i64),
            attributes: vec![("k".into(), "v".into())],
            ..SpanRow::default()
        });
    }
    builder.finish("otlp", 0)
}

fn replacing(export: &str, months: &[i64]) -> Commit {
    let partitions: BTreeSet<i32> = months.iter().map(|month| month_of(*month)).collect();
    let replace = vec![Replace::Matching { column: "export_id", value: export.to_owned(), partitions }];
    Commit { replace, ..Commit::default() }
}

async fn land(lake: &Arc<Lake>, batch: RecordBatch, commit: Commit) -> Outcome {
    let mut writer = lake.writer(&COSTS).await.unwrap();
    writer.write(batch).await.unwrap();
    writer.commit(commit).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_of_an_export_replaces_itself_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder);
    land(&lake, charges("a", JANUARY, &[1, 2]), replacing("a", &[JANUARY])).await;
    land(&lake, charges("b", JANUARY, &[10]), replacing("b", &[JANUARY])).await;
    land(&lake, charges("a", FEBRUARY, &[100]), replacing("a", &[FEBRUARY])).await;
    land(&lake, charges("a", JANUARY, &[3]), replacing("a", &[JANUARY])).await;
    assert_eq!(number(&lake, "SELECT CAST(sum(billed_cost) * 1000000000000 AS bigint) FROM costs").await, 113);
    assert_eq!(number(&lake, "SELECT count(*) FROM costs WHERE billing_month = '2026-01-01'").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_rows_of_two_exports_loses_only_the_replaced_ones() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder);
    let mut writer = lake.writer(&COSTS).await.unwrap();
    writer.write(charges("a", JANUARY, &[1])).await.unwrap();
    writer.write(charges("b", JANUARY, &[10])).await.unwrap();
    writer.commit(Commit::default()).await.unwrap();
    assert_eq!(lake.files(&COSTS).await.unwrap().len(), 1);
    land(&lake, charges("a", JANUARY, &[5, 6]), replacing("a", &[JANUARY])).await;
    assert_eq!(number(&lake, "SELECT CAST(sum(billed_cost) * 1000000000000 AS bigint) FROM costs").await, 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_lands_once_even_from_two_nodes() {
    let folder = tempfile::tempdir().unwrap();
    let nodes = [open(&folder), open(&folder), open(&folder)];
    let mut running = Vec::new();
    for lake in nodes {
        running.push(tokio::spawn(async move {
            let mut landed = 0;
            for round in 0..5 {
                let mut writer = lake.writer(&SPANS).await.unwrap();
                writer.write(spans(10, round)).await.unwrap();
                let commit = Commit { transactions: vec![format!("round/{round}")], ..Commit::default() };
                if let Outcome::Committed(_) = writer.commit(commit).await.unwrap() {
                    landed += 1;
                }
            }
            landed
        }));
    }
    let mut landed = 0;
    for node in running {
        landed += node.await.unwrap();
    }
    assert_eq!(landed, 5);
    assert_eq!(number(&open(&folder), "SELECT count(*) FROM spans").await, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_of_many_writers_are_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let nodes = [open(&folder), open(&folder)];
    let mut running = Vec::new();
    for lake in nodes {
        running.push(tokio::spawn(async move {
            for day in 0..10 {
                let mut writer = lake.writer(&SPANS).await.unwrap();
                writer.write(spans(7, day)).await.unwrap();
                writer.commit(Commit::default()).await.unwrap();
            }
        }));
    }
    for node in running {
        node.await.unwrap();
    }
    let lake = open(&folder);
    assert_eq!(number(&lake, "SELECT count(*) FROM spans").await, 140);
    assert_eq!(number(&lake, "SELECT count(DISTINCT date) FROM spans").await, 10);
    assert_eq!(number(&lake, "SELECT count(*) FROM spans WHERE attributes['k'] = 'v'").await, 140);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_visible_before_the_commit() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder);
    let mut writer = lake.writer(&SPANS).await.unwrap();
    writer.write(spans(5, 0)).await.unwrap();
    assert_eq!(number(&lake, "SELECT count(*) FROM spans").await, 0);
    writer.commit(Commit::default()).await.unwrap();
    assert_eq!(number(&lake, "SELECT count(*) FROM spans").await, 5);
}
