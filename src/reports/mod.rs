//! Reports: queries with a schedule, delivered as files below the lake.

mod chart;
mod definition;
mod files;
mod html;
mod number;
mod run;
mod schedule;
mod scheduler;

pub use definition::{Chart, ColumnKind, OutputFormat, Parameter, Report, ReportColumn, Section, parse};
pub use run::{RunRecord, Trigger, run};
pub use schedule::Schedule;
pub use scheduler::Scheduler;

use crate::catalog;
use crate::error::{Result, UserError};

/// Every built-in report, in the order of the documentation.
///
/// # Errors
/// When the header of one is broken, which a test excludes.
pub fn all() -> Result<Vec<Report>> {
    catalog::report_files().into_iter().map(|file| parse(file.name, file.sql)).collect()
}

/// The report of that name.
///
/// # Errors
/// When there is none.
pub fn find(name: &str) -> Result<Report> {
    let reports = all()?;
    let names: Vec<String> = reports.iter().map(|report| report.name.clone()).collect();
    reports.into_iter().find(|report| report.name == name).ok_or_else(|| {
        UserError::invalid(format!("there is no report \"{name}\""))
            .hint(format!("the reports are: {}", names.join(", ")))
            .into()
    })
}
