//! `ascribe report`

use std::collections::BTreeMap;
use std::process::ExitCode;

use ascribe::Database;
use ascribe::error::{Result, UserError};
use ascribe::reports::{self, Trigger};
use clap::Subcommand;

use super::{Ended, LakeArgument};

#[derive(Debug, clap::Args)]
pub(super) struct Report {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the reports, when they are due and what they take
    List,
    /// Run a report now and deliver it below the lake
    Run {
        /// Name of the report
        name: String,
        /// The instant that the run stands for, such as 2026-04-01T06:00:00Z [default: now]
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        /// Value of a parameter; may be given many times
        #[arg(long, value_name = "NAME=VALUE")]
        set: Vec<String>,
        #[command(flatten)]
        lake: LakeArgument,
    },
}

impl Report {
    pub(super) async fn run(self) -> Ended {
        match self.action {
            Action::List => list(),
            Action::Run { name, at, set, lake } => run(&name, at.as_deref(), &set, &lake).await,
        }
    }
}

fn list() -> Ended {
    for report in reports::all()? {
        let schedule = report.schedule.as_ref().map_or("by hand only", reports::Schedule::text);
        println!("{}\n    {}\n    due: {schedule}", report.name, report.description);
        for parameter in &report.parameters {
            println!("    {} {} = {}", parameter.name, parameter.sql_type, parameter.default);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn run(name: &str, at: Option<&str>, set: &[String], lake: &LakeArgument) -> Ended {
    let report = reports::find(name)?;
    let database = Database::open(&lake.url()).await?;
    let due_at = match at {
        Some(text) => instant("--at", text)?,
        None => database.lake().clock().now_micros(),
    };
    let overrides: Result<BTreeMap<String, String>> = set.iter().map(|pair| assignment(pair)).collect();
    let record = reports::run(&database, &report, due_at, &overrides?, Trigger::Manual).await?;
    println!("{} rows", record.rows);
    for output in &record.outputs {
        println!("{}{output}", database.lake().url());
    }
    Ok(ExitCode::SUCCESS)
}

fn assignment(pair: &str) -> Result<(String, String)> {
    let parts =
        pair.split_once('=').ok_or_else(|| UserError::invalid(format!("--set {pair}: it is not NAME=VALUE")))?;
    Ok((parts.0.to_owned(), parts.1.to_owned()))
}

/// The time that an option names, in microseconds since the epoch.
pub(super) fn instant(option: &str, text: &str) -> Result<i64> {
    let day = |day: chrono::NaiveDate| day.and_time(chrono::NaiveTime::MIN).and_utc();
    let parsed = chrono::DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let parsed = parsed.or_else(|error| text.parse().map(day).map_err(|_| error));
    let parsed = parsed.map_err(|error| {
        UserError::invalid(format!("{option} {text}: it is not a time: {error}"))
            .hint("write it as 2026-04-01 or 2026-04-01T06:00:00Z")
    })?;
    Ok(parsed.timestamp_micros())
}
