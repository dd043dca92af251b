//! What the footer of a Parquet file promises, looked at before the reader believes it.
//!
//! The reader descends into types level by level and makes room for as many parts as the footer names. A footer of a
//! few bytes may name a million of either. Source: `FileMetaData` and `SchemaElement` of the Parquet format, in the
//! compact protocol of Apache Thrift.

/// Nesting of a file's types, in levels of the footer; a list takes two, a map three.
const MAX_LEVELS: usize = 64;

/// Nesting of anything else in the footer.
const MAX_SKIPPED: usize = 64;

/// Whether the file has a footer whose lists are as long as they say, and whose types are not nested too deeply.
#[must_use]
pub fn is_sound(file: &[u8]) -> bool {
    footer(file).and_then(|footer| Reader(footer).structure(FILE)).is_some()
}

fn footer(file: &[u8]) -> Option<&[u8]> {
    let (file, magic) = file.split_last_chunk::<4>()?;
    let (file, length) = file.split_last_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    (magic == b"PAR1").then(|| file.get(file.len().checked_sub(length)?..))?
}

/// What a field holds. The reader goes by the ids of fields and takes for granted what is in them, so the types on the wire
/// have to be the ones that it expects; the fields that it does not know it passes over by their types.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Flag,
    Number(Kind),
    Bytes,
    Struct(Fields),
    List(&'static Self),
    /// The types, each followed by its parts.
    Schema,
}

/// The fields of a structure and what they hold.
type Fields = &'static [(i16, Shape)];

/// The type of a value, as the protocol numbers it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Kind(u8);

impl Kind {
    const TRUE: Self = Self(1);
    const FALSE: Self = Self(2);
    const I8: Self = Self(3);
    const I16: Self = Self(4);
    const I32: Self = Self(5);
    const I64: Self = Self(6);
    const DOUBLE: Self = Self(7);
    const BYTES: Self = Self(8);
    const LIST: Self = Self(9);
    const SET: Self = Self(10);
    const MAP: Self = Self(11);
    const STRUCT: Self = Self(12);
    const UUID: Self = Self(13);
}

const I8: Shape = Shape::Number(Kind::I8);
const I16: Shape = Shape::Number(Kind::I16);
const I32: Shape = Shape::Number(Kind::I32);
const I64: Shape = Shape::Number(Kind::I64);
const DOUBLE: Shape = Shape::Number(Kind::DOUBLE);
const EMPTY: Shape = Shape::Struct(&[]);
use Shape::{Bytes as BYTES, Flag as FLAG};

const FILE: Fields = &[
    (1, I32),
    (2, Shape::Schema),
    (3, I64),
    (4, Shape::List(&Shape::Struct(ROW_GROUP))),
    (5, Shape::List(&Shape::Struct(KEY_VALUE))),
    (6, BYTES),
    (7, Shape::List(&Shape::Struct(&[(1, EMPTY), (2, EMPTY)]))),
    (9, BYTES),
];
const ELEMENT: Fields = &[
    (1, I32),
    (2, I32),
    (3, I32),
    (4, BYTES),
    (PARTS, I32),
    (6, I32),
    (7, I32),
    (8, I32),
    (9, I32),
    (10, Shape::Struct(LOGICAL_TYPE)),
];
/// `num_children` of a type.
const PARTS: i16 = 5;
const LOGICAL_TYPE: Fields = &[
    (1, EMPTY),
    (2, EMPTY),
    (3, EMPTY),
    (4, EMPTY),
    (5, Shape::Struct(&[(1, I32), (2, I32)])),
    (6, EMPTY),
    (7, Shape::Struct(&[(1, FLAG), (2, TIME_UNIT)])),
    (8, Shape::Struct(&[(1, FLAG), (2, TIME_UNIT)])),
    (10, Shape::Struct(&[(1, I8), (2, FLAG)])),
    (11, EMPTY),
    (12, EMPTY),
    (13, EMPTY),
    (14, EMPTY),
    (15, EMPTY),
    (16, Shape::Struct(&[(1, I8)])),
    (17, Shape::Struct(&[(1, BYTES)])),
    (18, Shape::Struct(&[(1, BYTES), (2, I32)])),
];
const TIME_UNIT: Shape = Shape::Struct(&[(1, EMPTY), (2, EMPTY), (3, EMPTY)]);
const KEY_VALUE: Fields = &[(1, BYTES), (2, BYTES)];
const ROW_GROUP: Fields = &[
    (1, Shape::List(&Shape::Struct(COLUMN))),
    (2, I64),
    (3, I64),
    (4, Shape::List(&Shape::Struct(&[(1, I32), (2, FLAG), (3, FLAG)]))),
    (5, I64),
    (6, I64),
    (7, I16),
];
const COLUMN: Fields =
    &[(1, BYTES), (2, I64), (3, Shape::Struct(COLUMN_DATA)), (4, I64), (5, I32), (6, I64), (7, I32), (9, BYTES)];
