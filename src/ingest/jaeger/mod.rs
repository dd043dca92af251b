//! Jaeger's JSON: what its query API and UI export, and lines of traces or spans.
//!
//! - Times are microseconds; they may begin at 0, because traces written by hand or for tests often do.
//! - Ids are hex of any length up to 16 and 32 digits and are left-padded. Ids of hand-written traces that are not hex
//!   are replaced by the first 8 bytes of the SHA-256 of the trace id and the id, the same wherever the id occurs; the
//!   span keeps the original in attribute `jaeger.span_id`.
//! - The parent is, as in Jaeger, the first `CHILD_OF` reference into the same trace, or else the first `FOLLOWS_FROM`
//!   one; the span then has attribute `opentracing.ref_type`. All other references are links with that attribute.
//! - Tags `span.kind`, `error`, `otel.status_code`, `otel.status_description`, `otel.scope.name` (`otel.library.name`)
//!   and `w3c.tracestate` go to their columns and leave the map; hoisting is as in [`super::telemetry::columns`].
//! - Process tags are resource attributes, logs are events named by their field `event`.

use std::borrow::Cow;

use super::telemetry::documents::{Document, Documents};
use super::telemetry::sample;
use super::{Input, Output, Source};
use crate::error::Result;

mod decode;
mod json;

#[cfg(test)]
mod tests;

/// The source `jaeger`.
#[derive(Debug)]
pub struct Jaeger;

impl Source for Jaeger {
    fn name(&self) -> &'static str {
        "jaeger"
    }

    fn doc(&self) -> &'static str {
        "Jaeger JSON (exports of the UI and the query API, lines of traces or spans) into spans"
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        let mut documents = Documents::new(input.reader);
        while let Some(document) = documents.next()? {
            match document {
                Document::Value(text) => decode::document(text, output)?,
                Document::Broken(text) if text.trim_ascii().is_empty() => {}
                Document::Broken(text) => output.reject(decode::NOT_JSON, &sample(text)),
            }
        }
        Ok(())
    }
}

/// A text that is not empty.
fn present(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    (!text.is_empty()).then_some(text)
}
