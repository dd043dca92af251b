//! The right side of an ASOF join, ready to be searched.

use std::cmp::Ordering;

use datafusion::arrow::array::{RecordBatch, UInt32Array};
use datafusion::arrow::compute::{SortOptions, take};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, internal_err};

use super::exec::Parts;
use crate::operators::build::Collected;
use crate::operators::order::ordered;
use crate::operators::sorted::{SortedGroups, first_above};

/// Bytes a row that building the index takes at most, everything temporary included.
const INDEX_BYTES: usize = 88;

/// The collected side of an ASOF join.
#[derive(Debug)]
pub(super) struct BuildSide {
    rows: Collected,
    pub(super) groups: SortedGroups,
}

impl BuildSide {
    pub(super) fn build(rows: Collected, parts: &Parts) -> Result<Self> {
        let groups = rows.index(INDEX_BYTES, || {
            let keys = rows.evaluate(parts.on.iter().map(|(_, right)| right))?;
            let times = rows.evaluate([&parts.time.build].into_iter())?;
            let [times] = times.as_slice() else { return internal_err!("an ASOF join has one time") };
            let times = ordered(times)?;
            let mut groups = SortedGroups::build(&keys, rows.batch.num_rows(), |row| times.get(row))?;
            order_ties(&mut groups, &rows.batch, parts.backward)?;
            Ok(groups)
        })?;
        rows.settle(groups.size());
        Ok(Self { rows, groups })
    }

    pub(super) fn batch(&self) -> &RecordBatch {
        &self.rows.batch
    }

    /// The positions of a group that a time may be matched with, nearest first if read from the end (`backward`) or
    /// from the beginning. `hint` is where the last search in the group ended.
    pub(super) fn candidates(&self, group: u32, time: i64, parts: &Parts, hint: &mut u32) -> (usize, usize) {
        let (from, to) = self.groups.range(group);
        // What is not above the value just before is what is below the value.
        let inclusive = parts.backward != parts.time.strict;
        let value = if inclusive { Some(time) } else { time.checked_sub(1) };
        let at = value.map_or(from, |value| first_above(&self.groups.times, from, to, value, *hint as usize));
        *hint = u32::try_from(at).unwrap_or(u32::MAX);
        if parts.backward { (from, at) } else { (at, to) }
    }

    pub(super) fn time(&self, at: usize) -> i64 {
        self.groups.times.get(at).copied().unwrap_or_default()
    }

    pub(super) fn row(&self, at: usize) -> u32 {
        self.groups.rows.get(at).copied().unwrap_or_default()
    }
}

/// Of rows at the same time the least by content is to be found first, from whichever end a search comes.
fn order_ties(groups: &mut SortedGroups, batch: &RecordBatch, backward: bool) -> Result<()> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for group in 0..groups.keys.groups() {
        let (from, to) = groups.range(u32::try_from(group).unwrap_or(u32::MAX));
        let mut at = from;
        for run in groups.times.get(from..to).unwrap_or_default().chunk_by(|one, other| one == other) {
            if run.len() > 1 {
                runs.push((at, at + run.len()));
            }
            at += run.len();
        }
    }
    if runs.is_empty() {
        return Ok(());
    }
    let tied: UInt32Array =
        runs.iter().flat_map(|(from, to)| groups.rows.get(*from..*to).unwrap_or_default()).copied().collect();
    let options = SortOptions { descending: false, nulls_first: false };
    let fields = batch.columns().iter().map(|column| SortField::new_with_options(column.data_type().clone(), options));
    // Of columns without an order, such as maps, nothing can be said.
    let (fields, columns): (Vec<SortField>, Vec<_>) = fields
        .zip(batch.columns())
        .filter(|(field, _)| RowConverter::supports_fields(std::slice::from_ref(field)))
        .unzip();
    let columns = columns.into_iter().map(|column| take(column, &tied, None)).collect::<Result<Vec<_>, _>>()?;
    let contents = RowConverter::new(fields)?.convert_columns(&columns)?;
    let mut first = 0;
    for (from, to) in runs {
        let mut order: Vec<usize> = (first..first + (to - from)).collect();
        first += to - from;
        order.sort_by(|one, other| {
            let ascending = contents.row(*one).cmp(&contents.row(*other));
            if backward { Ordering::reverse(ascending) } else { ascending }
        });
        if let Some(rows) = groups.rows.get_mut(from..to) {
            for (place, at) in rows.iter_mut().zip(order) {
                *place = tied.value(at);
            }
        }
    }
    Ok(())
}
