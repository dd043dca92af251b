//! Looking after a lake: what is damaged is found, and what is done to the files changes no answer.

mod check;
mod compact;
mod expire;
mod faults;
mod store;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ascribe::Database;
use ascribe::config::{Config, Maintenance};
use ascribe::maintenance::{Report, Severity, check as check_lake, stored_tables};
use ascribe::model::telemetry::{SPANS, SpanBuilder, SpanRow};
use ascribe::model::{RowBuilder, Table};
use ascribe::storage::{Commit, Lake};
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;

pub const DAY: i64 = 86_400_000_000;

/// 2026-03-01, midnight.
pub const MARCH: i64 = 1_772_323_200_000_000;

pub fn open(folder: &tempfile::TempDir) -> Arc<Lake> {
    Lake::open(&folder.path().display().to_string(), &Config::default()).unwrap()
}

/// Spans with these numbers, of a day in March, landed at a time.
pub fn spans(numbers: std::ops::Range<u64>, day: i64, landed: i64) -> RecordBatch {
    let mut builder = SpanBuilder::default();
    for number in numbers {
        let at = MARCH + day * DAY + i64::try_from(number).unwrap() * 1000;
        builder.append(&SpanRow {
            trace_id: Some(format!("{:032x}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 3).into()),
            span_id: Some(format!("{number:016x}").into()),
            span_name: Some(format!("operation {}", number % 7).into()),
            service_name: Some(["cart", "checkout"][usize::from(number.is_multiple_of(2))].into()),
            status_code: Some(if number.is_multiple_of(10) { "ERROR" } else { "OK" }.into()),
            start_time: Some(at),
            start_unix_nano: Some(at * 1000),
            duration_nano: Some(i64::try_from(number).unwrap() * 17 % 1_000_000),
            attributes: vec![("k".into(), format!("v{}", number % 3).into())],
            ..SpanRow::default()
        });
    }
    builder.finish("otlp", landed)
}

pub async fn land(lake: &Arc<Lake>, table: &'static Table, batch: RecordBatch) {
    let mut writer = lake.writer(table).await.unwrap();
    writer.write(batch).await.unwrap();
    writer.commit(Commit::default()).await.unwrap();
}

/// Commits of ten spans each, all of one day.
pub async fn land_many(lake: &Arc<Lake>, commits: u64, day: i64) {
    for commit in 0..commits {
        land(lake, &SPANS, spans(commit * 10..commit * 10 + 10, day, MARCH + 1)).await;
    }
}

pub fn database(lake: &Arc<Lake>) -> Database {
    Database::over(Arc::clone(lake), Config::default()).unwrap()
}

pub async fn number(lake: &Arc<Lake>, sql: &str) -> i64 {
    let rows = database(lake).sql(sql).await.unwrap();
    rows[0].column(0).as_primitive::<Int64Type>().value(0)
}

pub async fn report(lake: &Arc<Lake>) -> Report {
    check_lake(&database(lake), &stored_tables()).await.unwrap()
}

/// The damage that is found, as `table: kind: subject: detail`.
pub fn damage(report: &Report) -> Vec<String> {
    let damage = report.findings.iter().filter(|finding| finding.severity == Severity::Damage);
    damage.map(|found| format!("{}: {}: {}: {}", found.table, found.kind, found.subject, found.detail)).collect()
}

/// Settings under which everything is done at once.
pub fn at_once() -> Maintenance {
    let none = std::time::Duration::ZERO;
    Maintenance { retention: none, orphans: none, log_retention: none, checkpoint_commits: 1, ..Maintenance::default() }
}

/// The files below a folder, sorted.
pub fn files_below(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path);
    files.filter(|path| path.to_string_lossy().ends_with(ending)).collect()
}
