//! Writing: rows are gathered by partition, sorted, encoded and uploaded; one commit makes all of them visible.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, BooleanArray, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{filter_record_batch, take_record_batch};
use datafusion::arrow::datatypes::Date32Type;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use deltalake::kernel::{Action, Add, LogicalFileView, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTable, DeltaTableError};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::commit::{Attempt, Entry, REWRITE_MARK, outrun_every_time, pause};
use super::file::{self, encode};
use super::stats::{self, Bounds};
use super::{Door, Lake, notes};
use crate::config;
use crate::error::{Result, UserError, sqlstate};
use crate::model::Table;

/// What a commit does beside adding the rows that were written.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Ids that mark the rows as landed: a second commit with one of them is refused, so that nothing lands twice.
    pub transactions: Vec<String>,
    /// Rows that the written ones take the place of.
    pub replace: Vec<Replace>,
    /// Ids with a number each that stand for the newest state of something: when all of them are the same already, the
    /// commit changes nothing.
    pub latest: Vec<(String, i64)>,
    /// What [`Lake::notes`] tells of the commit later.
    pub note: Option<String>,
    /// The only version of the table that the commit may follow: its rows were made of what was read there.
    pub after: Option<Option<u64>>,
}

/// Rows that a commit replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replace {
    /// Every row of the table.
    All,
    /// The rows with a value in a text column, in the named partitions (days since the epoch).
    Matching {
        /// The column.
        column: &'static str,
        /// Its value.
        value: String,
        /// The partitions.
        partitions: BTreeSet<i32>,
    },
}

/// A data file of a table's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Path below the table.
    pub path: String,
    /// Bytes.
    pub size: i64,
    /// Rows, where the statistics say.
    pub rows: Option<usize>,
    /// Statistics as JSON (Delta protocol, "Per-file Statistics").
    pub stats: Option<String>,
    /// Values of the partition columns, as text.
    pub partition_values: HashMap<String, Option<String>>,
    /// When it was added, milliseconds since the epoch.
    pub modified_ms: i64,
    /// Whether compaction made it.
    pub compacted: bool,
}

impl DataFile {
    /// Least and greatest value of a column of times, microseconds since the epoch, where the statistics say.
    #[must_use]
    pub fn times(&self, column: &str) -> Option<(i64, i64)> {
        let stats: serde_json::Value = serde_json::from_str(self.stats.as_deref()?).ok()?;
        let bound = |side: &str| {
            let text = stats.get(side)?.get(column)?.as_str()?;
            Some(chrono::DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros())
        };
        Some((bound("minValues")?, bound("maxValues")?))
    }

    /// The partition, days since the epoch; none where rows have no time.
    #[must_use]
    pub fn partition(&self, table: &Table) -> Option<i32> {
        partition_day(table, &self.partition_values)
    }
}

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The rows are there, at this version of the table.
    Committed(u64),
    /// One of the transactions was there already; nothing was changed.
    AlreadyThere,
    /// The table is past the version that the commit had to follow; nothing was changed.
    Superseded,
}

#[derive(Default)]
struct Gathered {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

/// Writes rows of one table; nothing is visible before [`TableWriter::commit`].
pub struct TableWriter {
    lake: Arc<Lake>,
    table: &'static Table,
    store: Arc<dyn ObjectStore>,
    door: Door,
    gathered: BTreeMap<Option<i32>, Gathered>,
    files: Vec<Add>,
    rows: u64,
    attempt: Option<Attempt>,
}

impl std::fmt::Debug for TableWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableWriter").field("table", &self.table.name).field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl TableWriter {
    pub(super) fn new(lake: Arc<Lake>, table: &'static Table, store: Arc<dyn ObjectStore>, door: Door) -> Self {
        Self { lake, table, store, door, gathered: BTreeMap::new(), files: Vec::new(), rows: 0, attempt: None }
    }

    /// Rows written so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Partitions written so far (days since the epoch).
    #[must_use]
    pub fn partitions(&self) -> BTreeSet<i32> {
        let uploaded = self.files.iter().filter_map(|file| partition_day(self.table, &file.partition_values));
        self.gathered.keys().flatten().copied().chain(uploaded).collect()
    }

