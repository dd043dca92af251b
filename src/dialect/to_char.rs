//! `to_char`, and `to_timestamp` and `to_date` with a pattern (PostgreSQL, table 9.27 and 9.29).

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};

use super::function::{Call, float, text};
use super::moment::{Span, civil, day_number};
use super::temporal::{DAY, Moment, iso_week, moment};
use crate::error::{UserError, sqlstate};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The fields of a pattern, longer ones before those that they begin with.
const FIELDS: [&str; 48] = [
    "HH24", "HH12", "HH", "MI", "SSSSS", "SSSS", "SS", "MS", "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "A.M.",
    "P.M.", "a.m.", "p.m.", "AM", "PM", "am", "pm", "Y,YYY", "YYYY", "YYY", "YY", "Y", "IYYY", "MONTH", "Month",
    "month", "MON", "Mon", "mon", "MM", "DAY", "Day", "day", "DDD", "DD", "DY", "Dy", "dy", "D", "IDDD", "ID", "WW",
];

const MORE: [&str; 12] = ["IW", "W", "CC", "J", "Q", "RM", "TZH", "TZM", "TZ", "tz", "OF", "BC"];

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Field { name: &'static str, fill: bool, ordinal: Option<bool> },
    Text(String),
}

/// A pattern in pieces: fields with FM and TH, and what stands between them.
fn pieces(pattern: &str) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut rest = pattern;
    let mut fill = true;
    while let Some(first) = rest.chars().next() {
        if let Some(behind) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            fill = false;
            rest = behind;
            continue;
        }
        if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"').unwrap_or(quoted.len());
            found.push(Piece::Text(quoted.get(..end).unwrap_or_default().to_owned()));
            rest = quoted.get(end + 1..).unwrap_or_default();
            continue;
        }
        let known = FIELDS.iter().chain(&MORE).find(|field| rest.starts_with(**field));
        // Fields of digits can be in small letters too.
        let known = known.or_else(|| {
            FIELDS.iter().chain(&MORE).find(|field| {
                rest.get(..field.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(field) && start == start.to_lowercase())
            })
        });
        if let Some(name) = known {
            rest = rest.get(name.len()..).unwrap_or_default();
            let mut ordinal = None;
            for (suffix, upper) in [("TH", true), ("th", false)] {
                if let Some(behind) = rest.strip_prefix(suffix) {
                    ordinal = Some(upper);
                    rest = behind;
                }
            }
            found.push(Piece::Field { name, fill, ordinal });
            fill = true;
        } else {
            found.push(Piece::Text(first.to_string()));
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    found
}

/// What the fields of a pattern are filled from.
struct Shown {
    year: i64,
    month: i64,
    day: i64,
    days: i64,
    time: i64,
    ahead: Option<i64>,
    zone: String,
    interval: bool,
    hours: i64,
}

fn cased(word: &str, like: &str) -> String {
    if like.chars().all(char::is_uppercase) {
        word.to_uppercase()
    } else if like.chars().next().is_some_and(char::is_lowercase) {
        word.to_lowercase()
    } else {
        word.to_owned()
    }
}

fn th(number: &str, upper: bool) -> &'static str {
    let tens = number.len() > 1 && number.chars().rev().nth(1) == Some('1');
    let (small, large) = match number.chars().next_back() {
        Some('1') if !tens => ("st", "ST"),
        Some('2') if !tens => ("nd", "ND"),
        Some('3') if !tens => ("rd", "RD"),
        _ => ("th", "TH"),
    };
    if upper { large } else { small }
}

fn roman(month: i64) -> &'static str {
    const MONTHS: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];
    usize::try_from(month - 1).ok().and_then(|at| MONTHS.get(at)).copied().unwrap_or("")
}

