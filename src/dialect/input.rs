//! Values from text, as PostgreSQL's input functions read them: the parameters of clients and the strings of casts.

use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::array::new_empty_array;
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalUnit, TimeUnit, i256};
use datafusion::common::ScalarValue;
use datafusion::common::utils::SingleRowListArrayBuilder;

use super::encode::{Style, element_of, oid, type_name};
use super::moment::{self, Span, Wrong};
use crate::error::{Result, UserError, sqlstate};

/// The Arrow type of values of a PostgreSQL type.
pub fn data_type(kind: u32) -> Result<DataType> {
    if let Some(element) = element_of(kind) {
        return Ok(DataType::new_list(data_type(element)?, true));
    }
    Ok(match kind {
        oid::BOOL => DataType::Boolean,
        oid::INT2 => DataType::Int16,
        oid::INT4 => DataType::Int32,
        oid::INT8 | oid::OID | oid::REGCLASS => DataType::Int64,
        oid::FLOAT4 => DataType::Float32,
        oid::FLOAT8 => DataType::Float64,
        oid::NUMERIC => DataType::Decimal128(38, 12),
        oid::BYTEA => DataType::Binary,
        oid::DATE => DataType::Date32,
        oid::TIME => DataType::Time64(TimeUnit::Microsecond),
        oid::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        oid::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        oid::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        oid::TEXT
        | oid::VARCHAR
        | oid::BPCHAR
        | oid::NAME
        | oid::UNKNOWN
        | oid::CHAR
        | oid::JSON
        | oid::JSONB
        | oid::UUID => DataType::Utf8,
        other => {
            let error = UserError::new(
                sqlstate::NOT_SUPPORTED,
                format!("a parameter of the type with OID {other} is not supported"),
            );
            return Err(error.into());
        }
    })
}

fn invalid(kind: u32, text: &str) -> UserError {
    let name = type_name(kind);
    let code = if matches!(kind, oid::DATE | oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::INTERVAL) {
        "22007"
    } else {
        sqlstate::INVALID_TEXT
    };
    UserError::new(code, format!("invalid input syntax for type {name}: \"{text}\""))
}

/// The moment at which the clocks of a zone show a time, both in microseconds; none if there is none that can be said.
#[must_use]
pub fn shown_at(wall: i64, zone: Tz) -> Option<i64> {
    moment::to_utc(zone, wall)
}

/// A value of a type (by its OID) from its text. A `timestamptz` without a zone is in `zone`.
///
/// # Errors
/// 22P02, 22003, 22007, 22008 as PostgreSQL has them.
pub fn value(text: &str, kind: u32, zone: Tz) -> Result<ScalarValue> {
    if let Some(element) = element_of(kind) {
        return array_text(text, element, zone);
    }
    let trimmed = text.trim();
    let bad = || invalid(kind, text);
    let moment = |wrong: Wrong| wrong.error(type_name(kind), text);
    Ok(match kind {
        oid::BOOL => ScalarValue::Boolean(Some(match trimmed.to_ascii_lowercase().as_str() {
            "t" | "tr" | "tru" | "true" | "y" | "ye" | "yes" | "on" | "1" => true,
            "f" | "fa" | "fal" | "fals" | "false" | "n" | "no" | "of" | "off" | "0" => false,
            _ => return Err(bad().into()),
        })),
        oid::INT2 => ScalarValue::Int16(Some(integer(trimmed, kind)?)),
        oid::INT4 => ScalarValue::Int32(Some(integer(trimmed, kind)?)),
        oid::INT8 | oid::OID | oid::REGCLASS => ScalarValue::Int64(Some(integer(trimmed, kind)?)),
        oid::FLOAT4 => {
            let value: f32 = trimmed.parse().map_err(|_| bad())?;
            in_range(trimmed, value.is_infinite(), value == 0.0, kind)?;
            ScalarValue::Float32(Some(value))
        }
        oid::FLOAT8 => {
            let value: f64 = trimmed.parse().map_err(|_| bad())?;
            in_range(trimmed, value.is_infinite(), value == 0.0, kind)?;
            ScalarValue::Float64(Some(value))
        }
        oid::NUMERIC => numeric(trimmed, text)?,
        oid::BYTEA => ScalarValue::Binary(Some(bytea(text)?)),
        oid::DATE => ScalarValue::Date32(Some(moment::date(text).map_err(moment)?)),
        oid::TIME => ScalarValue::Time64Microsecond(Some(moment::time(text).map_err(moment)?)),
        oid::TIMESTAMP => ScalarValue::TimestampMicrosecond(Some(moment::timestamp(text).map_err(moment)?), None),
        oid::TIMESTAMPTZ => {
            let micros = moment::timestamptz(text, zone).map_err(moment)?;
            ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()))
        }
        oid::INTERVAL => interval(text, "")?,
        oid::UUID => ScalarValue::Utf8(Some(uuid::Uuid::try_parse(trimmed).map_err(|_| bad())?.to_string())),
        oid::JSON => {
            serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| not_json(&error))?;
            ScalarValue::Utf8(Some(text.to_owned()))
        }
        oid::JSONB => {
            let value: serde_json::Value = serde_json::from_str(text).map_err(|error| not_json(&error))?;
            ScalarValue::Utf8(Some(super::json::jsonb(&value)))
        }
        _ => ScalarValue::Utf8(Some(text.to_owned())),
    })
}

