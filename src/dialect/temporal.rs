//! Functions of dates, times and intervals: parts, truncation, zones, ages.

use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::array::{ArrayRef, AsArray, Decimal128Array, Float64Array, TimestampMicrosecondArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, IntervalUnit, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarUDF};

use super::encode::{of_data_type, type_name};
use super::function::{Call, Kind, Returns, RowFunction, float, int, text};
use super::moment::{self, Span, civil, day_number};
use super::{input, to_char};
use crate::error::{UserError, sqlstate};

pub(super) const DAY: i64 = 86_400_000_000;
const HOUR: i64 = 3_600_000_000;

const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);
const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

fn timestamptz() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A value of one of the types with parts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moment {
    Date(i64),
    Time(i64),
    /// What a clock shows, and how far it is ahead of Greenwich, in microseconds.
    Wall(i64, Option<i64>),
    Span(Span),
}

fn micros(value: &ScalarValue) -> Option<i64> {
    match value.cast_to(&TIMESTAMP).ok()? {
        ScalarValue::TimestampMicrosecond(micros, _) => micros,
        _ => None,
    }
}

/// The span of an interval or of what is left between two times.
pub(super) fn span(value: &ScalarValue) -> Option<Span> {
    let array = super::arithmetic::intervals(&value.to_array().ok()?).ok()?;
    match ScalarValue::try_from_array(&array, 0).ok()? {
        ScalarValue::IntervalMonthDayNano(Some(value)) => Some(Span {
            months: i64::from(value.months),
            days: i64::from(value.days),
            micros: value.nanoseconds / 1000,
        }),
        _ => None,
    }
}

/// A value in parts; a time with a zone as the session's clocks show it.
pub(super) fn moment(call: Call, value: &ScalarValue) -> Option<Moment> {
    if value.is_null() {
        return None;
    }
    match value.data_type() {
        DataType::Date32 | DataType::Date64 => match value.cast_to(&DataType::Date32).ok()? {
            ScalarValue::Date32(days) => days.map(|days| Moment::Date(i64::from(days))),
            _ => None,
        },
        DataType::Time32(_) | DataType::Time64(_) => {
            match value.cast_to(&DataType::Time64(TimeUnit::Microsecond)).ok()? {
                ScalarValue::Time64Microsecond(micros) => micros.map(Moment::Time),
                _ => None,
            }
        }
        DataType::Timestamp(_, zone) => {
            let value = value.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, zone.clone())).ok()?;
            let ScalarValue::TimestampMicrosecond(Some(micros), _) = value else { return None };
            wall(call, micros, zone.is_some())
        }
        DataType::Interval(_) | DataType::Duration(_) => span(value).map(Moment::Span),
        DataType::Utf8 => {
            // An untyped string is a time with a zone.
            let text = text(std::slice::from_ref(value), 0)?;
            let micros = moment::timestamptz(text, call.zone).ok()?;
            let wall = moment::to_wall(call.zone, micros)?;
            Some(Moment::Wall(wall, Some(wall - micros)))
        }
        _ => None,
    }
}

/// A time as the session's clocks show it if it has a zone, and as it is otherwise.
fn wall(call: Call, micros: i64, zoned: bool) -> Option<Moment> {
    if !zoned || call.zone == Tz::UTC || micros == i64::MAX || micros == i64::MIN {
        return Some(Moment::Wall(micros, zoned.then_some(0)));
    }
    let wall = moment::to_wall(call.zone, micros)?;
    Some(Moment::Wall(wall, Some(wall - micros)))
}

/// ISO 8601: year and week of a day.
pub(super) fn iso_week(days: i64) -> (i64, i64) {
    let thursday = days - (days + 3).rem_euclid(7) + 3;
    let (year, ..) = civil(thursday);
    (year, (thursday - day_number(year, 1, 1)) / 7 + 1)
}

/// A singular lower-case name of a field.
fn unit(name: &str) -> String {
    let lower = name.to_lowercase();
    let singular = match lower.as_str() {
        "centuries" => "century",
        "millennia" | "millenniums" => "millennium",
        "msec" | "msecs" | "ms" => "millisecond",
        "usec" | "usecs" | "us" => "microsecond",
        "sec" | "secs" => "second",
        "min" | "mins" => "minute",
        "hr" | "hrs" => "hour",
        "mon" | "mons" => "month",
        "yr" | "yrs" => "year",
        other => other.strip_suffix('s').unwrap_or(other),
    };
    singular.to_owned()
}

