//! Exact splits of an integer amount: the parts sum to the whole to the last unit, for negative amounts too.

/// Largest total of weights that is computed with; greater ones are halved until they fit, which moves a ratio by
/// less than one part in 10³⁰ and the sum of the parts not at all.
const MAX_TOTAL: u128 = 1 << 126;

/// Split `amount` in proportion to `weights` by largest remainder (Hamilton's method): every part is rounded toward
/// zero, and the units that are left go one each to the largest remainders.
///
/// The weights are in the order of their keys, and a tie goes to the lower key. A negative amount is split like its
/// absolute value, so that a refund takes back exactly what the charge gave. `None` if no weight is positive.
#[must_use]
pub fn largest_remainder(amount: i128, weights: &[u128]) -> Option<Vec<i128>> {
    let weights = fitting(weights);
    let total: u128 = weights.iter().sum();
    if total == 0 {
        return None;
    }
    let whole = amount.unsigned_abs();
    let mut parts = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    let mut given = 0u128;
    for (at, weight) in weights.iter().enumerate() {
        let (quotient, remainder) = mul_div(whole, *weight, total);
        given += quotient;
        parts.push(quotient);
        if remainder > 0 {
            remainders.push((remainder, at));
        }
    }
    // The remainders add up to the units that are left times the total, so there are more of them than units.
    let left = usize::try_from(whole - given).unwrap_or(remainders.len());
    if left > 0 {
        remainders.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        for (_, at) in remainders.iter().take(left) {
            if let Some(part) = parts.get_mut(*at) {
                *part += 1;
            }
        }
    }
    let signed = |part: u128| {
        let part = i128::try_from(part).unwrap_or(i128::MAX);
        if amount < 0 { -part } else { part }
    };
    Some(parts.into_iter().map(signed).collect())
}

/// Split evenly over `n` keys; `None` if there is no key.
#[must_use]
pub fn even(amount: i128, n: usize) -> Option<Vec<i128>> {
    largest_remainder(amount, &vec![1; n])
}

/// Weights that are in proportion to measured quantities; what is negative or not a number weighs nothing.
#[must_use]
pub fn quantity_weights(quantities: &[f64]) -> Vec<u128> {
    let largest = quantities.iter().copied().filter(|quantity| quantity.is_finite()).fold(0.0, f64::max);
    // 2⁵³ keeps every digit that a double has.
    let scale = |quantity: f64| {
        if !quantity.is_finite() || quantity <= 0.0 || largest <= 0.0 {
            return 0;
        }
        // A positive quantity keeps a positive weight, however small it is beside the largest.
        ((quantity / largest * 9_007_199_254_740_992.0).round() as u128).max(1)
    };
    quantities.iter().copied().map(scale).collect()
}

/// Shares of a cost that is driven by the highest of several peaks: the Shapley value of the airport game,
/// `φᵢ = Σ_{k≤i} (c_k − c_{k−1}) / (n − k + 1)` with the peaks in ascending order (Littlechild and Owen 1973).
///
/// The shares are in the order of the input and sum to the highest peak; what is negative or not a number counts as 0.
#[must_use]
pub fn airport_shapley(peaks: &[f64]) -> Vec<f64> {
    let clean = |peak: f64| if peak.is_finite() && peak > 0.0 { peak } else { 0.0 };
    let mut order: Vec<(f64, usize)> = peaks.iter().enumerate().map(|(at, peak)| (clean(*peak), at)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut shares = vec![0.0; peaks.len()];
    let (mut below, mut carried) = (0.0, 0.0);
    for (k, (peak, at)) in order.iter().enumerate() {
        carried += (peak - below) / (order.len() - k) as f64;
        below = *peak;
        if let Some(share) = shares.get_mut(*at) {
            *share = carried;
        }
    }
    shares
}

fn fitting(weights: &[u128]) -> std::borrow::Cow<'_, [u128]> {
    let fits = |weights: &[u128]| {
        weights.iter().try_fold(0u128, |sum, weight| sum.checked_add(*weight)).is_some_and(|sum| sum <= MAX_TOTAL)
    };
    let mut weights = std::borrow::Cow::Borrowed(weights);
    while !fits(&weights) {
        for weight in weights.to_mut() {
            *weight = weight.div_ceil(2);
        }
    }
    weights
}

/// `a · b / d` and its remainder, for `b ≤ d ≤ 2¹²⁶`.
fn mul_div(a: u128, b: u128, d: u128) -> (u128, u128) {
    if let Some(product) = a.checked_mul(b) {
        return (product / d, product % d);
    }
    let (high, low) = wide_mul(a, b);
    // High is less than d because b ≤ d. Long division, one bit at a time: the remainder stays below 2¹²⁷.
    let (mut quotient, mut remainder) = (0u128, high % d);
    for bit in (0..128).rev() {
        remainder = (remainder << 1) | ((low >> bit) & 1);
        quotient <<= 1;
        if remainder >= d {
            remainder -= d;
            quotient |= 1;
        }
    }
    (quotient, remainder)
}