/// The same with `now`, `today` and their kin as the times that they are; `now` is in microseconds since the epoch.
///
/// # Errors
/// As [`value`].
pub fn value_at(text: &str, kind: u32, zone: Tz, now: i64) -> Result<ScalarValue> {
    match dated(text, kind, now, zone) {
        Some(dated) => value(&dated, kind, zone),
        None => value(text, kind, zone),
    }
}

/// The text of a time with `now`, `today`, `yesterday` and `tomorrow` as the times that they are; none if it has no such
/// word. `now` is in microseconds since the epoch.
#[must_use]
pub fn dated(text: &str, kind: u32, now: i64, zone: Tz) -> Option<String> {
    if !matches!(kind, oid::DATE | oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ) {
        return None;
    }
    let shown = |value: ScalarValue| Style { zone }.texts(&value.to_array().ok()?).ok()?.pop().flatten();
    let wall = moment::to_wall(zone, now)?;
    let day = |after: i64| {
        shown(ScalarValue::Date32(Some(i32::try_from(wall.div_euclid(super::temporal::DAY) + after).ok()?)))
    };
    let mut any = false;
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        let meant = match word.to_ascii_lowercase().as_str() {
            "now" if kind == oid::TIMESTAMPTZ => {
                shown(ScalarValue::TimestampMicrosecond(Some(now), Some("UTC".into())))
            }
            "now" => shown(ScalarValue::TimestampMicrosecond(Some(wall), None)),
            "yesterday" => day(-1),
            "today" => day(0),
            "tomorrow" => day(1),
            _ => None,
        };
        any |= meant.is_some();
        words.push(meant.unwrap_or_else(|| word.to_owned()));
    }
    any.then(|| words.join(" "))
}

fn not_json(error: &serde_json::Error) -> UserError {
    UserError::new(sqlstate::INVALID_TEXT, "invalid input syntax for type json").detail(error.to_string())
}

/// An interval; `unit` is that of a number without one.
pub(super) fn interval(text: &str, unit: &str) -> Result<ScalarValue> {
    let wrong = |wrong: Wrong| match wrong {
        Wrong::Range => UserError::new("22015", format!("interval field value out of range: \"{text}\"")),
        other => other.error("interval", text),
    };
    let span = moment::interval(text, unit).map_err(wrong)?;
    span_value(span).ok_or_else(|| wrong(Wrong::Range).into())
}

/// An interval of whole microseconds, if it is not too long.
pub(super) fn span_value(span: Span) -> Option<ScalarValue> {
    let value = IntervalMonthDayNano::new(
        i32::try_from(span.months).ok()?,
        i32::try_from(span.days).ok()?,
        span.micros.checked_mul(1000)?,
    );
    Some(ScalarValue::IntervalMonthDayNano(Some(value)))
}

