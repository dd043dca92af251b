//! A simulated company in a lake of its own, with the truth about it.

use std::sync::Arc;

use ascribe::Database;
use ascribe::ingest::{self, Options, Progress};
use ascribe::simulate::{self, Plan};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use serde_json::Value;

pub(crate) struct Company {
    pub(crate) database: Database,
    pub(crate) truth: Value,
    pub(crate) folder: tempfile::TempDir,
}

/// Land what the plan gives; the sources that are not wanted save time.
pub(crate) async fn land(plan: &Plan, without: &[&str]) -> Company {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    let summary = simulate::run(plan, &files).unwrap();
    let database = Database::open(&folder.path().join("lake").display().to_string()).await.unwrap();
    for import in simulate::manifest(&files).unwrap() {
        if without.contains(&import.source) {
            continue;
        }
        let options = Options { table: import.table.map(str::to_owned), ..Options::default() };
        let paths: Vec<String> = import.paths.iter().map(|path| path.display().to_string()).collect();
        let source = ingest::find(import.source).unwrap();
        ingest::import(database.lake(), source, &paths, &options, &Arc::<Progress>::default()).await.unwrap();
    }
    let truth = serde_json::from_slice(&std::fs::read(summary.truth).unwrap()).unwrap();
    Company { database, truth, folder }
}

impl Company {
    /// Rows of a query as text.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let batches = self.database.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let mut rows = Vec::new();
        for batch in &batches {
            let columns: Vec<_> = batch.columns().iter().map(|column| cast(column, &DataType::Utf8).unwrap()).collect();
            for row in 0..batch.num_rows() {
                let cell = |column: &datafusion::arrow::array::ArrayRef| {
                    let texts = column.as_string::<i32>();
                    (!column.is_null(row)).then(|| texts.value(row).to_owned())
                };
                rows.push(columns.iter().map(cell).collect());
            }
        }
        rows
    }

    /// The first column of the first row.
    pub(crate) async fn one(&self, sql: &str) -> String {
        let rows = self.rows(sql).await;
        rows.first().and_then(|row| row[0].clone()).unwrap_or_else(|| panic!("{sql}: no row"))
    }
}
