//! Running a trace operator: spans are gathered by trace, then each trace is looked at.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, SpillMetrics};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, SpillManager};
use futures::future::{BoxFuture, FutureExt, Shared, WeakShared};
use futures::{Stream, TryStreamExt, stream};
use parking_lot::Mutex;

use super::columns::Computation;
use super::encode::{AllNames, Encoder, Packed, Second};
use super::fold::Fold;
use super::gather::{Chunk, Gathered, Scatter, Unit};
use super::logical::Question;
use super::metrics::TraceMetrics;
use super::rows::{Again, Clocks, Found, KnownClocks};
use super::traces::{Traces, last_start, start_of};
use crate::attribution::trace::{Span, Tree};
use crate::config::TRACE_TURN_ROWS;

/// What the partitions of one execution have in common.
#[derive(Clone)]
pub(super) struct Work {
    question: Question,
    second: Second,
    wants_weights: bool,
    wants_clocks: bool,
    /// Columns of the input that are kept to be passed on, and those that are made again from the spans instead.
    own: Vec<usize>,
    again: Again,
    own_schema: SchemaRef,
    schema: SchemaRef,
    /// The computed columns that somebody reads.
    computed: Arc<Vec<&'static str>>,
    batch_size: usize,
    metrics: ExecutionPlanMetricsSet,
    partition: usize,
    context: Arc<TaskContext>,
}

impl Work {
    pub(super) fn new(
        question: Question,
        input: &Schema,
        output: &SchemaRef,
        uses: &dyn Fn(&str) -> bool,
        metrics: &ExecutionPlanMetricsSet,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Self {
        let computation = question.computation;
        let wants_clocks =
            computation == Computation::SpanTree && (uses("clock_offset_nano") || uses("clock_bound_nano"));
        let needs_ids = uses("root_span_id") || uses("top_span_id");
        let passed_on = |name: &str| {
            let is_there = output.column_with_name(name).is_some();
            computation.keeps_rows() && (is_there || (needs_ids && name == "span_id"))
        };
        let again = Again::of(input);
        let kept = |field: &Field| passed_on(field.name()) && !again.makes(field.name());
        let fields = input.fields().iter().enumerate();
        let own: Vec<usize> = fields.filter(|(_, field)| kept(field)).map(|(at, _)| at).collect();
        let own_schema =
            Arc::new(Schema::new(own.iter().filter_map(|at| input.fields().get(*at).cloned()).collect::<Vec<_>>()));
        let needs = computation.needs(uses);
        let second = match computation {
            Computation::CriticalPathStats => Second::Name,
            Computation::ServiceDependencies => Second::Peer,
            Computation::SpanTree if wants_clocks => Second::Instance,
            Computation::SpanTree | Computation::ErrorOrigins => Second::None,
        };
        let computed = computation.columns().iter().map(|column| column.name).filter(|name| uses(name));
        Self {
            computed: Arc::new(computed.collect()),
            wants_weights: needs.contains(&"adjusted_count"),
            wants_clocks,
            second,
            own,
            again,
            own_schema,
            schema: Arc::clone(output),
            batch_size: context.session_config().batch_size().max(1),
            metrics: metrics.clone(),
            partition,
            context,
            question,
        }
    }

    fn uses(&self, name: &str) -> bool {
        self.computed.contains(&name)
    }

    fn reservation(&self) -> MemoryReservation {
        MemoryConsumer::new("TraceTree").with_can_spill(true).register(self.context.memory_pool())
    }

    fn encoder(&self, names: &Arc<AllNames>, partition: usize) -> Encoder {
        Encoder::new(Arc::clone(names), self.second, self.wants_weights, partition)
    }

    fn own(&self, batch: &RecordBatch) -> Result<Option<RecordBatch>> {
        if self.own.is_empty() { Ok(None) } else { Ok(Some(batch.project(&self.own)?)) }
    }
}

/// The spans of all partitions, and what was learnt of them.
pub(super) struct Ready {
    gathered: Arc<Gathered>,
    names: Arc<AllNames>,
    clocks: Option<Arc<KnownClocks>>,
}

type Outcome = std::result::Result<Arc<Ready>, Arc<DataFusionError>>;
type Running = Shared<BoxFuture<'static, Outcome>>;

/// What all partitions wait for. While it runs only they hold it, so that it ends with them.
#[derive(Default)]
pub(super) struct Gathering(Mutex<(Progress, Came)>);

#[derive(Default)]
enum Progress {
    #[default]
    NotStarted,
    Running(WeakShared<BoxFuture<'static, Outcome>>),
    Done(Arc<Ready>),
}

/// The partitions that came for what is there now: who comes twice runs the plan once more.
type Came = HashSet<usize>;

impl std::fmt::Debug for Gathering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gathering")
    }
}

