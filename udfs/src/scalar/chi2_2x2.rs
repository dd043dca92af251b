//! `chi2_2x2(a, b, c, d [, yates])`.

use std::sync::Arc;

use datafusion::arrow::array::{Array, Float64Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Volatility;

use super::Scalar;
use crate::about::{About, Kind, Param, STATISTICS};
use crate::args::{Column, booleans};
use crate::stats::{TwoByTwo, chi2_tail};

pub(super) static FUNCTION: Scalar = Scalar {
    about: About {
        name: "chi2_2x2",
        section: &STATISTICS,
        syntax: "chi2_2x2(a, b, c, d [, yates])",
        description: "The p-value of Pearson's chi-squared test that the rows of the table [[a, b], [c, d]] have the same proportions (one degree of freedom). Without Yates's \
                      continuity correction unless `yates` is true: it makes the test conservative, and small counts are better served by an exact test. Null if a cell is \
                      null, negative or not finite, or a row or column is empty.",
        params: &[
            Param::new("a", Kind::Number, "Count in the first row, first column: say, failures with the change."),
            Param::new("b", Kind::Number, "First row, second column: successes with the change."),
            Param::new("c", Kind::Number, "Second row, first column: failures without."),
            Param::new("d", Kind::Number, "Second row, second column: successes without."),
            Param::new("yates", Kind::Boolean, "Apply Yates's correction; false by default."),
        ],
        required: 4,
        example: "
> SELECT round(chi2_2x2(30, 970, 12, 988), 9) AS p, round(chi2_2x2(30, 970, 12, 988, true), 9) AS p_yates, chi2_2x2(0, 10, 0, 12) AS no_failures;
+------------+-------------+-------------+
| p          | p_yates     | no_failures |
+------------+-------------+-------------+
| 0.00499911 | 0.008022019 |             |
+------------+-------------+-------------+
",
    },
    volatility: Volatility::Immutable,
    returns: |_| DataType::Float64,
    evaluate: |call| {
        let cells = call.columns.iter().take(4).map(Column::numbers).collect::<Result<Vec<_>, _>>()?;
        let yates = call.columns.get(4).map(|c| Ok::<_, datafusion::common::DataFusionError>((c, booleans(&c.array)?)));
        let yates = yates.transpose()?;
        let p = |row| {
            let yates = match yates {
                Some((column, values)) => values.is_valid(column.at(row)).then(|| values.value(column.at(row)))?,
                None => false,
            };
            let table = TwoByTwo::new([cells[0].get(row)?, cells[1].get(row)?, cells[2].get(row)?, cells[3].get(row)?])?;
            Some(chi2_tail(table.chi2(yates), 1))
        };
        Ok(Arc::new((0..call.rows).map(p).collect::<Float64Array>()))
    },
    overload: None,
};
