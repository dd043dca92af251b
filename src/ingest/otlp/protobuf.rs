//! Protocol Buffers: how a file of them is framed, which signal they are of, and the records of a request.

use std::io::{BufRead, Read};

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use prost::encoding::decode_varint;

use super::record::{Record, Scope, resource_of};
use super::wire::{Field, fields};
use crate::error::Result;
use crate::ingest::Output;
use crate::ingest::telemetry::columns::Sorted;

/// Longest message of a framed file, and longest element of an unframed one, in bytes.
pub const MAX_MESSAGE_BYTES: u64 = 512 * 1_024 * 1_024;

/// Bytes at the beginning of a file that are enough to tell its framing.
pub const PREFIX_BYTES: usize = 64;

/// Number of the field that holds everything in a request, in a resource's element and in a scope's element:
/// `resource_spans`, `scope_spans` (2), `spans` (2) and their likes.
const CONTAINERS: u32 = 1;
const INNER: u32 = 2;

const CUT_OFF: &str = "Protocol Buffers message that is cut off or malformed";
const TOO_LONG: &str = "Protocol Buffers message that is too long";

/// What the records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Log records.
    Logs,
    /// Metrics.
    Metrics,
}

/// How the messages of a file follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// The file is one request. So is a concatenation of requests, by the rules of Protocol Buffers.
    Plain,
    /// Each message has its length as a varint before it.
    Varint,
    /// Each message has its length as four bytes, big-endian, before it: the file exporter of the collector.
    BigEndian,
}

/// The framing that the beginning of a file ([`PREFIX_BYTES`], or all of a shorter one) shows; none if it shows none.
///
/// The three cannot be confused where the messages are requests: a request begins with byte `0x0A`, what follows is the
/// length of an element whose first field must be one that such an element has and must fit into it.
#[must_use]
pub fn framing(prefix: &[u8]) -> Option<Framing> {
    if let Some((length, rest)) = prefix.split_first_chunk::<4>() {
        let length = u64::from(u32::from_be_bytes(*length));
        if length <= MAX_MESSAGE_BYTES && prefix.first().is_some_and(|first| *first < 8) && is_request(rest, length) {
            return Some(Framing::BigEndian);
        }
    }
    let mut rest = prefix;
    let length = decode_varint(&mut rest).ok()?;
    if length <= MAX_MESSAGE_BYTES && is_request(rest, length) {
        return Some(Framing::Varint);
    }
    is_request(prefix, u64::MAX).then_some(Framing::Plain)
}

/// Whether these can be the first bytes of a request of that length. What lies beyond the bytes is believed.
fn is_request(bytes: &[u8], length: u64) -> bool {
    let mut rest = bytes;
    if length == 0 {
        return true;
    }
    if rest.first() != Some(&0x0A) {
        return false;
    }
    rest = rest.get(1..).unwrap_or_default();
    let before = rest.len();
    let Ok(element) = decode_varint(&mut rest) else { return false };
    let head = u64::try_from(1 + before - rest.len()).unwrap_or(u64::MAX);
    if element > length.saturating_sub(head) {
        return false;
    }
    is_element(rest, element)
}

/// Whether these can be the first bytes of a `ResourceSpans` or its likes of that length.
fn is_element(bytes: &[u8], length: u64) -> bool {
    if length == 0 || bytes.is_empty() {
        return length == 0;
    }
    // resource, scope_…, schema_url, or the first byte of the old field 1000 (instrumentation_library_…).
    if !matches!(bytes.first(), Some(0x0A | 0x12 | 0x1A | 0xC2)) {
        return false;
    }
    let mut rest = bytes.get(1..).unwrap_or_default();
    match decode_varint(&mut rest) {
        Ok(inner) => inner < length,
        Err(_) => rest.len() < 2,
    }
}

/// Land the records of a file.
///
/// # Errors
/// When the reader fails or `output` cannot take more rows.
pub fn file(framing: Framing, reader: &mut dyn BufRead, output: &mut Output<'_>) -> Result<()> {
    let mut message = Vec::new();
    loop {
        let next = match framing {
            Framing::Plain => element_length(reader)?,
            Framing::Varint => varint(reader)?,
            Framing::BigEndian => big_endian(reader)?,
        };
        let length = match next {
            Number::Value(length) => length,
            Number::End => return Ok(()),
            Number::Malformed => {
                output.reject(CUT_OFF, "the length of a message");
                return Ok(());
            }
        };
        if length > MAX_MESSAGE_BYTES {
            output.reject(TOO_LONG, &format!("{length} bytes"));
            return Ok(());
        }
        message.clear();
        (&mut *reader).take(length).read_to_end(&mut message)?;
        match framing {
            Framing::Plain => container(&message, None, output)?,
            Framing::Varint | Framing::BigEndian => request(&message, None, output)?,
        }
        output.checkpoint()?;
        if u64::try_from(message.len()).is_ok_and(|read| read < length) {
            output.reject(CUT_OFF, &format!("{} of {length} bytes", message.len()));
            return Ok(());
        }
    }
}

/// A number read from a file.
enum Number {
    Value(u64),
    End,
    Malformed,
}

fn byte(reader: &mut dyn BufRead) -> Result<Option<u8>> {
    let next = reader.fill_buf()?.first().copied();
    reader.consume(usize::from(next.is_some()));
    Ok(next)
}

fn varint(reader: &mut dyn BufRead) -> Result<Number> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        match byte(reader)? {
            Some(byte) => {
                value |= u64::from(byte & 0x7F) << shift;
                if byte < 0x80 {
                    return Ok(Number::Value(value));
                }
            }
            None if shift == 0 => return Ok(Number::End),
            None => return Ok(Number::Malformed),
        }
    }
    Ok(Number::Malformed)
}