fn unknown(field: &str, value: &ScalarValue, recognized: bool) -> UserError {
    let name = type_name(of_data_type(&value.data_type()).oid);
    if recognized {
        UserError::new(sqlstate::NOT_SUPPORTED, format!("unit \"{field}\" not supported for type {name}"))
    } else {
        UserError::invalid(format!("unit \"{field}\" not recognized for type {name}"))
    }
}

const FIELDS: &[&str] = &[
    "microsecond",
    "millisecond",
    "second",
    "minute",
    "hour",
    "day",
    "month",
    "year",
    "week",
    "quarter",
    "decade",
    "century",
    "millennium",
    "dow",
    "isodow",
    "doy",
    "isoyear",
    "epoch",
    "julian",
    "timezone",
    "timezone_hour",
    "timezone_minute",
];

/// A part in millionths.
fn part(call: Call, field: &str, value: &ScalarValue) -> Result<Option<i128>> {
    let Some(moment) = moment(call, value) else {
        if value.is_null() {
            return Ok(None);
        }
        return Err(UserError::new("22007", format!("no date or time: {value}")).into());
    };
    match part_of(moment, field) {
        Some(part) => Ok(Some(part)),
        None => Err(unknown(field, value, FIELDS.contains(&field)).into()),
    }
}

/// The same of what is a moment; none for a field that it does not have.
fn part_of(moment: Moment, field: &str) -> Option<i128> {
    let whole = |value: i64| Some(i128::from(value) * 1_000_000);
    let of_time = |time: i64| match field {
        "microsecond" => whole(time % 60_000_000),
        "millisecond" => Some(i128::from(time % 60_000_000) * 1000),
        "second" => Some(i128::from(time % 60_000_000)),
        "minute" => whole(time / 60_000_000 % 60),
        "hour" => whole(time / HOUR),
        _ => None,
    };
    let of_date = |days: i64| {
        let (year, month, day) = civil(days);
        let shown = |year: i64| if year > 0 { year } else { year - 1 };
        let group = |length: i64| if year > 0 { (year + length - 1) / length } else { -((length - year) / length) };
        match field {
            "year" => whole(shown(year)),
            "month" => whole(month),
            "day" => whole(day),
            "quarter" => whole((month + 2) / 3),
            "decade" => whole(year.div_euclid(10)),
            "century" => whole(group(100)),
            "millennium" => whole(group(1000)),
            "week" => whole(iso_week(days).1),
            "isoyear" => whole(shown(iso_week(days).0)),
            "dow" => whole((days + 4).rem_euclid(7)),
            "isodow" => whole((days + 3).rem_euclid(7) + 1),
            "doy" => whole(days - day_number(year, 1, 1) + 1),
            "julian" => whole(days + 2_440_588),
            _ => None,
        }
    };
    match moment {
        Moment::Date(days) if field == "epoch" => whole(days * 86_400),
        Moment::Date(days) => of_date(days),
        Moment::Time(time) if field == "epoch" => Some(i128::from(time)),
        Moment::Time(time) => of_time(time),
        Moment::Wall(wall, ahead) => match (field, ahead) {
            ("epoch", _) => Some(i128::from(wall - ahead.unwrap_or(0))),
            ("timezone", Some(ahead)) => Some(i128::from(ahead)),
            ("timezone_hour", Some(ahead)) => whole(ahead / HOUR),
            ("timezone_minute", Some(ahead)) => whole(ahead / 60_000_000 % 60),
            ("julian", _) => Some(
                (i128::from(wall.div_euclid(DAY)) + 2_440_588) * 1_000_000
                    + i128::from(wall.rem_euclid(DAY)) * 1_000_000 / i128::from(DAY),
            ),
            _ => of_time(wall.rem_euclid(DAY)).or_else(|| of_date(wall.div_euclid(DAY))),
        },
        Moment::Span(span) => match field {
            "year" => whole(span.months / 12),
            "month" => whole(span.months % 12),
            "day" => whole(span.days),
            "quarter" => whole(span.months % 12 / 3 + 1),
            "decade" => whole(span.months / 120),
            "century" => whole(span.months / 1200),
            "millennium" => whole(span.months / 12_000),
            // A year has 365.25 days, a month 30.
            "epoch" => {
                let (years, months) = (i128::from(span.months / 12), i128::from(span.months % 12));
                let seconds = years * 31_557_600 + months * 2_592_000 + i128::from(span.days) * 86_400;
                Some(seconds * 1_000_000 + i128::from(span.micros))
            }
            _ => of_time(span.micros),
        },
    }
}

