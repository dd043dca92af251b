//! Parameters of prepared statements: their types, and their values in both formats.

use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::array::new_empty_array;
use datafusion::arrow::compute::{CastOptions, cast_with_options, concat};
use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalUnit, TimeUnit, i256};
use datafusion::common::ScalarValue;
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::sql::sqlparser::ast::{ArrayElemTypeDef, DataType as SqlType, ExactNumberInfo, TimezoneInfo};

use super::encode::{EPOCH_DAYS, EPOCH_MICROS, Format, element_of, oid};
use crate::error::{Result, UserError, sqlstate};

/// The Arrow type of values of a PostgreSQL type.
pub(super) fn data_type(kind: u32) -> Result<DataType> {
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

/// The SQL spelling of an Arrow type, by which the planner is told a parameter's type.
pub(super) fn sql_type(data_type: &DataType) -> SqlType {
    match data_type {
        DataType::Boolean => SqlType::Boolean,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => SqlType::SmallInt(None),
        DataType::Int32 | DataType::UInt16 => SqlType::Integer(None),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => SqlType::BigInt(None),
        DataType::Float16 | DataType::Float32 => SqlType::Real,
        DataType::Float64 => SqlType::DoublePrecision,
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            SqlType::Numeric(ExactNumberInfo::PrecisionAndScale(u64::from(*precision), i64::from(*scale)))
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => SqlType::Bytea,
        DataType::Date32 | DataType::Date64 => SqlType::Date,
        DataType::Time32(_) | DataType::Time64(_) => SqlType::Time(None, TimezoneInfo::None),
        DataType::Timestamp(_, None) => SqlType::Timestamp(Some(6), TimezoneInfo::None),
        DataType::Timestamp(_, Some(_)) => SqlType::Timestamp(Some(6), TimezoneInfo::Tz),
        DataType::Interval(_) | DataType::Duration(_) => SqlType::Interval { fields: None, precision: None },
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            SqlType::Array(ArrayElemTypeDef::SquareBracket(Box::new(sql_type(element.data_type())), None))
        }
        DataType::Dictionary(_, value) => sql_type(value),
        _ => SqlType::Text,
    }
}

/// A value that a client sent.
pub(super) fn decode(bytes: &[u8], format: Format, kind: u32, zone: Tz) -> Result<ScalarValue> {
    match format {
        Format::Text => {
            let text = std::str::from_utf8(bytes)
                .map_err(|_| UserError::new("22021", "invalid byte sequence for encoding \"UTF8\""))?;
            if text.contains('\0') {
                return Err(UserError::new("22021", "invalid byte sequence for encoding \"UTF8\": 0x00").into());
            }
            text_value(text, kind, zone)
        }
        Format::Binary => binary_value(bytes, kind),
    }
}

fn invalid(kind: u32, text: &str) -> UserError {
    let name = super::encode::type_name(kind);
    let code = if matches!(kind, oid::DATE | oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::INTERVAL) {
        "22007"
    } else {
        sqlstate::INVALID_TEXT
    };
    UserError::new(code, format!("invalid input syntax for type {name}: \"{text}\""))
}

fn text_value(text: &str, kind: u32, zone: Tz) -> Result<ScalarValue> {
    if let Some(element) = element_of(kind) {
        return array_text(text, element, zone);
    }
    let trimmed = text.trim();
    let bad = || invalid(kind, text);
    Ok(match kind {
        oid::BOOL => ScalarValue::Boolean(Some(match trimmed.to_ascii_lowercase().as_str() {
            "t" | "tr" | "tru" | "true" | "y" | "ye" | "yes" | "on" | "1" => true,
            "f" | "fa" | "fal" | "fals" | "false" | "n" | "no" | "of" | "off" | "0" => false,
            _ => return Err(bad().into()),
        })),
        oid::INT2 => ScalarValue::Int16(Some(integer(trimmed, kind)?)),
        oid::INT4 => ScalarValue::Int32(Some(integer(trimmed, kind)?)),
        oid::INT8 | oid::OID | oid::REGCLASS => ScalarValue::Int64(Some(integer(trimmed, kind)?)),
        oid::FLOAT4 => ScalarValue::Float32(Some(trimmed.parse().map_err(|_| bad())?)),
        oid::FLOAT8 => ScalarValue::Float64(Some(trimmed.parse().map_err(|_| bad())?)),
        oid::NUMERIC => numeric_text(trimmed).ok_or_else(bad)?,
        oid::BYTEA => ScalarValue::Binary(Some(bytea_text(text).ok_or_else(bad)?)),
        oid::TIMESTAMPTZ => {
            let data_type = DataType::Timestamp(TimeUnit::Microsecond, Some(zone.name().into()));
            let value = parsed(trimmed, &data_type).ok_or_else(bad)?;
            value.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))?
        }
        oid::INTERVAL => parsed(&spelled_interval(trimmed), &data_type(kind)?).ok_or_else(bad)?,
        oid::DATE | oid::TIME | oid::TIMESTAMP => parsed(trimmed, &data_type(kind)?).ok_or_else(bad)?,
        _ => ScalarValue::Utf8(Some(text.to_owned())),
    })
}

