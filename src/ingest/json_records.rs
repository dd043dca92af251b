//! Records out of a stream of JSON, one at a time and each as it was delivered.
//!
//! Accepted are single values, values behind each other (on lines or not), arrays of values, and an envelope: an object
//! of which a member of a known name is the array. The text is cut by its brackets alone, so that a record that is not JSON costs
//! itself and not its neighbours; where it is so broken that its end cannot be told, the next line that begins with `{`
//! begins a record again. Memory holds one record, never the file.

use std::borrow::Cow;
use std::io::{self, BufRead};

use serde_json::Value;

use super::{Input, Output};
use crate::error::Result;

/// Longest record that is decoded, in bytes; a longer one is rejected.
pub const MAX_RECORD_BYTES: usize = 64 << 20;

/// Kinds of brackets that are remembered; deeper ones are only counted. The JSON decoder refuses far less depth.
const REMEMBERED_DEPTH: usize = 1024;

/// How many times its own length a stream may be read again in search of records behind broken ones.
const RESCAN_FACTOR: usize = 8;

/// A record does not end where the file does.
pub const ENDS_EARLY: &str = "the file ends inside a record or array";
/// A record has no end that could be told.
pub const NOT_CLOSED: &str = "a bracket or quote is not closed";
/// A record is over [`MAX_RECORD_BYTES`].
pub const TOO_LONG: &str = "the record is longer than 64 MiB";
/// A record is not JSON.
pub const NOT_JSON: &str = "not valid JSON";

/// What a file says to a decoder, one record at a time.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The text of one value, which may or may not be valid JSON.
    Record(&'a [u8]),
    /// Text that is not a whole value, and why.
    Broken(&'static str, &'a [u8]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    List,
    Envelope { in_list: bool },
    Tail { in_list: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Complete,
    Envelope,
    Broken(&'static str),
}

/// Cuts a stream into [`Piece`]s.
pub struct Records<'r> {
    reader: &'r mut dyn BufRead,
    envelope: &'static [&'static str],
    chunk: Vec<u8>,
    at: usize,
    consumed: usize,
    rescanned: usize,
    place: Place,
    text: Vec<u8>,
    stack: Vec<u8>,
}

impl std::fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("place", &self.place).field("consumed", &self.consumed).finish_non_exhaustive()
    }
}

impl<'r> Records<'r> {
    /// Cut this stream; `envelope` lists the members whose array holds the records, where objects have one.
    pub fn new(reader: &'r mut dyn BufRead, envelope: &'static [&'static str]) -> Self {
        Self {
            reader,
            envelope,
            chunk: Vec::new(),
            at: 0,
            consumed: 0,
            rescanned: 0,
            place: Place::Top,
            text: Vec::new(),
            stack: Vec::new(),
        }
    }

    /// The next piece, or nothing at the end.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub fn next_piece(&mut self) -> io::Result<Option<Piece<'_>>> {
        loop {
            if let Place::Tail { in_list } = self.place {
                match self.scan_value(true)? {
                    End::Complete => self.place = outside(in_list),
                    End::Envelope => self.place = Place::Envelope { in_list },
                    End::Broken(reason) => return Ok(Some(self.broken(reason))),
                }
                continue;
            }
            let Some(byte) = self.skip_separators()? else {
                let inside = std::mem::replace(&mut self.place, Place::Top) != Place::Top;
                return Ok(inside.then_some(Piece::Broken(ENDS_EARLY, b"")));
            };
            match (byte, self.place) {
                (b'[', Place::Top) => self.enter(Place::List),
                (b']', Place::List) => self.enter(Place::Top),
                (b']', Place::Envelope { in_list }) => self.enter(Place::Tail { in_list }),
                (b'{' | b'[', place) => match self.scan_value(false)? {
                    End::Complete => return Ok(Some(Piece::Record(&self.text))),
                    End::Envelope => self.place = Place::Envelope { in_list: place == Place::List },
                    End::Broken(reason) => return Ok(Some(self.broken(reason))),
                },
                _ => {
                    self.scan_scalar()?;
                    return Ok(Some(Piece::Record(&self.text)));
                }
            }
        }
    }

