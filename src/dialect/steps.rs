//! `generate_series` of times: from one to another in steps of an interval, in the session's zone where they have one.

use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::array::{ArrayRef, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ReturnFieldArgs, ScalarUDF};

use super::encode::{of_data_type, oid, type_name};
use super::function::{Call, Kind, Returns, RowFunction, text};
use super::moment::{self, Span, civil, day_number};
use super::temporal::{DAY, span};
use super::{bounded, cast, input};
use crate::error::{UserError, sqlstate};

/// The function that statements are rewritten to.
pub(super) const NAME: &str = "pg_series_by";

fn moments(zoned: bool) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zoned.then(|| "UTC".into()))
}

/// An array of moments if they have a zone: dates, and texts of no type, have one unless one beside them has none.
fn kind(args: &ReturnFieldArgs<'_>) -> Result<Kind> {
    let of = |at: usize| args.arg_fields.get(at).map_or(DataType::Null, |field| field.data_type().clone());
    let untyped = |at: usize| of(at).is_null() || of(at).is_string();
    let time = |at: usize| matches!(of(at), DataType::Timestamp(..) | DataType::Date32);
    let step = matches!(of(2), DataType::Interval(_) | DataType::Duration(_));
    let fits = (0..2).all(|at| untyped(at) || time(at)) && (step || untyped(2)) && args.arg_fields.len() == 3;
    if fits && (0..3).all(untyped) {
        let message = "function generate_series(unknown, unknown, unknown) is not unique";
        return Err(UserError::new("42725", message)
            .hint("Could not choose a best candidate function. You might need to add explicit type casts.")
            .into());
    }
    if !fits {
        let named = |at: usize| {
            if of(at).is_null() { "unknown" } else { type_name(of_data_type(&of(at)).oid) }
        };
        let message = format!("function generate_series({}, {}, {}) does not exist", named(0), named(1), named(2));
        return Err(UserError::new(sqlstate::UNDEFINED_FUNCTION, message)
            .hint("No function matches the given name and argument types. You might need to add explicit type casts.")
            .into());
    }
    Ok((DataType::new_list(moments(zoned(&[of(0), of(1)])), true), None))
}

fn zoned(ends: &[DataType]) -> bool {
    let with = |end: &DataType| matches!(end, DataType::Timestamp(_, Some(_)));
    let without = |end: &DataType| matches!(end, DataType::Timestamp(_, None));
    ends.iter().any(with) || !ends.iter().any(without)
}

/// A moment, or what a clock shows, in microseconds; none if it is null.
fn micros(call: Call, value: &ScalarValue, zoned: bool) -> Result<Option<i64>> {
    let kind = if zoned { oid::TIMESTAMPTZ } else { oid::TIMESTAMP };
    let value = match value {
        ScalarValue::Utf8(Some(text)) => input::value(text, kind, call.zone).map_err(cast::engine)?,
        other => cast::assigned(other.clone(), kind, call.zone)?,
    };
    match value.cast_to(&moments(zoned))? {
        ScalarValue::TimestampMicrosecond(micros, _) => Ok(micros),
        _ => Ok(None),
    }
}

/// A time later by months, then days as the clocks of a zone count them, then microseconds.
fn later(from: i64, by: Span, zone: Option<Tz>) -> Option<i64> {
    if by.months == 0 && by.days == 0 {
        return from.checked_add(by.micros);
    }
    let wall = zone.map_or(Some(from), |zone| moment::to_wall(zone, from))?;
    let (year, month, day) = civil(wall.div_euclid(DAY));
    let months = year.checked_mul(12)?.checked_add(month - 1)?.checked_add(by.months)?;
    let first = day_number(months.div_euclid(12), months.rem_euclid(12) + 1, 1);
    let next = months + 1;
    let length = day_number(next.div_euclid(12), next.rem_euclid(12) + 1, 1) - first;
    let days = (first + day.min(length) - 1).checked_add(by.days)?;
    let wall = days.checked_mul(DAY)?.checked_add(wall.rem_euclid(DAY))?;
    zone.map_or(Some(wall), |zone| moment::to_utc(zone, wall))?.checked_add(by.micros)
}

fn series(call: Call, arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let [first, last, step] = arguments else { return Ok(ScalarValue::Null) };
    let zoned = zoned(&[first.data_type(), last.data_type()]);
    let step = match text(std::slice::from_ref(step), 0) {
        Some(text) => span(&input::interval(text, "").map_err(cast::engine)?),
        None => span(step),
    };
    let ends = (micros(call, first, zoned)?, micros(call, last, zoned)?);
    let (Some(first), Some(last), Some(step)) = (ends.0, ends.1, step) else { return Ok(ScalarValue::Null) };
    // An interval has the sign of its length (`interval_cmp_value`).
    let length = (i128::from(step.months) * 30 + i128::from(step.days)) * i128::from(DAY) + i128::from(step.micros);
    if length == 0 {
        return Err(UserError::invalid("step size cannot equal zero").into());
    }
    // About as many, before memory is taken: no month is half as long as another.
    let about = ((i128::from(last) - i128::from(first)) / length / 2).max(0);
    bounded::elements(usize::try_from(about).unwrap_or(usize::MAX))?;
    let (zone, mut at, mut found) = (zoned.then_some(call.zone), first, Vec::new());
    while if length > 0 { at <= last } else { at >= last } {
        found.push(at);
        bounded::elements(found.len())?;
        at = later(at, step, zone).ok_or_else(|| UserError::new("22008", "timestamp out of range"))?;
    }
    let values = TimestampMicrosecondArray::from(found).with_data_type(moments(zoned));
    Ok(SingleRowListArrayBuilder::new(Arc::new(values) as ArrayRef).build_list_scalar())
}

/// The function.
pub(super) fn functions() -> Vec<ScalarUDF> {
    vec![RowFunction::udf(NAME, Returns::Of(kind), true, series)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_as_long_as_the_clocks_of_the_zone_say() {
        let at = |text: &str| moment::timestamptz(text, Tz::UTC).unwrap_or_default();
        let (day, month) = (Span { days: 1, ..Span::default() }, Span { months: 1, ..Span::default() });
        let berlin = Some(Tz::Europe__Berlin);
        assert_eq!(later(at("2024-03-30T23:00:00Z"), day, berlin), Some(at("2024-03-31T22:00:00Z")));
        assert_eq!(later(at("2024-03-30T23:00:00Z"), day, None), Some(at("2024-03-31T23:00:00Z")));
        assert_eq!(later(at("2024-01-31T00:00:00Z"), month, None), Some(at("2024-02-29T00:00:00Z")));
        assert_eq!(later(at("2023-12-31T00:00:00Z"), month, None), Some(at("2024-01-31T00:00:00Z")));
        assert_eq!(later(i64::MAX - 1, day, None), None);
    }
}
