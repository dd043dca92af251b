//! Walking Protocol Buffers messages field by field, so that one malformed record does not take its neighbours with it.

use prost::encoding::{WireType, decode_key, decode_varint};

/// The bytes do not have the structure of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// The content of a field as the wire shows it; what is fixed is skipped, only its type matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'a> {
    /// A variable-length integer.
    Varint,
    /// Eight bytes.
    Fixed64,
    /// Four bytes.
    Fixed32,
    /// A string, bytes or a message.
    Bytes(&'a [u8]),
}

/// The fields of a message, by number.
#[derive(Debug, Clone)]
pub struct Fields<'a>(&'a [u8]);

/// Number and content of a field, and the bytes that it is written as.
pub type Written<'a> = (u32, Field<'a>, &'a [u8]);

/// The fields of the message that the bytes are.
#[must_use]
pub fn fields(message: &[u8]) -> Fields<'_> {
    Fields(message)
}

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next field with the bytes that it is written as, its key included.
    pub fn next_with_bytes(&mut self) -> Option<Result<Written<'a>, Malformed>> {
        let before = self.0;
        let next = self.next()?;
        let written = before.get(..before.len() - self.0.len()).unwrap_or_default();
        Some(next.map(|(number, field)| (number, field, written)))
    }

    fn field(&mut self) -> Result<(u32, Field<'a>), Malformed> {
        let (number, wire_type) = decode_key(&mut self.0).map_err(|_| Malformed)?;
        let field = match wire_type {
            WireType::Varint => decode_varint(&mut self.0).map(|_| Field::Varint).map_err(|_| Malformed)?,
            WireType::SixtyFourBit => self.take(8).map(|_| Field::Fixed64)?,
            WireType::ThirtyTwoBit => self.take(4).map(|_| Field::Fixed32)?,
            WireType::LengthDelimited => {
                let length = decode_varint(&mut self.0).map_err(|_| Malformed)?;
                Field::Bytes(self.take(usize::try_from(length).map_err(|_| Malformed)?)?)
            }
            // Groups are of proto2; OTLP has none.
            WireType::StartGroup | WireType::EndGroup => return Err(Malformed),
        };
        Ok((number, field))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Field<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_order_until_the_first_malformed_one() {
        let message = [0x0A, 2, b'h', b'i', 0x10, 0x96, 0x01, 0x0D, 1, 2, 3, 4, 0x22, 9, 1];
        let found: Vec<_> = fields(&message).collect();
        let expected = [Ok((1, Field::Bytes(b"hi"))), Ok((2, Field::Varint)), Ok((1, Field::Fixed32)), Err(Malformed)];
        assert_eq!(found, expected);
        assert_eq!(fields(&[0x0B]).collect::<Vec<_>>(), [Err(Malformed)]);
        assert_eq!(fields(&[0x09, 1, 2, 3, 4, 5, 6, 7]).collect::<Vec<_>>(), [Err(Malformed)]);
    }
}
