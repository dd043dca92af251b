//! `attribute_incident(incident_id)` and `attribute_incident(service, t0, t1 [, signal])`.

use async_trait::async_trait;
use datafusion::arrow::array::PrimitiveArray;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::IntervalMonthDayNano;
use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use std::borrow::Cow;
use std::sync::Arc;

use super::incidents::rows::{double_column, int_column, ints, text_at, text_column, texts, time_at, times};
use super::incidents::{Answer, METHOD, METHOD_VERSION, Question, Row, SECOND, answer, known_by_metrics};
use super::{Argument, ArgumentType, Call, Signature, TableFunction};
use crate::attribution::detectors::Signal;
use crate::error::{Result, UserError};
use crate::model::cell::{CellType, Double, Int, Text};
use crate::model::result::{
    ATTRIBUTION_EVIDENCE, ATTRIBUTIONS, AttributionBuilder, AttributionRow, EvidenceBuilder, EvidenceRow,
};
use crate::model::{RowBuilder, Table};
use crate::storage::Commit;

/// The function `attribute_incident`.
#[derive(Debug)]
pub struct AttributeIncident;

/// `interval`.
#[derive(Debug)]
struct Interval;

impl CellType for Interval {
    type Cell<'a> = Option<i64>;
    type Builder = Vec<Option<IntervalMonthDayNano>>;
    fn data_type() -> DataType {
        DataType::Interval(IntervalUnit::MonthDayNano)
    }
    fn builder() -> Self::Builder {
        Vec::new()
    }
    fn append(builder: &mut Self::Builder, cell: &Self::Cell<'_>) {
        builder.push(cell.map(|micros| IntervalMonthDayNano::new(0, 0, micros.saturating_mul(1000))));
    }
    fn finish(builder: &mut Self::Builder) -> datafusion::arrow::array::ArrayRef {
        Arc::new(PrimitiveArray::<IntervalMonthDayNanoType>::from(std::mem::take(builder)))
    }
}

static SIGNATURE: Signature = Signature {
    name: "attribute_incident",
    doc: &[
        "Who or what caused an incident: recorded changes, services, dependencies, tenants and \"no change explains it\",",
        "ranked. What is usual is learned from the time before the incident, from traces or, where the service has none,",
        "from metrics of its requests. Each answer is kept in the tables attributions and attribution_evidence;",
        "evidence(attribution_id) tells what a row rests on.",
    ],
    arguments: &[
        Argument {
            names: &["incident_id", "service", "incident", "service_name"],
            kind: ArgumentType::Text,
            required: true,
            doc: "Id of a row of incidents; with t0 and t1, the service that alerted.",
        },
        Argument { names: &["t0", "from"], kind: ArgumentType::Time, required: false, doc: "Begin of the incident." },
        Argument { names: &["t1", "to"], kind: ArgumentType::Time, required: false, doc: "End of the incident." },
        Argument {
            names: &["signal"],
            kind: ArgumentType::Text,
            required: false,
            doc: "What was noticed: latency or errors; default: either.",
        },
    ],
    columns: crate::columns! {
        /// 1 is the likeliest.
        rank: Int,
        /// primary, contributing or candidate.
        role: Text,
        /// Kind of the cause: a kind of change, service, dependency, load, tenant, or none when neither a change nor a service explains it.
        cause_kind: Text,
        /// Id of the change, or name of the service, dependency or tenant.
        cause_id: Text,
        /// Service that was changed or is to blame.
        service_name: Text,
        /// Owner of that service when it happened.
        owner: Text,
        /// From the change to the onset; negative when the change came later.
        lead_time: Interval,
        /// Share of the outcome's blame that lies with the cause or reaches it.
        effect: Double,
        /// Relative weight among the candidates; not a probability.
        score: Double,
        /// Probability that this is a cause, calibrated on simulated incidents; real ones are less tidy.
        confidence: Double,
        /// Id for evidence(attribution_id).
        attribution_id: Text,
    },
    example: "SELECT rank, cause_kind, cause_id, service_name, owner, score FROM attribute_incident('checkout', '2026-03-01T10:00:00Z', '2026-03-01T10:30:00Z')",
};

#[async_trait]
impl TableFunction for AttributeIncident {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    async fn run(&self, call: Call) -> Result<SendableRecordBatchStream> {
        let (question, signal, subject) = question(&call).await?;
        let answer = answer(&call, &question, signal, &subject).await?;
        keep(&call, &answer, &question, &subject).await?;
        let batch = batch(&call, &answer.rows)?;
        Ok(call.rows(vec![batch]))
    }
}

