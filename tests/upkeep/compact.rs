//! Compaction, vacuum, checkpoints: the files change, the answers do not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ascribe::Database;
use ascribe::config::{Config, Maintenance};
use ascribe::maintenance::{Done, Eagerness, Maintainer};
use ascribe::model::RowBuilder;
use ascribe::model::Table;
use ascribe::model::telemetry::{LOGS, LogBuilder, LogRow, SPANS, SpanBuilder, SpanRow};
use ascribe::storage::{Lake, RowChange, Swap};
use datafusion::parquet::file::reader::{FileReader, SerializedFileReader};

use super::{MARCH, at_once, damage, database, files_below, land, land_many, number, open, report, spans};

async fn tend(lake: &Arc<Lake>, table: &'static Table, settings: Maintenance) -> Done {
    let done = Maintainer::new(lake, settings).unwrap().once(&[table], Eagerness::All).await.unwrap();
    done.get(table.name).copied().unwrap_or_default()
}

/// Everything that a query can tell of the spans, in order.
async fn all(lake: &Arc<Lake>) -> Vec<String> {
    let sql = "SELECT trace_id, span_id, span_name, service_name, start_time, start_unix_nano, duration_nano, \
        attributes, ingested_at, date FROM spans ORDER BY span_id, ingested_at";
    let batches = database(lake).sql(sql).await.unwrap();
    let shown = datafusion::arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
    shown.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn small_files_become_one_a_day_and_every_row_stays() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder);
    land_many(&lake, 12, 0).await;
    land(&lake, &SPANS, spans(200..260, 1, MARCH)).await;
    land(&lake, &SPANS, spans(260..300, 1, MARCH)).await;
    land(&lake, &SPANS, spans(300..301, 2, MARCH)).await;
    let before = all(&lake).await;
    let version = lake.version(&SPANS).await.unwrap().unwrap();
    let done = tend(&lake, &SPANS, Maintenance::default()).await;
    assert_eq!((done.compacted.files_before, done.compacted.files_after, done.vacuumed.files), (15, 3, 0));
    assert_eq!(all(&lake).await, before, "and every row is what it was");
    let files = lake.files(&SPANS).await.unwrap();
    let mut rows: Vec<_> = files.iter().map(|file| (file.rows.unwrap(), file.compacted)).collect();
    rows.sort_unstable();
    assert_eq!(rows, [(1, true), (100, true), (120, true)]);
    // Old versions can be read, and the log says that no data changed.
    let entry = folder.path().join(format!("tables/spans/_delta_log/{:020}.json", version + 1));
    let entry = std::fs::read_to_string(entry).unwrap();
    assert!(entry.contains("\"dataChange\":false") && !entry.contains("\"dataChange\":true"), "{entry}");
    assert!(entry.contains("\"operation\":\"OPTIMIZE\""), "{entry}");
    let found = report(&lake).await;
    assert!(found.findings.is_empty(), "{:?}", found.findings);
    // The second time there is nothing to do.
    assert_eq!(tend(&lake, &SPANS, Maintenance::default()).await, Done::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn merged_files_are_clustered_and_as_the_writer_makes_them() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder);
    for part in 0..3_u64 {
        land(&lake, &SPANS, spans(part * 20_000..part * 20_000 + 20_000, 0, MARCH)).await;
    }
    // Files of some hundred kilobytes, and less memory than the rows need: sorting has to spill.
    let settings = Maintenance { target_bytes: 300_000, memory: 48 << 20, ..at_once() };
    let done = tend(&lake, &SPANS, settings).await;
    assert!(done.compacted.files_after > 1, "{done:?}");
    let files = lake.files(&SPANS).await.unwrap();
    let mut rows = Vec::new();
    for file in &files {
        let path = folder.path().join("tables/spans").join(&file.path);
        let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
        let group = reader.metadata().row_group(0);
        let column = |name: &str| group.columns().iter().find(|column| column.column_path().string() == name).unwrap();
        assert!(
            column("trace_id").bloom_filter_offset().is_some() && column("trace_id").column_index_offset().is_some()
        );
        rows.push(reader.metadata().file_metadata().num_rows());
    }
    assert_eq!(rows.iter().sum::<i64>(), 60_000);
    assert_eq!(number(&lake, "SELECT count(DISTINCT span_id) FROM spans").await, 60_000);
    // No trace id is within the range of two files: the rows of a trace are together.
    let mut ranges: Vec<(String, String)> = files
        .iter()
        .map(|file| {
            let stats: serde_json::Value = serde_json::from_str(file.stats.as_ref().unwrap()).unwrap();
            let bound = |side: &str| stats[side]["trace_id"].as_str().unwrap().to_owned();
            (bound("minValues"), bound("maxValues"))
        })
        .collect();
    ranges.sort();
    assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{ranges:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrived_twice_is_there_once_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder);
    land(&lake, &SPANS, spans(0..50, 0, MARCH + 5)).await;
    land(&lake, &SPANS, spans(40..60, 0, MARCH + 9)).await;
    assert_eq!(number(&lake, "SELECT count(*) FROM spans").await, 70);
    let done = tend(&lake, &SPANS, Maintenance::default()).await;
    assert_eq!((done.compacted.repeated, done.compacted.files_after), (10, 1));
    assert_eq!(number(&lake, "SELECT count(*) FROM spans").await, 60);
    // The earliest arrival stays.
    assert_eq!(number(&lake, "SELECT count(*) FROM spans WHERE ingested_at = '2026-03-01T00:00:00.000005Z'").await, 50);
    // A late repetition beside files that are large already, or were merged before.
    land(&lake, &SPANS, spans(55..65, 0, MARCH + 20)).await;
    let large = lake.files(&SPANS).await.unwrap().iter().map(|file| file.size).max().unwrap();
    let small_bytes = u64::try_from(large).unwrap();
    let done = tend(&lake, &SPANS, Maintenance { small_bytes, ..Maintenance::default() }).await;
    assert_eq!((done.compacted.repeated, done.compacted.files_before, done.compacted.files_after), (5, 1, 1));
    assert_eq!(number(&lake, "SELECT count(*) FROM spans").await, 65);
    assert_eq!(number(&lake, "SELECT count(DISTINCT span_id) FROM spans").await, 65);
    let found = report(&lake).await;
    assert!(found.findings.is_empty(), "{:?}", found.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_the_ids_of_another_span_and_differs_from_it_stays() {
    let span = |name: &str, landed: i64| {
        let mut builder = SpanBuilder::default();
        builder.append(&SpanRow {
            trace_id: Some("t".into()),
            span_id: Some("s".into()),
            span_name: Some(name.into()),
            start_time: Some(MARCH),
            start_unix_nano: Some(MARCH * 1000),
            ..SpanRow::default()
        });
        builder.finish("otlp", landed)
    };
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder);
    for (at, name) in ["a", "b", "a", "a"].into_iter().enumerate() {
        land(&lake, &SPANS, span(name, MARCH + i64::try_from(at).unwrap())).await;
    }
    let done = tend(&lake, &SPANS, Maintenance::default()).await;
    assert_eq!(done.compacted.repeated, 2);
    assert_eq!(number(&lake, "SELECT count(*) FROM spans").await, 2);
    assert_eq!(number(&lake, "SELECT count(DISTINCT span_name) FROM spans").await, 2);
    assert_eq!(number(&lake, "SELECT count(*) FROM spans WHERE ingested_at = '2026-03-01T00:00:00Z'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_log_lines_of_one_arrival_are_not_repetitions() {
    let lines = |bodies: &[&str], landed: i64| {
        let mut builder = LogBuilder::default();
        for body in bodies {
            let (time, body) = (Some(MARCH), Some((*body).into()));
            builder.append(&LogRow { time, time_unix_nano: Some(MARCH * 1000), body, ..LogRow::default() });
        }
        builder.finish("otlp", landed)
    };
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder);
    land(&lake, &LOGS, lines(&["retrying", "retrying", "done"], 1)).await;
    land(&lake, &LOGS, lines(&["retrying", "retrying", "other"], 2)).await;
    let done = tend(&lake, &LOGS, Maintenance::default()).await;
    assert_eq!(done.compacted.repeated, 2);
    assert_eq!(number(&lake, "SELECT count(*) FROM logs WHERE body = 'retrying'").await, 2);
    assert_eq!(number(&lake, "SELECT count(*) FROM logs").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_merge_the_same_files_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (open(&folder), open(&folder));
    land_many(&one, 10, 0).await;
    let files = one.files(&SPANS).await.unwrap();
    let paths: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
    // The other node has seen the files, and would take them away after the first has.
    other.files(&SPANS).await.unwrap();
    let done = tend(&one, &SPANS, Maintenance::default()).await;
    assert_eq!(done.compacted.files_after, 1);
    let swap = Swap { remove: paths[..2].to_vec(), require: Vec::new(), add: Vec::new(), change: RowChange::None };
    assert_eq!(other.swap(&SPANS, swap).await.unwrap(), None);
    let swap = Swap { remove: Vec::new(), require: paths, add: Vec::new(), change: RowChange::None };
    assert_eq!(other.swap(&SPANS, swap).await.unwrap(), None);
    assert_eq!(number(&other, "SELECT count(*) FROM spans").await, 100);
    let maintaining = [&one, &other].map(|lake| {
        let settings = Maintenance { lease: Duration::ZERO, small_bytes: 1 << 30, ..Maintenance::default() };
        Maintainer::new(lake, settings).unwrap()
    });
    land_many(&other, 6, 1).await;
    let tables = [&SPANS];
    let rounds = maintaining.each_ref().map(|maintainer| maintainer.once(&tables, Eagerness::All));
    futures::future::join_all(rounds).await;
    assert_eq!(number(&one, "SELECT count(*) FROM spans").await, 160);
    let found = report(&one).await;
    assert!(found.sound(), "{:?}", damage(&found));
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_go_on_while_files_are_merged() {
    let folder = tempfile::tempdir().unwrap();
    let (node, other) = (open(&folder), open(&folder));
    land_many(&node, 20, 0).await;
    let appending = tokio::spawn(async move {
        for commit in 20..60 {
            land(&other, &SPANS, spans(commit * 10..commit * 10 + 10, 0, MARCH)).await;
        }
    });
    let mut merged = 0;
    while !appending.is_finished() {
        merged += tend(&node, &SPANS, at_once_but_for_orphans()).await.compacted.files_before;
    }
    appending.await.unwrap();
    tend(&node, &SPANS, at_once()).await;
    // What was merged just now goes in the next round.
    tend(&node, &SPANS, at_once()).await;
    assert!(merged > 20, "{merged}");
    assert_eq!(number(&node, "SELECT count(*) FROM spans").await, 600);
    assert_eq!(number(&node, "SELECT count(DISTINCT span_id) FROM spans").await, 600);
    let found = report(&node).await;
    assert!(found.findings.is_empty(), "{:?}", found.findings);
    assert_eq!(files_below(&folder.path().join("tables/spans"), ".parquet").len(), 1 + found_checkpoints(&folder));
}

fn at_once_but_for_orphans() -> Maintenance {
    Maintenance { orphans: Duration::from_secs(3600), ..at_once() }
}

fn found_checkpoints(folder: &tempfile::TempDir) -> usize {
    files_below(&folder.path().join("tables/spans/_delta_log"), ".parquet").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn vacuum_leaves_what_is_read_and_what_is_young() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder);
    land_many(&lake, 5, 0).await;
    let data = folder.path().join("tables/spans/date=2026-03-01");
    std::fs::write(data.join("part-0.parquet#1"), "left by a stopped upload").unwrap();
    std::fs::copy(&files_below(&data, ".parquet")[0], data.join("part-orphan.parquet")).unwrap();
    let session = database(&lake).new_session().unwrap();
    let planned = session.sql("SELECT count(DISTINCT span_id) FROM spans").await.unwrap();
    let plan = planned.create_physical_plan().await.unwrap();
    drop((session, planned));
    let done = tend(&lake, &SPANS, Maintenance { retention: Duration::from_secs(60), ..at_once() }).await;
    assert_eq!((done.compacted.files_before, done.vacuumed.files), (5, 0), "all are younger than a minute");
    assert_eq!(files_below(&data, "").len(), 8);
    // The orphan and the leftover are nobody's; the five are read by the plan.
    let done = tend(&lake, &SPANS, at_once()).await;
    assert_eq!(done.vacuumed.files, 2, "{done:?}");
    assert_eq!(files_below(&data, "").len(), 6);
    drop(plan);
    assert_eq!(lake.oldest_pinned(&SPANS), None);
    let done = tend(&lake, &SPANS, at_once()).await;
    assert_eq!(done.vacuumed.files, 5, "{done:?}");
    assert_eq!(files_below(&data, "").len(), 1);
    assert_eq!(number(&lake, "SELECT count(*) FROM spans").await, 50);
    let found = report(&lake).await;
    assert!(found.findings.is_empty(), "{:?}", found.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_many_commits_is_short_afterwards() {
    let commits = std::env::var("ASCRIBE_TEST_COMMITS").ok().and_then(|commits| commits.parse().ok()).unwrap_or(250);
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder);
    land_many(&lake, commits, 0).await;
    let timed = |folder: &tempfile::TempDir| {
        let url = folder.path().display().to_string();
        async move {
            let begun = Instant::now();
            let database = Database::open_with(&url, Config::default()).await.unwrap();
            database.sql("SELECT count(*) FROM spans").await.unwrap();
            let opened = begun.elapsed();
            let begun = Instant::now();
            database
                .new_session()
                .unwrap()
                .sql("SELECT * FROM spans")
                .await
                .unwrap()
                .create_physical_plan()
                .await
                .unwrap();
            (opened, begun.elapsed())
        }
    };
    let before = timed(&folder).await;
    let begun = Instant::now();
    tend(&lake, &SPANS, Maintenance { log_retention: Duration::ZERO, ..Maintenance::default() }).await;
    let took = begun.elapsed();
    let after = timed(&folder).await;
    eprintln!("{commits} commits: opened and planned in {before:?}, after maintenance of {took:?} in {after:?}");
    let entries = files_below(&folder.path().join("tables/spans/_delta_log"), ".json").len();
    assert!(entries < 110, "{entries} log entries");
    assert_eq!(number(&lake, "SELECT count(*) FROM spans").await, i64::try_from(commits * 10).unwrap());
    let found = report(&lake).await;
    assert!(found.findings.is_empty(), "{:?}", found.findings);
}