fn field(shown: &Shown, name: &str, fill: bool) -> String {
    let digits = |value: i64, width: usize| if fill { format!("{value:0width$}") } else { value.to_string() };
    let word = |word: &str| if fill { format!("{word:<9}") } else { word.to_owned() };
    let (hour, year) = (shown.hours, shown.year);
    let hour12 = if (hour % 12).abs() == 0 { 12 } else { hour % 12 };
    let micros = shown.time % 1_000_000;
    let month_name = usize::try_from(shown.month - 1).ok().and_then(|at| MONTHS.get(at)).copied().unwrap_or("");
    let weekday = (shown.days + 4).rem_euclid(7);
    let day_name = usize::try_from(weekday).ok().and_then(|at| DAYS.get(at)).copied().unwrap_or("");
    let of_year = shown.days - day_number(year, 1, 1) + 1;
    let positive = if year > 0 { year } else { 1 - year };
    let part = |width: u32| {
        let width_of = usize::try_from(width).unwrap_or(6);
        format!("{:0width_of$}", micros / 10_i64.pow(6 - width))
    };
    match name {
        "HH24" => digits(hour, 2),
        "HH12" | "HH" => digits(if shown.interval { hour % 12 } else { hour12 }, 2),
        "MI" => digits(shown.time / 60_000_000 % 60, 2),
        "SS" => digits(shown.time / 1_000_000 % 60, 2),
        "SSSS" | "SSSSS" => digits(shown.time / 1_000_000, 1),
        "MS" | "FF3" => part(3),
        "US" | "FF6" => part(6),
        "FF1" => part(1),
        "FF2" => part(2),
        "FF4" => part(4),
        "FF5" => part(5),
        "AM" | "PM" => if hour % 24 >= 12 { "PM" } else { "AM" }.to_owned(),
        "am" | "pm" => if hour % 24 >= 12 { "pm" } else { "am" }.to_owned(),
        "A.M." | "P.M." => if hour % 24 >= 12 { "P.M." } else { "A.M." }.to_owned(),
        "a.m." | "p.m." => if hour % 24 >= 12 { "p.m." } else { "a.m." }.to_owned(),
        "Y,YYY" => format!("{},{:03}", positive / 1000, positive % 1000),
        "YYYY" => digits(positive, 4),
        "YYY" => digits(positive % 1000, 3),
        "YY" => digits(positive % 100, 2),
        "Y" => digits(positive % 10, 1),
        "IYYY" => digits(iso_week(shown.days).0, 4),
        "MONTH" | "Month" | "month" => word(&cased(month_name, name)),
        "MON" | "Mon" | "mon" => cased(month_name.get(..3).unwrap_or_default(), name),
        "MM" => digits(shown.month, 2),
        "DAY" | "Day" | "day" => word(&cased(day_name, name)),
        "DY" | "Dy" | "dy" => cased(day_name.get(..3).unwrap_or_default(), name),
        "DDD" => digits(of_year, 3),
        "DD" => digits(shown.day, 2),
        "D" => digits(weekday + 1, 1),
        "ID" => digits(if weekday == 0 { 7 } else { weekday }, 1),
        "IDDD" => {
            let (iso_year, _) = iso_week(shown.days);
            let fourth = day_number(iso_year, 1, 4);
            digits(shown.days - (fourth - (fourth + 3).rem_euclid(7)) + 1, 3)
        }
        "WW" => digits((of_year - 1) / 7 + 1, 2),
        "W" => digits((shown.day - 1) / 7 + 1, 1),
        "IW" => digits(iso_week(shown.days).1, 2),
        "CC" => digits(if year > 0 { (year + 99) / 100 } else { -((100 - year) / 100) }, 2),
        "J" => digits(shown.days + 2_440_588, 1),
        "Q" => digits((shown.month + 2) / 3, 1),
        "RM" => {
            if fill {
                format!("{:<4}", roman(shown.month))
            } else {
                roman(shown.month).to_owned()
            }
        }
        "BC" => if year > 0 { "AD" } else { "BC" }.to_owned(),
        "TZ" => shown.zone.clone(),
        "tz" => shown.zone.to_lowercase(),
        "TZH" => format!("{:+03}", shown.ahead.unwrap_or(0) / 3_600_000_000),
        "TZM" => format!("{:02}", (shown.ahead.unwrap_or(0) / 60_000_000 % 60).abs()),
        "OF" => {
            let ahead = shown.ahead.unwrap_or(0) / 60_000_000;
            let minutes = if ahead % 60 == 0 { String::new() } else { format!(":{:02}", (ahead % 60).abs()) };
            format!("{}{:02}{minutes}", if ahead < 0 { '-' } else { '+' }, ahead.abs() / 60)
        }
        _ => String::new(),
    }
}

