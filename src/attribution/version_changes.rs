//! Which version of a service served when, and so when it changed: from spans alone, recorded deploy or not.
//!
//! Versions overlap while a change rolls out, and a canary overlaps with the version that it did not replace, so each
//! version has runs of presence of its own; a run begins with a change. A change back to a version that is older than
//! the one it replaces is a rollback, also when that one never replaced it. Versions that serve side by side from the
//! begin on changed before it: which came first cannot be told.

use std::cmp::Ordering;
use std::collections::HashMap;

/// How often a version was seen in one interval of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// Version.
    pub version: String,
    /// First seen in the interval, microseconds.
    pub first: i64,
    /// Last seen in the interval, microseconds.
    pub last: i64,
    /// Spans in the interval.
    pub spans: f64,
}

/// A change of version.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionChange {
    /// First span of the new version, microseconds.
    pub time: i64,
    /// Last span of the old version in the roll-out (of the new one, if it was withdrawn); none while both serve.
    pub time_end: Option<i64>,
    /// Version before; none for the first one seen.
    pub from_version: Option<String>,
    /// Version after.
    pub to_version: String,
    /// What kind of change it was.
    pub kind: Kind,
}

/// Kind of a change of version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There from the begin on: it may have begun at any time before.
    Initial,
    /// To a version that is newer, or was not seen before.
    Deploy,
    /// Back to a lower version or, where they cannot be compared, to one that was there first.
    Rollback,
}

impl Kind {
    /// The name in SQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
        }
    }
}

/// Spans of a version that would have been seen by now had it still been serving: beyond this it has ended.
const MISSED: f64 = 6.0;

/// Spans of a version that would have been seen before its first one had it been serving from the begin on: below this
/// it may have been, and nothing says that it came.
const UNSEEN: f64 = 3.0;

#[derive(Debug, Clone)]
struct Run {
    version: String,
    first: i64,
    last: i64,
    spans: f64,
    /// Spans of all versions while the run lasted.
    all: f64,
    /// Spans of all versions since the version was last seen.
    since: f64,
    /// Spans of all versions before it was seen first.
    ahead: f64,
    open: bool,
}

impl Run {
    fn share(&self) -> f64 {
        self.spans / self.all.max(1.0)
    }

    /// Whether it may have served since before the first interval.
    fn is_initial(&self) -> bool {
        self.ahead * self.share() < UNSEEN
    }
}

/// The changes of one service in one environment. The sightings are ordered by interval; those of one interval follow
/// each other, and `interval_of` tells which ones belong together.
#[must_use]
pub fn version_changes(sightings: &[(i64, Sighting)]) -> Vec<VersionChange> {
    let mut runs: Vec<Run> = Vec::new();
    let (mut at, mut ahead) = (0, 0.0);
    while at < sightings.len() {
        let interval = sightings[at].0;
        let end = at + sightings[at..].iter().take_while(|sighting| sighting.0 == interval).count();
        ahead += step(&mut runs, &sightings[at..end], ahead);
        at = end;
    }
    runs.sort_by_key(|run| run.first);
    changes(&runs)
}

/// Take one interval, behind so many spans of earlier ones; the spans in it.
fn step(runs: &mut Vec<Run>, interval: &[(i64, Sighting)], ahead: f64) -> f64 {
    let total: f64 = interval.iter().map(|(_, sighting)| sighting.spans).sum();
    for run in runs.iter_mut().filter(|run| run.open) {
        let seen = interval.iter().find(|(_, sighting)| sighting.version == run.version);
        if seen.is_none() {
            run.since += total;
            run.open = run.since * run.share() <= MISSED;
        }
    }
    for (_, sighting) in interval {
        let gone = interval.iter().filter(|(_, other)| other.last < sighting.first).map(|(_, other)| other.spans);
        let ahead = ahead + gone.sum::<f64>();
        let open = runs.iter_mut().find(|run| run.open && run.version == sighting.version);
        if let Some(run) = open {
            run.last = run.last.max(sighting.last);
            run.spans += sighting.spans;
            run.all += total + run.since;
            run.since = 0.0;
            continue;
        }
        runs.push(Run {
            version: sighting.version.clone(),
            first: sighting.first,
            last: sighting.last,
            spans: sighting.spans,
            all: total,
            since: 0.0,
            ahead,
            open: true,
        });
    }
    total
}

