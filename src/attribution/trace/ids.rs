//! Ids and names as integers.

use std::collections::HashMap;

use super::{Code, NULL_CODE};

/// A span id within one trace. 16 lowercase hex digits are their own value; any other text gets a number from
/// [`IdCodes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(u128);

impl SpanId {
    /// No span.
    pub const NONE: Self = Self(u128::MAX);

    /// The id that these 64 bits are.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits as u128)
    }
}

/// Codes of span ids that are not 16 lowercase hex digits. Codes may be forgotten between traces.
#[derive(Debug, Default)]
pub struct IdCodes {
    others: HashMap<Box<str>, u64>,
}

impl IdCodes {
    /// The id of a text. Empty text and the all-zero id, which OpenTelemetry calls invalid, are [`SpanId::NONE`].
    pub fn encode(&mut self, text: &str) -> SpanId {
        if let Some(bits) = parse_hex(text) {
            return if bits == 0 { SpanId::NONE } else { SpanId::from_bits(bits) };
        }
        if text.is_empty() {
            return SpanId::NONE;
        }
        let next = self.others.len() as u64;
        let code = match self.others.get(text) {
            Some(code) => *code,
            None => *self.others.entry(text.into()).or_insert(next),
        };
        SpanId((1 << 64) | u128::from(code))
    }

    /// Forget the codes.
    pub fn clear(&mut self) {
        self.others.clear();
    }
}

fn parse_hex(text: &str) -> Option<u64> {
    if text.len() != 16 {
        return None;
    }
    text.bytes().try_fold(0, |bits, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(bits << 4 | u64::from(digit))
    })
}

/// Strings by number. The numbers count from 0 in the order of first appearance.
#[derive(Debug, Default)]
pub struct Dictionary {
    codes: HashMap<Box<str>, Code>,
    texts: Vec<Box<str>>,
}

impl Dictionary {
    /// The code of a text, [`NULL_CODE`] for none.
    pub fn encode(&mut self, text: Option<&str>) -> Code {
        let Some(text) = text else { return NULL_CODE };
        if let Some(code) = self.codes.get(text) {
            return *code;
        }
        let code = Code::try_from(self.texts.len()).unwrap_or(NULL_CODE);
        self.codes.insert(text.into(), code);
        self.texts.push(text.into());
        code
    }

    /// The code of a text that was seen before.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<Code> {
        self.codes.get(text).copied()
    }

    /// The text of a code; none for [`NULL_CODE`].
    #[must_use]
    pub fn text(&self, code: Code) -> Option<&str> {
        self.texts.get(code as usize).map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_ids_are_their_value_and_others_get_codes_of_their_own() {
        let mut codes = IdCodes::default();
        assert_eq!(codes.encode("00000000000000ff"), SpanId::from_bits(255));
        assert_eq!(codes.encode("ffffffffffffffff"), SpanId::from_bits(u64::MAX));
        assert_eq!(codes.encode("0000000000000000"), SpanId::NONE);
        assert_eq!(codes.encode(""), SpanId::NONE);
        let short = codes.encode("ff");
        assert_eq!(codes.encode("ff"), short);
        let upper = codes.encode("00000000000000FF");
        for (one, other) in [(short, upper), (short, SpanId::from_bits(255)), (upper, SpanId::from_bits(255))] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn dictionaries_give_back_what_they_took() {
        let mut dictionary = Dictionary::default();
        let cart = dictionary.encode(Some("cart"));
        assert_eq!(dictionary.encode(Some("shop")), cart + 1);
        assert_eq!(dictionary.encode(Some("cart")), cart);
        assert_eq!(dictionary.text(cart), Some("cart"));
        assert_eq!(dictionary.encode(None), NULL_CODE);
        assert_eq!(dictionary.text(NULL_CODE), None);
        assert_eq!(dictionary.find("nobody"), None);
    }
}