/// A column of times as microseconds, and whether they have a zone; none for other columns.
fn times(argument: &ColumnarValue) -> Result<Option<(TimestampMicrosecondArray, bool)>> {
    let ColumnarValue::Array(values) = argument else { return Ok(None) };
    let DataType::Timestamp(_, zone) = values.data_type() else { return Ok(None) };
    let values = cast(values, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
    Ok(Some((values.as_primitive::<TimestampMicrosecondType>().clone(), zone.is_some())))
}

/// The field that a constant first argument names.
fn constant_unit(argument: Option<&ColumnarValue>) -> Option<String> {
    match argument? {
        ColumnarValue::Scalar(value) => value.try_as_str().flatten().map(unit),
        ColumnarValue::Array(_) => None,
    }
}

/// `extract` and `date_part` of a column of times.
fn columns_of_parts(call: Call, arguments: &[ColumnarValue], target: &DataType) -> Result<Option<ArrayRef>> {
    let (Some(field), Some(argument)) = (constant_unit(arguments.first()), arguments.get(1)) else { return Ok(None) };
    let Some((times, zoned)) = times(argument)? else { return Ok(None) };
    // A field that a time does not have is told row by row.
    if part_of(Moment::Wall(0, zoned.then_some(0)), &field).is_none() {
        return Ok(None);
    }
    let part = |micros: Option<i64>| micros.and_then(|micros| part_of(wall(call, micros, zoned)?, &field));
    if let DataType::Decimal128(precision, scale) = target {
        let divisor = 10_i128.pow(u32::try_from(6 - scale).unwrap_or(0));
        let parts: Decimal128Array = times.iter().map(|micros| part(micros).map(|part| part / divisor)).collect();
        return Ok(Some(Arc::new(parts.with_precision_and_scale(*precision, *scale)?)));
    }
    #[expect(clippy::cast_precision_loss, reason = "a float is what date_part returns")]
    let parts: Float64Array = times.iter().map(|micros| part(micros).map(|part| part as f64 / 1e6)).collect();
    Ok(Some(Arc::new(parts)))
}

fn extract_scale(field: &str, from: Option<&DataType>) -> i8 {
    match field {
        "second" | "julian" => 6,
        "millisecond" => 3,
        "epoch" if !matches!(from, Some(DataType::Date32)) => 6,
        _ => 0,
    }
}

fn extracted(args: &ReturnFieldArgs<'_>) -> Result<Kind> {
    let field = args.scalar_arguments.first().copied().flatten().and_then(|value| value.try_as_str().flatten());
    let from = args.arg_fields.get(1).map(|field| field.data_type());
    Ok((DataType::Decimal128(38, field.map_or(6, |field| extract_scale(&unit(field), from))), None))
}

fn extract(call: Call, arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let (Some(field), Some(value)) = (text(arguments, 0), arguments.get(1)) else {
        return Ok(ScalarValue::Decimal128(None, 38, 0));
    };
    let field = unit(field);
    let scale = extract_scale(&field, Some(&value.data_type()));
    let divisor = match scale {
        6 => 1,
        3 => 1000,
        _ => 1_000_000,
    };
    Ok(ScalarValue::Decimal128(part(call, &field, value)?.map(|part| part / divisor), 38, scale))
}

fn date_part(call: Call, arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let (Some(field), Some(value)) = (text(arguments, 0), arguments.get(1)) else {
        return Ok(ScalarValue::Float64(None));
    };
    #[expect(clippy::cast_precision_loss, reason = "a float is what date_part returns")]
    let part = part(call, &unit(field), value)?.map(|part| part as f64 / 1e6);
    Ok(ScalarValue::Float64(part))
}

/// The beginning of the unit that a wall-clock time is in; none for an unknown unit.
fn truncated(field: &str, wall: i64) -> Option<i64> {
    let days = wall.div_euclid(DAY);
    let (year, month, _) = civil(days);
    let first = |year: i64, month: i64| day_number(year, month, 1) * DAY;
    let down = |unit: i64| wall.div_euclid(unit) * unit;
    let group = |length: i64| first((year - 1).div_euclid(length) * length + 1, 1);
    Some(match field {
        "microsecond" => wall,
        "millisecond" => down(1000),
        "second" => down(1_000_000),
        "minute" => down(60_000_000),
        "hour" => down(HOUR),
        "day" => days * DAY,
        "week" => (days - (days + 3).rem_euclid(7)) * DAY,
        "month" => first(year, month),
        "quarter" => first(year, (month - 1) / 3 * 3 + 1),
        "year" => first(year, 1),
        "decade" => first(year.div_euclid(10) * 10, 1),
        "century" => group(100),
        "millennium" => group(1000),
        _ => return None,
    })
}

/// The beginning of the unit that a moment is in, which a clock in the zone shows.
fn beginning(field: &str, zone: Tz, wall: i64, ahead: Option<i64>) -> Option<i64> {
    if wall == i64::MIN || wall == i64::MAX {
        return Some(wall);
    }
    let begin = truncated(field, wall)?;
    // Inside of a day the offset of the moment stays, so that an hour that comes twice is two.
    match ahead {
        None => Some(begin),
        Some(ahead) if matches!(field, "microsecond" | "millisecond" | "second" | "minute" | "hour") => {
            Some(begin - ahead)
        }
        Some(_) if zone == Tz::UTC => Some(begin),
        Some(_) => moment::to_utc(zone, begin),
    }
}

/// `date_trunc` of a column of times.
fn columns_of_beginnings(call: Call, arguments: &[ColumnarValue], _: &DataType) -> Result<Option<ArrayRef>> {
    let [_, argument] = arguments else { return Ok(None) };
    let Some(field) = constant_unit(arguments.first()).filter(|field| truncated(field, 0).is_some()) else {
        return Ok(None);
    };
    let Some((times, zoned)) = times(argument)? else { return Ok(None) };
    let begin = |micros: i64| match wall(call, micros, zoned)? {
        Moment::Wall(wall, ahead) => beginning(&field, call.zone, wall, ahead),
        _ => None,
    };
    let begins: TimestampMicrosecondArray = times.iter().map(|micros| micros.and_then(begin)).collect();
    Ok(Some(Arc::new(begins.with_timezone_opt(zoned.then_some("UTC")))))
}

fn truncated_type(args: &ReturnFieldArgs<'_>) -> Result<Kind> {
    Ok((
        match args.arg_fields.get(1).map(|field| field.data_type()) {
            Some(DataType::Timestamp(_, None)) => TIMESTAMP,
            Some(DataType::Interval(_) | DataType::Duration(_)) => INTERVAL,
            _ => timestamptz(),
        },
        None,
    ))
}

fn trunc_span(field: &str, span: Span) -> Option<Span> {
    let months = |unit: i64| Span { months: span.months / unit * unit, days: 0, micros: 0 };
    let time = |unit: i64| Span { micros: span.micros / unit * unit, ..span };
    Some(match field {
        "microsecond" => span,
        "millisecond" => time(1000),
        "second" => time(1_000_000),
        "minute" => time(60_000_000),
        "hour" => time(HOUR),
        "day" => Span { micros: 0, ..span },
        "month" => months(1),
        "quarter" => months(3),
        "year" => months(12),
        "decade" => months(120),
        "century" => months(1200),
        "millennium" => months(12_000),
        _ => return None,
    })
}

fn date_trunc(call: Call, arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let (Some(field), Some(value)) = (text(arguments, 0), arguments.get(1)) else { return Ok(ScalarValue::Null) };
    let zone = match text(arguments, 2) {
        Some(name) => moment::zone(name).ok_or_else(|| no_zone(name))?,
        None => call.zone,
    };
    let field = unit(field);
    let bad = || unknown(&field, value, FIELDS.contains(&field.as_str()));
    // A date is midnight of it in the zone.
    Ok(match moment(Call { zone }, value) {
        Some(Moment::Wall(wall, ahead)) => {
            truncated(&field, 0).ok_or_else(bad)?;
            ScalarValue::TimestampMicrosecond(beginning(&field, zone, wall, ahead), ahead.map(|_| "UTC".into()))
        }
        Some(Moment::Date(days)) => {
            let begin = truncated(&field, days * DAY).ok_or_else(bad)?;
            ScalarValue::TimestampMicrosecond(moment::to_utc(zone, begin), Some("UTC".into()))
        }
        Some(Moment::Span(span)) => {
            input::span_value(trunc_span(&field, span).ok_or_else(bad)?).unwrap_or(ScalarValue::Null)
        }
        _ => return Err(bad().into()),
    })
}

fn no_zone(name: &str) -> UserError {
    UserError::invalid(format!("time zone \"{name}\" not recognized"))
}

fn timezone_type(args: &ReturnFieldArgs<'_>) -> Result<Kind> {
    Ok((
        match args.arg_fields.get(1).map(|field| field.data_type()) {
            Some(DataType::Timestamp(_, None)) => timestamptz(),
            _ => TIMESTAMP,
        },
        None,
    ))
}

/// `AT TIME ZONE`: the moment at which clocks there show it, or what they show at that moment.
fn timezone(call: Call, arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let [zone, value] = arguments else { return Ok(ScalarValue::Null) };
    let to_local = !matches!(value.data_type(), DataType::Timestamp(_, None));
    let micros = match value.data_type() {
        DataType::Date32 => micros(value).and_then(|wall| moment::to_utc(call.zone, wall)),
        DataType::Utf8 => match text(arguments, 1).map(|text| moment::timestamptz(text, call.zone)) {
            Some(Ok(micros)) => Some(micros),
            Some(Err(wrong)) => {
                return Err(wrong.error("timestamp with time zone", text(arguments, 1).unwrap_or("")).into());
            }
            None => None,
        },
        DataType::Timestamp(_, zone) => match value.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, zone))? {
            ScalarValue::TimestampMicrosecond(micros, _) => micros,
            _ => None,
        },
        other => {
            let name = type_name(of_data_type(&other).oid);
            return Err(UserError::new(
                sqlstate::UNDEFINED_FUNCTION,
                format!("function timezone(unknown, {name}) does not exist"),
            )
            .into());
        }
    };
    let Some(micros) = micros else { return Ok(ScalarValue::Null) };
    let shifted = match (zone, text(arguments, 0)) {
        _ if micros == i64::MAX || micros == i64::MIN => Some(micros),
        (_, Some(name)) => Some(moment::shift(name, micros, to_local).ok_or_else(|| no_zone(name))?),
        (interval, None) => {
            span(interval).map(|span| if to_local { micros + span.micros } else { micros - span.micros })
        }
    };
    Ok(ScalarValue::TimestampMicrosecond(shifted, (!to_local).then(|| "UTC".into())))
}

