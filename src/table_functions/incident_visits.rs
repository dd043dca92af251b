//! `incident_visits(incident_id)` and `incident_visits(service, t0, t1 [, signal, environment])`.

use async_trait::async_trait;
use datafusion::arrow::array::{Array, RecordBatch, StringArray};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;

use super::exec::engine_error;
use super::incidents::{ARGUMENTS, Learned, asked, gap, learn, name_of, self_time};
use super::{Call, Signature, TableFunction};
use crate::attribution::detectors::{Odd, Phase, Signal};
use crate::attribution::visits::{NONE, Visit};
use crate::canonical_table;
use crate::error::{Result, UserError};
use crate::model::cell::{Bool, Double, Int, Text, TextList, Time};
use crate::model::{Partition, RowBuilder};

canonical_table! {
    /// One row a visit.
    "incident_visits", VISITS, VisitRow, VisitBuilder;
    partition Partition::None, |_| None;
    key [];
    cluster [];
    bloom [];
    /// before (what is usual is learned from it), during (the incident), or between: so shortly before the incident that
    /// it may be part of it already, and counts as neither.
    phase: Text,
    /// Trace.
    trace_id: Text,
    /// The span that the visit begins with; of an external service, the client span that called it.
    span_id: Text,
    /// Service, or the name of an external one.
    service_name: Text,
    /// Name of that span.
    span_name: Text,
    /// Version of the service.
    service_version: Text,
    /// Tenant that asked.
    tenant_id: Text,
    /// Service that called it.
    caller_service: Text,
    /// Only the caller's client span is there: the service is outside, or not instrumented.
    is_external: Bool,
    /// The service that alerted is this one, or called it directly or through others.
    in_scope: Bool,
    /// Whether the span that it begins with failed.
    is_error: Bool,
    /// Start of that span.
    start_time: Time,
    /// Duration of that span, nanoseconds.
    duration_nano: Int,
    /// Nanoseconds that none of its calls cover.
    self_time_nano: Int,
    /// Nanoseconds by which the caller's client span was longer; null without one.
    gap_nano: Int,
    /// What is in it: names of its spans, of failed spans, of services that it called, log lines without their values, flags.
    seen: TextList,
    /// Whether it counts as unusual for what was noticed, after what its calls explain was taken from it; null where
    /// nothing is known of what is usual.
    is_unusual: Bool,
    /// Whether gap_nano is unusual; null likewise.
    has_unusual_gap: Bool,
    /// How many visits this one stands for.
    adjusted_count: Double,
}

static SIGNATURE: Signature = Signature {
    name: "incident_visits",
    doc: &[
        "What attribute_incident looks at: what each service did for each request that it received, the spans of one",
        "service below its entry span folded together. The evidence of an attribution selects from these rows. Of windows",
        "with too many spans, whole traces of a sample.",
    ],
    arguments: &ARGUMENTS,
    columns: VISITS.columns,
    example: "SELECT service_name, phase, count(*), max(self_time_nano) FROM incident_visits('checkout', '2026-03-01T10:00:00Z', '2026-03-01T10:30:00Z') WHERE in_scope GROUP BY 1, 2 ORDER BY 4 DESC",
};

/// Rows of a batch.
const ROWS: usize = 8192;

/// The function `incident_visits`.
#[derive(Debug)]
pub(super) struct IncidentVisits;

#[async_trait]
impl TableFunction for IncidentVisits {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    async fn run(&self, call: Call) -> Result<SendableRecordBatchStream> {
        let (question, _) = asked(&call).await?;
        let mut learned = learn(&call, &question, true).await?;
        let Some((mut traces, mut spans)) = learned.loaded.ids.take() else {
            return Err(UserError::invalid(format!("incident_visits: no spans of {} in the window", question.service))
                .detail("There are metrics of its requests only.")
                .hint("incident_services tells what they say")
                .into());
        };
        let ids = (traces.finish(), spans.finish());
        let schema = call.schema();
        let state = State { wants_seen: call.uses("seen"), learned, ids, signal: question.signal, next: 0 };
        let batches = stream::try_unfold(state, |mut state| async move {
            let batch = state.batch().map_err(engine_error)?;
            Ok(batch.map(|batch| (batch, state)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

struct State {
    learned: Learned,
    /// Trace ids and span ids by the place of the span.
    ids: (StringArray, StringArray),
    signal: Signal,
    wants_seen: bool,
    next: usize,
}

impl State {
    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let visits = self.learned.visits.all.iter().zip(&self.learned.findings.odds);
        let mut rows = VisitBuilder::default();
        visits.skip(self.next).take(ROWS).for_each(|(visit, odd)| self.append(&mut rows, visit, odd));
        if rows.is_empty() {
            return Ok(None);
        }
        self.next += ROWS;
        Ok(Some(super::own_columns(&mut rows)?))
    }

    fn append(&self, rows: &mut VisitBuilder, visit: &Visit, odd: &Odd) {
        let words = &self.learned.loaded.vocabulary;
        let caller = visit.caller.and_then(|caller| self.learned.visits.all.get(caller as usize));
        let id = |ids: &StringArray| {
            let at = visit.entry as usize;
            (at < ids.len()).then(|| ids.value(at).to_owned().into())
        };
        let phase = match self.learned.window.phase(visit.start) {
            Phase::Before => "before",
            Phase::During => "during",
            Phase::Outside => "between",
        };
        let seen =
            self.wants_seen.then(|| self.learned.visits.seen(visit).map(|seen| name_of(words, seen).into()).collect());
        rows.append(&VisitRow {
            phase: Some(phase.into()),
            trace_id: id(&self.ids.0),
            span_id: id(&self.ids.1),
            service_name: Some(words.services.text(visit.service).into()),
            span_name: Some(words.operations.text(visit.operation).into()),
            service_version: (visit.version != NONE).then(|| words.versions.text(visit.version).into()),
            tenant_id: (visit.tenant != NONE).then(|| words.tenants.text(visit.tenant).into()),
            caller_service: caller.map(|caller| words.services.text(caller.service).into()),
            is_external: Some(visit.external),
            in_scope: Some(visit.in_scope),
            is_error: Some(visit.error),
            start_time: Some(visit.start.div_euclid(1000)),
            duration_nano: Some((visit.duration * 1e6).round() as i64),
            self_time_nano: Some(self_time(visit)),
            gap_nano: gap(visit),
            seen,
            is_unusual: odd.known.then(|| odd.counts(self.signal)),
            has_unusual_gap: odd.known.then_some(odd.gap > 0.0),
            adjusted_count: Some(visit.weight),
            ..VisitRow::default()
        });
    }
}
