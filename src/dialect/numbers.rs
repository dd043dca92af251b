//! Functions of numbers where the engine's differ: exact ones stay exact, halves are rounded as PostgreSQL rounds them.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Float64Type, i256};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarUDF};

use super::domains::has_logarithm;
use super::function::{Call, Kind, Returns, RowFunction, float, int};
use crate::error::{UserError, sqlstate};

/// Numeric where the argument is exact, with the scale that a constant second argument asks for.
fn like_argument(args: &ReturnFieldArgs<'_>) -> Result<Kind> {
    let digits = match args.scalar_arguments.get(1) {
        Some(Some(value)) => int(&[(*value).clone()], 0),
        Some(None) => Some(10),
        None => Some(0),
    };
    let scale = i8::try_from(digits.unwrap_or(0).clamp(0, 30)).unwrap_or(0);
    Ok((
        match args.arg_fields.first().map(|field| field.data_type()) {
            Some(DataType::Float16 | DataType::Float32 | DataType::Float64 | DataType::Utf8 | DataType::Null)
            | None => DataType::Float64,
            Some(of) if of.is_integer() && args.arg_fields.len() == 1 => DataType::Float64,
            Some(_) => DataType::Decimal128(38, scale),
        },
        None,
    ))
}

fn same_or_float(args: &ReturnFieldArgs<'_>) -> Result<Kind> {
    Ok((
        match args.arg_fields.first().map(|field| field.data_type()) {
            Some(DataType::Decimal128(..) | DataType::Decimal256(..)) => DataType::Decimal128(38, 0),
            _ => DataType::Float64,
        },
        None,
    ))
}

/// The unscaled digits of an exact number with its scale.
fn exact(value: &ScalarValue) -> Option<(i256, i32)> {
    match value {
        ScalarValue::Decimal128(Some(digits), _, scale) => Some((i256::from_i128(*digits), i32::from(*scale))),
        ScalarValue::Decimal256(Some(digits), _, scale) => Some((*digits, i32::from(*scale))),
        other => int(std::slice::from_ref(other), 0).map(|whole| (i256::from_i128(i128::from(whole)), 0)),
    }
}

fn ten(power: i32) -> Option<i256> {
    i256::from_i128(10).checked_pow(u32::try_from(power).ok()?)
}

/// An exact number at another number of digits behind the point, negative before it; halves go away from zero.
fn at_digits(value: &ScalarValue, digits: i64, round: bool) -> Option<ScalarValue> {
    let (unscaled, scale) = exact(value)?;
    let digits = i32::try_from(digits.clamp(-40, 30)).ok()?;
    let kept = if scale <= digits {
        unscaled.checked_mul(ten(digits - scale)?)?
    } else {
        let unit = ten(scale - digits)?;
        let (whole, rest) = (unscaled.wrapping_div(unit), unscaled.wrapping_rem(unit));
        let half = rest.wrapping_abs().checked_mul(i256::from_i128(2))? >= unit;
        let away = if unscaled.is_negative() { i256::MINUS_ONE } else { i256::ONE };
        if round && half { whole.wrapping_add(away) } else { whole }
    };
    let (kept, scale) = if digits < 0 { (kept.checked_mul(ten(-digits)?)?, 0) } else { (kept, digits) };
    Some(ScalarValue::Decimal128(Some(kept.to_i128()?), 38, i8::try_from(scale).ok()?))
}

fn is_float(value: &ScalarValue) -> bool {
    matches!(value, ScalarValue::Float64(_) | ScalarValue::Float32(_) | ScalarValue::Float16(_))
}

fn too_large() -> UserError {
    UserError::new(sqlstate::OUT_OF_RANGE, "numeric field overflow")
}

/// A float at another number of digits behind the point, or whole.
fn float_at_digits(number: f64, digits: Option<i64>, round: bool) -> f64 {
    let factor = digits.map_or(1.0, |digits| 10_f64.powi(i32::try_from(digits.clamp(-300, 300)).unwrap_or(0)));
    let rest = number * factor;
    let whole = match (round, digits) {
        (true, None) => rest.round_ties_even(),
        (true, Some(_)) => rest.round(),
        (false, _) => rest.trunc(),
    };
    whole / factor
}

