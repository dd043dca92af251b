//! `g_test(a, b, c, d)` and `g_test(observed [, expected])`.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Float64Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::Volatility;

use super::{Call, Overload, Scalar};
use crate::about::{About, Kind, Param, STATISTICS};
use crate::args::{Column, lists, numbers};
use crate::stats::{TwoByTwo, chi2_tail, g_statistic};

pub(super) static FUNCTION: Scalar = Scalar {
    about: About {
        name: "g_test",
        section: &STATISTICS,
        syntax: "g_test(a, b, c, d) | g_test(observed [, expected])",
        description: "The p-value of the likelihood-ratio (G) test. With four counts: that the rows of the table [[a, b], [c, d]] have the same proportions, as `chi2_2x2`, but \
                      better behaved when proportions are tiny. With lists: that the observed counts follow the expected ones (rescaled to the same sum; all equal if \
                      not given), with one degree of freedom less than there are items. Null if a count is null, negative or not finite, or nothing is compared; 0 if \
                      something was observed where nothing is expected.",
        params: &[
            Param::new("observed", Kind::Weights, "Counts, one for each category; or four arguments, the cells of a table row by row."),
            Param::new("expected", Kind::Weights, "What would be expected in each, in any unit."),
        ],
        required: 1,
        example: "
> SELECT round(g_test(30, 970, 12, 988), 9) AS two_by_two, round(g_test([29, 24, 22, 19, 21], [1, 1, 1, 1, 1]), 9) AS fit, round(g_test([48, 12], [3, 1]), 9) AS three_to_one;
+-------------+------------+--------------+
| two_by_two  | fit        | three_to_one |
+-------------+------------+--------------+
| 0.004341418 | 0.65350943 | 0.359324481  |
+-------------+------------+--------------+
",
    },
    volatility: Volatility::Immutable,
    returns: |_| DataType::Float64,
    evaluate: |call| if call.columns.len() == 4 { two_by_two(call) } else { goodness_of_fit(call) },
    overload: Some(Overload {
        params: &[
            Param::new("a", Kind::Number, "Count in the first row, first column."),
            Param::new("b", Kind::Number, "First row, second column."),
            Param::new("c", Kind::Number, "Second row, first column."),
            Param::new("d", Kind::Number, "Second row, second column."),
        ],
        coerce: |about, given| {
            let list = DataType::new_list(DataType::Float64, true);
            let numeric = |t: &DataType| Kind::Number.accepts(t).is_some();
            let listed = |t: &DataType| Kind::Weights.accepts(t).is_some();
            match given.len() {
                4 if given.iter().all(numeric) => Ok(vec![DataType::Float64; 4]),
                1 | 2 if given.iter().all(listed) => Ok(vec![list; given.len()]),
                _ => plan_err!("{} takes four numbers or one or two lists of numbers: {}", about.name, about.syntax),
            }
        },
    }),
};

fn two_by_two(call: &Call) -> Result<ArrayRef> {
    let cells = call.columns.iter().map(Column::numbers).collect::<Result<Vec<_>>>()?;
    let p = |row| {
        let table = TwoByTwo::new([cells[0].get(row)?, cells[1].get(row)?, cells[2].get(row)?, cells[3].get(row)?])?;
        Some(chi2_tail(table.g(), 1))
    };
    Ok(Arc::new((0..call.rows).map(p).collect::<Float64Array>()))
}

fn goodness_of_fit(call: &Call) -> Result<ArrayRef> {
    let mut p = Vec::with_capacity(call.rows);
    let (mut observed, mut expected) = (Vec::new(), Vec::new());
    for row in 0..call.rows {
        let mut known = read(&call.columns[0], row, &mut observed)?;
        match call.columns.get(1) {
            Some(column) => known &= read(column, row, &mut expected)?,
            None => {
                expected.clear();
                expected.resize(observed.len(), 1.0);
            }
        }
        if known && observed.len() != expected.len() {
            let (o, e) = (observed.len(), expected.len());
            return Err(FUNCTION.about.error(format_args!("{o} observed counts, but {e} expected ones")));
        }
        p.push(if known { fit(&observed, &expected) } else { None });
    }
    Ok(Arc::new(Float64Array::from(p)))
}

/// Reads a row's list. False if it or an item of it is null.
fn read(column: &Column, row: usize, into: &mut Vec<f64>) -> Result<bool> {
    let (lists, row) = (lists(&column.array)?, column.at(row));
    let values = numbers(lists.values())?;
    into.clear();
    if lists.is_null(row) {
        return Ok(false);
    }
    let offsets = lists.value_offsets();
    let range = offsets[row] as usize..offsets[row + 1] as usize;
    into.extend_from_slice(&values.values()[range.clone()]);
    Ok(range.into_iter().all(|i| values.is_valid(i)))
}

fn fit(observed: &[f64], expected: &[f64]) -> Option<f64> {
    let counts = |values: &[f64]| values.iter().all(|v| *v >= 0.0 && v.is_finite());
    let (all_observed, all_expected): (f64, f64) = (observed.iter().sum(), expected.iter().sum());
    let sums = [all_observed, all_expected].iter().all(|s| *s > 0.0 && s.is_finite());
    if observed.len() < 2 || !counts(observed) || !counts(expected) || !sums {
        return None;
    }
    let scaled = expected.iter().map(|e| e / all_expected * all_observed);
    let g = g_statistic(observed.iter().copied().zip(scaled));
    let freedom = u32::try_from(observed.len() - 1).ok()?;
    Some(if g == f64::INFINITY { 0.0 } else { chi2_tail(g, freedom) })
}
