//! `ascribe check`

use std::process::ExitCode;

use ascribe::Database;
use ascribe::error::{Result, UserError, plural};
use ascribe::maintenance::{self, Finding, Report, Severity, stored_tables};
use ascribe::model::{self, Table};
use serde_json::json;

use super::{Ended, LakeArgument};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Shown {
    /// Lines for people
    Text,
    /// One JSON object
    Json,
}

#[derive(Debug, clap::Args)]
pub(super) struct Check {
    #[command(flatten)]
    lake: LakeArgument,
    /// Only this table; may be given many times
    #[arg(long)]
    table: Vec<String>,
    /// How to show what was found
    #[arg(long, value_enum, default_value = "text")]
    format: Shown,
}

impl Check {
    pub(super) async fn run(self) -> Ended {
        let database = Database::open(&self.lake.existing()?).await?;
        let report = maintenance::check(&database, &tables(&self.table)?).await?;
        match self.format {
            Shown::Text => print(&report),
            Shown::Json => println!("{}", as_json(&report)),
        }
        Ok(if report.sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The tables of these names, or all.
pub(super) fn tables(names: &[String]) -> Result<Vec<&'static Table>> {
    if names.is_empty() {
        return Ok(stored_tables());
    }
    let table = |name: &String| {
        let name = name.strip_prefix("system.").unwrap_or(name);
        model::table(name).ok_or_else(|| UserError::new("42P01", format!("there is no table {name}")).into())
    };
    names.iter().map(table).collect()
}

fn print(report: &Report) {
    let Report { tables, entries, files, rows, bytes, .. } = report;
    let counts = [(*tables, "table"), (*entries, "log entry"), (*files, "file"), (*rows, "row"), (*bytes, "byte")];
    println!("{} read", counts.map(|(count, noun)| format!("{count} {}", plural(count, noun))).join(", "));
    for Finding { severity, table, kind, subject, detail } in &report.findings {
        println!("{}: {table}: {kind}: {subject}: {detail}", severity.name());
    }
    let damage = report.findings.iter().filter(|finding| finding.severity == Severity::Damage).count() as u64;
    match damage {
        0 => println!("the lake is sound"),
        _ => println!("{damage} {} of damage", plural(damage, "finding")),
    }
}

fn as_json(report: &Report) -> serde_json::Value {
    let finding = |finding: &Finding| {
        json!({
            "severity": finding.severity.name(), "table": finding.table, "kind": finding.kind,
            "subject": finding.subject, "detail": finding.detail,
        })
    };
    json!({
        "sound": report.sound(), "tables": report.tables, "log_entries": report.entries, "files": report.files,
        "rows": report.rows, "bytes": report.bytes,
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}