fn shown_of(call: Call, value: &ScalarValue) -> Option<Shown> {
    let of_wall = |wall: i64, ahead: Option<i64>| {
        let days = wall.div_euclid(DAY);
        let (year, month, day) = civil(days);
        let time = wall.rem_euclid(DAY);
        let zone = ahead.map_or_else(String::new, |ahead| abbreviation(call, wall - ahead));
        Shown { year, month, day, days, time, ahead, zone, interval: false, hours: time / 3_600_000_000 }
    };
    Some(match moment(call, value)? {
        Moment::Wall(wall, ahead) => of_wall(wall, ahead),
        Moment::Date(days) => of_wall(days * DAY, None),
        Moment::Time(time) => of_wall(time, None),
        Moment::Span(Span { months, days, micros }) => Shown {
            year: months / 12,
            month: months % 12,
            day: days,
            days: 0,
            time: micros % 3_600_000_000,
            ahead: None,
            zone: String::new(),
            interval: true,
            hours: micros / 3_600_000_000,
        },
    })
}

fn abbreviation(call: Call, micros: i64) -> String {
    use chrono::TimeZone;
    use chrono_tz::OffsetName;
    let Some(at) = chrono::DateTime::from_timestamp_micros(micros) else { return String::new() };
    let offset = call.zone.offset_from_utc_datetime(&at.naive_utc());
    offset.abbreviation().unwrap_or_default().to_owned()
}

/// `to_char` of times and of numbers.
pub(super) fn to_char(call: Call, arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let (Some(value), Some(pattern)) = (arguments.first(), text(arguments, 1)) else {
        return Ok(ScalarValue::Utf8(None));
    };
    if value.data_type().is_numeric() {
        return Ok(ScalarValue::Utf8(Some(number(value, pattern)?)));
    }
    let Some(shown) = shown_of(call, value) else {
        return Err(
            UserError::new(sqlstate::UNDEFINED_FUNCTION, "function to_char(unknown, unknown) does not exist").into()
        );
    };
    let mut out = String::new();
    for piece in pieces(pattern) {
        match piece {
            Piece::Text(text) => out.push_str(&text),
            Piece::Field { name, fill, ordinal } => {
                let filled = field(&shown, name, fill);
                out.push_str(&filled);
                if let Some(upper) = ordinal {
                    out.push_str(th(&filled, upper));
                }
            }
        }
    }
    Ok(ScalarValue::Utf8(Some(out)))
}

/// The digits of a number at a scale, rounded half away from zero, and whether it is negative.
fn decimal_digits(value: &ScalarValue, scale: usize) -> Result<(String, String, bool)> {
    let wide = i8::try_from(scale).unwrap_or(30);
    let exact = match value.data_type() {
        DataType::Decimal128(..) | DataType::Decimal256(..) => value.cast_to(&DataType::Decimal256(76, wide))?,
        of if of.is_integer() => value.cast_to(&DataType::Decimal256(76, wide))?,
        _ => {
            let number = float(std::slice::from_ref(value), 0).unwrap_or(0.0);
            let text = format!("{number:.scale$}");
            let (negative, digits) = text.strip_prefix('-').map_or((false, text.as_str()), |rest| (true, rest));
            let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
            return Ok((whole.to_owned(), part.to_owned(), negative));
        }
    };
    let ScalarValue::Decimal256(Some(digits), ..) = exact else { return Ok((String::new(), String::new(), false)) };
    let text = digits.to_string();
    let (negative, digits) = text.strip_prefix('-').map_or((false, text.as_str()), |rest| (true, rest));
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, part) = padded.split_at(padded.len() - scale);
    Ok((whole.to_owned(), part.to_owned(), negative))
}

