//! Running an interval join: the build side indexed once, the probe side looked up batch by batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use datafusion::common::{JoinType, Result, ScalarValue};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, DynamicFilterPhysicalExpr, lit};
use datafusion::physical_expr::{PhysicalExpr, conjunction};
use futures::{Stream, TryStreamExt};

use super::exec::Parts;
use super::index::{Bounds, INDEX_BYTES, IntervalIndex, Limit};
use crate::operators::bounds::Bound;
use crate::operators::build::{Collected, evaluate};
use crate::operators::join::{Build, Probe, Running, batches};
use crate::operators::keys::NO_GROUP;
use crate::operators::order::{Ordered, ordered};
use crate::operators::output::{Part, Rows, holds};

/// The collected side of a join.
#[derive(Debug)]
pub(super) struct BuildSide {
    rows: Collected,
    index: IntervalIndex,
    /// A bit a row, set when the row has matched; empty if nobody asks.
    matched: Vec<AtomicU64>,
    /// Partitions of the probe side that are not done; the last one returns what did not match.
    probers: AtomicUsize,
}

impl BuildSide {
    fn batch(&self) -> &RecordBatch {
        &self.rows.batch
    }

    fn mark(&self, row: u32) {
        if let Some(word) = self.matched.get(row as usize / 64) {
            let bit = 1 << (row % 64);
            // Most rows of a popular interval were marked long ago: reading does not take the line from other cores.
            if word.load(Ordering::Relaxed) & bit == 0 {
                word.fetch_or(bit, Ordering::Relaxed);
            }
        }
    }

    fn is_marked(&self, row: usize) -> bool {
        self.matched.get(row / 64).is_some_and(|word| word.load(Ordering::Relaxed) & (1 << (row % 64)) != 0)
    }
}

/// Whether it matters which rows of the build side matched.
pub(super) fn tracks_build(join_type: JoinType) -> bool {
    use JoinType::{Full, Left, LeftAnti, LeftMark, LeftSemi};
    matches!(join_type, Left | Full | LeftSemi | LeftAnti | LeftMark)
}

/// Whether it matters which rows of the probe side matched.
fn tracks_probe(join_type: JoinType) -> bool {
    use JoinType::{Full, Right, RightAnti, RightMark, RightSemi};
    matches!(join_type, Right | Full | RightAnti | RightMark | RightSemi)
}

fn returns_pairs(join_type: JoinType) -> bool {
    matches!(join_type, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full)
}

/// Index the collected side.
pub(super) fn build(
    rows: Collected,
    parts: &Parts,
    probers: usize,
    dynamic: Option<&Arc<DynamicFilterPhysicalExpr>>,
) -> Result<BuildSide> {
    let count = rows.batch.num_rows();
    let index = rows.index(INDEX_BYTES, || {
        let keys = rows.evaluate(parts.on.iter().map(|(left, _)| left))?;
        let bounds = rows.evaluate([&parts.interval.start.build, &parts.interval.end.build].into_iter())?;
        let [starts, ends] = bounds.as_slice() else { return datafusion::common::internal_err!("two bounds") };
        let bounds = Bounds {
            starts: ordered(starts)?,
            ends: ordered(ends)?,
            keep_null_starts: parts.interval.start.build_open || parts.interval.start.probe_open,
            keep_null_ends: parts.interval.end.build_open || parts.interval.end.probe_open,
        };
        if let Some(dynamic) = dynamic {
            dynamic.update(possible(parts, &bounds, starts, ends)?)?;
            dynamic.mark_complete();
        }
        IntervalIndex::build(&keys, count, bounds)
    })?;
    let words = if tracks_build(parts.join_type) { count.div_ceil(64) } else { 0 };
    let matched = (0..words).map(|_| AtomicU64::new(0)).collect::<Vec<_>>();
    rows.settle(index.size() + words * 8);
    Ok(BuildSide { rows, index, matched, probers: AtomicUsize::new(probers) })
}

