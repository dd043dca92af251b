//! Parquet files as batches, and their columns as text.

use std::io::BufRead;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, RecordBatch, RecordBatchReader, StringArray, StringBuilder,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::arrow::json::LineDelimitedWriter;
use datafusion::arrow::util::display::FormatOptions;
use datafusion::parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use serde_json::Value;

use super::{MAX_COLUMNS, decimal, parquet_footer};
use crate::error::{Error, Result, UserError};

/// Rows that are read at a time.
const ROWS: usize = 8192;

/// Nesting of a column's type that is turned into text.
const MAX_DEPTH: usize = 8;

/// Whether the stream begins like a Parquet file.
///
/// # Errors
/// When it cannot be read.
pub fn is_parquet(reader: &mut dyn BufRead) -> Result<bool> {
    Ok(reader.fill_buf()?.starts_with(b"PAR1"))
}

/// A file being read. A Parquet file begins at its end, so its bytes are held in memory.
#[derive(Debug)]
pub struct File(ParquetRecordBatchReader);

impl File {
    /// Read the description of a file.
    ///
    /// # Errors
    /// When it cannot be read, or is no Parquet file.
    pub fn open(reader: &mut dyn BufRead) -> Result<Self> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        if !parquet_footer::is_sound(&bytes) {
            return Err(unreadable(&"its footer is damaged, or its types are nested too deeply"));
        }
        guarded(|| {
            let builder =
                ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).map_err(|error| unreadable(&error))?;
            let columns = builder.schema().fields().len();
            if columns == 0 {
                return Err(UserError::invalid("the Parquet file has no columns").into());
            }
            if columns > MAX_COLUMNS {
                let message = format!("the Parquet file has {columns} columns, which is more than {MAX_COLUMNS}");
                return Err(UserError::invalid(message).into());
            }
            builder.with_batch_size(ROWS).build().map(Self).map_err(|error| unreadable(&error))
        })
    }

    /// Names of the columns, without the blanks around them.
    #[must_use]
    pub fn header(&self) -> Vec<String> {
        self.0.schema().fields().iter().map(|field| field.name().trim().to_owned()).collect()
    }

    /// The next rows, or nothing at the end.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        guarded(|| {
            let Some(batch) = self.0.next().transpose().map_err(|error| unreadable(&error))? else { return Ok(None) };
            let named = batch.schema();
            let columns = named.fields().iter().zip(batch.columns());
            let columns =
                columns.map(|(field, column)| Ok((field.name(), plain(column)?))).collect::<Result<Vec<_>>>()?;
            RecordBatch::try_from_iter(columns).map(Some).map_err(|error| unreadable(&error))
        })
    }
}

/// A column whose values stand beside each other, so that a part of it takes a part of the memory.
fn plain(column: &ArrayRef) -> Result<ArrayRef> {
    match column.data_type() {
        DataType::Dictionary(_, values) => cast(column, values),
        DataType::RunEndEncoded(_, values) => cast(column, values.data_type()),
        DataType::Utf8View => cast(column, &DataType::Utf8),
        DataType::BinaryView => cast(column, &DataType::Binary),
        _ => Ok(Arc::clone(column)),
    }
}

/// The reader asserts what its metadata promise (lengths that are not negative, for one), and a damaged file breaks
/// such promises. That is the file's fault and no reason to stop.
fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(unreadable(&"its metadata contradict themselves")))
}

/// The error for a file that is damaged.
fn unreadable(error: &impl std::fmt::Display) -> Error {
    UserError::invalid("the file cannot be read as Parquet").detail(error.to_string()).into()
}

/// The rows of a batch as JSON objects, a line each, without what is null.
///
/// # Errors
/// When a column has no JSON.
pub fn as_json_lines(batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(batch).and_then(|()| writer.finish()).map_err(|error| unreadable(&error))?;
    Ok(writer.into_inner())
}

