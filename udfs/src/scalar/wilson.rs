//! What the two bounds of Wilson's interval share.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array};
use datafusion::common::Result;

use super::Call;
use crate::about::{Kind, Param};
use crate::args::Column;
use crate::stats::{Z95, wilson};

pub(super) const PARAMS: &[Param] = &[
    Param::new("k", Kind::Number, "Successes."),
    Param::new("n", Kind::Number, "Trials."),
    Param::new("z", Kind::Number, "Half width in standard deviations; 1.96 (95 %) by default."),
];

pub(super) fn evaluate(call: &Call, bound: impl Fn((f64, f64)) -> f64) -> Result<ArrayRef> {
    let (k, n) = (call.columns[0].numbers()?, call.columns[1].numbers()?);
    let z = call.columns.get(2).map(Column::numbers).transpose()?;
    let of_row = |row| {
        let z = match z {
            Some(z) => z.get(row)?,
            None => Z95,
        };
        wilson(k.get(row)?, n.get(row)?, z).map(&bound)
    };
    Ok(Arc::new((0..call.rows).map(of_row).collect::<Float64Array>()))
}
