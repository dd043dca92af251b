//! Walking JSON text without building values, so that one malformed record does not take its neighbours with it.
//!
//! Only the structure (brackets, strings) is followed here; whether a piece is valid JSON shows when it is parsed.

/// The text does not have the structure of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

#[derive(Debug, Clone)]
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.get(self.at)?;
            if !byte.is_ascii_whitespace() {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn string_end(&self, start: usize) -> Result<usize, Malformed> {
        let mut at = start + 1;
        loop {
            match self.text.get(at) {
                Some(b'"') => return Ok(at + 1),
                Some(b'\\') => at += 2,
                Some(_) => at += 1,
                None => return Err(Malformed),
            }
        }
    }

    fn value(&mut self) -> Result<&'a [u8], Malformed> {
        let first = self.peek().ok_or(Malformed)?;
        let start = self.at;
        let end = match first {
            b'"' => self.string_end(start)?,
            b'{' | b'[' => self.nested_end(start)?,
            b',' | b'}' | b']' | b':' => return Err(Malformed),
            _ => self.scalar_end(start),
        };
        self.at = end;
        self.text.get(start..end).ok_or(Malformed)
    }

    fn nested_end(&self, start: usize) -> Result<usize, Malformed> {
        let mut depth = 0_usize;
        let mut at = start;
        loop {
            match self.text.get(at) {
                Some(b'"') => {
                    at = self.string_end(at)?;
                    continue;
                }
                Some(b'{' | b'[') => depth += 1,
                Some(b'}' | b']') if depth == 1 => return Ok(at + 1),
                Some(b'}' | b']') => depth -= 1,
                Some(_) => {}
                None => return Err(Malformed),
            }
            at += 1;
        }
    }

    fn scalar_end(&self, start: usize) -> usize {
        let rest = self.text.get(start..).unwrap_or_default();
        let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b'}' | b']');
        start + rest.iter().position(ends).unwrap_or(rest.len())
    }

    /// Go past the comma behind a member or element; false at the closing bracket.
    fn separator(&mut self, close: u8) -> Result<bool, Malformed> {
        let byte = self.peek().ok_or(Malformed)?;
        self.at += 1;
        match byte {
            b',' => Ok(true),
            byte if byte == close => Ok(false),
            _ => Err(Malformed),
        }
    }
}

/// The members of a JSON object: name (as written, escapes unresolved) and value.
#[derive(Debug, Clone)]
pub struct Members<'a> {
    cursor: Cursor<'a>,
    more: bool,
}

/// The elements of a JSON array.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    cursor: Cursor<'a>,
    more: bool,
}

fn open(text: &[u8], open: u8, close: u8) -> Option<(Cursor<'_>, bool)> {
    let mut cursor = Cursor { text, at: 0 };
    if cursor.peek() != Some(open) {
        return None;
    }
    cursor.at += 1;
    let more = cursor.peek() != Some(close);
    Some((cursor, more))
}

/// The members of the object that the text is; none if it is not an object.
#[must_use]
pub fn members(text: &[u8]) -> Option<Members<'_>> {
    let (cursor, more) = open(text, b'{', b'}')?;
    Some(Members { cursor, more })
}

/// The elements of the array that the text is; none if it is not an array.
#[must_use]
pub fn elements(text: &[u8]) -> Option<Elements<'_>> {
    let (cursor, more) = open(text, b'[', b']')?;
    Some(Elements { cursor, more })
}

/// Whether the text is `null`.
#[must_use]
pub fn is_null(text: &[u8]) -> bool {
    text == b"null"
}

impl<'a> Members<'a> {
    fn member(&mut self) -> Result<(&'a [u8], &'a [u8]), Malformed> {
        if self.cursor.peek() != Some(b'"') {
            return Err(Malformed);
        }
        let quoted = self.cursor.value()?;
        if self.cursor.peek() != Some(b':') {
            return Err(Malformed);
        }
        self.cursor.at += 1;
        let value = self.cursor.value()?;
        self.more = self.cursor.separator(b'}')?;
        let name = quoted.get(1..quoted.len() - 1).ok_or(Malformed)?;
        Ok((name, value))
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.more {
            return None;
        }
        let member = self.member();
        self.more &= member.is_ok();
        Some(member)
    }
}

impl<'a> Elements<'a> {
    fn element(&mut self) -> Result<&'a [u8], Malformed> {
        let value = self.cursor.value()?;
        self.more = self.cursor.separator(b']')?;
        Ok(value)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<&'a [u8], Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.more {
            return None;
        }
        let element = self.element();
        self.more &= element.is_ok();
        Some(element)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_elements_are_cut_out_as_written() {
        let text = br#" { "a" : [1, {"x":"]}\""} ,null], "b":"", "c" : -1.5e3 } "#;
        let found: Vec<_> = members(text).unwrap().map(Result::unwrap).collect();
        assert_eq!(found[0], (&b"a"[..], &br#"[1, {"x":"]}\""} ,null]"#[..]));
        assert_eq!(found[1], (&b"b"[..], &br#""""#[..]));
        assert_eq!(found[2], (&b"c"[..], &b"-1.5e3"[..]));
        let inner: Vec<_> = elements(found[0].1).unwrap().map(Result::unwrap).collect();
        assert_eq!(inner, [&b"1"[..], br#"{"x":"]}\""}"#, b"null"]);
        assert!(is_null(inner[2]));
        assert_eq!(elements(b"[]").unwrap().count(), 0);
        assert_eq!(members(b"{ }").unwrap().count(), 0);
        assert!(members(b"[]").is_none());
    }

    #[test]
    fn a_broken_structure_ends_the_walk_after_the_good_part() {
        let found: Vec<_> = elements(b"[1,2 3,4]").unwrap().collect();
        assert_eq!(found, [Ok(&b"1"[..]), Err(Malformed)]);
        let found: Vec<_> = members(br#"{"a":1,"b"}"#).unwrap().collect();
        assert_eq!(found.len(), 2);
        assert_eq!(found[1], Err(Malformed));
        assert_eq!(elements(b"[").unwrap().collect::<Vec<_>>(), [Err(Malformed)]);
        assert_eq!(elements(b"[\"").unwrap().collect::<Vec<_>>(), [Err(Malformed)]);
    }
}
