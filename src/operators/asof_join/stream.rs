//! Running an ASOF join: each batch of the left side is looked up in the collected right side.

use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, UInt32Array};
use datafusion::common::{JoinType, Result, internal_err};
use futures::{Stream, TryStreamExt};

use super::exec::Parts;
use super::index::BuildSide;
use crate::operators::build::evaluate;
use crate::operators::join::{Build, Probe, Running, batches};
use crate::operators::keys::NO_GROUP;
use crate::operators::order::ordered;
use crate::operators::output::{Part, Rows, holds};

/// The batches of the join for one partition of the left side.
pub(super) fn run(probe: Probe<Parts>, build: Build<BuildSide>) -> impl Stream<Item = Result<RecordBatch>> {
    batches(build, |build| {
        let hints = vec![0; build.groups.keys.groups()];
        Partition { probe, build, hints, waiting: None }
    })
}

struct Partition {
    probe: Probe<Parts>,
    build: Arc<BuildSide>,
    /// By group where the last search ended.
    hints: Vec<u32>,
    /// What is left of a batch that is larger than ours.
    waiting: Option<RecordBatch>,
}

impl Running for Partition {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let inner = self.probe.parts.join_type == JoinType::Inner;
        if inner && self.build.groups.rows.is_empty() {
            return Ok(None);
        }
        loop {
            let batch = match self.waiting.take() {
                Some(batch) => batch,
                None => match self.probe.input.try_next().await? {
                    Some(batch) => {
                        self.probe.metrics.probe_rows.add(batch.num_rows());
                        batch
                    }
                    None => return Ok(None),
                },
            };
            let size = self.probe.batch_size;
            let batch = if batch.num_rows() > size {
                self.waiting = Some(batch.slice(size, batch.num_rows() - size));
                batch.slice(0, size)
            } else {
                batch
            };
            let found = self.matches(&batch).await?;
            let timer = self.probe.metrics.baseline.elapsed_compute().timer();
            let output = joined(&self.probe, self.build.batch(), &batch, found)?;
            timer.done();
            if output.num_rows() > 0 {
                self.probe.metrics.baseline.record_output(output.num_rows());
                return Ok(Some(output));
            }
            // Searching without finding anything would not let go of the thread otherwise.
            tokio::task::yield_now().await;
        }
    }
}

impl Partition {
    /// By row of a batch the row of the right side that it is joined with.
    async fn matches(&mut self, batch: &RecordBatch) -> Result<Vec<Option<u32>>> {
        let busy = self.probe.metrics.baseline.elapsed_compute().clone();
        let timer = busy.timer();
        let mut ranges = self.ranges(batch)?;
        timer.done();
        let (parts, build) = (Arc::clone(&self.probe.parts), Arc::clone(&self.build));
        let nearest = |(from, to): (usize, usize)| (from < to).then(|| if parts.backward { to - 1 } else { from });
        let mut found: Vec<Option<u32>> = ranges.iter().map(|range| nearest(*range).map(|at| build.row(at))).collect();
        let Some(filter) = &parts.filter else {
            self.probe.metrics.pairs.add(found.iter().flatten().count());
            return Ok(found);
        };
        // Each round checks the nearest candidate of all rows that have not found theirs, and lets go of it if it fails.
        let mut open: Vec<u32> =
            (0_u32..).zip(&found).filter(|(_, found)| found.is_some()).map(|(row, _)| row).collect();
        while !open.is_empty() {
            let timer = busy.timer();
            self.probe.metrics.pairs.add(open.len());
            let candidates: UInt32Array = open.iter().map(|row| found.get(*row as usize).copied().flatten()).collect();
            let rows = UInt32Array::from(open);
            let left = Part { batch: build.batch(), rows: Rows::These(&candidates) };
            let right = Part { batch, rows: Rows::These(&rows) };
            let holds = holds(filter, left, right, rows.len())?;
            let failed = rows.values().iter().zip(holds.values()).filter(|(_, holds)| !holds).map(|(row, _)| *row);
            open = Vec::new();
            for row in failed {
                let (Some(range), Some(place)) = (ranges.get_mut(row as usize), found.get_mut(row as usize)) else {
                    return internal_err!("row {row} is not of the batch");
                };
                *range = match *range {
                    _ if parts.monotone => (0, 0),
                    (from, to) if parts.backward => (from, to - 1),
                    (from, to) => (from + 1, to),
                };
                *place = nearest(*range).map(|at| build.row(at));
                if place.is_some() {
                    open.push(row);
                }
            }
            timer.done();
            if !open.is_empty() {
                tokio::task::yield_now().await;
            }
        }
        Ok(found)
    }

