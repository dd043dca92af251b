//! Jaeger JSON documents → rows of `spans`.

use std::borrow::Cow;
use std::collections::HashMap;

use super::json::{Log, Process, Reference, Span, Tag};
use super::present;
use crate::error::Result;
use crate::ingest::Output;
use crate::ingest::telemetry::columns::{ColumnSet, SPAN, SPAN_RESOURCE, Sorted};
use crate::ingest::telemetry::raw_json::{elements, is_null, members};
use crate::ingest::telemetry::scalar::Scalar;
use crate::ingest::telemetry::{
    DROPPED_EVENTS, DROPPED_LINKS, HexId, LATEST_NANOS, MAX_EVENTS, MAX_LINKS, MAX_VALUE_BYTES, clip, micros, sample,
};
use crate::model::telemetry::SpanRow;
use crate::model::{SpanEvent, SpanLink};

/// Reason for text whose brackets or quotes do not add up.
pub const NOT_JSON: &str = "text that is not JSON";

/// Longest id, in bytes.
const MAX_ID_BYTES: usize = 64;

const REF_TYPE: &str = "opentracing.ref_type";

type Reason = &'static str;

/// Processes of a trace by their ids: the service's name and the other attributes.
type Processes<'a> = HashMap<Cow<'a, str>, Sorted<'a>>;

/// Land the spans of one document: an export, a trace, a span, or a list of such.
///
/// # Errors
/// When `output` cannot take more rows.
pub fn document(text: &[u8], output: &mut Output<'_>) -> Result<()> {
    each(text, output, |element, output| match find(element, b"data") {
        Some(data) => each(data, output, trace_or_span),
        None => trace_or_span(element, output),
    })
}

/// The elements if it is a list, or else the thing itself.
fn each(
    text: &[u8],
    output: &mut Output<'_>,
    mut take: impl FnMut(&[u8], &mut Output<'_>) -> Result<()>,
) -> Result<()> {
    let Some(found) = elements(text) else { return take(text, output) };
    for element in found {
        match element {
            Ok(element) if is_null(element) => {}
            Ok(element) => take(element, output)?,
            Err(_) => output.reject(NOT_JSON, &sample(text)),
        }
    }
    Ok(())
}

fn find<'a>(text: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let mut found = members(text)?.filter_map(std::result::Result::ok);
    found.find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

fn trace_or_span(text: &[u8], output: &mut Output<'_>) -> Result<()> {
    if let Some(spans) = find(text, b"spans") {
        return trace(text, spans, output);
    }
    if find(text, b"spanID").or_else(|| find(text, b"spanId")).is_some() {
        land(text, "", &Processes::new(), output);
        return output.checkpoint();
    }
    if is_null(text) {
        return Ok(());
    }
    output.reject("JSON that is neither a Jaeger export nor a trace nor a span", &sample(text));
    Ok(())
}

fn trace(text: &[u8], spans: &[u8], output: &mut Output<'_>) -> Result<()> {
    let id = find(text, b"traceID").or_else(|| find(text, b"traceId"));
    let id = id.and_then(|id| serde_json::from_slice::<Scalar<'_>>(id).ok()).unwrap_or_default().into_text();
    let mut processes = Processes::new();
    for member in find(text, b"processes").and_then(members).into_iter().flatten() {
        let Ok((name, value)) = member else {
            output.reject(NOT_JSON, &sample(text));
            break;
        };
        match serde_json::from_slice::<Process<'_>>(value) {
            Ok(process) => {
                processes.insert(process_name(name), resource(process));
            }
            Err(_) => output.reject("malformed process", &sample(value)),
        }
    }
    each(spans, output, |span, output| {
        land(span, &id, &processes, output);
        output.checkpoint()
    })
}

/// The name without its escapes.
fn process_name(raw: &[u8]) -> Cow<'_, str> {
    if raw.contains(&b'\\') {
        let quoted = [b"\"", raw, b"\""].concat();
        return Cow::Owned(serde_json::from_slice(&quoted).unwrap_or_default());
    }
    String::from_utf8_lossy(raw)
}

fn resource(process: Process<'_>) -> Sorted<'_> {
    let mut sorted = Sorted::new(SPAN_RESOURCE, process.tags.len());
    for tag in process.tags {
        sorted.add(tag.key, tag.value.0);
    }
    sorted.add("service.name", process.service_name);
    sorted
}

fn land(text: &[u8], trace_id: &str, processes: &Processes<'_>, output: &mut Output<'_>) {
    let landed = match serde_json::from_slice::<Span<'_>>(text) {
        Ok(span) => row(span, trace_id, processes, output),
        Err(_) => Err("malformed span"),
    };
    if let Err(reason) = landed {
        output.reject(reason, &sample(text));
    }
}

/// The ids of a trace and of its spans.
struct Ids<'a> {
    trace_text: Cow<'a, str>,
    trace: HexId,
}

