//! More traffic than usual, from everybody or from one tenant.

use std::collections::HashMap;

use super::visits::NONE;

/// Traffic of a service: requests a second before and during, and by tenant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Traffic {
    /// Requests a second before.
    pub before: f64,
    /// Requests a second during.
    pub during: f64,
    /// Requests that were seen before and during, from which the rates were estimated.
    pub seen: (f64, f64),
    /// The rates by tenant.
    pub tenants: HashMap<u32, (f64, f64)>,
}

/// Growth from which on it is remarkable: traffic differs by that much between one quarter of an hour and the next.
const REMARKABLE: f64 = 1.25;
/// Growth beyond that which counts as 1.
const UNIT: f64 = 1.5;
/// Growth cannot count for more than this.
const CAP: f64 = 0.9;
/// A tenant that more than this share of the growth came from is its source.
const SOURCE: f64 = 0.5;

impl Traffic {
    /// Logarithm of the growth, and of as much of it as is more than one standard error from chance.
    fn grown(&self) -> Option<(f64, f64)> {
        if self.before <= 0.0 || self.during <= 0.0 {
            return None;
        }
        let error = (1.0 / self.seen.0.max(1.0) + 1.0 / self.seen.1.max(1.0)).sqrt();
        let grown = (self.during / self.before).ln();
        Some((grown, grown - error))
    }

    /// How remarkable the growth is: 0 for none, 1 for nearly twice the usual, at most 0.9. Growth that may be chance does
    /// not count, except as far as the whole system grew as well.
    #[must_use]
    pub fn growth(&self, system: Option<&Self>) -> f64 {
        let Some((grown, sure)) = self.grown() else { return 0.0 };
        let with_all = system.and_then(Self::grown).map_or(f64::NEG_INFINITY, |(_, sure)| sure.min(grown));
        ((sure.max(with_all) - REMARKABLE.ln()) / UNIT.ln()).clamp(0.0, CAP)
    }

    /// Whether a tenant sends more than before.
    #[must_use]
    pub fn more_from(&self, tenant: u32) -> bool {
        self.tenants.get(&tenant).is_some_and(|(before, during)| during > before)
    }

    /// The tenant that most of the growth came from, if there is one that grew beyond what all the others did.
    #[must_use]
    pub fn source(&self) -> Option<u32> {
        let grown = self.during - self.before;
        if grown <= 0.0 || self.tenants.len() < 2 {
            return None;
        }
        let beyond = |(before, during): (f64, f64)| {
            let others = (self.before - before, self.during - during);
            let usual = if others.0 > 0.0 { (others.1 / others.0).max(1.0) } else { 1.0 };
            during - before * usual
        };
        let named = self.tenants.iter().filter(|(tenant, _)| **tenant != NONE);
        let most = named.max_by(|a, b| beyond(*a.1).total_cmp(&beyond(*b.1)).then(b.0.cmp(a.0)))?;
        (beyond(*most.1) > SOURCE * grown).then_some(*most.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(tenants: &[(u32, f64, f64)]) -> Traffic {
        Traffic {
            before: tenants.iter().map(|tenant| tenant.1).sum(),
            during: tenants.iter().map(|tenant| tenant.2).sum(),
            seen: (10_000.0, 10_000.0),
            tenants: tenants.iter().map(|&(tenant, before, during)| (tenant, (before, during))).collect(),
        }
    }

    #[test]
    fn growth_counts_as_far_as_it_is_sure() {
        let mut grown = traffic(&[(1, 10.0, 16.0)]);
        assert!((grown.growth(None) - 0.574).abs() < 0.01, "{}", grown.growth(None));
        assert_eq!(traffic(&[(1, 10.0, 40.0)]).growth(None), CAP);
        grown.seen = (10.0, 16.0);
        assert_eq!(grown.growth(None), 0.0);
        assert!(grown.growth(Some(&traffic(&[(1, 100.0, 200.0)]))) > 0.5, "everything grew");
        assert_eq!(traffic(&[(1, 10.0, 11.0)]).growth(None), 0.0);
        assert_eq!(Traffic::default().growth(None), 0.0);
    }

    #[test]
    fn the_source_grew_beyond_the_others() {
        assert_eq!(traffic(&[(1, 5.0, 5.0), (2, 5.0, 20.0)]).source(), Some(2));
        assert_eq!(traffic(&[(1, 8.0, 16.0), (2, 2.0, 4.0)]).source(), None, "everybody grew alike");
        assert_eq!(traffic(&[(1, 8.0, 9.0), (NONE, 2.0, 9.0)]).source(), None, "the growth has no name");
        assert_eq!(traffic(&[(1, 5.0, 25.0)]).source(), None, "a single tenant is everybody");
    }
}
