//! Looking at whole traces one after the other: for rows, or for a sum.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::metrics::BaselineMetrics;

use super::columns::Computation;
use super::encode::AllNames;
use super::fold::Fold;
use super::metrics::TraceMetrics;
use super::rows::{Clocks, Found, KnownClocks};
use super::shared::Queue;
use super::stream::Work;
use super::traces::{Traces, start_of};
use crate::attribution::trace::{Span, Tree};
use crate::config::TRACE_TURN_ROWS;

/// Looks at the traces of one partition.
struct Looking {
    work: Work,
    names: Arc<AllNames>,
    metrics: TraceMetrics,
    tree: Tree,
    spans: Vec<Span>,
}

impl Looking {
    fn new(work: &Work, names: &Arc<AllNames>, partition: usize) -> Self {
        Self {
            work: work.clone(),
            names: Arc::clone(names),
            metrics: TraceMetrics::new(&work.metrics, partition),
            tree: Tree::default(),
            spans: Vec::new(),
        }
    }

    /// Hand over the traces that are asked for with the place of their first row, and let others go on now and then.
    async fn each(&mut self, traces: &Traces, mut look: impl FnMut(u32, &[Span], &Tree)) {
        let mut rows = 0;
        let mut timer = Some(self.metrics.trace_time.timer());
        for range in traces.ranges() {
            traces.spans_of(*range, self.work.second, &mut self.spans);
            self.tree.resolve_to(&self.spans, self.work.extent);
            let question = &self.work.question;
            if question.window.is_none() || question.contains(start_of(&self.spans, &self.tree)) {
                look(range.0, &self.spans, &self.tree);
            }
            rows += self.spans.len();
            if rows >= TRACE_TURN_ROWS {
                rows = 0;
                timer.take();
                tokio::task::yield_now().await;
                timer = Some(self.metrics.trace_time.timer());
            }
        }
        drop(timer);
        self.metrics.traces.add(traces.ranges().len());
    }
}

/// What traces are looked at for.
pub(super) trait Look: Send + 'static {
    /// Look at traces.
    fn look(&mut self, traces: Traces) -> impl Future<Output = Result<()>> + Send;
}

/// Looks at traces for their rows.
pub(super) struct Rows {
    looking: Looking,
    found: Found,
    clocks: Option<Clocks>,
    baseline: BaselineMetrics,
}

impl Rows {
    pub(super) fn new(work: &Work, names: &Arc<AllNames>, clocks: Option<&Arc<KnownClocks>>, partition: usize) -> Self {
        let found = match work.question.computation {
            Computation::ErrorOrigins => Found::origins(),
            _ => Found::tree(&|name| work.uses(name)),
        };
        Self {
            looking: Looking::new(work, names, partition),
            found,
            clocks: clocks.map(|clocks| Clocks::new(Arc::clone(clocks))),
            baseline: BaselineMetrics::new(&work.metrics, partition),
        }
    }

    /// The rows of traces.
    pub(super) async fn of(&mut self, traces: &Traces) -> Result<RecordBatch> {
        let (found, clocks) = (&mut self.found, &mut self.clocks);
        found.begin(traces.len());
        let names = Arc::clone(&self.looking.names);
        let question = &self.looking.work.question;
        let wanted = question.service.as_ref().map(|name| names.services.encode(name));
        self.looking
            .each(traces, |first, spans, tree| {
                if wanted.is_none_or(|service| spans.iter().any(|span| span.service == service)) {
                    found.look(first, spans, tree, clocks.as_mut());
                }
            })
            .await;
        let work = &self.looking.work;
        let batch = found.finish(traces, &names, &work.schema, work.again, &|name| work.uses(name))?;
        self.baseline.record_output(batch.num_rows());
        Ok(batch)
    }
}

/// Rows that are passed on to whoever takes them.
pub(super) struct Passed {
    pub(super) rows: Rows,
    pub(super) to: Arc<Queue>,
}

impl Look for Passed {
    async fn look(&mut self, traces: Traces) -> Result<()> {
        let batch = self.rows.of(&traces).await?;
        drop(traces);
        for part in parts(&batch, self.rows.looking.work.batch_size) {
            self.to.push(part).await;
        }
        Ok(())
    }
}

/// A batch in batches of at most so many rows.
pub(super) fn parts(batch: &RecordBatch, size: usize) -> impl Iterator<Item = RecordBatch> + Send + use<> {
    let batch = batch.clone();
    (0..batch.num_rows()).step_by(size.max(1)).map(move |from| batch.slice(from, size.min(batch.num_rows() - from)))
}

/// Adds traces up.
pub(super) struct Sum {
    looking: Looking,
    pub(super) sum: Fold,
    held: MemoryReservation,
}

impl Sum {
    pub(super) fn new(work: &Work, names: &Arc<AllNames>, partition: usize) -> Self {
        Self {
            looking: Looking::new(work, names, partition),
            sum: Fold::new(&work.question, names, &|name| work.uses(name)),
            held: work.reservation_of_sums(),
        }
    }

    /// Both together.
    pub(super) fn and(mut self, other: Self) -> Result<Self> {
        self.sum.merge(other.sum)?;
        self.held.try_resize(self.sum.size())?;
        Ok(self)
    }
}

impl Look for Sum {
    async fn look(&mut self, traces: Traces) -> Result<()> {
        let sum = &mut self.sum;
        self.looking.each(&traces, |_, spans, tree| sum.look(spans, tree)).await;
        self.held.try_resize(self.sum.size())
    }
}