impl Gathering {
    async fn get(self: &Arc<Self>, input: Arc<dyn ExecutionPlan>, work: &Work) -> Result<Arc<Ready>> {
        let running: Running = {
            let mut state = self.0.lock();
            let (progress, came) = &mut *state;
            if !came.insert(work.partition) {
                *progress = Progress::NotStarted;
                *came = HashSet::from([work.partition]);
            }
            let known = match &*progress {
                Progress::Done(ready) => return Ok(Arc::clone(ready)),
                Progress::Running(weak) => weak.upgrade(),
                Progress::NotStarted => None,
            };
            match known {
                Some(running) => running,
                None => {
                    let (work, this) = (work.clone(), Arc::downgrade(self));
                    let all = async move {
                        let ready = Arc::new(ready(input, &work).await.map_err(Arc::new)?);
                        if let Some(this) = this.upgrade() {
                            this.0.lock().0 = Progress::Done(Arc::clone(&ready));
                        }
                        Ok(ready)
                    };
                    let running = all.boxed().shared();
                    if let Some(weak) = running.downgrade() {
                        *progress = Progress::Running(weak);
                    }
                    running
                }
            }
        };
        running.await.map_err(DataFusionError::Shared)
    }
}

async fn ready(input: Arc<dyn ExecutionPlan>, work: &Work) -> Result<Ready> {
    let names = Arc::new(AllNames::default());
    let clocks = if work.wants_clocks {
        let again = reset_plan_states(Arc::clone(&input))?;
        let learning = Work { own: vec![], own_schema: Arc::new(Schema::empty()), ..work.clone() };
        match fold(again, false, &learning, &names).await? {
            Fold::Clocks(samples) => Some(Arc::new(KnownClocks::of(samples, &names))),
            _ => None,
        }
    } else {
        None
    };
    let gathered = gather(&input, work, &names).await?;
    Ok(Ready { gathered, names, clocks })
}

/// Read all partitions of the input at once.
async fn gather(input: &Arc<dyn ExecutionPlan>, work: &Work, names: &Arc<AllNames>) -> Result<Arc<Gathered>> {
    let spills = |schema| {
        let compression = work.context.session_config().spill_compression();
        SpillManager::new(work.context.runtime_env(), SpillMetrics::new(&work.metrics, 0), schema)
            .with_compression_type(compression)
    };
    let gathered = Arc::new(Gathered::new(work.reservation(), spills, &work.own_schema, work.wants_weights));
    let mut tasks = Vec::new();
    let partitions = input.output_partitioning().partition_count();
    for partition in 0..partitions {
        let rows = input.execute(partition, Arc::clone(&work.context))?;
        let (work, encoder) = (work.clone(), work.encoder(names, partition));
        let metrics = TraceMetrics::new(&work.metrics, partition);
        let open = Scatter::new(&gathered, work.context.memory_pool().as_ref(), partitions);
        tasks.push(SpawnedTask::spawn(scatter(rows, work, encoder, open, metrics)));
    }
    for task in tasks {
        task.join_unwind().await.map_err(|error| DataFusionError::External(Box::new(error)))??;
    }
    Ok(gathered)
}

async fn scatter(
    mut input: SendableRecordBatchStream,
    work: Work,
    mut encoder: Encoder,
    mut scatter: Scatter,
    metrics: TraceMetrics,
) -> Result<()> {
    while let Some(batch) = input.try_next().await? {
        let timer = metrics.gather_time.timer();
        let own = work.own(&batch)?;
        scatter.reserve(batch.num_rows(), own.as_ref())?;
        let mut row = 0;
        encoder.encode(&batch, |span, weight| {
            scatter.push(span, weight, row);
            row += 1;
        })?;
        scatter.end_batch(own, batch.num_rows())?;
        metrics.input_rows.add(batch.num_rows());
        drop(timer);
        tokio::task::yield_now().await;
    }
    scatter.flush()
}

