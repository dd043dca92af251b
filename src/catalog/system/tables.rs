//! `system.tables`: what is stored, from the table format's own statistics.

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;

use super::{SystemTable, own_columns};
use crate::canonical_table;
use crate::catalog::Client;
use crate::config::Maintenance;
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
    /// Bytes of the smallest data file.
    smallest_file: Int,
    /// Bytes of the median data file: half of the files are no larger.
    median_file: Int,
    /// Bytes of the largest data file.
    largest_file: Int,
    /// When the newest version was committed.
    last_commit: Time,
    /// Commits since the newest checkpoint; all of them where there is none.
    commits_since_checkpoint: Int,
    /// Small data files that maintenance has not merged yet.
    uncompacted_files: Int,
}

/// `system.tables`.
#[derive(Debug)]
pub(super) struct Tables;

#[async_trait]
impl SystemTable for Tables {
    fn table(&self) -> &'static Table {
        &TABLES
    }

    async fn rows(&self, lake: &Lake, _: &Client) -> Result<RecordBatch> {
        let mut builder = TableBuilder::default();
        for table in model::tables().into_iter().chain(model::system_tables()) {
            let files = lake.files(table).await?;
            let version = lake.version(table).await?;
            let checkpoint = if version.is_some() { lake.checkpoint_version(table).await? } else { None };
            let since = version.map(|version| checkpoint.map_or(version + 1, |at| version.saturating_sub(at)));
            let mut sizes: Vec<i64> = files.iter().map(|file| file.size).collect();
            sizes.sort_unstable();
            let times = |file: &DataFile| file.times(time_of(table)?);
            builder.append(&TableRow {
                table_name: Some(table.name.into()),
                description: Some(table.comment().into()),
                rows: Some(number(files.iter().filter_map(|file| file.rows).sum::<usize>())),
                bytes: Some(sizes.iter().sum()),
                files: Some(number(files.len())),
                oldest: files.iter().filter_map(times).map(|(oldest, _)| oldest).min(),
                newest: files.iter().filter_map(times).map(|(_, newest)| newest).max(),
                version: version.map(number),
                smallest_file: sizes.first().copied(),
                median_file: sizes.get(sizes.len().saturating_sub(1) / 2).copied(),
                largest_file: sizes.last().copied(),
                last_commit: lake.committed_at(table).await?,
                commits_since_checkpoint: since.map(number),
                uncompacted_files: Some(number(files.iter().filter(|file| uncompacted(file)).count())),
                ..TableRow::default()
            });
        }
        own_columns(builder)
    }
}

fn number(of: impl TryInto<i64>) -> i64 {
    of.try_into().unwrap_or(i64::MAX)
}

fn uncompacted(file: &DataFile) -> bool {
    !file.compacted && u64::try_from(file.size).is_ok_and(|size| size < Maintenance::default().small_bytes)
}

fn time_of(table: &Table) -> Option<&'static str> {
    match table.partition {
        Partition::Day(column) | Partition::Month(column) => Some(column),
        Partition::None => None,
    }
}