fn parse_signal(text: Option<&str>) -> Result<Signal> {
    match text.unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "any" | "cost" | "security" => Ok(Signal::Any),
        "latency" => Ok(Signal::Latency),
        "errors" | "error" | "availability" => Ok(Signal::Errors),
        other => Err(UserError::invalid(format!("attribute_incident: unknown signal {other}"))
            .hint("latency or errors")
            .into()),
    }
}

async fn question(call: &Call) -> Result<(Question, Signal, String)> {
    let Some(name) = call.text(0).filter(|name| !name.is_empty()) else {
        return Err(UserError::invalid("attribute_incident: the first argument is null or empty")
            .hint("give the id of an incident, or a service and a window")
            .into());
    };
    if call.time(1).is_none() && call.time(2).is_none() {
        return incident(call, name).await;
    }
    let (from, to) = call.window(1, 2)?;
    if from == to {
        return Err(UserError::invalid("attribute_incident: the window is empty").hint("t1 is exclusive").into());
    }
    // Spans and evidence count nanoseconds since 1970, which ends there.
    if from < i64::MIN / 1000 || to > i64::MAX / 1000 {
        return Err(UserError::invalid("attribute_incident: the window is out of range")
            .hint("give times between 1678 and 2261")
            .into());
    }
    known_service(call, name, from, to).await?;
    let question = Question { service: name.to_owned(), environment: None, from, to };
    let subject = format!("{name} {from} {to}");
    Ok((question, parse_signal(call.text(3))?, subject))
}

async fn known_service(call: &Call, service: &str, from: i64, to: i64) -> Result<()> {
    let parameters = vec![("service", ScalarValue::Utf8(Some(service.to_owned())))];
    let sql = "SELECT min(start_time), max(start_time) FROM spans WHERE service_name = $service";
    let mut seen = None;
    for batch in call.collect(sql, parameters).await? {
        let (first, last) = (times(&batch, 0)?, times(&batch, 1)?);
        seen = seen.or(time_at(&first, 0).zip(time_at(&last, 0)));
    }
    if seen.is_some_and(|(first, last)| last >= from && first < to) || known_by_metrics(call, service, from, to).await?
    {
        return Ok(());
    }
    let Some((first, last)) = seen else {
        return Err(UserError::invalid(format!("attribute_incident: no spans of a service named {service}"))
            .detail("There are no metrics of its requests in the window either.")
            .hint("SELECT DISTINCT service_name FROM spans shows the services that there are")
            .into());
    };
    let show = |at: i64| chrono::DateTime::from_timestamp_micros(at).map_or_else(String::new, |t| t.to_rfc3339());
    Err(UserError::invalid(format!("attribute_incident: no spans of {service} in the window"))
        .detail(format!("There are spans of it from {} to {}.", show(first), show(last)))
        .hint("look at the window, and at the time zone of its literals")
        .into())
}

/// How long an incident without an end is taken to last.
const OPEN_INCIDENT: i64 = 1800 * SECOND;

async fn incident(call: &Call, id: &str) -> Result<(Question, Signal, String)> {
    let sql = "SELECT service_name, environment, started_at, detected_at, resolved_at, signal FROM incidents \
               WHERE incident_id = $id ORDER BY ingested_at DESC LIMIT 1";
    let batches = call.collect(sql, vec![("id", ScalarValue::Utf8(Some(id.to_owned())))]).await?;
    let Some(batch) = batches.iter().find(|batch| batch.num_rows() > 0) else {
        return Err(UserError::invalid(format!("attribute_incident: there is no incident {id}"))
            .detail("Looked for that incident_id in the table incidents.")
            .hint(
                "SELECT incident_id, title FROM incidents lists them; or ask with a service and a window: \
                   attribute_incident(service, t0, t1)",
            )
            .into());
    };
    let (services, environments) = (texts(batch, 0)?, texts(batch, 1)?);
    let (started, detected, resolved) = (times(batch, 2)?, times(batch, 3)?, times(batch, 4)?);
    let signal = texts(batch, 5)?;
    let (Some(service), Some(from)) = (text_at(&services, 0), time_at(&started, 0).or_else(|| time_at(&detected, 0)))
    else {
        return Err(UserError::invalid(format!("attribute_incident: incident {id} names no service or no start"))
            .hint("set service_name and started_at in the table incidents")
            .into());
    };
    let now = call.lake()?.clock().now_micros();
    let to = time_at(&resolved, 0).unwrap_or_else(|| now.min(from.saturating_add(OPEN_INCIDENT)));
    let question = Question {
        service: service.to_owned(),
        environment: text_at(&environments, 0).map(str::to_owned),
        from,
        to: to.max(from + 1),
    };
    Ok((question, parse_signal(call.text(3).or_else(|| text_at(&signal, 0)))?, id.to_owned()))
}