fn interval(months: i64, days: i64, micros: i64) -> Result<ScalarValue> {
    input::span_value(Span { months, days, micros })
        .ok_or_else(|| UserError::new("22008", "interval out of range").into())
}

/// Signs of the parts agree, and no part is longer than the next unit.
fn justified(mut span: Span, hours: bool, days: bool) -> Span {
    if hours {
        span.days += span.micros / DAY;
        span.micros %= DAY;
    }
    if days {
        span.months += span.days / 30;
        span.days %= 30;
    }
    if days && span.months > 0 && (span.days < 0 || (span.days == 0 && span.micros < 0)) {
        (span.months, span.days) = (span.months - 1, span.days + 30);
    } else if days && span.months < 0 && (span.days > 0 || (span.days == 0 && span.micros > 0)) {
        (span.months, span.days) = (span.months + 1, span.days - 30);
    }
    if hours && span.days > 0 && span.micros < 0 {
        (span.days, span.micros) = (span.days - 1, span.micros + DAY);
    } else if hours && span.days < 0 && span.micros > 0 {
        (span.days, span.micros) = (span.days + 1, span.micros - DAY);
    }
    span
}

fn justify(arguments: &[ScalarValue], hours: bool, days: bool) -> Result<ScalarValue> {
    let Some(span) = arguments.first().and_then(span) else { return Ok(ScalarValue::Null) };
    let span = justified(span, hours, days);
    interval(span.months, span.days, span.micros)
}

