//! Rows on the wire: every Arrow type that the engine can produce, as text and binary, as PostgreSQL would send it.

mod binary;
mod cell;
mod json;
mod procedures;
mod text;
mod types;

use bytes::{BufMut, Bytes, BytesMut};
use chrono_tz::Tz;
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::common::{Result, exec_err};

pub use binary::{EPOCH_DAYS, EPOCH_MICROS};
use cell::{Column, Value};
pub use procedures::{PROCEDURES, Procedure};
pub(super) use text::json_string;
pub use types::{array_of, element_of, full_name, of_data_type, oid, pg_type, type_name};

/// How one value is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As PostgreSQL prints it.
    Text,
    /// As PostgreSQL keeps it.
    Binary,
}

/// What of the session's settings changes how values are printed.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// `TimeZone`.
    pub zone: Tz,
}

/// `DataRow` messages of consecutive rows.
#[derive(Debug)]
pub struct Chunk {
    /// The messages.
    pub bytes: Bytes,
    /// Where each of them ends.
    pub ends: Vec<u32>,
}

impl Chunk {
    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.ends.len()
    }

    /// With something in front of what the first message holds.
    #[must_use]
    pub fn led_by(self, lead: &[u8]) -> Self {
        let (Some(kind), Some(body)) = (self.bytes.first(), self.bytes.get(5..)) else { return self };
        let first = self.ends.first().map_or(0, |end| *end as usize).saturating_sub(1) + lead.len();
        let mut out = BytesMut::with_capacity(self.bytes.len() + lead.len());
        out.put_u8(*kind);
        out.put_i32(i32::try_from(first).unwrap_or(i32::MAX));
        out.put_slice(lead);
        out.put_slice(body);
        let more = u32::try_from(lead.len()).unwrap_or(0);
        Self { bytes: out.freeze(), ends: self.ends.into_iter().map(|end| end + more).collect() }
    }

    /// Take the first rows away.
    pub fn split(&mut self, rows: usize) -> Bytes {
        let rows = rows.min(self.ends.len());
        let Some(end) = rows.checked_sub(1).and_then(|last| self.ends.get(last)).copied() else { return Bytes::new() };
        let first = self.bytes.split_to(end as usize);
        self.ends.drain(..rows);
        self.ends.iter_mut().for_each(|at| *at -= end);
        first
    }
}

/// Encodes the rows of one result.
#[derive(Debug, Clone)]
pub struct RowEncoder {
    kinds: Vec<u32>,
    formats: Vec<Format>,
    style: Style,
    message: u8,
}

impl RowEncoder {
    /// An encoder of rows of a schema; one format a column.
    #[must_use]
    pub fn new(schema: &Schema, formats: Vec<Format>, style: Style) -> Self {
        let kinds = schema.fields().iter().map(|field| pg_type(field).oid).collect();
        Self { kinds, formats, style, message: b'D' }
    }

    /// The same rows as `CopyData` messages: in the binary format a row of COPY is what a `DataRow` holds.
    #[must_use]
    pub fn copied(mut self) -> Self {
        self.message = b'd';
        self
    }

    /// The rows of a batch as chunks of about `size` bytes, given to `send`.
    ///
    /// # Errors
    /// When a value is too long for a message or a type cannot be converted.
    pub fn chunks(&self, batch: &RecordBatch, size: usize) -> impl Iterator<Item = Result<Chunk>> {
        let columns: Result<Vec<Column>> = batch.columns().iter().map(Column::new).collect();
        let (rows, encoder) = (batch.num_rows(), self.clone());
        let (mut row, mut columns) = (0, Some(columns));
        let mut ready: Vec<Column> = Vec::new();
        std::iter::from_fn(move || {
            match columns.take() {
                Some(Ok(made)) => ready = made,
                Some(Err(error)) => {
                    row = rows;
                    return Some(Err(error));
                }
                None => {}
            }
            if row >= rows {
                return None;
            }
            let mut out = BytesMut::with_capacity(size + size / 8);
            let mut ends = Vec::new();
            while row < rows && out.len() < size {
                if let Err(error) = encoder.row(&ready, row, &mut out) {
                    row = rows;
                    return Some(Err(error));
                }
                ends.push(u32::try_from(out.len()).unwrap_or(u32::MAX));
                row += 1;
            }
            Some(Ok(Chunk { bytes: out.freeze(), ends }))
        })
    }

