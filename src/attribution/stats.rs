//! Small robust statistics and two-sample tests.

/// The value below which a fraction `q` of the sorted values lies, linearly interpolated; 0 for an empty slice.
#[must_use]
pub fn quantile_sorted(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let position = q.clamp(0.0, 1.0) * last as f64;
    let low = position.floor() as usize;
    let high = (low + 1).min(last);
    let (a, b) = (sorted[low.min(last)], sorted[high]);
    a + (b - a) * (position - low as f64)
}

/// A quantile of unsorted values; values that are not numbers are left out.
#[must_use]
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    quantile_sorted(&sorted, q)
}

/// How much larger a scale of one value would be taken: a spread that few values tell is uncertain itself. About as
/// the quantile of three standard deviations grows from the normal distribution to Student's, of a third as many degrees
/// of freedom as there are values, for quartiles tell that much less than all of them.
const FEW: f64 = 8.0;

/// What is usual: the median and the scale IQR/1.349, which is a normal distribution's standard deviation; of few values
/// it is larger.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usual {
    /// The median.
    pub median: f64,
    /// The scale, at least the floor that it was made with.
    pub scale: f64,
}

impl Usual {
    /// Median and scale of a sample (sorted in place); the scale is at least `relative`·|median| and at least `floor`.
    #[must_use]
    pub fn of(values: &mut [f64], relative: f64, floor: f64) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let median = quantile_sorted(values, 0.5);
        let quartiles = quantile_sorted(values, 0.75) - quantile_sorted(values, 0.25);
        let spread = quartiles / 1.349 * (1.0 + FEW / (values.len() as f64).max(1.0));
        Self { median, scale: spread.max(relative * median.abs()).max(floor) }
    }

    /// How many scales a value lies above the median.
    #[must_use]
    pub fn z(&self, value: f64) -> f64 {
        if self.scale > 0.0 { (value - self.median) / self.scale } else { 0.0 }
    }
}

/// The result of a two-sample test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Test {
    /// Effect size: Cliff's delta (−1…1) or a difference of rates.
    pub effect: f64,
    /// Two-sided p-value.
    pub p_value: f64,
}

/// Mann–Whitney U of `after` against `before`, normal approximation with tie and continuity correction; the effect is
/// Cliff's delta, positive when `after` is larger. None when a side is empty.
#[must_use]
pub fn mann_whitney(before: &[f64], after: &[f64]) -> Option<Test> {
    let (n, m) = (before.len() as f64, after.len() as f64);
    if before.is_empty() || after.is_empty() {
        return None;
    }
    let mut all: Vec<(f64, bool)> =
        before.iter().map(|&value| (value, false)).chain(after.iter().map(|&value| (value, true))).collect();
    all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut rank_sum, mut ties, mut at) = (0.0, 0.0, 0);
    while at < all.len() {
        let run = all[at..].iter().take_while(|item| item.0 == all[at].0).count().max(1);
        let rank = at as f64 + (run as f64 + 1.0) / 2.0;
        rank_sum += rank * all[at..at + run].iter().filter(|item| item.1).count() as f64;
        ties += (run as f64).powi(3) - run as f64;
        at += run;
    }
    let u = rank_sum - m * (m + 1.0) / 2.0;
    let total = n + m;
    let variance = n * m / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)).max(1.0));
    let centred = u - n * m / 2.0;
    let p_value =
        if variance > 0.0 { 2.0 * normal_upper((centred.abs() - 0.5).max(0.0) / variance.sqrt()) } else { 1.0 };
    Some(Test { effect: 2.0 * u / (n * m) - 1.0, p_value: p_value.min(1.0) })
}

/// χ² of a 2×2 table (bad and all, before and after), one degree of freedom, with Yates' correction; the effect is
/// the difference of the rates, after minus before. None when a side is empty.
#[must_use]
pub fn chi2_rates(bad_before: f64, all_before: f64, bad_after: f64, all_after: f64) -> Option<Test> {
    if all_before <= 0.0 || all_after <= 0.0 {
        return None;
    }
    let effect = bad_after / all_after - bad_before / all_before;
    let (good_before, good_after) = (all_before - bad_before, all_after - bad_after);
    let total = all_before + all_after;
    let (bad, good) = (bad_before + bad_after, good_before + good_after);
    if bad <= 0.0 || good <= 0.0 {
        return Some(Test { effect, p_value: 1.0 });
    }
    let cross = (bad_before * good_after - bad_after * good_before).abs();
    let corrected = (cross - total / 2.0).max(0.0);
    let chi2 = total * corrected * corrected / (all_before * all_after * bad * good);
    Some(Test { effect, p_value: (2.0 * normal_upper(chi2.sqrt())).min(1.0) })
}