impl<'a> Ids<'a> {
    fn new(trace_text: Cow<'a, str>) -> Result<Self, Reason> {
        let trace = trace_id(&trace_text).ok_or("span without a trace id")?;
        Ok(Self { trace_text, trace })
    }

    fn span(&self, text: &str) -> Option<HexId> {
        span_id(&self.trace_text, text)
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

fn trace_id(text: &str) -> Option<HexId> {
    match text.len() {
        0 => None,
        1..=MAX_ID_BYTES if !is_hex(text) => HexId::derived(&[text]),
        _ => HexId::trace_of_text(text),
    }
}

fn span_id(trace: &str, text: &str) -> Option<HexId> {
    match text.len() {
        0 => None,
        1..=MAX_ID_BYTES if !is_hex(text) => HexId::derived(&[trace, text]),
        _ => HexId::span_of_text(text),
    }
}

fn row(span: Span<'_>, trace_id: &str, processes: &Processes<'_>, output: &mut Output<'_>) -> Result<(), Reason> {
    let ids = Ids::new(present(span.trace_id.clone().into_text()).unwrap_or(Cow::Borrowed(trace_id)))?;
    let span_text = span.span_id.clone().into_text();
    let span_id = ids.span(&span_text).ok_or("span without a span id")?;
    let (start, duration) = times(&span)?;
    let own = span.process.map(resource);
    let none = Sorted::new(SPAN_RESOURCE, 0);
    let resource = own.as_ref().or_else(|| processes.get(&*span.process_id.into_text())).unwrap_or(&none);
    let mut tags = Tags::of(span.tags);
    if !is_hex(&span_text) {
        tags.sorted.add("jaeger.span_id", span_text);
    }
    if !span.warnings.is_empty() {
        let warnings: Vec<&str> = span.warnings.iter().map(|warning| &*warning.0).collect();
        tags.sorted.add("jaeger.warnings", serde_json::Value::from(warnings).to_string());
    }
    let (parent, links) = references(&span.references, span.parent_span_id, &ids, &mut tags.sorted);
    let (events, exception) = events(span.logs, &mut tags.sorted);
    let mut sorted = tags.sorted;
    let mut hoisted = sorted.take_span(resource);
    let row = SpanRow {
        trace_id: Some(Cow::Borrowed(ids.trace.as_str())),
        span_id: Some(Cow::Borrowed(span_id.as_str())),
        parent_span_id: parent.as_ref().map(|id| Cow::Borrowed(id.as_str())),
        adjusted_count: tags.trace_state.as_deref().and_then(crate::ingest::otlp::spans::adjusted_count),
        trace_state: tags.trace_state,
        span_name: Some(clip(span.operation_name.into_text(), MAX_VALUE_BYTES)),
        span_kind: Some(Cow::Borrowed(tags.kind)),
        status_code: Some(Cow::Borrowed(tags.status.unwrap_or("UNSET"))),
        status_message: tags.message,
        start_time: Some(micros(start)),
        start_unix_nano: Some(start),
        duration_nano: duration,
        scope_name: tags.scope,
        error_type: hoisted.error_type.take().or(exception),
        resource_attributes: resource.rest(),
        attributes: sorted.into_rest(),
        events,
        links,
        ..hoisted
    };
    output.spans.push(&row);
    Ok(())
}

/// Start and duration in nanoseconds, from microseconds.
fn times(span: &Span<'_>) -> Result<(i64, Option<i64>), Reason> {
    const RANGE: Reason = "span that starts before 1970 or after 2199";
    let start = span.start_time.as_ref().filter(|time| !time.is_null()).ok_or("span without a start time")?;
    let start = start.as_i64().ok_or("span whose start time is not a number")?;
    let start = start.checked_mul(1_000).filter(|nanos| (0..LATEST_NANOS).contains(nanos)).ok_or(RANGE)?;
    let Some(duration) = span.duration.as_ref().filter(|duration| !duration.is_null()) else {
        return Ok((start, None));
    };
    let duration = duration.as_i64().ok_or("span whose duration is not a number")?;
    let duration =
        duration.checked_mul(1_000).filter(|nanos| start.checked_add(*nanos).is_some_and(|end| end < LATEST_NANOS));
    duration.map(|duration| (start, Some(duration))).ok_or("span that ends after 2199")
}

/// Tags that say what columns say, and the others.
struct Tags<'a> {
    sorted: Sorted<'a>,
    kind: &'static str,
    status: Option<&'static str>,
    message: Option<Cow<'a, str>>,
    scope: Option<Cow<'a, str>>,
    trace_state: Option<Cow<'a, str>>,
}

impl<'a> Tags<'a> {
    fn of(tags: Vec<Tag<'a>>) -> Self {
        let sorted = Sorted::new(SPAN, tags.len());
        let mut all = Self { sorted, kind: "UNSPECIFIED", status: None, message: None, scope: None, trace_state: None };
        let mut failed = false;
        for tag in tags {
            let value = tag.value.0;
            match &*tag.key {
                "span.kind" if kind_name(&value).is_some() => all.kind = kind_name(&value).unwrap_or(all.kind),
                "otel.status_code" if status_name(&value).is_some() => all.status = status_name(&value),
                "error" if value.eq_ignore_ascii_case("true") => failed = true,
                "error" if value.eq_ignore_ascii_case("false") => {}
                "otel.status_description" => all.message = present(clip(value, MAX_VALUE_BYTES)),
                "otel.scope.name" | "otel.library.name" => all.scope = present(clip(value, MAX_VALUE_BYTES)),
                "w3c.tracestate" => all.trace_state = present(clip(value, MAX_VALUE_BYTES)),
                _ => all.sorted.add(tag.key, value),
            }
        }
        all.status = all.status.or(failed.then_some("ERROR"));
        all
    }
}

fn kind_name(kind: &str) -> Option<&'static str> {
    let kinds = ["SERVER", "CLIENT", "PRODUCER", "CONSUMER", "INTERNAL"];
    kinds.into_iter().find(|name| name.eq_ignore_ascii_case(kind))
}