/// An interval with its clock part in words: `1 day 02:03:04.5` as `1 day 2 hours 3 minutes 4.5 seconds`.
fn spelled_interval(text: &str) -> String {
    let word = |word: &str| {
        let (sign, clock) = word.strip_prefix('-').map_or(("", word), |rest| ("-", rest));
        let parts: Vec<&str> = clock.trim_start_matches('+').split(':').collect();
        match parts.as_slice() {
            [hours, minutes] => format!("{sign}{hours} hours {sign}{minutes} minutes"),
            [hours, minutes, seconds] => format!("{sign}{hours} hours {sign}{minutes} minutes {sign}{seconds} seconds"),
            _ => word.to_owned(),
        }
    };
    text.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

fn parsed(text: &str, data_type: &DataType) -> Option<ScalarValue> {
    let array = ScalarValue::Utf8(Some(text.to_owned())).to_array().ok()?;
    let cast = cast_with_options(&array, data_type, &CastOptions { safe: false, ..CastOptions::default() }).ok()?;
    ScalarValue::try_from_array(&cast, 0).ok().filter(|value| !value.is_null())
}

fn integer<T: std::str::FromStr<Err = std::num::ParseIntError>>(text: &str, kind: u32) -> Result<T> {
    text.parse().map_err(|error: std::num::ParseIntError| {
        use std::num::IntErrorKind::{NegOverflow, PosOverflow};
        match error.kind() {
            NegOverflow | PosOverflow => {
                let name = super::encode::type_name(kind);
                UserError::new(sqlstate::OUT_OF_RANGE, format!("value \"{text}\" is out of range for type {name}"))
                    .into()
            }
            _ => invalid(kind, text).into(),
        }
    })
}

/// A numeric with exactly the digits that were sent.
fn numeric_text(text: &str) -> Option<ScalarValue> {
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

fn bytea_text(text: &str) -> Option<Vec<u8>> {
    if let Some(digits) = text.strip_prefix("\\x") {
        return hex::decode(digits).ok();
    }
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
        values.push(if null {
            ScalarValue::try_from(&data_type(element)?)?
        } else {
            text_value(&item, element, zone)?
        });
        match letters.next() {
            None => break,
            Some(',') if letters.peek().is_some() => {}
            Some(_) => return Err(malformed().into()),
        }
    }
    list(values, element)
}

fn list(values: Vec<ScalarValue>, element: u32) -> Result<ScalarValue> {
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

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| UserError::new("22P03", "incorrect binary data format in a parameter").into())
}

