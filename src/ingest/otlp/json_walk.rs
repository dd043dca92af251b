//! A JSON request, cut into its records.

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde::de::DeserializeOwned;

use super::json::{JsonResource, JsonScope};
use super::protobuf::Signal;
use super::record::{Record, Scope, resource_of};
use crate::error::Result;
use crate::ingest::Output;
use crate::ingest::telemetry::columns::Sorted;
use crate::ingest::telemetry::raw_json::{elements, is_null, members};
use crate::ingest::telemetry::sample;

/// Reason for text whose brackets or quotes do not add up.
pub const NOT_JSON: &str = "text that is not JSON";

/// Reason for a JSON document that is of no signal.
pub const NO_SIGNAL: &str = "JSON document without resourceSpans, resourceLogs or resourceMetrics";

/// Land the records of one JSON document: a request, a list of requests, or one element of a request's list.
///
/// # Errors
/// When `output` cannot take more rows.
pub fn document(text: &[u8], output: &mut Output<'_>) -> Result<()> {
    let Some(requests) = elements(text) else { return request(text, None, output) };
    for element in requests {
        match element {
            Ok(element) => request(element, None, output)?,
            Err(_) => output.reject(NOT_JSON, &sample(text)),
        }
    }
    Ok(())
}

/// Land the records of one request, or one element of a request's list; where a signal is named, those of no other.
///
/// # Errors
/// When `output` cannot take more rows.
pub fn request(text: &[u8], signal: Option<Signal>, output: &mut Output<'_>) -> Result<()> {
    let asked = |found| signal.is_none_or(|signal| signal == found);
    let mut known = false;
    let Some(found) = members(text) else {
        output.reject(NO_SIGNAL, &sample(text));
        return Ok(());
    };
    for member in found {
        let Ok((name, value)) = member else {
            output.reject(NOT_JSON, &sample(text));
            return Ok(());
        };
        match name {
            b"resourceSpans" | b"resource_spans" if asked(Signal::Traces) => containers::<Span>(value, output)?,
            b"resourceLogs" | b"resource_logs" if asked(Signal::Logs) => containers::<LogRecord>(value, output)?,
            b"resourceMetrics" | b"resource_metrics" if asked(Signal::Metrics) => containers::<Metric>(value, output)?,
            name if signal.is_none() && Span::JSON_SCOPES.contains(&name) => return container::<Span>(text, output),
            name if signal.is_none() && LogRecord::JSON_SCOPES.contains(&name) => {
                return container::<LogRecord>(text, output);
            }
            name if signal.is_none() && Metric::JSON_SCOPES.contains(&name) => {
                return container::<Metric>(text, output);
            }
            _ => continue,
        }
        known = true;
    }
    let empty = members(text).is_some_and(|mut members| members.next().is_none());
    if !known && !empty {
        output.reject(NO_SIGNAL, &sample(text));
    }
    Ok(())
}

/// Go through a list, which may be null; what is no list is rejected.
fn each(
    text: &[u8],
    output: &mut Output<'_>,
    mut take: impl FnMut(&[u8], &mut Output<'_>) -> Result<()>,
) -> Result<()> {
    if is_null(text) {
        return Ok(());
    }
    let Some(found) = elements(text) else {
        output.reject("something else where a list must be", &sample(text));
        return Ok(());
    };
    for element in found {
        match element {
            Ok(element) if is_null(element) => {}
            Ok(element) => take(element, output)?,
            Err(_) => output.reject(NOT_JSON, &sample(text)),
        }
    }
    Ok(())
}

fn containers<R: Record>(text: &[u8], output: &mut Output<'_>) -> Result<()> {
    each(text, output, container::<R>)
}

fn container<R: Record>(text: &[u8], output: &mut Output<'_>) -> Result<()> {
    let (mut resource, mut scopes) = (None, Vec::new());
    let well_formed = visit(text, |name, value| match name {
        b"resource" => resource = Some(value),
        name if R::JSON_SCOPES.contains(&name) => scopes.push(value),
        _ => {}
    });
    if !well_formed {
        output.reject(NOT_JSON, &sample(text));
    }
    let resource: Option<JsonResource> = part(resource);
    let columns = resource.as_ref().map(|resource| resource_of::<R>(&resource.attributes));
    for list in scopes {
        each(list, output, |scope, output| scope_records::<R>(scope, columns.as_ref(), output))?;
    }
    Ok(())
}

fn scope_records<R: Record>(text: &[u8], resource: Option<&Sorted<'_>>, output: &mut Output<'_>) -> Result<()> {
    let (mut scope, mut records) = (None, Vec::new());
    let well_formed = visit(text, |name, value| match name {
        b"scope" | b"instrumentationLibrary" | b"instrumentation_library" => scope = Some(value),
        name if R::JSON_RECORDS.contains(&name) => records.push(value),
        _ => {}
    });
    if !well_formed {
        output.reject(NOT_JSON, &sample(text));
    }
    let scope: Option<JsonScope> = part(scope);
    let scope = scope.map(InstrumentationScope::from);
    let scope = scope.as_ref().map(Scope::of);
    for list in records {
        each(list, output, |record, output| {
            land::<R>(record, resource, scope.as_ref(), output);
            output.checkpoint()
        })?;
    }
    Ok(())
}

fn land<R: Record>(text: &[u8], resource: Option<&Sorted<'_>>, scope: Option<&Scope<'_>>, output: &mut Output<'_>) {
    let Some(resource) = resource else {
        return output.reject(&format!("{} of a malformed resource", R::NAME), &sample(text));
    };
    let Some(scope) = scope else {
        return output.reject(&format!("{} of a malformed scope", R::NAME), &sample(text));
    };
    if let Ok(json) = serde_json::from_slice::<R::Json>(text) {
        return json.into().land(resource, scope, output);
    }
    let parts = R::parts_of_json(text);
    for part in &parts {
        match serde_json::from_slice::<R::Json>(part) {
            Ok(json) => json.into().land(resource, scope, output),
            Err(_) => output.reject(&format!("malformed point of a {}", R::NAME), &sample(part)),
        }
    }
    if parts.is_empty() {
        output.reject(&format!("malformed {}", R::NAME), &sample(text));
    }
}

/// A part that may be absent or null; none if it is malformed.
fn part<T: DeserializeOwned + Default>(text: Option<&[u8]>) -> Option<T> {
    match text {
        Some(text) if !is_null(text) => serde_json::from_slice(text).ok(),
        _ => Some(T::default()),
    }
}

fn visit<'a>(text: &'a [u8], mut take: impl FnMut(&'a [u8], &'a [u8])) -> bool {
    let Some(found) = members(text) else { return false };
    for member in found {
        let Ok((name, value)) = member else { return false };
        take(name, value);
    }
    true
}
