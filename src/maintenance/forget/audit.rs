//! The record of statements is a chain, and a record without a person is another one. Which records are, and their new
//! hashes, is recorded before: so `ascribe audit verify` tells an erasure from a forgery.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use futures::StreamExt;

use super::rows;
use crate::config;
use crate::error::Result;
use crate::model::system::AUDIT;
use crate::privacy::Person;
use crate::security::audit::{Erased, Record};
use crate::storage::{DataFile, Journal, Lake, read_file};

/// What the records of an erasure have as their application.
pub(super) const APPLICATION: &str = "forget";

/// The records of a file that name a person, as they are afterwards.
pub(super) async fn changed(lake: &Arc<Lake>, person: &Person, file: &DataFile) -> Result<Vec<Erased>> {
    let (_, mut batches) = read_file(lake.store(), &AUDIT, (&file.path, file.size), None).await?;
    let mut found = Vec::new();
    while let Some(batch) = batches.next().await {
        let (batch, named) = rows::change(person, &AUDIT, &batch?)?;
        found.extend(named.into_iter().enumerate().filter(|(_, named)| *named).map(|(row, _)| erased(&batch, row)));
    }
    Ok(found)
}

fn erased(batch: &RecordBatch, row: usize) -> Erased {
    let text = |name: &str| {
        let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        column.filter(|column| column.is_valid(row)).map(|column| column.value(row).to_owned())
    };
    let number = |name: &str| {
        let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
        column.filter(|column| column.is_valid(row)).map(|column| column.value(row))
    };
    let times = batch.column_by_name("at").and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let record = Record {
        node: text("node").unwrap_or_default(),
        sequence: number("sequence").unwrap_or_default(),
        at: times.map_or(0, |times| times.value(row)),
        role: text("role").unwrap_or_default(),
        address: text("address"),
        application: text("application").unwrap_or_default(),
        statement: text("statement").unwrap_or_default(),
        rows: number("rows"),
        sqlstate: text("sqlstate").unwrap_or_default(),
        duration: number("duration_micros").unwrap_or_default(),
    };
    let hash = record.hash(&text("previous_hash").unwrap_or_default());
    Erased { node: record.node, sequence: record.sequence, hash }
}

/// Record which records are about to be changed.
pub(super) async fn record(journal: &mut Journal, person: &Person, records: &[Erased]) -> Result<()> {
    for part in records.chunks(config::FORGET_RECORDS) {
        let statement = format!("FORGET sha256:{}{}", person.hash(), Erased::text(part));
        journal.record(statement, i64::try_from(part.len()).ok(), Vec::new()).await?;
    }
    Ok(())
}