/// P(Z > z) of the standard normal distribution: Abramowitz and Stegun 7.1.26 for the middle, an asymptotic series
/// for the tail, where that formula's absolute error would show.
#[must_use]
pub fn normal_upper(z: f64) -> f64 {
    if z < 0.0 {
        return 1.0 - normal_upper(-z);
    }
    let density = (-z * z / 2.0).exp();
    if z > 4.0 {
        let z2 = z * z;
        let series = 1.0 - 1.0 / z2 + 3.0 / (z2 * z2) - 15.0 / z2.powi(3) + 105.0 / z2.powi(4);
        return density / (z * (2.0 * std::f64::consts::PI).sqrt()) * series;
    }
    let t = 1.0 / (1.0 + 0.327_591_1 * z / std::f64::consts::SQRT_2);
    let poly =
        t * (0.254_829_592 + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    0.5 * poly * density
}

/// The logistic function.
#[must_use]
pub fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The inverse of [`logistic`], with its argument kept inside (10⁻⁶, 1−10⁻⁶).
#[must_use]
pub fn logit(p: f64) -> f64 {
    let p = p.clamp(1e-6, 1.0 - 1e-6);
    (p / (1.0 - p)).ln()
}

/// Soft-max: positive weights that sum to 1.
#[must_use]
pub fn softmax(scores: &[f64]) -> Vec<f64> {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exps: Vec<f64> = scores.iter().map(|score| (score - top).exp()).collect();
    let sum: f64 = exps.iter().sum();
    exps.iter().map(|value| value / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[4.0, 1.0, 3.0, 2.0], 0.5), 2.5);
        assert_eq!(quantile(&[], 0.5), 0.0);
        assert_eq!(quantile(&[7.0], 0.99), 7.0);
    }

    #[test]
    fn one_outlier_moves_neither_median_nor_scale() {
        let mut clean: Vec<f64> = (0..101).map(f64::from).collect();
        let mut dirty = clean.clone();
        dirty[100] = 1e9;
        assert_eq!(Usual::of(&mut clean, 0.0, 0.0), Usual::of(&mut dirty, 0.0, 0.0));
        assert!((clean[75] - 75.0).abs() < f64::EPSILON);
    }

    #[test]
    fn few_values_make_a_wide_scale() {
        let scale = |n: u32| {
            let mut values: Vec<f64> = (0..n).map(|at| f64::from(at) / f64::from(n - 1)).collect();
            Usual::of(&mut values, 0.0, 0.0).scale * 1.349
        };
        assert!((scale(5) - 0.5 * 2.6).abs() < 1e-12 && (scale(1001) - 0.5 * (1.0 + 8.0 / 1001.0)).abs() < 1e-12);
    }

    #[test]
    fn mann_whitney_agrees_with_a_worked_example() {
        // scipy.stats.mannwhitneyu([19,22,16,29,24], [20,11,17,12], method="asymptotic"): U = 17, p = 0.11134688653
        let after = [19.0, 22.0, 16.0, 29.0, 24.0];
        let test = mann_whitney(&[20.0, 11.0, 17.0, 12.0], &after).unwrap();
        assert!((test.effect - (2.0 * 17.0 / 20.0 - 1.0)).abs() < 1e-12);
        assert!((test.p_value - 0.111_346_886_53).abs() < 1e-6, "{}", test.p_value);
        assert_eq!(mann_whitney(&[], &after), None);
        assert_eq!(mann_whitney(&[1.0, 1.0], &[1.0]).unwrap().p_value, 1.0);
    }

    #[test]
    fn chi2_agrees_with_a_worked_example() {
        // scipy.stats.chi2_contingency([[10, 90], [25, 75]]): chi2 = 6.7878, p = 0.00918
        let test = chi2_rates(10.0, 100.0, 25.0, 100.0).unwrap();
        assert!((test.effect - 0.15).abs() < 1e-12);
        assert!((test.p_value - 0.009_18).abs() < 1e-4, "{}", test.p_value);
        assert_eq!(chi2_rates(0.0, 10.0, 0.0, 10.0).unwrap().p_value, 1.0);
        assert_eq!(chi2_rates(0.0, 0.0, 0.0, 10.0), None);
    }

    #[test]
    fn normal_tail_is_right_on_both_sides_of_the_switch() {
        for (z, p) in [
            (0.0, 0.5),
            (1.959_964, 0.025),
            (3.0, 1.349_9e-3),
            (3.999, 3.180_5e-5),
            (4.001, 3.153_7e-5),
            (6.0, 9.866e-10),
        ] {
            assert!((normal_upper(z) / p - 1.0).abs() < 3e-3, "{z}: {}", normal_upper(z));
        }
    }

    #[test]
    fn softmax_sums_to_one_without_overflow() {
        let weights = softmax(&[1000.0, 1000.0, -1000.0]);
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((weights[0] - 0.5).abs() < 1e-12);
    }
}
