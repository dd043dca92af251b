//! Helpers of the telemetry decoders' tests.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use datafusion::arrow::util::display::array_value_to_string;

use crate::error::Result;
use crate::ingest::{Input, Options, Output, Rejections, Source};
use crate::model;

/// When the tests land their rows.
pub const NOW: i64 = 1_700_000_000_000_000;

/// What a decoder produced.
#[derive(Debug, Default)]
pub struct Landed {
    /// All rows by table.
    pub tables: BTreeMap<&'static str, RecordBatch>,
    /// What was rejected.
    pub rejected: BTreeMap<String, Rejections>,
}

impl Landed {
    /// Rows of a table.
    pub fn rows(&self, table: &str) -> usize {
        self.tables.get(table).map_or(0, RecordBatch::num_rows)
    }

    /// Rejected records.
    #[must_use]
    pub fn rejections(&self) -> u64 {
        self.rejected.values().map(|rejections| rejections.count).sum()
    }

    /// A cell as text; null is none. Maps are `key=value` pairs in order, joined by `|`.
    #[must_use]
    pub fn cell(&self, table: &str, column: &str, row: usize) -> Option<String> {
        let array = self.tables[table].column_by_name(column).unwrap_or_else(|| panic!("no column {column}"));
        if array.is_null(row) {
            return None;
        }
        if let Some(map) = array.as_map_opt() {
            return Some(pairs(&map.value(row)));
        }
        if let Some(texts) = array.as_string_opt::<i32>() {
            return Some(texts.value(row).to_owned());
        }
        if let Some(numbers) = array.as_primitive_opt::<Int64Type>() {
            return Some(numbers.value(row).to_string());
        }
        if let Some(numbers) = array.as_primitive_opt::<Int32Type>() {
            return Some(numbers.value(row).to_string());
        }
        if let Some(numbers) = array.as_primitive_opt::<Float64Type>() {
            return Some(numbers.value(row).to_string());
        }
        if let Some(times) = array.as_primitive_opt::<TimestampMicrosecondType>() {
            return Some(times.value(row).to_string());
        }
        Some(array_value_to_string(array, row).unwrap())
    }

    /// The row whose column has that value.
    #[must_use]
    pub fn row_of(&self, table: &str, column: &str, value: &str) -> usize {
        (0..self.rows(table))
            .find(|row| self.cell(table, column, *row).as_deref() == Some(value))
            .unwrap_or_else(|| panic!("no row of {table} has {column} = {value}"))
    }
}

fn pairs(entries: &datafusion::arrow::array::StructArray) -> String {
    let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
    let pairs: Vec<_> = (0..entries.len()).map(|at| format!("{}={}", keys.value(at), values.value(at))).collect();
    pairs.join("|")
}

/// Run a decoding function against an output and collect what it lands.
pub fn collect(decode: impl FnOnce(&mut Output<'_>) -> Result<()>) -> Result<Landed> {
    let mut batches: BTreeMap<&'static str, Vec<RecordBatch>> = BTreeMap::new();
    let mut flush = |table: &'static model::Table, batch: RecordBatch| {
        batches.entry(table.name).or_default().push(batch);
        Ok(())
    };
    let mut output = Output::new("test", NOW, &mut flush);
    decode(&mut output)?;
    let rejected = output.finish()?;
    let tables = batches
        .into_iter()
        .map(|(name, batches)| (name, concat_batches(&batches[0].schema(), &batches).unwrap()))
        .collect();
    Ok(Landed { tables, rejected })
}

/// Decode a file's content.
pub fn decode(source: &dyn Source, reader: &mut dyn BufRead) -> Result<Landed> {
    collect(|output| {
        let options = Options::default();
        source.decode(Input { origin: "test", content_hash: "", reader, options: &options, now: NOW }, output)
    })
}

/// Decode bytes, through a small buffer so that every boundary is crossed.
pub fn decode_bytes(source: &dyn Source, bytes: &[u8]) -> Landed {
    decode(source, &mut BufReader::with_capacity(61, bytes)).unwrap()
}

/// Decode a file, decompressing `.gz`.
pub fn decode_file(source: &dyn Source, path: &Path) -> Landed {
    let file = std::fs::File::open(path).unwrap();
    let content: Box<dyn Read> = match path.extension() {
        Some(extension) if extension == "gz" => Box::new(flate2::read::MultiGzDecoder::new(file)),
        _ => Box::new(file),
    };
    decode(source, &mut BufReader::new(content)).unwrap()
}

/// The folder of real data by others, or none (said loudly) where it is not at hand.
pub fn shared_data(folder: &str) -> Option<PathBuf> {
    let default = || Path::new("../shared/data").to_path_buf();
    let path = crate::config::variable("ASCRIBE_SHARED_DATA").map_or_else(default, PathBuf::from).join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED: {} is not there; set ASCRIBE_SHARED_DATA", path.display());
    None
}

/// The files of a folder and its subfolders whose name ends so, sorted.
pub fn files(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(std::result::Result::ok)
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.to_string_lossy().ends_with(suffix))
        .collect();
    found.sort();
    found
}