/// A number by a pattern of `9 0 . , D G S MI PL PR TH FM RN`.
fn number(value: &ScalarValue, pattern: &str) -> Result<String> {
    let upper = pattern.to_uppercase();
    for other in ["EEEE", "V", "L"] {
        if upper.contains(other) {
            let message = format!("to_char of a number with {other} is not supported");
            return Err(UserError::new(sqlstate::NOT_SUPPORTED, message).into());
        }
    }
    let fill = !upper.contains("FM");
    if upper.contains("RN") {
        return Ok(roman_number(value, fill));
    }
    let (before, after) = match upper.find(['.', 'D']) {
        Some(at) => (upper.get(..at).unwrap_or_default(), upper.get(at + 1..).unwrap_or_default()),
        None => (upper.as_str(), ""),
    };
    let places = |part: &str| part.chars().filter(|letter| matches!(letter, '9' | '0')).count();
    let (width, scale) = (places(before), places(after));
    let (mut whole, part, negative) = decimal_digits(value, scale)?;
    if whole == "0" && before.contains('9') && !before.contains('0') && scale > 0 {
        whole.clear();
    }
    let overflow = whole.len() > width;
    let zeros = before.find('0').map_or(0, |at| places(before.get(at..).unwrap_or_default()));
    let mut digits: Vec<char> = whole.chars().collect();
    while digits.len() < zeros {
        digits.insert(0, '0');
    }
    let mut out = String::new();
    let blank = width.saturating_sub(digits.len());
    let (mut place, mut started) = (0, false);
    for letter in before.chars() {
        match letter {
            '9' | '0' => {
                if overflow {
                    out.push('#');
                } else if place >= blank {
                    started = true;
                    out.extend(digits.get(place - blank));
                } else {
                    out.push(' ');
                }
                place += 1;
            }
            ',' | 'G' => out.push(if started || overflow { ',' } else { ' ' }),
            _ => {}
        }
    }
    if upper.contains(['.', 'D']) {
        out.push('.');
        let fraction = if overflow { "#".repeat(scale) } else { part };
        let kept = if fill {
            fraction.len()
        } else {
            let least = after.rfind('0').map_or(0, |at| places(after.get(..=at).unwrap_or_default()));
            fraction.trim_end_matches('0').len().max(least)
        };
        out.push_str(fraction.get(..kept).unwrap_or_default());
    }
    Ok(signed(out, &upper, pattern, negative, fill))
}

fn signed(digits: String, upper: &str, pattern: &str, negative: bool, fill: bool) -> String {
    let start = digits.len() - digits.trim_start().len();
    let (blank, rest) = digits.split_at(start);
    let sign = if negative { "-" } else { "+" };
    let mut out = if upper.contains("PR") {
        if negative { format!("{blank}<{rest}>") } else { format!(" {blank}{rest} ") }
    } else if upper.contains("MI") {
        let mark = if negative { "-" } else { " " };
        if upper.starts_with("MI") { format!("{mark}{blank}{rest}") } else { format!("{blank}{rest}{mark}") }
    } else if upper.contains("SG") || upper.contains("PL") {
        format!("{sign}{blank}{rest}")
    } else if upper.contains('S') {
        if upper.trim_start_matches("FM").starts_with('S') {
            format!("{blank}{sign}{rest}")
        } else {
            format!("{blank}{rest}{sign}")
        }
    } else {
        format!("{blank}{}{rest}", if negative { "-" } else { " " })
    };
    if !fill {
        out = out.trim().to_owned();
    }
    if let Some(at) = upper.find("TH")
        && !negative
    {
        let large = pattern.get(at..at + 2) == Some("TH");
        let suffix = th(rest, large);
        out.push_str(suffix);
    }
    out
}

