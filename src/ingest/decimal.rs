//! Amounts as written, to the exact integer that a money column stores. Nothing is ever rounded.

use std::fmt;

use crate::model::cell::{MONEY_PRECISION, MONEY_SCALE};

/// Why a text is not an amount that a money column can hold exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotExact {
    /// It is not a number in plain or scientific notation.
    NotANumber,
    /// It has a digit other than zero further behind the point than the column keeps.
    TooFine,
    /// It has more digits before the point than the column keeps.
    TooLarge,
}

impl fmt::Display for NotExact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotANumber => f.write_str("not a number"),
            Self::TooFine => write!(f, "more than {MONEY_SCALE} digits behind the point"),
            Self::TooLarge => f.write_str("too large"),
        }
    }
}

/// The amount as a count of 10⁻¹².
///
/// Read are digits with a point, a sign and an exponent (`-0.5`, `1.25E-7`). Separators of thousands are refused,
/// because a comma is a decimal point elsewhere.
///
/// # Errors
/// When the text is no number, or the column could not hold it without changing it.
pub fn parse(text: &str) -> Result<i128, NotExact> {
    let text = text.trim();
    let (negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, text.get(1..).unwrap_or_default()),
        Some(b'+') => (false, text.get(1..).unwrap_or_default()),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    if !all_digits || whole.len() + fraction.len() == 0 {
        return Err(NotExact::NotANumber);
    }
    let digits = format!("{whole}{fraction}");
    let behind_point = i64::try_from(fraction.len()).map_err(|_| NotExact::TooFine)? - exponent;
    let value = scale(digits.trim_start_matches('0'), behind_point)?;
    Ok(if negative { -value } else { value })
}

fn parse_exponent(text: &str) -> Result<i64, NotExact> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotExact::NotANumber);
    }
    // More digits than these are beyond any column in either direction, whatever the mantissa.
    let value: i64 = digits.parse().unwrap_or(i64::from(i32::MAX)).min(i64::from(i32::MAX));
    Ok(if text.starts_with('-') { -value } else { value })
}

/// The digits, of which so many are behind the point, as a count of the smallest unit.
fn scale(digits: &str, behind_point: i64) -> Result<i128, NotExact> {
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Ok(0);
    }
    let trimmed = i64::try_from(digits.len() - significant.len()).unwrap_or(i64::MAX);
    let shift = i64::from(MONEY_SCALE) - (behind_point - trimmed);
    if shift < 0 {
        return Err(NotExact::TooFine);
    }
    let length = i64::try_from(significant.len()).unwrap_or(i64::MAX).saturating_add(shift);
    if length > i64::from(MONEY_PRECISION) {
        return Err(NotExact::TooLarge);
    }
    let shift = u32::try_from(shift).map_err(|_| NotExact::TooLarge)?;
    let value: i128 = significant.parse().map_err(|_| NotExact::TooLarge)?;
    10_i128.checked_pow(shift).and_then(|factor| value.checked_mul(factor)).ok_or(NotExact::TooLarge)
}

/// A binary floating-point amount as the decimal that it stands for.
///
/// A double keeps 15 decimal digits of whatever was stored in it; the digits beyond are made by its binary form. So
/// the shortest decimal that is this double is taken, or, where that needs 16 or 17 digits, its 15 digits.
#[must_use]
pub fn text_of_double(value: f64) -> String {
    let shortest = format!("{value:e}");
    let digits = shortest.split('e').next().unwrap_or_default().bytes().filter(u8::is_ascii_digit).count();
    if digits <= 15 || !value.is_finite() { shortest } else { format!("{value:.14e}") }
}

/// The amount in plain notation, without needless zeros.
#[must_use]
pub fn format(value: i128) -> String {
    let unit = 10_u128.pow(u32::from(MONEY_SCALE.unsigned_abs()));
    let magnitude = value.unsigned_abs();
    let sign = if value < 0 { "-" } else { "" };
    let fraction = format!("{:012}", magnitude % unit);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}", magnitude / unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_exact() {
        let cases: [(&str, i128); 14] = [
            ("0", 0),
            ("-0.00000000000", 0),
            ("1", 1_000_000_000_000),
            ("+1.", 1_000_000_000_000),
            (".5", 500_000_000_000),
            ("-3.00000000000", -3_000_000_000_000),
            ("0.00000080000", 800_000),
            ("0.000000000001", 1),
            ("0.000000000001000000", 1),
            ("1.25E-7", 125_000),
            ("1e-12", 1),
            ("1e3", 1_000_000_000_000_000),
            ("0e999999999999999999999", 0),
            (" 99999999999999999999999999.999999999999 ", 99_999_999_999_999_999_999_999_999_999_999_999_999),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_would_be_changed_is_refused() {
        for text in [
            "", "-", ".", "e5", "1e", "1e+", "1,234.56", "1 000", "$5", "(5)", "NaN", "inf", "0x10", "1.2.3", "--1",
            "١",
        ] {
            assert_eq!(parse(text), Err(NotExact::NotANumber), "{text}");
        }
        for text in ["0.0000000000001", "1e-13", "1.0000000000005", "1e-999999999999999999999"] {
            assert_eq!(parse(text), Err(NotExact::TooFine), "{text}");
        }
        for text in ["100000000000000000000000000", "1e26", "1e999999999999999999999"] {
            assert_eq!(parse(text), Err(NotExact::TooLarge), "{text}");
        }
    }

    #[test]
    fn doubles_lose_only_what_their_binary_form_made_up() {
        assert_eq!(parse(&text_of_double(0.1)), parse("0.1"));
        assert_eq!(parse(&text_of_double(0.1 + 0.2)), parse("0.3"));
        assert_eq!(parse(&text_of_double(1e-7)), parse("0.0000001"));
        assert_eq!(parse(&text_of_double(-123_456.789)), parse("-123456.789"));
        assert_eq!(parse(&text_of_double(1e-13)), Err(NotExact::TooFine));
        assert_eq!(parse(&text_of_double(f64::NAN)), Err(NotExact::NotANumber));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".*") {
            let _answer = parse(&text);
        }

        #[test]
        fn written_amounts_are_read_back(value in -99_999_999_999_999_999_999_999_999_999_999_999_999_i128..=99_999_999_999_999_999_999_999_999_999_999_999_999) {
            prop_assert_eq!(parse(&format(value)), Ok(value));
        }

        #[test]
        fn an_exponent_moves_the_point(units in -1_000_000_000_i128..1_000_000_000, exponent in 0_u32..13) {
            let expected = units * 10_i128.pow(12 - exponent);
            prop_assert_eq!(parse(&format!("{units}e-{exponent}")), Ok(expected));
        }

        #[test]
        fn a_surplus_digit_is_never_rounded_away(units in any::<i64>(), digit in 1_u8..10) {
            let text = format!("{units}.000000000000{digit}");
            prop_assert_eq!(parse(&text), Err(NotExact::TooFine));
        }
    }
}
