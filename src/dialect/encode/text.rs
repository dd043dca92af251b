//! Single values as PostgreSQL prints them (its `*_out` functions).

use std::fmt::Write;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike};
use chrono_tz::Tz;

use super::procedures::Procedure;

/// Days from 0001-01-01 of the proleptic calendar to 1970-01-01.
const EPOCH_FROM_CE: i32 = 719_163;

/// The shortest digits that read back as the same number; with an exponent outside of `low..high`.
fn shortest(out: &mut String, scientific: &str, high: i32) {
    let (digits, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    out.push_str(sign);
    if !(-4..high).contains(&exponent) {
        let mark = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{digits}e{mark}{:02}", exponent.unsigned_abs());
        return;
    }
    let plain: String = digits.chars().filter(|digit| *digit != '.').collect();
    if exponent < 0 {
        out.push_str("0.");
        (1..-exponent).for_each(|_| out.push('0'));
        out.push_str(&plain);
        return;
    }
    let whole = usize::try_from(exponent).unwrap_or(0) + 1;
    for (at, digit) in plain.chars().enumerate() {
        if at == whole {
            out.push('.');
        }
        out.push(digit);
    }
    (plain.len()..whole).for_each(|_| out.push('0'));
}

fn special(out: &mut String, value: f64) -> bool {
    let text = match value {
        value if value.is_nan() => "NaN",
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => return false,
    };
    out.push_str(text);
    true
}

/// `float8`.
pub(super) fn double(out: &mut String, value: f64) {
    if !special(out, value) {
        shortest(out, &format!("{value:e}"), 15);
    }
}

/// `float4`.
pub(super) fn real(out: &mut String, value: f32) {
    if !special(out, f64::from(value)) {
        shortest(out, &format!("{value:e}"), 6);
    }
}

/// `numeric` from its unscaled digits.
pub(super) fn numeric(out: &mut String, unscaled: &str, scale: i8) {
    let (sign, digits) = unscaled.strip_prefix('-').map_or(("", unscaled), |rest| ("-", rest));
    out.push_str(sign);
    let Ok(places) = usize::try_from(scale) else {
        out.push_str(digits);
        if digits != "0" {
            (0..scale.unsigned_abs()).for_each(|_| out.push('0'));
        }
        return;
    };
    if places == 0 {
        out.push_str(digits);
        return;
    }
    if digits.len() <= places {
        out.push_str("0.");
        (digits.len()..places).for_each(|_| out.push('0'));
        out.push_str(digits);
    } else {
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let _ = write!(out, "{whole}.{fraction}");
    }
}

fn year(out: &mut String, year: i32) -> &'static str {
    let (shown, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    let _ = write!(out, "{shown:04}");
    era
}

/// `date` from days since the epoch.
pub(super) fn date(out: &mut String, days: i32) {
    let Some(day) = days.checked_add(EPOCH_FROM_CE).and_then(NaiveDate::from_num_days_from_ce_opt) else {
        out.push_str(if days < 0 { "-infinity" } else { "infinity" });
        return;
    };
    let era = year(out, day.year());
    let _ = write!(out, "-{:02}-{:02}{era}", day.month(), day.day());
}

fn fraction(out: &mut String, micros: u32) {
    if micros > 0 {
        let digits = format!("{micros:06}");
        out.push('.');
        out.push_str(digits.trim_end_matches('0'));
    }
}

/// `time` from microseconds since midnight.
pub(super) fn time(out: &mut String, micros: i64) {
    let seconds = micros.div_euclid(1_000_000);
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    fraction(out, u32::try_from(micros.rem_euclid(1_000_000)).unwrap_or(0));
}

/// A wall-clock time, `T` between date and time; gives back the era that goes to the very end.
fn wall(out: &mut String, at: NaiveDateTime, separator: char) -> &'static str {
    let era = year(out, at.year());
    let _ = write!(
        out,
        "-{:02}-{:02}{separator}{:02}:{:02}:{:02}",
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    );
    fraction(out, at.nanosecond() / 1000 % 1_000_000);
    era
}

fn infinite(out: &mut String, micros: i64) {
    out.push_str(if micros < 0 { "-infinity" } else { "infinity" });
}

/// `timestamp` from microseconds since the epoch.
pub(super) fn timestamp(out: &mut String, micros: i64, separator: char) {
    match DateTime::from_timestamp_micros(micros) {
        Some(at) => {
            let era = wall(out, at.naive_utc(), separator);
            out.push_str(era);
        }
        None => infinite(out, micros),
    }
}

/// `timestamptz` from microseconds since the epoch, in a zone.
pub(super) fn timestamptz(out: &mut String, micros: i64, zone: Tz, separator: char) {
    let Some(at) = DateTime::from_timestamp_micros(micros) else {
        infinite(out, micros);
        return;
    };
    let offset = zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc();
    let Some(local) = at.naive_utc().checked_add_signed(TimeDelta::seconds(i64::from(offset))) else {
        infinite(out, micros);
        return;
    };
    let era = wall(out, local, separator);
    let east = offset.unsigned_abs();
    let _ = write!(out, "{}{:02}", if offset < 0 { '-' } else { '+' }, east / 3600);
    let (minutes, seconds) = (east / 60 % 60, east % 60);
    if minutes > 0 || seconds > 0 || separator == 'T' {
        let _ = write!(out, ":{minutes:02}");
    }
    if seconds > 0 {
        let _ = write!(out, ":{seconds:02}");
    }
    out.push_str(era);
}

