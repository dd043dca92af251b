//! Dates, times and intervals from text, as PostgreSQL reads them (`ParseDateTime`, `DecodeDateTime`, `DecodeInterval`).

use chrono::{LocalResult, Offset, TimeZone};
use chrono_tz::Tz;

use crate::error::UserError;

const DAY: i64 = 86_400_000_000;
const SECOND: i64 = 1_000_000;

/// Days from 0000-03-01 to 1970-01-01 in the proleptic calendar.
const EPOCH: i64 = 719_468;

/// Why a text is no moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Nothing that looks like one (22007).
    Syntax,
    /// A field has a value that it cannot have (22008).
    Range,
    /// No such time zone (22023).
    Zone,
}

impl Wrong {
    /// The error that PostgreSQL has for it.
    pub(super) fn error(self, kind: &str, text: &str) -> UserError {
        match self {
            Self::Syntax => UserError::new("22007", format!("invalid input syntax for type {kind}: \"{text}\"")),
            Self::Range => UserError::new("22008", format!("date/time field value out of range: \"{text}\"")),
            Self::Zone => UserError::invalid(format!("time zone not recognized in \"{text}\"")),
        }
    }
}

/// A point in time or its infinite ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Past,
    Future,
}

#[derive(Debug, Default)]
struct Fields {
    end: Option<End>,
    /// Days since the epoch.
    day: Option<i64>,
    /// Microseconds since midnight.
    time: Option<i64>,
    zone: Option<Offset0>,
}

#[derive(Debug, Clone, Copy)]
enum Offset0 {
    /// Seconds east.
    Fixed(i64),
    Named(Tz),
}

/// Days since the epoch of a day of the proleptic Gregorian calendar (after Howard Hinnant's `days_from_civil`).
pub(super) fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH
}

/// Year, month and day of a number of days since the epoch.
pub(super) fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH;
    let era = days.div_euclid(146_097);
    let of_era = days - era * 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

fn checked_day(year: i64, month: i64, day: i64) -> Result<i64, Wrong> {
    let number = day_number(year, month.clamp(1, 12), day);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || civil(number) != (year, month, day) {
        return Err(Wrong::Range);
    }
    Ok(number)
}

fn number(text: &str) -> Result<i64, Wrong> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Wrong::Syntax);
    }
    text.parse().map_err(|_| Wrong::Range)
}

/// Microseconds of a decimal fraction of a second, rounded to nearest.
fn fraction(digits: &str) -> Result<i64, Wrong> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Wrong::Syntax);
    }
    let padded = format!("{digits:0<7}");
    let first = padded.get(..7).unwrap_or("0").parse::<i64>().map_err(|_| Wrong::Syntax)?;
    Ok((first + 5) / 10)
}

/// `hh:mm[:ss[.ffffff]]` in microseconds.
fn clock(text: &str) -> Result<i64, Wrong> {
    let mut parts = text.split(':');
    let hours = number(parts.next().unwrap_or_default())?;
    let minutes = number(parts.next().ok_or(Wrong::Syntax)?)?;
    let (seconds, micros) = match parts.next() {
        None => (0, 0),
        Some(seconds) => {
            let (whole, rest) = seconds.split_once('.').unwrap_or((seconds, ""));
            (number(whole)?, fraction(rest)?)
        }
    };
    if parts.next().is_some() {
        return Err(Wrong::Syntax);
    }
    let total = (hours * 3600 + minutes * 60 + seconds) * SECOND + micros;
    if hours > 24 || minutes > 59 || seconds > 60 || total > DAY {
        return Err(Wrong::Range);
    }
    Ok(total)
}

/// `+hh`, `-hh:mm`, `+hhmm`, `+hh:mm:ss` in seconds.
fn offset(text: &str) -> Result<i64, Wrong> {
    let (sign, rest) = match text.split_at_checked(1).ok_or(Wrong::Syntax)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return Err(Wrong::Syntax),
    };
    let parts: Vec<&str> = rest.split(':').collect();
    let seconds = match parts.as_slice() {
        [all] if all.len() == 4 => {
            number(all.get(..2).unwrap_or_default())? * 3600 + number(all.get(2..).unwrap_or_default())? * 60
        }
        [hours] => number(hours)? * 3600,
        [hours, minutes] => number(hours)? * 3600 + number(minutes)? * 60,
        [hours, minutes, seconds] => number(hours)? * 3600 + number(minutes)? * 60 + number(seconds)?,
        _ => return Err(Wrong::Syntax),
    };
    if seconds >= 16 * 3600 {
        return Err(Wrong::Range);
    }
    Ok(sign * seconds)
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

