//! `ascribe simulate`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use ascribe::config::Config;
use ascribe::error::{Result, UserError, plural, sqlstate};
use ascribe::ingest::{self, Options};
use ascribe::simulate::{self, Plan, Scenario};
use ascribe::storage::Lake;

use super::import::{print_summary, watched};
use super::{Ended, LakeArgument};

#[derive(Debug, clap::Args)]
#[command(after_help = scenarios_help())]
pub(super) struct Simulate {
    /// What goes wrong: see the list below
    #[arg(long, default_value = "bad-deploy")]
    scenario: String,
    /// Decides everything else; the same seed gives the same files
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// About how many spans
    #[arg(long, default_value_t = 100_000)]
    spans: u64,
    /// When the telemetry begins, such as 2026-03-17T09:30:00Z
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// Write the input files and truth.json here, and land nothing
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "lake")]
    out: Option<PathBuf>,
    #[command(flatten)]
    lake: LakeArgument,
}

fn scenarios_help() -> String {
    let lines = simulate::scenarios().iter().map(|scenario| format!("  {:<16} {}", scenario.name(), scenario.doc()));
    format!("Scenarios:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

impl Simulate {
    pub(super) async fn run(self) -> Ended {
        let scenario: Scenario = self.scenario.parse()?;
        let start = match &self.start {
            Some(text) => super::report::instant("--start", text)?,
            None => simulate::DEFAULT_START,
        };
        let plan = Plan { scenario, seed: self.seed, spans: self.spans, start };
        if let Some(folder) = &self.out {
            let summary = generate(&plan, folder).await?;
            let said = |count: u64, noun: &str| format!("{count} {}", plural(count, noun));
            println!(
                "{} in {}, {}; the truth is in {}",
                said(summary.spans, "span"),
                said(summary.traces, "trace"),
                said(summary.logs, "log"),
                summary.truth.display()
            );
            return Ok(ExitCode::SUCCESS);
        }
        let lake = Lake::open(&self.lake.url(), &Config::default())?;
        let folder = tempfile::tempdir()?;
        generate(&plan, folder.path()).await?;
        land(&lake, folder.path(), true).await?;
        let truth = std::fs::read_to_string(folder.path().join("truth.json"))?;
        println!("{}", truth.trim_end());
        Ok(ExitCode::SUCCESS)
    }
}

/// Write the files of a simulation.
pub(super) async fn generate(plan: &Plan, folder: &Path) -> Result<simulate::Summary> {
    let (plan, folder) = (plan.clone(), folder.to_owned());
    let done = tokio::task::spawn_blocking(move || simulate::run(&plan, &folder)).await;
    done.map_err(|error| UserError::new(sqlstate::INTERNAL, error.to_string()))?
}

/// Land the files of a simulation, each as its source.
pub(super) async fn land(lake: &Arc<Lake>, folder: &Path, loud: bool) -> Result<()> {
    for part in simulate::manifest(folder)? {
        let source = ingest::find(part.source)
            .ok_or_else(|| UserError::new(sqlstate::INTERNAL, format!("there is no source {}", part.source)))?;
        let paths: Vec<String> = part.paths.iter().map(|path| path.display().to_string()).collect();
        let options = Options { table: part.table.map(str::to_owned), ..Options::default() };
        let summary = watched(lake, source, &paths, &options).await?;
        if loud {
            print_summary(&summary);
        }
    }
    Ok(())
}
