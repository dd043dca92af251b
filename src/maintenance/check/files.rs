//! The data files of a table: there, whole, readable, and what the log says of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::TimestampMicrosecondType;
use futures::StreamExt;
use object_store::{ObjectMeta, ObjectStoreExt};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Report;
use crate::error::{Error, Result};
use crate::model::{self, Partition, Table};
use crate::storage::{Lake, LoggedFile, Statistics, object_of, read_file};

/// Check a file. Tells whether its rows can be read.
pub(super) async fn check(
    lake: &Arc<Lake>,
    table: &'static Table,
    file: &LoggedFile,
    data: &BTreeMap<String, ObjectMeta>,
    report: &mut Report,
) -> bool {
    let Some(location) = object_of(&format!("tables/{}", table.name), &file.path) else {
        report.damage(table.name, "log", &file.path, "it is not the path of a file below the table");
        return false;
    };
    let subject = location.as_ref().to_owned();
    let Some(meta) = data.get(&subject) else {
        report.damage(table.name, "missing file", subject, "the log has it, the object store does not");
        return false;
    };
    if file.deletion_vector {
        report.damage(table.name, "log", subject, "rows of it are deleted in a way that is not understood here");
        return false;
    }
    if i64::try_from(meta.size) != Ok(file.size) {
        let detail = format!("it has {} bytes, the log says {}", meta.size, file.size);
        report.damage(table.name, "file size", subject, detail);
        return false;
    }
    report.files += 1;
    report.bytes += meta.size;
    let mut sound = true;
    match checksum(lake, meta).await {
        Ok(found) if file.checksum.as_ref().is_some_and(|expected| *expected != found) => {
            report.damage(table.name, "file content", &subject, "its checksum is not the one that was written");
            sound = false;
        }
        Ok(_) => {}
        Err(error) => {
            report.damage(table.name, "file content", &subject, format!("it cannot be read: {error}"));
            return false;
        }
    }
    match rows(lake, table, file).await {
        Ok((statistics, misplaced)) => {
            report.rows += statistics.rows() as u64;
            if misplaced > 0 {
                let detail = format!(
                    "{misplaced} {} to another partition",
                    if misplaced == 1 { "row belongs" } else { "rows belong" }
                );
                report.damage(table.name, "partition", &subject, detail);
            }
            if let Some(difference) = difference(file.stats.as_deref(), &statistics.json()) {
                report.damage(table.name, "statistics", &subject, difference);
            }
            sound
        }
        Err(error) => {
            report.damage(table.name, "file content", &subject, format!("its rows cannot be read: {error}"));
            false
        }
    }
}

async fn checksum(lake: &Lake, meta: &ObjectMeta) -> Result<String> {
    let mut digest = Sha256::new();
    let mut parts = lake.store().get(&meta.location).await?.into_stream();
    while let Some(part) = parts.next().await {
        digest.update(part.map_err(Error::from)?);
    }
    Ok(hex::encode(digest.finalize()))
}

/// The statistics of all rows, and how many rows are not of the file's partition.
async fn rows(lake: &Lake, table: &'static Table, file: &LoggedFile) -> Result<(Statistics, usize)> {
    let (_, mut batches) = read_file(lake.store(), table, (&file.path, file.size), None).await?;
    let partition = file.data_file().partition(table);
    let (mut statistics, mut misplaced) = (Statistics::default(), 0);
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        misplaced += elsewhere(table, &batch, partition);
        statistics.add(&batch);
    }
    Ok((statistics, misplaced))
}

fn elsewhere(table: &Table, batch: &RecordBatch, partition: Option<i32>) -> usize {
    let (name, day): (_, fn(i64) -> i32) = match table.partition {
        Partition::Day(name) => (name, model::day_of),
        Partition::Month(name) => (name, model::month_of),
        Partition::None => return 0,
    };
    let times = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    times.map_or(0, |times| times.iter().flatten().filter(|time| Some(day(*time)) != partition).count())
}

/// What the statistics of the log say otherwise than the rows.
fn difference(logged: Option<&str>, found: &Value) -> Option<String> {
    let Some(logged) = logged else { return Some("the log has none".to_owned()) };
    let Ok(logged) = serde_json::from_str::<Value>(logged) else { return Some("they are not JSON".to_owned()) };
    let rows = |stats: &Value| stats.get("numRecords").and_then(Value::as_u64);
    if rows(&logged) != rows(found) {
        let say = |rows: Option<u64>| rows.map_or("nothing".to_owned(), |rows| rows.to_string());
        return Some(format!("{} rows are in the file, the log says {}", say(rows(found)), say(rows(&logged))));
    }
    for side in ["minValues", "maxValues", "nullCount"] {
        for (column, said) in logged.get(side).and_then(Value::as_object).into_iter().flatten() {
            // Values that are too long to be bounds are not kept by all writers, nor are bounds of nested columns.
            let Some(is) = found.get(side).and_then(|values| values.get(column)) else { continue };
            if is != said {
                return Some(format!("{side} of {column} is {is}, the log says {said}"));
            }
        }
    }
    None
}
