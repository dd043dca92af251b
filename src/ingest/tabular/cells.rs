//! Columns of any type to the type of a column of the lake, without changing a value.

use std::borrow::Cow;

use datafusion::arrow::array::{Array, ArrayRef, StringArray};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use serde_json::Value;

use crate::error::{Result, UserError};
use crate::ingest::{decimal, json, parquet_file, times};
use crate::model::cell::{
    Bool, CellType, Double, DoubleList, EventList, Int, Int4, IntList, LinkList, MONEY_SCALE, Money, Text, TextList,
    TextMap, Time,
};
use crate::model::{SpanEvent, SpanLink};

/// Rows whose value does not convert.
pub type Failed = Vec<usize>;

/// The type for people.
pub fn type_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Utf8 => "text",
        DataType::Int64 => "bigint",
        DataType::Int32 => "integer",
        DataType::Float64 => "double precision",
        DataType::Boolean => "boolean",
        DataType::Decimal128(..) => "numeric(38,12)",
        DataType::Timestamp(..) => "timestamptz",
        DataType::Map(..) => "map of texts",
        _ => "list",
    }
}

/// The column as that type, null where the value does not convert, and the rows where it does not.
///
/// # Errors
/// When values of the column's type cannot be read at all.
pub fn convert(column: &ArrayRef, to: &DataType) -> Result<(ArrayRef, Failed)> {
    if column.data_type() == to && !matches!(to, DataType::Decimal128(..)) {
        return Ok((ArrayRef::clone(column), Failed::new()));
    }
    if widens(column.data_type(), to) {
        let wide = parquet_file::cast(column, to)?;
        let failed = parquet_file::lost(column, &wide).collect();
        return Ok((wide, failed));
    }
    let text = parquet_file::as_text(column)?;
    let (array, mut failed) = match to {
        to if *to == Text::data_type() => build::<Text>(&text, |text| Some(Some(Cow::Owned(text.to_owned())))),
        to if *to == Time::data_type() => build::<Time>(&text, |text| times::parse(text).map(Some)),
        to if *to == Int::data_type() => build::<Int>(&text, |text| whole(text).map(Some)),
        to if *to == Int4::data_type() => build::<Int4>(&text, |text| i32::try_from(whole(text)?).ok().map(Some)),
        to if *to == Double::data_type() => build::<Double>(&text, |text| text.trim().parse().ok().map(Some)),
        to if *to == Bool::data_type() => build::<Bool>(&text, |text| boolean(text).map(Some)),
        to if *to == Money::data_type() => build::<Money>(&text, |text| decimal::parse(text).ok().map(Some)),
        to if *to == TextMap::data_type() => build::<TextMap>(&text, |text| map(&json_of(text)?)),
        to if *to == TextList::data_type() => build::<TextList>(&text, |text| {
            let texts = |item: &Value| Some(Cow::Owned(json::as_text(item)?.into_owned()));
            items(&json_of(text)?, texts).map(Some)
        }),
        to if *to == DoubleList::data_type() => {
            build::<DoubleList>(&text, |text| items(&json_of(text)?, double).map(Some))
        }
        to if *to == IntList::data_type() => {
            build::<IntList>(&text, |text| items(&json_of(text)?, Value::as_i64).map(Some))
        }
        to if *to == EventList::data_type() => build::<EventList>(&text, |text| items(&json_of(text)?, event)),
        to if *to == LinkList::data_type() => build::<LinkList>(&text, |text| items(&json_of(text)?, link)),
        _ => return Err(UserError::invalid("the table has a column of a type that files cannot give").into()),
    };
    failed.extend(parquet_file::lost(column, &text));
    Ok((array, failed))
}

/// Whether every value of one type is a value of the other.
fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Date32, Date64, Float16, Float32, Float64, Int8, Int16, Int32, Int64, LargeUtf8, UInt8, UInt16, UInt32,
    };
    use DataType::{Timestamp, Utf8, Utf8View};
    match to {
        Utf8 => matches!(from, LargeUtf8 | Utf8View),
        Int64 => matches!(from, Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32),
        Int32 => matches!(from, Int8 | Int16 | UInt8 | UInt16),
        Float64 => matches!(from, Float16 | Float32 | Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32),
        // Stored instants are microseconds; nanoseconds have columns of their own.
        Timestamp(TimeUnit::Microsecond, _) => matches!(from, Date32 | Date64 | Timestamp(..)),
        _ => false,
    }
}

fn build<T: CellType>(text: &StringArray, parse: impl Fn(&str) -> Option<T::Cell<'static>>) -> (ArrayRef, Failed) {
    let mut builder = T::builder();
    let mut failed = Failed::new();
    for (row, text) in text.iter().enumerate() {
        let cell = match text.map(&parse) {
            Some(Some(cell)) => cell,
            Some(None) => {
                failed.push(row);
                T::Cell::default()
            }
            None => T::Cell::default(),
        };
        T::append(&mut builder, &cell);
    }
    (T::finish(&mut builder), failed)
}

/// A whole number in any notation.
fn whole(text: &str) -> Option<i64> {
    if let Ok(number) = text.trim().parse() {
        return Some(number);
    }
    let scaled = decimal::parse(text).ok()?;
    let unit = 10_i128.pow(u32::from(MONEY_SCALE.unsigned_abs()));
    (scaled % unit == 0).then(|| i64::try_from(scaled / unit).ok())?
}

fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

fn json_of(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

fn map(value: &Value) -> Option<crate::model::Attributes<'static>> {
    value.as_object()?;
    let members = json::attributes(value).into_iter();
    Some(members.map(|(key, value)| (Cow::Owned(key.into_owned()), Cow::Owned(value.into_owned()))).collect())
}

fn items<T>(value: &Value, item: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    value.as_array()?.iter().map(item).collect()
}

/// A number, or the text of one: the doubles of a Parquet file are written as such.
fn double(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn owned(value: &Value, name: &str) -> Cow<'static, str> {
    json::text(value, &[name]).map(|text| Cow::Owned(text.to_owned())).unwrap_or_default()
}

fn members(value: &Value) -> Option<crate::model::Attributes<'static>> {
    json::at(value, &["attributes"]).map_or(Some(Vec::new()), map)
}

fn event(value: &Value) -> Option<SpanEvent<'static>> {
    let time_unix_nano = json::at(value, &["time_unix_nano"])?.as_i64()?;
    Some(SpanEvent { time_unix_nano, name: owned(value, "name"), attributes: members(value)? })
}

fn link(value: &Value) -> Option<SpanLink<'static>> {
    value.as_object()?;
    Some(SpanLink { trace_id: owned(value, "trace_id"), span_id: owned(value, "span_id"), attributes: members(value)? })
}
