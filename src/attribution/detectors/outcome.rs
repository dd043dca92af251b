//! The outcome itself: what the requests to the alerting service came to, and since when.

use std::collections::HashMap;

use super::{Odd, Outcome, Phase, Signal, Surprise, Window};
use crate::attribution::stats::quantile;
use crate::attribution::visits::{Visit, Visits};

/// Time with traffic: a system that was idle for a while did not have less traffic when it had some.
#[derive(Debug, Default)]
pub struct ActiveTime(std::collections::HashSet<i64>);

impl ActiveTime {
    const BIN: i64 = 10_000_000_000;

    /// Something happened at this time, nanoseconds.
    pub fn add(&mut self, at: i64) {
        self.0.insert(at.div_euclid(Self::BIN));
    }

    /// Seconds in which something happened, at least one.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        (self.0.len() as f64 * Self::BIN as f64 / 1e9).max(1.0)
    }
}

/// Seconds in a bin of the onset search.
const ONSET_BIN: i64 = 5_000_000_000;

/// Standard deviations by which odd visits must exceed the usual number, or their times say nothing.
const ONSET_SURE: f64 = 3.0;

pub(super) fn outcome(visits: &Visits, window: &Window, odds: &[Odd]) -> Outcome {
    let mut outcome = Outcome::default();
    let (mut before, mut during): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut tenants: HashMap<u32, (f64, f64)> = HashMap::new();
    let mut active = (ActiveTime::default(), ActiveTime::default());
    for visit in &visits.all {
        let above = visit.caller.and_then(|up| visits.all.get(up as usize)).is_some_and(|up| up.in_scope);
        if !visit.in_scope || above {
            continue;
        }
        match window.phase(visit.start) {
            Phase::Before => {
                outcome.requests_before += visit.weight;
                outcome.errors_before += f64::from(visit.error) * visit.weight;
                before.push(visit.duration);
                tenants.entry(visit.tenant).or_default().0 += visit.weight;
                active.0.add(visit.start);
            }
            Phase::During => {
                active.1.add(visit.start);
                outcome.requests_during += visit.weight;
                outcome.errors_during += f64::from(visit.error) * visit.weight;
                during.push(visit.duration);
                tenants.entry(visit.tenant).or_default().1 += visit.weight;
            }
            Phase::Outside => {}
        }
    }
    outcome.rate_before = outcome.requests_before / active.0.seconds();
    outcome.rate_during = outcome.requests_during / active.1.seconds();
    outcome.errors_before /= outcome.requests_before.max(1.0);
    outcome.errors_during /= outcome.requests_during.max(1.0);
    outcome.median_before = quantile(&before, 0.5);
    outcome.median_during = quantile(&during, 0.5);
    outcome.p99_before = quantile(&before, 0.99);
    outcome.p99_during = quantile(&during, 0.99);
    outcome.tenants = tenants.into_iter().map(|(tenant, (b, d))| (tenant, b, d)).collect();
    outcome.tenants.sort_unstable_by_key(|tenant| tenant.0);
    outcome.onset = onset(visits, window, odds, |_| true);
    outcome
}

/// The start of the bin from which on the share of odd visits exceeds what it was before, by the largest cumulative
/// sum: robust against single odd visits.
pub(super) fn onset(visits: &Visits, window: &Window, odds: &[Odd], of: impl Fn(&Visit) -> bool) -> Option<i64> {
    let (mut bad_before, mut all_before) = (0.0, 0.0);
    let mut bins: std::collections::BTreeMap<i64, (f64, f64)> = std::collections::BTreeMap::new();
    for (visit, odd) in visits.all.iter().zip(odds) {
        if !visit.in_scope || !odd.known || !of(visit) {
            continue;
        }
        match window.phase(visit.start) {
            Phase::Before => {
                all_before += visit.weight;
                bad_before += f64::from(odd.is_bad()) * visit.weight;
            }
            Phase::Outside if visit.start < window.until || visit.start >= window.to => {}
            // Alerts come late: trouble may have begun in the time that is neither usual nor surely part of it.
            Phase::During | Phase::Outside => {
                let bin = bins.entry((visit.start - window.from).div_euclid(ONSET_BIN)).or_default();
                bin.0 += f64::from(odd.is_bad()) * visit.weight;
                bin.1 += visit.weight;
            }
        }
    }
    let usual = bad_before / f64::max(all_before, 1.0);
    let total: f64 = bins.values().map(|bin| bin.0).sum();
    let visits: f64 = bins.values().map(|bin| bin.1).sum();
    let level = f64::midpoint(usual, total / f64::max(visits, 1.0));
    let chance = (usual * visits + 1.0).sqrt();
    if total - usual * visits < ONSET_SURE * chance {
        return None;
    }
    // The cumulative sum of (bad − level·all) is lowest just before the trouble begins.
    let (mut sum, mut lowest, mut at) = (0.0, 0.0, *bins.keys().next()?);
    for (bin, (bad, all)) in &bins {
        if sum < lowest {
            lowest = sum;
            at = *bin;
        }
        sum += bad - level * all;
    }
    Some(window.from + at * ONSET_BIN)
}

/// How far odd visits exceed the usual number: all of them, and those of the service with the most blame. Gaps count
/// by themselves: a slow network makes no service slow. None without a visit of which it is known what is usual.
pub(super) fn surprise(
    visits: &Visits,
    window: &Window,
    odds: &[Odd],
    signal: Signal,
    first: Option<u32>,
) -> Option<Surprise> {
    let mut seen = visits.all.iter().zip(odds);
    if !seen.any(|(visit, odd)| visit.in_scope && odd.known && window.phase(visit.start) == Phase::During) {
        return None;
    }
    let deviations = |is_odd: &dyn Fn(&Odd) -> bool, of: &dyn Fn(&Visit) -> bool| {
        let (mut before, mut during) = ((0.0, 0.0), (0.0, 0.0));
        for (visit, odd) in visits.all.iter().zip(odds).filter(|(visit, odd)| visit.in_scope && odd.known && of(visit))
        {
            let side = match window.phase(visit.start) {
                Phase::Before => &mut before,
                Phase::During => &mut during,
                Phase::Outside => continue,
            };
            side.0 += f64::from(is_odd(odd));
            side.1 += 1.0;
        }
        let usual = before.0 / f64::max(before.1, 1.0) * during.1;
        (during.0 - usual) / f64::sqrt(usual + 1.0)
    };
    let most = |of: &dyn Fn(&Visit) -> bool| {
        let (odd, gap) = (
            deviations(&|odd| odd.counts(signal), of),
            deviations(&|odd| odd.gap > 0.0 && signal != Signal::Errors, of),
        );
        odd.max(gap)
    };
    Some(Surprise { all: most(&|_| true), first: most(&|visit| Some(visit.service) == first) })
}