/// What is true of every row of the probe side that matches anything: it lies between the first start and the last
/// end.
fn possible(parts: &Parts, bounds: &Bounds, starts: &ArrayRef, ends: &ArrayRef) -> Result<Arc<dyn PhysicalExpr>> {
    let of = |values: &Ordered| (0..starts.len()).filter_map(|row| Some((values.get(row)?, row))).collect::<Vec<_>>();
    let mut conditions: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
    let mut add = |bound: &Bound, values: &ArrayRef, row: Option<usize>, operator: Operator| -> Result<()> {
        if let Some(row) = row
            && !bound.probe_open
            && !(bound.build_open && values.logical_null_count() > 0)
        {
            let limit = lit(ScalarValue::try_from_array(values, row)?);
            // Both are of the type that the bound was recognised with, so nothing has to be coerced.
            conditions.push(Arc::new(BinaryExpr::new(Arc::clone(&bound.probe), operator, limit)));
        }
        Ok(())
    };
    let first = of(&bounds.starts).into_iter().min().map(|(_, row)| row);
    let last = of(&bounds.ends).into_iter().max().map(|(_, row)| row);
    add(&parts.interval.start, starts, first, Operator::GtEq)?;
    add(&parts.interval.end, ends, last, Operator::LtEq)?;
    let nothing = (first.is_none() && !bounds.keep_null_starts) || (last.is_none() && !bounds.keep_null_ends);
    Ok(if nothing { lit(false) } else { conjunction(conditions) })
}

/// The batches of the join for one partition of the probe side. If it `may_drop` them, rows of the probe side that match
/// nothing need not be looked at.
pub(super) fn run(
    probe: Probe<Parts>,
    build: Build<BuildSide>,
    may_drop: bool,
) -> impl Stream<Item = Result<RecordBatch>> {
    batches(build, move |build| {
        let hints = vec![0; build.index.groups.keys.groups()];
        let nothing = may_drop && build.index.groups.rows.is_empty();
        let mut partition = Partition { probe, build, hints, current: None, probing: true, unmatched: None };
        if nothing {
            partition.end_of_probe();
        }
        partition
    })
}

struct Partition {
    probe: Probe<Parts>,
    build: Arc<BuildSide>,
    /// By group where the last search ended.
    hints: Vec<u32>,
    current: Option<Current>,
    probing: bool,
    /// The next row of the build side that may have matched nothing, if this partition returns those.
    unmatched: Option<usize>,
}

impl Running for Partition {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while self.probing {
            let Some(current) = &mut self.current else {
                match self.probe.input.try_next().await? {
                    Some(batch) => {
                        self.probe.metrics.probe_rows.add(batch.num_rows());
                        let _timer = self.probe.metrics.baseline.elapsed_compute().timer();
                        self.current = Some(Current::new(batch, &self.probe.parts, &self.build)?);
                    }
                    None => self.end_of_probe(),
                }
                continue;
            };
            let timer = self.probe.metrics.baseline.elapsed_compute().timer();
            let output = current.advance(&self.probe, &self.build, &mut self.hints)?;
            if current.is_done() {
                self.current = None;
            }
            timer.done();
            if let Some(batch) = output {
                return Ok(Some(self.counted(batch)));
            }
            // Searching without finding anything would not let go of the thread otherwise.
            tokio::task::yield_now().await;
        }
        while let Some(from) = self.unmatched {
            let (batch, next) = self.build_rows(from)?;
            self.unmatched = next;
            if batch.num_rows() > 0 {
                return Ok(Some(self.counted(batch)));
            }
            tokio::task::yield_now().await;
        }
        Ok(None)
    }
}

impl Partition {
    fn counted(&self, batch: RecordBatch) -> RecordBatch {
        self.probe.metrics.baseline.record_output(batch.num_rows());
        batch
    }

    fn end_of_probe(&mut self) {
        self.probing = false;
        // Releases what this partition has marked to the last one, and acquires what the others have.
        let last = self.build.probers.fetch_sub(1, Ordering::AcqRel) == 1;
        if last && tracks_build(self.probe.parts.join_type) {
            self.unmatched = Some(0);
        }
    }

