//! Spans → rows of `spans`.

use std::borrow::Cow;

use opentelemetry_proto::tonic::trace::v1::{Span, span, status::StatusCode};

use super::json::JsonSpan;
use super::record::{Record, Scope};
use super::value::{add_all, text_of};
use crate::ingest::Output;
use crate::ingest::telemetry::columns::{ColumnSet, SPAN, SPAN_RESOURCE, Sorted};
use crate::ingest::telemetry::{
    DROPPED_EVENTS, DROPPED_LINKS, HexId, MAX_EVENTS, MAX_LINKS, MAX_VALUE_BYTES, SPAN_ID_BYTES, TRACE_ID_BYTES, clip,
    micros, plausible_nanos, text_cell,
};
use crate::model::telemetry::SpanRow;
use crate::model::{Attributes, SpanEvent, SpanLink};

type Reason = &'static str;

impl Record for Span {
    type Json = JsonSpan;
    const RESOURCE: ColumnSet = SPAN_RESOURCE;
    const NAME: &'static str = "span";
    const JSON_SCOPES: [&'static [u8]; 4] =
        [b"scopeSpans", b"scope_spans", b"instrumentationLibrarySpans", b"instrumentation_library_spans"];
    const JSON_RECORDS: [&'static [u8]; 2] = [b"spans", b"spans"];

    fn land(&self, resource: &Sorted<'_>, scope: &Scope<'_>, output: &mut Output<'_>) {
        if let Err(reason) = land(self, resource, scope, output) {
            let name: String = self.name.chars().take(80).collect();
            let (trace, id) = (hex::encode(head(&self.trace_id)), hex::encode(head(&self.span_id)));
            let (start, end) = (self.start_time_unix_nano, self.end_time_unix_nano);
            output.reject(reason, &format!("trace {trace} span {id} from {start} to {end} {name:?}"));
        }
    }
}

fn head(id: &[u8]) -> &[u8] {
    id.get(..TRACE_ID_BYTES).unwrap_or(id)
}

fn land(span: &Span, resource: &Sorted<'_>, scope: &Scope<'_>, output: &mut Output<'_>) -> Result<(), Reason> {
    let trace_id =
        id_of(&span.trace_id, TRACE_ID_BYTES).ok_or("span without a trace id of 16 bytes that are not all zero")?;
    let span_id =
        id_of(&span.span_id, SPAN_ID_BYTES).ok_or("span without a span id of 8 bytes that are not all zero")?;
    let parent = parent_of(&span.parent_span_id)?;
    let (start, duration) = times(span)?;
    let mut sorted = Sorted::new(SPAN, span.attributes.len() + scope.attributes.len());
    add_all(&mut sorted, &span.attributes);
    scope.add_to(&mut sorted);
    sorted.add_dropped(span.dropped_attributes_count.into());
    let status = span.status.as_ref();
    let mut hoisted = sorted.take_span(resource);
    let row = SpanRow {
        trace_id: Some(Cow::Borrowed(trace_id.as_str())),
        span_id: Some(Cow::Borrowed(span_id.as_str())),
        parent_span_id: parent.as_ref().map(|id| Cow::Borrowed(id.as_str())),
        trace_state: text_cell(&span.trace_state),
        span_name: Some(clip(Cow::Borrowed(&span.name), MAX_VALUE_BYTES)),
        span_kind: Some(Cow::Borrowed(kind_name(span.kind))),
        status_code: Some(Cow::Borrowed(status_name(status.map_or(0, |status| status.code)))),
        status_message: status.and_then(|status| text_cell(&status.message)),
        start_time: Some(micros(start)),
        start_unix_nano: Some(start),
        duration_nano: duration,
        error_type: hoisted.error_type.take().or_else(|| exception_type(&span.events)),
        scope_name: scope.name.and_then(text_cell),
        adjusted_count: adjusted_count(&span.trace_state),
        resource_attributes: resource.rest(),
        attributes: attributes(sorted, span),
        events: span.events.iter().take(MAX_EVENTS).map(event).collect(),
        links: span.links.iter().take(MAX_LINKS).map(link).collect(),
        ..hoisted
    };
    output.spans.push(&row);
    Ok(())
}

fn id_of(bytes: &[u8], length: usize) -> Option<HexId> {
    (bytes.len() == length).then(|| HexId::of_bytes(bytes)).flatten()
}

/// An empty parent id means a root span; so do zeros, which some SDKs send.
fn parent_of(bytes: &[u8]) -> Result<Option<HexId>, Reason> {
    match bytes.len() {
        0 | SPAN_ID_BYTES => Ok(HexId::of_bytes(bytes)),
        _ => Err("span with a parent span id that is not 8 bytes"),
    }
}

/// Start and duration; an end of 0 is unset, and a negative duration is data.
fn times(span: &Span) -> Result<(i64, Option<i64>), Reason> {
    let start = plausible_nanos(span.start_time_unix_nano).ok_or("span that starts before 1990 or after 2199")?;
    if span.end_time_unix_nano == 0 {
        return Ok((start, None));
    }
    let end = plausible_nanos(span.end_time_unix_nano).ok_or("span that ends before 1990 or after 2199")?;
    Ok((start, Some(end - start)))
}

fn attributes<'a>(mut sorted: Sorted<'a>, span: &Span) -> Attributes<'a> {
    let beyond = |count: usize, limit: usize| u64::try_from(count.saturating_sub(limit)).unwrap_or(u64::MAX);
    let events = beyond(span.events.len(), MAX_EVENTS) + u64::from(span.dropped_events_count);
    let links = beyond(span.links.len(), MAX_LINKS) + u64::from(span.dropped_links_count);
    for (key, count) in [(DROPPED_EVENTS, events), (DROPPED_LINKS, links)] {
        if count > 0 {
            sorted.add(key, count.to_string());
        }
    }
    sorted.into_rest()
}

