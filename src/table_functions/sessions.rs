//! What `assume_role_chain` and `access_attribution` share: audit events and CI runs as the algorithm reads them.

use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::DataType;

use super::arrays::{column, text, texts, time, times};
use super::{Call, timestamp};
use crate::attribution::role_chain::{CiRun, Event, SessionTable};
use crate::config::SESSION_LOOKBACK_MICROS;
use crate::error::Result;

/// The columns of `iam_events` that make an [`Event`], for a SELECT.
pub(super) const COLUMNS: &str = "event_time, event_id, provider, event_source, event_name, outcome = 'failure' AS failed, \
     principal_type, principal_id, principal_arn, principal_name, account_id, access_key_id, session_issuer_arn, \
     session_name, source_identity, session_created_at, invoked_by, federated_subject, issued_access_key_id, \
     issued_principal_arn, issued_expires_at, shared_event_id";

const TEXTS: [&str; 18] = [
    "event_id",
    "provider",
    "event_source",
    "event_name",
    "principal_type",
    "principal_id",
    "principal_arn",
    "principal_name",
    "account_id",
    "access_key_id",
    "session_issuer_arn",
    "session_name",
    "source_identity",
    "invoked_by",
    "federated_subject",
    "issued_access_key_id",
    "issued_principal_arn",
    "shared_event_id",
];

/// A batch of events.
pub(super) struct Events {
    rows: usize,
    texts: Vec<StringArray>,
    event_time: TimestampMicrosecondArray,
    created: TimestampMicrosecondArray,
    expires: TimestampMicrosecondArray,
    failed: BooleanArray,
}

impl Events {
    /// The events of a batch that has [`COLUMNS`].
    pub(super) fn new(batch: &RecordBatch) -> Result<Self> {
        Ok(Self {
            rows: batch.num_rows(),
            texts: TEXTS.iter().map(|name| texts(batch, name)).collect::<Result<_>>()?,
            event_time: times(batch, "event_time")?,
            created: times(batch, "session_created_at")?,
            expires: times(batch, "issued_expires_at")?,
            failed: column(batch, "failed", &DataType::Boolean)?.as_boolean().clone(),
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// One of them.
    pub(super) fn event(&self, row: usize) -> Event<'_> {
        let column =
            |at: usize| self.texts.get(at).and_then(|column| text(column, row)).filter(|text| !text.is_empty());
        Event {
            event_time: time(&self.event_time, row).unwrap_or_default(),
            event_id: column(0),
            provider: column(1),
            event_source: column(2),
            event_name: column(3),
            failed: self.failed.is_valid(row) && self.failed.value(row),
            principal_type: column(4),
            principal_id: column(5),
            principal_arn: column(6),
            principal_name: column(7),
            account_id: column(8),
            access_key_id: column(9),
            session_issuer_arn: column(10),
            session_name: column(11),
            source_identity: column(12),
            session_created_at: time(&self.created, row),
            invoked_by: column(13),
            federated_subject: column(14),
            issued_access_key_id: column(15),
            issued_principal_arn: column(16),
            issued_expires_at: time(&self.expires, row),
            shared_event_id: column(17),
        }
    }
}

/// What may stand behind the events of a window.
pub(super) struct Sessions {
    issuing: Vec<Events>,
    runs: Vec<Runs>,
}

struct Runs {
    rows: usize,
    texts: [StringArray; 3],
    started: TimestampMicrosecondArray,
    finished: TimestampMicrosecondArray,
}

impl Sessions {
    /// The calls that issued sessions, and the CI runs, from a while before the window to its end.
    pub(super) async fn load(call: &Call, (from, to): (i64, i64)) -> Result<Self> {
        let window = || vec![("from", timestamp(from.saturating_sub(SESSION_LOOKBACK_MICROS))), ("to", timestamp(to))];
        let statement = format!(
            "SELECT {COLUMNS} FROM ascribe.public.iam_events WHERE event_time >= $from AND event_time <= $to \
             AND (issued_access_key_id IS NOT NULL OR issued_principal_arn IS NOT NULL OR shared_event_id IS NOT NULL) \
             ORDER BY event_time, event_id"
        );
        let issuing = call.collect(&statement, window()).await?;
        let runs = "SELECT pipeline_run_id, min(repository) AS repository, min(actor) AS actor, \
             min(started_at) AS started_at, max(coalesce(finished_at, started_at)) AS finished_at \
             FROM ascribe.public.changes WHERE pipeline_run_id IS NOT NULL AND started_at >= $from AND started_at <= $to \
             GROUP BY pipeline_run_id ORDER BY pipeline_run_id";
        let runs = call.collect(runs, window()).await?;
        Ok(Self {
            issuing: issuing.iter().map(Events::new).collect::<Result<_>>()?,
            runs: runs.iter().map(Runs::new).collect::<Result<_>>()?,
        })
    }

    /// The table that chains are looked up in.
    pub(super) fn table(&self) -> SessionTable<'_> {
        let events = self.issuing.iter().flat_map(|events| (0..events.len()).map(|row| events.event(row)));
        SessionTable::new(events, self.runs.iter().flat_map(|runs| (0..runs.rows).filter_map(|row| runs.run(row))))
    }
}

impl Runs {
    fn new(batch: &RecordBatch) -> Result<Self> {
        Ok(Self {
            rows: batch.num_rows(),
            texts: [texts(batch, "pipeline_run_id")?, texts(batch, "repository")?, texts(batch, "actor")?],
            started: times(batch, "started_at")?,
            finished: times(batch, "finished_at")?,
        })
    }

    fn run(&self, row: usize) -> Option<CiRun<'_>> {
        let [run, repository, actor] = &self.texts;
        Some(CiRun {
            run_id: text(run, row)?,
            repository: text(repository, row),
            actor: text(actor, row),
            started_at: time(&self.started, row),
            finished_at: time(&self.finished, row),
        })
    }
}
