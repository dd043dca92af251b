//! `system.tables`: what is stored, from the table format's own statistics.

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use serde_json::Value;

use super::{SystemTable, own_columns};
use crate::canonical_table;
use crate::error::Result;
use crate::model::cell::{Int, Text, Time};
use crate::model::{self, Partition, RowBuilder, Table};
use crate::storage::{DataFile, Lake};

canonical_table! {
    /// What is stored: one row a table of the lake.
    "tables", TABLES, TableRow, TableBuilder;
    partition Partition::None, |_| None;
    key ["table_name"];
    cluster [];
    bloom [];
    /// SQL name.
    table_name: Text,
    /// What the table holds.
    description: Text,
    /// Rows.
    rows: Int,
    /// Bytes of the data files.
    bytes: Int,
    /// Data files.
    files: Int,
    /// Time of the oldest row.
    oldest: Time,
    /// Time of the newest row.
    newest: Time,
    /// Delta version; null before the first write.
    version: Int,
}

/// `system.tables`.
#[derive(Debug)]
pub(super) struct Tables;

#[async_trait]
impl SystemTable for Tables {
    fn table(&self) -> &'static Table {
        &TABLES
    }

    async fn rows(&self, lake: &Lake) -> Result<RecordBatch> {
        let mut builder = TableBuilder::default();
        for table in model::tables().into_iter().chain(model::system_tables()) {
            let files = lake.files(table).await?;
            let version = lake.version(table).await?;
            builder.append(&TableRow {
                table_name: Some(table.name.into()),
                description: Some(table.comment().into()),
                rows: Some(files.iter().filter_map(|file| file.rows).sum::<usize>().try_into().unwrap_or(i64::MAX)),
                bytes: Some(files.iter().map(|file| file.size).sum()),
                files: Some(files.len().try_into().unwrap_or(i64::MAX)),
                oldest: files.iter().filter_map(|file| bound(table, file, "minValues")).min(),
                newest: files.iter().filter_map(|file| bound(table, file, "maxValues")).max(),
                version: version.and_then(|version| version.try_into().ok()),
                ..TableRow::default()
            });
        }
        own_columns(builder)
    }
}

fn bound(table: &Table, file: &DataFile, side: &str) -> Option<i64> {
    let column = match table.partition {
        Partition::Day(column) | Partition::Month(column) => column,
        Partition::None => return None,
    };
    let stats: Value = serde_json::from_str(file.stats.as_deref()?).ok()?;
    let text = stats.get(side)?.get(column)?.as_str()?;
    Some(chrono::DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros())
}