const COLUMN_DATA: Fields = &[
    (1, I32),
    (2, Shape::List(&I32)),
    (3, Shape::List(&BYTES)),
    (4, I32),
    (5, I64),
    (6, I64),
    (7, I64),
    (8, Shape::List(&Shape::Struct(KEY_VALUE))),
    (9, I64),
    (10, I64),
    (11, I64),
    (12, Shape::Struct(&[(1, BYTES), (2, BYTES), (3, I64), (4, I64), (5, BYTES), (6, BYTES), (7, FLAG), (8, FLAG)])),
    (13, Shape::List(&Shape::Struct(&[(1, I32), (2, I32), (3, I32)]))),
    (14, I64),
    (15, I32),
    (16, Shape::Struct(&[(1, I64), (2, Shape::List(&I64)), (3, Shape::List(&I64))])),
    (17, Shape::Struct(&[(1, Shape::Struct(BOX)), (2, Shape::List(&I32))])),
];
const BOX: Fields =
    &[(1, DOUBLE), (2, DOUBLE), (3, DOUBLE), (4, DOUBLE), (5, DOUBLE), (6, DOUBLE), (7, DOUBLE), (8, DOUBLE)];

impl Shape {
    fn is(self, kind: Kind) -> bool {
        match self {
            Self::Flag => matches!(kind, Kind::TRUE | Kind::FALSE),
            Self::Number(wanted) => kind == wanted,
            Self::Bytes => kind == Kind::BYTES,
            Self::Struct(_) => kind == Kind::STRUCT,
            Self::List(_) | Self::Schema => kind == Kind::LIST,
        }
    }
}

