//! Randomness that is the same on every machine: one ChaCha stream a concern, and distributions made of
//! IEEE-exact operations only (the platform's `ln` and `exp` may differ in the last digit, ours do not).

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// A named stream of random numbers.
#[derive(Debug, Clone)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream of this name under this seed; streams of different names are independent.
    #[must_use]
    pub fn new(seed: u64, stream: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(seed.to_le_bytes());
        hasher.update(stream.as_bytes());
        Self(ChaCha8Rng::from_seed(hasher.finalize().into()))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// Uniform in [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform integer in [low, high).
    pub fn integer(&mut self, low: i64, high: i64) -> i64 {
        low + (self.unit() * (high - low).max(0) as f64) as i64
    }

    /// Uniform index below `n` (0 when `n` is 0).
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of the items; the slice must not be empty.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// An index, drawn in proportion to cumulative weights (ascending, the last is the total).
    pub fn weighted(&mut self, cumulative: &[f64]) -> usize {
        let total = cumulative.last().copied().unwrap_or(0.0);
        let at = self.unit() * total;
        cumulative.partition_point(|&edge| edge <= at).min(cumulative.len().saturating_sub(1))
    }

    /// Standard normal (Marsaglia's polar method).
    pub fn normal(&mut self) -> f64 {
        loop {
            let (x, y) = (self.between(-1.0, 1.0), self.between(-1.0, 1.0));
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                return x * (-2.0 * ln(square) / square).sqrt();
            }
        }
    }

    /// Log-normal with this median and shape.
    pub fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * exp(sigma * self.normal())
    }

    /// Exponential with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -ln(1.0 - self.unit()) * mean
    }

    /// `digits` random characters of the alphabet.
    pub fn text(&mut self, alphabet: &str, digits: usize) -> String {
        let letters = alphabet.as_bytes();
        (0..digits).map(|_| char::from(*self.pick(letters))).collect()
    }

    /// Random lowercase hex digits.
    pub fn hex(&mut self, digits: usize) -> String {
        self.text("0123456789abcdef", digits)
    }

    /// A random UUID, version 4.
    pub fn uuid(&mut self) -> String {
        let mut bytes = [0_u8; 16];
        bytes[..8].copy_from_slice(&self.bits().to_le_bytes());
        bytes[8..].copy_from_slice(&self.bits().to_le_bytes());
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// Put the items into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// Natural logarithm of a positive normal number: exponent, then the atanh series on [√½, √2).
#[must_use]
pub fn ln(x: f64) -> f64 {
    if x <= f64::MIN_POSITIVE {
        return -708.0;
    }
    let bits = x.to_bits();
    let mut exponent = f64::from((bits >> 52) as u32) - 1023.0;
    let mut mantissa = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa /= 2.0;
        exponent += 1.0;
    }
    let z = (mantissa - 1.0) / (mantissa + 1.0);
    let square = z * z;
    let mut sum = 0.0;
    for odd in (0..9).rev() {
        sum = sum * square + 1.0 / f64::from(2 * odd + 1);
    }
    exponent * std::f64::consts::LN_2 + 2.0 * z * sum
}

/// e to the x: 2ᵏ times a Taylor series on |r| ≤ ln(2)/2.
#[must_use]
pub fn exp(x: f64) -> f64 {
    let x = x.clamp(-700.0, 700.0);
    let k = (x / std::f64::consts::LN_2 + 0.5).floor();
    let r = x - k * std::f64::consts::LN_2;
    let mut sum = 1.0;
    for term in (1..14).rev() {
        sum = 1.0 + sum * r / f64::from(term);
    }
    sum * f64::from_bits(((k as i64 + 1023) as u64) << 52)
}

/// A well-mixed hash of a few numbers (`SplitMix64`), for what must not depend on the order of draws.
#[must_use]
pub fn mix(parts: &[u64]) -> u64 {
    parts.iter().fold(0x9e37_79b9_7f4a_7c15, |state, &part| {
        let mut z = (state ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_logarithm_and_exponential_agree_with_the_platform() {
        for step in 1..2000 {
            let x = f64::from(step) * 0.037;
            assert!((ln(x) - x.ln()).abs() < 1e-12, "ln({x})");
            let y = x - 37.0;
            assert!((exp(y) / y.exp() - 1.0).abs() < 1e-12, "exp({y})");
        }
    }

    #[test]
    fn streams_repeat_and_differ() {
        let draw = |seed, name| {
            (0..4).map(|_| 0).scan(Random::new(seed, name), |r, _: i32| Some(r.bits())).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
    }

    #[test]
    fn distributions_have_their_moments() {
        let mut random = Random::new(7, "moments");
        let n = 40_000;
        let normals: Vec<f64> = (0..n).map(|_| random.normal()).collect();
        let mean = normals.iter().sum::<f64>() / f64::from(n);
        let variance = normals.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
        let exponential = (0..n).map(|_| random.exponential(3.0)).sum::<f64>() / f64::from(n);
        assert!((exponential - 3.0).abs() < 0.1, "{exponential}");
    }
}