/// A column of floats or of exact numbers at a constant number of digits.
fn columns_at_digits(arguments: &[ColumnarValue], target: &DataType, round: bool) -> Result<Option<ArrayRef>> {
    let (values, digits) = match arguments {
        [ColumnarValue::Array(values)] => (values, None),
        [ColumnarValue::Array(values), ColumnarValue::Scalar(digits)] => match int(std::slice::from_ref(digits), 0) {
            Some(digits) => (values, Some(digits)),
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    if let (DataType::Float64, DataType::Float64) = (values.data_type(), target) {
        let numbers = values.as_primitive::<Float64Type>();
        let rounded: Float64Array = numbers.unary(|number| float_at_digits(number, digits, round));
        return Ok(Some(Arc::new(rounded)));
    }
    if let (DataType::Decimal128(_, scale), DataType::Decimal128(precision, target_scale)) =
        (values.data_type(), target)
    {
        let numbers = values.as_primitive::<Decimal128Type>();
        let rounded = numbers.try_unary::<_, Decimal128Type, DataFusionError>(|unscaled| {
            let value = ScalarValue::Decimal128(Some(unscaled), 38, *scale);
            match at_digits(&value, digits.unwrap_or(0), round) {
                Some(ScalarValue::Decimal128(Some(kept), _, scale)) if scale == *target_scale => Ok(kept),
                _ => Err(too_large().into()),
            }
        })?;
        return Ok(Some(Arc::new(rounded.with_precision_and_scale(*precision, *target_scale)?)));
    }
    Ok(None)
}

fn rounded(arguments: &[ScalarValue], round: bool) -> Result<ScalarValue> {
    let Some(value) = arguments.first() else { return Ok(ScalarValue::Null) };
    let alone = arguments.len() == 1;
    if is_float(value) || (alone && value.data_type().is_integer()) {
        let Some(number) = float(arguments, 0) else { return Ok(ScalarValue::Float64(None)) };
        let digits = (!alone).then(|| int(arguments, 1).unwrap_or(0));
        return Ok(ScalarValue::Float64(Some(float_at_digits(number, digits, round))));
    }
    let digits = int(arguments, 1).unwrap_or(0);
    Ok(at_digits(value, digits, round).ok_or_else(too_large)?)
}

/// The next whole number above (1) or below (-1).
fn stepped(arguments: &[ScalarValue], step: i32) -> Result<ScalarValue> {
    let Some(value) = arguments.first() else { return Ok(ScalarValue::Null) };
    if !matches!(value, ScalarValue::Decimal128(..) | ScalarValue::Decimal256(..)) {
        let number = float(arguments, 0);
        return Ok(ScalarValue::Float64(number.map(|number| if step > 0 { number.ceil() } else { number.floor() })));
    }
    let (unscaled, scale) = exact(value).ok_or_else(too_large)?;
    let unit = ten(scale).ok_or_else(too_large)?;
    let (whole, rest) = (unscaled.wrapping_div(unit), unscaled.wrapping_rem(unit));
    let beyond = rest != i256::ZERO && rest.is_negative() == (step < 0);
    let whole = if beyond { whole.wrapping_add(i256::from_i128(i128::from(step))) } else { whole };
    Ok(ScalarValue::Decimal128(Some(whole.to_i128().ok_or_else(too_large)?), 38, 0))
}

fn sign(arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let Some(value) = arguments.first() else { return Ok(ScalarValue::Null) };
    if let ScalarValue::Decimal128(Some(digits), ..) = value {
        return Ok(ScalarValue::Decimal128(Some(digits.signum()), 38, 0));
    }
    Ok(ScalarValue::Float64(float(arguments, 0).map(|number| if number == 0.0 { 0.0 } else { number.signum() })))
}

fn quotient(arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let (Some((left, left_scale)), Some((right, right_scale))) =
        (arguments.first().and_then(exact), arguments.get(1).and_then(exact))
    else {
        return Ok(ScalarValue::Decimal128(None, 38, 0));
    };
    if right == i256::ZERO {
        return Err(UserError::new(sqlstate::DIVISION_BY_ZERO, "division by zero").into());
    }
    let scale = left_scale.max(right_scale);
    let at = |digits: i256, own: i32| ten(scale - own).and_then(|factor| digits.checked_mul(factor));
    let (left, right) = (at(left, left_scale).ok_or_else(too_large)?, at(right, right_scale).ok_or_else(too_large)?);
    Ok(ScalarValue::Decimal128(Some(left.wrapping_div(right).to_i128().ok_or_else(too_large)?), 38, 0))
}

fn bucket(arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let (Some(value), Some(low), Some(high), Some(count)) =
        (float(arguments, 0), float(arguments, 1), float(arguments, 2), int(arguments, 3))
    else {
        return Ok(ScalarValue::Int32(None));
    };
    if count <= 0 || low.partial_cmp(&high).is_none_or(std::cmp::Ordering::is_eq) {
        return Err(UserError::new(
            "2201G",
            "lower bound cannot equal upper bound, and count must be greater than zero",
        )
        .into());
    }
    let (at, span) = if low < high { (value - low, high - low) } else { (low - value, low - high) };
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a bucket's number is small")]
    let bucket = if at < 0.0 {
        0
    } else if at >= span {
        count + 1
    } else {
        (at / span * count as f64) as i64 + 1
    };
    Ok(ScalarValue::Int32(i32::try_from(bucket).ok()))
}

/// The functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let log = |_: Call, arguments: &[ScalarValue]| {
        let number = match (float(arguments, 0), float(arguments, 1)) {
            (Some(base), Some(value)) if arguments.len() == 2 => has_logarithm(value)?.ln() / has_logarithm(base)?.ln(),
            (Some(value), None) if arguments.len() == 1 => has_logarithm(value)?.log10(),
            _ => return Ok(ScalarValue::Float64(None)),
        };
        Ok(ScalarValue::Float64(Some(number)))
    };
    vec![
        RowFunction::with_columns(
            "pg_round",
            Returns::Of(like_argument),
            true,
            |_, arguments, target| columns_at_digits(arguments, target, true),
            |_, arguments| rounded(arguments, true),
        ),
        RowFunction::with_columns(
            "pg_trunc",
            Returns::Of(like_argument),
            true,
            |_, arguments, target| columns_at_digits(arguments, target, false),
            |_, arguments| rounded(arguments, false),
        ),
        RowFunction::udf("pg_ceil", Returns::Of(like_argument), true, |_, arguments| stepped(arguments, 1)),
        RowFunction::udf("pg_floor", Returns::Of(like_argument), true, |_, arguments| stepped(arguments, -1)),
        RowFunction::udf("sign", Returns::Of(same_or_float), true, |_, arguments| sign(arguments)),
        RowFunction::udf("pg_div", Returns::Always(DataType::Decimal128(38, 0), None), true, |_, arguments| {
            quotient(arguments)
        }),
        RowFunction::udf("pg_log", Returns::Always(DataType::Float64, None), true, log),
        RowFunction::udf("width_bucket", Returns::Always(DataType::Int32, None), true, |_, arguments| {
            bucket(arguments)
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_numbers_are_rounded_away_from_zero() {
        let number = |digits: i128, scale: i8| ScalarValue::Decimal128(Some(digits), 38, scale);
        assert_eq!(at_digits(&number(25, 1), 0, true), Some(number(3, 0)));
        assert_eq!(at_digits(&number(-25, 1), 0, true), Some(number(-3, 0)));
        assert_eq!(at_digits(&number(-29, 1), 0, false), Some(number(-2, 0)));
        assert_eq!(at_digits(&number(1_234_567, 3), -2, true), Some(number(1200, 0)));
        assert_eq!(rounded(&[ScalarValue::Float64(Some(2.5))], true).unwrap(), ScalarValue::Float64(Some(2.0)));
    }
}
