//! What decoders promise for any bytes. The fuzz target of `fuzz/` and the test beside this file share it.

use ascribe::ingest::{self, Input, Options, Output};
use ascribe::model::{self, Table};
use datafusion::arrow::array::RecordBatch;

/// What one decoding came to.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    /// The rows, in the order in which they were handed over.
    pub rows: Vec<(&'static str, RecordBatch)>,
    /// Reasons of rejections, and how many records each.
    pub rejected: Vec<(String, u64)>,
    /// Why the file as a whole was refused: SQLSTATE and message.
    pub refused: Option<(String, String)>,
}

/// Decode a file twice, the first byte naming the source and the second the table of a source that takes any.
///
/// # Panics
/// When a promise is broken: rows that do not have the schema of their table, an error that is nobody's fault, another
/// answer the second time.
pub fn check(data: &[u8]) {
    let [source, table, file @ ..] = data else { return };
    let outcome = decode(usize::from(*source), usize::from(*table), file);
    assert_eq!(outcome, decode(usize::from(*source), usize::from(*table), file), "the same bytes, another answer");
}

/// Decode a file by the source and into the table of these numbers, and look at what was handed over.
///
/// # Panics
/// As [`check`].
pub fn decode(source: usize, table: usize, file: &[u8]) -> Outcome {
    let (sources, tables) = (ingest::all(), model::tables());
    let source = sources[source % sources.len()];
    let table = source.is_generic().then(|| tables[table % tables.len()].name.to_owned());
    // A file of code owners does not name its repository.
    let repository = (source.name() == "codeowners").then(|| ("repository".to_owned(), "acme/shop".to_owned()));
    let options = Options { table, set: repository.into_iter().collect(), ..Options::default() };
    let mut outcome = Outcome::default();
    let mut flush = |table: &'static Table, batch: RecordBatch| {
        assert_eq!(batch.schema(), table.schema(), "rows of another table than {}", table.name);
        assert!(batch.num_rows() > 0, "a batch of {} without rows", table.name);
        outcome.rows.push((table.name, batch));
        Ok(())
    };
    let mut output = Output::new(source.name(), 1_700_000_000_000_000, &mut flush);
    let mut reader = file;
    let input = Input { origin: "fuzz", content_hash: "0", reader: &mut reader, options: &options, now: 1 };
    let decoded = source.decode(input, &mut output);
    let counted = output.rows();
    match output.finish() {
        Ok(rejected) => outcome.rejected = rejected.into_iter().map(|(reason, of)| (reason, of.count)).collect(),
        Err(error) => panic!("what was decoded cannot be handed over: {error}"),
    }
    let landed: usize = outcome.rows.iter().map(|(_, batch)| batch.num_rows()).sum();
    assert_eq!(counted, landed as u64, "rows were counted that were not handed over");
    if let Err(error) = decoded {
        let told = error.describe();
        assert_ne!(told.code, "XX000", "{}: {}", source.name(), told.message);
        outcome.refused = Some((told.code.to_owned(), told.message.clone()));
    }
    outcome
}
