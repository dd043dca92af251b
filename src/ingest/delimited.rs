//! Delimited text: separator, byte-order mark and header found out, then row by row with the broken ones told apart.

use std::cell::Cell;
use std::io::{BufRead, Chain, Cursor, Read};
use std::rc::Rc;

use csv::{ByteRecord, ReaderBuilder, StringRecord, Trim};

use super::MAX_COLUMNS;
use crate::error::{Result, UserError};

/// Longest header line, in bytes.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// Longest row, in bytes.
const MAX_ROW_BYTES: u64 = 64 << 20;

/// A row has more or fewer fields than the header.
pub const UNEVEN: &str = "the row has another number of fields than the header";
/// A row is not UTF-8.
pub const NOT_UTF8: &str = "the row is not UTF-8";

/// Rows of one file.
pub struct Rows<'r> {
    reader: csv::Reader<Bounded<'r>>,
    /// Bytes read since the last row ended.
    since: Rc<Cell<u64>>,
    /// Names of the columns, without the blanks around them.
    pub header: Vec<String>,
    record: ByteRecord,
}

impl std::fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("header", &self.header).finish_non_exhaustive()
    }
}

/// One row, or why it cannot be read and what it looks like.
pub type Row = std::result::Result<StringRecord, (&'static str, String)>;

impl<'r> Rows<'r> {
    /// Read the header of a file.
    ///
    /// # Errors
    /// When there is none, or the file is not text in UTF-8.
    pub fn open(reader: &'r mut dyn BufRead) -> Result<Self> {
        let mut first = Vec::new();
        (&mut *reader).take(MAX_HEADER_BYTES).read_until(b'\n', &mut first)?;
        if first.starts_with(&[0xff, 0xfe]) || first.starts_with(&[0xfe, 0xff]) {
            let hint = "Convert it to UTF-8, for example: iconv -f UTF-16 -t UTF-8 FILE";
            return Err(UserError::invalid("the file is UTF-16, not UTF-8").hint(hint).into());
        }
        if first.len() as u64 == MAX_HEADER_BYTES && !first.ends_with(b"\n") {
            return Err(UserError::invalid("the header line is longer than 1 MiB").into());
        }
        if first.starts_with(b"\xef\xbb\xbf") {
            first.drain(..3);
        }
        let delimiter = delimiter_of(&first);
        let since = Rc::new(Cell::new(0));
        let bounded = Bounded { inner: Cursor::new(first).chain(reader), since: Rc::clone(&since) };
        let mut reader = ReaderBuilder::new().delimiter(delimiter).flexible(true).trim(Trim::All).from_reader(bounded);
        let header = match reader.headers() {
            // A quote behind a blank is no quote to the reader, so padded names still have theirs.
            Ok(header) => {
                header.iter().map(|name| name.trim_matches(['\u{feff}', ' ', '"']).to_owned()).collect::<Vec<_>>()
            }
            Err(error) => return Err(unreadable(error)),
        };
        if header.len() > MAX_COLUMNS {
            let message = format!("the header has {} columns, which is more than {MAX_COLUMNS}", header.len());
            return Err(UserError::invalid(message).into());
        }
        if header.iter().all(String::is_empty) {
            return Err(UserError::invalid("the file is empty: it has no header line").into());
        }
        Ok(Self { reader, since, header, record: ByteRecord::new() })
    }

    /// The next row, or nothing at the end.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next_row(&mut self) -> Result<Option<Row>> {
        self.since.set(0);
        if !self.reader.read_byte_record(&mut self.record).map_err(unreadable)? {
            return Ok(None);
        }
        if self.record.len() != self.header.len() {
            return Ok(Some(Err((UNEVEN, lossy(&self.record)))));
        }
        let record = std::mem::take(&mut self.record);
        Ok(Some(StringRecord::from_byte_record(record).map_err(|error| (NOT_UTF8, lossy(&error.into_byte_record())))))
    }
}