/// What is left of the footer.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn pass(&mut self, bytes: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn number(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// The next field of a structure, or none behind its last.
    fn field(&mut self, last: i16) -> Option<Option<(i16, Kind)>> {
        let head = self.byte()?;
        if head & 0xf == 0 {
            return Some(None);
        }
        let id = match head >> 4 {
            0 => i16::try_from(self.number()?).ok()?,
            delta => last.checked_add(delta.into())?,
        };
        Some(Some((id, Kind(head & 0xf))))
    }

    /// How many items a list has, and of what type; an empty one may be of none.
    fn list(&mut self) -> Option<(u64, Kind)> {
        let head = self.byte()?;
        let length = if head >> 4 == 0xf { self.varint()? } else { u64::from(head >> 4) };
        (length <= self.0.len() as u64).then_some((length, Kind(head & 0xf)))
    }

    fn value(&mut self, shape: Shape, kind: Kind) -> Option<()> {
        if !shape.is(kind) {
            return None;
        }
        match shape {
            Shape::Flag | Shape::Number(_) | Shape::Bytes => self.skip(kind, MAX_SKIPPED),
            Shape::Struct(fields) => self.structure(fields).map(drop),
            Shape::List(item) => {
                let (length, kind) = self.list()?;
                (0..length).try_for_each(|_| self.value(*item, kind))
            }
            Shape::Schema => self.schema(),
        }
    }

    /// A structure; gives back how many parts it says that it has, where it is a type.
    fn structure(&mut self, fields: Fields) -> Option<u64> {
        let (mut last, mut parts) = (0, 0);
        while let Some((id, kind)) = self.field(last)? {
            let known = fields.iter().find(|(known, _)| *known == id).map(|(_, shape)| *shape);
            let ahead = Self(self.0).number();
            match known {
                Some(shape) => self.value(shape, kind)?,
                None => self.skip(kind, MAX_SKIPPED)?,
            }
            if id == PARTS && kind == Kind::I32 {
                parts = u64::try_from(ahead?).ok()?;
            }
            last = id;
        }
        Some(parts)
    }

    fn schema(&mut self) -> Option<()> {
        let (length, kind) = self.list()?;
        // How many parts are still to come of each type that is open.
        let mut open: Vec<u64> = Vec::new();
        for at in 0..length {
            let parts = if kind == Kind::STRUCT { self.structure(ELEMENT)? } else { return None };
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            if parts > length - at - 1 {
                return None;
            }
            if parts > 0 {
                open.push(parts);
            }
            while open.last() == Some(&0) {
                open.pop();
            }
            if open.len() > MAX_LEVELS {
                return None;
            }
        }
        Some(())
    }

    fn skip(&mut self, kind: Kind, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            // Booleans of a structure are in its head.
            Kind::TRUE | Kind::FALSE => Some(()),
            Kind::I8 => self.pass(1),
            Kind::I16 | Kind::I32 | Kind::I64 => self.varint().map(drop),
            Kind::DOUBLE => self.pass(8),
            Kind::BYTES => {
                let length = self.varint()?;
                self.pass(length)
            }
            Kind::LIST | Kind::SET => {
                let (length, kind) = self.list()?;
                (0..length).try_for_each(|_| self.item(kind, depth))
            }
            Kind::MAP => {
                let length = self.varint()?;
                if length == 0 {
                    return Some(());
                }
                let kinds = self.byte()?;
                (0..length).try_for_each(|_| {
                    self.item(Kind(kinds >> 4), depth)?;
                    self.item(Kind(kinds & 0xf), depth)
                })
            }
            Kind::STRUCT => {
                while let Some((_, kind)) = self.field(0)? {
                    self.skip(kind, depth)?;
                }
                Some(())
            }
            Kind::UUID => self.pass(16),
            _ => None,
        }
    }

    /// An item of a list or map. Booleans are bytes there, which the reader does not know; no footer has them.
    fn item(&mut self, kind: Kind, depth: usize) -> Option<()> {
        if matches!(kind, Kind::TRUE | Kind::FALSE) { None } else { self.skip(kind, depth) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint(mut value: u64, into: &mut Vec<u8>) {
        while value >= 0x80 {
            into.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        into.push(value as u8);
    }

    /// A file whose types have that many parts each, in order; `promised` types are named.
    fn file(parts: &[u64], promised: u64) -> Vec<u8> {
        // version: 1, schema: a list of structures
        let mut footer = vec![0x15, 2, 0x19, 0xfc];
        varint(promised, &mut footer);
        for parts in parts {
            // name "c", then the number of parts
            footer.extend([0x48, 1, b'c', 0x15]);
            varint(parts << 1, &mut footer);
            footer.push(0);
        }
        footer.push(0);
        let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
        [b"PAR1".as_slice(), &footer, &length, b"PAR1"].concat()
    }

    fn nested(levels: usize) -> Vec<u8> {
        let parts: Vec<u64> = std::iter::repeat_n(1, levels).chain([0]).collect();
        file(&parts, parts.len() as u64)
    }

    #[test]
    fn types_are_nested_only_so_deep() {
        assert!(is_sound(&file(&[3, 0, 2, 0, 0, 0], 6)));
        assert!(is_sound(&nested(MAX_LEVELS)));
        assert!(!is_sound(&nested(MAX_LEVELS + 1)));
        assert!(!is_sound(&nested(1_000_000)));
        // Many parts beside each other are not deep.
        let wide: Vec<u64> = std::iter::once(2_000).chain(std::iter::repeat_n([1, 0], 2_000).flatten()).collect();
        assert!(is_sound(&file(&wide, wide.len() as u64)));
    }

    #[test]
    fn what_is_promised_has_to_be_there() {
        assert!(!is_sound(&file(&[1_000_000_000, 0], 2)));
        assert!(!is_sound(&file(&[1, 0], 1_000_000_000)));
        assert!(!is_sound(b"PAR1"));
        assert!(!is_sound(b"PAR1\xff\xff\xff\xffPAR1"));
        assert!(!is_sound(b"PAR1\0\0\0\0PAR2"));
        let good = file(&[1, 0], 2);
        assert!(!is_sound(&good[..good.len() - 1]));
    }

    /// A file whose footer is these bytes.
    fn with_footer(footer: &[u8]) -> Vec<u8> {
        let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
        [b"PAR1".as_slice(), footer, &length, b"PAR1"].concat()
    }

    #[test]
    fn fields_hold_what_the_reader_takes_for_granted() {
        // num_rows: 1 as an i64, as a list, and by a number of its own.
        assert!(is_sound(&with_footer(&[0x36, 2, 0])));
        assert!(!is_sound(&with_footer(&[0x39, 0x03, 0])));
        assert!(is_sound(&with_footer(&[0x06, 6, 2, 0])));
        // A number in place of the row groups, and of the types.
        assert!(!is_sound(&with_footer(&[0x45, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0])));
        assert!(!is_sound(&with_footer(&[0x2a, 0x1c, 0, 0])));
        // Numbers of fields that are no numbers of fields, or grow beyond them.
        assert!(!is_sound(&with_footer(&[0x06, 0xfe, 0xff, 0xff, 0xff, 0x0f, 2, 0])));
        assert!(!is_sound(&with_footer(&[0x06, 0xfe, 0xff, 0x03, 2, 0x16, 2, 0])));
        // A type whose number of parts is an i64.
        assert!(!is_sound(&with_footer(&[0x29, 0x1c, 0x56, 2, 0, 0])));
        assert!(is_sound(&with_footer(&[0x29, 0x1c, 0x55, 0, 0, 0])));
    }

    #[test]
    fn what_writers_write_is_sound() {
        use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
        use datafusion::parquet::arrow::ArrowWriter;
        let columns: [(&str, ArrayRef); 2] = [
            ("n", std::sync::Arc::new(Int64Array::from(vec![Some(1), None]))),
            ("t", std::sync::Arc::new(StringArray::from(vec!["a", "b"]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        assert!(is_sound(&bytes));
    }
}