    fn enter(&mut self, place: Place) {
        self.at += 1;
        self.place = place;
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.at >= self.chunk.len() {
            let filled = self.reader.fill_buf()?;
            let length = filled.len();
            self.chunk.clear();
            self.chunk.extend_from_slice(filled);
            self.reader.consume(length);
            self.at = 0;
            self.consumed += length;
        }
        Ok(self.chunk.get(self.at).copied())
    }

    /// Skip what may stand between values: blanks, commas, a byte-order mark, the record separator of RFC 7464.
    fn skip_separators(&mut self) -> io::Result<Option<u8>> {
        while let Some(byte) = self.peek()? {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | 0x1e | 0xef | 0xbb | 0xbf) {
                return Ok(Some(byte));
            }
            self.at += 1;
        }
        Ok(None)
    }

    /// Take a value without brackets: to the end of the line, and in an array at most to the next comma or bracket.
    fn scan_scalar(&mut self) -> io::Result<()> {
        self.text.clear();
        let listed = self.place != Place::Top;
        let mut quoted = false;
        while let Some(byte) = self.peek()? {
            let ends = byte == b'\n' || (listed && !quoted && matches!(byte, b',' | b']' | b'{' | b'['));
            // The first byte always belongs to the value: it is what brought us here.
            if ends && !self.text.is_empty() {
                break;
            }
            quoted ^= byte == b'"';
            self.at += 1;
            if self.text.len() < MAX_RECORD_BYTES {
                self.text.push(byte);
            }
        }
        Ok(())
    }

    /// Take a value with brackets, or, as a `tail`, the rest of an object whose opening bracket is behind us.
    fn scan_value(&mut self, tail: bool) -> io::Result<End> {
        let mut scan = Scan::new(self.place, self.envelope);
        self.text.clear();
        self.stack.clear();
        if tail {
            self.stack.push(b'{');
            scan.previous = b']';
        }
        while let Some(byte) = self.peek()? {
            self.at += 1;
            match scan.step(byte, &mut self.text, &mut self.stack) {
                Step::On => {}
                Step::Done if scan.too_long => return Ok(End::Broken(TOO_LONG)),
                Step::Done => return Ok(End::Complete),
                Step::Envelope => return Ok(End::Envelope),
                Step::Broken => return Ok(End::Broken(NOT_CLOSED)),
                Step::BrokenBefore => {
                    self.at -= 1;
                    return Ok(End::Broken(NOT_CLOSED));
                }
            }
        }
        Ok(End::Broken(ENDS_EARLY))
    }

    /// Give up on what was taken, except for what follows in it on a line that begins like a record.
    fn broken(&mut self, reason: &'static str) -> Piece<'_> {
        let outermost = matches!(self.place, Place::Top | Place::Tail { in_list: false });
        let again = self.text.windows(2).position(|pair| pair == b"\n{").map(|newline| newline + 1);
        if let Place::Tail { in_list } = self.place {
            self.place = outside(in_list);
        }
        let Some(again) = again.filter(|_| outermost && reason != TOO_LONG) else {
            return Piece::Broken(reason, &self.text);
        };
        let rest = self.text.len() - again;
        if self.rescanned + rest > self.consumed.saturating_mul(RESCAN_FACTOR) {
            return Piece::Broken(reason, &self.text);
        }
        self.rescanned += rest;
        let ahead = self.chunk.split_off(self.at);
        self.chunk = self.text.split_off(again);
        self.chunk.extend_from_slice(&ahead);
        self.at = 0;
        Piece::Broken(NOT_CLOSED, &self.text)
    }
}

fn outside(in_list: bool) -> Place {
    if in_list { Place::List } else { Place::Top }
}

