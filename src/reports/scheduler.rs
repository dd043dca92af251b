//! Each due run once: across restarts, downtime, and nodes that share a lake.
//!
//! The first look at a report on a lake is noted; runs are due from then on. A run counts by its transaction id in
//! `system.report_runs`, so of two nodes that make the same run one row remains. A run that fails is tried again, later
//! each time, and after the last attempt counts as failed.

use std::collections::BTreeMap;
use std::time::Duration;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use datafusion::common::{ParamValues, ScalarValue};
use tokio::sync::watch;

use super::run::{attempt, run_id};
use super::{Report, RunRecord, Trigger};
use crate::config;
use crate::database::Database;
use crate::error::Result;
use crate::model::RowBuilder;
use crate::model::system::{REPORT_RUNS, ReportRunBuilder, ReportRunRow};
use crate::storage::Commit;

/// Runs reports when they are due.
#[derive(Debug)]
pub struct Scheduler {
    database: Database,
    reports: Vec<Report>,
}

/// What is known of one due instant.
#[derive(Debug, Default, Clone)]
struct Known {
    done: bool,
    attempts: i64,
    finished_at: i64,
}

impl Scheduler {
    /// A scheduler of these reports; those without a schedule are never due.
    #[must_use]
    pub fn new(database: Database, reports: Vec<Report>) -> Self {
        let reports = reports.into_iter().filter(|report| report.schedule.is_some()).collect();
        Self { database, reports }
    }

    /// Make every run that is due by now.
    ///
    /// # Errors
    /// When the lake cannot be read or written; a report that fails is in its record.
    pub async fn tick(&self) -> Result<Vec<RunRecord>> {
        let now = self.database.lake().clock().now_micros();
        let mut records = Vec::new();
        for report in &self.reports {
            let Some(schedule) = &report.schedule else { continue };
            let (since, known) = self.history(report, now).await?;
            for due in schedule.due(since, now, config::REPORT_CATCH_UP_RUNS) {
                let known = known.get(&due).cloned().unwrap_or_default();
                let wait = config::REPORT_RETRY_MICROS << known.attempts.clamp(0, 10);
                if known.done || (known.attempts > 0 && now < known.finished_at + wait) {
                    continue;
                }
                let last = known.attempts + 1 >= config::REPORT_ATTEMPTS;
                let overrides = BTreeMap::new();
                let (record, _) = attempt(&self.database, report, due, &overrides, Trigger::Schedule, last).await?;
                if !record.repeated {
                    records.push(record);
                }
            }
        }
        Ok(records)
    }

    /// Tick until told to stop. An error of the lake is logged and the next tick tries again.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        loop {
            match self.tick().await {
                Ok(records) => {
                    for record in records {
                        tracing::info!(
                            report = record.report,
                            due_at = record.due_at,
                            failed = record.error.is_some(),
                            "report run"
                        );
                    }
                }
                Err(error) => tracing::error!(%error, "the report scheduler could not work"),
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(config::REPORT_TICK_SECONDS)) => {}
                changed = stop.changed() => if changed.is_err() || *stop.borrow() { return },
            }
        }
    }

    /// From when on the report is due on this lake, and what is known of each instant.
    async fn history(&self, report: &Report, now: i64) -> Result<(i64, BTreeMap<i64, Known>)> {
        let session = self.database.new_session()?;
        let name = ScalarValue::Utf8(Some(report.name.clone()));
        let rows = session
            .sql(
                "SELECT due_at, status, count(*) AS attempts, max(finished_at) AS finished_at
                 FROM system.report_runs WHERE report = $1 AND trigger = 'schedule' GROUP BY due_at, status",
            )
            .await?
            .with_param_values(ParamValues::from(vec![name]))?
            .collect()
            .await?;
        let (mut since, mut known) = (None, BTreeMap::<i64, Known>::new());
        for batch in rows {
            let due = batch.column(0).as_primitive::<TimestampMicrosecondType>().clone();
            let status =
                datafusion::arrow::compute::cast(batch.column(1), &datafusion::arrow::datatypes::DataType::Utf8)?;
            let attempts = batch.column(2).as_primitive::<Int64Type>().clone();
            let finished = batch.column(3).as_primitive::<TimestampMicrosecondType>().clone();
            for row in 0..batch.num_rows() {
                let due = due.value(row);
                match status.as_string::<i32>().value(row) {
                    "registered" => since = Some(since.map_or(due, |since: i64| since.min(due))),
                    "retrying" => {
                        let entry = known.entry(due).or_default();
                        entry.attempts = attempts.value(row);
                        entry.finished_at = finished.value(row);
                    }
                    _ => known.entry(due).or_default().done = true,
                }
            }
        }
        match since {
            Some(since) => Ok((since, known)),
            None => {
                self.register(report, now).await?;
                Ok((now, known))
            }
        }
    }

    async fn register(&self, report: &Report, now: i64) -> Result<()> {
        let lake = self.database.lake();
        let mut builder = ReportRunBuilder::default();
        builder.append(&ReportRunRow {
            run_id: Some(uuid::Uuid::now_v7().to_string().into()),
            report: Some(report.name.as_str().into()),
            trigger: Some(Trigger::Schedule.name().into()),
            due_at: Some(now),
            started_at: Some(now),
            finished_at: Some(now),
            status: Some("registered".into()),
            ..ReportRunRow::default()
        });
        let mut writer = lake.writer(&REPORT_RUNS).await?;
        writer.write(builder.finish("reports", now)).await?;
        let transactions = vec![run_id(&report.name, 0)];
        writer.commit(Commit { transactions, ..Commit::default() }).await?;
        Ok(())
    }
}
