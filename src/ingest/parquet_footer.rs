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
    footer(file).and_then(|footer| Reader(footer).file()).is_some()
}

fn footer(file: &[u8]) -> Option<&[u8]> {
    let (file, magic) = file.split_last_chunk::<4>()?;
    let (file, length) = file.split_last_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    (magic == b"PAR1").then(|| file.get(file.len().checked_sub(length)?..))?
}

/// What is left of the footer.
struct Reader<'a>(&'a [u8]);

/// The type of a value, as the protocol numbers it.
#[derive(Clone, Copy, PartialEq)]
struct Kind(u8);

impl Kind {
    const I32: Self = Self(5);
    const LIST: Self = Self(9);
    const STRUCT: Self = Self(12);
}

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
    fn field(&mut self, last: i64) -> Option<Option<(i64, Kind)>> {
        let head = self.byte()?;
        if head == 0 {
            return Some(None);
        }
        let id = if head >> 4 == 0 { self.number()? } else { last + i64::from(head >> 4) };
        Some(Some((id, Kind(head & 0xf))))
    }

    /// How many items a list has, and of what type.
    fn list(&mut self) -> Option<(u64, Kind)> {
        let head = self.byte()?;
        let length = if head >> 4 == 0xf { self.varint()? } else { u64::from(head >> 4) };
        (length <= self.0.len() as u64).then_some((length, Kind(head & 0xf)))
    }

    fn file(&mut self) -> Option<()> {
        let mut last = 0;
        while let Some((id, kind)) = self.field(last)? {
            if (id, kind) == (2, Kind::LIST) {
                self.schema()?;
            } else {
                self.skip(kind, MAX_SKIPPED)?;
            }
            last = id;
        }
        Some(())
    }

    /// The types, each followed by its parts.
    fn schema(&mut self) -> Option<()> {
        let (length, kind) = self.list()?;
        // How many parts are still to come of each type that is open.
        let mut open: Vec<u64> = Vec::new();
        for at in 0..length {
            let parts = if kind == Kind::STRUCT { self.element()? } else { return None };
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

    /// The number of parts of one type.
    fn element(&mut self) -> Option<u64> {
        let (mut last, mut parts) = (0, 0);
        while let Some((id, kind)) = self.field(last)? {
            if (id, kind) == (5, Kind::I32) {
                parts = u64::try_from(self.number()?).ok()?;
            } else {
                self.skip(kind, MAX_SKIPPED)?;
            }
            last = id;
        }
        Some(parts)
    }

    fn skip(&mut self, kind: Kind, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind.0 {
            // Booleans of a structure are in its head.
            1 | 2 => Some(()),
            3 => self.pass(1),
            4..=6 => self.varint().map(drop),
            7 => self.pass(8),
            8 => {
                let length = self.varint()?;
                self.pass(length)
            }
            9 | 10 => {
                let (length, kind) = self.list()?;
                (0..length).try_for_each(|_| self.item(kind, depth))
            }
            11 => {
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
            12 => {
                let mut last = 0;
                while let Some((id, kind)) = self.field(last)? {
                    self.skip(kind, depth)?;
                    last = id;
                }
                Some(())
            }
            13 => self.pass(16),
            _ => None,
        }
    }

    /// An item of a list or map, where booleans are bytes.
    fn item(&mut self, kind: Kind, depth: usize) -> Option<()> {
        if matches!(kind.0, 1 | 2) { self.pass(1) } else { self.skip(kind, depth) }
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
}