fn changes(runs: &[Run]) -> Vec<VersionChange> {
    let mut changes = Vec::new();
    for (at, run) in runs.iter().enumerate() {
        let earlier = &runs[..at];
        let initial = run.is_initial() && earlier.iter().all(|other| other.version != run.version);
        if initial {
            changes.push(VersionChange {
                time: run.first,
                time_end: None,
                from_version: None,
                to_version: run.version.clone(),
                kind: Kind::Initial,
            });
        }
        // The version that served when this one came: of the runs still going, or else of the latest, the largest.
        let going = earlier.iter().filter(|other| other.last >= run.first && other.version != run.version);
        let before = going
            .max_by(|a, b| a.spans.total_cmp(&b.spans))
            .or_else(|| earlier.iter().filter(|other| other.version != run.version).max_by_key(|other| other.last));
        // An idle service that goes on with its version did not change.
        let Some(before) = before else { continue };
        let resumed = earlier.iter().filter(|other| other.version == run.version).max_by_key(|other| other.last);
        // A version that was away while no other was seen did not change either.
        if let Some(same) = resumed
            && same.last >= before.last
        {
            continue;
        }
        let withdrawn = !run.open && before.last > run.last;
        if !initial {
            let end = if withdrawn { run.last } else { before.last.max(run.first) };
            changes.push(VersionChange {
                time: run.first,
                time_end: (!(run.open && before.open)).then_some(end),
                from_version: Some(before.version.clone()),
                to_version: run.version.clone(),
                kind: kind(earlier, &before.version, &run.version),
            });
        }
        // What replaced it may be a third version, whose own run says so; otherwise it went back, unless it was on its
        // way out from the begin on.
        let replaced = runs[at + 1..].iter().any(|later| later.first <= run.last || later.version == before.version);
        let went_back = !initial || compare(&before.version, &run.version) == Some(Ordering::Less);
        if withdrawn && !replaced && went_back {
            changes.push(VersionChange {
                time: run.last,
                time_end: Some(run.last),
                from_version: Some(run.version.clone()),
                to_version: before.version.clone(),
                kind: Kind::Rollback,
            });
        }
    }
    changes.sort_by_key(|change| change.time);
    changes
}

fn kind(earlier: &[Run], from: &str, to: &str) -> Kind {
    let first = |version: &str| earlier.iter().position(|run| run.version == version);
    let back = match compare(to, from) {
        Some(order) => order == Ordering::Less,
        None => first(to).is_some_and(|there| first(from).is_none_or(|came| there < came)),
    };
    if back { Kind::Rollback } else { Kind::Deploy }
}

/// Compare dotted numbers such as `v1.10.2`; none when one of them is something else (a commit, a date tag with letters).
fn compare(a: &str, b: &str) -> Option<Ordering> {
    let parts = |text: &str| -> Option<Vec<u64>> {
        text.trim_start_matches('v').split('.').map(|part| part.parse().ok()).collect()
    };
    let (a, b) = (parts(a)?, parts(b)?);
    (a.len() > 1 && a.len() == b.len()).then(|| a.cmp(&b))
}