/// `exception.type` of the last exception event: the one that ended the span.
fn exception_type(events: &[span::Event]) -> Option<Cow<'_, str>> {
    let exceptions = events.iter().rev().filter(|event| event.name == "exception");
    let mut types = exceptions.filter_map(|event| {
        let attribute = event.attributes.iter().find(|attribute| attribute.key == "exception.type")?;
        Some(clip(text_of(attribute.value.as_ref()), MAX_VALUE_BYTES)).filter(|text| !text.is_empty())
    });
    types.next()
}

fn event(event: &span::Event) -> SpanEvent<'_> {
    let mut sorted = Sorted::new(ColumnSet::of(&[]), event.attributes.len());
    add_all(&mut sorted, &event.attributes);
    sorted.add_dropped(event.dropped_attributes_count.into());
    SpanEvent {
        time_unix_nano: i64::try_from(event.time_unix_nano).unwrap_or(i64::MAX),
        name: clip(Cow::Borrowed(&event.name), MAX_VALUE_BYTES),
        attributes: sorted.into_rest(),
    }
}

fn link(link: &span::Link) -> SpanLink<'_> {
    let mut sorted = Sorted::new(ColumnSet::of(&[]), link.attributes.len());
    add_all(&mut sorted, &link.attributes);
    sorted.add_dropped(link.dropped_attributes_count.into());
    let id = |bytes: &[u8]| HexId::of_bytes(bytes).map_or(Cow::Borrowed(""), HexId::to_text);
    SpanLink { trace_id: id(&link.trace_id), span_id: id(&link.span_id), attributes: sorted.into_rest() }
}

fn kind_name(kind: i32) -> &'static str {
    match span::SpanKind::try_from(kind) {
        Ok(span::SpanKind::Internal) => "INTERNAL",
        Ok(span::SpanKind::Server) => "SERVER",
        Ok(span::SpanKind::Client) => "CLIENT",
        Ok(span::SpanKind::Producer) => "PRODUCER",
        Ok(span::SpanKind::Consumer) => "CONSUMER",
        Ok(span::SpanKind::Unspecified) | Err(_) => "UNSPECIFIED",
    }
}

fn status_name(code: i32) -> &'static str {
    match StatusCode::try_from(code) {
        Ok(StatusCode::Ok) => "OK",
        Ok(StatusCode::Error) => "ERROR",
        Ok(StatusCode::Unset) | Err(_) => "UNSET",
    }
}

/// How many spans one stands for: 2⁵⁶ / (2⁵⁶ − th), th being up to 14 hex digits padded with zeros on the right
/// (OpenTelemetry, `TraceState` handling, "Sampling threshold value th"). None when there is no th or it is malformed.
#[must_use]
pub fn adjusted_count(trace_state: &str) -> Option<f64> {
    const DIGITS: usize = 14;
    const RANGE: u64 = 1 << (4 * DIGITS);
    let members = trace_state.split(',').map(str::trim);
    let ot = members.filter_map(|member| member.strip_prefix("ot=")).next()?;
    let th = ot.split(';').find_map(|field| field.trim().strip_prefix("th:"))?;
    let hex = th.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if !hex || th.is_empty() || th.len() > DIGITS {
        return None;
    }
    let threshold = u64::from_str_radix(th, 16).ok()? << (4 * (DIGITS - th.len()));
    #[expect(clippy::cast_precision_loss, reason = "both are below 2⁵⁷ and the column is a double")]
    let count = RANGE as f64 / (RANGE - threshold) as f64;
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "powers of two are exact")]
    fn adjusted_counts_follow_the_threshold() {
        assert_eq!(adjusted_count("ot=th:0").unwrap(), 1.0);
        assert_eq!(adjusted_count("ot=th:8").unwrap(), 2.0);
        assert_eq!(adjusted_count("vendor=x, ot=rv:1234567890abcd;th:c").unwrap(), 4.0);
        assert_eq!(adjusted_count("ot=th:fd70a3d70a3d71").unwrap().round(), 100.0);
        assert_eq!(adjusted_count("ot=th:ffffffffffffff").unwrap(), 72_057_594_037_927_936.0);
    }

    #[test]
    fn malformed_and_absent_thresholds_are_unknown() {
        for state in
            ["", "ot=", "ot=th:", "ot=th:xyz", "ot=th:C", "ot=th:+8", "ot=th:123456789012345", "other=th:8", "ot=p:8"]
        {
            assert_eq!(adjusted_count(state), None, "{state}");
        }
    }
}
