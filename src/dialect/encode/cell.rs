//! One column of a batch, ready to give the value of any row: the type is looked at once a batch, not once a row.

use datafusion::arrow::array::*;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::arrow::datatypes::{IntervalDayTime, IntervalMonthDayNano, i256};
use datafusion::common::Result;

/// A value of PostgreSQL's, borrowed from a column.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Bool(bool),
    Int2(i16),
    Int4(i32),
    Int8(i64),
    Real(f32),
    Double(f64),
    Unsigned(u64),
    Numeric(i128, i8),
    BigNumeric(i256, i8),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// Days since the epoch.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since the epoch.
    Timestamp(i64),
    /// Microseconds since the epoch.
    TimestampTz(i64),
    /// Months, days, microseconds.
    Interval(i32, i32, i64),
    /// Elements `from..to` of the column's child.
    List(&'a Column, usize, usize),
    /// Entries `from..to` of the column's children.
    Map(&'a Column, &'a Column, usize, usize),
    /// A row of the columns of the fields.
    Struct(usize, &'a [(String, Column)]),
}

/// A column of a batch.
#[derive(Debug)]
pub(super) struct Column {
    array: ArrayRef,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Null,
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Float32,
    Float64,
    Decimal128(i8),
    Decimal256(i8),
    Utf8,
    LargeUtf8,
    Utf8View,
    Binary,
    LargeBinary,
    BinaryView,
    FixedBinary,
    Date32,
    Time64,
    Timestamp(TimeUnit, bool),
    YearMonth,
    DayTime,
    MonthDayNano,
    Duration(TimeUnit),
    List(Box<Column>),
    Map(Box<(Column, Column)>),
    Struct(Vec<(String, Column)>),
}

impl Column {
    /// Types that are not handled themselves are cast to one that is.
    pub(super) fn new(array: &ArrayRef) -> Result<Self> {
        let of = |kind: Kind| Ok(Self { array: ArrayRef::clone(array), kind });
        let as_type = |target: &DataType| Self::new(&cast(array, target)?);
        match array.data_type() {
            DataType::Null => of(Kind::Null),
            DataType::Boolean => of(Kind::Bool),
            DataType::Int8 => of(Kind::Int8),
            DataType::Int16 => of(Kind::Int16),
            DataType::Int32 => of(Kind::Int32),
            DataType::Int64 => of(Kind::Int64),
            DataType::UInt8 => of(Kind::UInt8),
            DataType::UInt16 => of(Kind::UInt16),
            DataType::UInt32 => of(Kind::UInt32),
            DataType::UInt64 => of(Kind::UInt64),
            DataType::Float16 => as_type(&DataType::Float32),
            DataType::Float32 => of(Kind::Float32),
            DataType::Float64 => of(Kind::Float64),
            DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                as_type(&DataType::Decimal128(*precision, *scale))
            }
            DataType::Decimal128(_, scale) => of(Kind::Decimal128(*scale)),
            DataType::Decimal256(_, scale) => of(Kind::Decimal256(*scale)),
            DataType::Utf8 => of(Kind::Utf8),
            DataType::LargeUtf8 => of(Kind::LargeUtf8),
            DataType::Utf8View => of(Kind::Utf8View),
            DataType::Binary => of(Kind::Binary),
            DataType::LargeBinary => of(Kind::LargeBinary),
            DataType::BinaryView => of(Kind::BinaryView),
            DataType::FixedSizeBinary(_) => of(Kind::FixedBinary),
            DataType::Date32 => of(Kind::Date32),
            DataType::Date64 => as_type(&DataType::Date32),
            DataType::Time64(TimeUnit::Microsecond) => of(Kind::Time64),
            DataType::Time32(_) | DataType::Time64(_) => as_type(&DataType::Time64(TimeUnit::Microsecond)),
            DataType::Timestamp(unit, zone) => of(Kind::Timestamp(*unit, zone.is_some())),
            DataType::Interval(IntervalUnit::YearMonth) => of(Kind::YearMonth),
            DataType::Interval(IntervalUnit::DayTime) => of(Kind::DayTime),
            DataType::Interval(IntervalUnit::MonthDayNano) => of(Kind::MonthDayNano),
            DataType::Duration(unit) => of(Kind::Duration(*unit)),
            DataType::Dictionary(_, value) => as_type(value),
            DataType::RunEndEncoded(_, value) => as_type(value.data_type()),
            DataType::FixedSizeList(element, _) | DataType::ListView(element) | DataType::LargeList(element) => {
                as_type(&DataType::List(element.clone()))
            }
            DataType::LargeListView(element) => as_type(&DataType::List(element.clone())),
            DataType::List(_) => of(Kind::List(Box::new(Self::new(array.as_list::<i32>().values())?))),
            DataType::Map(..) => {
                let map = array.as_map();
                of(Kind::Map(Box::new((Self::new(map.keys())?, Self::new(map.values())?))))
            }
            DataType::Struct(fields) => {
                let columns = fields.iter().zip(array.as_struct().columns());
                let columns = columns.map(|(field, column)| Ok((field.name().clone(), Self::new(column)?)));
                of(Kind::Struct(columns.collect::<Result<_>>()?))
            }
            DataType::Union(..) => as_type(&DataType::Utf8),
        }
    }

    /// The value of a row; none is null.
    pub(super) fn value(&self, row: usize) -> Option<Value<'_>> {
        use datafusion::arrow::datatypes as t;
        let array = &self.array;
        if array.is_null(row) {
            return None;
        }
        Some(match &self.kind {
            Kind::Null => return None,
            Kind::Bool => Value::Bool(array.as_boolean().value(row)),
            Kind::Int8 => Value::Int2(i16::from(array.as_primitive::<t::Int8Type>().value(row))),
            Kind::Int16 => Value::Int2(array.as_primitive::<t::Int16Type>().value(row)),
            Kind::Int32 => Value::Int4(array.as_primitive::<t::Int32Type>().value(row)),
            Kind::Int64 => Value::Int8(array.as_primitive::<t::Int64Type>().value(row)),
            Kind::UInt8 => Value::Int2(i16::from(array.as_primitive::<t::UInt8Type>().value(row))),
            Kind::UInt16 => Value::Int4(i32::from(array.as_primitive::<t::UInt16Type>().value(row))),
            Kind::UInt32 => Value::Int8(i64::from(array.as_primitive::<t::UInt32Type>().value(row))),
            Kind::UInt64 => Value::Unsigned(array.as_primitive::<t::UInt64Type>().value(row)),
            Kind::Float32 => Value::Real(array.as_primitive::<t::Float32Type>().value(row)),
            Kind::Float64 => Value::Double(array.as_primitive::<t::Float64Type>().value(row)),
            Kind::Decimal128(scale) => Value::Numeric(array.as_primitive::<t::Decimal128Type>().value(row), *scale),
            Kind::Decimal256(scale) => Value::BigNumeric(array.as_primitive::<t::Decimal256Type>().value(row), *scale),
            Kind::Utf8 => Value::Text(array.as_string::<i32>().value(row)),
            Kind::LargeUtf8 => Value::Text(array.as_string::<i64>().value(row)),
            Kind::Utf8View => Value::Text(array.as_string_view().value(row)),
            Kind::Binary => Value::Bytes(array.as_binary::<i32>().value(row)),
            Kind::LargeBinary => Value::Bytes(array.as_binary::<i64>().value(row)),
            Kind::BinaryView => Value::Bytes(array.as_binary_view().value(row)),
            Kind::FixedBinary => Value::Bytes(array.as_fixed_size_binary().value(row)),
            Kind::Date32 => Value::Date(array.as_primitive::<t::Date32Type>().value(row)),
            Kind::Time64 => Value::Time(array.as_primitive::<t::Time64MicrosecondType>().value(row)),
            Kind::Timestamp(unit, zoned) => {
                let micros = match unit {
                    TimeUnit::Second => scaled(array.as_primitive::<t::TimestampSecondType>().value(row), 1_000_000),
                    TimeUnit::Millisecond => {
                        scaled(array.as_primitive::<t::TimestampMillisecondType>().value(row), 1000)
                    }
                    TimeUnit::Microsecond => array.as_primitive::<t::TimestampMicrosecondType>().value(row),
                    TimeUnit::Nanosecond => {
                        array.as_primitive::<t::TimestampNanosecondType>().value(row).div_euclid(1000)
                    }
                };
                if *zoned { Value::TimestampTz(micros) } else { Value::Timestamp(micros) }
            }
            Kind::YearMonth => Value::Interval(array.as_primitive::<t::IntervalYearMonthType>().value(row), 0, 0),
            Kind::DayTime => {
                let IntervalDayTime { days, milliseconds } = array.as_primitive::<t::IntervalDayTimeType>().value(row);
                Value::Interval(0, days, i64::from(milliseconds) * 1000)
            }
            Kind::MonthDayNano => {
                let value = array.as_primitive::<t::IntervalMonthDayNanoType>().value(row);
                let IntervalMonthDayNano { months, days, nanoseconds } = value;
                Value::Interval(months, days, nanoseconds / 1000)
            }
            Kind::Duration(unit) => {
                let micros = match unit {
                    TimeUnit::Second => scaled(array.as_primitive::<t::DurationSecondType>().value(row), 1_000_000),
                    TimeUnit::Millisecond => {
                        scaled(array.as_primitive::<t::DurationMillisecondType>().value(row), 1000)
                    }
                    TimeUnit::Microsecond => array.as_primitive::<t::DurationMicrosecondType>().value(row),
                    TimeUnit::Nanosecond => array.as_primitive::<t::DurationNanosecondType>().value(row) / 1000,
                };
                // What is left between two times is shown in days and hours.
                let days = i32::try_from(micros / 86_400_000_000).unwrap_or(i32::MAX);
                Value::Interval(0, days, micros % 86_400_000_000)
            }
            Kind::List(child) => {
                let (from, to) = window(array.as_list::<i32>().value_offsets(), row);
                Value::List(child, from, to)
            }
            Kind::Map(children) => {
                let (from, to) = window(array.as_map().value_offsets(), row);
                Value::Map(&children.0, &children.1, from, to)
            }
            Kind::Struct(columns) => Value::Struct(row, columns),
        })
    }
}

fn scaled(value: i64, factor: i64) -> i64 {
    value.saturating_mul(factor)
}

fn window(offsets: &[i32], row: usize) -> (usize, usize) {
    let at = |position: usize| offsets.get(position).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0);
    (at(row), at(row + 1))
}
