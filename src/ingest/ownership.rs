//! Landing ownership: what changed closes the interval of what was, and history is never rewritten.
//!
//! The rows of one entity and role that are open (no `valid_to`) are its state. An import that names the entity with
//! another state closes the old rows at the beginning of the new ones; one that names the same state changes nothing.
//! Rows that come with their own end are history and are added as they are, once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{Decimal128Type, TimestampMicrosecondType};

use super::rewrite::rewrite;
use crate::error::Result;
use crate::model::ownership::{OWNERSHIP, OwnershipBuilder, OwnershipRow};
use crate::model::{CellType, RowBuilder, cell};
use crate::storage::{Commit, Lake};

/// A row without its interval.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Share {
    owner: Option<String>,
    weight: Option<i128>,
    on_call: Option<String>,
    cost_center: Option<String>,
    system: Option<String>,
    tier: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Interval {
    entity: (Option<String>, Option<String>, Option<String>),
    from: Option<i64>,
    to: Option<i64>,
    share: Share,
    source: String,
}

/// What was new.
#[derive(Debug, Default)]
pub(super) struct Added {
    /// Rows.
    pub(super) rows: u64,
    /// Those of them that hold only since the import, for nothing said since when.
    pub(super) undated: u64,
}

/// Merge the rows into the table in one commit; none when there was nothing to land. `began` are the times when the files
/// were read, which rows without a beginning of their own have.
pub(super) async fn land(
    lake: &Arc<Lake>,
    batches: Vec<RecordBatch>,
    commit: &Commit,
    began: &BTreeSet<i64>,
) -> Result<Option<Added>> {
    let door = lake.door(&OWNERSHIP).await?;
    let batches = batches.into_iter().map(|batch| door.pass(batch)).collect::<Result<Vec<_>>>()?;
    let arriving = batches.iter().map(intervals).collect::<Result<Vec<_>>>()?.concat();
    if arriving.is_empty() {
        return Ok(None);
    }
    let mut added = Added::default();
    let merging = |stored: Vec<RecordBatch>| {
        let stored = stored.iter().map(intervals).collect::<Result<Vec<_>>>()?.concat();
        let before: BTreeSet<_> = stored.iter().cloned().collect();
        let merged = merge(stored, arriving.clone());
        let new = || merged.iter().filter(|interval| !before.contains(interval));
        let undated = new().filter(|interval| interval.from.is_some_and(|from| began.contains(&from)));
        added = Added { rows: new().count() as u64, undated: undated.count() as u64 };
        let batches = batches_of(&merged, lake.clock().now_micros());
        Ok((added.rows > 0).then_some(batches))
    };
    rewrite(lake, &OWNERSHIP, commit, merging).await?;
    Ok(Some(added))
}

/// What is known after rows arrive at what was known.
fn merge(mut stored: Vec<Interval>, arriving: Vec<Interval>) -> Vec<Interval> {
    let mut states: BTreeMap<_, Vec<Interval>> = BTreeMap::new();
    for interval in arriving {
        if interval.to.is_some() {
            let known = stored.iter().any(|old| {
                (&old.entity, old.from, old.to, &old.share)
                    == (&interval.entity, interval.from, interval.to, &interval.share)
            });
            if !known {
                stored.push(interval);
            }
        } else {
            states.entry((interval.entity.clone(), interval.from)).or_default().push(interval);
        }
    }
    for ((entity, from), mut state) in states {
        // What has no beginning comes before all that has one.
        let holds = |old: &Interval| {
            old.entity == entity && old.from <= from && old.to.is_none_or(|to| from.is_none_or(|from| to > from))
        };
        let held: BTreeSet<&Share> = stored.iter().filter(|old| holds(old)).map(|old| &old.share).collect();
        if held == state.iter().map(|row| &row.share).collect() {
            continue;
        }
        // Older than something that is known: it held until then.
        let later =
            stored.iter().filter(|old| old.entity == entity && old.from > from).filter_map(|old| old.from).min();
        for row in &mut state {
            row.to = later;
        }
        stored.retain(|old| !(old.entity == entity && old.from == from));
        for old in stored.iter_mut().filter(|old| holds(old)) {
            old.to = from;
        }
        stored.extend(state);
    }
    stored
}

