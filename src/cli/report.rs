//! `ascribe report`

use std::collections::BTreeMap;
use std::process::ExitCode;

use ascribe::Database;
use ascribe::error::{Result, UserError, plural};
use ascribe::reports::{self, Trigger};
use clap::Subcommand;
use datafusion::arrow::array::AsArray;

use super::{Ended, LakeArgument};

#[derive(Debug, clap::Args)]
pub(super) struct Report {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the reports, when they are due, what they take, and how they went last
    List {
        #[command(flatten)]
        lake: LakeArgument,
    },
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
            Action::List { lake } => list(&lake).await,
            Action::Run { name, at, set, lake } => run(&name, at.as_deref(), &set, &lake).await,
        }
    }
}

async fn list(lake: &LakeArgument) -> Ended {
    let runs = match lake.if_there()? {
        Some(url) => last_runs(&Database::open(&url).await?).await?,
        None => BTreeMap::new(),
    };
    for report in reports::all()? {
        let schedule = report.schedule.as_ref().map_or("by hand only", reports::Schedule::text);
        println!("{}\n    {}\n    due: {schedule}", report.name, report.description);
        for parameter in &report.parameters {
            println!("    {} {} = {}", parameter.name, parameter.sql_type, parameter.default);
        }
        if let Some(run) = runs.get(&report.name) {
            println!("    last run: {run}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The last run of each report, in words.
async fn last_runs(database: &Database) -> Result<BTreeMap<String, String>> {
    let sql = "SELECT report, concat_ws(' ', 'for', last_value(due_at ORDER BY started_at), \
               last_value(status ORDER BY started_at), last_value(error ORDER BY started_at)) \
               FROM system.report_runs GROUP BY report";
    let mut runs = BTreeMap::new();
    for batch in database.sql(sql).await? {
        let (Some(reports), Some(texts)) =
            (batch.column(0).as_string_opt::<i32>(), batch.column(1).as_string_opt::<i32>())
        else {
            continue;
        };
        let pairs = reports.iter().zip(texts).filter_map(|(report, text)| report.zip(text));
        runs.extend(pairs.map(|(report, text)| (report.to_owned(), text.to_owned())));
    }
    Ok(runs)
}

async fn run(name: &str, at: Option<&str>, set: &[String], lake: &LakeArgument) -> Ended {
    let report = reports::find(name)?;
    let database = Database::open(&lake.existing()?).await?;
    let due_at = match at {
        Some(text) => instant("--at", text)?,
        None => database.lake().clock().now_micros(),
    };
    let overrides: Result<BTreeMap<String, String>> = set.iter().map(|pair| assignment(pair)).collect();
    let record = reports::run(&database, &report, due_at, &overrides?, Trigger::Manual).await?;
    println!("{} {}", record.rows, plural(record.rows, "row"));
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
