//! Who owned an entity at an instant: the effective-dated, weighted ownership table as an index.

use std::collections::{BTreeMap, HashMap};

use crate::model::cell::MONEY_SCALE;

/// Owner of what cannot be attributed to anybody; a visible row of its own.
pub const UNALLOCATED: &str = "__unallocated__";

/// One in the unit of an ownership weight.
pub const WEIGHT_ONE: u128 = 10u128.pow(MONEY_SCALE as u32);

/// One row of the ownership table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnershipRecord<'a> {
    /// service, resource, account, tag, …
    pub entity_kind: &'a str,
    /// The thing owned; a tag is written key=value.
    pub entity: &'a str,
    /// The owning team.
    pub owner: &'a str,
    /// primary or secondary.
    pub role: &'a str,
    /// Share in units of [`WEIGHT_ONE`]; without one a primary owner counts fully and a secondary one not at all.
    pub weight: Option<i128>,
    /// From when, inclusive, microseconds; none is since ever.
    pub valid_from: Option<i64>,
    /// Until when, exclusive, microseconds; none is for ever.
    pub valid_to: Option<i64>,
}

/// The owners of one entity during an interval, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnerSet {
    /// Names and weights in units of [`WEIGHT_ONE`]; what the weights lack to 1 is [`UNALLOCATED`].
    pub owners: Vec<(String, u128)>,
}

impl OwnerSet {
    /// One owner of everything.
    #[must_use]
    pub fn of(owner: &str) -> Self {
        Self { owners: vec![(owner.to_owned(), WEIGHT_ONE)] }
    }

    /// The owner with the highest weight, of equal ones the first by name.
    #[must_use]
    pub fn primary(&self) -> Option<&str> {
        let named = self.owners.iter().filter(|(name, _)| name != UNALLOCATED);
        // `max_by_key` takes the last of equal ones, so the names are walked backward.
        named.rev().max_by_key(|(_, weight)| *weight).map(|(name, _)| name.as_str())
    }

    fn from_active(active: &Active<'_>) -> Option<Self> {
        let mut owners: BTreeMap<&str, u128> = BTreeMap::new();
        for ((owner, role), running) in active {
            // Where intervals of one owner overlap, the one that began last counts.
            let Some(weight) = running.values().next_back() else { continue };
            let implied = if is_secondary(role) { 0 } else { WEIGHT_ONE };
            let weight = weight.map_or(implied, |weight| u128::try_from(weight).unwrap_or_default());
            let sum = owners.entry(owner).or_default();
            *sum = sum.saturating_add(weight);
        }
        if owners.is_empty() {
            return None;
        }
        let total = owners.values().fold(0u128, |sum, weight| sum.saturating_add(*weight));
        if total == 0 {
            owners.values_mut().for_each(|weight| *weight = WEIGHT_ONE);
        } else if total < WEIGHT_ONE {
            *owners.entry(UNALLOCATED).or_default() += WEIGHT_ONE - total;
        }
        Some(Self {
            owners: owners
                .into_iter()
                .filter(|(_, weight)| *weight > 0)
                .map(|(name, w)| (name.to_owned(), w))
                .collect(),
        })
    }
}

fn is_secondary(role: &str) -> bool {
    role.eq_ignore_ascii_case("secondary")
}

/// From an instant on, these are the owners.
#[derive(Debug)]
struct Segment {
    from: i64,
    owners: Option<u32>,
}

/// The ownership table, ready to be asked.
#[derive(Debug, Default)]
pub struct OwnershipIndex {
    kinds: HashMap<String, HashMap<String, Vec<Segment>>>,
    sets: Vec<OwnerSet>,
}

