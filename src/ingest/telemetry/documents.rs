//! Cutting a stream into its JSON documents: one pretty-printed document, several one after the other, or one a line.
//!
//! Memory is bounded by a document. A document that is cut off (a line written while the disk was full, a process
//! killed) does not take the following ones with it: see [`Documents::next`].

use std::io::BufRead;

use super::MAX_VALUE_BYTES;
use crate::error::Result;

/// Longest document, in bytes. One that is longer is not read as a whole.
pub const MAX_DOCUMENT_BYTES: usize = 512 * 1_024 * 1_024;

/// A piece of the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Document<'b> {
    /// Text with balanced brackets, from the first to the last of them.
    Value(&'b [u8]),
    /// Text that is no document.
    Broken(&'b [u8]),
}

/// Reads documents one by one.
pub struct Documents<'r> {
    reader: &'r mut dyn BufRead,
    max_bytes: usize,
    buffer: Vec<u8>,
    /// Where the piece being read begins.
    start: usize,
    /// Next byte to look at.
    at: usize,
    scan: Scan,
    end_of_input: bool,
    /// Up to here a document must be a line, because reading on from `start` found no end.
    lines_until: usize,
}

impl std::fmt::Debug for Documents<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Documents").field("scan", &self.scan).finish_non_exhaustive()
    }
}

/// Where in a document the reader is.
#[derive(Debug, Default, Clone, Copy)]
struct Scan {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// A line ended and nothing but white space followed so far; holds where the line ended.
    line_ended: Option<usize>,
    /// Last byte that is not white space.
    last: u8,
}

enum Step {
    Piece { value: bool, end: usize },
    NeedMore,
}

impl<'r> Documents<'r> {
    /// The documents of a reader.
    pub fn new(reader: &'r mut dyn BufRead) -> Self {
        Self::with_limit(reader, MAX_DOCUMENT_BYTES)
    }

    /// The same with another limit than [`MAX_DOCUMENT_BYTES`].
    pub fn with_limit(reader: &'r mut dyn BufRead, max_bytes: usize) -> Self {
        Self {
            reader,
            max_bytes,
            buffer: Vec::new(),
            start: 0,
            at: 0,
            scan: Scan::default(),
            end_of_input: false,
            lines_until: 0,
        }
    }