fn intervals(batch: &RecordBatch) -> Result<Vec<Interval>> {
    let column = |name: &str, wanted: datafusion::arrow::datatypes::DataType| -> Result<ArrayRef> {
        let found = batch.column_by_name(name).cloned();
        Ok(cast(
            &found.unwrap_or_else(|| datafusion::arrow::array::new_null_array(&wanted, batch.num_rows())),
            &wanted,
        )?)
    };
    let text = |name: &str| column(name, cell::Text::data_type());
    let time = |name: &str| column(name, cell::Time::data_type());
    let (kinds, entities, roles, owners) = (text("entity_kind")?, text("entity")?, text("role")?, text("owner")?);
    let (on_call, centers, systems, tiers) = (text("on_call")?, text("cost_center")?, text("system")?, text("tier")?);
    let (from, to, sources) = (time("valid_from")?, time("valid_to")?, text("source")?);
    let weights = column("weight", cell::Money::data_type())?;
    let string = |array: &ArrayRef, row: usize| {
        let array = array.as_string::<i32>();
        array.is_valid(row).then(|| array.value(row).to_owned())
    };
    let micros = |array: &ArrayRef, row: usize| {
        let array = array.as_primitive::<TimestampMicrosecondType>();
        array.is_valid(row).then(|| array.value(row))
    };
    let rows = (0..batch.num_rows()).map(|row| Interval {
        entity: (string(&kinds, row), string(&entities, row), string(&roles, row)),
        from: micros(&from, row),
        to: micros(&to, row),
        share: Share {
            owner: string(&owners, row),
            weight: weights.is_valid(row).then(|| weights.as_primitive::<Decimal128Type>().value(row)),
            on_call: string(&on_call, row),
            cost_center: string(&centers, row),
            system: string(&systems, row),
            tier: string(&tiers, row),
        },
        source: string(&sources, row).unwrap_or_default(),
    });
    Ok(rows.collect())
}

fn batches_of(rows: &[Interval], now: i64) -> Vec<RecordBatch> {
    let mut by_source: BTreeMap<&str, OwnershipBuilder> = BTreeMap::new();
    for row in rows {
        let text = |value: &Option<String>| value.clone().map(Into::into);
        by_source.entry(&row.source).or_default().append(&OwnershipRow {
            entity_kind: text(&row.entity.0),
            entity: text(&row.entity.1),
            role: text(&row.entity.2),
            owner: text(&row.share.owner),
            weight: row.share.weight,
            valid_from: row.from,
            valid_to: row.to,
            on_call: text(&row.share.on_call),
            cost_center: text(&row.share.cost_center),
            system: text(&row.share.system),
            tier: text(&row.share.tier),
            ..OwnershipRow::default()
        });
    }
    by_source.into_iter().map(|(source, mut builder)| builder.finish(source, now)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(owner: &str, from: i64, to: Option<i64>) -> Interval {
        let share = Share {
            owner: Some(owner.into()),
            weight: Some(1_000_000_000_000),
            on_call: None,
            cost_center: None,
            system: None,
            tier: None,
        };
        let entity = (Some("service".into()), Some("cart".into()), Some("primary".into()));
        Interval { entity, from: Some(from), to, share, source: "backstage".into() }
    }

    #[test]
    fn a_new_owner_closes_the_interval_of_the_old() {
        let merged = merge(vec![owned("a", 10, None)], vec![owned("b", 20, None)]);
        assert_eq!(merged, vec![owned("a", 10, Some(20)), owned("b", 20, None)]);
    }

    #[test]
    fn the_same_owner_again_changes_nothing() {
        assert_eq!(merge(vec![owned("a", 10, None)], vec![owned("a", 30, None)]), vec![owned("a", 10, None)]);
    }

    #[test]
    fn history_is_added_once_and_older_states_end_where_newer_begin() {
        let known = vec![owned("a", 10, None)];
        let merged = merge(known.clone(), vec![owned("z", 1, Some(5)), owned("z", 1, Some(5))]);
        assert_eq!(merged, vec![owned("a", 10, None), owned("z", 1, Some(5))]);
        assert_eq!(merge(known, vec![owned("y", 5, None)]), vec![owned("a", 10, None), owned("y", 5, Some(10))]);
    }

    #[test]
    fn what_comes_late_holds_until_what_followed_it() {
        let known = vec![owned("a", 10, Some(20)), owned("b", 20, None)];
        let merged = merge(known.clone(), vec![owned("z", 1, None)]);
        assert_eq!(merged, vec![owned("a", 10, Some(20)), owned("b", 20, None), owned("z", 1, Some(10))]);
        let merged = merge(known.clone(), vec![owned("c", 15, None)]);
        assert_eq!(merged, vec![owned("a", 10, Some(15)), owned("b", 20, None), owned("c", 15, Some(20))]);
        assert_eq!(merge(known.clone(), vec![owned("a", 10, None)]), known);
        let ever = Interval { from: None, ..owned("e", 0, None) };
        let merged = merge(known, vec![ever.clone()]);
        assert_eq!(merged.last(), Some(&Interval { to: Some(10), ..ever }));
    }

    #[test]
    fn a_correction_of_the_same_instant_takes_its_place() {
        assert_eq!(merge(vec![owned("a", 10, None)], vec![owned("b", 10, None)]), vec![owned("b", 10, None)]);
    }
}
