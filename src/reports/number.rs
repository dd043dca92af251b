//! Numbers for people: exact decimals, rounded once, with separators.

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal128Type};

/// Digits behind the point of the amounts that this module adds up.
pub(super) const SCALE: u32 = 12;

/// The values of a numeric column as counts of 10⁻¹²; none where null or not a number.
pub(super) fn exact(column: &dyn Array) -> Vec<Option<i128>> {
    let wanted = DataType::Decimal128(38, 12);
    match cast(column, &wanted) {
        Ok(numbers) => numbers.as_primitive::<Decimal128Type>().iter().collect(),
        Err(_) => vec![None; column.len()],
    }
}

/// An amount with `digits` behind the point (at most 12), rounded half to even, with thousands separators.
pub(super) fn rounded(amount: i128, digits: u32) -> String {
    let unit = 10_i128.pow(SCALE - digits);
    let (mut whole, rest) = (amount.unsigned_abs() / unit.unsigned_abs(), amount.unsigned_abs() % unit.unsigned_abs());
    let half = unit.unsigned_abs() / 2;
    if rest > half || (rest == half && half > 0 && whole % 2 == 1) {
        whole += 1;
    }
    let scale = 10_u128.pow(digits);
    let sign = if amount < 0 && whole > 0 { "−" } else { "" };
    let integer = separated(whole / scale);
    if digits == 0 {
        return format!("{sign}{integer}");
    }
    format!("{sign}{integer}.{:0width$}", whole % scale, width = digits as usize)
}

/// An amount with all the digits that it has and thousands separators.
pub(super) fn plain(amount: i128) -> String {
    let full = rounded(amount, SCALE);
    full.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn separated(whole: u128) -> String {
    let digits = whole.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_once_half_to_even() {
        assert_eq!(rounded(1_234_567_895_000_000_000, 2), "1,234,567.90");
        assert_eq!(rounded(5_000_000_000, 2), "0.00");
        assert_eq!(rounded(15_000_000_000, 2), "0.02");
        assert_eq!(rounded(-15_000_000_001, 2), "−0.02");
        assert_eq!(rounded(-1, 2), "0.00");
        assert_eq!(rounded(2_500_000_000_000, 0), "2");
        assert_eq!(plain(1_000_500_000_000_000), "1,000.5");
        assert_eq!(plain(3_000_000_000_000), "3");
    }
}