    /// What the join type returns of the next stretch of the build side, and where to go on.
    fn build_rows(&self, from: usize) -> Result<(RecordBatch, Option<usize>)> {
        let batch = self.build.batch();
        let to = (from + self.probe.batch_size).min(batch.num_rows());
        let join_type = self.probe.parts.join_type;
        let wanted = |row: &usize| match join_type {
            JoinType::LeftMark => true,
            JoinType::LeftSemi => self.build.is_marked(*row),
            _ => !self.build.is_marked(*row),
        };
        let rows: UInt32Array = (from..to).filter(wanted).map(|row| u32::try_from(row).unwrap_or_default()).collect();
        let marks: Option<BooleanArray> =
            (join_type == JoinType::LeftMark).then(|| (from..to).map(|row| Some(self.build.is_marked(row))).collect());
        let nothing = RecordBatch::new_empty(self.probe.input.schema());
        let left = Part { batch, rows: Rows::These(&rows) };
        let right = Part { batch: &nothing, rows: Rows::Nulls(rows.len()) };
        let output = self.probe.output.batch(left, right, marks.as_ref())?;
        Ok((output, (to < batch.num_rows()).then_some(to)))
    }
}

/// A batch of the probe side while it is looked up.
struct Current {
    batch: RecordBatch,
    groups: Vec<u32>,
    starts: Ordered,
    ends: Ordered,
    row: usize,
    /// Positions of the build side that are still to be looked at for the row, and the limits they have to keep.
    rest: Option<(usize, usize, Limit, Limit)>,
    /// By row whether it has matched; empty if nobody asks.
    matched: Vec<bool>,
}

impl Current {
    fn new(batch: RecordBatch, parts: &Parts, build: &BuildSide) -> Result<Self> {
        let keys = evaluate(&batch, parts.on.iter().map(|(_, right)| right))?;
        let groups = build.index.groups.keys.lookup(&keys, batch.num_rows())?;
        let bounds = evaluate(&batch, [&parts.interval.start.probe, &parts.interval.end.probe].into_iter())?;
        let [starts, ends] = bounds.as_slice() else { return datafusion::common::internal_err!("two bounds") };
        let (starts, ends) = (ordered(starts)?, ordered(ends)?);
        let matched = if tracks_probe(parts.join_type) { vec![false; batch.num_rows()] } else { vec![] };
        Ok(Self { batch, groups, starts, ends, row: 0, rest: None, matched })
    }

    fn is_done(&self) -> bool {
        self.row >= self.batch.num_rows()
    }

    /// Look up to a batch of pairs, or a batch of rows if they have fewer; what the join returns of them.
    fn advance(&mut self, probe: &Probe<Parts>, build: &BuildSide, hints: &mut [u32]) -> Result<Option<RecordBatch>> {
        let parts = probe.parts.as_ref();
        let (mut found, mut rows) = (Vec::new(), Vec::new());
        let begun_at = self.row;
        let once = parts.filter.is_none() && !returns_pairs(parts.join_type) && !tracks_build(parts.join_type);
        while self.row < self.batch.num_rows() && self.row - begun_at < probe.batch_size {
            if self.rest.is_none() {
                self.rest = self.candidates(parts, build, hints);
            }
            let Some((mut at, to, start, end)) = self.rest else {
                self.row += 1;
                continue;
            };
            while let Some(position) = build.index.next(at, to, end.value) {
                at = position + 1;
                if build.index.admits(position, start, end) {
                    found.push(build.index.row(position));
                    rows.push(u32::try_from(self.row).unwrap_or_default());
                    if once {
                        at = to;
                    }
                    if found.len() >= probe.batch_size {
                        break;
                    }
                }
            }
            self.rest = Some((at, to, start, end));
            if found.len() >= probe.batch_size && at < to {
                break;
            }
            self.rest = None;
            self.row += 1;
            if found.len() >= probe.batch_size {
                break;
            }
        }
        probe.metrics.pairs.add(found.len());
        self.output(probe, build, found, rows)
    }