impl OwnershipIndex {
    /// An index of the records, which are in the order in which they were landed: a later record with the same
    /// entity, owner, role and beginning replaces an earlier one. Who owns all (has no weight) until no end is said owns
    /// until another one of the same role does.
    pub fn new<'a>(records: impl IntoIterator<Item = OwnershipRecord<'a>>) -> Self {
        type Intervals<'a> = HashMap<(&'a str, &'a str, i64), (i64, Option<i128>)>;
        let mut entities: HashMap<(&str, &str), Intervals<'_>> = HashMap::new();
        for record in records {
            let from = record.valid_from.unwrap_or(i64::MIN);
            let to = record.valid_to.unwrap_or(i64::MAX);
            let intervals = entities.entry((record.entity_kind, record.entity)).or_default();
            intervals.insert((record.owner, record.role, from), (to, record.weight));
        }
        let mut index = Self::default();
        for ((kind, entity), intervals) in entities {
            let mut whole: HashMap<&str, Vec<i64>> = HashMap::new();
            for ((_, role, from), (_, weight)) in &intervals {
                if weight.is_none() && !is_secondary(role) {
                    whole.entry(role).or_default().push(*from);
                }
            }
            whole.values_mut().for_each(|beginnings| beginnings.sort_unstable());
            let intervals = intervals.into_iter().map(|((owner, role, from), (to, weight))| {
                let next = whole.get(role).and_then(|all| all.get(all.partition_point(|other| *other <= from)));
                let until = next.copied().filter(|_| weight.is_none() && to == i64::MAX);
                Interval { owner, role, from, to: until.unwrap_or(to), weight }
            });
            let segments = index.segments(intervals.filter(|interval| interval.from < interval.to).collect());
            index.kinds.entry(kind.to_owned()).or_default().insert(entity.to_owned(), segments);
        }
        index
    }

    /// The owners of an entity at an instant (microseconds), if it had any.
    #[must_use]
    pub fn owners_at(&self, kind: &str, entity: &str, at: i64) -> Option<&OwnerSet> {
        self.set(self.set_at(kind, entity, at)?)
    }

    /// The number of [`OwnershipIndex::owners_at`], for those who remember what they did with a set.
    #[must_use]
    pub fn set_at(&self, kind: &str, entity: &str, at: i64) -> Option<u32> {
        let segments = self.kinds.get(kind)?.get(entity)?;
        let after = segments.partition_point(|segment| segment.from <= at);
        segments.get(after.checked_sub(1)?)?.owners
    }

    /// The owners that have a number.
    #[must_use]
    pub fn set(&self, number: u32) -> Option<&OwnerSet> {
        self.sets.get(number as usize)
    }

    /// Whether there is nothing to ask.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Whether anything of that kind is owned by anybody, at whatever time.
    #[must_use]
    pub fn has_kind(&self, kind: &str) -> bool {
        self.kinds.contains_key(kind)
    }

    fn segments(&mut self, mut intervals: Vec<Interval<'_>>) -> Vec<Segment> {
        intervals.sort_unstable_by_key(|interval| (interval.from, interval.to, interval.owner, interval.role));
        let mut points: Vec<i64> = intervals.iter().flat_map(|interval| [interval.from, interval.to]).collect();
        points.sort_unstable();
        points.dedup();
        // Where an interval that lasts for ever ends is not a point in time.
        points.retain(|point| *point < i64::MAX);
        let mut ends: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        let mut active = Active::new();
        let mut next = intervals.iter().enumerate().peekable();
        let mut segments = Vec::with_capacity(points.len());
        for point in points {
            for ended in ends.remove(&point).unwrap_or_default() {
                let Some(interval) = intervals.get(ended) else { continue };
                let who = (interval.owner, interval.role);
                if let Some(running) = active.get_mut(&who) {
                    running.remove(&ended);
                    if running.is_empty() {
                        active.remove(&who);
                    }
                }
            }
            while let Some((at, interval)) = next.next_if(|(_, interval)| interval.from <= point) {
                active.entry((interval.owner, interval.role)).or_default().insert(at, interval.weight);
                ends.entry(interval.to).or_default().push(at);
            }
            let owners = OwnerSet::from_active(&active).map(|set| self.intern(set));
            segments.push(Segment { from: point, owners });
        }
        segments
    }

    fn intern(&mut self, set: OwnerSet) -> u32 {
        // Neighbouring segments and entities often have the same owners; looking back a little finds most of them.
        let recent = self.sets.len().saturating_sub(64);
        if let Some(found) = self.sets.iter().skip(recent).position(|known| *known == set) {
            return u32::try_from(recent + found).unwrap_or_default();
        }
        self.sets.push(set);
        u32::try_from(self.sets.len() - 1).unwrap_or_default()
    }
}

/// By owner and role the intervals that have begun and not ended, with their weights.
type Active<'a> = BTreeMap<(&'a str, &'a str), BTreeMap<usize, Option<i128>>>;