enum Step {
    On,
    Done,
    Envelope,
    /// The value cannot go on; the byte is part of it.
    Broken,
    /// The value cannot go on; the byte belongs to what follows.
    BrokenBefore,
}

/// Where inside a value we are.
struct Scan {
    place: Place,
    envelope: &'static [&'static str],
    in_string: bool,
    escaped: bool,
    /// The last byte outside of strings that is not blank.
    previous: u8,
    /// The very last byte.
    last: u8,
    /// Brackets open beyond [`REMEMBERED_DEPTH`].
    deeper: usize,
    /// Where in the text the last string of the outermost object begins and ends.
    key: (usize, usize),
    too_long: bool,
}

impl Scan {
    fn new(place: Place, envelope: &'static [&'static str]) -> Self {
        let envelope = if matches!(place, Place::Envelope { .. }) { &[] } else { envelope };
        Self {
            place,
            envelope,
            in_string: false,
            escaped: false,
            previous: 0,
            last: 0,
            deeper: 0,
            key: (0, 0),
            too_long: false,
        }
    }

    fn step(&mut self, byte: u8, text: &mut Vec<u8>, stack: &mut Vec<u8>) -> Step {
        if self.in_string {
            self.push(byte, text);
            return self.step_string(byte, text, stack);
        }
        if byte == b'{' && self.begins_anew(stack) {
            return Step::BrokenBefore;
        }
        if byte == b']' && self.place != Place::Top && self.deeper == 0 && !stack.contains(&b'[') {
            return Step::BrokenBefore;
        }
        self.push(byte, text);
        match byte {
            b'"' => {
                self.in_string = true;
                self.key.0 = if stack.len() == 1 { text.len() } else { self.key.0 };
            }
            b'[' if self.opens_envelope(text, stack) => return Step::Envelope,
            b'{' | b'[' if self.deeper > 0 || stack.len() >= REMEMBERED_DEPTH => self.deeper += 1,
            b'{' | b'[' => stack.push(byte),
            b'}' | b']' if self.deeper > 0 => self.deeper -= 1,
            b'}' | b']' => {
                let opener = if byte == b'}' { b'{' } else { b'[' };
                let at = stack.iter().rposition(|open| *open == opener).unwrap_or_default();
                stack.truncate(at);
                if stack.is_empty() {
                    return Step::Done;
                }
            }
            _ => {}
        }
        self.last = byte;
        if !byte.is_ascii_whitespace() {
            self.previous = byte;
        }
        Step::On
    }

    fn step_string(&mut self, byte: u8, text: &[u8], stack: &[u8]) -> Step {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => {
                self.in_string = false;
                self.previous = b'"';
                self.key.1 = if stack.len() == 1 { text.len() - 1 } else { self.key.1 };
            }
            // A string never runs over the end of its line, so what follows is another record.
            b'\n' if self.place == Place::Top => return Step::Broken,
            _ => {}
        }
        self.last = byte;
        Step::On
    }

    /// Whether a `{` here can only be the beginning of another record.
    fn begins_anew(&self, stack: &[u8]) -> bool {
        let Some(innermost) = stack.last().filter(|_| self.deeper == 0) else { return false };
        let may_be_value = match self.previous {
            b':' | b'[' => true,
            b',' => *innermost == b'[',
            _ => false,
        };
        let next_record = match self.place {
            Place::Top | Place::Tail { in_list: false } => self.last == b'\n',
            _ => self.previous == b',',
        };
        !may_be_value && next_record
    }

    fn opens_envelope(&self, text: &[u8], stack: &[u8]) -> bool {
        let is_named = || {
            let key = text.get(self.key.0..self.key.1);
            self.envelope.iter().any(|name| key == Some(name.as_bytes()))
        };
        self.deeper == 0 && stack == b"{" && self.previous == b':' && is_named()
    }

    fn push(&mut self, byte: u8, text: &mut Vec<u8>) {
        if text.len() < MAX_RECORD_BYTES {
            text.push(byte);
        } else {
            self.too_long = true;
        }
    }
}

