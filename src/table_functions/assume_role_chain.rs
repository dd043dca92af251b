//! `assume_role_chain`: the sessions behind one audit event, step by step.

use async_trait::async_trait;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;

use super::sessions::{COLUMNS, Events, Sessions};
use super::{Argument, ArgumentType, Call, Signature, TableFunction};
use crate::attribution::role_chain::{Hop, Link};
use crate::canonical_table;
use crate::error::{Result, UserError};
use crate::model::cell::{Bool, Double, Int, Text, Time};
use crate::model::{Partition, RowBuilder};

canonical_table! {
    /// One row a step.
    "assume_role_chain", STEPS, StepRow, StepBuilder;
    partition Partition::None, |_| None;
    key [];
    cluster [];
    bloom [];
    /// Distance from the event; 0 is the caller itself. Where several sessions are possible a distance has several rows.
    hop: Int,
    /// ARN of the principal, or what names it where there is none: an OIDC subject, a CI run, a person.
    principal_arn: Text,
    /// Access key that it used.
    access_key_id: Text,
    /// Name of its session.
    session_name: Text,
    /// Its source identity.
    source_identity: Text,
    /// When its session was issued.
    issued_at: Time,
    /// How it was found from the step before: access_key_id, source_identity, shared_event_id, session_issuer, session_name, ci_run or ci_actor.
    link: Text,
    /// Certainty of the link: 1 where the log itself states it, null where it is inferred.
    link_confidence: Double,
    /// Weight of the link among its alternatives, by the strength of its evidence; not a probability.
    link_score: Double,
    /// Whether this is who acted in the end.
    is_origin: Bool,
    /// Of the origin: human, ci_job, workload, provider or unknown.
    origin_kind: Text,
    /// Why the origin is unknown.
    reason: Text,
}

static SIGNATURE: Signature = Signature {
    name: "assume_role_chain",
    doc: &[
        "Who is behind an audit event: the caller, and step by step the principals that its sessions were issued to,",
        "as far as the logs tell. An origin that they do not tell is unknown, with the reason.",
    ],
    arguments: &[Argument {
        names: &["event_id"],
        kind: ArgumentType::Text,
        required: true,
        doc: "Id of the event in iam_events.",
    }],
    columns: STEPS.columns,
    example: "SELECT hop, principal_arn, link, is_origin, origin_kind \
              FROM assume_role_chain('6e882b9d-2af8-4c67-b91f-aeac6a0e5e70') ORDER BY hop",
};

/// `assume_role_chain(event_id)`.
#[derive(Debug)]
pub(super) struct AssumeRoleChain;

#[async_trait]
impl TableFunction for AssumeRoleChain {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    async fn run(&self, call: Call) -> Result<SendableRecordBatchStream> {
        let id = call.text(0).unwrap_or_default();
        let statement =
            format!("SELECT {COLUMNS} FROM ascribe.public.iam_events WHERE event_id = $id ORDER BY provider LIMIT 1");
        let found = call.collect(&statement, vec![("id", ScalarValue::from(id))]).await?;
        let found = found.iter().find(|batch| batch.num_rows() > 0).ok_or_else(|| {
            UserError::invalid(format!("there is no event \"{id}\" in iam_events"))
                .hint("SELECT event_id FROM iam_events ORDER BY event_time DESC LIMIT 10 shows some that are there")
        })?;
        let events = Events::new(found)?;
        let event = events.event(0);
        let sessions = Sessions::load(&call, (event.event_time, event.event_time)).await?;
        let mut rows = StepBuilder::default();
        for hop in &sessions.table().resolve(&event).hops {
            rows.append(&row(hop));
        }
        Ok(call.rows(vec![super::own_columns(&mut rows)?]))
    }
}

fn row<'a>(hop: &'a Hop<'_>) -> StepRow<'a> {
    StepRow {
        hop: Some(i64::from(hop.hop)),
        principal_arn: hop.principal.map(Into::into),
        access_key_id: hop.access_key_id.map(Into::into),
        session_name: hop.session_name.map(Into::into),
        source_identity: hop.source_identity.map(Into::into),
        issued_at: hop.issued_at,
        link: hop.link.map(|link| link.name().into()),
        link_confidence: hop.link.filter(|link| Link::is_fact(*link) && hop.link_score >= 1.0).map(|_| 1.0),
        link_score: hop.link.map(|_| hop.link_score),
        is_origin: Some(hop.kind.is_some()),
        origin_kind: hop.kind.map(|kind| kind.name().into()),
        reason: hop.reason.as_deref().map(Into::into),
        ..StepRow::default()
    }
}
