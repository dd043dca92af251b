//! Ordered values as integers: what is less stays less, so that a search compares one machine word.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::buffer::{NullBuffer, ScalarBuffer};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, UInt64Type};
use datafusion::common::Result;

/// Decimals of this many digits at most fit a machine word.
const WORD_DIGITS: u8 = 18;

/// A column as integers in its order; the values at nulls mean nothing.
#[derive(Debug)]
pub(super) struct Ordered {
    pub(super) values: ScalarBuffer<i64>,
    pub(super) nulls: Option<NullBuffer>,
}

impl Ordered {
    pub(super) fn get(&self, row: usize) -> Option<i64> {
        match &self.nulls {
            Some(nulls) if nulls.is_null(row) => None,
            _ => self.values.get(row).copied(),
        }
    }
}

/// Whether values of the type fit a machine word in their order.
pub(super) fn is_orderable(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(..)
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Duration(_) => true,
        DataType::Decimal128(digits, _) => *digits <= WORD_DIGITS,
        other => other.is_integer() || other.is_floating(),
    }
}

/// The values of a column of an orderable type. Floats are in IEEE 754's total order but for the two zeros, which are
/// equal: so the engine compares them.
pub(super) fn ordered(array: &ArrayRef) -> Result<Ordered> {
    let nulls = array.logical_nulls();
    let values = match array.data_type() {
        DataType::UInt64 => {
            array.as_primitive::<UInt64Type>().values().iter().map(|value| (value ^ (1 << 63)).cast_signed()).collect()
        }
        DataType::Decimal128(..) => {
            let values = array.as_primitive::<Decimal128Type>().values();
            values.iter().map(|value| i64::try_from(*value).unwrap_or(i64::MAX)).collect()
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let wide = cast(array, &DataType::Float64)?;
            let bits =
                wide.as_primitive::<Float64Type>().values().iter().map(|value| (value + 0.0).to_bits().cast_signed());
            // All but the sign is flipped in negative numbers, whose greater magnitude is the lesser value.
            bits.map(|bits| bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()).collect()
        }
        DataType::Date32 | DataType::Time32(_) => {
            let narrow = cast(array, &DataType::Int32)?;
            cast(&narrow, &DataType::Int64)?.as_primitive::<Int64Type>().values().clone()
        }
        _ => cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().values().clone(),
    };
    Ok(Ordered { values, nulls })
}
