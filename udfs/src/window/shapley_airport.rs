//! `shapley_airport(cost) over (…)`.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, PrimitiveArray};
use datafusion::arrow::datatypes::{ArrowPrimitiveType, DataType, Decimal128Type};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::PartitionEvaluator;

use super::Window;
use crate::about::{ALLOCATION, About, Kind, Param};
use crate::apportion;
use crate::args::numbers;

pub(super) static FUNCTION: Window = Window {
    about: About {
        name: "shapley_airport",
        section: &ALLOCATION,
        syntax: "shapley_airport(cost) OVER (...)",
        description: "The row's fair share of a cost that is driven by the greatest need, as that of a runway by the largest aeroplane: the Shapley value of the airport game \
                      (Littlechild and Owen 1973). Every step from one need to the next larger is shared by all who need at least as much, so the shares of a partition sum to its \
                      largest cost. Decimals stay decimals and sum to it exactly, the units that rounding leaves over going to the largest remainders, then by row; other \
                      numbers give floating point. The whole partition is one game, whatever the frame. A null cost takes no part and gets null; a negative or infinite one is \
                      an error.",
        params: &[Param::new("cost", Kind::Cost, "What serving this row alone would cost, or its peak need.")],
        required: 1,
        example: "
> SELECT tenant, peak, shapley_airport(peak) OVER (ORDER BY tenant) AS share
  FROM (VALUES ('a', CAST(10.00 AS DECIMAL(10, 2))), ('b', CAST(40.00 AS DECIMAL(10, 2))), ('c', CAST(100.00 AS DECIMAL(10, 2)))) AS t(tenant, peak) ORDER BY tenant;
+--------+--------+-------+
| tenant | peak   | share |
+--------+--------+-------+
| a      | 10.00  | 3.34  |
| b      | 40.00  | 18.33 |
| c      | 100.00 | 78.33 |
+--------+--------+-------+
",
    },
    returns: |types| match types.first() {
        // Whole numbers have no unit small enough for shares.
        Some(DataType::Decimal128(p, s)) => DataType::Decimal128(*p, *s),
        _ => DataType::Float64,
    },
    evaluator: || Box::new(Airport),
};

#[derive(Debug)]
struct Airport;

impl PartitionEvaluator for Airport {
    fn evaluate_all(&mut self, columns: &[ArrayRef], _: usize) -> Result<ArrayRef> {
        match columns.first() {
            Some(costs) if matches!(costs.data_type(), DataType::Decimal128(_, _)) => exact(costs.as_primitive()),
            Some(costs) => floating(numbers(costs)?),
            None => internal_err!("expected costs"),
        }
    }
}

/// The rows that take part, and their costs.
fn players<T: ArrowPrimitiveType>(costs: &PrimitiveArray<T>) -> (Vec<usize>, Vec<T::Native>) {
    costs.iter().enumerate().filter_map(|(row, cost)| cost.map(|c| (row, c))).unzip()
}

fn exact(costs: &Decimal128Array) -> Result<ArrayRef> {
    let (rows, needs) = players::<Decimal128Type>(costs);
    if needs.iter().any(|c| *c < 0) {
        return Err(FUNCTION.about.error("a cost is negative"));
    }
    let mut order: Vec<usize> = (0..needs.len()).collect();
    order.sort_by_key(|i| needs[*i]);
    let mut shares = vec![None; costs.len()];
    for (row, share) in rows.iter().zip(apportion::airport(&needs, &order)) {
        shares[*row] = Some(share);
    }
    Ok(Arc::new(Decimal128Array::from(shares).with_data_type(costs.data_type().clone())))
}

fn floating(costs: &Float64Array) -> Result<ArrayRef> {
    let (rows, needs) = players(costs);
    if let Some(bad) = needs.iter().find(|c| !c.is_finite() || **c < 0.0) {
        return Err(FUNCTION.about.error(format_args!("a cost is {bad}; it must be finite and not negative")));
    }
    let mut order: Vec<usize> = (0..needs.len()).collect();
    order.sort_by(|i, j| needs[*i].total_cmp(&needs[*j]));
    let mut shares = vec![None; costs.len()];
    let (mut share, mut below) = (0.0, 0.0);
    for (rank, &player) in order.iter().enumerate() {
        share += (needs[player] - below) / (needs.len() - rank) as f64;
        below = needs[player];
        shares[rows[player]] = Some(share);
    }
    Ok(Arc::new(Float64Array::from(shares)))
}