fn month(word: &str) -> Option<i64> {
    let start = word.get(..3)?;
    let at = MONTHS.iter().position(|known| *known == start)?;
    i64::try_from(at + 1).ok()
}

/// A zone by name, in any spelling.
pub(super) fn zone(name: &str) -> Option<Tz> {
    if name.eq_ignore_ascii_case("z") || name.eq_ignore_ascii_case("utc") || name.eq_ignore_ascii_case("zulu") {
        return Some(Tz::UTC);
    }
    name.parse()
        .ok()
        .or_else(|| chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name)).copied())
}

/// Seconds east of Greenwich, or the zone, that `AT TIME ZONE` names; the sign of a bare offset is POSIX's.
fn zone_of(name: &str) -> Option<Offset0> {
    let name = name.trim();
    if let Some(zone) = zone(name) {
        return Some(Offset0::Named(zone));
    }
    let digits = name.strip_prefix(['+', '-']).map_or_else(|| format!("+{name}"), |_| name.to_owned());
    offset(&digits).ok().map(|east| Offset0::Fixed(-east))
}

/// The moment (microseconds since the epoch) at which clocks of a zone show something.
pub(super) fn to_utc(zone: Tz, wall: i64) -> Option<i64> {
    let at = chrono::DateTime::from_timestamp_micros(wall)?.naive_utc();
    let offset = match zone.offset_from_local_datetime(&at) {
        LocalResult::Single(offset) => offset.fix().local_minus_utc(),
        // A time that comes twice is the one in standard time, one that is skipped is read with the offset before.
        LocalResult::Ambiguous(_, later) => later.fix().local_minus_utc(),
        LocalResult::None => {
            let before = at.checked_sub_signed(chrono::TimeDelta::hours(3))?;
            zone.offset_from_local_datetime(&before).earliest()?.fix().local_minus_utc()
        }
    };
    wall.checked_sub(i64::from(offset) * SECOND)
}

/// What clocks of a zone show at a moment.
pub(super) fn to_wall(zone: Tz, micros: i64) -> Option<i64> {
    let at = chrono::DateTime::from_timestamp_micros(micros)?.naive_utc();
    let offset = zone.offset_from_utc_datetime(&at).fix().local_minus_utc();
    micros.checked_add(i64::from(offset) * SECOND)
}

/// The same for what `AT TIME ZONE` names. None is no such zone.
pub(super) fn shift(name: &str, micros: i64, to_local: bool) -> Option<i64> {
    match (zone_of(name)?, to_local) {
        (Offset0::Named(zone), true) => to_wall(zone, micros).or(Some(micros)),
        (Offset0::Named(zone), false) => to_utc(zone, micros).or(Some(micros)),
        (Offset0::Fixed(east), true) => micros.checked_add(east * SECOND),
        (Offset0::Fixed(east), false) => micros.checked_sub(east * SECOND),
    }
}

/// Words of a text: `2024-02-29T12:00Z` is two, `12:00+02` is two.
fn words(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for word in text.split([' ', '\t', '\n', ',']).filter(|word| !word.is_empty()) {
        let lower = word.to_lowercase();
        let split = lower.char_indices().find(|(at, letter)| {
            let before = lower.get(..*at).and_then(|before| before.chars().next_back());
            let after = lower.get(at + 1..).and_then(|after| after.chars().next());
            *letter == 't'
                && before.is_some_and(|letter| letter.is_ascii_digit())
                && after.is_some_and(|letter| letter.is_ascii_digit())
        });
        match split {
            Some((at, _)) => {
                found.push(lower.get(..at).unwrap_or_default().to_owned());
                found.push(lower.get(at + 1..).unwrap_or_default().to_owned());
            }
            None => found.push(lower),
        }
    }
    found
}

