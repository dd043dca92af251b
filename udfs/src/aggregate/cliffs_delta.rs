//! `cliffs_delta(x, cohort)`.

use super::Aggregate;
use super::two_samples::{self, TwoSamples};
use crate::about::{About, Kind, Param, STATISTICS};

pub(super) static FUNCTION: Aggregate = Aggregate {
    about: About {
        name: "cliffs_delta",
        section: &STATISTICS,
        syntax: "cliffs_delta(x, cohort)",
        description: "Cliff's delta, the size of the difference that `mann_whitney_u` tests: the probability that a value of the greater cohort (true, or the later in order) is \
                      above one of the lesser cohort, minus the probability that it is below; -1 to 1. Below 0.147 it is commonly called negligible, above 0.474 large \
                      (Romano et al. 2006). Rows with a null or NaN are left out; more than two cohorts are an error; null if a cohort is empty. All values are kept in memory.",
        params: &[
            Param::new("x", Kind::Number, "The values."),
            Param::new("cohort", Kind::Cohort, "Which of the two samples the row belongs to."),
        ],
        required: 2,
        example: "
> SELECT cliffs_delta(ms, version) AS delta
  FROM (VALUES (12.1, 'v1'), (11.8, 'v1'), (13.0, 'v1'), (12.4, 'v1'), (15.2, 'v2'), (14.9, 'v2'), (16.3, 'v2'), (12.9, 'v2')) AS t(ms, version);
+-------+
| delta |
+-------+
| 0.875 |
+-------+
",
    },
    state: two_samples::state,
    accumulator: |types| Box::new(TwoSamples::new("cliffs_delta", types, |_, ranks| Some(ranks.delta()))),
    groups: None,
};
