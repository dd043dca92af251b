//! What the telemetry decoders (OTLP, Jaeger, Zipkin) share: limits, identifiers, times, hoisted columns, JSON splitting.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

pub mod columns;
pub mod documents;
pub mod raw_json;
pub mod scalar;

#[cfg(test)]
pub mod testing;

/// Bytes of a trace id in OTLP.
pub const TRACE_ID_BYTES: usize = 16;

/// Bytes of a span id.
pub const SPAN_ID_BYTES: usize = 8;

/// Earliest time of a record that lands, in nanoseconds: 1990-01-01. Anything before is an unset or broken clock.
pub const EARLIEST_NANOS: i64 = 631_152_000_000_000_000;

/// First time that is too late to land, in nanoseconds: 2200-01-01.
pub const LATEST_NANOS: i64 = 7_258_118_400_000_000_000;

/// Attributes of one record that are kept; what is beyond is dropped and counted in [`DROPPED_ATTRIBUTES`].
pub const MAX_ATTRIBUTES: usize = 1_024;

/// Longest attribute key, in bytes; an attribute with a longer one is dropped and counted.
pub const MAX_KEY_BYTES: usize = 1_024;

/// Longest attribute value, name or message, in bytes; a longer one is truncated at a character boundary.
pub const MAX_VALUE_BYTES: usize = 64 * 1_024;

/// Longest body of a log record, in bytes; a longer one is truncated at a character boundary.
pub const MAX_BODY_BYTES: usize = 1_024 * 1_024;

/// Events of one span that are kept; what is beyond is dropped and counted in [`DROPPED_EVENTS`].
pub const MAX_EVENTS: usize = 4_096;

/// Links of one span that are kept; what is beyond is dropped and counted in [`DROPPED_LINKS`].
pub const MAX_LINKS: usize = 4_096;

/// Attribute that counts attributes dropped by the sender and by the limits (OpenTelemetry mapping to non-OTLP formats).
pub const DROPPED_ATTRIBUTES: &str = "otel.dropped_attributes_count";

/// The same for events.
pub const DROPPED_EVENTS: &str = "otel.dropped_events_count";

/// The same for links.
pub const DROPPED_LINKS: &str = "otel.dropped_links_count";

/// Longest sample text that a decoder builds for a rejected record, in bytes; [`super::Output`] shortens further.
const SAMPLE_BYTES: usize = 4 * super::SAMPLE_CHARS;

/// An identifier as lowercase hex, without an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HexId {
    digits: [u8; 2 * TRACE_ID_BYTES],
    len: usize,
}

impl HexId {
    /// The hex of at most 16 bytes; none when there are more, or none, or all are zero (invalid in W3C trace context).
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let len = 2 * bytes.len();
        let mut digits = [b'0'; 2 * TRACE_ID_BYTES];
        if bytes.iter().all(|byte| *byte == 0) {
            return None;
        }
        hex::encode_to_slice(bytes, digits.get_mut(..len)?).ok()?;
        Some(Self { digits, len })
    }

    /// A trace id of 1 to 32 hex digits, left-padded to 16 digits or, if it is longer than that, to 32.
    #[must_use]
    pub fn trace_of_text(text: &str) -> Option<Self> {
        let len = if text.len() <= 2 * SPAN_ID_BYTES { 2 * SPAN_ID_BYTES } else { 2 * TRACE_ID_BYTES };
        Self::padded(text, len)
    }

    /// A span id of 1 to 16 hex digits, left-padded to 16.
    #[must_use]
    pub fn span_of_text(text: &str) -> Option<Self> {
        Self::padded(text, 2 * SPAN_ID_BYTES)
    }

    /// A span id derived from texts: the first 8 bytes of their SHA-256, each text followed by a zero byte.
    #[must_use]
    pub fn derived(parts: &[&str]) -> Option<Self> {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        Self::of_bytes(hash.finalize().get(..SPAN_ID_BYTES)?)
    }

    fn padded(text: &str, len: usize) -> Option<Self> {
        let padding = len.checked_sub(text.len())?;
        let mut digits = [b'0'; 2 * TRACE_ID_BYTES];
        for (digit, byte) in digits.get_mut(padding..len)?.iter_mut().zip(text.bytes()) {
            if !byte.is_ascii_hexdigit() {
                return None;
            }
            *digit = byte.to_ascii_lowercase();
        }
        let nonzero = digits.iter().any(|digit| *digit != b'0');
        nonzero.then_some(Self { digits, len })
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII digits are ever put in.
        self.digits.get(..self.len).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default()
    }

    /// The digits as a text of their own.
    #[must_use]
    pub fn to_text<'a>(self) -> Cow<'a, str> {
        Cow::Owned(self.as_str().to_owned())
    }
}

