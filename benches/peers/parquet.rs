//! SQL over Parquet files that nobody imported: `NAME.parquet` in a folder is the table `NAME`.
//!
//! `cargo run --release -p ascribe-bench --bin parquet -- FOLDER QUERY.sql [RUNS]` prints the rows as CSV, and on standard error how
//! many milliseconds each run took. With `count` the rows are let go of and only counted.

#![expect(clippy::print_stderr, clippy::print_stdout, clippy::disallowed_methods, reason = "a program of its own")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ascribe::error::{Result, UserError, sqlstate};
use ascribe::{Database, session};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::csv::WriterBuilder;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider};
use datafusion::common::TableReference;
use datafusion::prelude::ParquetReadOptions;
use futures::TryStreamExt;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, query, runs, keep) = match arguments.as_slice() {
        [folder, query] => (folder, query, 1, true),
        [folder, query, runs] => (folder, query, runs.parse().unwrap_or(1), true),
        [folder, query, runs, count] if count == "count" => (folder, query, runs.parse().unwrap_or(1), false),
        _ => return Err(UserError::new(sqlstate::SYNTAX, "parquet FOLDER QUERY.sql [RUNS [count]]").into()),
    };
    let lake = tempfile::tempdir()?;
    let database = Database::open_with(
        &lake.path().display().to_string(),
        ascribe::config::Config {
            target_partitions: std::env::var("THREADS").ok().and_then(|threads| threads.parse().ok()).unwrap_or(0),
            ..ascribe::config::Config::default()
        },
    )
    .await?;
    let context = database.new_session()?;
    // The lake has tables of some of these names: a catalog of their own, which is asked first.
    let files = MemoryCatalogProvider::new();
    files.register_schema("public", Arc::new(MemorySchemaProvider::new()))?;
    context.register_catalog("files", Arc::new(files));
    for entry in std::fs::read_dir(Path::new(folder))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "parquet") {
            continue;
        }
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let table = TableReference::full("files", "public", name);
        context.register_parquet(table, path.display().to_string(), ParquetReadOptions::default()).await?;
    }
    context.sql("SET datafusion.catalog.default_catalog = 'files'").await?.collect().await?;
    let text = std::fs::read_to_string(query)?;
    let mut answer: Vec<RecordBatch> = Vec::new();
    for _ in 0..runs {
        let begun = Instant::now();
        let mut rows = session::answer_text(&context, &text).await?.stream();
        answer.clear();
        while let Some(batch) = rows.try_next().await? {
            answer.push(if keep { batch } else { batch.project(&[])? });
        }
        eprintln!("{:.3}", begun.elapsed().as_secs_f64() * 1000.0);
    }
    if !keep {
        println!("{}", answer.iter().map(RecordBatch::num_rows).sum::<usize>());
        return Ok(());
    }
    let mut writer = WriterBuilder::new().with_header(false).with_null("NULL".to_owned()).build(std::io::stdout());
    for batch in &answer {
        writer.write(batch)?;
    }
    Ok(())
}
