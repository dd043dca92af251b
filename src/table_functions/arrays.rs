//! Columns of query results as arrays of one known type, whatever encoding the scan chose.

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Float64Type, TimestampMicrosecondType};

use crate::error::{Result, UserError, sqlstate};
use crate::model::{CellType, cell};

/// A column by name, cast to a type.
pub(super) fn column(batch: &RecordBatch, name: &str, data_type: &DataType) -> Result<ArrayRef> {
    let found = batch.column_by_name(name);
    let found = found.ok_or_else(|| UserError::new(sqlstate::INTERNAL, format!("a result lacks the column {name}")))?;
    Ok(cast(found, data_type)?)
}

/// A `text` column.
pub(super) fn texts(batch: &RecordBatch, name: &str) -> Result<StringArray> {
    Ok(column(batch, name, &DataType::Utf8)?.as_string::<i32>().clone())
}

/// A `timestamptz` column.
pub(super) fn times(batch: &RecordBatch, name: &str) -> Result<TimestampMicrosecondArray> {
    Ok(column(batch, name, &cell::Time::data_type())?.as_primitive::<TimestampMicrosecondType>().clone())
}

/// A `numeric(38,12)` column.
pub(super) fn amounts(batch: &RecordBatch, name: &str) -> Result<Decimal128Array> {
    Ok(column(batch, name, &cell::Money::data_type())?.as_primitive::<Decimal128Type>().clone())
}

/// A `double precision` column.
pub(super) fn doubles(batch: &RecordBatch, name: &str) -> Result<Float64Array> {
    Ok(column(batch, name, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

/// The text in a row, if there is one.
pub(super) fn text(array: &StringArray, row: usize) -> Option<&str> {
    (row < array.len() && array.is_valid(row)).then(|| array.value(row))
}

/// The time in a row, if there is one.
pub(super) fn time(array: &TimestampMicrosecondArray, row: usize) -> Option<i64> {
    (row < array.len() && array.is_valid(row)).then(|| array.value(row))
}
