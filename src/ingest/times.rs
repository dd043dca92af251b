//! Instants as the sources write them, to microseconds since the epoch.

use chrono::{Days, NaiveDate, NaiveTime};

/// Microseconds since the epoch of a written instant, or nothing if it is none.
///
/// Read are RFC 3339 and its relaxations (a blank for the `T`, no seconds, no zone, any number of decimals, a date
/// alone) and the American form that AWS writes into response elements, with or without a comma behind the year
/// (`Nov 22, 2026, 11:00:00 AM`). An instant without a zone is UTC. Digits beyond microseconds are cut off.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    let first = *text.as_bytes().first()?;
    if first.is_ascii_digit() { parse_iso(text.as_bytes()) } else { parse_american(text) }
}

/// Reads decimal digits and single characters off the front of a byte string.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn next_if(&mut self, wanted: &[u8]) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        if !wanted.contains(&first) {
            return None;
        }
        self.0 = rest;
        Some(first)
    }

    fn digits(&mut self, count: usize) -> Option<u32> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        let mut value = 0;
        for digit in digits {
            value = value * 10 + u32::from(digit.is_ascii_digit().then(|| digit - b'0')?);
        }
        self.0 = rest;
        Some(value)
    }

    /// The fraction of a second behind its point, in microseconds.
    fn micros(&mut self) -> Option<u32> {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return None;
        }
        let (digits, rest) = self.0.split_at_checked(count)?;
        let kept = digits.iter().chain(std::iter::repeat(&b'0')).take(6);
        self.0 = rest;
        Some(kept.fold(0, |value, digit| value * 10 + u32::from(digit - b'0')))
    }
}

fn parse_iso(text: &[u8]) -> Option<i64> {
    let mut at = Cursor(text);
    let year = i32::try_from(at.digits(4)?).ok()?;
    at.next_if(b"-")?;
    let month = at.digits(2)?;
    at.next_if(b"-")?;
    let date = NaiveDate::from_ymd_opt(year, month, at.digits(2)?)?;
    if at.0.is_empty() {
        return instant(date, 0, 0, 0, 0, 0);
    }
    at.next_if(b"Tt ")?;
    let hour = at.digits(2)?;
    at.next_if(b":")?;
    let minute = at.digits(2)?;
    let second = if at.next_if(b":").is_some() { at.digits(2)? } else { 0 };
    let micros = if at.next_if(b".,").is_some() { at.micros()? } else { 0 };
    while at.next_if(b" ").is_some() {}
    instant(date, hour, minute, second, micros, zone_seconds(at)?)
}

/// Seconds east of Greenwich of what follows a time of day.
fn zone_seconds(mut at: Cursor<'_>) -> Option<i64> {
    if matches!(at.0, b"" | b"Z" | b"z" | b"UTC" | b"GMT") {
        return Some(0);
    }
    let sign = if at.next_if(b"+-")? == b'-' { -1 } else { 1 };
    let hours = at.digits(2)?;
    let colon = at.next_if(b":").is_some();
    let minutes = if at.0.is_empty() && !colon { 0 } else { at.digits(2)? };
    (at.0.is_empty() && hours < 24 && minutes < 60).then(|| sign * i64::from(hours * 3600 + minutes * 60))
}

fn instant(date: NaiveDate, hour: u32, minute: u32, second: u32, micros: u32, zone: i64) -> Option<i64> {
    // A leap second and the end of the day written as 24:00 are the next instant that other clocks have.
    let (leap, second) = if second == 60 { (1, 59) } else { (0, second) };
    let (date, hour) =
        if (hour, minute, second) == (24, 0, 0) { (date.checked_add_days(Days::new(1))?, 0) } else { (date, hour) };
    let time = NaiveTime::from_hms_micro_opt(hour, minute, second, micros)?;
    let local = date.and_time(time).and_utc().timestamp_micros();
    local.checked_add((leap - zone) * 1_000_000)
}