fn status_name(status: &str) -> Option<&'static str> {
    ["OK", "ERROR", "UNSET"].into_iter().find(|name| name.eq_ignore_ascii_case(status))
}

/// The parent and the links. The parent is the first `CHILD_OF` reference into the trace, or else the first
/// `FOLLOWS_FROM` one (Jaeger's `Span.ParentSpanID`).
fn references<'a>(
    references: &[Reference<'_>],
    parent: Scalar<'_>,
    ids: &Ids<'_>,
    sorted: &mut Sorted<'_>,
) -> (Option<HexId>, Vec<SpanLink<'a>>) {
    let resolved: Vec<(HexId, HexId, bool)> =
        references.iter().filter_map(|reference| resolve(reference, ids)).collect();
    let first = |follows: bool| {
        resolved.iter().position(|(trace, _, follows_from)| *trace == ids.trace && *follows_from == follows)
    };
    let chosen = first(false).or_else(|| first(true));
    let follows = chosen.and_then(|at| resolved.get(at)).is_some_and(|(_, _, follows)| *follows);
    if follows {
        sorted.add(REF_TYPE, "follows_from");
    }
    let dropped = resolved.len().saturating_sub(MAX_LINKS + 1);
    if dropped > 0 {
        sorted.add(DROPPED_LINKS, dropped.to_string());
    }
    let others = resolved.iter().enumerate().filter(|(at, _)| Some(*at) != chosen).take(MAX_LINKS);
    let links = others.map(|(_, (trace, span, follows))| SpanLink {
        trace_id: trace.to_text(),
        span_id: span.to_text(),
        attributes: vec![(REF_TYPE.into(), if *follows { "follows_from" } else { "child_of" }.into())],
    });
    let parent = match chosen.and_then(|at| resolved.get(at)) {
        Some((_, span, _)) => Some(*span),
        None => ids.span(&parent.into_text()),
    };
    (parent, links.collect())
}

fn resolve(reference: &Reference<'_>, ids: &Ids<'_>) -> Option<(HexId, HexId, bool)> {
    let follows = reference.ref_type.clone().into_text().eq_ignore_ascii_case("FOLLOWS_FROM");
    let trace_text = reference.trace_id.clone().into_text();
    let span_text = reference.span_id.clone().into_text();
    if trace_text.is_empty() || trace_text == ids.trace_text {
        return Some((ids.trace, ids.span(&span_text)?, follows));
    }
    Some((trace_id(&trace_text)?, span_id(&trace_text, &span_text)?, follows))
}

/// The events, and the type of the last exception: `exception.type`, or `error.kind` of an event `error` (`OpenTracing`).
fn events<'a>(logs: Vec<Log<'a>>, sorted: &mut Sorted<'_>) -> (Vec<SpanEvent<'a>>, Option<Cow<'a, str>>) {
    if logs.len() > MAX_EVENTS {
        sorted.add(DROPPED_EVENTS, (logs.len() - MAX_EVENTS).to_string());
    }
    let mut exception = None;
    let events = logs.into_iter().take(MAX_EVENTS).map(|log| {
        let mut attributes = Sorted::new(ColumnSet::of(&[]), log.fields.len());
        let (mut name, mut error) = (Cow::Borrowed(""), None);
        for field in log.fields {
            let value = field.value.0;
            match &*field.key {
                "event" if name.is_empty() => name = clip(value, MAX_VALUE_BYTES),
                "exception.type" | "error.kind" => {
                    error = Some(clip(value.clone(), MAX_VALUE_BYTES));
                    attributes.add(field.key, value);
                }
                _ => attributes.add(field.key, value),
            }
        }
        if matches!(&*name, "exception" | "error") {
            exception = error.and_then(present).or_else(|| exception.take());
        }
        let time_unix_nano = log.timestamp.as_i64().unwrap_or_default().saturating_mul(1_000);
        SpanEvent { time_unix_nano, name, attributes: attributes.into_rest() }
    });
    (events.collect(), exception)
}
