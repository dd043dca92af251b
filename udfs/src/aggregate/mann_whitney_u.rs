//! `mann_whitney_u(x, cohort [, part])`.

use super::Aggregate;
use super::two_samples::{self, TwoSamples};
use crate::about::{About, Kind, Param, STATISTICS};
use crate::stats::Ranks;

pub(super) static FUNCTION: Aggregate = Aggregate {
    about: About {
        name: "mann_whitney_u",
        section: &STATISTICS,
        syntax: "mann_whitney_u(x, cohort [, part])",
        description: "The Mann-Whitney U test (Wilcoxon's rank sum) of whether values of one cohort tend to be larger than those of the other; it does not care about the shape of \
                      the distributions. By default the two-sided p-value: exact if there are no ties and at most 1,000 pairs, else the normal approximation with tie and \
                      continuity correction. `u` and `z` are of the greater cohort (true, or the later in order), so a positive `z` says that its values are larger. Rows with a \
                      null or NaN are left out; more than two cohorts are an error; null if a cohort is empty. All values are kept in memory.",
        params: &[
            Param::new("x", Kind::Number, "The values."),
            Param::new("cohort", Kind::Cohort, "Which of the two samples the row belongs to."),
            Param::new("part", Kind::Text, "`p_value` (default), `u`, `z`, `n_low` or `n_high` (sizes of the lesser and the greater cohort); the same in every row."),
        ],
        required: 2,
        example: "
> SELECT round(mann_whitney_u(ms, canary), 9) AS p, mann_whitney_u(ms, canary, 'u') AS u, round(mann_whitney_u(ms, canary, 'z'), 6) AS z
  FROM (VALUES (12.1, false), (11.8, false), (13.0, false), (12.4, false), (15.2, true), (14.9, true), (16.3, true), (12.9, true)) AS t(ms, canary);
+-------------+------+----------+
| p           | u    | z        |
+-------------+------+----------+
| 0.057142857 | 15.0 | 1.876388 |
+-------------+------+----------+
",
    },
    state: two_samples::state,
    accumulator: |types| Box::new(TwoSamples::new("mann_whitney_u", types, report)),
    groups: None,
};

fn report(part: Option<&str>, ranks: &Ranks) -> Option<f64> {
    Some(match part.unwrap_or("p_value") {
        "p_value" => ranks.p_value(),
        "u" => ranks.u(),
        "z" => ranks.z(),
        "n_low" => ranks.first as f64,
        "n_high" => ranks.second as f64,
        _ => return None,
    })
}
