//! `split_even(amount, parts)`.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::common::Result;
use datafusion::logical_expr::Volatility;

use super::{Call, Scalar, split};
use crate::about::{ALLOCATION, About, Kind, Param};
use crate::apportion;
use crate::args::Units;

pub(super) static FUNCTION: Scalar = Scalar {
    about: About {
        name: "split_even",
        section: &ALLOCATION,
        syntax: "split_even(amount, parts)",
        description: "The amount in equal parts, as a list that sums to it exactly: parts are whole multiples of the amount's smallest unit, the first ones carry the \
                      units left over. Credits (negative amounts) mirror charges.",
        params: &[
            Param::new("amount", Kind::Amount, "A decimal or whole number."),
            Param::new(
                "parts",
                Kind::Parts,
                "How many parts, 1 to 1,000,000; or a list, of which each item gets a part.",
            ),
        ],
        required: 2,
        example: "
> SELECT split_even(CAST(100.00 AS DECIMAL(10, 2)), 3) AS by_count, split_even(-7, [10, 20, 30]) AS by_list;
+-----------------------+--------------+
| by_count              | by_list      |
+-----------------------+--------------+
| [33.34, 33.33, 33.33] | [-3, -2, -2] |
+-----------------------+--------------+
",
    },
    volatility: Volatility::Immutable,
    returns: split::returns,
    evaluate,
    overload: None,
};

/// A mistaken count must not exhaust memory.
const MOST: usize = 1_000_000;

fn evaluate(call: &Call) -> Result<ArrayRef> {
    let amounts = Units::new(&call.columns[0].array)?;
    let counts = &call.columns[1];
    let list: Option<&ListArray> = counts.array.as_list_opt();
    let mut parts = split::Parts::with_capacity(call.rows);
    for row in 0..call.rows {
        let i = counts.at(row);
        let count = match list {
            _ if counts.array.is_null(i) => None,
            Some(list) => Some(i64::from(list.value_length(i))),
            None => Some(counts.array.as_primitive::<Int64Type>().value(i)),
        };
        match (amounts.get(call.columns[0].at(row)), count) {
            (Some(amount), Some(count)) => {
                let count = usize::try_from(count).ok().filter(|n| (1..=MOST).contains(n)).ok_or_else(|| {
                    FUNCTION.about.error(format_args!("the number of parts is {count}; it must be 1 to {MOST}"))
                })?;
                apportion::even(amount, parts.push(count));
            }
            _ => parts.push_null(),
        }
    }
    parts.finish(&FUNCTION.about, call.returns)
}