/// Looks at the traces of one unit after the other.
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

    /// Hand over the traces that are asked for, and let others go on now and then.
    async fn each(&mut self, traces: &Traces, mut look: impl FnMut(&[u32], &[Span], &Tree)) {
        let mut rows = 0;
        let mut timer = Some(self.metrics.trace_time.timer());
        for trace in 0..traces.count() {
            traces.spans_of(trace, self.work.second, &mut self.spans);
            self.tree.resolve(&self.spans);
            if self.work.question.contains(start_of(&self.spans, &self.tree)) {
                look(traces.rows_of(trace), &self.spans, &self.tree);
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
        self.metrics.traces.add(traces.count());
    }

    /// Take up what is in a unit.
    fn open(&self, unit: &mut Unit) -> Result<Traces> {
        let _timer = self.metrics.trace_time.timer();
        Traces::of(unit)
    }
}

/// Looks at traces for their rows.
struct Rows {
    looking: Looking,
    found: Found,
    clocks: Option<Clocks>,
    baseline: BaselineMetrics,
    waiting: Option<RecordBatch>,
}

impl Rows {
    fn new(work: &Work, names: &Arc<AllNames>, clocks: Option<Arc<KnownClocks>>) -> Self {
        let found = match work.question.computation {
            Computation::ErrorOrigins => Found::origins(),
            _ => Found::tree(&|name| work.uses(name)),
        };
        Self {
            looking: Looking::new(work, names, work.partition),
            found,
            clocks: clocks.map(Clocks::new),
            baseline: BaselineMetrics::new(&work.metrics, work.partition),
            waiting: None,
        }
    }

    async fn look(&mut self, traces: &Traces) -> Result<()> {
        let (found, clocks) = (&mut self.found, &mut self.clocks);
        found.begin(traces.len());
        let names = Arc::clone(&self.looking.names);
        let question = &self.looking.work.question;
        let wanted = question.service.as_ref().map(|name| names.services.encode(name));
        self.looking
            .each(traces, |rows, spans, tree| {
                if wanted.is_none_or(|service| spans.iter().any(|span| span.service == service)) {
                    found.look(rows, spans, tree, clocks.as_mut());
                }
            })
            .await;
        let work = &self.looking.work;
        let batch = found.finish(traces, &names, &work.schema, work.again, &|name| work.uses(name))?;
        self.waiting = Some(batch).filter(|batch| batch.num_rows() > 0);
        Ok(())
    }

    /// The next part of what was found.
    fn next(&mut self) -> Option<RecordBatch> {
        let batch = self.waiting.take()?;
        let size = self.looking.work.batch_size;
        let part = batch.slice(0, size.min(batch.num_rows()));
        if batch.num_rows() > size {
            self.waiting = Some(batch.slice(size, batch.num_rows() - size));
        }
        self.baseline.record_output(part.num_rows());
        Some(part)
    }
}

/// Rows of traces that were gathered.
pub(super) fn by_hash(
    input: Arc<dyn ExecutionPlan>,
    gathering: Arc<Gathering>,
    work: Work,
) -> impl Stream<Item = Result<RecordBatch>> + Send {
    let start = async move {
        let ready = gathering.get(input, &work).await?;
        let rows = Rows::new(&work, &ready.names, ready.clocks.clone());
        Ok::<_, DataFusionError>((rows, ready))
    };
    let batches = |state: (Rows, Arc<Ready>)| {
        stream::try_unfold(state, |(mut rows, ready)| async move {
            loop {
                if let Some(batch) = rows.next() {
                    return Ok(Some((batch, (rows, ready))));
                }
                let Some(mut unit) = ready.gathered.take(rows.looking.work.batch_size).await? else { return Ok(None) };
                let traces = rows.looking.open(&mut unit)?;
                rows.look(&traces).await?;
                ready.gathered.done(&unit);
            }
        })
    };
    stream::once(start).map_ok(batches).try_flatten()
}

/// Whole traces of an input that has the spans of a trace one after the other.
struct InOrder {
    input: SendableRecordBatchStream,
    encoder: Encoder,
    work: Work,
    reservation: MemoryReservation,
    metrics: TraceMetrics,
    /// The trace that may go on.
    open: Vec<Chunk>,
    is_done: bool,
}

impl InOrder {
    fn new(input: &Arc<dyn ExecutionPlan>, work: &Work, names: &Arc<AllNames>) -> Result<Self> {
        Ok(Self {
            input: input.execute(0, Arc::clone(&work.context))?,
            encoder: work.encoder(names, 0),
            work: work.clone(),
            reservation: work.reservation(),
            metrics: TraceMetrics::new(&work.metrics, 0),
            open: vec![],
            is_done: false,
        })
    }

    async fn next(&mut self) -> Result<Option<Unit>> {
        while !self.is_done {
            let Some(batch) = self.input.try_next().await? else {
                self.is_done = true;
                break;
            };
            if batch.num_rows() == 0 {
                continue;
            }
            let timer = self.metrics.gather_time.timer();
            self.metrics.input_rows.add(batch.num_rows());
            let mut chunk = Chunk { rows: self.work.own(&batch)?, ..Chunk::default() };
            let wants_weights = self.work.wants_weights;
            self.encoder.encode(&batch, |span, weight| {
                chunk.spans.push(span);
                chunk.weights.extend(wants_weights.then_some(weight));
            })?;
            let from = last_start(&chunk.spans);
            let trace = |span: Option<&Packed>| span.map(Packed::trace);
            let before = self.open.last().and_then(|open| trace(open.spans.last()));
            let goes_on = from == 0 && (before.is_none() || before == trace(chunk.spans.first()));
            let tail = chunk.split_off(if goes_on { 0 } else { from });
            self.reservation.try_grow(tail.size())?;
            drop(timer);
            if goes_on {
                self.open.push(tail);
                tokio::task::yield_now().await;
                continue;
            }
            let mut whole = std::mem::replace(&mut self.open, vec![tail]);
            whole.push(chunk);
            let held = self.open.iter().map(Chunk::size).sum();
            self.reservation.try_resize(held)?;
            return Ok(Unit::of(whole));
        }
        Ok(Unit::of(std::mem::take(&mut self.open)))
    }
}

/// Rows of traces in the order of the input.
pub(super) fn in_order(input: Arc<dyn ExecutionPlan>, work: Work) -> impl Stream<Item = Result<RecordBatch>> + Send {
    let start = async move {
        let names = Arc::new(AllNames::default());
        Ok::<_, DataFusionError>((Rows::new(&work, &names, None), InOrder::new(&input, &work, &names)?))
    };
    let batches = |state: (Rows, InOrder)| {
        stream::try_unfold(state, |(mut rows, mut units)| async move {
            loop {
                if let Some(batch) = rows.next() {
                    return Ok(Some((batch, (rows, units))));
                }
                let Some(mut unit) = units.next().await? else { return Ok(None) };
                let traces = rows.looking.open(&mut unit)?;
                rows.look(&traces).await?;
            }
        })
    };
    stream::once(start).map_ok(batches).try_flatten()
}

/// One batch of what is added up over all traces.
pub(super) fn folded(
    input: Arc<dyn ExecutionPlan>,
    ordered: bool,
    work: Work,
) -> impl Stream<Item = Result<RecordBatch>> + Send {
    stream::once(async move {
        let names = Arc::new(AllNames::default());
        let sum = fold(input, ordered, &work, &names).await?;
        let batch = sum.finish(&names, &work.schema, &|name| work.uses(name))?;
        BaselineMetrics::new(&work.metrics, 0).record_output(batch.num_rows());
        Ok(batch)
    })
}

async fn fold(input: Arc<dyn ExecutionPlan>, ordered: bool, work: &Work, names: &Arc<AllNames>) -> Result<Fold> {
    let empty = || Fold::new(&work.question, names, &|name| work.uses(name));
    let held = MemoryConsumer::new("TraceTree sums").register(work.context.memory_pool());
    if ordered {
        let mut units = InOrder::new(&input, work, names)?;
        let (mut looking, mut sum) = (Looking::new(work, names, 0), empty());
        while let Some(mut unit) = units.next().await? {
            let traces = looking.open(&mut unit)?;
            looking.each(&traces, |_, spans, tree| sum.look(spans, tree)).await;
            held.try_resize(sum.size())?;
        }
        return Ok(sum);
    }
    let gathered = gather(&input, work, names).await?;
    let mut tasks = Vec::new();
    for partition in 0..input.output_partitioning().partition_count() {
        let (gathered, mut looking, mut sum) = (Arc::clone(&gathered), Looking::new(work, names, partition), empty());
        let held = held.new_empty();
        tasks.push(SpawnedTask::spawn(async move {
            while let Some(mut unit) = gathered.take(looking.work.batch_size).await? {
                let traces = looking.open(&mut unit)?;
                looking.each(&traces, |_, spans, tree| sum.look(spans, tree)).await;
                gathered.done(&unit);
                held.try_resize(sum.size())?;
            }
            Ok::<_, DataFusionError>((sum, held))
        }));
    }
    let mut all = empty();
    for task in tasks {
        let (sum, part) = task.join_unwind().await.map_err(|error| DataFusionError::External(Box::new(error)))??;
        all.merge(sum)?;
        held.try_grow(part.size())?;
    }
    Ok(all)
}