fn date_word(word: &str) -> Result<Option<(i64, i64, i64)>, Wrong> {
    let parts: Vec<&str> = word.split('-').collect();
    if let [year, month_part, day] = parts.as_slice()
        && !year.is_empty()
    {
        let month = match month(month_part) {
            Some(month) => month,
            None => number(month_part)?,
        };
        return Ok(Some((number(year)?, month, number(day)?)));
    }
    let parts: Vec<&str> = word.split('/').collect();
    match parts.as_slice() {
        [year, month, day] if year.len() > 2 => return Ok(Some((number(year)?, number(month)?, number(day)?))),
        [month, day, year] => return Ok(Some((number(year)?, number(month)?, number(day)?))),
        _ => {}
    }
    if word.len() == 8
        && let Ok(all) = number(word)
    {
        return Ok(Some((all / 10_000, all / 100 % 100, all % 100)));
    }
    Ok(None)
}

fn fields(text: &str) -> Result<Fields, Wrong> {
    let mut found = Fields::default();
    let (mut date, mut month_name, mut loose, mut era) = (None, None, Vec::new(), 1);
    let mut half = None;
    for word in words(text) {
        let first = word.chars().next().unwrap_or(' ');
        if word.contains(':') && first.is_ascii_digit() {
            let end = word.find(|letter: char| !(letter.is_ascii_digit() || letter == ':' || letter == '.'));
            let (time, rest) = word.split_at(end.unwrap_or(word.len()));
            if found.time.replace(clock(time)?).is_some() {
                return Err(Wrong::Syntax);
            }
            match rest {
                "" => {}
                "am" | "pm" => half = Some(rest == "pm"),
                _ => found.zone = Some(zone_word(rest)?),
            }
        } else if let Some(day) = word.strip_suffix('z').filter(|day| first.is_ascii_digit() && day.len() >= 8)
            && let Some(parsed) = date_word(day)?
        {
            found.zone = Some(Offset0::Fixed(0));
            if date.replace(parsed).is_some() {
                return Err(Wrong::Syntax);
            }
        } else if let Some(parsed) = date_word(&word)? {
            if date.replace(parsed).is_some() {
                return Err(Wrong::Syntax);
            }
        } else if first.is_ascii_digit() {
            loose.push(number(&word)?);
        } else {
            match word.as_str() {
                "bc" => era = -1,
                "ad" => {}
                "am" | "pm" => half = Some(word == "pm"),
                "epoch" => (found.day, found.time, found.zone) = (Some(0), Some(0), Some(Offset0::Fixed(0))),
                "infinity" | "+infinity" => found.end = Some(End::Future),
                "-infinity" => found.end = Some(End::Past),
                _ if month(&word).is_some() && word.chars().all(char::is_alphabetic) => month_name = month(&word),
                "mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun" => {}
                _ => found.zone = Some(zone_word(&word)?),
            }
        }
    }
    if let Some(month) = month_name {
        date = match loose.as_slice() {
            [day, year] if *day <= 31 => Some((*year, month, *day)),
            [year, day] => Some((*year, month, *day)),
            _ => return Err(Wrong::Syntax),
        };
    } else if !loose.is_empty() {
        return Err(Wrong::Syntax);
    }
    if let Some((year, month, day)) = date {
        if year == 0 {
            return Err(Wrong::Range);
        }
        found.day = Some(checked_day(if era < 0 { 1 - year } else { year }, month, day)?);
    }
    if let (Some(afternoon), Some(time)) = (half, found.time) {
        let twelve = 12 * 3600 * SECOND;
        if time >= twelve + 3600 * SECOND {
            return Err(Wrong::Range);
        }
        found.time = Some(time % twelve + if afternoon { twelve } else { 0 });
    }
    Ok(found)
}

fn zone_word(word: &str) -> Result<Offset0, Wrong> {
    if word.starts_with(['+', '-']) {
        return offset(word).map(Offset0::Fixed);
    }
    match zone(word) {
        Some(zone) => Ok(Offset0::Named(zone)),
        None if word.contains('/') => Err(Wrong::Zone),
        None => Err(Wrong::Syntax),
    }
}

