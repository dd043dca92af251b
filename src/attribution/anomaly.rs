//! Names as numbers, and how unusual a service's resources are.

use std::collections::HashMap;

use super::stats::{quantile, quantile_sorted};

/// Text as small numbers, in order of first appearance.
#[derive(Debug, Default)]
pub struct Names {
    numbers: HashMap<Box<str>, u32>,
    texts: Vec<Box<str>>,
}

impl Names {
    /// The number of a text.
    pub fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.numbers.insert(text.into(), number);
        self.texts.push(text.into());
        number
    }

    /// The number of a text that was seen before.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    /// The text of a number.
    #[must_use]
    pub fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", |text| text)
    }

    /// How many texts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

/// One series of a resource metric of one service, split at the start of the incident.
#[derive(Debug, Clone, Default)]
pub struct ResourceSeries {
    /// Name of the metric.
    pub metric: String,
    /// Values before the incident.
    pub before: Vec<f64>,
    /// Values during it.
    pub during: Vec<f64>,
}

/// How far a resource went beyond what it had been.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Saturation {
    /// 0 for usual, 1 for fifty times the usual or more, logarithmic between.
    pub strength: f64,
    /// The value above which a point counts as unusual.
    pub threshold: f64,
    /// The highest value during the incident.
    pub peak: f64,
    /// The usual value before.
    pub usual: f64,
}

/// Ratio to the usual value up to which a resource is not remarkable: pods differ by that much between idle minutes.
const RESOURCE_RATIO: f64 = 3.0;
/// Ratio from which it cannot be more remarkable.
const RESOURCE_FULL: f64 = 50.0;

/// How unusual a resource is during the incident, given how much the service's traffic grew (`traffic` ≥ 1 divides
/// the rise: more requests use more of everything).
#[must_use]
pub fn saturation(series: &ResourceSeries, traffic: f64) -> Option<Saturation> {
    if series.before.len() < 2 || series.during.is_empty() {
        return None;
    }
    let mut before = series.before.clone();
    before.sort_unstable_by(f64::total_cmp);
    let usual = quantile_sorted(&before, 0.5);
    let high = quantile_sorted(&before, 0.9).max(usual);
    let peak = quantile(&series.during, 1.0);
    let scale = ((quantile_sorted(&before, 0.75) - quantile_sorted(&before, 0.25)) / 1.349).max(0.25 * usual.abs());
    // A pod that did nothing at all has no usual value to be compared with.
    if high <= 0.0 || scale <= 0.0 {
        return None;
    }
    let ratio = peak / high / traffic.max(1.0);
    if (peak - high) / scale < 3.0 || ratio <= RESOURCE_RATIO {
        return None;
    }
    let strength = ((ratio / RESOURCE_RATIO).ln() / (RESOURCE_FULL / RESOURCE_RATIO).ln()).clamp(0.0, 1.0);
    Some(Saturation { strength, threshold: (high + 3.0 * scale).min(peak), peak, usual })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(before: &[f64], during: &[f64]) -> ResourceSeries {
        ResourceSeries { metric: "k8s.pod.cpu.usage".into(), before: before.into(), during: during.into() }
    }

    #[test]
    fn a_busy_core_is_seen_and_traffic_explains_some_of_it() {
        let hot = series(&[4.0, 4.2, 4.5, 4.1], &[4.0, 500.0]);
        let alone = saturation(&hot, 1.0).unwrap();
        assert_eq!(alone.strength, 1.0);
        assert_eq!(alone.peak, 500.0);
        assert!(saturation(&hot, 10.0).unwrap().strength < alone.strength);
        assert!(saturation(&hot, 100.0).is_none());
    }

    #[test]
    fn usual_and_idle_series_say_nothing() {
        assert!(saturation(&series(&[4.0, 5.0, 6.0], &[7.0, 9.0]), 1.0).is_none());
        assert!(saturation(&series(&[0.0, 0.0, 0.0], &[0.02]), 1.0).is_none());
        assert!(saturation(&series(&[1.0], &[100.0]), 1.0).is_none());
    }

    #[test]
    fn names_are_stable() {
        let mut names = Names::default();
        let a = names.number("a");
        assert_eq!(names.number("b"), a + 1);
        assert_eq!(names.number("a"), a);
        assert_eq!(names.text(a), "a");
        assert_eq!((names.find("c"), names.len()), (None, 2));
    }
}