/// A number that is too large or too small for a float is an error, not infinity or zero.
fn in_range(text: &str, infinite: bool, zero: bool, kind: u32) -> Result<()> {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let lost = (infinite && !text.to_ascii_lowercase().contains("inf"))
        || (zero && mantissa.bytes().any(|byte| (b'1'..=b'9').contains(&byte)));
    if lost {
        let message = format!("\"{text}\" is out of range for type {}", type_name(kind));
        return Err(UserError::new(sqlstate::OUT_OF_RANGE, message).into());
    }
    Ok(())
}

fn numeric(trimmed: &str, text: &str) -> Result<ScalarValue> {
    if let Some(value) = numeric_text(trimmed) {
        return Ok(value);
    }
    if matches!(trimmed.to_ascii_lowercase().trim_start_matches(['-', '+']), "nan" | "inf" | "infinity") {
        return Err(UserError::new(sqlstate::NOT_SUPPORTED, format!("numeric cannot be {trimmed} here"))
            .hint("double precision can")
            .into());
    }
    let digits = trimmed.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'));
    if digits && trimmed.bytes().any(|byte| byte.is_ascii_digit()) {
        return Err(
            UserError::new(sqlstate::OUT_OF_RANGE, format!("numeric \"{trimmed}\" has more than 76 digits")).into()
        );
    }
    Err(invalid(oid::NUMERIC, text).into())
}

fn integer<T: std::str::FromStr<Err = std::num::ParseIntError>>(text: &str, kind: u32) -> Result<T> {
    text.parse().map_err(|error: std::num::ParseIntError| {
        use std::num::IntErrorKind::{NegOverflow, PosOverflow};
        match error.kind() {
            NegOverflow | PosOverflow => {
                let name = type_name(kind);
                UserError::new(sqlstate::OUT_OF_RANGE, format!("value \"{text}\" is out of range for type {name}"))
                    .into()
            }
            _ => invalid(kind, text).into(),
        }
    })
}

/// A numeric with exactly the digits that were written; none if it is no number or has more than 76 digits.
#[must_use]
pub fn numeric_text(text: &str) -> Option<ScalarValue> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() + fraction.len() == 0 || !whole.bytes().chain(fraction.bytes()).all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let mut all = format!("{whole}{fraction}");
    let mut scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    if scale < 0 {
        let zeros = usize::try_from(-scale).ok().filter(|zeros| *zeros < 76)?;
        all.extend(std::iter::repeat_n('0', zeros));
        scale = 0;
    }
    let all = all.trim_start_matches('0');
    let places = usize::try_from(scale).ok()?;
    let precision = u8::try_from(all.len().max(places).max(1)).ok()?;
    let scale = i8::try_from(scale).ok()?;
    let unscaled = format!("{sign}{}", if all.is_empty() { "0" } else { all });
    match precision {
        ..=38 => Some(ScalarValue::Decimal128(Some(unscaled.parse().ok()?), 38, scale)),
        39..=76 => Some(ScalarValue::Decimal256(Some(i256::from_string(&unscaled)?), 76, scale)),
        _ => None,
    }
}

fn bytea(text: &str) -> Result<Vec<u8>> {
    let Some(digits) = text.strip_prefix("\\x") else {
        return escaped(text).ok_or_else(|| invalid(oid::BYTEA, text).into());
    };
    let digits: String = digits.chars().filter(|letter| !letter.is_whitespace()).collect();
    if let Some(bad) = digits.chars().find(|letter| !letter.is_ascii_hexdigit()) {
        return Err(UserError::invalid(format!("invalid hexadecimal digit: \"{bad}\"")).into());
    }
    hex::decode(digits).map_err(|_| UserError::invalid("invalid hexadecimal data: odd number of digits").into())
}

