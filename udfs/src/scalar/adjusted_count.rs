//! `adjusted_count(trace_state)`.

use std::sync::Arc;

use datafusion::arrow::array::Float64Array;
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Volatility;

use super::Scalar;
use crate::about::{About, IDENTIFIERS, Kind, Param};

pub(super) static FUNCTION: Scalar = Scalar {
    about: About {
        name: "adjusted_count",
        section: &IDENTIFIERS,
        syntax: "adjusted_count(trace_state)",
        description: "How many spans a sampled span stands for, from the rejection threshold that OpenTelemetry's consistent probability sampling puts in the \
                      W3C `tracestate` (`ot=th:…`): 2^56 / (2^56 - threshold). Null where the threshold is absent, repeated or malformed: that says nothing \
                      about sampling, so it is not taken for 1.",
        params: &[Param::new("trace_state", Kind::Text, "The span's trace state.")],
        required: 1,
        example: "
> SELECT state, adjusted_count(state) AS spans
  FROM (VALUES ('ot=th:0'), ('vendor=x,ot=rv:6e6d1a75832a2f;th:c'), ('ot=th:fd70a4'), ('vendor=x'), ('ot=th:wrong')) AS t(state);
+------------------------------------+--------------------+
| state                              | spans              |
+------------------------------------+--------------------+
| ot=th:0                            | 1.0                |
| vendor=x,ot=rv:6e6d1a75832a2f;th:c | 4.0                |
| ot=th:fd70a4                       | 100.00009536752259 |
| vendor=x                           |                    |
| ot=th:wrong                        |                    |
+------------------------------------+--------------------+
",
    },
    volatility: Volatility::Immutable,
    returns: |_| DataType::Float64,
    evaluate: |call| {
        let states = call.columns[0].text()?;
        let counts = (0..call.rows).map(|row| states.get(row).and_then(adjusted_count));
        Ok(Arc::new(counts.collect::<Float64Array>()))
    },
    overload: None,
};

/// Thresholds have 56 bits: 14 hex digits, of which trailing zeros are left out.
const DIGITS: usize = 14;

fn adjusted_count(state: &str) -> Option<f64> {
    let vendor = only(state.split(',').filter_map(|member| member.trim_matches([' ', '\t']).strip_prefix("ot=")))?;
    let threshold = only(vendor.split(';').filter_map(|field| field.strip_prefix("th:")))?;
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if threshold.is_empty() || threshold.len() > DIGITS || !threshold.bytes().all(hex) {
        return None;
    }
    let rejected = u64::from_str_radix(threshold, 16).ok()? << (4 * (DIGITS - threshold.len()));
    let all = 1u64 << 56;
    Some(all as f64 / (all - rejected) as f64)
}

fn only<'a>(mut values: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let first = values.next();
    first.filter(|_| values.next().is_none())
}