/// Ends the reading of a row that has no end: one quote too many makes all that follows a part of it.
struct Bounded<'r> {
    inner: Chain<Cursor<Vec<u8>>, &'r mut dyn BufRead>,
    since: Rc<Cell<u64>>,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.since.set(self.since.get() + read as u64);
        if self.since.get() > MAX_ROW_BYTES {
            let why = "a row is longer than 64 MiB; a quote may not be closed";
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, why));
        }
        Ok(read)
    }
}

fn lossy(record: &ByteRecord) -> String {
    sample(record.iter().map(String::from_utf8_lossy))
}

/// The beginning of a row as a sample for people.
pub fn sample<S: AsRef<str>>(fields: impl Iterator<Item = S>) -> String {
    let mut text = String::new();
    for (at, field) in fields.enumerate() {
        if text.len() > 4 * super::SAMPLE_CHARS {
            break;
        }
        if at > 0 {
            text.push(',');
        }
        text.extend(field.as_ref().chars().take(super::SAMPLE_CHARS));
    }
    text
}

fn unreadable(error: csv::Error) -> crate::error::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        csv::ErrorKind::Utf8 { .. } => UserError::invalid("the header line is not UTF-8").into(),
        _ => UserError::invalid("the file cannot be read as delimited text").into(),
    }
}

/// The separator that the header has most of, outside of quotes.
fn delimiter_of(line: &[u8]) -> u8 {
    let count = |delimiter: u8| {
        let mut quoted = false;
        line.iter()
            .filter(|&&byte| {
                quoted ^= byte == b'"';
                byte == delimiter && !quoted
            })
            .count()
    };
    [b',', b';', b'\t', b'|'].into_iter().rev().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> (Vec<String>, Vec<std::result::Result<Vec<String>, &'static str>>) {
        let mut reader = text;
        let mut rows = Rows::open(&mut reader).unwrap();
        let mut read = Vec::new();
        while let Some(row) = rows.next_row().unwrap() {
            read.push(row.map(|row| row.iter().map(str::to_owned).collect()).map_err(|(reason, _)| reason));
        }
        (rows.header, read)
    }

    #[test]
    fn separators_marks_and_padding_are_found_out() {
        let expected = (vec!["a".to_owned(), "b c".to_owned()], vec![Ok(vec!["1".to_owned(), "x, y".to_owned()])]);
        for text in
            ["a,b c\n1,\"x, y\"\n", "\u{feff} a ; \"b c\" \r\n1;\"x, y\"\r\n", "a\tb c\n 1 \tx, y", "\"a\"|b c\n1|x, y"]
        {
            assert_eq!(read(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn broken_rows_cost_themselves() {
        let (_, rows) = read(b"a,b\n1,2\n1\n1,2,3\n\xff,2\n3,4\n");
        let good = |a: &str, b: &str| Ok(vec![a.to_owned(), b.to_owned()]);
        assert_eq!(rows, [good("1", "2"), Err(UNEVEN), Err(UNEVEN), Err(NOT_UTF8), good("3", "4")]);
    }

    #[test]
    fn a_row_without_end_is_refused_before_it_fills_the_memory() {
        let mut text = Cursor::new(b"a,b\n1,2\n3,\"".to_vec()).chain(std::io::repeat(b'x'));
        let mut endless = std::io::BufReader::new(&mut text);
        let mut rows = Rows::open(&mut endless).unwrap();
        assert!(rows.next_row().unwrap().is_some());
        assert!(rows.next_row().unwrap_err().to_string().contains("longer than 64 MiB"));
        let mut endless = std::io::BufReader::new(std::io::repeat(b'x'));
        assert!(Rows::open(&mut endless).unwrap_err().to_string().contains("longer than 1 MiB"));
    }

    #[test]
    fn columns_have_a_bound() {
        let header = |columns: usize| vec!["c"; columns].join(",") + "\n";
        assert_eq!(read(header(MAX_COLUMNS).as_bytes()).0.len(), MAX_COLUMNS);
        let more = header(MAX_COLUMNS + 1);
        let error = Rows::open(&mut more.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("10001 columns, which is more than 10000"), "{error}");
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for text in [&b""[..], b"\n\n", b"\xff\xfea\0", b"a,\xff\n"] {
            assert!(Rows::open(&mut &*text).is_err(), "{text:?}");
        }
    }
}
