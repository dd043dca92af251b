//! The side of a join that is held in memory: read once, accounted for, shared by all partitions of the other side.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, Gauge, MetricBuilder, Time};
use datafusion::physical_plan::spill::get_record_batch_memory_size;
use futures::TryStreamExt;
use futures::future::{BoxFuture, FutureExt, Shared};
use parking_lot::Mutex;

type Outcome<T> = std::result::Result<Arc<T>, Arc<DataFusionError>>;

/// Something that is computed once, by whichever partition comes first, and awaited by all.
pub(super) struct Once<T>(Mutex<Option<Shared<BoxFuture<'static, Outcome<T>>>>>);

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> fmt::Debug for Once<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Once")
    }
}

impl<T: Send + Sync + 'static> Once<T> {
    /// What `start` computes, or an earlier call's did.
    pub(super) fn get<F>(&self, start: impl FnOnce() -> Result<F>) -> Result<BoxFuture<'static, Result<Arc<T>>>>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let mut known = self.0.lock();
        let shared = match known.as_ref() {
            Some(shared) => shared.clone(),
            None => {
                let future = start()?;
                let future = async move { future.await.map(Arc::new).map_err(Arc::new) }.boxed().shared();
                known.insert(future).clone()
            }
        };
        Ok(async move { shared.await.map_err(DataFusionError::Shared) }.boxed())
    }
}

/// What became of the build side, as EXPLAIN ANALYZE shows it.
#[derive(Debug, Clone)]
pub(super) struct BuildMetrics {
    rows: Count,
    bytes: Gauge,
    time: Time,
}

impl BuildMetrics {
    pub(super) fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        Self {
            rows: MetricBuilder::new(metrics).counter("build_input_rows", partition),
            bytes: MetricBuilder::new(metrics).gauge("build_mem_used", partition),
            time: MetricBuilder::new(metrics).subset_time("build_time", partition),
        }
    }
}

/// Rows in memory, and the memory they are accounted for with.
#[derive(Debug)]
pub(super) struct Collected {
    pub(super) batch: RecordBatch,
    reservation: MemoryReservation,
    metrics: BuildMetrics,
}

impl Collected {
    /// Read a stream to its end.
    ///
    /// # Errors
    /// When it does not fit into the memory of the pool, or the stream fails.
    pub(super) async fn read(
        mut stream: SendableRecordBatchStream,
        reservation: MemoryReservation,
        metrics: BuildMetrics,
    ) -> Result<Self> {
        let schema = stream.schema();
        let mut batches = Vec::new();
        while let Some(batch) = stream.try_next().await? {
            if batch.num_rows() > 0 {
                reservation.try_grow(get_record_batch_memory_size(&batch))?;
                metrics.rows.add(batch.num_rows());
                batches.push(batch);
            }
        }
        let parts = reservation.size();
        let batch = match batches.as_slice() {
            [one] => one.clone(),
            many => {
                // Both are held for a moment.
                reservation.try_grow(parts)?;
                concat_batches(&schema, many)?
            }
        };
        drop(batches);
        let whole = get_record_batch_memory_size(&batch);
        reservation.try_resize(whole)?;
        metrics.bytes.set_max(whole);
        Ok(Self { batch, reservation, metrics })
    }

    /// Build an index over the rows, which takes `bytes` of memory a row at most.
    pub(super) fn index<T>(&self, bytes: usize, build: impl FnOnce() -> Result<T>) -> Result<T> {
        self.reservation.try_grow(bytes.saturating_mul(self.batch.num_rows()))?;
        self.metrics.bytes.set_max(self.reservation.size());
        let _timer = self.metrics.time.timer();
        build()
    }

    /// What is held from now on beside the rows, once building is over.
    pub(super) fn settle(&self, bytes: usize) {
        let held = get_record_batch_memory_size(&self.batch) + bytes;
        if let Some(spare) = self.reservation.size().checked_sub(held) {
            self.reservation.shrink(spare);
        }
    }

    /// The values of expressions over the rows.
    pub(super) fn evaluate<'a>(
        &self,
        expressions: impl Iterator<Item = &'a Arc<dyn PhysicalExpr>>,
    ) -> Result<Vec<ArrayRef>> {
        evaluate(&self.batch, expressions)
    }
}

/// The values of expressions over a batch.
pub(super) fn evaluate<'a>(
    batch: &RecordBatch,
    expressions: impl Iterator<Item = &'a Arc<dyn PhysicalExpr>>,
) -> Result<Vec<ArrayRef>> {
    expressions.map(|expression| expression.evaluate(batch)?.into_array(batch.num_rows())).collect()
}
