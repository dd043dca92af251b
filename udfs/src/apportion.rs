//! Divide a whole number of smallest units so that the parts sum to it. Signs: a negative amount is divided as its
//! magnitude is, so that a credit mirrors the charge that it takes back.

use datafusion::arrow::datatypes::i256;

/// How the units that rounding leaves over are dealt out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// One each to the parts with the largest remainders, ties to the first (Hamilton's method).
    LargestRemainder,
    /// Every running total is rounded half up; a part is the difference of two.
    RunningTotal,
}

/// Why an amount cannot be divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There are no parts, or no weight is above zero.
    NothingToWeighBy,
    /// The weights' sum does not fit 127 bits.
    TooLarge,
}

/// Equal parts; the first ones carry the units that are left over. `parts` must not be empty.
pub(crate) fn even(amount: i128, parts: &mut [i128]) {
    let count = parts.len() as u128;
    let (each, over) = (amount.unsigned_abs() / count, amount.unsigned_abs() % count);
    for (i, part) in parts.iter_mut().enumerate() {
        *part = signed(amount, each + u128::from((i as u128) < over));
    }
}

/// Parts in proportion to `weights`; `parts` is as long.
pub(crate) fn weighted(
    amount: i128,
    weights: &[u128],
    rounding: Rounding,
    parts: &mut [i128],
    scratch: &mut Vec<(u128, usize)>,
) -> Result<(), Refusal> {
    let limit = i128::MAX.unsigned_abs();
    let total = weights.iter().try_fold(0u128, |sum, w| sum.checked_add(*w).filter(|s| *s <= limit));
    let total = total.ok_or(Refusal::TooLarge)?;
    if total == 0 {
        return Err(Refusal::NothingToWeighBy);
    }
    match rounding {
        Rounding::LargestRemainder => largest_remainder(amount, weights, total, parts, scratch),
        Rounding::RunningTotal => running_total(amount, weights, total, parts),
    }
    Ok(())
}

fn largest_remainder(
    amount: i128,
    weights: &[u128],
    total: u128,
    parts: &mut [i128],
    remainders: &mut Vec<(u128, usize)>,
) {
    let magnitude = amount.unsigned_abs();
    remainders.clear();
    let mut over = magnitude;
    for (i, (weight, part)) in weights.iter().zip(parts.iter_mut()).enumerate() {
        let (floor, remainder) = mul_div(magnitude, *weight, total);
        *part = signed(amount, floor);
        over -= floor;
        remainders.push((remainder, i));
    }
    remainders.sort_unstable_by(|(a, i), (b, j)| b.cmp(a).then(i.cmp(j)));
    for (_, i) in remainders.iter().zip(0..over).map(|(r, _)| *r) {
        parts[i] += amount.signum();
    }
}

fn running_total(amount: i128, weights: &[u128], total: u128, parts: &mut [i128]) {
    let (mut weight_so_far, mut dealt) = (0u128, 0u128);
    for (weight, part) in weights.iter().zip(parts) {
        weight_so_far += weight;
        let (floor, remainder) = mul_div(amount.unsigned_abs(), weight_so_far, total);
        let rounded = floor + u128::from(remainder >= total - remainder);
        *part = signed(amount, rounded - dealt);
        dealt = rounded;
    }
}

/// The quotient and remainder of `a × b / c`, where `b ≤ c < 2¹²⁷` and `a ≤ 2¹²⁷`.
fn mul_div(a: u128, b: u128, c: u128) -> (u128, u128) {
    if let Some(product) = a.checked_mul(b) {
        return (product / c, product % c);
    }
    let wide = |x| i256::from_parts(x, 0);
    let product = wide(a).wrapping_mul(wide(b));
    let (quotient, remainder) = (product.wrapping_div(wide(c)), product.wrapping_rem(wide(c)));
    (quotient.to_parts().0, remainder.to_parts().0)
}

fn signed(like: i128, magnitude: u128) -> i128 {
    // Only i128::MIN has a magnitude that does not fit, and its negation wraps back to itself.
    let value = magnitude.cast_signed();
    if like < 0 { value.wrapping_neg() } else { value }
}

/// Weights given as floating point, as whole numbers in the same proportion: exact for those within 2⁴⁷ of the
/// largest, smaller ones to 2⁻¹⁰⁰ of it. The caller has refused negative and non-finite ones.
pub(crate) fn whole_weights(weights: &[f64], whole: &mut Vec<u128>) {
    let largest = weights.iter().copied().fold(0.0, f64::max);
    whole.clear();
    // Two steps, as 2 to the power of the whole shift may not be a number.
    let exponent = if largest > 0.0 { largest.log2().floor() } else { 0.0 };
    let first = (-exponent / 2.0).trunc();
    let (up, rest) = (first.exp2(), (100.0 - exponent - first).exp2());
    whole.extend(weights.iter().map(|w| (w * up * rest).round() as u128));
}

