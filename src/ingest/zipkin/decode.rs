//! Zipkin spans → rows of `spans`.

use std::borrow::Cow;

use super::json::Span;
use super::present;
use super::shared::{Ids, complete, resolve};
use crate::error::Result;
use crate::ingest::Output;
use crate::ingest::telemetry::columns::{SPAN, SPAN_RESOURCE, Sorted};
use crate::ingest::telemetry::{MAX_EVENTS, micros, plausible_nanos, text_cell};
use crate::model::SpanEvent;
use crate::model::telemetry::SpanRow;

/// Land spans that are resolved together.
///
/// # Errors
/// When `output` cannot take more rows.
pub fn land(spans: Vec<Span>, output: &mut Output<'_>) -> Result<()> {
    let spans = complete(spans);
    for (span, ids) in spans.iter().zip(resolve(&spans)) {
        let landed = ids.ok_or("span without a trace id or a span id in hex").and_then(|ids| row(span, &ids, output));
        if let Err(reason) = landed {
            let (trace, id, time) = (&span.trace_id, &span.id, span.timestamp);
            output.reject(reason, &format!("trace {trace:.40} span {id:.40} at {time:?} {:.80}", span.name));
        }
        output.checkpoint()?;
    }
    Ok(())
}

fn row(span: &Span, ids: &Ids, output: &mut Output<'_>) -> std::result::Result<(), &'static str> {
    let time = span.timestamp.or_else(|| span.annotations.iter().filter_map(|at| at.timestamp).min());
    let start = nanos(time.ok_or("span without a timestamp")?).ok_or("span that starts before 1990 or after 2199")?;
    let duration = span.duration.map(|duration| duration.checked_mul(1_000).ok_or("span with an absurd duration"));
    let mut resource = Sorted::new(SPAN_RESOURCE, 1);
    resource.add("service.name", span.local_endpoint.service_name.as_str());
    if !span.local_endpoint.address().is_empty() {
        resource.add("host.ip", span.local_endpoint.address());
    }
    let mut sorted = tags(span);
    let error = span.tags.get("error").filter(|error| !error.eq_ignore_ascii_case("false"));
    let mut hoisted = sorted.take_span(&resource);
    let mut attributes = sorted.into_rest();
    let remote = present(&span.remote_endpoint.service_name);
    if let Some(tag) = hoisted.peer_service.take_if(|tag| remote.as_ref().is_some_and(|remote| *remote != **tag)) {
        // Both say who was called, and the endpoint is the one that the tracer measured.
        attributes.push((Cow::Borrowed("peer.service"), tag));
    }
    let row = SpanRow {
        trace_id: Some(Cow::Borrowed(ids.trace.as_str())),
        span_id: Some(Cow::Borrowed(ids.span.as_str())),
        parent_span_id: ids.parent.as_ref().map(|id| Cow::Borrowed(id.as_str())),
        span_name: Some(text_cell(&span.name).unwrap_or_default()),
        span_kind: Some(Cow::Borrowed(kind_name(&span.kind))),
        status_code: Some(Cow::Borrowed(if error.is_some() { "ERROR" } else { "UNSET" })),
        status_message: error.filter(|error| !error.eq_ignore_ascii_case("true")).and_then(|error| present(error)),
        start_time: Some(micros(start)),
        start_unix_nano: Some(start),
        duration_nano: duration.transpose()?,
        peer_service: remote.or_else(|| hoisted.peer_service.take()),
        resource_attributes: resource.rest().into_iter().filter(|(key, _)| key != "service.name").collect(),
        attributes,
        events: span.annotations.iter().take(MAX_EVENTS).map(event).collect(),
        ..hoisted
    };
    output.spans.push(&row);
    Ok(())
}

fn nanos(micros: i64) -> Option<i64> {
    plausible_nanos(u64::try_from(micros.checked_mul(1_000)?).ok()?)
}

fn tags(span: &Span) -> Sorted<'_> {
    let mut sorted = Sorted::new(SPAN, span.tags.len());
    for (key, value) in span.tags.iter().filter(|(key, _)| *key != "error") {
        sorted.add(key.as_str(), value.as_str());
    }
    let remote = &span.remote_endpoint;
    if !remote.address().is_empty() {
        sorted.add("network.peer.address", remote.address());
    }
    if let Some(port) = remote.port {
        sorted.add("network.peer.port", port.to_string());
    }
    sorted
}

fn event(annotation: &super::json::Annotation) -> SpanEvent<'_> {
    let time_unix_nano = annotation.timestamp.unwrap_or_default().saturating_mul(1_000);
    SpanEvent { time_unix_nano, name: present(&annotation.value).unwrap_or_default(), attributes: Vec::new() }
}

fn kind_name(kind: &str) -> &'static str {
    let kinds = ["SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
    kinds.into_iter().find(|name| name.eq_ignore_ascii_case(kind)).unwrap_or("INTERNAL")
}