/// Group sightings by service and environment, in order.
#[must_use]
pub fn by_service<K: Eq + std::hash::Hash + Ord + Clone>(
    rows: Vec<(K, i64, Sighting)>,
) -> Vec<(K, Vec<(i64, Sighting)>)> {
    let mut groups: HashMap<K, Vec<(i64, Sighting)>> = HashMap::new();
    for (key, interval, sighting) in rows {
        groups.entry(key).or_default().push((interval, sighting));
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by(|a, b| a.0.cmp(&b.0));
    for (_, sightings) in &mut groups {
        sightings.sort_by(|a, b| (a.0, &a.1.version).cmp(&(b.0, &b.1.version)));
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(rows: &[(i64, &str, f64)]) -> Vec<(i64, Sighting)> {
        rows.iter()
            .map(|(minute, version, spans)| {
                let first = minute * 60;
                (*minute, Sighting { version: (*version).into(), first, last: first + 59, spans: *spans })
            })
            .collect()
    }

    fn shape(changes: &[VersionChange]) -> Vec<(i64, Option<&str>, &str, Kind)> {
        changes.iter().map(|c| (c.time, c.from_version.as_deref(), c.to_version.as_str(), c.kind)).collect()
    }

    #[test]
    fn there_and_back_is_three_rows_the_third_a_rollback() {
        let rows = seen(&[(0, "v1", 50.0), (1, "v1", 50.0), (2, "v2", 50.0), (3, "v2", 50.0), (4, "v1", 50.0)]);
        let changes = version_changes(&rows);
        assert_eq!(
            shape(&changes),
            [
                (0, None, "v1", Kind::Initial),
                (120, Some("v1"), "v2", Kind::Deploy),
                (240, Some("v2"), "v1", Kind::Rollback)
            ]
        );
        assert_eq!(changes[1].time_end, Some(120));
    }

    #[test]
    fn a_rolling_change_lasts_until_the_old_version_is_gone() {
        let rows = seen(&[
            (0, "v1", 90.0),
            (1, "v1", 50.0),
            (1, "v2", 40.0),
            (2, "v1", 9.0),
            (2, "v2", 80.0),
            (3, "v2", 90.0),
        ]);
        let changes = version_changes(&rows);
        assert_eq!(shape(&changes), [(0, None, "v1", Kind::Initial), (60, Some("v1"), "v2", Kind::Deploy)]);
        assert_eq!(changes[1].time_end, Some(179));
    }

    #[test]
    fn a_withdrawn_canary_is_rolled_back_and_a_standing_one_has_no_end() {
        let mut rows = vec![];
        for minute in 0..10 {
            rows.push((minute, "v1", 95.0));
            if (3..6).contains(&minute) {
                rows.push((minute, "v2", 5.0));
            }
        }
        let changes = version_changes(&seen(&rows));
        assert_eq!(
            shape(&changes),
            [
                (0, None, "v1", Kind::Initial),
                (180, Some("v1"), "v2", Kind::Deploy),
                (359, Some("v2"), "v1", Kind::Rollback)
            ]
        );
        let standing: Vec<_> = (0..4).map(|minute| (minute, "v1", 95.0)).chain([(3, "v2", 5.0)]).collect();
        assert_eq!(version_changes(&seen(&standing))[1].time_end, None);
    }

    #[test]
    fn versions_that_serve_side_by_side_from_the_begin_on_are_no_changes() {
        let canary = |first: i64, spans: f64| -> Vec<_> {
            (0..10)
                .flat_map(|minute| [(minute, "1.10.0", 95.0), (minute, "1.11.0", spans), (minute, "1.9.0", 1.0)])
                .filter(|row| row.0 >= first || row.1 == "1.10.0")
                .collect()
        };
        for (first, spans) in [(0, 5.0), (1, 2.0)] {
            let changes = version_changes(&seen(&canary(first, spans)));
            assert!(changes.len() == 3 && changes.iter().all(|change| change.kind == Kind::Initial), "{changes:?}");
        }
        let kinds: Vec<_> =
            version_changes(&seen(&canary(4, 5.0))).into_iter().map(|c| (c.to_version, c.kind)).collect();
        let expected = [("1.10.0", Kind::Initial), ("1.11.0", Kind::Deploy), ("1.9.0", Kind::Rollback)]
            .map(|(v, k)| (v.into(), k));
        assert_eq!(kinds, expected);
    }

    #[test]
    fn a_withdrawn_version_that_is_tried_again_is_deployed_again() {
        let rows: Vec<_> = [(0, "a"), (1, "b"), (2, "a"), (3, "b")].map(|(at, version)| (at, version, 50.0)).into();
        let kinds: Vec<_> = version_changes(&seen(&rows)).iter().map(|change| change.kind).collect();
        assert_eq!(kinds, [Kind::Initial, Kind::Deploy, Kind::Rollback, Kind::Deploy]);
    }

    #[test]
    fn a_rare_version_that_is_not_in_every_interval_is_one_run() {
        let mut rows = vec![];
        for minute in 0..20 {
            rows.push((minute, "v1", 100.0));
            if minute >= 5 && minute % 3 == 0 {
                rows.push((minute, "v2", 1.0));
            }
        }
        assert_eq!(version_changes(&seen(&rows)).len(), 2);
    }

    #[test]
    fn a_lower_version_is_a_rollback_though_it_was_never_seen() {
        let changes = version_changes(&seen(&[(0, "1.10.0", 9.0), (1, "1.9.3", 9.0)]));
        assert_eq!(changes[1].kind, Kind::Rollback);
        assert_eq!(version_changes(&seen(&[(0, "1.9.3", 9.0), (9, "1.10.0", 9.0)]))[1].kind, Kind::Deploy);
    }

    #[test]
    fn an_idle_stretch_is_no_change() {
        assert_eq!(version_changes(&seen(&[(0, "v1", 9.0), (500, "v1", 9.0)])).len(), 1);
        assert!(version_changes(&[]).is_empty());
    }
}
