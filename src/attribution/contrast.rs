//! Did the new one do it? Two groups of requests to the same service at the same time, one that a change concerns and one
//! that it does not.
//!
//! Compared are the likelihoods of what was seen if the change is to blame (the others fare as usual, or at least better)
//! and if it is not (both fare alike). So equal shares speak against a change, and as much as there are requests.

/// How some visits fared.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cohort {
    /// Visits.
    pub visits: f64,
    /// Visits with something unusual of their own.
    pub bad: f64,
}

impl Cohort {
    /// Add another group's visits.
    pub fn add(&mut self, other: &Self) {
        self.visits += other.visits;
        self.bad += other.bad;
    }

    /// Share of bad visits, drawn to `usual` by one visit.
    fn share(&self, usual: f64) -> f64 {
        ((self.bad + usual) / (self.visits + 1.0)).clamp(1e-4, 1.0 - 1e-4)
    }

    /// Log-likelihood of a share.
    fn log_likelihood(&self, share: f64) -> f64 {
        let share = share.clamp(1e-4, 1.0 - 1e-4);
        (self.bad * share.ln() + (self.visits - self.bad).max(0.0) * (1.0 - share).ln()) / DISPERSION
    }

    /// What a share that was fitted to the visits costs (Schwarz).
    fn fitted(&self) -> f64 {
        0.5 * (1.0 + self.visits / DISPERSION).ln()
    }
}

/// Visits of one request, and of one moment, fare alike: they count for less than as many independent ones.
const DISPERSION: f64 = 2.0;
/// How likely the others fare just as usual when a change is to blame; else something else went wrong as well.
const OTHERS_AS_USUAL: f64 = 0.8;
/// Log-odds beyond which a contrast does not count.
pub const CAP: f64 = 3.0;
/// Visits that each side needs.
const FEWEST: f64 = 3.0;

/// Log-odds that the change behind `new` is to blame, against that it is not, given how the `others` fared at the same
/// time and what share of visits is `usual`ly bad. 0 where a side has too few visits.
#[must_use]
pub fn contrast(new: &Cohort, others: &Cohort, usual: &Cohort) -> f64 {
    if new.visits.min(others.visits) < FEWEST {
        return 0.0;
    }
    let usual = usual.share(0.01).max(0.002);
    let mut both = *new;
    both.add(others);
    // Not to blame: nothing is wrong here, or something is that hurts both.
    let alike =
        either((0.5, both.log_likelihood(usual)), (0.5, both.log_likelihood(both.share(usual)) - both.fitted()));
    let (share_new, share_others) = (new.share(usual), others.share(usual));
    let rest = either(
        (OTHERS_AS_USUAL, others.log_likelihood(usual)),
        (1.0 - OTHERS_AS_USUAL, others.log_likelihood(share_others.min(share_new)) - others.fitted()),
    );
    let to_blame = new.log_likelihood(share_new.max(usual)) - new.fitted() + rest;
    (to_blame - alike).clamp(-CAP, CAP)
}

/// Log-likelihood of two explanations, each with its weight.
fn either(a: (f64, f64), b: (f64, f64)) -> f64 {
    let top = a.1.max(b.1);
    top + (a.0 * (a.1 - top).exp() + b.0 * (b.1 - top).exp()).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cohort(visits: f64, bad: f64) -> Cohort {
        Cohort { visits, bad }
    }

    const USUAL: Cohort = Cohort { visits: 1000.0, bad: 10.0 };

    #[test]
    fn a_canary_that_fails_while_the_others_do_not_is_to_blame() {
        assert_eq!(contrast(&cohort(100.0, 30.0), &cohort(500.0, 6.0), &USUAL), CAP);
        assert!(contrast(&cohort(20.0, 4.0), &cohort(100.0, 1.0), &USUAL) > 1.0);
    }

    #[test]
    fn a_canary_that_fares_like_the_others_is_cleared_the_more_visits_it_has() {
        let few = contrast(&cohort(4.0, 1.0), &cohort(20.0, 5.0), &USUAL);
        let many = contrast(&cohort(200.0, 50.0), &cohort(1000.0, 250.0), &USUAL);
        assert!(few < 0.3 && many < -2.0 && many < few, "{few} {many}");
        assert_eq!(contrast(&cohort(200.0, 2.0), &cohort(1000.0, 250.0), &USUAL), -CAP);
    }

    #[test]
    fn nothing_is_said_about_sides_that_were_hardly_seen() {
        assert_eq!(contrast(&cohort(500.0, 200.0), &cohort(2.0, 0.0), &USUAL), 0.0);
        assert_eq!(contrast(&cohort(0.0, 0.0), &cohort(500.0, 9.0), &USUAL), 0.0);
    }

    #[test]
    fn rare_trouble_in_a_healthy_service_proves_little() {
        let rare = contrast(&cohort(30.0, 1.0), &cohort(300.0, 1.0), &USUAL);
        assert!(rare < 0.7, "{rare}");
    }
}
