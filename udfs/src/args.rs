//! Typed, allocation-free access to argument columns, in which a scalar stands for all rows.

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, LargeStringArray, ListArray,
    StringArray, StringViewArray,
};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::ColumnarValue;

/// One argument: an array, or one value for every row.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) array: ArrayRef,
    pub(crate) scalar: bool,
}

impl Column {
    pub(crate) fn new(value: ColumnarValue) -> Result<Self> {
        Ok(match value {
            ColumnarValue::Array(array) => Self { array, scalar: false },
            ColumnarValue::Scalar(scalar) => Self { array: scalar.to_array()?, scalar: true },
        })
    }

    /// Where a row's value is in the array.
    pub(crate) fn at(&self, row: usize) -> usize {
        if self.scalar { 0 } else { row }
    }

    pub(crate) fn text(&self) -> Result<TextColumn<'_>> {
        Ok(TextColumn { values: Texts::new(&self.array)?, column: self })
    }

    pub(crate) fn numbers(&self) -> Result<NumberColumn<'_>> {
        Ok(NumberColumn { values: numbers(&self.array)?, column: self })
    }
}

/// Text in one of the three layouts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Texts<'a> {
    Utf8(&'a StringArray),
    Large(&'a LargeStringArray),
    View(&'a StringViewArray),
}

impl<'a> Texts<'a> {
    pub(crate) fn new(array: &'a ArrayRef) -> Result<Self> {
        match array.data_type() {
            DataType::Utf8 => Ok(Self::Utf8(array.as_string())),
            DataType::LargeUtf8 => Ok(Self::Large(array.as_string())),
            DataType::Utf8View => Ok(Self::View(array.as_string_view())),
            other => internal_err!("expected text, got {other}"),
        }
    }

    pub(crate) fn get(&self, i: usize) -> Option<&'a str> {
        match self {
            Self::Utf8(a) => a.is_valid(i).then(|| a.value(i)),
            Self::Large(a) => a.is_valid(i).then(|| a.value(i)),
            Self::View(a) => a.is_valid(i).then(|| a.value(i)),
        }
    }
}

/// A column of text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextColumn<'a> {
    values: Texts<'a>,
    column: &'a Column,
}

impl<'a> TextColumn<'a> {
    pub(crate) fn get(&self, row: usize) -> Option<&'a str> {
        self.values.get(self.column.at(row))
    }

    pub(crate) fn is_scalar(&self) -> bool {
        self.column.scalar
    }
}

/// A column of `Float64`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NumberColumn<'a> {
    values: &'a Float64Array,
    column: &'a Column,
}

impl NumberColumn<'_> {
    pub(crate) fn get(&self, row: usize) -> Option<f64> {
        let i = self.column.at(row);
        self.values.is_valid(i).then(|| self.values.value(i))
    }
}

pub(crate) fn numbers(array: &ArrayRef) -> Result<&Float64Array> {
    match array.as_primitive_opt::<Float64Type>() {
        Some(values) => Ok(values),
        None => internal_err!("expected Float64, got {}", array.data_type()),
    }
}

pub(crate) fn booleans(array: &ArrayRef) -> Result<&BooleanArray> {
    match array.as_boolean_opt() {
        Some(values) => Ok(values),
        None => internal_err!("expected Boolean, got {}", array.data_type()),
    }
}

pub(crate) fn lists(array: &ArrayRef) -> Result<&ListArray> {
    match array.as_list_opt::<i32>() {
        Some(values) => Ok(values),
        None => internal_err!("expected a List, got {}", array.data_type()),
    }
}

/// Whole numbers, or decimals as multiples of their smallest unit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Units<'a> {
    Int(&'a Int64Array),
    Decimal(&'a Decimal128Array),
}

impl<'a> Units<'a> {
    pub(crate) fn new(array: &'a ArrayRef) -> Result<Self> {
        match array.data_type() {
            DataType::Int64 => Ok(Self::Int(array.as_primitive::<Int64Type>())),
            DataType::Decimal128(_, _) => Ok(Self::Decimal(array.as_primitive::<Decimal128Type>())),
            other => internal_err!("expected Int64 or Decimal128, got {other}"),
        }
    }

    pub(crate) fn get(&self, i: usize) -> Option<i128> {
        match self {
            Self::Int(a) => a.is_valid(i).then(|| i128::from(a.value(i))),
            Self::Decimal(a) => a.is_valid(i).then(|| a.value(i)),
        }
    }
}