/// A column as text: decimals and doubles exactly, instants in RFC 3339, nested values as JSON. What is no text, such
/// as bytes that are not UTF-8, is null: see [`lost`].
///
/// # Errors
/// When its type has no text.
pub fn as_text(column: &ArrayRef) -> Result<StringArray> {
    match column.data_type() {
        DataType::Utf8 => Ok(column.as_string::<i32>().clone()),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => doubles_as_text(column),
        data_type if data_type.is_nested() => {
            let mut text = StringBuilder::new();
            for row in 0..column.len() {
                text.append_option(
                    json_of(column, row, MAX_DEPTH)?.filter(|value| !value.is_null()).map(|value| value.to_string()),
                );
            }
            Ok(text.finish())
        }
        _ => Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone()),
    }
}

fn doubles_as_text(column: &ArrayRef) -> Result<StringArray> {
    // A float widens to a double with digits that nobody wrote, so its own shortest form is taken.
    if column.data_type() != &DataType::Float64 {
        let text = cast(column, &DataType::Utf8)?;
        return Ok(text.as_string::<i32>().clone());
    }
    let doubles: &Float64Array = column.as_primitive::<Float64Type>();
    Ok(doubles.iter().map(|value| value.map(decimal::text_of_double)).collect())
}

/// Cast, null where a value does not fit: see [`lost`].
///
/// # Errors
/// When there is no such cast.
pub fn cast(column: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let options = CastOptions { safe: true, format_options: FormatOptions::default() };
    cast_with_options(column, to, &options).map_err(|error| unreadable(&error))
}

/// The rows of a column that have a value and lost it when they were cast.
pub fn lost<'a>(column: &'a dyn Array, cast: &'a dyn Array) -> impl Iterator<Item = usize> + 'a {
    let nulls = column.logical_nulls();
    let had = nulls.as_ref().map_or(0, NullBuffer::null_count);
    let rows = if cast.null_count() > had { column.len() } else { 0 };
    (0..rows).filter(move |row| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row)) && cast.is_null(*row))
}

/// One value as JSON; the type of a column may be nested only so deep.
fn json_of(column: &ArrayRef, row: usize, depth: usize) -> Result<Option<Value>> {
    if column.is_null(row) {
        return Ok(None);
    }
    if depth == 0 {
        return Err(UserError::invalid("a column of the Parquet file is nested too deeply").into());
    }
    let items = |items: &ArrayRef| -> Result<Vec<Value>> {
        (0..items.len()).map(|at| Ok(json_of(items, at, depth - 1)?.unwrap_or(Value::Null))).collect()
    };
    Ok(Some(match column.data_type() {
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            let (keys, values) = (as_text(entries.column(0))?, items(entries.column(1))?);
            let members = keys.iter().zip(values);
            Value::Object(members.map(|(key, value)| (key.unwrap_or_default().to_owned(), value)).collect())
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(column.as_struct().columns());
            let members = columns.map(|(field, column)| {
                Ok((field.name().clone(), json_of(column, row, depth - 1)?.unwrap_or(Value::Null)))
            });
            Value::Object(members.collect::<Result<_>>()?)
        }
        DataType::List(_) => Value::Array(items(&column.as_list::<i32>().value(row))?),
        DataType::LargeList(_) => Value::Array(items(&column.as_list::<i64>().value(row))?),
        DataType::FixedSizeList(..) => Value::Array(items(&column.as_fixed_size_list().value(row))?),
        kind if kind.is_nested() => {
            return Err(
                UserError::invalid(format!("a column of the Parquet file is a {kind}, which has no text")).into()
            );
        }
        _ => scalar(&column.slice(row, 1))?,
    }))
}

fn scalar(one: &ArrayRef) -> Result<Value> {
    let text = as_text(&Arc::clone(one))?;
    let text = if text.is_empty() || text.is_null(0) { return Ok(Value::Null) } else { text.value(0) };
    let numeric = one.data_type().is_integer() || one.data_type() == &DataType::Boolean;
    Ok(if numeric { serde_json::from_str(text).unwrap_or(Value::Null) } else { Value::String(text.to_owned()) })
}
