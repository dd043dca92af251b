//! A table's log read by itself, entry by entry (Delta protocol, "Delta Log Entries", "Checkpoints", "Action
//! Reconciliation"): what the files of the log say, and what in them contradicts itself. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, MapArray, RecordBatch, StructArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use object_store::ObjectMeta;
use object_store::path::Path;
use serde_json::Value;

use super::DataFile;
use super::file::CHECKSUM_TAG;

/// The files of a log, by what their names say.
#[derive(Debug, Clone, Default)]
pub struct TableLog {
    /// Log entries by version.
    pub entries: BTreeMap<u64, ObjectMeta>,
    /// Checkpoints by version, with their parts.
    pub checkpoints: BTreeMap<u64, Vec<ObjectMeta>>,
    /// Other files: hints, leftovers of writers that were stopped.
    pub others: Vec<ObjectMeta>,
}

impl TableLog {
    /// Of the objects below `_delta_log`.
    #[must_use]
    pub fn of(objects: impl IntoIterator<Item = ObjectMeta>) -> Self {
        let mut log = Self::default();
        for object in objects {
            let name = object.location.filename().unwrap_or_default().to_owned();
            let version = name.get(..20).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
            let version = version.and_then(|digits| digits.parse::<u64>().ok());
            match (version, name.get(20..)) {
                (Some(version), Some(".json")) => {
                    log.entries.insert(version, object);
                }
                (Some(version), Some(rest)) if rest.starts_with(".checkpoint") && rest.ends_with(".parquet") => {
                    log.checkpoints.entry(version).or_default().push(object);
                }
                _ => log.others.push(object),
            }
        }
        log
    }

    /// Where to begin so that every entry up to the newest follows: at the oldest such checkpoint, or at the first entry
    /// (`Some(None)`). None when entries are missing that no checkpoint stands for. Entries before a checkpoint may be
    /// missing: they are cleaned up in no order.
    #[must_use]
    pub fn beginning(&self) -> Option<Option<u64>> {
        let newest = self.newest()?;
        let mut first = newest + 1;
        while first > 0 && self.entries.contains_key(&(first - 1)) {
            first -= 1;
        }
        if first == 0 {
            return Some(None);
        }
        self.checkpoints.range(first - 1..).next().map(|(version, _)| Some(*version))
    }

    /// The newest version that there is an entry or a checkpoint of.
    #[must_use]
    pub fn newest(&self) -> Option<u64> {
        self.entries.keys().next_back().max(self.checkpoints.keys().next_back()).copied()
    }
}

/// A file that is part of a table's state.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LoggedFile {
    /// Path below the table, as the log has it.
    pub path: String,
    /// Bytes.
    pub size: i64,
    /// Statistics as JSON.
    pub stats: Option<String>,
    /// Values of the partition columns.
    pub partition_values: BTreeMap<String, Option<String>>,
    /// SHA-256 of the content, where the writer noted it.
    pub checksum: Option<String>,
    /// Whether rows of it are marked as deleted by a file beside it, which no writer of ours does.
    pub deletion_vector: bool,
}

impl LoggedFile {
    /// The same as the engine sees it, without what only the engine knows.
    #[must_use]
    pub fn data_file(&self) -> DataFile {
        DataFile {
            path: self.path.clone(),
            size: self.size,
            rows: None,
            stats: self.stats.clone(),
            partition_values: self.partition_values.clone().into_iter().collect(),
            modified_ms: 0,
            compacted: false,
        }
    }
}

/// A file that was part of a table's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// Version that removed it; of one that only a checkpoint tells of, the version of the checkpoint.
    pub version: u64,
    /// When, milliseconds since the epoch; none where the log does not say.
    pub at_ms: Option<i64>,
}

/// What contradicts itself in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The version.
    pub version: u64,
    /// What is wrong.
    pub what: String,
}

/// The state of a table at a version, as its log says.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The version; none before the first entry.
    pub version: Option<u64>,
    /// Files of the state by path.
    pub live: BTreeMap<String, LoggedFile>,
    /// Files that are no longer, as far as the log remembers.
    pub removed: BTreeMap<String, Removed>,
    /// Transaction ids with their numbers.
    pub transactions: BTreeMap<String, i64>,
    /// Whether the schema of the table is known.
    pub described: bool,
}

