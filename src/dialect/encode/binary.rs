//! Values in the binary format (PostgreSQL's `*_send` functions).

use bytes::{BufMut, BytesMut};

use super::cell::Value;
use super::types::oid;

/// Microseconds from 1970-01-01 to 2000-01-01.
pub const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Days from 1970-01-01 to 2000-01-01.
pub const EPOCH_DAYS: i32 = 10_957;

/// `numeric` from its decimal digits: groups of four, the point between groups.
pub(super) fn numeric(out: &mut BytesMut, text: &str) {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut digits = String::with_capacity(text.len() + 8);
    (0..(4 - whole.len() % 4) % 4).for_each(|_| digits.push('0'));
    digits.push_str(whole);
    let weight = digits.len() / 4;
    digits.push_str(fraction);
    while !digits.len().is_multiple_of(4) {
        digits.push('0');
    }
    let group = |at: usize| digits.get(at * 4..at * 4 + 4).and_then(|four| four.parse::<i16>().ok()).unwrap_or(0);
    let groups: Vec<i16> = (0..digits.len() / 4).map(group).collect();
    let leading = groups.iter().take_while(|value| **value == 0).count();
    let trailing = groups.iter().rev().take_while(|value| **value == 0).count();
    let used = groups.get(leading..groups.len().saturating_sub(trailing).max(leading)).unwrap_or(&[]);
    let short = |value: usize| i16::try_from(value).unwrap_or(i16::MAX);
    out.put_i16(short(used.len()));
    out.put_i16(if used.is_empty() { 0 } else { short(weight) - 1 - short(leading) });
    out.put_i16(if negative && !used.is_empty() { 0x4000 } else { 0 });
    out.put_i16(short(fraction.len()));
    used.iter().for_each(|value| out.put_i16(*value));
}

/// The fixed-width and plain types; false if the value is of another.
pub(super) fn plain(out: &mut BytesMut, value: Value<'_>, kind: u32) -> bool {
    match value {
        Value::Bool(value) => out.put_u8(u8::from(value)),
        Value::Int2(value) => out.put_i16(value),
        Value::Int4(value) => out.put_i32(value),
        Value::Int8(value) if matches!(kind, oid::OID | oid::REGPROC | oid::REGCLASS) => {
            out.put_u32(u32::try_from(value).unwrap_or(0));
        }
        Value::Int8(value) => out.put_i64(value),
        Value::Real(value) => out.put_f32(value),
        Value::Double(value) => out.put_f64(value),
        Value::Text(value) if kind == oid::UUID => match uuid::Uuid::try_parse(value) {
            Ok(value) => out.put_slice(value.as_bytes()),
            Err(_) => out.put_slice(value.as_bytes()),
        },
        Value::Text(value) if kind == oid::JSONB => {
            // The version of the format comes first.
            out.put_u8(1);
            out.put_slice(value.as_bytes());
        }
        Value::Text(value) => out.put_slice(value.as_bytes()),
        Value::Bytes(value) => out.put_slice(value),
        // The ends of the range are infinity, wherever it is counted from.
        Value::Date(days @ (i32::MIN | i32::MAX)) => out.put_i32(days),
        Value::Date(days) => out.put_i32(days.saturating_sub(EPOCH_DAYS)),
        Value::Time(micros) => out.put_i64(micros),
        Value::Timestamp(micros @ (i64::MIN | i64::MAX)) | Value::TimestampTz(micros @ (i64::MIN | i64::MAX)) => {
            out.put_i64(micros);
        }
        Value::Timestamp(micros) | Value::TimestampTz(micros) => out.put_i64(micros.saturating_sub(EPOCH_MICROS)),
        Value::Interval(months, days, micros) => {
            out.put_i64(micros);
            out.put_i32(days);
            out.put_i32(months);
        }
        _ => return false,
    }
    true
}