    /// The next document, or none at the end.
    ///
    /// A document ends early, as broken, where valid JSON cannot go on: at a line end inside a string, and where a line
    /// begins with a bracket that nothing before it introduces. Where the end never comes, what was read is gone through
    /// again line by line, taking the lines that are documents and leaving the rest as broken.
    ///
    /// # Errors
    /// When the reader fails.
    #[expect(clippy::should_implement_trait, reason = "the documents borrow the buffer, an Iterator's items cannot")]
    pub fn next(&mut self) -> Result<Option<Document<'_>>> {
        loop {
            let step = if self.start < self.lines_until { self.line() } else { self.step() };
            match step {
                Step::Piece { value, end } => {
                    let piece = self.start..end;
                    self.start = end;
                    self.at = end;
                    self.scan = Scan::default();
                    let text = self.buffer.get(piece).unwrap_or_default();
                    return Ok(Some(if value { Document::Value(text) } else { Document::Broken(text) }));
                }
                Step::NeedMore if self.end_of_input => {
                    if self.start >= self.buffer.len() {
                        return Ok(None);
                    }
                    self.by_lines();
                }
                Step::NeedMore if self.buffer.len() - self.start > self.max_bytes => self.by_lines(),
                Step::NeedMore => self.fill()?,
            }
        }
    }

    fn by_lines(&mut self) {
        self.lines_until = self.buffer.len();
        self.at = self.start;
        self.scan = Scan::default();
    }

    fn fill(&mut self) -> Result<()> {
        self.buffer.drain(..self.start);
        self.at -= self.start;
        self.lines_until = self.lines_until.saturating_sub(self.start);
        if let Some(ended) = &mut self.scan.line_ended {
            *ended = ended.saturating_sub(self.start);
        }
        self.start = 0;
        let chunk = self.reader.fill_buf()?;
        self.end_of_input = chunk.is_empty();
        self.buffer.extend_from_slice(chunk);
        let read = chunk.len();
        self.reader.consume(read);
        Ok(())
    }

    fn step(&mut self) -> Step {
        if self.scan.depth == 0 && !self.skip_to_document() {
            return self.no_document();
        }
        while let Some(&byte) = self.buffer.get(self.at) {
            let broken = self.scan.take(byte, self.at);
            if let Some(end) = broken {
                return Step::Piece { value: false, end };
            }
            self.at += 1;
            if self.scan.depth == 0 {
                return Step::Piece { value: true, end: self.at };
            }
        }
        Step::NeedMore
    }

    /// Go to the bracket that opens the next document; false when something else comes first.
    fn skip_to_document(&mut self) -> bool {
        while let Some(&byte) = self.buffer.get(self.start) {
            match byte {
                b'{' | b'[' => {
                    self.at = self.at.max(self.start);
                    return true;
                }
                // White space, the record separator of RFC 7464, the byte order mark.
                byte if byte.is_ascii_whitespace() || matches!(byte, 0x1E | 0xEF | 0xBB | 0xBF) => self.start += 1,
                _ => break,
            }
        }
        self.at = self.at.max(self.start);
        false
    }

    /// The text up to the end of its line, which begins with no bracket.
    fn no_document(&mut self) -> Step {
        let rest = self.buffer.get(self.at..).unwrap_or_default();
        match rest.iter().position(|byte| *byte == b'\n') {
            Some(length) => Step::Piece { value: false, end: self.at + length },
            None if self.buffer.len() - self.start > MAX_VALUE_BYTES || (self.end_of_input && !rest.is_empty()) => {
                Step::Piece { value: false, end: self.buffer.len() }
            }
            None => {
                self.at = self.buffer.len();
                if self.end_of_input && self.start < self.buffer.len() {
                    return Step::Piece { value: false, end: self.buffer.len() };
                }
                Step::NeedMore
            }
        }
    }

    /// The next line that is a document, or what lies before it.
    fn line(&mut self) -> Step {
        let from = self.at.max(self.start);
        let rest = self.buffer.get(from..self.lines_until).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let whole = is_document(rest.get(..length).unwrap_or_default());
        if whole && from == self.start {
            return Step::Piece { value: true, end: from + length };
        }
        if whole || from + length >= self.lines_until {
            let end = if whole { from } else { self.lines_until };
            return Step::Piece { value: false, end };
        }
        self.at = from + length;
        self.line_again()
    }

    fn line_again(&mut self) -> Step {
        loop {
            let rest = self.buffer.get(self.at..self.lines_until).unwrap_or_default();
            let length = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
            if is_document(rest.get(..length).unwrap_or_default()) {
                return Step::Piece { value: false, end: self.at };
            }
            self.at += length;
            if self.at >= self.lines_until {
                return Step::Piece { value: false, end: self.lines_until };
            }
        }
    }
}

/// Whether a line, from its first column, is one balanced document.
fn is_document(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    if !matches!(line.first(), Some(b'{' | b'[')) {
        return false;
    }
    let mut scan = Scan::default();
    for (at, byte) in line.iter().enumerate() {
        if scan.take(*byte, at).is_some() {
            return false;
        }
        if scan.depth == 0 {
            return at + 1 == line.len();
        }
    }
    false
}