fn binary_value(bytes: &[u8], kind: u32) -> Result<ScalarValue> {
    if let Some(element) = element_of(kind) {
        return array_binary(bytes, element);
    }
    let bad = || UserError::new("22P03", "incorrect binary data format in a parameter");
    Ok(match kind {
        oid::BOOL => ScalarValue::Boolean(Some(fixed::<1>(bytes)? != [0])),
        oid::INT2 => ScalarValue::Int16(Some(i16::from_be_bytes(fixed(bytes)?))),
        oid::INT4 => ScalarValue::Int32(Some(i32::from_be_bytes(fixed(bytes)?))),
        oid::INT8 => ScalarValue::Int64(Some(i64::from_be_bytes(fixed(bytes)?))),
        oid::OID | oid::REGCLASS => ScalarValue::Int64(Some(i64::from(u32::from_be_bytes(fixed(bytes)?)))),
        oid::FLOAT4 => ScalarValue::Float32(Some(f32::from_be_bytes(fixed(bytes)?))),
        oid::FLOAT8 => ScalarValue::Float64(Some(f64::from_be_bytes(fixed(bytes)?))),
        oid::NUMERIC => numeric_binary(bytes).ok_or_else(bad)?,
        oid::BYTEA => ScalarValue::Binary(Some(bytes.to_vec())),
        oid::DATE => {
            ScalarValue::Date32(Some(i32::from_be_bytes(fixed(bytes)?).checked_add(EPOCH_DAYS).ok_or_else(bad)?))
        }
        oid::TIME => ScalarValue::Time64Microsecond(Some(i64::from_be_bytes(fixed(bytes)?))),
        oid::TIMESTAMP | oid::TIMESTAMPTZ => {
            let micros = i64::from_be_bytes(fixed(bytes)?).checked_add(EPOCH_MICROS).ok_or_else(bad)?;
            let zone = (kind == oid::TIMESTAMPTZ).then(|| "UTC".into());
            ScalarValue::TimestampMicrosecond(Some(micros), zone)
        }
        oid::INTERVAL => {
            let (micros, rest) = bytes.split_at_checked(8).ok_or_else(bad)?;
            let (days, months) = rest.split_at_checked(4).ok_or_else(bad)?;
            let nanos = i64::from_be_bytes(fixed(micros)?).checked_mul(1000).ok_or_else(bad)?;
            let value =
                IntervalMonthDayNano::new(i32::from_be_bytes(fixed(months)?), i32::from_be_bytes(fixed(days)?), nanos);
            ScalarValue::IntervalMonthDayNano(Some(value))
        }
        oid::UUID => ScalarValue::Utf8(Some(uuid::Uuid::from_bytes(fixed(bytes)?).to_string())),
        oid::JSONB => {
            return text_value(
                std::str::from_utf8(bytes.get(1..).unwrap_or(&[])).map_err(|_| bad())?,
                oid::JSONB,
                Tz::UTC,
            );
        }
        _ => return decode(bytes, Format::Text, oid::TEXT, Tz::UTC),
    })
}

fn numeric_binary(bytes: &[u8]) -> Option<ScalarValue> {
    let short = |at: usize| Some(i16::from_be_bytes(bytes.get(at * 2..at * 2 + 2)?.try_into().ok()?));
    let (groups, weight, sign, scale) = (usize::try_from(short(0)?).ok()?, i32::from(short(1)?), short(2)?, short(3)?);
    let mut text = String::new();
    if sign == 0x4000 {
        text.push('-');
    } else if sign != 0 {
        return None;
    }
    let scale = usize::try_from(scale).ok()?;
    let mut fraction = String::new();
    // Digits before the point are groups 0..=weight; a numeric has at most 76 of them here.
    if !(-20..20).contains(&weight) || groups > 40 || scale > 76 {
        return None;
    }
    let group = |position: i32| match usize::try_from(position) {
        Ok(position) if position < groups => short(4 + position).filter(|value| (0..10_000).contains(value)),
        _ => Some(0),
    };
    if weight < 0 {
        text.push('0');
    }
    for position in 0..=weight {
        text.push_str(&format!("{:04}", group(position)?));
    }
    let mut position = weight + 1;
    while fraction.len() < scale {
        fraction.push_str(&format!("{:04}", group(position)?));
        position += 1;
    }
    fraction.truncate(scale);
    numeric_text(&format!("{text}.{fraction}"))
}

