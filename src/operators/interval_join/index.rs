//! The index of intervals: an implicit tree of maxima over the sorted build side.
//!
//! The idea is the augmented tree of Cormen et al., "Introduction to Algorithms", 14.3, laid out in arrays of high
//! fan-out so that a search touches few cache lines.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::buffer::NullBuffer;
use datafusion::common::Result;

use crate::operators::order::Ordered;
use crate::operators::sorted::{SortedGroups, first_above};

const FAN_OUT: usize = 16;

/// Bytes a row that building the index takes at most, everything temporary included.
pub(super) const INDEX_BYTES: usize = 112;

/// A limit that a row of the probe side sets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) value: i64,
    /// Intervals with a bound at this side may match.
    pub(super) bounded: bool,
    /// Intervals without one, where it is null, match.
    pub(super) unbounded: bool,
}

/// The build side's intervals by group.
#[derive(Debug)]
pub(super) struct IntervalIndex {
    pub(super) groups: SortedGroups,
    /// End by position.
    ends: Vec<i64>,
    /// The greatest end of the group up to each position.
    running: Vec<i64>,
    /// Greatest ends of each `FAN_OUT` positions, of each `FAN_OUT` of those, and so on.
    maxima: Vec<Vec<i64>>,
    /// By row; present where there are intervals without a start or end.
    start_known: Option<NullBuffer>,
    end_known: Option<NullBuffer>,
}

/// Bounds of the intervals of the build side. Where a null may match, rows with one are kept.
#[derive(Debug)]
pub(super) struct Bounds {
    pub(super) starts: Ordered,
    pub(super) ends: Ordered,
    pub(super) keep_null_starts: bool,
    pub(super) keep_null_ends: bool,
}

impl IntervalIndex {
    pub(super) fn build(keys: &[ArrayRef], row_count: usize, bounds: Bounds) -> Result<Self> {
        let Bounds { starts, ends, keep_null_starts, keep_null_ends } = bounds;
        let end = |row: usize| ends.get(row).or(keep_null_ends.then_some(i64::MAX));
        let start = |row: usize| starts.get(row).or(keep_null_starts.then_some(i64::MIN));
        let groups = SortedGroups::build(keys, row_count, |row| end(row).and(start(row)))?;
        let by_position: Vec<i64> = groups.rows.iter().map(|row| end(*row as usize).unwrap_or(i64::MIN)).collect();
        let mut running = Vec::with_capacity(by_position.len());
        for group in 0..groups.keys.groups() {
            let (from, to) = groups.range(u32::try_from(group).unwrap_or(u32::MAX));
            let mut greatest = i64::MIN;
            for end in by_position.get(from..to).unwrap_or_default() {
                greatest = greatest.max(*end);
                running.push(greatest);
            }
        }
        let mut maxima: Vec<Vec<i64>> = Vec::new();
        loop {
            let below = maxima.last().unwrap_or(&by_position);
            if below.len() <= FAN_OUT {
                break;
            }
            maxima.push(below.chunks(FAN_OUT).filter_map(|part| part.iter().max().copied()).collect());
        }
        Ok(Self {
            groups,
            ends: by_position,
            running,
            maxima,
            start_known: starts.nulls.filter(|_| keep_null_starts),
            end_known: ends.nulls.filter(|_| keep_null_ends),
        })
    }

    /// Positions of a group between which everything lies that starts at or before `start` and ends at or after `end`.
    /// `hint` is where the last search in the group ended.
    pub(super) fn candidates(&self, group: u32, start: i64, end: i64, hint: &mut u32) -> (usize, usize) {
        let (from, to) = self.groups.range(group);
        let to = first_above(&self.groups.times, from, to, start, *hint as usize);
        *hint = u32::try_from(to).unwrap_or(u32::MAX);
        let Some(before) = end.checked_sub(1) else { return (from, to) };
        // The running maximum ascends, so it can be searched like the starts.
        (first_above(&self.running, from, to, before, to.saturating_sub(1)), to)
    }

    /// The first position in `[at, to)` whose interval ends at or after `end`.
    pub(super) fn next(&self, mut at: usize, to: usize, end: i64) -> Option<usize> {
        while at < to {
            let width = self.too_early(at, end);
            if width == 0 {
                return Some(at);
            }
            at += width;
        }
        None
    }

    /// How many positions from `at` on end before `end` for sure: a position, or as large an aligned block as possible.
    fn too_early(&self, at: usize, end: i64) -> usize {
        if self.ends.get(at).is_some_and(|found| *found >= end) {
            return 0;
        }
        let mut width = 1;
        for level in &self.maxima {
            let wider = width * FAN_OUT;
            if !at.is_multiple_of(wider) || level.get(at / wider).is_none_or(|greatest| *greatest >= end) {
                break;
            }
            width = wider;
        }
        width
    }

    /// Whether the interval at a position, whose bounds are within the limits, is of a kind that they admit.
    pub(super) fn admits(&self, at: usize, start: Limit, end: Limit) -> bool {
        let admits = |known: &Option<NullBuffer>, limit: Limit| match known {
            Some(known) if known.is_null(self.row(at) as usize) => limit.unbounded,
            _ => limit.bounded,
        };
        admits(&self.start_known, start) && admits(&self.end_known, end)
    }

    pub(super) fn row(&self, at: usize) -> u32 {
        self.groups.rows.get(at).copied().unwrap_or_default()
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        let maxima: usize = self.maxima.iter().map(|level| level.capacity() * 8).sum();
        self.groups.size() + (self.ends.capacity() + self.running.capacity()) * 8 + maxima
    }
}