/// Why a record does not land.
pub type Reason = Cow<'static, str>;

/// Decode every record of a file: `each` gets the value and its text as delivered, and lands it or says why not.
///
/// # Errors
/// When the file cannot be read or the output cannot take more rows.
pub fn for_each(
    input: Input<'_>,
    envelope: &'static [&'static str],
    output: &mut Output<'_>,
    mut each: impl FnMut(&Value, &str, &mut Output<'_>) -> Result<(), Reason>,
) -> Result<()> {
    let mut records = Records::new(input.reader, envelope);
    while let Some(piece) = records.next_piece()? {
        match piece {
            Piece::Broken(reason, text) => output.reject(reason, &sample(text)),
            Piece::Record(text) => match parse(text) {
                Some((value, text)) => {
                    if let Err(reason) = each(&value, text, output) {
                        output.reject(&reason, text);
                    }
                }
                None => output.reject(NOT_JSON, &sample(text)),
            },
        }
        output.checkpoint()?;
    }
    Ok(())
}

fn parse(text: &[u8]) -> Option<(Value, &str)> {
    let text = std::str::from_utf8(text).ok()?;
    Some((serde_json::from_str(text).ok()?, text))
}

/// The beginning of a text that may not be UTF-8, for a sample.
fn sample(text: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(text.get(..text.len().min(4 * super::SAMPLE_CHARS)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Records as text, broken pieces in angle brackets; a reader of few bytes, so that records span its chunks.
    fn cut(text: &str) -> Vec<String> {
        let mut reader = io::BufReader::with_capacity(3, text.as_bytes());
        let mut records = Records::new(&mut reader, &["Records"]);
        let mut pieces = Vec::new();
        while let Some(piece) = records.next_piece().unwrap() {
            pieces.push(match piece {
                Piece::Record(text) => String::from_utf8_lossy(text).into_owned(),
                Piece::Broken(_, text) => format!("<{}>", String::from_utf8_lossy(text)),
            });
        }
        pieces
    }

    #[test]
    fn every_arrangement_gives_the_same_records() {
        let (first, second) = (r#"{"a":"}]\"{"}"#, r#"{"b":[{"c":1}]}"#);
        let arrangements = [
            format!("{first}\n{second}\n"),
            format!("\u{feff}{first}{second}"),
            format!("[{first},\n {second}]"),
            format!("{{\"Records\":[{first},{second}]}}"),
            format!("{{ \"version\" : {{\"Records\": [1]}}, \"Records\" : [ {first} , {second} ], \"next\": [1] }}\n"),
            format!("[{{\"Records\":[{first}]}},{second}]"),
            format!("{{\"Records\":[{first}]}}\n{{\"Records\":[{second}]}}"),
            format!("\u{1e}{first}\n\u{1e}{second}\n"),
        ];
        for text in &arrangements {
            assert_eq!(cut(text), [first, second], "{text}");
        }
        assert_eq!(
            cut("{\n \"a\": 1\n}\n{\n \"b\": [\n{\"c\":1}\n]}"),
            ["{\n \"a\": 1\n}", "{\n \"b\": [\n{\"c\":1}\n]}"]
        );
        assert_eq!(cut(" \n"), [""; 0]);
        assert_eq!(cut("[]"), [""; 0]);
        assert_eq!(cut(r#"{"Records":[]}"#), [""; 0]);
        assert_eq!(cut(r#"{"Records":{"a":1}}"#), [r#"{"Records":{"a":1}}"#]);
    }

    #[test]
    fn a_broken_line_costs_itself() {
        assert_eq!(
            cut("{\"a\":1}\n{\"b\":\n{\"c\":3}\n{\"d\":4}"),
            ["{\"a\":1}", "<{\"b\":\n>", "{\"c\":3}", "{\"d\":4}"]
        );
        assert_eq!(cut("{\"a\":1}\n{\"b\":\"x\n{\"c\":3}"), ["{\"a\":1}", "<{\"b\":\"x\n>", "{\"c\":3}"]);
        assert_eq!(cut("{\"a\":1}\n{\"b\":{\"x\":1\n{\"c\":3}"), ["{\"a\":1}", "<{\"b\":{\"x\":1\n>", "{\"c\":3}"]);
        assert_eq!(cut("{\"a\":1}\ngarbage\n{\"c\":3}"), ["{\"a\":1}", "garbage", "{\"c\":3}"]);
        assert_eq!(cut("{\"a\":1}\n{\"b\":[1,\n"), ["{\"a\":1}", "<{\"b\":[1,\n>"]);
    }

    #[test]
    fn a_broken_element_costs_itself() {
        assert_eq!(cut(r#"[{"a":1},{"b":},{"c":3}]"#), [r#"{"a":1}"#, r#"{"b":}"#, r#"{"c":3}"#]);
        assert_eq!(cut(r#"[{"a":1},{"b":2,{"c":3}]"#), [r#"{"a":1}"#, r#"<{"b":2,>"#, r#"{"c":3}"#]);
        assert_eq!(cut(r#"[{"a":1},nonsense,{"c":3}]"#), [r#"{"a":1}"#, "nonsense", r#"{"c":3}"#]);
        assert_eq!(cut(r#"{"Records":[{"a":1},{"b":[2}]}{"c":3}"#), [r#"{"a":1}"#, r#"{"b":[2}"#, r#"{"c":3}"#]);
        assert_eq!(cut(r#"{"Records":[{"a":1},{"b":2]}"#), [r#"{"a":1}"#, r#"<{"b":2>"#]);
    }

    #[test]
    fn a_cut_file_is_told() {
        assert_eq!(cut(r#"{"Records":[{"a":1},{"b":"#), [r#"{"a":1}"#, r#"<{"b":>"#, "<>"]);
        assert_eq!(cut(r#"{"Records":[{"a":1},"#), [r#"{"a":1}"#, "<>"]);
        assert_eq!(cut(r#"{"Records":[{"a":1}]"#), [r#"{"a":1}"#, "<>"]);
        assert_eq!(cut(r#"[{"a":1}"#), [r#"{"a":1}"#, "<>"]);
    }

    #[test]
    fn depth_costs_no_stack_and_repeated_damage_no_quadratic_time() {
        let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(cut(&format!("[{deep},{{\"a\":1}}]")), [deep.as_str(), r#"{"a":1}"#]);
        let started = std::time::Instant::now();
        let pieces = cut(&"{\"a\":\n".repeat(100_000));
        assert!(pieces.len() >= RESCAN_FACTOR, "{}", pieces.len());
        assert!(started.elapsed().as_secs() < 20);
    }

    proptest! {
        #[test]
        fn any_bytes_are_cut_to_the_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = bytes.as_slice();
            let mut records = Records::new(&mut reader, &["Records"]);
            let mut pieces = 0;
            while records.next_piece().unwrap().is_some() {
                pieces += 1;
                prop_assert!(pieces < 2000);
            }
        }

        #[test]
        fn any_punctuation_is_cut_to_the_end(text in "[\\[\\]{},:\"\\\\a\\n ]{0,120}") {
            prop_assert!(cut(&text).len() < 1000);
        }

        #[test]
        fn values_are_cut_as_they_were_written(numbers in proptest::collection::vec((any::<i32>(), "[ -~]{0,12}"), 0..12)) {
            let written: Vec<String> =
                numbers.iter().map(|(number, text)| serde_json::json!({"n": number, "t": [{"x": text}]}).to_string()).collect();
            prop_assert_eq!(&cut(&written.join("\n")), &written);
            prop_assert_eq!(&cut(&format!("{{\"Records\":[{}]}}", written.join(","))), &written);
        }
    }
}