fn batch(call: &Call, rows: &[Row]) -> Result<RecordBatch> {
    let mut leads = Interval::builder();
    for row in rows {
        Interval::append(&mut leads, &row.lead_time);
    }
    let text = |of: &dyn Fn(&Row) -> Option<String>| text_column(rows.iter().map(of).collect());
    let columns = vec![
        int_column((1..).take(rows.len()).map(Some).collect()),
        text(&|row| Some(row.role.to_owned())),
        text(&|row| Some(row.cause_kind.clone())),
        text(&|row| row.cause_id.clone()),
        text(&|row| row.service.clone()),
        text(&|row| row.owner.clone()),
        Interval::finish(&mut leads),
        double_column(rows.iter().map(|row| Some(row.effect)).collect()),
        double_column(rows.iter().map(|row| Some(row.score)).collect()),
        double_column(rows.iter().map(|row| row.confidence).collect()),
        text(&|row| Some(row.attribution_id.clone())),
    ];
    Ok(RecordBatch::try_new(call.schema(), columns)?)
}

/// Append the answer to `attributions` and `attribution_evidence`, once.
async fn keep(call: &Call, answer: &Answer, question: &Question, subject: &str) -> Result<()> {
    let lake = call.lake()?;
    let transaction = format!("attribution/{}", answer.id);
    if lake.has_transaction(&ATTRIBUTIONS, &transaction).await? {
        return Ok(());
    }
    let now = lake.clock().now_micros();
    let mut evidence = EvidenceBuilder::default();
    for row in &answer.rows {
        for (draft, seq) in row.evidence.iter().zip(1..) {
            evidence.append(&EvidenceRow {
                attribution_id: Some(Cow::Borrowed(&row.attribution_id)),
                seq: Some(seq),
                kind: Some(draft.kind.into()),
                statement: Some(Cow::Borrowed(&draft.statement)),
                source_table: Some(draft.table.into()),
                row_key: draft.row_key.as_deref().map(Cow::Borrowed),
                observed_at: Some(draft.observed_at),
                weight: Some(draft.weight),
                row_count: Some(count(call, &draft.query).await?),
                query: Some(Cow::Borrowed(&draft.query)),
                ..EvidenceRow::default()
            });
        }
    }
    // Evidence first: an attribution that can be seen can be asked for its evidence.
    append(call, &ATTRIBUTION_EVIDENCE, evidence, &transaction, now).await?;
    append(call, &ATTRIBUTIONS, attributions(answer, question, subject, now), &transaction, now).await
}

fn attributions(answer: &Answer, question: &Question, subject: &str, now: i64) -> AttributionBuilder {
    let mut builder = AttributionBuilder::default();
    for (row, rank) in answer.rows.iter().zip(1..) {
        builder.append(&AttributionRow {
            attribution_id: Some(Cow::Borrowed(&row.attribution_id)),
            subject_kind: Some("incident".into()),
            subject_id: Some(Cow::Borrowed(subject)),
            created_at: Some(now),
            rank: Some(rank),
            role: Some(row.role.into()),
            cause_kind: Some(Cow::Borrowed(&row.cause_kind)),
            cause_id: row.cause_id.as_deref().map(Cow::Borrowed),
            service_name: row.service.as_deref().map(Cow::Borrowed),
            owner: row.owner.as_deref().map(Cow::Borrowed),
            effect: Some(row.effect),
            score: Some(row.score),
            confidence: row.confidence,
            method: Some(METHOD.into()),
            method_version: Some(METHOD_VERSION.into()),
            window_start: Some(question.from),
            window_end: Some(question.to),
            ..AttributionRow::default()
        });
    }
    builder
}

async fn count(call: &Call, query: &str) -> Result<i64> {
    let batches = call.collect(&format!("SELECT count(*) FROM ({query}) AS rows_of_evidence"), vec![]).await?;
    let mut rows = 0;
    for batch in &batches {
        rows += ints(batch, 0)?.iter().flatten().sum::<i64>();
    }
    Ok(rows)
}

async fn append<B: RowBuilder>(
    call: &Call,
    table: &'static Table,
    mut builder: B,
    transaction: &str,
    now: i64,
) -> Result<()> {
    if builder.is_empty() {
        return Ok(());
    }
    let mut writer = call.lake()?.writer(table).await?;
    writer.write(builder.finish("attribute_incident", now)).await?;
    let commit = Commit { transactions: vec![transaction.to_owned()], ..Commit::default() };
    writer.commit(commit).await?;
    Ok(())
}