impl State {
    /// Take the actions of one entry; what contradicts the state goes to `problems`.
    pub fn apply(&mut self, version: u64, entry: &[u8], problems: &mut Vec<Problem>) {
        let mut added: BTreeSet<String> = BTreeSet::new();
        for line in entry.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            let Ok(Value::Object(action)) = serde_json::from_slice::<Value>(line) else {
                problems.push(Problem { version, what: "a line is not a JSON object".to_owned() });
                continue;
            };
            for (kind, body) in &action {
                match kind.as_str() {
                    "add" => self.add(version, body, &mut added, problems),
                    "remove" => self.remove(version, body, &added, problems),
                    "txn" => {
                        if let (Some(id), Some(number)) = (text(body, "appId"), body.get("version")) {
                            self.transactions.insert(id, number.as_i64().unwrap_or_default());
                        }
                    }
                    "metaData" => self.described = true,
                    _ => {}
                }
            }
        }
        self.version = Some(version);
    }

    fn add(&mut self, version: u64, body: &Value, added: &mut BTreeSet<String>, problems: &mut Vec<Problem>) {
        let Some(path) = text(body, "path") else {
            problems.push(Problem { version, what: "an add without a path".to_owned() });
            return;
        };
        let Some(size) = body.get("size").and_then(Value::as_i64) else {
            problems.push(Problem { version, what: format!("the add of {path} has no size") });
            return;
        };
        if self.live.contains_key(&path) {
            problems.push(Problem { version, what: format!("{path} is added although it is there already") });
        }
        if self.removed.remove(&path).is_some() {
            problems.push(Problem { version, what: format!("{path} is added again after it was removed") });
        }
        let values = body.get("partitionValues").and_then(Value::as_object);
        let values =
            values.into_iter().flatten().map(|(name, value)| (name.clone(), value.as_str().map(str::to_owned)));
        let checksum = body.get("tags").and_then(|tags| text(tags, CHECKSUM_TAG));
        let deletion_vector = body.get("deletionVector").is_some_and(|vector| !vector.is_null());
        let file = LoggedFile {
            path: path.clone(),
            size,
            stats: text(body, "stats"),
            partition_values: values.collect(),
            checksum,
            deletion_vector,
        };
        added.insert(path.clone());
        self.live.insert(path, file);
    }

    fn remove(&mut self, version: u64, body: &Value, added: &BTreeSet<String>, problems: &mut Vec<Problem>) {
        let Some(path) = text(body, "path") else {
            problems.push(Problem { version, what: "a remove without a path".to_owned() });
            return;
        };
        if self.live.remove(&path).is_none() {
            problems.push(Problem { version, what: format!("{path} is removed although it is not there") });
        } else if added.contains(&path) {
            problems.push(Problem { version, what: format!("{path} is added and removed in one entry") });
        }
        let at_ms = body.get("deletionTimestamp").and_then(Value::as_i64);
        self.removed.insert(path, Removed { version, at_ms });
    }

    /// The state that the parts of a checkpoint hold.
    ///
    /// # Errors
    /// What keeps a part from being read.
    pub fn of_checkpoint(version: u64, parts: Vec<Bytes>) -> Result<Self, String> {
        let mut state = Self { version: Some(version), ..Self::default() };
        for part in parts {
            let reader = ParquetRecordBatchReaderBuilder::try_new(part).map_err(|error| error.to_string())?;
            let reader = reader.build().map_err(|error| error.to_string())?;
            for batch in reader {
                state.take(version, &batch.map_err(|error| error.to_string())?)?;
            }
        }
        if !state.described {
            return Err("it has no schema of the table".to_owned());
        }
        Ok(state)
    }

    fn take(&mut self, version: u64, batch: &RecordBatch) -> Result<(), String> {
        if let Some(metadata) = column(batch, "metaData") {
            self.described |= metadata.null_count() < metadata.len();
        }
        if let Some(adds) = column(batch, "add") {
            let (paths, stats) = (texts(adds, "path")?, texts(adds, "stats").ok());
            let sizes = adds.column_by_name("size").and_then(|column| column.as_primitive_opt::<Int64Type>());
            let sizes = sizes.ok_or("its adds have no sizes")?;
            let (values, tags) = (maps(adds, "partitionValues"), maps(adds, "tags"));
            for row in (0..adds.len()).filter(|row| adds.is_valid(*row) && paths.is_valid(*row)) {
                let cell = |column: &Option<Texts>| column.as_ref().and_then(|texts| texts.get(row));
                let path = paths.get(row).unwrap_or_default();
                let file = LoggedFile {
                    path: path.clone(),
                    size: if sizes.is_valid(row) { sizes.value(row) } else { -1 },
                    stats: cell(&stats),
                    partition_values: values.as_ref().map(|maps| entries(maps, row)).unwrap_or_default(),
                    checksum: tags.as_ref().and_then(|maps| entries(maps, row).remove(CHECKSUM_TAG).flatten()),
                    deletion_vector: adds.column_by_name("deletionVector").is_some_and(|column| column.is_valid(row)),
                };
                self.live.insert(path, file);
            }
        }
        if let Some(removes) = column(batch, "remove") {
            let paths = texts(removes, "path")?;
            let times = removes.column_by_name("deletionTimestamp");
            let times = times.and_then(|column| column.as_primitive_opt::<Int64Type>());
            for row in (0..removes.len()).filter(|row| removes.is_valid(*row) && paths.is_valid(*row)) {
                let at_ms = times.filter(|times| times.is_valid(row)).map(|times| times.value(row));
                self.removed.insert(paths.get(row).unwrap_or_default(), Removed { version, at_ms });
            }
        }
        if let Some(marks) = column(batch, "txn") {
            let ids = texts(marks, "appId")?;
            let numbers = marks.column_by_name("version").and_then(|column| column.as_primitive_opt::<Int64Type>());
            for row in (0..marks.len()).filter(|row| marks.is_valid(*row) && ids.is_valid(*row)) {
                let number = numbers.filter(|numbers| numbers.is_valid(row)).map_or(0, |numbers| numbers.value(row));
                self.transactions.insert(ids.get(row).unwrap_or_default(), number);
            }
        }
        Ok(())
    }
}

