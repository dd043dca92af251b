//! Zipkin's JSON, version 2: lists of spans, lists of traces, lines of either.
//!
//! - Times are microseconds. A span without a timestamp has that of its first annotation; without one it completes a
//!   span of the same id and service, or is rejected.
//! - Both sides of an RPC may share one span id in Zipkin. The side that is flagged `shared` (or is a SERVER or
//!   CONSUMER of the same id as a CLIENT or PRODUCER) gets a span id of its own, the first 8 bytes of the SHA-256 of
//!   trace id, span id, service, address and timestamp, and the other side as its parent; the children of its service hang on
//!   it. That is resolved among the spans of one file, up to [`WINDOW_SPANS`] at a time. A shared side whose other
//!   side is not there keeps its id and its parent.
//! - Tag `error` is the status and its message, `remoteEndpoint` is the peer service, annotations are events.

use std::borrow::Cow;

use super::telemetry::documents::{Document, Documents};
use super::telemetry::raw_json::{elements, is_null};
use super::telemetry::sample;
use super::{Input, Output, Source};
use crate::error::Result;

mod decode;
mod json;
mod shared;

#[cfg(test)]
mod tests;

/// Spans that are resolved together.
pub const WINDOW_SPANS: usize = 200_000;

const NOT_JSON: &str = "text that is not JSON";

/// The source `zipkin`.
#[derive(Debug)]
pub struct Zipkin;

impl Source for Zipkin {
    fn name(&self) -> &'static str {
        "zipkin"
    }

    fn doc(&self) -> &'static str {
        "Zipkin v2 JSON (lists of spans or of traces) into spans"
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        let mut documents = Documents::new(input.reader);
        let mut window = Vec::new();
        while let Some(document) = documents.next()? {
            match document {
                Document::Value(text) => collect(text, &mut window, output),
                Document::Broken(text) if text.trim_ascii().is_empty() => {}
                Document::Broken(text) => output.reject(NOT_JSON, &sample(text)),
            }
            if window.len() >= WINDOW_SPANS {
                decode::land(std::mem::take(&mut window), output)?;
            }
        }
        decode::land(window, output)
    }
}

/// Collect the spans of a document: a span, a list of spans, or a list of lists of them.
fn collect(text: &[u8], window: &mut Vec<json::Span>, output: &mut Output<'_>) {
    let Some(found) = elements(text) else { return span(text, window, output) };
    for element in found {
        let Ok(element) = element else { return output.reject(NOT_JSON, &sample(text)) };
        let Some(trace) = elements(element) else {
            span(element, window, output);
            continue;
        };
        for element in trace {
            match element {
                Ok(element) => span(element, window, output),
                Err(_) => output.reject(NOT_JSON, &sample(text)),
            }
        }
    }
}

fn span(text: &[u8], window: &mut Vec<json::Span>, output: &mut Output<'_>) {
    if is_null(text) {
        return;
    }
    match serde_json::from_slice::<json::Span>(text) {
        Ok(span) if span.binary_annotations.is_some() => {
            output.reject("span of Zipkin v1, which is not read", &sample(text));
        }
        Ok(span) => window.push(span),
        Err(_) => output.reject("malformed span", &sample(text)),
    }
}

/// A text that is not empty.
fn present(text: &str) -> Option<Cow<'_, str>> {
    super::telemetry::text_cell(text)
}
