//! Running a decoder over bytes and looking at what landed, for the tests of the sources.

use std::collections::BTreeMap;
use std::path::PathBuf;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use proptest::prelude::*;
use serde_json::{Value, json};

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

    /// How many records did not land, for whatever reason.
    #[must_use]
    pub fn not_landed(&self) -> u64 {
        self.rejected.values().map(|seen| seen.count).sum()
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

/// Decode a record that lands as one row.
pub fn one(source: &dyn Source, table: &str, record: &Value) -> Decoded {
    let decoded = decode(source, record.to_string().as_bytes());
    assert_eq!((decoded.rows(table), decoded.reasons()), (1, vec![]));
    decoded
}

/// Make sure of cells of a row.
pub fn check(table: &str, decoded: &Decoded, row: usize, expected: &[(&str, &str)]) {
    for (column, value) in expected {
        assert_eq!(decoded.cell(table, column, row), *value, "{column}");
    }
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

/// The records of a fixture that has one a line.
#[must_use]
pub fn lines(path: &str) -> Vec<Value> {
    String::from_utf8(fixture(path)).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Any JSON, of few names and of texts such as records hold.
pub fn any_json() -> impl Strategy<Value = Value> {
    let words =
        ["", "unknown", "x", "2024-08-01T09:00:00Z", "9999-12-31T23:59:59Z", "a/b:c@d", "//", ":", "é\u{0}", "0"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        proptest::sample::select(words.to_vec()).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[a-c]", inner, 0..3).prop_map(|members| json!(members)),
        ]
    })
}

/// Records of the shape of these: of each some members are missing, and some are something else.
pub fn of_the_shape(records: Vec<Value>) -> impl Strategy<Value = Vec<Value>> {
    let change = (any::<proptest::sample::Index>(), proptest::option::weighted(0.7, any_json()));
    let record = (proptest::sample::select(records), proptest::collection::vec(change, 0..6));
    let changed = record.prop_map(|(mut record, changes)| {
        for (at, with) in changes {
            let mut paths = Vec::new();
            paths_of(&record, String::new(), &mut paths);
            change_at(&mut record, &paths[at.index(paths.len())], with);
        }
        record
    });
    proptest::collection::vec(changed, 1..6)
}

fn paths_of(value: &Value, path: String, paths: &mut Vec<String>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| (format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), value))
            .collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (format!("{path}/{at}"), value)).collect(),
        _ => Vec::new(),
    };
    paths.push(path);
    below.into_iter().for_each(|(path, value)| paths_of(value, path, paths));
}

/// Put another value there, or leave the member out.
fn change_at(record: &mut Value, path: &str, with: Option<Value>) {
    match (with, path.rsplit_once('/')) {
        // Alone, a text is cut at its quotes, which is for `json_records` to test.
        (None | Some(Value::String(_)), None) => *record = Value::Null,
        (Some(value), _) => *record.pointer_mut(path).unwrap() = value,
        (None, Some((parent, name))) => match record.pointer_mut(parent) {
            Some(Value::Object(members)) => drop(members.remove(&name.replace("~1", "/").replace("~0", "~"))),
            Some(Value::Array(items)) => drop(items.remove(name.parse::<usize>().unwrap())),
            _ => unreachable!("{path} is no path"),
        },
    }
}

/// Decode records and count: each gives one row in a table, or is counted with a reason.
pub fn nothing_is_lost(source: &dyn Source, table: &str, records: &[Value]) -> Decoded {
    let decoded = decode(source, json!(records).to_string().as_bytes());
    let counted = decoded.rows(table) as u64 + decoded.not_landed();
    assert_eq!(counted, records.len() as u64, "{:?} {records:?}", decoded.rejected);
    decoded
}
