//! Tail probabilities, rank statistics and quantiles on plain numbers.

use libm::erfc;
use statrs::function::gamma::gamma_ur;

/// The standard normal's quantile at 0.975: the half width of a 95 % interval.
pub(crate) const Z95: f64 = 1.959_963_984_540_054;

/// Above this many pairs the exact distribution of U is replaced by the normal approximation, by then indistinguishable from it.
const EXACT_PAIRS: u128 = 1_000;

/// P(Z > z) of a standard normal. (The erfc of statrs has ten digits, that of libm all.)
pub(crate) fn normal_tail(z: f64) -> f64 {
    0.5 * erfc(z / std::f64::consts::SQRT_2)
}

/// P(X > x) of a chi-squared with `df` degrees of freedom.
pub(crate) fn chi2_tail(x: f64, df: u32) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    // The complementary error function keeps its precision far into the tail, where one degree of freedom is asked for most.
    if df == 1 { erfc((x / 2.0).sqrt()) } else { gamma_ur(f64::from(df) / 2.0, x / 2.0) }
}

/// Counts of a two-by-two table, with their margins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TwoByTwo {
    cells: [f64; 4],
    rows: [f64; 2],
    columns: [f64; 2],
    total: f64,
}

impl TwoByTwo {
    /// None unless every cell is a finite count and no row or column is empty: then nothing is being compared.
    pub(crate) fn new(cells: [f64; 4]) -> Option<Self> {
        let [a, b, c, d] = cells;
        let (rows, columns) = ([a + b, c + d], [a + c, b + d]);
        let total = rows[0] + rows[1];
        let counts = cells.iter().all(|x| *x >= 0.0) && total.is_finite();
        let filled = rows.iter().chain(&columns).all(|x| *x > 0.0);
        (counts && filled).then_some(Self { cells, rows, columns, total })
    }

    fn expected(&self) -> [f64; 4] {
        let [[r0, r1], [c0, c1]] = [self.rows, self.columns];
        [(r0, c0), (r0, c1), (r1, c0), (r1, c1)].map(|(r, c)| r / self.total * c)
    }

    /// Pearson's statistic, optionally with Yates's correction (which never overshoots the difference).
    pub(crate) fn chi2(&self, yates: bool) -> f64 {
        let expected = self.expected();
        let difference = (self.cells[0] - expected[0]).abs();
        let difference = if yates { difference - difference.min(0.5) } else { difference };
        expected.iter().map(|e| difference / e * difference).sum()
    }

    /// The likelihood-ratio statistic.
    pub(crate) fn g(&self) -> f64 {
        g_statistic(self.cells.iter().copied().zip(self.expected()))
    }
}

/// 2 Σ O ln(O / E); an empty cell adds nothing.
pub(crate) fn g_statistic(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    2.0 * pairs.filter(|(o, _)| *o > 0.0).map(|(o, e)| o * (o / e).ln()).sum::<f64>()
}

/// The Wilson score interval of a proportion, without continuity correction.
pub(crate) fn wilson(successes: f64, trials: f64, z: f64) -> Option<(f64, f64)> {
    if !(trials > 0.0 && trials.is_finite() && (0.0..=trials).contains(&successes) && z >= 0.0 && z.is_finite()) {
        return None;
    }
    let (p, zz) = (successes / trials, z * z);
    let scale = 1.0 / (1.0 + zz / trials);
    let centre = p + zz / (2.0 * trials);
    let half = z * (p * (1.0 - p) / trials + zz / (4.0 * trials * trials)).sqrt();
    // At the ends the bound is the proportion itself; rounding must not say otherwise.
    let low = if successes == 0.0 { 0.0 } else { ((centre - half) * scale).max(0.0) };
    let high = if successes == trials { 1.0 } else { ((centre + half) * scale).min(1.0) };
    Some((low, high))
}