fn days_in(year: i64, month: i64) -> i64 {
    let (year, month) = (year + (month - 1).div_euclid(12), (month - 1).rem_euclid(12) + 1);
    let next = if month == 12 { day_number(year + 1, 1, 1) } else { day_number(year, month + 1, 1) };
    next - day_number(year, month, 1)
}

/// Years, months, days and time between two moments (`timestamp_age`).
fn age(call: Call, arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let wall = |at: usize| match arguments.get(at).and_then(|value| moment(call, value)) {
        Some(Moment::Wall(wall, _)) => Some(wall),
        Some(Moment::Date(days)) => Some(days * DAY),
        _ => None,
    };
    let (Some(first), Some(second)) = (wall(0), wall(1)) else { return Ok(ScalarValue::Null) };
    let negative = first < second;
    let (late, early) = if negative { (second, first) } else { (first, second) };
    let ((late_year, late_month, late_day), (year, month, day)) =
        (civil(late.div_euclid(DAY)), civil(early.div_euclid(DAY)));
    let mut time = late.rem_euclid(DAY) - early.rem_euclid(DAY);
    let mut days = late_day - day;
    let mut months = (late_year - year) * 12 + late_month - month;
    if time < 0 {
        (time, days) = (time + DAY, days - 1);
    }
    while days < 0 {
        // Counted in the month of the earlier.
        days += days_in(year, month);
        months -= 1;
    }
    let sign = if negative { -1 } else { 1 };
    interval(sign * months, sign * days, sign * time)
}