    fn row(&self, columns: &[Column], row: usize, out: &mut BytesMut) -> Result<()> {
        let start = out.len();
        out.put_u8(self.message);
        out.put_i32(0);
        out.put_u16(u16::try_from(columns.len()).unwrap_or(u16::MAX));
        let kinds = self.kinds.iter().zip(&self.formats);
        let mut text = String::new();
        for (column, (kind, format)) in columns.iter().zip(kinds) {
            let Some(value) = column.value(row) else {
                out.put_i32(-1);
                continue;
            };
            let at = out.len();
            out.put_i32(0);
            match format {
                Format::Text => {
                    text.clear();
                    self.style.text(&mut text, value, *kind);
                    out.put_slice(text.as_bytes());
                }
                Format::Binary => self.style.binary(out, value, *kind)?,
            }
            set_length(out, at, out.len() - at - 4)?;
        }
        set_length(out, start + 1, out.len() - start - 1)
    }
}

/// The values of an array of any number of dimensions in order, with the length of each dimension.
fn flatten<'a>(
    child: &'a Column,
    from: usize,
    to: usize,
    depth: usize,
    lengths: &mut Vec<usize>,
    leaves: &mut Vec<Option<Value<'a>>>,
) -> Result<()> {
    match lengths.get(depth) {
        None => lengths.push(to - from),
        Some(known) if *known == to - from => {}
        Some(_) => return exec_err!("multidimensional arrays must have sub-arrays with matching dimensions"),
    }
    for row in from..to {
        match child.value(row) {
            Some(Value::List(inner, from, to)) => flatten(inner, from, to, depth + 1, lengths, leaves)?,
            leaf => leaves.push(leaf),
        }
    }
    Ok(())
}