/// How two samples rank against each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ranks {
    /// Size of the first sample.
    pub first: usize,
    /// Size of the second sample.
    pub second: usize,
    /// Twice the Mann–Whitney U of the second sample: the pairs in which its value is the greater, ties counting half.
    twice_u: u128,
    /// Σ t³ − t over groups of t equal values.
    ties: u128,
}

impl Ranks {
    /// Ranks two ascending samples without NaN. None if one is empty.
    pub(crate) fn new(first: &[f64], second: &[f64]) -> Option<Self> {
        if first.is_empty() || second.is_empty() {
            return None;
        }
        let (mut i, mut j, mut twice_u, mut ties) = (0, 0, 0u128, 0u128);
        while i < first.len() || j < second.len() {
            let value = match (first.get(i), second.get(j)) {
                (Some(a), Some(b)) => a.min(*b),
                (Some(x), None) | (None, Some(x)) => *x,
                (None, None) => break,
            };
            let below = i;
            let equal_first = first[i..].iter().take_while(|x| **x == value).count();
            let equal_second = second[j..].iter().take_while(|x| **x == value).count();
            twice_u += equal_second as u128 * (2 * below + equal_first) as u128;
            let t = (equal_first + equal_second) as u128;
            ties += t * t * t - t;
            i += equal_first;
            j += equal_second;
        }
        Some(Self { first: first.len(), second: second.len(), twice_u, ties })
    }

    fn pairs(&self) -> u128 {
        self.first as u128 * self.second as u128
    }

    /// U of the second sample.
    pub(crate) fn u(&self) -> f64 {
        self.twice_u as f64 / 2.0
    }

    /// Cliff's delta: P(second > first) − P(second < first).
    pub(crate) fn delta(&self) -> f64 {
        let (twice_u, pairs) = (self.twice_u, self.pairs());
        let difference = if twice_u >= pairs { (twice_u - pairs) as f64 } else { -((pairs - twice_u) as f64) };
        difference / pairs as f64
    }

    /// The standardised U, corrected for ties and continuity; 0 if all values are equal.
    pub(crate) fn z(&self) -> f64 {
        let n = (self.first + self.second) as f64;
        let variance = self.pairs() as f64 / 12.0 * ((n + 1.0) - self.ties as f64 / (n * (n - 1.0)));
        if self.ties == full_tie(self.first + self.second) || variance <= 0.0 {
            return 0.0;
        }
        let difference = (self.twice_u as f64 - self.pairs() as f64) / 2.0;
        difference.signum() * (difference.abs() - 0.5).max(0.0) / variance.sqrt()
    }

    /// The two-sided p-value: exact for small samples without ties, else by the normal approximation.
    pub(crate) fn p_value(&self) -> f64 {
        if self.ties == 0 && self.pairs() <= EXACT_PAIRS {
            // Without ties U is a whole number, and pairs() small.
            let u = usize::try_from(self.twice_u / 2).unwrap_or(usize::MAX);
            return exact_p(self.first, self.second, u);
        }
        (2.0 * normal_tail(self.z().abs())).min(1.0)
    }
}

fn full_tie(n: usize) -> u128 {
    let n = n as u128;
    n * n * n - n
}

/// Two-sided p-value of U under all equally likely orders of m + n distinct values. The number of orders with a given
/// U is a coefficient of the Gaussian binomial Π (1 − qⁿ⁺ⁱ) / (1 − qⁱ), i = 1…m (Mann & Whitney 1947).
fn exact_p(m: usize, n: usize, u: usize) -> f64 {
    let size = m * n + 1;
    // The largest count under EXACT_PAIRS is the binomial (63 over 31), so integers never overflow.
    let mut orders = vec![0i128; size];
    orders[0] = 1;
    for i in 1..=m {
        for k in (n + i..size).rev() {
            orders[k] -= orders[k - n - i];
        }
        for k in i..size {
            orders[k] += orders[k - i];
        }
    }
    let extreme = u.min((m * n).saturating_sub(u));
    let lower: i128 = orders[..=extreme].iter().sum();
    let all: i128 = orders.iter().sum();
    (2.0 * lower as f64 / all as f64).min(1.0)
}