/// Refuse what is no number: it would be taken for nothing.
fn numbers(name: &str, arguments: &[ScalarValue]) -> Result<()> {
    match arguments.iter().find(|argument| !argument.data_type().is_numeric()) {
        None => Ok(()),
        Some(_) => Err(UserError::new("42883", format!("function {name} does not exist for these types"))
            .hint("it takes numbers; cast what is none")
            .into()),
    }
}

fn make_interval(arguments: &[ScalarValue]) -> Result<ScalarValue> {
    numbers("make_interval", arguments)?;
    let whole = |at: usize| int(arguments, at).unwrap_or(0);
    #[expect(clippy::cast_possible_truncation, reason = "an interval that long is refused")]
    let seconds = (float(arguments, 6).unwrap_or(0.0) * 1e6).round() as i64;
    let time = whole(4)
        .checked_mul(HOUR)
        .and_then(|all| all.checked_add(whole(5).checked_mul(60_000_000)?)?.checked_add(seconds));
    let time = time.ok_or_else(|| UserError::new("22008", "interval out of range"))?;
    interval(
        whole(0).saturating_mul(12).saturating_add(whole(1)),
        whole(2).saturating_mul(7).saturating_add(whole(3)),
        time,
    )
}

fn make_timestamp(arguments: &[ScalarValue]) -> Result<ScalarValue> {
    numbers("make_timestamp", arguments)?;
    let whole = |at: usize| int(arguments, at).unwrap_or(0);
    let text = format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:09.6}",
        whole(0),
        whole(1),
        whole(2),
        whole(3),
        whole(4),
        float(arguments, 5).unwrap_or(0.0)
    );
    let wrong = |wrong: moment::Wrong| wrong.error("timestamp", &text);
    Ok(ScalarValue::TimestampMicrosecond(Some(moment::timestamp(&text).map_err(wrong)?), None))
}

fn make_time(arguments: &[ScalarValue]) -> Result<ScalarValue> {
    numbers("make_time", arguments)?;
    let whole = |at: usize| int(arguments, at).unwrap_or(0);
    let text = format!("{:02}:{:02}:{:09.6}", whole(0), whole(1), float(arguments, 2).unwrap_or(0.0));
    let wrong = |wrong: moment::Wrong| wrong.error("time", &text);
    Ok(ScalarValue::Time64Microsecond(Some(moment::time(&text).map_err(wrong)?)))
}

