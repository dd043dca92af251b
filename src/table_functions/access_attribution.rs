//! `access_attribution`: who was behind each audit event of a window.

use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

use super::arrays::{text, texts};
use super::sessions::{COLUMNS, Events, Sessions};
use super::{Argument, ArgumentType, Call, Signature, TableFunction, timestamp};
use crate::attribution::origin::OriginKind;
use crate::attribution::role_chain::{Event, Origin, SessionTable};
use crate::canonical_table;
use crate::error::{Result, UserError};
use crate::model::cell::{Double, Int, Text, Time};
use crate::model::{Partition, RowBuilder};

canonical_table! {
    /// One row a possible origin of an event.
    "access_attribution", ACCESSES, AccessRow, AccessBuilder;
    partition Partition::None, |_| None;
    key [];
    cluster [];
    bloom [];
    /// Id of the event.
    event_id: Text,
    /// When the call was made.
    event_time: Time,
    /// aws, gcp, azure, kubernetes, okta or github.
    provider: Text,
    /// Service that was called.
    event_source: Text,
    /// The operation.
    event_name: Text,
    /// Resources that the event names, separated by commas.
    resource: Text,
    /// The caller as the event names it.
    principal_arn: Text,
    /// Who was behind the call; null if the logs do not tell.
    origin_identity: Text,
    /// human, ci_job, workload, provider or unknown.
    origin_kind: Text,
    /// The CI run that made the call.
    pipeline_run_id: Text,
    /// Who started the CI run.
    actor: Text,
    /// Sessions between the call and the origin.
    hops: Int,
    /// Certainty: 1 where the log itself states every link, null where one is inferred or the origin is unknown.
    confidence: Double,
    /// Weight among the possible origins of the event, by the strength of the evidence; not a probability. Null where the
    /// origin is unknown.
    score: Double,
    /// Why the origin is unknown.
    reason: Text,
}

static SIGNATURE: Signature = Signature {
    name: "access_attribution",
    doc: &[
        "Who was behind every audit event in [t0, t1), through all roles that were assumed on the way; an event with",
        "several possible origins has a row for each.",
    ],
    arguments: &[
        Argument { names: &["t0"], kind: ArgumentType::Time, required: true, doc: "Events at or after this time." },
        Argument { names: &["t1"], kind: ArgumentType::Time, required: true, doc: "And before this time." },
        Argument {
            names: &["resource"],
            kind: ArgumentType::Text,
            required: false,
            doc: "Only events that name this resource.",
        },
        Argument {
            names: &["principal"],
            kind: ArgumentType::Text,
            required: false,
            doc: "Only events that this principal (ARN, name, role or origin) made or was behind.",
        },
    ],
    columns: ACCESSES.columns,
    example: "SELECT origin_kind, origin_identity, count(*) AS calls \
              FROM access_attribution('2024-07-30T00:00:00Z', '2024-08-03T00:00:00Z') GROUP BY 1, 2 ORDER BY 3 DESC",
};

/// `access_attribution(t0, t1 [, resource, principal])`.
#[derive(Debug)]
pub(super) struct AccessAttribution;

#[async_trait]
impl TableFunction for AccessAttribution {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    async fn run(&self, call: Call) -> Result<SendableRecordBatchStream> {
        let (from, to) = call.window(0, 1)?;
        let sessions = Sessions::load(&call, (from, to)).await?;
        let table = sessions.table();
        let mut parameters = vec![("from", timestamp(from)), ("to", timestamp(to))];
        let mut statement = format!(
            "SELECT {COLUMNS}, array_to_string(resource_ids, ', ') AS resource FROM ascribe.public.iam_events \
             WHERE event_time >= $from AND event_time < $to"
        );
        if let Some(resource) = call.text(2) {
            statement.push_str(" AND array_has(resource_ids, $resource)");
            parameters.push(("resource", ScalarValue::from(resource)));
        }
        let mut batches = call.query(&statement, parameters).await?;
        let mut answers = Vec::new();
        while let Some(batch) = batches.next().await {
            answers.push(attribute(&batch?, &table, call.text(3))?);
        }
        // Whether the lake knows them matters only where nothing was found.
        if answers.iter().all(|batch| batch.num_rows() == 0) {
            if let Some(resource) = call.text(2) {
                known_resource(&call, resource).await?;
            }
            if let Some(principal) = call.text(3) {
                known_principal(&call, principal).await?;
            }
        }
        Ok(call.rows(answers))
    }
}

