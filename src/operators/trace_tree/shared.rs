//! One run of a trace operator, whose rows all partitions of its output take, whoever comes first.
//!
//! A trace may have spans in every partition of the input, so all are read at once, by tasks of the run. A partition of the
//! output that nobody reads keeps none of them waiting: what it does not take another takes.

use std::collections::{HashSet, VecDeque};
use std::pin::pin;
use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{DataFusionError, Result};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::{Stream, stream};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use super::stream::{Work, pass_on};

/// The runs of a node.
#[derive(Default)]
pub(super) struct Runs(Mutex<Joined>);

#[derive(Default)]
struct Joined {
    /// The run that there is, as long as some partition has not come for it.
    run: Option<Arc<Run>>,
    /// The partitions that came: who comes twice begins another run.
    came: HashSet<usize>,
}

impl std::fmt::Debug for Runs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Runs")
    }
}

impl Runs {
    /// The run that a partition takes part in, of so many.
    pub(super) fn join(&self, partition: usize, of: usize) -> Arc<Run> {
        let mut joined = self.0.lock();
        if !joined.came.insert(partition) {
            *joined = Joined { run: None, came: HashSet::from([partition]) };
        }
        let run = Arc::clone(joined.run.get_or_insert_default());
        if joined.came.len() == of {
            joined.run = None;
        }
        run
    }
}

/// One run.
#[derive(Default)]
pub(super) struct Run {
    task: OnceLock<SpawnedTask<()>>,
    queue: Arc<Queue>,
}

impl Run {
    /// Rows of the run, until all are taken.
    pub(super) fn rows(
        self: Arc<Self>,
        input: Arc<dyn ExecutionPlan>,
        work: Work,
    ) -> impl Stream<Item = Result<RecordBatch>> + Send {
        stream::try_unfold((self, input, work), |(run, input, work)| async move {
            run.task.get_or_init(|| begin(&input, &work, &run.queue));
            let batch = run.queue.next().await?;
            Ok(batch.map(|batch| (batch, (run, input, work))))
        })
    }
}

fn begin(input: &Arc<dyn ExecutionPlan>, work: &Work, queue: &Arc<Queue>) -> SpawnedTask<()> {
    let (input, work, queue) = (Arc::clone(input), work.clone(), Arc::clone(queue));
    queue.room.add_permits(input.output_partitioning().partition_count().max(1));
    SpawnedTask::spawn(async move {
        let all = {
            let queue = Arc::clone(&queue);
            SpawnedTask::spawn(async move { pass_on(&input, &work, &queue).await })
        };
        // Whoever waits must learn of a panic as well.
        let outcome = all.join().await.unwrap_or_else(|error| Err(DataFusionError::External(Box::new(error))));
        queue.outcome.get_or_init(|| outcome.map_err(Arc::new));
        queue.came.notify_waiters();
    })
}

/// Rows that wait for whoever takes them first.
pub(super) struct Queue {
    batches: Mutex<VecDeque<RecordBatch>>,
    room: Semaphore,
    came: Notify,
    outcome: OnceLock<std::result::Result<(), Arc<DataFusionError>>>,
}

impl Default for Queue {
    fn default() -> Self {
        Self { batches: Mutex::default(), room: Semaphore::new(0), came: Notify::new(), outcome: OnceLock::new() }
    }
}

impl Queue {
    /// Add a batch, when there is room for it.
    pub(super) async fn push(&self, batch: RecordBatch) {
        if let Ok(room) = self.room.acquire().await {
            room.forget();
        }
        self.batches.lock().push_back(batch);
        // All that wait are told, since one that is told need not be one that goes on.
        self.came.notify_waiters();
    }

    async fn next(&self) -> Result<Option<RecordBatch>> {
        loop {
            let mut came = pin!(self.came.notified());
            came.as_mut().enable();
            let outcome = self.outcome.get();
            if let Some(batch) = self.batches.lock().pop_front() {
                self.room.add_permits(1);
                return Ok(Some(batch));
            }
            match outcome {
                Some(Ok(())) => return Ok(None),
                Some(Err(error)) => return Err(DataFusionError::Shared(Arc::clone(error))),
                None => came.await,
            }
        }
    }
}
