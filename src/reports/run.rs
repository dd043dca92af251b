//! Running a report: parameters, queries, files, and the row that says so.
//!
//! The files of a run have paths that follow from the report and the instant that the run stands for, so delivering
//! twice gives the same files. The row in `system.report_runs` is committed last and makes the run count.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::execution::context::SessionContext;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use super::html::{self, Facts, Filled};
use super::{OutputFormat, Report, files};
use crate::database::Database;
use crate::error::{Error, Result, UserError};
use crate::model::system::{REPORT_RUNS, ReportRunBuilder, ReportRunRow};
use crate::model::{self, RowBuilder};
use crate::storage::{Commit, Outcome};

/// Why a report is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// It was due.
    Schedule,
    /// Somebody asked.
    Manual,
}

impl Trigger {
    /// As `system.report_runs` names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Manual => "manual",
        }
    }
}

/// A run that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// The report.
    pub report: String,
    /// The instant that the run stands for, microseconds since the epoch.
    pub due_at: i64,
    /// Rows of all sections.
    pub rows: u64,
    /// Files delivered, as paths below the lake.
    pub outputs: Vec<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// Another node had made the same run already.
    pub repeated: bool,
}

/// Run a report for an instant and deliver it below the lake; `overrides` are values of parameters as text.
///
/// # Errors
/// When a parameter is unknown, or the lake cannot be written. A query that fails is an error too, and is recorded.
pub async fn run(
    database: &Database,
    report: &Report,
    due_at: i64,
    overrides: &BTreeMap<String, String>,
    trigger: Trigger,
) -> Result<RunRecord> {
    let delivered = attempt(database, report, due_at, overrides, trigger, true).await?;
    match &delivered.1 {
        Some(error) => Err(error.clone().into()),
        None => Ok(delivered.0),
    }
}

/// The same, with the failure in the record; `last` says that nobody will try again.
pub(super) async fn attempt(
    database: &Database,
    report: &Report,
    due_at: i64,
    overrides: &BTreeMap<String, String>,
    trigger: Trigger,
    last: bool,
) -> Result<(RunRecord, Option<UserError>)> {
    let started_at = database.lake().clock().now_micros();
    let made = deliver(database, report, due_at, overrides, started_at).await;
    let mut record =
        RunRecord { report: report.name.clone(), due_at, rows: 0, outputs: Vec::new(), error: None, repeated: false };
    let mut parameters = Vec::new();
    let failure = match made {
        Ok(delivery) => {
            record.rows = delivery.rows;
            record.outputs = delivery.outputs;
            parameters = delivery.parameters;
            None
        }
        Err(error) => Some(as_user(&error)),
    };
    record.error = failure.as_ref().map(ToString::to_string);
    let counts = trigger == Trigger::Schedule && (failure.is_none() || last);
    let transactions = if counts { vec![run_id(&report.name, due_at)] } else { Vec::new() };
    let outcome = note(database, &record, started_at, trigger, &parameters, transactions).await?;
    record.repeated = outcome == Outcome::AlreadyThere;
    Ok((record, failure))
}

/// The id that makes a scheduled run count once.
pub(super) fn run_id(report: &str, due_at: i64) -> String {
    format!("report/{report}/{due_at}")
}

fn as_user(error: &Error) -> UserError {
    error.user().cloned().unwrap_or_else(|| UserError::new(error.sqlstate(), error.to_string()))
}

struct Delivery {
    rows: u64,
    outputs: Vec<String>,
    parameters: Vec<(String, String)>,
}

async fn deliver(
    database: &Database,
    report: &Report,
    due_at: i64,
    overrides: &BTreeMap<String, String>,
    started_at: i64,
) -> Result<Delivery> {
    let session = database.new_session()?;
    let values = parameters(&session, report, due_at, overrides).await?;
    let versions = versions(database).await?;
    let mut sections = Vec::new();
    for section in &report.sections {
        let (schema, batches) = query(&session, &section.sql, &values).await?;
        sections.push(Filled { section, schema, batches });
    }
    let shown: Vec<(String, String)> =
        values.iter().filter(|(name, _)| *name != "at").map(|(name, value)| (name.clone(), text(value))).collect();
    let mut outputs = Vec::new();
    let at = DateTime::<Utc>::from_timestamp_micros(due_at).unwrap_or_default().format("%Y-%m-%dT%H-%M-%SZ");
    let folder = format!("reports/{}/{at}", report.name);
    let mut contents = Vec::new();
    for filled in &sections {
        let name = &filled.section.name;
        if report.formats.contains(&OutputFormat::Csv) {
            contents.push((format!("{folder}/{name}.csv"), files::csv(&filled.schema, &filled.batches)?));
        }
        if report.formats.contains(&OutputFormat::Parquet) {
            contents.push((format!("{folder}/{name}.parquet"), files::parquet(&filled.schema, &filled.batches)?));
        }
    }
    if report.formats.contains(&OutputFormat::Html) {
        let zone = report.schedule.as_ref().map_or(chrono_tz::UTC, super::Schedule::zone);
        let facts = Facts { due_at, started_at, zone, parameters: &shown, versions: &versions };
        contents.push((format!("{folder}/report.html"), html::page(report, &facts, &sections)?.into_bytes()));
    }
    for (path, bytes) in contents {
        database.lake().store().put(&Path::from(path.clone()), PutPayload::from(bytes)).await?;
        outputs.push(path);
    }
    let rows = sections.iter().flat_map(|filled| &filled.batches).map(|batch| batch.num_rows() as u64).sum();
    Ok(Delivery { rows, outputs, parameters: shown })
}