/// The median and the interquartile range of the values that `nth` gives in ascending order, interpolated linearly
/// (Hyndman & Fan's type 7, as `percentile_cont`).
pub(crate) fn median_iqr(count: usize, nth: impl Fn(usize) -> f64) -> (f64, f64) {
    let quantile = |q: f64| {
        let place = q * (count - 1) as f64;
        let (low, part) = (nth(place.floor() as usize), place.fract());
        let high = nth(place.ceil() as usize);
        // Equal infinities have no difference to interpolate.
        if part == 0.0 || low == high { low } else { low + part * (high - low) }
    };
    (quantile(0.5), quantile(0.75) - quantile(0.25))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ascending(mut values: Vec<f64>) -> Vec<f64> {
        values.sort_unstable_by(f64::total_cmp);
        values
    }

    /// Every way to choose which ranks are the second sample's, counted.
    fn enumerated(m: usize, n: usize, u: usize) -> f64 {
        let (mut extreme, mut all) = (0u32, 0u32);
        for chosen in (0..1u32 << (m + n)).filter(|c| c.count_ones() as usize == n) {
            let (mut below, mut of_this) = (0, 0);
            for rank in 0..m + n {
                if chosen >> rank & 1 == 1 { of_this += below } else { below += 1 }
            }
            all += 1;
            extreme += u32::from(of_this <= u.min(m * n - u));
        }
        (2.0 * f64::from(extreme) / f64::from(all)).min(1.0)
    }

    #[test]
    fn exact_p_is_that_of_enumeration() {
        for (m, n) in [(1, 1), (1, 5), (4, 3), (5, 5), (2, 9)] {
            for u in 0..=m * n {
                let (p, expected) = (exact_p(m, n, u), enumerated(m, n, u));
                assert!((p - expected).abs() < 1e-14, "{m} {n} {u}: {p} {expected}");
            }
        }
    }

    #[test]
    fn exact_counts_fit_at_the_limit() {
        for (m, n) in [(31, 32), (1, 1000), (1000, 1), (25, 40)] {
            let p = exact_p(m, n, m * n / 2);
            assert!(p > 0.9 && p <= 1.0, "{m} {n}: {p}");
        }
    }

    proptest! {
        #[test]
        fn u_is_the_count_of_pairs(first in prop::collection::vec(0..9i32, 1..20), second in prop::collection::vec(0..9i32, 1..20)) {
            let (a, b): (Vec<f64>, Vec<f64>) = (first.iter().map(|x| (*x).into()).collect(), second.iter().map(|x| (*x).into()).collect());
            let ranks = Ranks::new(&ascending(a.clone()), &ascending(b.clone())).unwrap();
            let wins: f64 = a.iter().flat_map(|x| b.iter().map(move |y| if y > x { 1.0 } else if y == x { 0.5 } else { 0.0 })).sum();
            prop_assert_eq!(ranks.u(), wins);
            let pairs = (a.len() * b.len()) as f64;
            prop_assert!((ranks.delta() - (2.0 * wins / pairs - 1.0)).abs() < 1e-12);
            let other_way = Ranks::new(&ascending(b), &ascending(a)).unwrap();
            prop_assert_eq!(other_way.u() + ranks.u(), pairs);
            prop_assert_eq!(other_way.p_value(), ranks.p_value());
            prop_assert!((0.0..=1.0).contains(&ranks.p_value()));
        }
    }

    #[test]
    fn infinities_are_ranked() {
        let ranks = Ranks::new(&[f64::NEG_INFINITY, 0.0], &[0.0, f64::INFINITY]).unwrap();
        assert_eq!(ranks.u(), 3.5);
        assert_eq!(median_iqr(3, |_| f64::INFINITY).0, f64::INFINITY);
    }
}