fn escaped(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if *byte != b'\\' {
            out.push(*byte);
            at += 1;
        } else if bytes.get(at + 1) == Some(&b'\\') {
            out.push(b'\\');
            at += 2;
        } else {
            let octal = std::str::from_utf8(bytes.get(at + 1..at + 4)?).ok()?;
            out.push(u8::from_str_radix(octal, 8).ok()?);
            at += 4;
        }
    }
    Some(out)
}

/// `{a,"b c",NULL}`, of one dimension.
fn array_text(text: &str, element: u32, zone: Tz) -> Result<ScalarValue> {
    let malformed = || UserError::new(sqlstate::INVALID_TEXT, format!("malformed array literal: \"{text}\""));
    let inner = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or_else(malformed)?;
    let mut values = Vec::new();
    let mut letters = inner.chars().peekable();
    while !inner.trim().is_empty() {
        let (mut item, mut quoted) = (String::new(), false);
        while letters.peek().is_some_and(|letter| letter.is_whitespace()) {
            letters.next();
        }
        if letters.peek() == Some(&'"') {
            letters.next();
            quoted = true;
            loop {
                match letters.next().ok_or_else(malformed)? {
                    '"' => break,
                    '\\' => item.push(letters.next().ok_or_else(malformed)?),
                    other => item.push(other),
                }
            }
            while letters.peek().is_some_and(|letter| letter.is_whitespace()) {
                letters.next();
            }
        } else {
            while let Some(letter) = letters.next_if(|letter| *letter != ',') {
                match letter {
                    '{' | '}' | '"' => return Err(malformed().into()),
                    '\\' => item.push(letters.next().ok_or_else(malformed)?),
                    other => item.push(other),
                }
            }
            item.truncate(item.trim_end().len());
            if item.is_empty() {
                return Err(malformed().into());
            }
        }
        let null = !quoted && item.eq_ignore_ascii_case("null");
        values.push(if null { ScalarValue::try_from(&data_type(element)?)? } else { value(&item, element, zone)? });
        match letters.next() {
            None => break,
            Some(',') if letters.peek().is_some() => {}
            Some(_) => return Err(malformed().into()),
        }
    }
    list(values, element)
}

/// Values of one type as an array.
///
/// # Errors
/// When one is not of the type.
pub fn list(values: Vec<ScalarValue>, element: u32) -> Result<ScalarValue> {
    let mut target = data_type(element)?;
    if element == oid::NUMERIC {
        // One scale for all: the largest that was sent.
        let scale = values
            .iter()
            .map(|value| if let ScalarValue::Decimal128(Some(_), _, scale) = value { *scale } else { 0 })
            .max();
        target = DataType::Decimal128(38, scale.unwrap_or(0));
    }
    let arrays = values.iter().map(|value| value.cast_to(&target)?.to_array()).collect::<Result<Vec<_>, _>>()?;
    let parts: Vec<_> = arrays.iter().map(Arc::as_ref).collect();
    let array = if parts.is_empty() { new_empty_array(&target) } else { concat(&parts)? };
    Ok(SingleRowListArrayBuilder::new(array).with_nullable(true).build_list_scalar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_times_are_those_of_the_zones_day() {
        // 2026-03-18 03:30 in Greenwich is the evening before in New York.
        let (now, zone) = (1_773_804_600_000_000, Tz::America__New_York);
        let of = |text: &str, kind: u32| dated(text, kind, now, zone);
        assert_eq!(of("now", oid::TIMESTAMPTZ).as_deref(), Some("2026-03-17 23:30:00-04"));
        assert_eq!(of(" NOW ", oid::TIMESTAMP).as_deref(), Some("2026-03-17 23:30:00"));
        assert_eq!(of("tomorrow 10:15", oid::TIMESTAMPTZ).as_deref(), Some("2026-03-18 10:15"));
        assert_eq!(of("yesterday", oid::DATE).as_deref(), Some("2026-03-16"));
        assert_eq!(of("2026-03-17", oid::DATE), None);
        assert_eq!(of("now", oid::TEXT), None);
    }
}
