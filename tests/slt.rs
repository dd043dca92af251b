//! Runs every `.slt` file below `tests/slt/`, each on a lake of its own.
//!
//! A line `# import SOURCE PATH [table=T] [target=source …]` at the head of a file lands a fixture first; paths are
//! relative to the project. Set `ASCRIBE_SLT` to a part of a path to run only the files that contain it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ascribe::Database;
use ascribe::error::Error;
use ascribe::ingest::{self, Options, Progress};
use async_trait::async_trait;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

struct Engine(Database);

#[derive(Debug)]
struct Failure(Error);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.0.sqlstate(), self.0)
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

#[async_trait]
impl AsyncDB for Engine {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let batches = self.0.sql(sql).await?;
        let format = FormatOptions::new().with_null("NULL").with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:::z"));
        let mut rows = Vec::new();
        let width = batches.first().map_or(0, datafusion::arrow::array::RecordBatch::num_columns);
        for batch in &batches {
            let columns: Vec<_> =
                batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &format).unwrap()).collect();
            for row in 0..batch.num_rows() {
                let cell = |column: &ArrayFormatter<'_>| match column.value(row).to_string() {
                    empty if empty.is_empty() => "(empty)".to_owned(),
                    text => text,
                };
                rows.push(columns.iter().map(cell).collect());
            }
        }
        if width == 0 {
            return Ok(DBOutput::StatementComplete(0));
        }
        Ok(DBOutput::Rows { types: vec![DefaultColumnType::Any; width], rows })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "ascribe"
    }
}

fn files() -> Vec<PathBuf> {
    let root = PathBuf::from("tests/slt");
    let only = std::env::var("ASCRIBE_SLT").unwrap_or_default();
    let entries = walkdir::WalkDir::new(root).sort_by_file_name().into_iter().map(|entry| entry.unwrap().into_path());
    entries
        .filter(|path| path.extension().is_some_and(|ending| ending == "slt"))
        .filter(|path| path.to_string_lossy().contains(&only))
        .collect()
}

async fn import_fixtures(database: &Database, file: &Path) {
    let text = std::fs::read_to_string(file).unwrap();
    for line in text.lines().filter_map(|line| line.strip_prefix("# import ")) {
        let mut words = line.split_whitespace();
        let source = words.next().and_then(ingest::find).unwrap_or_else(|| panic!("{}: {line}", file.display()));
        let path = Path::new(".").join(words.next().unwrap());
        let mut options = Options::default();
        for (target, value) in words.filter_map(|word| word.split_once('=')) {
            match target {
                "table" => options.table = Some(value.to_owned()),
                _ => options.map.push((target.to_owned(), value.to_owned())),
            }
        }
        let paths = [path.display().to_string()];
        ingest::import(database.lake(), source, &paths, &options, &Arc::<Progress>::default()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqllogictest_files() {
    let mut failures = Vec::new();
    let files = files();
    assert!(!files.is_empty());
    for file in &files {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().display().to_string()).await.unwrap();
        import_fixtures(&database, file).await;
        let mut runner = Runner::new(|| async { Ok(Engine(database.clone())) });
        if let Err(error) = runner.run_file_async(file).await {
            failures.push(format!("{}: {error}", file.display()));
        }
    }
    assert!(failures.is_empty(), "{} of {} files failed\n{}", failures.len(), files.len(), failures.join("\n\n"));
}