    /// Where in the index the row's matches are.
    fn candidates(&self, parts: &Parts, build: &BuildSide, hints: &mut [u32]) -> Option<(usize, usize, Limit, Limit)> {
        let group = self.groups.get(self.row).copied().filter(|group| *group != NO_GROUP)?;
        let limit = |values: &Ordered, bound: &Bound, nearer: fn(i64) -> Option<i64>, furthest: i64, nearest: i64| {
            let Bound { strict, build_open, probe_open, .. } = *bound;
            let value = values.get(self.row);
            let limit = match value.map(|value| if strict { nearer(value) } else { Some(value) }) {
                Some(Some(value)) => Limit { value, bounded: true, unbounded: build_open },
                // Nothing is nearer than the edge of what there is.
                Some(None) => Limit { value: nearest, bounded: false, unbounded: build_open },
                None if probe_open => Limit { value: furthest, bounded: true, unbounded: true },
                None => Limit { value: nearest, bounded: false, unbounded: build_open },
            };
            (limit.bounded || limit.unbounded).then_some(limit)
        };
        let (least, greatest) = (i64::MIN, i64::MAX);
        let start = limit(&self.starts, &parts.interval.start, |value| value.checked_sub(1), greatest, least)?;
        let end = limit(&self.ends, &parts.interval.end, |value| value.checked_add(1), least, greatest)?;
        let hint = hints.get_mut(group as usize)?;
        let (at, to) = build.index.candidates(group, start.value, end.value, hint);
        (at < to).then_some((at, to, start, end))
    }

    fn output(
        &mut self,
        probe: &Probe<Parts>,
        build: &BuildSide,
        mut found: Vec<u32>,
        mut rows: Vec<u32>,
    ) -> Result<Option<RecordBatch>> {
        let parts = probe.parts.as_ref();
        if let Some(filter) = &parts.filter
            && !found.is_empty()
        {
            let (left, right) = (UInt32Array::from(found), UInt32Array::from(rows));
            let left_part = Part { batch: build.batch(), rows: Rows::These(&left) };
            let right_part = Part { batch: &self.batch, rows: Rows::These(&right) };
            let holds = holds(filter, left_part, right_part, left.len())?;
            let kept = |array: &UInt32Array| {
                array.values().iter().zip(holds.values()).filter(|(_, kept)| *kept).map(|(row, _)| *row).collect()
            };
            (found, rows) = (kept(&left), kept(&right));
        }
        if tracks_build(parts.join_type) {
            found.iter().for_each(|row| build.mark(*row));
        }
        if !self.matched.is_empty() {
            for row in &rows {
                if let Some(matched) = self.matched.get_mut(*row as usize) {
                    *matched = true;
                }
            }
        }
        let mut batches = Vec::new();
        if returns_pairs(parts.join_type) && !found.is_empty() {
            let (left, right) = (UInt32Array::from(found), UInt32Array::from(rows));
            let left = Part { batch: build.batch(), rows: Rows::These(&left) };
            let right = Part { batch: &self.batch, rows: Rows::These(&right) };
            batches.push(probe.output.batch(left, right, None)?);
        }
        if self.is_done() {
            batches.extend(self.probe_rows(probe, build)?);
        }
        Ok(match batches.len() {
            0 | 1 => batches.pop(),
            _ => Some(datafusion::arrow::compute::concat_batches(&probe.output.schema, &batches)?),
        })
    }

    /// What the join type returns of the rows of the probe side as such, once all their matches are known.
    fn probe_rows(&self, probe: &Probe<Parts>, build: &BuildSide) -> Result<Option<RecordBatch>> {
        let wanted: fn(&bool) -> bool = match probe.parts.join_type {
            JoinType::RightSemi => |matched| *matched,
            JoinType::Right | JoinType::Full | JoinType::RightAnti => |matched| !matched,
            JoinType::RightMark => |_| true,
            _ => return Ok(None),
        };
        let rows = (0_u32..).zip(&self.matched).filter(|(_, matched)| wanted(matched)).map(|(row, _)| row);
        let rows: UInt32Array = rows.collect();
        if rows.is_empty() {
            return Ok(None);
        }
        let marks = BooleanArray::from(self.matched.clone());
        let left = Part { batch: build.batch(), rows: Rows::Nulls(rows.len()) };
        let right = Part { batch: &self.batch, rows: Rows::These(&rows) };
        probe.output.batch(left, right, Some(&marks)).map(Some)
    }
}
