//! How many spans each trace has, learnt before the spans themselves are read.
//!
//! Where the spans of a trace come one after the other, as they do from most senders and in most files, a trace is whole as
//! soon as all that are counted have come: it is looked at, and nothing of it is kept until the input ends. Counting reads
//! only the column of ids.
//!
//! Counts are kept by the hash of a trace. Traces of one hash have a count together that neither has alone, so that they
//! wait; nothing is taken for whole that is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};

use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::TryStreamExt;
use futures::future::try_join_all;

use super::encode::Ids;
use super::narrow::narrowed;
use crate::attribution::trace::TraceId;
use crate::config::{TRACE_CENSUS_BITS, TRACE_CENSUS_ROWS, TRACE_CENSUS_UNKNOWN};

/// The counts of a relation.
#[derive(Debug)]
pub(super) struct Census {
    /// [`Census::MANY`] where there are as many or more.
    slots: Vec<AtomicU16>,
    bits: u32,
    rows: AtomicU64,
    /// Whether the spans of traces turned out to be apart.
    is_scattered: AtomicBool,
    _held: MemoryReservation,
}

/// The plan that counts, if there is one: it gives the trace of every row of the input.
pub(super) fn plan(input: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    match input.schema().index_of("trace_id") {
        Ok(at) => narrowed(input, &[at]),
        Err(_) => Ok(None),
    }
}

/// Count; none where it cannot be done, or does not help.
pub(super) async fn take(
    input: &Arc<dyn ExecutionPlan>,
    context: &Arc<TaskContext>,
    held: MemoryReservation,
) -> Result<Option<Arc<Census>>> {
    let Some(plan) = plan(input)? else { return Ok(None) };
    let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new())?;
    let rows = statistics.num_rows.get_value().copied().unwrap_or(TRACE_CENSUS_UNKNOWN);
    let bits = usize::BITS - rows.leading_zeros();
    let bits = bits.clamp(*TRACE_CENSUS_BITS.start(), *TRACE_CENSUS_BITS.end());
    if held.try_grow(size_of::<AtomicU16>() << bits).is_err() {
        return Ok(None);
    }
    let census = Arc::new(Census::new(bits, held));
    let partitions = plan.output_partitioning().partition_count();
    let count = |partition| {
        let rows = plan.execute(partition, Arc::clone(context))?;
        Ok(SpawnedTask::spawn(Arc::clone(&census).count(rows)).join_unwind())
    };
    let counted = try_join_all((0..partitions).map(count).collect::<Result<Vec<_>>>()?);
    for counted in counted.await.map_err(|error| DataFusionError::External(Box::new(error)))? {
        counted?;
    }
    Ok((!census.is_scattered.load(Ordering::Relaxed)).then_some(census))
}

impl Census {
    /// What a slot says that does not know its count any more.
    pub(super) const MANY: usize = u16::MAX as usize;

    fn new(bits: u32, held: MemoryReservation) -> Self {
        Self {
            slots: (0..1_usize << bits).map(|_| AtomicU16::new(0)).collect(),
            bits,
            rows: AtomicU64::new(0),
            is_scattered: AtomicBool::new(false),
            _held: held,
        }
    }

    fn slot(&self, trace: TraceId) -> Option<&AtomicU16> {
        self.slots.get(trace.bucket(self.bits))
    }

    fn add(&self, trace: Option<TraceId>, spans: usize) {
        let spans = u16::try_from(spans).unwrap_or(u16::MAX);
        if let Some(slot) = trace.and_then(|trace| self.slot(trace)) {
            let add = |count: u16| Some(count.saturating_add(spans));
            slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok();
        }
    }

    /// Whether so many spans of a trace are all that there are.
    pub(super) fn is_whole(&self, trace: TraceId, spans: usize) -> bool {
        let count = self.slot(trace).map_or(0, |slot| usize::from(slot.load(Ordering::Relaxed)));
        count == spans && spans < Self::MANY
    }

    /// Rows that were counted.
    pub(super) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    async fn count(self: Arc<Self>, mut input: SendableRecordBatchStream) -> Result<()> {
        let (mut rows, mut runs) = (0, 0);
        while let Some(batch) = input.try_next().await? {
            let ids = Ids::new(batch.columns().first())?;
            // Spans without a trace are not counted: each is one of its own.
            let (mut last, mut trace, mut spans) = (None, None, 0);
            for row in 0..batch.num_rows() {
                let next = ids.trace(row, &mut last);
                if next != trace {
                    self.add(trace, spans);
                    (trace, spans) = (next, 0);
                    runs += 1;
                }
                spans += 1;
            }
            self.add(trace, spans);
            rows += batch.num_rows();
            if rows > TRACE_CENSUS_ROWS && runs > rows / 2 {
                self.is_scattered.store(true, Ordering::Relaxed);
            }
            if self.is_scattered.load(Ordering::Relaxed) {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, UnboundedMemoryPool};

    use super::*;

    #[test]
    fn a_trace_is_whole_when_all_that_were_counted_have_come_and_no_others_share_its_count() {
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let census = Census::new(10, MemoryConsumer::new("test").register(&pool));
        let trace = |low| TraceId { high: 0, low };
        census.add(Some(trace(1)), 3);
        census.add(Some(trace(1)), 2);
        assert!(census.is_whole(trace(1), 5) && !census.is_whole(trace(1), 3));
        let same = (2..).map(trace).find(|other| other.bucket(10) == trace(1).bucket(10)).unwrap();
        census.add(Some(same), 1);
        assert!(!census.is_whole(trace(1), 5) && !census.is_whole(same, 1));
        let many = trace(2);
        census.add(Some(many), Census::MANY - 1);
        assert!(census.is_whole(many, Census::MANY - 1));
        census.add(Some(many), 9);
        assert!(!census.is_whole(many, Census::MANY) && !census.is_whole(many, Census::MANY + 8));
    }
}