impl Scan {
    /// Take one byte. Gives the end of the document if it turns out to be broken before this byte.
    fn take(&mut self, byte: u8, at: usize) -> Option<usize> {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => (self.in_string, self.last) = (false, byte),
                b'\n' => return Some(at),
                _ => {}
            }
            return None;
        }
        match byte {
            b'\n' => {
                self.line_ended = Some(self.line_ended.unwrap_or(at));
                return None;
            }
            byte if byte.is_ascii_whitespace() => return None,
            b'{' | b'[' => {
                let introduced = self.depth == 0 || matches!(self.last, b',' | b'[' | b':');
                if let Some(ended) = self.line_ended.filter(|_| !introduced) {
                    return Some(ended);
                }
                self.depth += 1;
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b'"' => self.in_string = true,
            _ => {}
        }
        self.line_ended = None;
        self.last = byte;
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    fn pieces_of(text: &[u8], capacity: usize, limit: usize) -> Vec<(bool, String)> {
        let mut reader = BufReader::with_capacity(capacity, text);
        let mut documents = Documents::with_limit(&mut reader, limit);
        let mut pieces = Vec::new();
        while let Some(document) = documents.next().unwrap() {
            let (value, text) = match document {
                Document::Value(text) => (true, text),
                Document::Broken(text) => (false, text),
            };
            pieces.push((value, String::from_utf8_lossy(text).trim().to_owned()));
        }
        pieces
    }

    fn check(text: &str, expected: &[(bool, &str)]) {
        for capacity in [1, 3, 7, 4_096] {
            let found = pieces_of(text.as_bytes(), capacity, MAX_DOCUMENT_BYTES);
            let found: Vec<_> = found.iter().map(|(value, text)| (*value, text.as_str())).collect();
            assert_eq!(found, expected, "buffer of {capacity} for {text:?}");
        }
    }

    #[test]
    fn lines_concatenations_and_pretty_printing_are_documents() {
        check("", &[]);
        check(" \n\t", &[]);
        check("{}\n{}\r\n", &[(true, "{}"), (true, "{}")]);
        check("\u{feff}{\"a\":\"}\\\"\"}[1]", &[(true, "{\"a\":\"}\\\"\"}"), (true, "[1]")]);
        check("{\n  \"a\": [\n    {\n    }\n  ]\n}\n", &[(true, "{\n  \"a\": [\n    {\n    }\n  ]\n}")]);
        check("[\n{\"a\":1},\n{\"a\":2}\n]", &[(true, "[\n{\"a\":1},\n{\"a\":2}\n]")]);
    }

    #[test]
    fn a_cut_off_line_does_not_take_the_next_with_it() {
        check("{\"a\":[{\"b\":1\n{\"c\":1}\n", &[(false, "{\"a\":[{\"b\":1"), (true, "{\"c\":1}")]);
        check("{\"a\":\"b\n{\"c\":1}\n", &[(false, "{\"a\":\"b"), (true, "{\"c\":1}")]);
        check("{\"a\":[\n{\"c\":1}\n{\"d\":1}", &[(false, "{\"a\":[\n{\"c\":1}"), (true, "{\"d\":1}")]);
        check("{\"a\":[\n{\"c\":1},\n", &[(false, "{\"a\":[\n{\"c\":1},")]);
        check("{\"a\":[\n{\"c\":1}\n", &[(false, "{\"a\":["), (true, "{\"c\":1}")]);
        check("{\"a\":1", &[(false, "{\"a\":1")]);
    }

    #[test]
    fn other_text_is_broken_line_by_line() {
        check("nothing\n{}\n]]\n{}", &[(false, "nothing"), (true, "{}"), (false, "]]"), (true, "{}")]);
        check("no end", &[(false, "no end")]);
    }

    #[test]
    fn a_document_beyond_the_limit_is_broken_and_reading_goes_on() {
        let text = format!("[{}]\n{{}}\n", "1,".repeat(100));
        let found = pieces_of(text.as_bytes(), 16, 64);
        assert_eq!(found.last(), Some(&(true, "{}".to_owned())));
        assert!(found.iter().filter(|(value, _)| !value).count() >= 1);
        assert_eq!(found.iter().filter(|(value, _)| *value).count(), 1);
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_and_reading_ends(text in proptest::collection::vec(prop_oneof![
            Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b'"'), Just(b'\\'), Just(b'\n'), Just(b','), any::<u8>()
        ], 0..200), capacity in 1_usize..40) {
            let mut reader = BufReader::with_capacity(capacity, text.as_slice());
            let mut documents = Documents::with_limit(&mut reader, 50);
            let mut total = 0;
            while let Some(piece) = documents.next().unwrap() {
                let (Document::Value(piece) | Document::Broken(piece)) = piece;
                prop_assert!(!piece.is_empty());
                total += piece.iter().filter(|byte| !byte.is_ascii_whitespace() && !matches!(byte, 0x1E | 0xEF | 0xBB | 0xBF)).count();
            }
            let all = text.iter().filter(|byte| !byte.is_ascii_whitespace() && !matches!(byte, 0x1E | 0xEF | 0xBB | 0xBF)).count();
            prop_assert_eq!(total, all);
        }
    }
}