/// Where a name may stand that an event or its origin goes by; the names of users and runs are parts of sessions' names too.
const NAMES: [(&str, &str); 2] = [
    (
        "iam_events",
        "$value IN (principal_arn, principal_name, principal_id, session_issuer_arn, source_identity, federated_subject, \
         invoked_by) OR strpos(session_name, $value) > 0 OR strpos(issued_principal_arn, $value) > 0",
    ),
    ("changes", "$value IN (pipeline_run_id, actor)"),
];

/// Make sure that somebody in the lake has this name, whenever it was.
async fn known_principal(call: &Call, principal: &str) -> Result<()> {
    for (table, condition) in NAMES {
        // No name is a part of every name.
        if !principal.is_empty() && has_rows(call, table, condition, principal).await? {
            return Ok(());
        }
    }
    Err(UserError::invalid(format!("{}: there is no principal {principal}", call.name()))
        .detail("no event in the table iam_events names it as caller or origin, and no run in changes is of that name")
        .hint("SELECT DISTINCT principal_arn, principal_name FROM iam_events lists the callers")
        .into())
}

/// Make sure that some event of the lake names this resource, whenever it was.
async fn known_resource(call: &Call, resource: &str) -> Result<()> {
    if has_rows(call, "iam_events", "array_has(resource_ids, $value)", resource).await? {
        return Ok(());
    }
    Err(UserError::invalid(format!("{}: there is no resource {resource}", call.name()))
        .detail("no event in the table iam_events has it among its resource_ids")
        .hint("SELECT DISTINCT unnest(resource_ids) FROM iam_events lists the resources")
        .into())
}

async fn has_rows(call: &Call, table: &str, condition: &str, value: &str) -> Result<bool> {
    let statement = format!("SELECT 1 FROM ascribe.public.{table} WHERE {condition} LIMIT 1");
    let batches = call.collect(&statement, vec![("value", ScalarValue::from(value))]).await?;
    Ok(batches.iter().any(|batch| batch.num_rows() > 0))
}

fn attribute(batch: &RecordBatch, table: &SessionTable<'_>, principal: Option<&str>) -> Result<RecordBatch> {
    let events = Events::new(batch)?;
    let resources = texts(batch, "resource")?;
    let mut rows = AccessBuilder::default();
    for at in 0..events.len() {
        push(&mut rows, &events.event(at), at, &resources, table, principal);
    }
    super::own_columns(&mut rows)
}

fn push<'a>(
    rows: &mut AccessBuilder,
    event: &Event<'a>,
    at: usize,
    resources: &StringArray,
    table: &SessionTable<'a>,
    principal: Option<&str>,
) {
    let origins = table.resolve(event).origins;
    let named = |wanted: &str| {
        let callers = [event.principal_arn, event.principal_name, event.principal_id, event.session_issuer_arn];
        let behind = origins.iter().flat_map(|origin| [origin.identity, origin.actor, origin.pipeline_run_id]);
        callers.into_iter().chain(behind).flatten().any(|name| name == wanted)
    };
    if principal.is_some_and(|wanted| !named(wanted)) {
        return;
    }
    for origin in &origins {
        rows.append(&row(event, text(resources, at), origin));
    }
}

fn row<'a>(event: &Event<'a>, resource: Option<&'a str>, origin: &'a Origin<'a>) -> AccessRow<'a> {
    AccessRow {
        event_id: event.event_id.map(Into::into),
        event_time: Some(event.event_time),
        provider: event.provider.map(Into::into),
        event_source: event.event_source.map(Into::into),
        event_name: event.event_name.map(Into::into),
        resource: resource.filter(|resource| !resource.is_empty()).map(Into::into),
        principal_arn: event.principal_arn.map(Into::into),
        origin_identity: origin.identity.map(Into::into),
        origin_kind: Some(origin.kind.name().into()),
        pipeline_run_id: origin.pipeline_run_id.map(Into::into),
        actor: origin.actor.map(Into::into),
        hops: Some(i64::from(origin.hops)),
        confidence: (origin.is_fact && origin.reason.is_none()).then_some(1.0),
        score: (origin.kind != OriginKind::Unknown).then_some(origin.score),
        reason: origin.reason.as_deref().map(Into::into),
        ..AccessRow::default()
    }
}