/// The airport game's Shapley values (Littlechild & Owen 1973), in smallest units: whoever needs a cost of c shares
/// each step below it with all who need as much or more. The values sum to the largest cost; the units that rounding
/// leaves over go to the largest remainders, ties to the first. `order` lists the players by ascending cost.
pub(crate) fn airport(costs: &[i128], order: &[usize]) -> Vec<i128> {
    let mut values = vec![0i128; costs.len()];
    let mut remainders = Vec::with_capacity(costs.len());
    let (mut share, mut below) = (i256::ZERO, 0i128);
    for (rank, &player) in order.iter().enumerate() {
        let step = costs[player] - below;
        below = costs[player];
        let sharers = i256::from_i128((costs.len() - rank) as i128);
        // With 64 binary places the floors lose less than a unit as long as there are under 2⁶⁴ players.
        share = share.wrapping_add(i256::from_parts((step as u128) << 64, step >> 64).wrapping_div(sharers));
        let (low, high) = share.to_parts();
        values[player] = (high << 64) | (low >> 64).cast_signed();
        remainders.push((low as u64, player));
    }
    let over = below - values.iter().sum::<i128>();
    remainders.sort_unstable_by(|(a, i), (b, j)| b.cmp(a).then(i.cmp(j)));
    for (_, player) in remainders.into_iter().zip(0..over).map(|(r, _)| r) {
        values[player] += 1;
    }
    values
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn divide(amount: i128, weights: &[u128], rounding: Rounding) -> Vec<i128> {
        let mut parts = vec![0; weights.len()];
        weighted(amount, weights, rounding, &mut parts, &mut Vec::new()).unwrap();
        parts
    }

    fn some_weights() -> impl Strategy<Value = Vec<u128>> {
        prop::collection::vec(prop_oneof![0..9u128, 0..u128::MAX / 4096], 1..12)
            .prop_filter("some weight", |w| w.iter().any(|w| *w > 0))
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_amount(amount: i128, weights in some_weights(), count in 1..50usize) {
            let mut parts = vec![0; count];
            even(amount, &mut parts);
            prop_assert_eq!(parts.iter().sum::<i128>(), amount);
            prop_assert!(parts.iter().max().unwrap() - parts.iter().min().unwrap() <= 1);
            for rounding in [Rounding::LargestRemainder, Rounding::RunningTotal] {
                let parts = divide(amount, &weights, rounding);
                prop_assert_eq!(parts.iter().sum::<i128>(), amount);
                for (part, weight) in parts.iter().zip(&weights) {
                    prop_assert!(part.signum() * amount.signum() >= 0);
                    prop_assert!(*weight > 0 || *part == 0);
                }
            }
        }

        #[test]
        fn no_part_is_off_by_a_unit(amount in -1_000_000i128..1_000_000, weights in prop::collection::vec(0..1000u128, 1..12)) {
            let total: u128 = weights.iter().sum();
            prop_assume!(total > 0);
            for (part, weight) in divide(amount, &weights, Rounding::LargestRemainder).iter().zip(&weights) {
                let off = part * total as i128 - amount * *weight as i128;
                prop_assert!(off.unsigned_abs() < total);
            }
            let (mut sum, mut so_far) = (0i128, 0i128);
            for (part, weight) in divide(amount, &weights, Rounding::RunningTotal).iter().zip(&weights) {
                sum += part;
                so_far += *weight as i128;
                prop_assert!(2 * (sum * total as i128 - amount * so_far).unsigned_abs() <= total);
            }
        }

        #[test]
        fn wide_products_are_those_of_division(a in 0..1u128 << 127, b in 0..1u128 << 126, more in 1..1u128 << 126) {
            let c = b + more;
            let (quotient, remainder) = mul_div(a, b, c);
            let wide = |x| i256::from_parts(x, 0);
            prop_assert!(remainder < c && quotient <= a);
            prop_assert_eq!(wide(quotient).wrapping_mul(wide(c)).wrapping_add(wide(remainder)), wide(a).wrapping_mul(wide(b)));
        }

        #[test]
        fn airport_shares_sum_to_the_peak(costs in prop::collection::vec(0..i128::MAX / 64, 1..20)) {
            let mut order: Vec<_> = (0..costs.len()).collect();
            order.sort_by_key(|i| costs[*i]);
            let shares = airport(&costs, &order);
            prop_assert_eq!(shares.iter().sum::<i128>(), *costs.iter().max().unwrap());
            for pair in order.windows(2) {
                prop_assert!(shares[pair[0]] <= shares[pair[1]] + 1);
            }
            for (share, cost) in shares.iter().zip(&costs) {
                prop_assert!(*share >= 0 && *share <= *cost + 1);
            }
        }

        #[test]
        fn floating_weights_keep_their_proportions(weights in prop::collection::vec(0..1u64 << 40, 1..9), shift in -900..900i32) {
            prop_assume!(weights.iter().any(|w| *w > 0));
            let scaled: Vec<f64> = weights.iter().map(|w| *w as f64 * 2f64.powi(shift)).collect();
            let mut whole = Vec::new();
            whole_weights(&scaled, &mut whole);
            let exact: Vec<u128> = weights.iter().map(|w| u128::from(*w)).collect();
            let amount = 123_456_789_012_345_678_901i128;
            let (a, b) = (divide(amount, &whole, Rounding::LargestRemainder), divide(amount, &exact, Rounding::LargestRemainder));
            prop_assert_eq!(a, b);
        }
    }

    #[test]
    fn the_extremes_of_floating_weights() {
        let mut whole = Vec::new();
        for weights in [[5e-324, 5e-324], [f64::MAX, f64::MAX], [1.0, 1.0]] {
            whole_weights(&weights, &mut whole);
            assert_eq!(divide(10, &whole, Rounding::LargestRemainder), [5, 5], "{weights:?}");
        }
        whole_weights(&[0.0, 0.0], &mut whole);
        assert_eq!(whole, [0, 0]);
    }

    #[test]
    fn weights_that_cannot_be() {
        let refusal = |weights: &[u128]| {
            weighted(1, weights, Rounding::LargestRemainder, &mut vec![0; weights.len()], &mut Vec::new()).unwrap_err()
        };
        assert_eq!(refusal(&[]), Refusal::NothingToWeighBy);
        assert_eq!(refusal(&[u128::MAX, 1]), Refusal::TooLarge);
        assert_eq!(refusal(&[1 << 126, 1 << 126]), Refusal::TooLarge);
    }
}
