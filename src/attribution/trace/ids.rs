//! Ids and names as integers.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hasher};

use super::{Code, NULL_CODE};

/// The value of each hex digit, lowercase; what is none has its high bits set.
static DIGITS: [u8; 256] = {
    let mut digits = [0xff; 256];
    let mut digit: u8 = 0;
    while digit < 16 {
        digits[b"0123456789abcdef"[digit as usize] as usize] = digit;
        digit += 1;
    }
    digits
};

/// A span id within one trace. 16 lowercase hex digits, or 8 bytes, are their own value; anything else has a number that
/// is no such value, and that two ids of a trace share about as likely as they are guessed.
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

    /// The id of a text. Empty text and the all-zero id, which OpenTelemetry calls invalid, are [`SpanId::NONE`].
    #[must_use]
    pub fn of_text(text: &[u8]) -> Self {
        match <&[u8; 16]>::try_from(text).ok().and_then(parse_hex) {
            Some(bits) => Self::valid(bits),
            None => Self::other(text),
        }
    }

    /// The id of bytes as the protocol sends them.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        match <[u8; 8]>::try_from(bytes) {
            Ok(bytes) => Self::valid(u64::from_be_bytes(bytes)),
            Err(_) => Self::other(bytes),
        }
    }

    fn valid(bits: u64) -> Self {
        if bits == 0 { Self::NONE } else { Self::from_bits(bits) }
    }

    fn other(text: &[u8]) -> Self {
        if text.is_empty() { Self::NONE } else { Self((1 << 64) | u128::from(hash(0, text))) }
    }

    /// The low 64 bits, and what is above them: 0, 1, or more for [`SpanId::NONE`].
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
    pub const fn parts(self) -> (u64, u8) {
        (self.0 as u64, (self.0 >> 64) as u8 & 3)
    }

    /// The id of [`SpanId::parts`].
    #[must_use]
    pub const fn from_parts(low: u64, high: u8) -> Self {
        if high > 1 { Self::NONE } else { Self((high as u128) << 64 | low as u128) }
    }
}

/// A trace id. 32 lowercase hex digits, or 16 bytes, are their own value, anything else has a hash of 128 bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId {
    /// The first 64 bits.
    pub high: u64,
    /// The others.
    pub low: u64,
}

impl TraceId {
    /// The id of a text.
    #[must_use]
    pub fn of_text(text: &[u8]) -> Self {
        let halves = <&[u8; 32]>::try_from(text).ok().map(|text| text.as_chunks::<16>().0);
        match halves {
            Some([high, low]) => match (parse_hex(high), parse_hex(low)) {
                (Some(high), Some(low)) => Self { high, low },
                _ => Self::other(text),
            },
            _ => Self::other(text),
        }
    }

    /// The id of bytes as the protocol sends them.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        match <[u8; 16]>::try_from(bytes).map(u128::from_be_bytes) {
            #[expect(clippy::cast_possible_truncation, reason = "the halves of the number")]
            Ok(bits) => Self { high: (bits >> 64) as u64, low: bits as u64 },
            Err(_) => Self::other(bytes),
        }
    }

    /// The id of a span without one, which is a trace of its own: `number` is that of no other such span.
    #[must_use]
    pub fn of_nobody(number: u64) -> Self {
        Self { high: hash(3, &number.to_le_bytes()), low: hash(4, &number.to_le_bytes()) }
    }

    fn other(text: &[u8]) -> Self {
        Self { high: hash(1, text), low: hash(2, text) }
    }

    /// A number below 2^`bits` that is evenly spread even where ids begin with a time or count up.
    #[must_use]
    pub fn bucket(self, bits: u32) -> usize {
        let mixed = (self.high ^ self.low.rotate_left(29)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        usize::try_from((mixed ^ (mixed >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93) >> (64 - bits)).unwrap_or(0)
    }
}

fn hash(kind: u8, bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u8(kind);
    hasher.write(bytes);
    hasher.finish()
}

fn parse_hex(text: &[u8; 16]) -> Option<u64> {
    let (mut bits, mut seen) = (0_u64, 0_u8);
    for byte in text {
        let digit = DIGITS.get(*byte as usize).copied().unwrap_or(0xff);
        seen |= digit;
        bits = bits << 4 | u64::from(digit & 15);
    }
    (seen < 16).then_some(bits)
}

/// Hashes a few codes, which nobody chooses with collisions in mind: they count from 0.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct CodeHasher(u64);

impl Hasher for CodeHasher {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, code: u32) {
        self.0 = (self.0.rotate_left(5) ^ u64::from(code)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// A map by codes.
pub(super) type CodeMap<K, V> = HashMap<K, V, BuildHasherDefault<CodeHasher>>;

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

    /// How many texts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The texts in the order of their codes.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(AsRef::as_ref)
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
    fn hex_ids_are_their_value_and_others_get_numbers_of_their_own() {
        assert_eq!(SpanId::of_text(b"00000000000000ff"), SpanId::from_bits(255));
        assert_eq!(SpanId::of_text(b"ffffffffffffffff"), SpanId::from_bits(u64::MAX));
        assert_eq!(SpanId::of_bytes(&[0, 0, 0, 0, 0, 0, 0, 255]), SpanId::from_bits(255));
        for nothing in ["0000000000000000", ""] {
            assert_eq!(SpanId::of_text(nothing.as_bytes()), SpanId::NONE);
        }
        let short = SpanId::of_text(b"ff");
        assert_eq!(SpanId::of_text(b"ff"), short);
        let upper = SpanId::of_text(b"00000000000000FF");
        for (one, other) in [(short, upper), (short, SpanId::from_bits(255)), (upper, SpanId::from_bits(255))] {
            assert_ne!(one, other);
        }
        for id in [short, upper, SpanId::NONE, SpanId::from_bits(7), SpanId::from_bits(u64::MAX)] {
            let (low, high) = id.parts();
            assert_eq!(SpanId::from_parts(low, high), id);
        }
    }

    #[test]
    fn trace_ids_are_the_same_as_text_and_as_bytes() {
        let text = TraceId::of_text(b"000000000000000100000000000000ff");
        assert_eq!(text, TraceId { high: 1, low: 255 });
        assert_eq!(text, TraceId::of_bytes(&((1_u128 << 64) + 255).to_be_bytes()));
        let upper = TraceId::of_text(b"000000000000000100000000000000FF");
        let short = TraceId::of_text(b"00000000000000ff");
        assert!(upper != text && short != text && short == TraceId::of_text(b"00000000000000ff"));
        assert_ne!(TraceId::of_nobody(0), TraceId::of_nobody(1));
        assert!((0..1000).all(|number| TraceId { high: 0, low: number }.bucket(5) < 32));
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