/// The 256-bit product as its upper and lower half.
fn wide_mul(a: u128, b: u128) -> (u128, u128) {
    const LOW: u128 = u64::MAX as u128;
    let (a1, a0, b1, b0) = (a >> 64, a & LOW, b >> 64, b & LOW);
    let low = a0 * b0;
    let middle = a1 * b0 + (low >> 64);
    let middle_low = (middle & LOW) + a0 * b1;
    (a1 * b1 + (middle >> 64) + (middle_low >> 64), (middle_low << 64) | (low & LOW))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_left_over_go_to_the_largest_remainders_and_ties_to_the_lower_key() {
        assert_eq!(largest_remainder(100, &[1, 1, 1]), Some(vec![34, 33, 33]));
        assert_eq!(largest_remainder(-100, &[1, 1, 1]), Some(vec![-34, -33, -33]));
        assert_eq!(largest_remainder(10, &[1, 2, 4]), Some(vec![1, 3, 6]));
        assert_eq!(largest_remainder(1, &[0, 1, 1]), Some(vec![0, 1, 0]));
        assert_eq!(largest_remainder(0, &[3, 1]), Some(vec![0, 0]));
        assert_eq!(largest_remainder(7, &[0, 0]), None);
        assert_eq!(largest_remainder(7, &[]), None);
        assert_eq!(even(5, 2), Some(vec![3, 2]));
    }

    #[test]
    fn products_beyond_128_bits_are_exact() {
        let most = 10i128.pow(38) - 1;
        let weights = [10u128.pow(38) - 1, 1, 10u128.pow(37)];
        let parts = largest_remainder(most, &weights).unwrap();
        assert_eq!(parts.iter().sum::<i128>(), most);
        assert_eq!(wide_mul(u128::MAX, u128::MAX), (u128::MAX - 1, 1));
        assert_eq!(mul_div(most.unsigned_abs(), 3 << 120, 6 << 120), (most.unsigned_abs() / 2, 3 << 120));
    }

    #[test]
    fn the_airport_game_of_three() {
        // Peaks 6, 9 and 12: the first 6 by three, the next 3 by two, the last 3 alone.
        assert_eq!(airport_shapley(&[12.0, 6.0, 9.0]), vec![6.5, 2.0, 3.5]);
        assert_eq!(airport_shapley(&[5.0, f64::NAN, -1.0]), vec![5.0, 0.0, 0.0]);
        assert!(airport_shapley(&[]).is_empty());
    }

    #[test]
    fn quantities_keep_their_ratio_and_nonsense_weighs_nothing() {
        let weights = quantity_weights(&[1.0, 4.0, -2.0, f64::NAN, f64::INFINITY, 1e-300]);
        assert_eq!(weights[1] / 4, weights[0]);
        assert_eq!(&weights[2..], &[0, 0, 0, 1]);
        assert_eq!(quantity_weights(&[0.0]), vec![0]);
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_whole_and_miss_their_quota_by_less_than_a_unit(
            amount in -(10i128.pow(38) - 1)..10i128.pow(38),
            weights in prop::collection::vec(prop_oneof![0u128..5, 0u128..10u128.pow(20), 0u128..10u128.pow(38)], 1..12),
        ) {
            let total = weights.iter().fold(0u128, |sum, weight| sum.saturating_add(*weight));
            match largest_remainder(amount, &weights) {
                None => prop_assert_eq!(total, 0),
                Some(parts) => {
                    prop_assert_eq!(parts.iter().sum::<i128>(), amount);
                    let opposite = largest_remainder(-amount, &weights).unwrap();
                    prop_assert!(parts.iter().zip(&opposite).all(|(part, other)| *part == -*other));
                    if total <= MAX_TOTAL {
                        for (part, weight) in parts.iter().zip(&weights) {
                            let (floor, rest) = mul_div(amount.unsigned_abs(), *weight, total);
                            let over = part.unsigned_abs() - floor;
                            prop_assert!(over == 0 || (over == 1 && rest > 0));
                        }
                    }
                }
            }
        }

        #[test]
        fn small_splits_agree_with_fractions(amount in 0i128..1000, weights in prop::collection::vec(0u128..20, 1..6)) {
            let total: u128 = weights.iter().sum();
            prop_assume!(total > 0);
            let mut expected: Vec<i128> = weights.iter().map(|w| amount * *w as i128 / total as i128).collect();
            while expected.iter().sum::<i128>() < amount {
                // The key that is furthest below its quota, the first of them.
                let short = |at: usize| amount * weights[at] as i128 - expected[at] * total as i128;
                let next = (0..weights.len()).max_by_key(|at| (short(*at), std::cmp::Reverse(*at))).unwrap();
                expected[next] += 1;
            }
            prop_assert_eq!(largest_remainder(amount, &weights), Some(expected));
        }

        #[test]
        fn airport_shares_sum_to_the_highest_peak_and_follow_the_order(peaks in prop::collection::vec(0.0f64..1e6, 1..20)) {
            let shares = airport_shapley(&peaks);
            let highest = peaks.iter().copied().fold(0.0, f64::max);
            prop_assert!((shares.iter().sum::<f64>() - highest).abs() < 1e-6);
            for (a, x) in peaks.iter().zip(&shares) {
                for (b, y) in peaks.iter().zip(&shares) {
                    prop_assert!(a > b || x <= y, "{a} {x} {b} {y}");
                }
            }
        }
    }
}
