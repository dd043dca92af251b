//! Batches in and out: typed columns of a query's answer, and the columns of a result.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, TimeUnit};

use crate::error::{Result, UserError, sqlstate};

fn column(batch: &RecordBatch, at: usize, data_type: &DataType) -> Result<ArrayRef> {
    let Some(column) = batch.columns().get(at) else {
        return Err(UserError::new(sqlstate::INTERNAL, format!("a query has no column {at}")).into());
    };
    Ok(cast(column, data_type)?)
}

fn of<T: Clone + 'static>(column: &ArrayRef) -> Result<T> {
    column
        .as_any()
        .downcast_ref::<T>()
        .cloned()
        .ok_or_else(|| UserError::new(sqlstate::INTERNAL, "a query has a column of another type").into())
}

/// A text column of a query's answer.
pub(in crate::table_functions) fn texts(batch: &RecordBatch, at: usize) -> Result<StringArray> {
    of(&column(batch, at, &DataType::Utf8)?)
}

/// An integer column of a query's answer.
pub(in crate::table_functions) fn ints(batch: &RecordBatch, at: usize) -> Result<Int64Array> {
    of(&column(batch, at, &DataType::Int64)?)
}

/// A floating-point column of a query's answer.
pub(in crate::table_functions) fn doubles(batch: &RecordBatch, at: usize) -> Result<Float64Array> {
    of(&column(batch, at, &DataType::Float64)?)
}

/// A time column of a query's answer, microseconds.
pub(in crate::table_functions) fn times(batch: &RecordBatch, at: usize) -> Result<TimestampMicrosecondArray> {
    of(&column(batch, at, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))?)
}

/// The text of a row, if it is not null.
pub(in crate::table_functions) fn text_at(column: &StringArray, row: usize) -> Option<&str> {
    (!column.is_null(row)).then(|| column.value(row))
}

/// The time of a row, if it is not null.
pub(in crate::table_functions) fn time_at(column: &TimestampMicrosecondArray, row: usize) -> Option<i64> {
    (!column.is_null(row)).then(|| column.value(row))
}

/// A column of text.
pub(in crate::table_functions) fn text_column(values: Vec<Option<String>>) -> ArrayRef {
    Arc::new(StringArray::from(values))
}

/// A column of times in microseconds.
pub(in crate::table_functions) fn time_column(values: Vec<Option<i64>>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
}

/// A column of floating-point numbers.
pub(in crate::table_functions) fn double_column(values: Vec<Option<f64>>) -> ArrayRef {
    Arc::new(Float64Array::from(values))
}

/// A column of integers.
pub(in crate::table_functions) fn int_column(values: Vec<Option<i64>>) -> ArrayRef {
    Arc::new(Int64Array::from(values))
}

/// A string as an SQL literal.
pub(in crate::table_functions) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A time as an SQL literal.
pub(in crate::table_functions) fn time_literal(micros: i64) -> String {
    let text = chrono::DateTime::from_timestamp_micros(micros).map_or_else(
        || "1970-01-01T00:00:00Z".to_owned(),
        |time| time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
    );
    format!("timestamptz '{text}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_quoted() {
        assert_eq!(literal("o'clock"), "'o''clock'");
        assert_eq!(time_literal(1_500_000), "timestamptz '1970-01-01T00:00:01.500000Z'");
    }
}