fn set_length(out: &mut BytesMut, at: usize, length: usize) -> Result<()> {
    let Ok(length) = i32::try_from(length) else {
        return exec_err!("out of range: a row of {length} bytes is longer than a message can be");
    };
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

impl Style {
    /// A value as text. `kind` is the type of the column, which says whether a list is an array or JSON.
    fn text(self, out: &mut String, value: Value<'_>, kind: u32) {
        use std::fmt::Write;
        match value {
            Value::Bool(value) => out.push(if value { 't' } else { 'f' }),
            Value::Int2(value) => {
                let _ = write!(out, "{value}");
            }
            Value::Int4(value) => {
                let _ = write!(out, "{value}");
            }
            Value::Int8(value) if kind == oid::REGPROC => text::procedure(out, value),
            Value::Int8(value) => {
                let _ = write!(out, "{value}");
            }
            Value::Unsigned(value) => {
                let _ = write!(out, "{value}");
            }
            Value::Real(value) => text::real(out, value),
            Value::Double(value) => text::double(out, value),
            Value::Numeric(value, scale) => text::numeric(out, &value.to_string(), scale),
            Value::BigNumeric(value, scale) => text::numeric(out, &value.to_string(), scale),
            Value::Text(value) => out.push_str(value),
            Value::Bytes(value) => text::bytea(out, value),
            Value::Date(days) => text::date(out, days),
            Value::Time(micros) => text::time(out, micros),
            Value::Timestamp(micros) => text::timestamp(out, micros, ' '),
            Value::TimestampTz(micros) => text::timestamptz(out, micros, self.zone, ' '),
            Value::Interval(months, days, micros) => text::interval(out, months, days, micros),
            Value::List(child, from, to) if element_of(kind).is_some() => self.array(out, child, from, to),
            nested @ (Value::List(..) | Value::Map(..) | Value::Struct(..)) => json::json(out, Some(nested), self),
        }
    }

    /// An array as text. The depth is that of the column's type.
    fn array(self, out: &mut String, child: &Column, from: usize, to: usize) {
        out.push('{');
        for row in from..to {
            if row > from {
                out.push(',');
            }
            match child.value(row) {
                None => out.push_str("NULL"),
                Some(Value::List(inner, from, to)) => self.array(out, inner, from, to),
                Some(element) => {
                    let mut shown = String::new();
                    self.text(&mut shown, element, 0);
                    text::array_element(out, &shown);
                }
            }
        }
        out.push('}');
    }

    fn binary(self, out: &mut BytesMut, value: Value<'_>, kind: u32) -> Result<()> {
        if binary::plain(out, value, kind) {
            return Ok(());
        }
        let mut text = String::new();
        match (value, element_of(kind)) {
            (Value::List(child, from, to), Some(element)) => {
                let (mut lengths, mut leaves) = (Vec::new(), Vec::new());
                flatten(child, from, to, 0, &mut lengths, &mut leaves)?;
                let empty = leaves.is_empty();
                out.put_i32(if empty { 0 } else { i32::try_from(lengths.len()).unwrap_or(i32::MAX) });
                out.put_i32(i32::from(leaves.iter().any(Option::is_none)));
                out.put_u32(element);
                for length in lengths.iter().filter(|_| !empty) {
                    out.put_i32(i32::try_from(*length).unwrap_or(i32::MAX));
                    out.put_i32(1);
                }
                for leaf in leaves {
                    let Some(value) = leaf else {
                        out.put_i32(-1);
                        continue;
                    };
                    let at = out.len();
                    out.put_i32(0);
                    self.binary(out, value, element)?;
                    set_length(out, at, out.len() - at - 4)?;
                }
            }
            (Value::Unsigned(_) | Value::Numeric(..) | Value::BigNumeric(..), _) => {
                self.text(&mut text, value, kind);
                binary::numeric(out, &text);
            }
            _ => {
                // The version of jsonb's binary format, then its text.
                out.put_u8(1);
                json::json(&mut text, Some(value), self);
                out.put_slice(text.as_bytes());
            }
        }
        Ok(())
    }

    /// The values of a column as text; none is null.
    ///
    /// # Errors
    /// When the type cannot be converted.
    pub fn texts(self, array: &ArrayRef) -> Result<Vec<Option<String>>> {
        let (column, kind) = (Column::new(array)?, of_data_type(array.data_type()).oid);
        Ok((0..array.len()).map(|row| self.cell(&column, row, kind)).collect())
    }

    /// The values of a column as `to_json` has them; none is null. What is JSON already stays as it is.
    ///
    /// # Errors
    /// When the type cannot be converted.
    pub fn jsons(self, array: &ArrayRef, field: &Field) -> Result<Vec<Option<String>>> {
        let (column, kind) = (Column::new(array)?, pg_type(field).oid);
        let value = |value: Value<'_>| {
            let mut out = String::new();
            match value {
                Value::Text(text) if matches!(kind, oid::JSON | oid::JSONB) => out.push_str(text),
                value => json::compact(&mut out, Some(value), self),
            }
            out
        };
        Ok((0..array.len()).map(|row| column.value(row).map(value)).collect())
    }

    /// The rows of a batch as JSON objects, with the columns in their order; what JSON has no numbers for is text.
    ///
    /// # Errors
    /// When a type cannot be converted.
    pub fn row_objects(self, batch: &RecordBatch) -> Result<Vec<String>> {
        let columns: Vec<Column> = batch.columns().iter().map(Column::new).collect::<Result<_>>()?;
        let schema = batch.schema();
        let kinds: Vec<u32> = schema.fields().iter().map(|field| pg_type(field).oid).collect();
        let object = |row: usize| {
            let mut out = String::from("{");
            for ((field, column), kind) in schema.fields().iter().zip(&columns).zip(&kinds) {
                if out.len() > 1 {
                    out.push(',');
                }
                json_string(&mut out, field.name());
                out.push(':');
                match (column.value(row), *kind) {
                    // It is JSON already.
                    (Some(Value::Text(text)), oid::JSON | oid::JSONB) => out.push_str(text),
                    (value, _) => json::json(&mut out, value, self),
                }
            }
            out.push('}');
            out
        };
        Ok((0..batch.num_rows()).map(object).collect())
    }

    fn cell(self, column: &Column, row: usize, kind: u32) -> Option<String> {
        column.value(row).map(|value| {
            let mut out = String::new();
            self.text(&mut out, value, kind);
            out
        })
    }

    /// The values of a row as text, one a column; none is null.
    ///
    /// # Errors
    /// When a type cannot be converted.
    pub fn row_texts(self, batch: &RecordBatch) -> Result<Vec<Vec<Option<String>>>> {
        let columns: Vec<Column> = batch.columns().iter().map(Column::new).collect::<Result<_>>()?;
        let schema = batch.schema();
        let kinds: Vec<u32> = schema.fields().iter().map(|field| pg_type(field).oid).collect();
        let row = |row: usize| columns.iter().zip(&kinds).map(|(column, kind)| self.cell(column, row, *kind)).collect();
        Ok((0..batch.num_rows()).map(row).collect())
    }
}

#[cfg(test)]
mod tests;
