//! The rows of a file, and the same without a person.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use futures::StreamExt;

use crate::error::Result;
use crate::model::Table;
use crate::privacy::{Fate, Person, rewrite};
use crate::storage::{DataFile, FileWriter, Lake, NewFile, read_file};

/// Rows without a person, and which of them named the person.
pub(super) fn change(person: &Person, table: &Table, batch: &RecordBatch) -> Result<(RecordBatch, Vec<bool>)> {
    let mut named = vec![false; batch.num_rows()];
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let mut judge = |row: usize, key: Option<&str>, text: &str| {
            let fate = person.judge(table, field.name(), key, text);
            if fate != Fate::Stays
                && let Some(named) = named.get_mut(row)
            {
                *named = true;
            }
            fate
        };
        let changed = rewrite(column, &mut judge)?;
        columns.push(changed.unwrap_or_else(|| Arc::clone(column)));
    }
    Ok((RecordBatch::try_new(batch.schema(), columns)?, named))
}

/// How many rows of a file name a person.
pub(super) async fn count(lake: &Arc<Lake>, person: &Person, table: &'static Table, file: &DataFile) -> Result<u64> {
    let (_, mut rows) = read_file(lake.store(), table, (&file.path, file.size), None).await?;
    let mut found = 0;
    while let Some(batch) = rows.next().await {
        let (_, named) = change(person, table, &batch?)?;
        found += named.into_iter().filter(|named| *named).count() as u64;
    }
    Ok(found)
}

/// A file written anew without a person.
pub(super) async fn without(
    lake: &Arc<Lake>,
    person: &Person,
    table: &'static Table,
    file: &DataFile,
) -> Result<NewFile> {
    let (schema, mut rows) = read_file(lake.store(), table, (&file.path, file.size), None).await?;
    let mut writer = FileWriter::create(lake, table, file.partition(table), schema)?;
    while let Some(batch) = rows.next().await {
        let (batch, _) = change(person, table, &batch?)?;
        writer.write(&batch).await?;
    }
    writer.finish(lake.clock().now_micros(), file.compacted).await
}