    /// By row of a batch the positions of the right side that it may be matched with.
    fn ranges(&mut self, batch: &RecordBatch) -> Result<Vec<(usize, usize)>> {
        let (parts, build) = (self.probe.parts.as_ref(), self.build.as_ref());
        let keys = evaluate(batch, parts.on.iter().map(|(left, _)| left))?;
        let groups = build.groups.keys.lookup(&keys, batch.num_rows())?;
        let mut bounds = Vec::with_capacity(2);
        for bound in [Some(&parts.time), parts.tolerance.as_ref()].into_iter().flatten() {
            for values in evaluate(batch, [&bound.probe].into_iter())? {
                bounds.push(ordered(&values)?);
            }
        }
        let Some((times, limits)) = bounds.split_first() else { return internal_err!("an ASOF join has a time") };
        let limits = limits.first().zip(parts.tolerance.as_ref());
        let mut ranges = Vec::with_capacity(batch.num_rows());
        for (row, group) in groups.iter().enumerate() {
            let hint = if *group == NO_GROUP { None } else { self.hints.get_mut(*group as usize) };
            let (Some(hint), Some(time)) = (hint, times.get(row)) else {
                ranges.push((0, 0));
                continue;
            };
            let mut range = build.candidates(*group, time, parts, hint);
            if let Some((limits, bound)) = limits {
                range = match limits.get(row) {
                    Some(limit) => within(build, range, limit, bound.strict, parts),
                    None => (0, 0),
                };
            }
            ranges.push(range);
        }
        Ok(ranges)
    }
}

/// What of a range is not too far away.
fn within(build: &BuildSide, (from, to): (usize, usize), limit: i64, strict: bool, parts: &Parts) -> (usize, usize) {
    let near = |at: usize| {
        let time = build.time(at);
        let (near, edge) = if parts.backward { (time > limit, time == limit) } else { (time < limit, time == limit) };
        near || (edge && !strict)
    };
    let nearest = if parts.backward { to.checked_sub(1) } else { Some(from) };
    if from >= to || !nearest.is_some_and(near) {
        return (0, 0);
    }
    if parts.filter.is_none() {
        return (from, to);
    }
    // A further condition may ask for others than the nearest.
    let times = build.groups.times.get(from..to).unwrap_or_default();
    if parts.backward {
        (from + times.partition_point(|time| *time < limit || (strict && *time == limit)), to)
    } else {
        (from, from + times.partition_point(|time| *time < limit || (!strict && *time == limit)))
    }
}

/// What the join returns of a batch and its matches.
fn joined(
    probe: &Probe<Parts>,
    build: &RecordBatch,
    batch: &RecordBatch,
    found: Vec<Option<u32>>,
) -> Result<RecordBatch> {
    if probe.parts.join_type == JoinType::Left || found.iter().all(Option::is_some) {
        let found = UInt32Array::from(found);
        let right = Part { batch: build, rows: Rows::These(&found) };
        return probe.output.batch(Part { batch, rows: Rows::All }, right, None);
    }
    let rows = (0_u32..).zip(found).filter_map(|(row, found)| found.map(|found| (row, found)));
    let (rows, found): (Vec<u32>, Vec<u32>) = rows.unzip();
    let (rows, found) = (UInt32Array::from(rows), UInt32Array::from(found));
    let left = Part { batch, rows: Rows::These(&rows) };
    probe.output.batch(left, Part { batch: build, rows: Rows::These(&found) }, None)
}
