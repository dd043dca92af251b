//! Log records → rows of `logs`.

use std::borrow::Cow;

use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::json::JsonLog;
use super::record::{Record, Scope};
use super::value::{add_all, text_of};
use crate::ingest::Output;
use crate::ingest::telemetry::columns::{Column, ColumnSet, LOG, LOG_RESOURCE, Sorted};
use crate::ingest::telemetry::{
    HexId, MAX_BODY_BYTES, SPAN_ID_BYTES, TRACE_ID_BYTES, clip, micros, plausible_nanos, text_cell,
};
use crate::model::telemetry::LogRow;

type Reason = &'static str;

impl Record for LogRecord {
    type Json = JsonLog;
    const RESOURCE: ColumnSet = LOG_RESOURCE;
    const NAME: &'static str = "log record";
    const JSON_SCOPES: [&'static [u8]; 4] =
        [b"scopeLogs", b"scope_logs", b"instrumentationLibraryLogs", b"instrumentation_library_logs"];
    const JSON_RECORDS: [&'static [u8]; 2] = [b"logRecords", b"log_records"];

    fn land(&self, resource: &Sorted<'_>, scope: &Scope<'_>, output: &mut Output<'_>) {
        if let Err(reason) = land(self, resource, scope, output) {
            let body: String = text_of(self.body.as_ref()).chars().take(80).collect();
            let (time, observed) = (self.time_unix_nano, self.observed_time_unix_nano);
            output.reject(reason, &format!("at {time} observed {observed} {body:?}"));
        }
    }
}

fn land(log: &LogRecord, resource: &Sorted<'_>, scope: &Scope<'_>, output: &mut Output<'_>) -> Result<(), Reason> {
    let (time, observed) = times(log, output.ingested_at())?;
    // The specification has receivers take an invalid id of a log record for none.
    let trace_id = HexId::of_bytes(&log.trace_id).filter(|_| log.trace_id.len() == TRACE_ID_BYTES);
    let span_id = HexId::of_bytes(&log.span_id).filter(|_| log.span_id.len() == SPAN_ID_BYTES);
    let mut sorted = Sorted::new(LOG, log.attributes.len() + scope.attributes.len() + 1);
    add_all(&mut sorted, &log.attributes);
    scope.add_named_to(&mut sorted);
    sorted.add_dropped(log.dropped_attributes_count.into());
    let row = LogRow {
        time: Some(micros(time)),
        time_unix_nano: Some(time),
        observed_time: observed.map(micros),
        trace_id: trace_id.as_ref().map(|id| Cow::Borrowed(id.as_str())),
        span_id: span_id.as_ref().map(|id| Cow::Borrowed(id.as_str())),
        severity_number: (1..=24).contains(&log.severity_number).then_some(log.severity_number),
        severity_text: text_cell(&log.severity_text),
        body: log.body.as_ref().map(|body| clip(text_of(Some(body)), MAX_BODY_BYTES)),
        event_name: event_name(log, &mut sorted),
        service_name: resource.get(Column::ServiceName),
        service_version: resource.get(Column::ServiceVersion),
        environment: resource.get(Column::Environment),
        tenant_id: sorted.take(Column::Tenant).or_else(|| resource.get(Column::Tenant)),
        resource_attributes: resource.rest(),
        attributes: sorted.into_rest(),
        ..LogRow::default()
    };
    output.logs.push(&row);
    Ok(())
}

/// The field; the attribute `event.name` of older senders only stands in for it and otherwise stays an attribute.
fn event_name<'a>(log: &'a LogRecord, sorted: &mut Sorted<'a>) -> Option<Cow<'a, str>> {
    let attribute = sorted.take(Column::EventName);
    let Some(field) = text_cell(&log.event_name) else { return attribute };
    if let Some(attribute) = attribute.filter(|attribute| *attribute != field) {
        sorted.add_to_rest("event.name", attribute);
    }
    Some(field)
}

/// Time of the record and when it was observed. Without a time of its own a record has the observed one, and without
/// that the time of landing, which is when this system observed it.
fn times(log: &LogRecord, landed_micros: i64) -> Result<(i64, Option<i64>), Reason> {
    let plausible = |nanos: u64| match nanos {
        0 => Ok(None),
        nanos => plausible_nanos(nanos).map(Some).ok_or("log record from before 1990 or after 2199"),
    };
    let (time, observed) = (plausible(log.time_unix_nano)?, plausible(log.observed_time_unix_nano)?);
    let time = time.or(observed).unwrap_or_else(|| landed_micros.saturating_mul(1_000));
    Ok((time, observed))
}