fn to_timestamp(call: Call, arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let zoned = |micros: Option<i64>| ScalarValue::TimestampMicrosecond(micros, Some("UTC".into()));
    if let (Some(input), Some(pattern)) = (text(arguments, 0), text(arguments, 1)) {
        let wall = to_char::read(input, pattern)?;
        return Ok(zoned(moment::to_utc(call.zone, wall)));
    }
    let Some(seconds) = float(arguments, 0) else { return Ok(zoned(None)) };
    if seconds.is_infinite() {
        return Ok(zoned(Some(if seconds > 0.0 { i64::MAX } else { i64::MIN })));
    }
    if seconds.is_nan() || seconds.abs() > 9e12 {
        return Err(UserError::new("22008", format!("timestamp out of range: \"{seconds}\"")).into());
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
    let micros = (seconds * 1e6).round_ties_even() as i64;
    Ok(zoned(Some(micros)))
}

fn to_date(arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let (Some(input), Some(pattern)) = (text(arguments, 0), text(arguments, 1)) else {
        return Ok(ScalarValue::Date32(None));
    };
    let days = to_char::read(input, pattern)?.div_euclid(DAY);
    Ok(ScalarValue::Date32(i32::try_from(days).ok()))
}

/// The functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let spans = || Returns::Always(INTERVAL, None);
    vec![
        RowFunction::with_columns("pg_extract", Returns::Of(extracted), true, columns_of_parts, extract),
        RowFunction::with_columns(
            "pg_date_part",
            Returns::Always(DataType::Float64, None),
            true,
            columns_of_parts,
            date_part,
        ),
        RowFunction::with_columns(
            "pg_date_trunc",
            Returns::Of(truncated_type),
            true,
            columns_of_beginnings,
            date_trunc,
        ),
        RowFunction::udf("timezone", Returns::Of(timezone_type), true, timezone),
        RowFunction::udf("justify_hours", spans(), true, |_, arguments| justify(arguments, true, false)),
        RowFunction::udf("justify_days", spans(), true, |_, arguments| justify(arguments, false, true)),
        RowFunction::udf("justify_interval", spans(), true, |_, arguments| justify(arguments, true, true)),
        RowFunction::udf("age", spans(), true, age),
        RowFunction::udf("pg_make_interval", spans(), true, |_, arguments| make_interval(arguments)),
        RowFunction::udf("make_timestamp", Returns::Always(TIMESTAMP, None), true, |_, arguments| {
            make_timestamp(arguments)
        }),
        RowFunction::udf(
            "make_time",
            Returns::Always(DataType::Time64(TimeUnit::Microsecond), None),
            true,
            |_, arguments| make_time(arguments),
        ),
        RowFunction::udf("pg_to_timestamp", Returns::Always(timestamptz(), None), true, to_timestamp),
        RowFunction::udf("pg_to_date", Returns::Always(DataType::Date32, None), true, |_, arguments| {
            to_date(arguments)
        }),
        RowFunction::udf("pg_to_char", Returns::Always(DataType::Utf8, None), true, to_char::to_char),
    ]
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;
    use datafusion::arrow::datatypes::IntervalMonthDayNano;

    use super::*;

    const UTC: Call = Call { zone: Tz::UTC };

    fn at(text: &str) -> ScalarValue {
        ScalarValue::TimestampMicrosecond(Some(moment::timestamp(text).unwrap()), None)
    }

    #[test]
    fn parts_are_exact() {
        let parts = |field: &str| part(UTC, field, &at("2024-02-29 12:34:56.789")).unwrap();
        assert_eq!(parts("second"), Some(56_789_000));
        assert_eq!(parts("millisecond"), Some(56_789_000_000));
        assert_eq!(parts("epoch"), Some(1_709_210_096_789_000));
        assert_eq!(parts("century"), Some(21_000_000));
        assert_eq!(iso_week(day_number(2024, 12, 31)), (2025, 1));
        let error = crate::error::Error::from(part(UTC, "fortnight", &at("2024-01-01")).unwrap_err());
        assert_eq!(error.sqlstate(), "22023");
    }

    #[test]
    fn a_day_begins_at_midnight_of_the_zone() {
        let berlin = Call { zone: Tz::Europe__Berlin };
        let value =
            ScalarValue::TimestampMicrosecond(Some(moment::timestamp("2024-02-29 23:30").unwrap()), Some("UTC".into()));
        let day = date_trunc(berlin, &[ScalarValue::from("day"), value]).unwrap();
        assert_eq!(
            day,
            ScalarValue::TimestampMicrosecond(Some(moment::timestamp("2024-02-29 23:00").unwrap()), Some("UTC".into()))
        );
    }

    #[test]
    fn ages_are_counted_in_calendar_units() {
        let between = |late: &str, early: &str| age(UTC, &[at(late), at(early)]).unwrap();
        let span = |months, days, micros: i64| {
            ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(months, days, micros * 1000)))
        };
        assert_eq!(between("2024-03-01", "2023-01-15"), span(13, 17, 0));
        assert_eq!(between("2023-01-15", "2024-03-01"), span(-13, -17, 0));
        assert_eq!(between("2023-02-15", "2024-05-01"), span(-14, -14, 0));
    }
}