/// Days since the epoch.
pub(super) fn date(text: &str) -> Result<i32, Wrong> {
    let found = fields(text)?;
    match found.end {
        Some(End::Future) => Ok(i32::MAX),
        Some(End::Past) => Ok(i32::MIN),
        None => i32::try_from(found.day.ok_or(Wrong::Syntax)?).map_err(|_| Wrong::Range),
    }
}

/// Microseconds since midnight.
pub(super) fn time(text: &str) -> Result<i64, Wrong> {
    let found = fields(text)?;
    found.time.ok_or(Wrong::Syntax)
}

fn wall(found: &Fields) -> Result<i64, Wrong> {
    let day = found.day.ok_or(Wrong::Syntax)?;
    day.checked_mul(DAY).and_then(|micros| micros.checked_add(found.time.unwrap_or(0))).ok_or(Wrong::Range)
}

fn endless(end: End) -> i64 {
    match end {
        End::Future => i64::MAX,
        End::Past => i64::MIN,
    }
}

/// Microseconds since the epoch on a clock without a zone; a zone in the text is not looked at.
pub(super) fn timestamp(text: &str) -> Result<i64, Wrong> {
    let found = fields(text)?;
    found.end.map_or_else(|| wall(&found), |end| Ok(endless(end)))
}

/// Microseconds since the epoch; a text without a zone is in `session`.
pub(super) fn timestamptz(text: &str, session: Tz) -> Result<i64, Wrong> {
    let found = fields(text)?;
    if let Some(end) = found.end {
        return Ok(endless(end));
    }
    let wall = wall(&found)?;
    match found.zone.unwrap_or(Offset0::Named(session)) {
        Offset0::Fixed(east) => wall.checked_sub(east * SECOND).ok_or(Wrong::Range),
        Offset0::Named(zone) => to_utc(zone, wall).ok_or(Wrong::Range),
    }
}

/// Months, days and microseconds.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct Span {
    pub(super) months: i64,
    pub(super) days: i64,
    pub(super) micros: i64,
}

impl Span {
    fn add(&mut self, unit: &str, whole: i64, part: f64) -> Result<(), Wrong> {
        let more = |value: &mut i64, by: Option<i64>| {
            *value = by.and_then(|by| value.checked_add(by)).ok_or(Wrong::Range)?;
            Ok(())
        };
        #[expect(clippy::cast_possible_truncation, reason = "a part of a unit fits")]
        let rounded = |value: f64| value.round() as i64;
        match unit {
            "microsecond" | "us" | "usec" => more(&mut self.micros, whole.checked_add(rounded(part))),
            "millisecond" | "ms" | "msec" => {
                more(&mut self.micros, whole.checked_mul(1000).map(|us| us + rounded(part * 1e3)))
            }
            "second" | "sec" | "s" | "" => {
                more(&mut self.micros, whole.checked_mul(SECOND).map(|us| us + rounded(part * 1e6)))
            }
            "minute" | "min" | "m" => {
                more(&mut self.micros, whole.checked_mul(60 * SECOND).map(|us| us + rounded(part * 6e7)))
            }
            "hour" | "hr" | "h" => {
                more(&mut self.micros, whole.checked_mul(3600 * SECOND).map(|us| us + rounded(part * 3.6e9)))
            }
            "day" | "d" | "week" | "w" => {
                let factor = if unit.starts_with('w') { 7 } else { 1 };
                #[expect(clippy::cast_precision_loss, reason = "it is 1 or 7")]
                let rest = part * factor as f64;
                more(&mut self.days, whole.checked_mul(factor).map(|days| days + rounded(rest.trunc())))?;
                more(&mut self.micros, Some(rounded(rest.fract() * 8.64e10)))
            }
            "month" | "mon" => {
                let days = part * 30.0;
                more(&mut self.months, Some(whole))?;
                more(&mut self.days, Some(rounded(days.trunc())))?;
                more(&mut self.micros, Some(rounded((days.fract() * 8.64e10).round())))
            }
            "year" | "yr" | "y" | "quarter" | "decade" | "century" | "centurie" | "millennium" => {
                let factor: i32 = match unit.get(..2) {
                    Some("qu") => 3,
                    Some("de") => 120,
                    Some("ce") => 1200,
                    Some("mi") => 12_000,
                    _ => 12,
                };
                let months = rounded(part * f64::from(factor));
                more(&mut self.months, whole.checked_mul(i64::from(factor)).map(|all| all + months))
            }
            _ => Err(Wrong::Syntax),
        }
    }