fn array_binary(bytes: &[u8], element: u32) -> Result<ScalarValue> {
    let bad = || UserError::new("22P03", "incorrect binary data format in a parameter");
    let word = |at: usize| -> Result<i32> { Ok(i32::from_be_bytes(fixed(bytes.get(at..at + 4).ok_or_else(bad)?)?)) };
    let (dimensions, sent) = (word(0)?, word(8)?);
    let sent = u32::try_from(sent)
        .ok()
        .filter(|kind| data_type(*kind).is_ok() && element_of(*kind).is_none())
        .ok_or_else(bad)?;
    let mut values = Vec::new();
    if dimensions > 1 {
        return Err(UserError::new(
            sqlstate::NOT_SUPPORTED,
            "a parameter that is an array of several dimensions is not supported",
        )
        .into());
    }
    if dimensions == 1 {
        let mut at = 20;
        for _ in 0..word(12)? {
            let length = word(at)?;
            at += 4;
            if let Ok(length) = usize::try_from(length) {
                let value = bytes.get(at..at.saturating_add(length)).ok_or_else(bad)?;
                values.push(binary_value(value, sent)?);
                at += length;
            } else {
                values.push(ScalarValue::try_from(&data_type(sent)?)?);
            }
        }
    }
    list(values, if sent == oid::UNKNOWN { element } else { sent })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str, kind: u32) -> ScalarValue {
        decode(value.as_bytes(), Format::Text, kind, Tz::Europe__Berlin).unwrap()
    }

    fn code(value: &str, kind: u32) -> &'static str {
        decode(value.as_bytes(), Format::Text, kind, Tz::UTC).unwrap_err().sqlstate()
    }

    #[test]
    fn text_parameters_of_every_type() {
        assert_eq!(text("yes", oid::BOOL), ScalarValue::Boolean(Some(true)));
        assert_eq!(text(" -7 ", oid::INT4), ScalarValue::Int32(Some(-7)));
        assert_eq!(text("Infinity", oid::FLOAT8), ScalarValue::Float64(Some(f64::INFINITY)));
        assert_eq!(text("-0.0450", oid::NUMERIC), ScalarValue::Decimal128(Some(-450), 38, 4));
        assert_eq!(text("1.5e3", oid::NUMERIC), ScalarValue::Decimal128(Some(1500), 38, 0));
        assert_eq!(text("\\x00ff", oid::BYTEA), ScalarValue::Binary(Some(vec![0, 255])));
        assert_eq!(text("a\\000\\\\", oid::BYTEA), ScalarValue::Binary(Some(vec![b'a', 0, b'\\'])));
        assert_eq!(text("2024-02-29", oid::DATE), ScalarValue::Date32(Some(19_782)));
        let utc = |micros| ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()));
        assert_eq!(text("2024-02-29 13:34:56", oid::TIMESTAMPTZ), utc(1_709_210_096_000_000));
        assert_eq!(text("2024-02-29T12:34:56.5+00", oid::TIMESTAMPTZ), utc(1_709_210_096_500_000));
        let interval = IntervalMonthDayNano::new(1, 2, -3_723_500_000_000);
        assert_eq!(text("1 mon 2 days -01:02:03.5", oid::INTERVAL), ScalarValue::IntervalMonthDayNano(Some(interval)));
        assert_eq!(code("x", oid::INT4), "22P02");
        assert_eq!(code("3000000000", oid::INT4), "22003");
        assert_eq!(code("soon", oid::TIMESTAMPTZ), "22007");
        assert_eq!(code("{a", 1009), "22P02");
    }

    #[test]
    fn arrays_in_both_formats() {
        let shown = |value: &ScalarValue| value.to_string();
        assert_eq!(shown(&text("{1, NULL ,3}", 1007)), "[1, , 3]");
        assert_eq!(shown(&text(r#"{a,"b, \"c\"","NULL"}"#, 1009)), "[a, b, \"c\", NULL]");
        assert_eq!(shown(&text("{}", 1009)), "[]");
        let binary =
            [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 25, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, b'h', b'i', 255, 255, 255, 255];
        assert_eq!(shown(&decode(&binary, Format::Binary, 1009, Tz::UTC).unwrap()), "[hi, ]");
        assert!(decode(&binary[..25], Format::Binary, 1009, Tz::UTC).is_err());
    }

    #[test]
    fn binary_numerics_are_read_exactly() {
        let number = |groups: &[i16]| {
            let bytes: Vec<u8> = groups.iter().flat_map(|group| group.to_be_bytes()).collect();
            decode(&bytes, Format::Binary, oid::NUMERIC, Tz::UTC).unwrap()
        };
        assert_eq!(number(&[3, 1, 0, 2, 1, 2345, 6700]), ScalarValue::Decimal128(Some(1_234_567), 38, 2));
        assert_eq!(number(&[1, -1, 0x4000, 4, 5]), ScalarValue::Decimal128(Some(-5), 38, 4));
        assert_eq!(number(&[0, 0, 0, 2]), ScalarValue::Decimal128(Some(0), 38, 2));
    }
}
