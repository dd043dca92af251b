//! `split_weighted(amount, weights)`.

use datafusion::logical_expr::Volatility;

use super::{Scalar, split};
use crate::about::{ALLOCATION, About, Kind, Param};
use crate::apportion::Rounding;

pub(super) static FUNCTION: Scalar = Scalar {
    about: About {
        name: "split_weighted",
        section: &ALLOCATION,
        syntax: "split_weighted(amount, weights)",
        description: "The amount in proportion to the weights, as a list that sums to it exactly, by rounding running totals: at every place of the list the sum so far is within \
                      half a smallest unit of its exact value, which suits lists that have an order, such as the days of a month. Where the order means nothing, \
                      `split_largest_remainder` is fairer. A null weight counts as zero; a negative, infinite or NaN weight is an error, as is an amount with no weight \
                      above zero.",
        params: &[
            Param::new("amount", Kind::Amount, "A decimal or whole number; negative for a credit."),
            Param::new("weights", Kind::Weights, "A list of weights."),
        ],
        required: 2,
        example: "
> SELECT split_weighted(CAST(10.00 AS DECIMAL(10, 2)), [1, 1, 1, 0]) AS parts;
+--------------------------+
| parts                    |
+--------------------------+
| [3.33, 3.34, 3.33, 0.00] |
+--------------------------+
",
    },
    volatility: Volatility::Immutable,
    returns: split::returns,
    evaluate: |call| split::weighted(&FUNCTION.about, call, Rounding::RunningTotal),
    overload: None,
};