    fn negated(self) -> Self {
        Self { months: -self.months, days: -self.days, micros: -self.micros }
    }
}

/// Whole part and fraction of a signed decimal number.
fn decimal(text: &str) -> Result<(i64, f64), Wrong> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = if whole.is_empty() && !part.is_empty() { 0 } else { number(whole)? };
    let part: f64 = if part.is_empty() { 0.0 } else { format!("0.{part}").parse().map_err(|_| Wrong::Syntax)? };
    Ok((sign * whole, if sign < 0 { -part } else { part }))
}

fn clock_span(word: &str) -> Result<i64, Wrong> {
    let (sign, rest) = word.strip_prefix('-').map_or((1, word), |rest| (-1, rest));
    let mut parts = rest.strip_prefix('+').unwrap_or(rest).split(':');
    let hours = number(parts.next().unwrap_or_default())?;
    let minutes = number(parts.next().unwrap_or_default())?;
    let (seconds, part) = match parts.next() {
        Some(seconds) => {
            let (whole, part) = seconds.split_once('.').unwrap_or((seconds, ""));
            (number(whole)?, fraction(part)?)
        }
        None => (0, 0),
    };
    if minutes > 59 || seconds > 59 || parts.next().is_some() {
        return Err(Wrong::Range);
    }
    let micros = hours.checked_mul(3600).and_then(|all| all.checked_add(minutes * 60 + seconds));
    micros.and_then(|all| all.checked_mul(SECOND)?.checked_add(part)).map(|all| sign * all).ok_or(Wrong::Range)
}

/// `P1Y2M3DT4H5M6S`.
fn iso(text: &str) -> Result<Span, Wrong> {
    let mut span = Span::default();
    let (mut digits, mut in_time, mut any) = (String::new(), false, false);
    for letter in text.chars() {
        match letter {
            '0'..='9' | '.' | '-' | '+' => digits.push(letter),
            'T' | 't' if digits.is_empty() => in_time = true,
            _ => {
                let unit = match (letter.to_ascii_lowercase(), in_time) {
                    ('y', false) => "year",
                    ('m', false) => "month",
                    ('w', false) => "week",
                    ('d', false) => "day",
                    ('h', true) => "hour",
                    ('m', true) => "minute",
                    ('s', true) => "second",
                    _ => return Err(Wrong::Syntax),
                };
                let (whole, part) = decimal(&digits)?;
                span.add(unit, whole, part)?;
                digits.clear();
                any = true;
            }
        }
    }
    if any && digits.is_empty() { Ok(span) } else { Err(Wrong::Syntax) }
}

/// An interval; `unit` is that of a number without one.
pub(super) fn interval(text: &str, unit: &str) -> Result<Span, Wrong> {
    let trimmed = text.trim();
    if let Some(rest) = trimmed.strip_prefix(['P', 'p']) {
        return iso(rest);
    }
    let mut span = Span::default();
    let mut pending: Option<(i64, f64)> = None;
    let (mut ago, mut any) = (false, false);
    let spaced = separated(&trimmed.to_lowercase());
    for word in spaced.split_whitespace() {
        let body = word.trim_start_matches(['-', '+']);
        if word == "@" {
            continue;
        } else if word == "ago" {
            ago = true;
        } else if body.contains(':') {
            // `1 12:00` is one day and twelve hours.
            if let Some((whole, part)) = pending.take() {
                span.add("day", whole, part)?;
            }
            span.micros = span.micros.checked_add(clock_span(word)?).ok_or(Wrong::Range)?;
            any = true;
        } else if let Some((years, months)) = body.split_once('-') {
            let all = number(years)? * 12 + number(months)?;
            span.months += if word.starts_with('-') { -all } else { all };
            any = true;
        } else if body.starts_with(|letter: char| letter.is_ascii_digit() || letter == '.') {
            if let Some((whole, part)) = pending.replace(decimal(word)?) {
                span.add(unit, whole, part)?;
            }
            any = true;
        } else {
            let (whole, part) = pending.take().ok_or(Wrong::Syntax)?;
            let singular = if word.len() > 2 { word.strip_suffix('s').unwrap_or(word) } else { word };
            span.add(singular, whole, part)?;
        }
    }
    if let Some((whole, part)) = pending {
        span.add(unit, whole, part)?;
    }
    if !any {
        return Err(Wrong::Syntax);
    }
    Ok(if ago { span.negated() } else { span })
}