struct Interval<'a> {
    owner: &'a str,
    role: &'a str,
    from: i64,
    to: i64,
    weight: Option<i128>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record<'a>(owner: &'a str, weight: Option<i128>, from: i64, to: Option<i64>) -> OwnershipRecord<'a> {
        OwnershipRecord {
            entity_kind: "service",
            entity: "checkout",
            owner,
            role: "primary",
            weight,
            valid_from: Some(from),
            valid_to: to,
        }
    }

    const HALF: i128 = (WEIGHT_ONE / 2) as i128;

    #[test]
    fn ownership_that_changes_hands_is_asked_at_the_time() {
        let index = OwnershipIndex::new([record("red", None, 0, Some(10)), record("blue", None, 10, None)]);
        let primary = |at| index.owners_at("service", "checkout", at).and_then(OwnerSet::primary);
        assert_eq!(primary(-1), None);
        assert_eq!(primary(0), Some("red"));
        assert_eq!(primary(9), Some("red"));
        assert_eq!(primary(10), Some("blue"));
        assert_eq!(primary(i64::MAX), Some("blue"));
        assert_eq!(index.owners_at("service", "cart", 5), None);
        assert_eq!(index.owners_at("team", "checkout", 5), None);
    }

    #[test]
    fn an_owner_without_an_end_owns_until_the_next_one() {
        let second = OwnershipRecord { role: "secondary", ..record("green", None, 5, None) };
        let index = OwnershipIndex::new([
            record("blue", None, 20, None),
            record("red", None, 10, None),
            record("old", None, 0, Some(4)),
            second,
        ]);
        let primary = |at| index.owners_at("service", "checkout", at).and_then(OwnerSet::primary);
        assert_eq!(
            [2, 4, 9, 10, 19, 20, 99].map(primary),
            [Some("old"), None, Some("green"), Some("red"), Some("red"), Some("blue"), Some("blue")]
        );
    }

    #[test]
    fn weights_that_lack_something_to_one_leave_it_unallocated() {
        let index = OwnershipIndex::new([record("red", Some(HALF), 0, None), record("blue", Some(HALF), 5, None)]);
        let owners = |at| index.owners_at("service", "checkout", at).unwrap().owners.clone();
        let half = WEIGHT_ONE / 2;
        assert_eq!(owners(1), vec![(UNALLOCATED.to_owned(), half), ("red".to_owned(), half)]);
        assert_eq!(owners(5), vec![("blue".to_owned(), half), ("red".to_owned(), half)]);
        assert_eq!(index.owners_at("service", "checkout", 1).unwrap().primary(), Some("red"));
        assert_eq!(index.owners_at("service", "checkout", 5).unwrap().primary(), Some("blue"), "ties by name");
    }

    #[test]
    fn a_closed_interval_replaces_the_open_one_that_was_landed_before() {
        let index = OwnershipIndex::new([record("red", None, 0, None), record("red", None, 0, Some(7))]);
        assert!(index.owners_at("service", "checkout", 6).is_some());
        assert!(index.owners_at("service", "checkout", 7).is_none());
    }

    #[test]
    fn a_secondary_owner_without_a_weight_pays_nothing() {
        let second = OwnershipRecord { role: "secondary", ..record("blue", None, 0, None) };
        let index = OwnershipIndex::new([record("red", None, 0, None), second]);
        assert_eq!(index.owners_at("service", "checkout", 3).unwrap(), &OwnerSet::of("red"));
    }

    proptest! {
        #[test]
        fn the_index_agrees_with_a_scan(
            rows in prop::collection::vec((0usize..3, 0i64..20, 1i64..20, 1i128..4), 0..12),
            at in -1i64..45,
        ) {
            let names = ["a", "b", "c"];
            // The same owner never begins twice at once; overlaps of one owner are not drawn, as the latest would win.
            let mut records: Vec<OwnershipRecord<'_>> = Vec::new();
            for (who, from, length, weight) in rows {
                let row = record(names[who], Some(weight * HALF), from, Some(from + length));
                let overlaps = records.iter().any(|r| r.owner == row.owner && r.valid_from < row.valid_to && row.valid_from < r.valid_to);
                if !overlaps {
                    records.push(row);
                }
            }
            let mut expected: Vec<(String, u128)> = records
                .iter()
                .filter(|r| r.valid_from <= Some(at) && Some(at) < r.valid_to)
                .map(|r| (r.owner.to_owned(), r.weight.unwrap() as u128))
                .collect();
            let total: u128 = expected.iter().map(|(_, weight)| weight).sum();
            if total > 0 && total < WEIGHT_ONE {
                expected.push((UNALLOCATED.to_owned(), WEIGHT_ONE - total));
            }
            expected.sort();
            let index = OwnershipIndex::new(records);
            let found = index.owners_at("service", "checkout", at).map(|set| set.owners.clone()).unwrap_or_default();
            prop_assert_eq!(found, expected);
        }
    }
}
