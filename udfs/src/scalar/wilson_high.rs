//! `wilson_high(k, n [, z])`.

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Volatility;

use super::{Scalar, wilson};
use crate::about::{About, STATISTICS};

pub(super) static FUNCTION: Scalar = Scalar {
    about: About {
        name: "wilson_high",
        section: &STATISTICS,
        syntax: "wilson_high(k, n [, z])",
        description: "The upper bound of Wilson's score interval for a proportion of which k successes in n trials were seen (Wilson 1927, without continuity correction). \
                      Unlike k/n it is not certain after three trials. Null unless 0 <= k <= n and n > 0.",
        params: wilson::PARAMS,
        required: 2,
        example: "
> SELECT round(wilson_high(0, 3), 6) AS none_of_3, round(wilson_high(30, 1000), 6) AS of_1000, round(wilson_high(30, 1000, 2.5758293), 6) AS at_99_percent;
+-----------+----------+---------------+
| none_of_3 | of_1000  | at_99_percent |
+-----------+----------+---------------+
| 0.561497  | 0.042503 | 0.047289      |
+-----------+----------+---------------+
",
    },
    volatility: Volatility::Immutable,
    returns: |_| DataType::Float64,
    evaluate: |call| wilson::evaluate(call, |bounds| bounds.1),
    overload: None,
};