/// With a space between a number and the unit that is written onto it.
fn separated(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    let mut before = ' ';
    for letter in text.chars() {
        let begins = before.is_ascii_digit() && letter.is_ascii_alphabetic();
        if begins || (before.is_ascii_alphabetic() && letter.is_ascii_digit()) {
            out.push(' ');
        }
        before = letter;
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_every_spelling() {
        for text in ["2024-02-29", "20240229", "Feb 29, 2024", "29 February 2024", "2/29/2024", "2024-Feb-29"] {
            assert_eq!(date(text), Ok(19_782), "{text}");
        }
        assert_eq!(date("0001-01-01 BC"), Ok(-719_528));
        assert_eq!(date("infinity"), Ok(i32::MAX));
        assert_eq!(date("2024-02-30"), Err(Wrong::Range));
        assert_eq!(date("soon"), Err(Wrong::Syntax));
        assert_eq!(civil(day_number(-4712, 1, 1)), (-4712, 1, 1));
    }

    #[test]
    fn times_have_zones() {
        let noon = 1_709_208_000_000_000;
        for text in
            ["2024-02-29 12:00", "2024-02-29T12:00:00Z", "2024-02-29 13:00+01", "2024-02-29 13:00 Europe/Berlin"]
        {
            assert_eq!(timestamptz(text, Tz::UTC), Ok(noon), "{text}");
        }
        assert_eq!(timestamptz("2024-02-29 13:00", Tz::Europe__Berlin), Ok(noon));
        assert_eq!(timestamptz("2024-02-29Z", Tz::Europe__Berlin), Ok(noon - 43_200_000_000));
        assert_eq!(timestamp("2024-02-29 12:00:00.0000005"), Ok(noon + 1));
        assert_eq!(timestamp("2024-02-28 24:00"), timestamp("2024-02-29"));
        assert_eq!(time("04:05 PM"), Ok(57_900_000_000));
        assert_eq!(time("25:00"), Err(Wrong::Range));
        assert_eq!(timestamptz("2024-01-01 Mars/Base", Tz::UTC), Err(Wrong::Zone));
    }

    #[test]
    fn a_clock_change_is_read_as_postgresql_reads_it() {
        let berlin = Tz::Europe__Berlin;
        // Skipped: read with the offset before. Twice: the second.
        assert_eq!(timestamptz("2024-03-31 02:30", berlin), timestamptz("2024-03-31 01:30+00", berlin));
        assert_eq!(timestamptz("2024-10-27 02:30", berlin), timestamptz("2024-10-27 01:30+00", berlin));
    }

    #[test]
    fn intervals_are_read_in_every_spelling() {
        let span = |months, days, micros| Ok(Span { months, days, micros });
        assert_eq!(interval("1 year 2 mons 3 days 04:05:06.5", ""), span(14, 3, 14_706_500_000));
        assert_eq!(interval("P1Y2M3DT4H5M6.5S", ""), span(14, 3, 14_706_500_000));
        assert_eq!(interval("1.5 months 1.5 days", ""), span(1, 16, 43_200_000_000));
        assert_eq!(interval("-1 day +02:00", ""), span(0, -1, 7_200_000_000));
        assert_eq!(interval("1 week ago", ""), span(0, -7, 0));
        assert_eq!(interval("10", "minute"), span(0, 0, 600_000_000));
        assert_eq!(interval("1-2", ""), span(14, 0, 0));
        assert_eq!(interval("5m", ""), span(0, 0, 300_000_000));
        assert_eq!(interval("1h30m", ""), span(0, 0, 5_400_000_000));
        assert_eq!(interval("x", ""), Err(Wrong::Syntax));
        assert_eq!(interval("", ""), Err(Wrong::Syntax));
    }
}
