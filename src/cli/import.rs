//! `ascribe import SOURCE PATH…`

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ascribe::config::Config;
use ascribe::error::{Result, UserError, plural};
use ascribe::ingest::{self, Options, Progress, Source, Summary};
use ascribe::storage::Lake;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Ended, LakeArgument};

#[derive(Debug, clap::Args)]
#[command(after_help = sources_help())]
pub(super) struct Import {
    /// What kind of input it is: see the list below
    source: String,
    /// Files, globs, directories, object store URLs, or - for standard input; .gz and .zst are read as they are
    #[arg(required = true)]
    paths: Vec<String>,
    #[command(flatten)]
    lake: LakeArgument,
    /// Canonical table that csv and parquet files land in
    #[arg(long)]
    table: Option<String>,
    /// Column of the table and the column of the file that fills it; may be given many times
    #[arg(long, value_name = "TARGET=SOURCE")]
    map: Vec<String>,
    /// Column of the table and the value that every row has in it; may be given many times
    #[arg(long, value_name = "TARGET=VALUE")]
    set: Vec<String>,
    /// Exit with status 0 even if records were rejected, and let a bill of which some were replace another
    #[arg(long)]
    accept_rejections: bool,
}

fn pairs(option: &str, given: &[String]) -> Result<Vec<(String, String)>> {
    let pairs = given.iter().map(|pair| match pair.split_once('=') {
        Some((target, other)) if !target.is_empty() && !other.is_empty() => Ok((target.to_owned(), other.to_owned())),
        _ => Err(UserError::invalid(format!("{option} {pair}: there is nothing on one side of =")).into()),
    });
    pairs.collect()
}

fn sources_help() -> String {
    let lines = ingest::all().into_iter().map(|source| format!("  {:<14} {}", source.name(), source.doc()));
    format!("Sources:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

impl Import {
    pub(super) async fn run(self) -> Ended {
        let source = ingest::find(&self.source).ok_or_else(|| unknown(&self.source))?;
        if self.table.is_some() {
            takes(source, "--table", |source| source.is_generic())?;
        }
        if !self.set.is_empty() {
            takes(source, "--set", |source| source.takes_set())?;
        }
        let lake = Lake::open(&self.lake.url(), &Config::default())?;
        let (map, set) = (pairs("--map", &self.map)?, pairs("--set", &self.set)?);
        let options = Options { table: self.table.clone(), map, set, accept_rejections: self.accept_rejections };
        let summary = watched(&lake, source, &self.paths, &options).await?;
        print_summary(&summary);
        let rejected = summary.rejections() + summary.rejected_before > 0 && !self.accept_rejections;
        Ok(if rejected || !summary.unreadable.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// Whether an option says something to a source.
fn takes(source: &dyn Source, option: &str, takes: fn(&dyn Source) -> bool) -> Result<()> {
    if takes(source) {
        return Ok(());
    }
    let takers = ingest::all().into_iter().filter(|source| takes(*source)).map(Source::name);
    Err(UserError::invalid(format!("{option} says nothing to the source {}", source.name()))
        .hint(format!("it is for the sources {}", takers.collect::<Vec<_>>().join(", ")))
        .into())
}

fn unknown(name: &str) -> UserError {
    let names: Vec<&str> = ingest::all().into_iter().map(Source::name).collect();
    UserError::invalid(format!("\"{name}\" is not a source")).hint(format!("the sources are: {}", names.join(", ")))
}

/// Import with a progress bar on a terminal.
pub(super) async fn watched(
    lake: &Arc<Lake>,
    source: &'static dyn Source,
    paths: &[String],
    options: &Options,
) -> Result<Summary> {
    let progress = Arc::<Progress>::default();
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {msg} {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let shown = Arc::clone(&progress);
    let painter = tokio::spawn({
        let bar = bar.clone();
        async move {
            loop {
                bar.set_length(shown.total.load(Ordering::Relaxed));
                bar.set_position(shown.read.load(Ordering::Relaxed));
                let rows = shown.rows.load(Ordering::Relaxed);
                bar.set_message(format!("{rows} {}", plural(rows, "row")));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    });
    let summary = ingest::import(lake, source, paths, options, &progress).await;
    painter.abort();
    bar.finish_and_clear();
    summary
}

/// Rows landed by table, records rejected by reason, files skipped.
pub(super) fn print_summary(summary: &Summary) {
    for (table, rows) in &summary.rows {
        println!("{rows:>12} {} landed in {table}", plural(*rows, "row"));
    }
    if summary.undated_owners > 0 {
        let rows = plural(summary.undated_owners, "row");
        println!(
            "{:>12} {rows} of it without valid_from: valid from the time of this import on",
            summary.undated_owners
        );
    }
    if summary.rows.is_empty() {
        println!("{:>12} rows landed", 0);
    }
    if !summary.skipped.is_empty() {
        let files = summary.skipped.len() as u64;
        println!("{files:>12} {} skipped as already imported", plural(files, "file"));
        if summary.rejected_before > 0 {
            let records = plural(summary.rejected_before, "record");
            println!("{:>12} {records} of that rejected, as told when it was imported", summary.rejected_before);
        }
    }
    for (reason, rejections) in &summary.rejected {
        let records = plural(rejections.count, "record");
        if rejections.unused {
            println!("{:>12} {records} passed over: {reason}", rejections.count);
        } else {
            println!("{:>12} {records} rejected: {reason}", rejections.count);
            println!("{:>12}   such as {}", "", printable(&rejections.sample));
        }
    }
    for error in summary.unreadable.values() {
        eprintln!("ERROR: {error}");
    }
}

/// One line without anything that a terminal would obey.
fn printable(sample: &str) -> String {
    sample.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