/// `interval` in the style `postgres`.
pub(super) fn interval(out: &mut String, months: i32, days: i32, micros: i64) {
    let mut first = true;
    let mut after_negative = false;
    for (value, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if value != 0 {
            let space = if first { "" } else { " " };
            let plus = if after_negative && value > 0 { "+" } else { "" };
            let plural = if value == 1 { "" } else { "s" };
            let _ = write!(out, "{space}{plus}{value} {unit}{plural}");
            after_negative = value < 0;
            first = false;
        }
    }
    if first || micros != 0 {
        let space = if first { "" } else { " " };
        let sign = match (micros < 0, after_negative) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        let total = micros.unsigned_abs();
        let seconds = total / 1_000_000;
        let _ = write!(out, "{space}{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        fraction(out, u32::try_from(total % 1_000_000).unwrap_or(0));
    }
}

/// `regproc`: the name of the function, a dash for none, the number of one that is not known.
pub(super) fn procedure(out: &mut String, oid: i64) {
    match Procedure::of(oid) {
        Some(known) => out.push_str(known.name),
        None if oid == 0 => out.push('-'),
        None => {
            let _ = write!(out, "{oid}");
        }
    }
}

/// `bytea` in the format `hex`.
pub(super) fn bytea(out: &mut String, bytes: &[u8]) {
    out.push_str("\\x");
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
}

/// An element of an array, quoted where it has to be.
pub(super) fn array_element(out: &mut String, text: &str) {
    let special = |letter: char| {
        matches!(letter, '{' | '}' | '"' | ',' | '\\') || letter.is_ascii_whitespace() || letter == '\x0b'
    };
    if !text.is_empty() && !text.eq_ignore_ascii_case("null") && !text.contains(special) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for letter in text.chars() {
        if matches!(letter, '"' | '\\') {
            out.push('\\');
        }
        out.push(letter);
    }
    out.push('"');
}

/// A JSON string.
pub(in crate::dialect) fn json_string(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            control if u32::from(control) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(print: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        print(&mut out);
        out
    }

    #[test]
    fn floats_are_printed_like_postgresql_prints_them() {
        let cases = [
            (0.1, "0.1"),
            (1.0, "1"),
            (-0.0, "-0"),
            (1e14, "100000000000000"),
            (1e15, "1e+15"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-9, "1.5e-09"),
            (1e300, "1e+300"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
            (1234.5, "1234.5"),
            (-1_200.0, "-1200"),
            (5e-324, "5e-324"),
        ];
        for (value, expected) in cases {
            assert_eq!(shown(|out| double(out, value)), expected);
        }
        assert_eq!(shown(|out| real(out, 1e6)), "1e+06");
        assert_eq!(shown(|out| real(out, 123_456.0)), "123456");
        assert_eq!(shown(|out| real(out, 0.1)), "0.1");
    }

    #[test]
    fn numerics_keep_their_scale() {
        assert_eq!(shown(|out| numeric(out, "-5", 3)), "-0.005");
        assert_eq!(shown(|out| numeric(out, "123456", 2)), "1234.56");
        assert_eq!(shown(|out| numeric(out, "0", 2)), "0.00");
        assert_eq!(shown(|out| numeric(out, "12", -3)), "12000");
    }

    #[test]
    fn dates_and_times_in_every_era_and_zone() {
        assert_eq!(shown(|out| date(out, 0)), "1970-01-01");
        assert_eq!(shown(|out| date(out, -719_163)), "0001-12-31 BC");
        assert_eq!(shown(|out| date(out, 2_932_897)), "10000-01-01");
        assert_eq!(shown(|out| timestamp(out, 1_709_210_096_120_000, ' ')), "2024-02-29 12:34:56.12");
        let summer = 1_719_835_200_000_000; // 2024-07-01T12:00:00Z
        assert_eq!(shown(|out| timestamptz(out, summer, Tz::UTC, ' ')), "2024-07-01 12:00:00+00");
        assert_eq!(shown(|out| timestamptz(out, summer, Tz::Asia__Kolkata, ' ')), "2024-07-01 17:30:00+05:30");
        assert_eq!(shown(|out| timestamptz(out, summer, Tz::America__St_Johns, ' ')), "2024-07-01 09:30:00-02:30");
        assert_eq!(shown(|out| timestamptz(out, summer, Tz::Europe__Berlin, 'T')), "2024-07-01T14:00:00+02:00");
        assert_eq!(shown(|out| time(out, 86_399_000_001)), "23:59:59.000001");
    }

    #[test]
    fn intervals_carry_a_sign_a_part() {
        assert_eq!(shown(|out| interval(out, 0, 0, 0)), "00:00:00");
        assert_eq!(shown(|out| interval(out, 14, 3, 14_706_789_000)), "1 year 2 mons 3 days 04:05:06.789");
        assert_eq!(shown(|out| interval(out, -1, 1, 1_000_000)), "-1 mons +1 day 00:00:01");
        assert_eq!(shown(|out| interval(out, 0, -1, 3_600_000_000)), "-1 days +01:00:00");
        assert_eq!(shown(|out| interval(out, 0, 0, -90_000_000)), "-00:01:30");
    }

    #[test]
    fn array_elements_are_quoted_where_they_must_be() {
        for (text, expected) in
            [("a", "a"), ("", "\"\""), ("null", "\"null\""), ("c d", "\"c d\""), ("a\"b\\", "\"a\\\"b\\\\\"")]
        {
            assert_eq!(shown(|out| array_element(out, text)), expected);
        }
    }
}
