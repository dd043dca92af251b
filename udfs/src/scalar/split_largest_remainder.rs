//! `split_largest_remainder(amount, weights)`.

use datafusion::logical_expr::Volatility;

use super::{Scalar, split};
use crate::about::{ALLOCATION, About, Kind, Param};
use crate::apportion::Rounding;

pub(super) static FUNCTION: Scalar = Scalar {
    about: About {
        name: "split_largest_remainder",
        section: &ALLOCATION,
        syntax: "split_largest_remainder(amount, weights)",
        description: "The amount in proportion to the weights, as a list that sums to it exactly: every part is rounded towards zero, then the smallest units left over go one \
                      each to the parts that lost most, ties to the first (Hamilton's method). No part is off by a whole unit. A null weight counts as zero; a negative, \
                      infinite or NaN weight is an error, as is an amount with no weight above zero.",
        params: &[
            Param::new("amount", Kind::Amount, "A decimal or whole number; negative for a credit."),
            Param::new("weights", Kind::Weights, "A list of weights."),
        ],
        required: 2,
        example: "
> SELECT split_largest_remainder(CAST(10.00 AS DECIMAL(10, 2)), [1, 1, 1, 0]) AS thirds,
         split_largest_remainder(-100, [0.615, 0.205, 0.18]) AS credit;
+--------------------------+-----------------+
| thirds                   | credit          |
+--------------------------+-----------------+
| [3.34, 3.33, 3.33, 0.00] | [-62, -20, -18] |
+--------------------------+-----------------+
",
    },
    volatility: Volatility::Immutable,
    returns: split::returns,
    evaluate: |call| split::weighted(&FUNCTION.about, call, Rounding::LargestRemainder),
    overload: None,
};