fn big_endian(reader: &mut dyn BufRead) -> Result<Number> {
    let mut value = 0_u64;
    for at in 0..4 {
        match byte(reader)? {
            Some(byte) => value = value << 8 | u64::from(byte),
            None if at == 0 => return Ok(Number::End),
            None => return Ok(Number::Malformed),
        }
    }
    Ok(Number::Value(value))
}

/// Length of the next element of an unframed request.
fn element_length(reader: &mut dyn BufRead) -> Result<Number> {
    loop {
        let key = match varint(reader)? {
            Number::Value(key) => key,
            end => return Ok(end),
        };
        let (2, Number::Value(length)) = (key & 7, varint(reader)?) else { return Ok(Number::Malformed) };
        if key >> 3 == u64::from(CONTAINERS) {
            return Ok(Number::Value(length));
        }
        // A field of a later version of the protocol.
        if std::io::copy(&mut (&mut *reader).take(length), &mut std::io::sink())? < length {
            return Ok(Number::Malformed);
        }
    }
}

/// Land the records of a request. Without a signal it is told from the records.
///
/// # Errors
/// When `output` cannot take more rows.
pub fn request(message: &[u8], signal: Option<Signal>, output: &mut Output<'_>) -> Result<()> {
    for field in fields(message) {
        match field {
            Ok((CONTAINERS, Field::Bytes(element))) => container(element, signal, output)?,
            Ok(_) => {}
            Err(_) => output.reject(CUT_OFF, &hex_sample(message)),
        }
    }
    Ok(())
}

fn container(element: &[u8], signal: Option<Signal>, output: &mut Output<'_>) -> Result<()> {
    match signal.or_else(|| signal_of(element)) {
        Some(Signal::Traces) => records::<Span>(element, output),
        Some(Signal::Logs) => records::<LogRecord>(element, output),
        Some(Signal::Metrics) => records::<Metric>(element, output),
        None => {
            if fields(element).any(|field| field.is_err()) {
                output.reject(CUT_OFF, &hex_sample(element));
            }
            Ok(())
        }
    }
}

/// The fields of that number with bytes in them; a malformed rest is left to others to report.
fn inner(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    fields(message).filter_map(move |field| match field {
        Ok((found, Field::Bytes(bytes))) if found == number => Some(bytes),
        _ => None,
    })
}

/// The signal of the first record that shows one.
fn signal_of(element: &[u8]) -> Option<Signal> {
    inner(element, INNER).flat_map(|scope| inner(scope, INNER)).find_map(record_signal)
}

/// Tell a `Span`, a `LogRecord` and a `Metric` apart by the wire types of the fields that are theirs alone.
fn record_signal(record: &[u8]) -> Option<Signal> {
    let mut named = false;
    for field in fields(record) {
        match field.ok()? {
            (7 | 8, Field::Fixed64) | (6, Field::Varint) | (16, Field::Fixed32) => return Some(Signal::Traces),
            (1 | 11, Field::Fixed64) | (2 | 7, Field::Varint) | (8, Field::Fixed32) => return Some(Signal::Logs),
            (1, Field::Bytes(_)) => named = true,
            _ => {}
        }
    }
    if record.is_empty() {
        return None;
    }
    Some(if named { Signal::Metrics } else { Signal::Logs })
}

fn records<R: Record>(element: &[u8], output: &mut Output<'_>) -> Result<()> {
    let mut resource = Resource::default();
    let valid = inner(element, CONTAINERS).all(|bytes| resource.merge(bytes).is_ok());
    let columns = valid.then(|| resource_of::<R>(&resource.attributes));
    for field in fields(element) {
        match field {
            Ok((INNER, Field::Bytes(scope))) => scope_records::<R>(scope, columns.as_ref(), output)?,
            Ok(_) => {}
            Err(_) => output.reject(CUT_OFF, &hex_sample(element)),
        }
    }
    Ok(())
}

fn scope_records<R: Record>(bytes: &[u8], resource: Option<&Sorted<'_>>, output: &mut Output<'_>) -> Result<()> {
    let mut scope = InstrumentationScope::default();
    let valid = inner(bytes, CONTAINERS).all(|bytes| scope.merge(bytes).is_ok());
    let scope = valid.then(|| Scope::of(&scope));
    for field in fields(bytes) {
        match field {
            Ok((INNER, Field::Bytes(record))) => land::<R>(record, resource, scope.as_ref(), output),
            Ok(_) => {}
            Err(_) => output.reject(CUT_OFF, &hex_sample(bytes)),
        }
        output.checkpoint()?;
    }
    Ok(())
}

fn land<R: Record>(bytes: &[u8], resource: Option<&Sorted<'_>>, scope: Option<&Scope<'_>>, output: &mut Output<'_>) {
    let Some(resource) = resource else {
        return output.reject(&format!("{} of a malformed resource", R::NAME), &hex_sample(bytes));
    };
    let Some(scope) = scope else {
        return output.reject(&format!("{} of a malformed scope", R::NAME), &hex_sample(bytes));
    };
    if let Ok(record) = R::decode(bytes) {
        return record.land(resource, scope, output);
    }
    let parts = R::parts_of_protobuf(bytes);
    for part in &parts {
        match R::decode(part.as_slice()) {
            Ok(record) => record.land(resource, scope, output),
            Err(_) => output.reject(&format!("malformed point of a {}", R::NAME), &hex_sample(part)),
        }
    }
    if parts.is_empty() {
        output.reject(&format!("malformed {}", R::NAME), &hex_sample(bytes));
    }
}

fn hex_sample(bytes: &[u8]) -> String {
    hex::encode(bytes.get(..crate::ingest::SAMPLE_CHARS / 2).unwrap_or(bytes))
}
