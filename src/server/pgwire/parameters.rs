//! Parameters of prepared statements: their types, and their values in both formats.

use chrono_tz::Tz;
use datafusion::arrow::datatypes::IntervalMonthDayNano;
use datafusion::common::ScalarValue;

use crate::dialect::encode::{EPOCH_DAYS, EPOCH_MICROS, Format, element_of, oid};
use crate::dialect::input::{self, data_type, numeric_text};
use crate::error::{Result, UserError, sqlstate};

/// A value that a client sent. A text is read at `now`, in microseconds since the epoch.
pub(super) fn decode(bytes: &[u8], format: Format, kind: u32, zone: Tz, now: i64) -> Result<ScalarValue> {
    match format {
        Format::Text => {
            let text = std::str::from_utf8(bytes)
                .map_err(|_| UserError::new("22021", "invalid byte sequence for encoding \"UTF8\""))?;
            if text.contains('\0') {
                return Err(UserError::new("22021", "invalid byte sequence for encoding \"UTF8\": 0x00").into());
            }
            input::value_at(text, kind, zone, now)
        }
        Format::Binary => binary_value(bytes, kind),
    }
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
            return input::value(
                std::str::from_utf8(bytes.get(1..).unwrap_or(&[])).map_err(|_| bad())?,
                oid::JSONB,
                Tz::UTC,
            );
        }
        _ => return decode(bytes, Format::Text, oid::TEXT, Tz::UTC, 0),
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
    input::list(values, if sent == oid::UNKNOWN { element } else { sent })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-18 02:30 in Berlin.
    const NOW: i64 = 1_773_797_400_000_000;

    fn text(value: &str, kind: u32) -> ScalarValue {
        decode(value.as_bytes(), Format::Text, kind, Tz::Europe__Berlin, NOW).unwrap()
    }

    fn code(value: &str, kind: u32) -> &'static str {
        decode(value.as_bytes(), Format::Text, kind, Tz::UTC, NOW).unwrap_err().sqlstate()
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
        assert_eq!(text("now", oid::TIMESTAMPTZ), utc(NOW));
        assert_eq!(text("today", oid::TIMESTAMPTZ), utc(1_773_788_400_000_000));
        assert_eq!(text("epoch", oid::TIMESTAMPTZ), utc(0));
        assert_eq!(text("infinity", oid::TIMESTAMPTZ), utc(i64::MAX));
        assert_eq!(text("yesterday", oid::DATE), ScalarValue::Date32(Some(20_529)));
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
        assert_eq!(shown(&decode(&binary, Format::Binary, 1009, Tz::UTC, NOW).unwrap()), "[hi, ]");
        assert!(decode(&binary[..25], Format::Binary, 1009, Tz::UTC, NOW).is_err());
    }

    #[test]
    fn binary_numerics_are_read_exactly() {
        let number = |groups: &[i16]| {
            let bytes: Vec<u8> = groups.iter().flat_map(|group| group.to_be_bytes()).collect();
            decode(&bytes, Format::Binary, oid::NUMERIC, Tz::UTC, NOW).unwrap()
        };
        assert_eq!(number(&[3, 1, 0, 2, 1, 2345, 6700]), ScalarValue::Decimal128(Some(1_234_567), 38, 2));
        assert_eq!(number(&[1, -1, 0x4000, 4, 5]), ScalarValue::Decimal128(Some(-5), 38, 4));
        assert_eq!(number(&[0, 0, 0, 2]), ScalarValue::Decimal128(Some(0), 38, 2));
    }
}