/// A time in nanoseconds, if it lies in the years that a record can land in.
#[must_use]
pub fn plausible_nanos(nanos: u64) -> Option<i64> {
    i64::try_from(nanos).ok().filter(|nanos| (EARLIEST_NANOS..LATEST_NANOS).contains(nanos))
}

/// Microseconds of a time in nanoseconds, rounded down.
#[must_use]
pub fn micros(nanos: i64) -> i64 {
    nanos.div_euclid(1_000)
}

/// The text, truncated to a number of bytes at a character boundary.
#[must_use]
pub fn clip(text: Cow<'_, str>, max_bytes: usize) -> Cow<'_, str> {
    if text.len() <= max_bytes {
        return text;
    }
    let end = text.floor_char_boundary(max_bytes);
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(..end).unwrap_or_default()),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    }
}

/// A text column: null when empty, truncated when too long.
#[must_use]
pub fn text_cell(text: &str) -> Option<Cow<'_, str>> {
    (!text.is_empty()).then(|| clip(Cow::Borrowed(text), MAX_VALUE_BYTES))
}

/// The beginning of a record for the sample of a rejection.
#[must_use]
pub fn sample(record: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(record.get(..SAMPLE_BYTES).unwrap_or(record))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_padded_lowercase_hex_and_never_zero() {
        let id = HexId::of_bytes(&[0, 0xAB, 0xCD, 1, 2, 3, 4, 5]).unwrap();
        assert_eq!(id.as_str(), "00abcd0102030405");
        assert_eq!(HexId::of_bytes(&[0; 16]), None);
        assert_eq!(HexId::of_bytes(&[]), None);
        assert_eq!(HexId::of_bytes(&[1; 17]), None);
        assert_eq!(HexId::trace_of_text("A").unwrap().as_str(), "000000000000000a");
        assert_eq!(
            HexId::trace_of_text("5aab74dbb904746bb33447baae403e").unwrap().as_str(),
            "005aab74dbb904746bb33447baae403e"
        );
        assert_eq!(HexId::span_of_text("0"), None);
        assert_eq!(HexId::span_of_text("xyz"), None);
        assert_eq!(HexId::span_of_text("11112222333344445"), None);
        assert_eq!(HexId::span_of_text(""), None);
    }

    #[test]
    fn derived_ids_depend_on_every_part() {
        let id = HexId::derived(&["a", "bc"]).unwrap();
        assert_ne!(id, HexId::derived(&["ab", "c"]).unwrap());
        assert_eq!(id, HexId::derived(&["a", "bc"]).unwrap());
        assert_eq!(id.as_str().len(), 16);
    }

    #[test]
    fn times_outside_of_1990_to_2200_are_implausible() {
        assert_eq!(plausible_nanos(0), None);
        assert_eq!(plausible_nanos(u64::MAX), None);
        assert_eq!(plausible_nanos(631_151_999_999_999_999), None);
        assert_eq!(plausible_nanos(631_152_000_000_000_000), Some(EARLIEST_NANOS));
        assert_eq!(plausible_nanos(7_258_118_400_000_000_000), None);
        assert_eq!(micros(1_999), 1);
    }

    #[test]
    fn clipping_keeps_characters_whole() {
        assert_eq!(clip(Cow::Borrowed("aé"), 2), "a");
        assert_eq!(clip(Cow::Owned("aé".to_owned()), 3), "aé");
    }
}
