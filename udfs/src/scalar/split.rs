//! What the splits share: lists of exact parts, and weights as whole numbers.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, ListArray};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::{DataType, Field, Float64Type};
use datafusion::common::{Result, internal_err};

use super::Call;
use crate::about::About;
use crate::apportion::{self, Refusal, Rounding};
use crate::args::{Column, Units, lists};

/// A list of the amount's type.
pub(super) fn returns(arguments: &[DataType]) -> DataType {
    DataType::new_list(arguments.first().cloned().unwrap_or(DataType::Int64), true)
}

/// Rows of parts on their way to a list array.
pub(super) struct Parts {
    values: Vec<i128>,
    lengths: Vec<usize>,
    valid: Vec<bool>,
}

impl Parts {
    pub(super) fn with_capacity(rows: usize) -> Self {
        Self { values: Vec::new(), lengths: Vec::with_capacity(rows), valid: Vec::with_capacity(rows) }
    }

    pub(super) fn push_null(&mut self) {
        self.lengths.push(0);
        self.valid.push(false);
    }

    /// A row of `count` parts, to be filled in.
    pub(super) fn push(&mut self, count: usize) -> &mut [i128] {
        let start = self.values.len();
        self.values.resize(start + count, 0);
        self.lengths.push(count);
        self.valid.push(true);
        &mut self.values[start..]
    }

    pub(super) fn finish(self, about: &About, returns: &DataType) -> Result<ArrayRef> {
        let DataType::List(item) = returns else { return internal_err!("expected a List, got {returns}") };
        if i32::try_from(self.values.len()).is_err() {
            return Err(about.error("a batch has more than 2^31 parts"));
        }
        let values: ArrayRef = match item.data_type() {
            DataType::Decimal128(precision, scale) => {
                Arc::new(Decimal128Array::from(self.values).with_precision_and_scale(*precision, *scale)?)
            }
            _ => Arc::new(Int64Array::from_iter_values(self.values.into_iter().map(|v| v as i64))),
        };
        let item = Arc::new(Field::new_list_field(item.data_type().clone(), true));
        let offsets = OffsetBuffer::from_lengths(self.lengths);
        Ok(Arc::new(ListArray::try_new(item, offsets, values, Some(NullBuffer::from(self.valid)))?))
    }
}

/// Weighted parts of every row.
pub(super) fn weighted(about: &About, call: &Call, rounding: Rounding) -> Result<ArrayRef> {
    let amounts = Units::new(&call.columns[0].array)?;
    let mut weights = Weights::new(&call.columns[1])?;
    let mut parts = Parts::with_capacity(call.rows);
    let mut scratch = Vec::new();
    for row in 0..call.rows {
        let amount = amounts.get(call.columns[0].at(row));
        let (Some(amount), Some(weights)) = (amount, weights.read(about, row)?) else {
            parts.push_null();
            continue;
        };
        let out = parts.push(weights.len());
        match apportion::weighted(amount, weights, rounding, out, &mut scratch) {
            Ok(()) => {}
            // Nothing can be divided among no one.
            Err(Refusal::NothingToWeighBy) if amount == 0 => {}
            Err(Refusal::NothingToWeighBy) => {
                return Err(about.error("no weight is above zero, so the amount would be lost"));
            }
            Err(Refusal::TooLarge) => return Err(about.error("the weights' sum is too large")),
        }
    }
    parts.finish(about, call.returns)
}

/// A column of lists of weights.
struct Weights<'a> {
    column: &'a Column,
    lists: &'a ListArray,
    kind: Numbers<'a>,
    floats: Vec<f64>,
    whole: Vec<u128>,
}

enum Numbers<'a> {
    Exact(Units<'a>),
    Float(&'a Float64Array),
}

impl<'a> Weights<'a> {
    fn new(column: &'a Column) -> Result<Self> {
        let lists = lists(&column.array)?;
        let kind = match lists.values().as_primitive_opt::<Float64Type>() {
            Some(floats) => Numbers::Float(floats),
            None => Numbers::Exact(Units::new(lists.values())?),
        };
        Ok(Self { column, lists, kind, floats: Vec::new(), whole: Vec::new() })
    }

    /// A row's weights, a null among them as zero. None for a null list.
    fn read(&mut self, about: &About, row: usize) -> Result<Option<&[u128]>> {
        let row = self.column.at(row);
        if self.lists.is_null(row) {
            return Ok(None);
        }
        let offsets = self.lists.value_offsets();
        let range = offsets[row] as usize..offsets[row + 1] as usize;
        self.whole.clear();
        self.floats.clear();
        for (place, i) in range.enumerate() {
            match &self.kind {
                Numbers::Exact(units) => {
                    let weight = units.get(i).unwrap_or(0);
                    let weight = u128::try_from(weight).map_err(|_| refuse(about, place, "negative"))?;
                    self.whole.push(weight);
                }
                Numbers::Float(values) => {
                    let weight = if values.is_valid(i) { values.value(i) } else { 0.0 };
                    let problem = if weight < 0.0 { "negative" } else { "not a finite number" };
                    if weight < 0.0 || !weight.is_finite() {
                        return Err(refuse(about, place, problem));
                    }
                    self.floats.push(weight);
                }
            }
        }
        if matches!(self.kind, Numbers::Float(_)) {
            apportion::whole_weights(&self.floats, &mut self.whole);
        }
        Ok(Some(&self.whole))
    }
}

fn refuse(about: &About, place: usize, problem: &str) -> datafusion::common::DataFusionError {
    about.error(format_args!("weight {} is {problem}", place + 1))
}