    /// Take rows of [`Table::schema`], as the rules of privacy let them pass.
    ///
    /// # Errors
    /// When a file that became full cannot be uploaded.
    pub async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        let batch = self.door.pass(batch)?;
        self.rows += batch.num_rows() as u64;
        for (partition, rows) in split(self.table, &batch)? {
            let gathered = self.gathered.entry(partition).or_default();
            gathered.rows += rows.num_rows();
            gathered.bytes += rows.get_array_memory_size();
            gathered.batches.push(rows);
            if gathered.rows >= config::ROWS_PER_FILE {
                self.upload(partition).await?;
            }
        }
        while self.gathered.values().map(|gathered| gathered.bytes).sum::<usize>() > config::WRITE_BUFFER_BYTES {
            let Some(largest) = self.gathered.iter().max_by_key(|(_, gathered)| gathered.bytes).map(|(key, _)| *key)
            else {
                break;
            };
            self.upload(largest).await?;
        }
        Ok(())
    }

    async fn upload(&mut self, partition: Option<i32>) -> Result<()> {
        let Some(gathered) = self.gathered.remove(&partition) else { return Ok(()) };
        let table = self.table;
        let encoded = tokio::task::spawn_blocking(move || encode(table, &gathered.batches)).await;
        let (bytes, stats) = encoded.map_err(|error| UserError::new(sqlstate::INTERNAL, error.to_string()))??;
        let (folder, values) = folder_of(table, partition);
        let add = self.put(&folder, values, bytes, stats).await?;
        self.files.push(add);
        Ok(())
    }

    /// Make all rows visible in one commit.
    ///
    /// # Errors
    /// When the object store fails, or other writers were faster too often. The rows are then not there, unless the
    /// answer of the store was lost: committing the same transactions again tells.
    pub async fn commit(mut self, commit: Commit) -> Result<Outcome> {
        let partitions: Vec<_> = self.gathered.keys().copied().collect();
        for partition in partitions {
            self.upload(partition).await?;
        }
        for round in 0..config::COMMIT_RETRIES {
            if let Some(outcome) = self.try_commit(&commit).await? {
                return Ok(outcome);
            }
            tokio::time::sleep(pause(round)).await;
        }
        Err(outrun_every_time(self.table).into())
    }

    async fn try_commit(&mut self, commit: &Commit) -> Result<Option<Outcome>> {
        let lake = Arc::clone(&self.lake);
        let mut slot = lake.slot(self.table)?.lock().await;
        lake.refresh(self.table, &mut slot).await?;
        let Some(delta) = slot.as_mut() else {
            return Err(UserError::new(sqlstate::IO, format!("table {} was removed", self.table.name)).into());
        };
        // An earlier attempt whose answer was lost may have taken effect.
        if let Some(attempt) = &self.attempt
            && let Some(version) = attempt.landed(delta).await?
        {
            return Ok(Some(Outcome::Committed(version)));
        }
        if commit.after.is_some_and(|after| after != delta.version()) {
            return Ok(Some(Outcome::Superseded));
        }
        for id in &commit.transactions {
            let known = delta.snapshot()?.transaction_version(delta.log_store().as_ref(), id.as_str()).await?;
            if known.is_some() {
                return Ok(Some(Outcome::AlreadyThere));
            }
        }
        let mut same = !commit.latest.is_empty();
        for (id, number) in &commit.latest {
            let known = delta.snapshot()?.transaction_version(delta.log_store().as_ref(), id.as_str()).await?;
            same &= known == Some(*number);
        }
        if same {
            return Ok(Some(Outcome::AlreadyThere));
        }
        let mut actions: Vec<Action> = self.files.iter().cloned().map(Action::Add).collect();
        actions.extend(self.replaced(delta, &commit.replace).await?);
        let mode = if commit.replace.is_empty() { SaveMode::Append } else { SaveMode::Overwrite };
        let now = lake.clock().now_micros() / 1000;
        let mark = |id: &str, number| Transaction::new_with_last_update(id, number, Some(now));
        let mut marks: Vec<Transaction> = commit.transactions.iter().map(|id| mark(id, 1)).collect();
        marks.extend(commit.latest.iter().map(|(id, number)| mark(id, *number)));
        if !commit.replace.is_empty() {
            // Two writers that replace rows of one table must not both add theirs: a shared id makes them conflict.
            marks.push(mark(REWRITE_MARK, 1));
        }
        let partition_by = self.table.partition.column().map(|column| vec![column.to_owned()]);
        let operation = DeltaOperation::Write { mode, partition_by, predicate: None };
        let information = commit.note.iter().map(|note| (notes::KEY.to_owned(), note.clone().into())).collect();
        let attempt = self.attempt.get_or_insert_with(Attempt::default);
        let entry = Entry { actions, marks, information, operation };
        Ok(attempt.make(delta, entry).await?.map(Outcome::Committed))
    }

    /// The actions that take the replaced rows away: whole files, or a file anew without its replaced rows.
    async fn replaced(&mut self, delta: &DeltaTable, replace: &[Replace]) -> Result<Vec<Action>> {
        let mut actions = Vec::new();
        if replace.is_empty() {
            return Ok(actions);
        }
        for view in delta.snapshot()?.log_data().iter() {
            let file = data_file(&view);
            let hit = replace.iter().find_map(|replace| self.hit(&file, replace));
            let Some(hit) = hit else { continue };
            if hit == Hit::Partly {
                actions.extend(self.without(&file, replace).await?.map(Action::Add));
            }
            actions.push(Action::Remove(view.remove_action(true)));
        }
        Ok(actions)
    }

    /// Whether the statistics of a file say that a replacement takes all of its rows, or may take some.
    fn hit(&self, file: &DataFile, replace: &Replace) -> Option<Hit> {
        let Replace::Matching { column, value, partitions } = replace else { return Some(Hit::Whole) };
        let day = partition_day(self.table, &file.partition_values);
        if !day.is_some_and(|day| partitions.contains(&day)) {
            return None;
        }
        match stats::only_value(file.stats.as_deref(), column) {
            Bounds::Between(low, high) if low == *value && high == *value => Some(Hit::Whole),
            Bounds::Between(low, high) if *value < low || *value > high => None,
            _ => Some(Hit::Partly),
        }
    }

    /// A file written anew without the rows that are replaced; none when no row is left.
    async fn without(&mut self, file: &DataFile, replace: &[Replace]) -> Result<Option<Add>> {
        let bytes = self.store.get(&Path::from(file.path.clone())).await?.bytes().await?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(DeltaTableError::from)?;
        let mut kept = Vec::new();
        for batch in reader.build().map_err(DeltaTableError::from)? {
            let batch = batch?;
            kept.push(filter_record_batch(&batch, &remaining(&batch, replace))?);
        }
        if kept.iter().all(|batch| batch.num_rows() == 0) {
            return Ok(None);
        }
        let (bytes, stats) = encode(self.table, &kept)?;
        let folder = file.path.rfind('/').map_or("", |slash| &file.path[..=slash]);
        Ok(Some(self.put(folder, file.partition_values.clone(), bytes, stats).await?))
    }

    async fn put(
        &self,
        folder: &str,
        partition_values: HashMap<String, Option<String>>,
        bytes: Vec<u8>,
        stats: String,
    ) -> Result<Add> {
        let path = format!("{folder}part-{}.parquet", Uuid::now_v7());
        let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        let tags = Some(file::tags(&Sha256::digest(&bytes)));
        self.store.put(&Path::from(path.clone()), PutPayload::from(bytes)).await?;
        let modification_time = self.lake.clock().now_micros() / 1000;
        let stats = Some(stats);
        Ok(Add { path, partition_values, size, modification_time, stats, tags, ..empty_add() })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hit {
    Whole,
    Partly,
}

/// Which rows of a file in a replaced partition stay.
fn remaining(batch: &RecordBatch, replace: &[Replace]) -> BooleanArray {
    let mut stays = vec![true; batch.num_rows()];
    for replace in replace {
        let Replace::Matching { column, value, .. } = replace else { continue };
        let Some(cells) = batch.column_by_name(column) else { continue };
        for (stay, cell) in stays.iter_mut().zip(cells.as_string::<i32>().iter()) {
            *stay &= cell != Some(value.as_str());
        }
    }
    stays.into()
}

pub(super) fn empty_add() -> Add {
    Add {
        path: String::new(),
        partition_values: HashMap::new(),
        size: 0,
        modification_time: 0,
        data_change: true,
        stats: None,
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
        clustering_provider: None,
    }
}

pub(super) fn data_file(view: &LogicalFileView) -> DataFile {
    DataFile {
        path: view.path().into_owned(),
        size: view.size(),
        rows: view.num_records(),
        stats: view.stats(),
        partition_values: view.partition_values_map(),
        modified_ms: view.modification_time(),
        compacted: is_compacted(view),
    }
}

fn is_compacted(view: &LogicalFileView) -> bool {
    #[expect(deprecated, reason = "the only way to the tags of a file")]
    let add = view.add_action();
    add.tags.is_some_and(|tags| tags.contains_key(file::COMPACTED_TAG))
}

/// The files of a table's state.
pub(super) fn active_files(delta: &DeltaTable) -> Result<Vec<DataFile>> {
    Ok(delta.snapshot()?.log_data().iter().map(|view| data_file(&view)).collect())
}

pub(super) fn partition_day(table: &Table, values: &HashMap<String, Option<String>>) -> Option<i32> {
    let text = values.get(table.partition.column()?)?.as_deref()?;
    let date: chrono::NaiveDate = text.parse().ok()?;
    Date32Type::from_naive_date(date).into()
}

pub(super) fn folder_of(table: &Table, partition: Option<i32>) -> (String, HashMap<String, Option<String>>) {
    let Some(column) = table.partition.column() else { return Default::default() };
    let date = partition.and_then(Date32Type::to_naive_date_opt).map(|date| date.to_string());
    let folder = date.as_deref().unwrap_or("__HIVE_DEFAULT_PARTITION__");
    (format!("{column}={folder}/"), [(column.to_owned(), date.clone())].into())
}

/// The rows of each partition, without the partition column.
pub(super) fn split(table: &Table, batch: &RecordBatch) -> Result<Vec<(Option<i32>, RecordBatch)>> {
    let Some(column) = table.partition.column() else { return Ok(vec![(None, batch.clone())]) };
    let at = batch.schema().index_of(column)?;
    let days = batch.column(at).as_primitive::<Date32Type>().clone();
    let mut rows = batch.clone();
    rows.remove_column(at);
    let mut by_day: BTreeMap<Option<i32>, Vec<u32>> = BTreeMap::new();
    for (row, day) in (0..).zip(days.iter()) {
        by_day.entry(day).or_default().push(row);
    }
    if by_day.len() == 1 {
        return Ok(by_day.into_keys().map(|day| (day, rows.clone())).collect());
    }
    let parts =
        by_day.into_iter().map(|(day, picked)| Ok((day, take_record_batch(&rows, &UInt32Array::from(picked))?)));
    parts.collect()
}