fn roman_number(value: &ScalarValue, fill: bool) -> String {
    const STEPS: [(i64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut rest = super::function::int(std::slice::from_ref(value), 0).unwrap_or(0);
    if !(1..4000).contains(&rest) {
        return "#".repeat(15);
    }
    let mut out = String::new();
    for (step, letters) in STEPS {
        while rest >= step {
            out.push_str(letters);
            rest -= step;
        }
    }
    if fill { format!("{out:>15}") } else { out }
}

/// Microseconds since the epoch of a text in a pattern.
pub(super) fn read(input: &str, pattern: &str) -> Result<i64> {
    let (mut year, mut month, mut day, mut time, mut afternoon) = (1, 1, 1, [0_i64; 4], None);
    let mut rest = input.trim_start();
    let wrong = |name: &str| {
        UserError::new("22007", format!("invalid value for \"{name}\" in source string")).detail(input.to_owned())
    };
    let all = pieces(pattern);
    for (at, piece) in all.iter().enumerate() {
        let name = match piece {
            Piece::Text(text) => {
                for _ in text.chars() {
                    rest = rest
                        .strip_prefix(|letter: char| !letter.is_ascii_alphanumeric() || text.contains(letter))
                        .unwrap_or(rest);
                }
                continue;
            }
            Piece::Field { name, .. } => *name,
        };
        rest = rest.trim_start();
        if let "MONTH" | "Month" | "month" | "MON" | "Mon" | "mon" = name {
            let place = MONTHS.iter().position(|known| {
                rest.get(..3).is_some_and(|start| known.get(..3).is_some_and(|known| known.eq_ignore_ascii_case(start)))
            });
            let place = place.ok_or_else(|| wrong(name))?;
            month = i64::try_from(place).unwrap_or(0) + 1;
            rest = rest.trim_start_matches(char::is_alphabetic);
            continue;
        }
        if let "DAY" | "Day" | "day" | "DY" | "Dy" | "dy" | "AM" | "PM" | "am" | "pm" | "TZ" = name {
            let end = rest.find(|letter: char| !letter.is_alphabetic()).unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            if word.eq_ignore_ascii_case("pm") || word.eq_ignore_ascii_case("am") {
                afternoon = Some(word.eq_ignore_ascii_case("pm"));
            }
            rest = behind;
            continue;
        }
        let digits_behind = matches!(all.get(at + 1), Some(Piece::Field { .. }));
        let most = match name {
            "YYYY" if !digits_behind => 9,
            "YYYY" => 4,
            "YYY" | "MS" | "DDD" => 3,
            "US" => 6,
            _ => 2,
        };
        let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len()).min(most);
        let (digits, behind) = rest.split_at(end);
        rest = behind;
        let value: i64 = digits.parse().map_err(|_| wrong(name))?;
        match name {
            "YYYY" => year = value,
            "YY" => year = if value < 70 { 2000 + value } else { 1900 + value },
            "MM" => month = value,
            "DD" => day = value,
            "DDD" => (month, day) = (1, value),
            "HH24" | "HH12" | "HH" => time[0] = value,
            "MI" => time[1] = value,
            "SS" => time[2] = value,
            "MS" => time[3] = format!("{digits:0<3}").parse::<i64>().unwrap_or(0) * 1000,
            "US" => time[3] = format!("{digits:0<6}").parse::<i64>().unwrap_or(0),
            other => {
                return Err(UserError::new(sqlstate::NOT_SUPPORTED, format!("reading {other} is not supported")).into());
            }
        }
    }
    if let Some(afternoon) = afternoon {
        time[0] = time[0] % 12 + if afternoon { 12 } else { 0 };
    }
    let [hours, minutes, seconds, micros] = time;
    let days = day_number(year, month.clamp(1, 12), day);
    let valid = (1..=12).contains(&month)
        && (civil(days) == (year, month, day) || pattern.contains("DDD"))
        && hours < 24
        && minutes < 60
        && seconds < 60;
    if !valid {
        return Err(UserError::new("22008", format!("date/time field value out of range: \"{input}\"")).into());
    }
    Ok(days * DAY + (hours * 3600 + minutes * 60 + seconds) * 1_000_000 + micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(value: ScalarValue, pattern: &str) -> String {
        number(&value, pattern).unwrap()
    }

    #[test]
    fn numbers_are_written_by_their_pattern() {
        let exact = |digits: i128, scale: i8| ScalarValue::Decimal128(Some(digits), 38, scale);
        assert_eq!(numbered(exact(125, 0), "999"), " 125");
        assert_eq!(numbered(exact(125, 0), "0000"), " 0125");
        assert_eq!(numbered(exact(-1258, 1), "999D99"), "-125.80");
        assert_eq!(numbered(exact(1_234_567, 0), "9,999,999"), " 1,234,567");
        assert_eq!(numbered(exact(1_234_567_891, 3), "FM9G999G990D00"), "1,234,567.89");
        assert_eq!(numbered(exact(123_456, 0), "999"), " ###");
        assert_eq!(numbered(exact(482, 0), "FMRN"), "CDLXXXII");
        assert_eq!(numbered(exact(-5, 0), "99PR"), " <5>");
    }

    #[test]
    fn texts_are_read_by_their_pattern() {
        assert_eq!(read("29 Feb 2024", "DD Mon YYYY").unwrap(), 19_782 * DAY);
        assert_eq!(read("20240229 01:02:03 PM", "YYYYMMDD HH12:MI:SS AM").unwrap(), 19_782 * DAY + 46_923_000_000);
        assert!(read("2024-13-01", "YYYY-MM-DD").is_err());
    }
}
