//! `attribute_incident(incident_id)` and `attribute_incident(service, t0, t1 [, signal])`.

use async_trait::async_trait;
use datafusion::arrow::array::PrimitiveArray;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::IntervalMonthDayNano;
use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::execution::SendableRecordBatchStream;
use std::borrow::Cow;
use std::sync::Arc;

use super::incidents::rows::{double_column, int_column, ints, text_column};
use super::incidents::{ARGUMENTS, Answer, METHOD, METHOD_VERSION, Question, Row, answer, asked};
use super::{Call, Signature, TableFunction};
use crate::error::Result;
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
    arguments: &ARGUMENTS,
    columns: crate::columns! {
        /// 1 is the likeliest: by confidence, where that is known, else by score.
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
        /// Probability that this is a cause, of which there may be several, or (none) that nothing happened; calibrated on
        /// simulated incidents and quiet times, real ones are less tidy. Null where nothing is known of what is usual.
        confidence: Double,
        /// Id for evidence(attribution_id).
        attribution_id: Text,
    },
    example: "SELECT rank, cause_kind, cause_id, service_name, owner, confidence FROM attribute_incident('checkout', '2026-03-01T10:00:00Z', '2026-03-01T10:30:00Z')",
};

#[async_trait]
impl TableFunction for AttributeIncident {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    async fn run(&self, call: Call) -> Result<SendableRecordBatchStream> {
        let (question, subject) = asked(&call).await?;
        let answer = answer(&call, &question, &subject).await?;
        keep(&call, &answer, &question, &subject).await?;
        let batch = batch(&call, &answer.rows)?;
        Ok(call.rows(vec![batch]))
    }
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
                row_count: Some(match draft.rows {
                    Some(rows) => rows.try_into().unwrap_or(i64::MAX),
                    None => count(call, &draft.query).await?,
                }),
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
