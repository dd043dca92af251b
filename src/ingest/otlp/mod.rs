//! OpenTelemetry's own protocol: traces, logs and metrics, in JSON and in Protocol Buffers, told from the content.
//!
//! Attributes with a column of their own are hoisted and leave the map (see [`super::telemetry::columns`]); the others
//! stay as text, structured ones as JSON. What the sender says it dropped is in `otel.dropped_…_count`, version and
//! attributes of the instrumentation scope are in `otel.scope.…`.
//!
//! [`decode_request`] lands one request, for receivers that listen on a socket.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{BufRead, Cursor, Read};

use serde::de::IgnoredAny;

use super::telemetry::documents::{Document, Documents};
use super::telemetry::sample;
use super::{Input, Output, Source};
use crate::error::{Result, UserError};

pub mod json;
mod json_metrics;
mod json_walk;
pub mod logs;
pub mod metrics;
mod points;
pub mod protobuf;
pub mod record;
pub mod spans;
pub mod value;
pub mod wire;

#[cfg(test)]
mod tests;

pub use protobuf::Signal;

/// Bytes at the beginning that tell text from Protocol Buffers.
const SNIFF_BYTES: usize = 1_024;

/// The source `otlp`.
#[derive(Debug)]
pub struct Otlp;

impl Source for Otlp {
    fn name(&self) -> &'static str {
        "otlp"
    }

    fn doc(&self) -> &'static str {
        "OpenTelemetry traces, logs and metrics, OTLP/JSON or OTLP Protocol Buffers, into spans, logs, metric_points"
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        let mut prefix = Vec::new();
        let sniffed = u64::try_from(SNIFF_BYTES).unwrap_or(u64::MAX);
        (&mut *input.reader).take(sniffed).read_to_end(&mut prefix)?;
        if prefix.trim_ascii().is_empty() {
            return Ok(());
        }
        let text = is_text(&prefix);
        // Zeros would be requests without anything in them, as many as there are.
        let blank = prefix.iter().all(|byte| *byte == 0);
        let framing = protobuf::framing(prefix.get(..protobuf::PREFIX_BYTES).unwrap_or(&prefix));
        let mut reader = Cursor::new(prefix).chain(input.reader);
        match framing {
            _ if text => decode_documents(&mut reader, output),
            Some(framing) if !blank => protobuf::file(framing, &mut reader, output),
            _ => Err(UserError::invalid("the file is not OTLP")
                .detail("It begins neither as JSON nor as a Protocol Buffers message of OpenTelemetry.")
                .hint("Compressed files are recognized by their first bytes; other archives are to be unpacked first.")
                .into()),
        }
    }
}

/// Whether the beginning of a file is JSON text. Protocol Buffers can look like white space and a brace at first, but
/// have control characters (field 2 has key `0x12`) before long.
fn is_text(prefix: &[u8]) -> bool {
    let begins = prefix.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(prefix);
    let first = begins.iter().find(|byte| !byte.is_ascii_whitespace() && **byte != 0x1E);
    let control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\n' | b'\r' | b'\t' | 0x1E);
    matches!(first, Some(b'{' | b'[')) && !prefix.iter().take(protobuf::PREFIX_BYTES).any(control)
}

fn decode_documents(reader: &mut dyn BufRead, output: &mut Output<'_>) -> Result<()> {
    let mut documents = Documents::new(reader);
    while let Some(document) = documents.next()? {
        match document {
            Document::Value(text) => json_walk::document(text, output)?,
            Document::Broken(text) if text.trim_ascii().is_empty() => {}
            Document::Broken(text) => output.reject(json_walk::NOT_JSON, &sample(text)),
        }
    }
    Ok(())
}

/// How a request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Protocol Buffers.
    Protobuf,
    /// Their mapping to JSON.
    Json,
}

/// Whether bytes have the outer structure of a request; single records may still be malformed.
///
/// # Errors
/// Says what is wrong.
pub fn check(encoding: Encoding, request: &[u8]) -> Result<(), &'static str> {
    let well_formed = match encoding {
        Encoding::Protobuf => wire::fields(request).all(|field| field.is_ok()),
        Encoding::Json => serde_json::from_slice::<BTreeMap<Cow<'_, str>, IgnoredAny>>(request).is_ok(),
    };
    match encoding {
        _ if well_formed => Ok(()),
        Encoding::Protobuf => Err("the request is not a Protocol Buffers message"),
        Encoding::Json => Err("the request is not a JSON object"),
    }
}

/// Land the records of one request. What is malformed, or of another signal, is rejected in `output`.
///
/// # Errors
/// When `output` cannot take more rows.
pub fn decode_request(signal: Signal, encoding: Encoding, request: &[u8], output: &mut Output<'_>) -> Result<()> {
    match encoding {
        Encoding::Protobuf => protobuf::request(request, Some(signal), output),
        Encoding::Json => json_walk::request(request, Some(signal), output),
    }
}