/// The path of an object below a table that the log names, where it is one.
#[must_use]
pub fn object_of(table_folder: &str, path: &str) -> Option<Path> {
    Path::from_url_path(format!("{table_folder}/{path}")).ok()
}

fn text(body: &Value, name: &str) -> Option<String> {
    body.get(name)?.as_str().map(str::to_owned)
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a StructArray> {
    batch.column_by_name(name)?.as_struct_opt()
}

/// Texts of whatever text type a checkpoint was written with.
struct Texts(ArrayRef);

impl Texts {
    fn is_valid(&self, row: usize) -> bool {
        self.0.is_valid(row)
    }

    fn get(&self, row: usize) -> Option<String> {
        self.0.is_valid(row).then(|| self.0.as_string::<i32>().value(row).to_owned())
    }
}

fn texts(of: &StructArray, name: &str) -> Result<Texts, String> {
    let column = of.column_by_name(name).ok_or_else(|| format!("it has no column {name}"))?;
    Ok(Texts(cast(column, &DataType::Utf8).map_err(|error| error.to_string())?))
}

fn maps(of: &StructArray, name: &str) -> Option<MapArray> {
    Some(of.column_by_name(name)?.as_map_opt()?.clone())
}

fn entries(maps: &MapArray, row: usize) -> BTreeMap<String, Option<String>> {
    if !maps.is_valid(row) {
        return BTreeMap::new();
    }
    let pairs = maps.value(row);
    let (Ok(keys), Ok(values)) = (cast(pairs.column(0), &DataType::Utf8), cast(pairs.column(1), &DataType::Utf8))
    else {
        return BTreeMap::new();
    };
    let (keys, values) = (Texts(keys), Texts(values));
    (0..pairs.len()).filter_map(|at| Some((keys.get(at)?, values.get(at)))).collect()
}