fn parse_american(text: &str) -> Option<i64> {
    let mut words = text.split([' ', ',']).filter(|word| !word.is_empty());
    let (month, day, year) = (words.next()?, words.next()?, words.next()?);
    let (clock, half) = (words.next()?, words.next());
    if words.next().is_some() {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(number(year)?.try_into().ok()?, month_number(month)?, number(day)?)?;
    let mut parts = clock.split(':');
    let (hour, minute, second) = (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
    let hour = match half.map(str::to_ascii_uppercase).as_deref() {
        Some("AM") if (1..=12).contains(&hour) => hour % 12,
        Some("PM") if (1..=12).contains(&hour) => hour % 12 + 12,
        None => hour,
        Some(_) => return None,
    };
    if parts.next().is_some() {
        return None;
    }
    instant(date, hour, minute, second, 0, 0)
}

fn number(text: &str) -> Option<u32> {
    (text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn month_number(text: &str) -> Option<u32> {
    let name = text.get(..3)?.to_ascii_lowercase();
    let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let index = months.iter().position(|month| *month == name)?;
    u32::try_from(index + 1).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NINE: i64 = 1_722_502_800_000_000; // 2024-08-01T09:00:00Z

    #[test]
    fn every_written_form_is_the_same_instant() {
        let forms = [
            "2024-08-01T09:00:00Z",
            "2024-08-01t09:00:00z",
            "2024-08-01 09:00:00",
            "2024-08-01 09:00:00 UTC",
            "2024-08-01 09:00:00.000000000",
            "2024-08-01T09:00",
            " 2024-08-01T11:00:00+02:00 ",
            "2024-08-01T04:30:00-0430",
            "2024-08-01 10:00:00+01",
            "Aug 1, 2024, 9:00:00 AM",
            "Aug 1, 2024 9:00:00 AM",
            "August 01 2024 09:00:00",
        ];
        for form in forms {
            assert_eq!(parse(form), Some(NINE), "{form}");
        }
    }

    #[test]
    fn fractions_halves_of_the_day_and_odd_clocks() {
        assert_eq!(parse("2024-08-01T09:00:00.123456789Z"), Some(NINE + 123_456));
        assert_eq!(parse("2024-08-01T09:00:00.5Z"), Some(NINE + 500_000));
        assert_eq!(parse("Aug 1, 2024 9:00:00 PM"), Some(NINE + 12 * 3_600_000_000));
        assert_eq!(parse("Aug 1, 2024 12:00:00 AM"), Some(NINE - 9 * 3_600_000_000));
        assert_eq!(parse("2024-08-01"), Some(NINE - 9 * 3_600_000_000));
        assert_eq!(parse("2024-07-31T24:00:00Z"), parse("2024-08-01"));
        assert_eq!(parse("2016-12-31T23:59:60Z"), parse("2017-01-01"));
        assert_eq!(parse("1969-12-31T23:59:59Z"), Some(-1_000_000));
    }

    #[test]
    fn what_is_no_instant_is_none() {
        let wrong = [
            "",
            " ",
            "now",
            "2024",
            "2024-13-01",
            "2024-02-30",
            "2024-08-01T",
            "2024-08-01T25:00:00Z",
            "2024-08-01T09:00:00.Z",
            "2024-08-01T09:00:00+2",
            "2024-08-01T09:00:00Zulu",
            "2024-08-01T09:00:00+01:",
            "Jan 01, 2019 0:00:00 PM",
            "Foo 1, 2024 9:00:00 AM",
            "1722502800",
            "08/01/2024",
        ];
        for text in wrong {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".*") {
            let _answer = parse(&text);
        }

        #[test]
        fn what_chrono_writes_is_read_back(micros in -62_135_596_800_000_000_i64..253_402_300_799_999_999) {
            let time = chrono::DateTime::from_timestamp_micros(micros).unwrap();
            prop_assert_eq!(parse(&time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()), Some(micros));
        }
    }
}
