//! Running a decoder over bytes and looking at what landed, for the tests of the sources.

use std::collections::BTreeMap;
use std::path::PathBuf;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

use super::{Input, Options, Output, Rejections, Source};
use crate::error::Result;

/// When the tests' imports began: 2026-11-22T12:00:00Z.
pub const NOW: i64 = 1_795_348_800_000_000;

/// What a decoder made of a file.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Batches by table.
    pub batches: BTreeMap<&'static str, Vec<RecordBatch>>,
    /// Rejections by reason.
    pub rejected: BTreeMap<String, Rejections>,
}

impl Decoded {
    /// Rows that landed in a table.
    #[must_use]
    pub fn rows(&self, table: &str) -> usize {
        self.batches.get(table).map_or(0, |batches| batches.iter().map(RecordBatch::num_rows).sum())
    }

    /// A column of a table as text, in the order of arrival; null is the empty text.
    #[must_use]
    pub fn column(&self, table: &str, column: &str) -> Vec<String> {
        let mut cells = Vec::new();
        for batch in self.batches.get(table).into_iter().flatten() {
            let array = batch.column_by_name(column).unwrap_or_else(|| panic!("{table} has no column {column}"));
            let formatter = ArrayFormatter::try_new(array, &FormatOptions::default()).unwrap();
            cells.extend((0..batch.num_rows()).map(|row| formatter.value(row).to_string()));
        }
        cells
    }

    /// One cell of a table as text.
    #[must_use]
    pub fn cell(&self, table: &str, column: &str, row: usize) -> String {
        self.column(table, column).swap_remove(row)
    }

    /// Reasons and how many records each.
    #[must_use]
    pub fn reasons(&self) -> Vec<(&str, u64)> {
        self.rejected.iter().map(|(reason, seen)| (reason.as_str(), seen.count)).collect()
    }
}

/// Decode bytes that can be read.
pub fn decode(source: &dyn Source, bytes: &[u8]) -> Decoded {
    try_decode(source, bytes, &Options::default()).unwrap()
}

/// Decode bytes.
pub fn try_decode(source: &dyn Source, bytes: &[u8], options: &Options) -> Result<Decoded> {
    let mut decoded = Decoded::default();
    let mut flush = |table: &'static crate::model::Table, batch: RecordBatch| {
        assert_eq!(batch.schema(), table.schema(), "{}", table.name);
        decoded.batches.entry(table.name).or_default().push(batch);
        Ok(())
    };
    let mut output = Output::new(source.name(), NOW, &mut flush);
    let mut reader = bytes;
    let input = Input { origin: "test", content_hash: "c0ffee", reader: &mut reader, options, now: NOW };
    source.decode(input, &mut output)?;
    decoded.rejected = output.finish()?;
    Ok(decoded)
}

/// A fixture of the repository.
#[must_use]
pub fn fixture(path: &str) -> Vec<u8> {
    let path = PathBuf::from("data/fixtures").join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