/// `$at` and the parameters in order, each computed from those before it.
async fn parameters(
    session: &SessionContext,
    report: &Report,
    due_at: i64,
    overrides: &BTreeMap<String, String>,
) -> Result<Vec<(String, ScalarValue)>> {
    let known = |name: &String| report.parameters.iter().any(|parameter| parameter.name == *name);
    if let Some(unknown) = overrides.keys().find(|name| !known(name)) {
        let names: Vec<&str> = report.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        return Err(UserError::invalid(format!("report {} has no parameter \"{unknown}\"", report.name))
            .hint(format!("its parameters are: {}", names.join(", ")))
            .into());
    }
    let mut values = vec![("at".to_owned(), ScalarValue::TimestampMicrosecond(Some(due_at), Some("UTC".into())))];
    for parameter in &report.parameters {
        let expression = match overrides.get(&parameter.name) {
            Some(text) => format!("'{}'", text.replace('\'', "''")),
            None => format!("({})", parameter.default),
        };
        let sql = format!("SELECT CAST({expression} AS {}) AS value", parameter.sql_type);
        let (_, batches) = query(session, &sql, &values).await.map_err(|error| {
            UserError::invalid(format!("report {}: parameter {} has no value", report.name, parameter.name))
                .detail(error.to_string())
        })?;
        let value = batches.first().filter(|batch| batch.num_rows() > 0);
        let value = value.map(|batch| ScalarValue::try_from_array(batch.column(0), 0)).transpose()?;
        values.push((parameter.name.clone(), value.unwrap_or(ScalarValue::Null)));
    }
    Ok(values)
}

async fn query(
    session: &SessionContext,
    sql: &str,
    values: &[(String, ScalarValue)],
) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let frame = crate::session::query(session, sql).await?.with_param_values(ParamValues::from(values.to_vec()))?;
    let schema = Arc::new(frame.schema().as_arrow().clone());
    let batches = frame.collect().await?;
    Ok((batches.first().map_or(schema, RecordBatch::schema), batches))
}

/// The table versions that the run reads.
async fn versions(database: &Database) -> Result<Vec<(String, String)>> {
    let mut versions = Vec::new();
    for table in model::tables() {
        if let Some(version) = database.lake().version(table).await? {
            versions.push((table.name.to_owned(), version.to_string()));
        }
    }
    Ok(versions)
}

fn text(value: &ScalarValue) -> String {
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let cast = if value.data_type().is_temporal() { value.cast_to(&instant).ok() } else { None };
    match cast {
        Some(ScalarValue::TimestampMicrosecond(Some(micros), _)) => html::time(micros, chrono_tz::UTC),
        _ => value.to_string(),
    }
}

async fn note(
    database: &Database,
    record: &RunRecord,
    started_at: i64,
    trigger: Trigger,
    parameters: &[(String, String)],
    transactions: Vec<String>,
) -> Result<Outcome> {
    let lake = database.lake();
    let finished_at = lake.clock().now_micros();
    let shown: BTreeMap<&String, &String> = parameters.iter().map(|(name, value)| (name, value)).collect();
    let status = match (&record.error, transactions.is_empty() && trigger == Trigger::Schedule) {
        (None, _) => "succeeded",
        (Some(_), true) => "retrying",
        (Some(_), false) => "failed",
    };
    let mut builder = ReportRunBuilder::default();
    builder.append(&ReportRunRow {
        run_id: Some(uuid::Uuid::now_v7().to_string().into()),
        report: Some(record.report.as_str().into()),
        trigger: Some(trigger.name().into()),
        due_at: Some(record.due_at),
        started_at: Some(started_at),
        finished_at: Some(finished_at),
        status: Some(status.into()),
        rows: i64::try_from(record.rows).ok(),
        outputs: Some(serde_json::json!(record.outputs).to_string().into()),
        error: record.error.as_deref().map(Into::into),
        parameters: Some(serde_json::json!(shown).to_string().into()),
        ..ReportRunRow::default()
    });
    let mut writer = lake.writer(&REPORT_RUNS).await?;
    writer.write(builder.finish("reports", finished_at)).await?;
    writer.commit(Commit { transactions, ..Commit::default() }).await
}
