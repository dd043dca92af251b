//! Rows grouped by key, each group in order of time.

use datafusion::arrow::array::ArrayRef;
use datafusion::common::Result;

use super::keys::{KeyTable, NO_GROUP};

/// The rows of a build side that can match at all, in order of group and time.
#[derive(Debug)]
pub(super) struct SortedGroups {
    pub(super) keys: KeyTable,
    /// Where the positions of a group begin, and at the end the number of positions.
    offsets: Vec<u32>,
    /// Time by position.
    pub(super) times: Vec<i64>,
    /// Row of the build side by position.
    pub(super) rows: Vec<u32>,
}

impl SortedGroups {
    /// Rows for which `time` has none are left out.
    pub(super) fn build(columns: &[ArrayRef], row_count: usize, time: impl Fn(usize) -> Option<i64>) -> Result<Self> {
        let (keys, groups) = KeyTable::build(columns, row_count)?;
        let timed = || {
            let rows = (0_u32..).zip(&groups).filter(|(_, group)| **group != NO_GROUP);
            rows.filter_map(|(row, group)| Some((row, *group as usize, time(row as usize)?)))
        };
        let mut next = vec![0_u32; keys.groups() + 1];
        for (_, group, _) in timed() {
            if let Some(count) = next.get_mut(group + 1) {
                *count += 1;
            }
        }
        let mut total = 0;
        for count in &mut next {
            total += *count;
            *count = total;
        }
        let offsets = next.clone();
        let mut placed = vec![(0_i64, 0_u32); total as usize];
        for (row, group, time) in timed() {
            if let Some(at) = next.get_mut(group) {
                if let Some(place) = placed.get_mut(*at as usize) {
                    *place = (time, row);
                }
                *at += 1;
            }
        }
        for ends in offsets.windows(2) {
            if let [from, to] = ends
                && let Some(group) = placed.get_mut(*from as usize..*to as usize)
                && !group.is_sorted()
            {
                group.sort_unstable();
            }
        }
        let (times, rows) = placed.into_iter().unzip();
        Ok(Self { keys, offsets, times, rows })
    }

    /// The positions of a group.
    pub(super) fn range(&self, group: u32) -> (usize, usize) {
        let group = group as usize;
        match (self.offsets.get(group), self.offsets.get(group + 1)) {
            (Some(from), Some(to)) => (*from as usize, *to as usize),
            _ => (0, 0),
        }
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        self.keys.size() + self.offsets.capacity() * 4 + self.times.capacity() * 8 + self.rows.capacity() * 4
    }
}

/// The first of the ascending `values` in `[from, to)` that is greater than `value`, or `to`. The search starts at
/// `hint`: rows that follow each other in a stream mostly are close in time.
pub(super) fn first_above(values: &[i64], from: usize, to: usize, value: i64, hint: usize) -> usize {
    let at_most = |at: usize| values.get(at).is_some_and(|found| *found <= value);
    let hint = hint.clamp(from, to);
    let mut step = 1;
    let (mut low, mut high) = if hint < to && at_most(hint) {
        let mut low = hint + 1;
        while low + step <= to && at_most(low + step - 1) {
            low += step;
            step *= 2;
        }
        (low, (low + step).min(to))
    } else if hint > from && !at_most(hint - 1) {
        let mut high = hint - 1;
        while high >= from + step && !at_most(high - step) {
            high -= step;
            step *= 2;
        }
        (high.saturating_sub(step).max(from), high)
    } else {
        return hint;
    };
    while low < high {
        let middle = low.midpoint(high);
        if at_most(middle) { low = middle + 1 } else { high = middle }
    }
    low
}
