//! Running a trace operator: whole traces are looked at as they come, the other spans are gathered first.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, SpillMetrics};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, SpillManager};
use futures::future::try_join_all;
use futures::{Stream, TryStreamExt, stream};

use super::census::{self, Census};
use super::columns::{self, Computation};
use super::encode::{AllNames, Encoder, Second};
use super::fold::Fold;
use super::gather::{Gathered, Scatter};
use super::logical::Question;
use super::looking::{Look, Passed, Rows, Sum, parts};
use super::reader::{Judge, Reader};
use super::rows::{Again, KnownClocks};
use super::shared::Queue;
use super::traces::Traces;
use crate::attribution::trace::Extent;
use crate::error::UserError;

/// What the partitions of one execution have in common.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) question: Question,
    pub(super) second: Second,
    /// How much of the tree of a trace is looked at.
    pub(super) extent: Extent,
    pub(super) wants_weights: bool,
    wants_clocks: bool,
    /// Columns of the input that are kept to be passed on, and those that are made again from the spans instead.
    own: Vec<usize>,
    pub(super) again: Again,
    own_schema: SchemaRef,
    pub(super) schema: SchemaRef,
    /// The computed columns that somebody reads.
    computed: Arc<Vec<&'static str>>,
    pub(super) batch_size: usize,
    pub(super) metrics: ExecutionPlanMetricsSet,
    context: Arc<TaskContext>,
}

impl Work {
    pub(super) fn new(
        question: Question,
        input: &Schema,
        output: &SchemaRef,
        uses: &dyn Fn(&str) -> bool,
        metrics: &ExecutionPlanMetricsSet,
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
        let extent = match computation {
            Computation::SpanTree if !wants_clocks && question.window.is_none() => columns::extent(uses),
            _ => Extent::Whole,
        };
        let computed = computation.columns().iter().map(|column| column.name).filter(|name| uses(name));
        Self {
            computed: Arc::new(computed.collect()),
            wants_weights: needs.contains(&"adjusted_count"),
            wants_clocks,
            second,
            extent,
            own,
            again,
            own_schema,
            schema: Arc::clone(output),
            batch_size: context.session_config().batch_size().max(1),
            metrics: metrics.clone(),
            context,
            question,
        }
    }

    pub(super) fn uses(&self, name: &str) -> bool {
        self.computed.contains(&name)
    }

    pub(super) fn reservation(&self) -> MemoryReservation {
        MemoryConsumer::new("TraceTree").with_can_spill(true).register(self.context.memory_pool())
    }

    pub(super) fn reservation_of_sums(&self) -> MemoryReservation {
        MemoryConsumer::new("TraceTree sums").register(self.context.memory_pool())
    }

    pub(super) fn encoder(&self, names: &Arc<AllNames>, partition: usize) -> Encoder {
        Encoder::new(Arc::clone(names), self.second, self.wants_weights, partition)
    }

    pub(super) fn own(&self, batch: &RecordBatch) -> Result<Option<RecordBatch>> {
        if self.own.is_empty() { Ok(None) } else { Ok(Some(batch.project(&self.own)?)) }
    }

    async fn census(&self, input: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<Census>>> {
        let held = MemoryConsumer::new("TraceTree census").register(self.context.memory_pool());
        census::take(input, &self.context, held).await
    }
}

/// The rows of all traces, wherever their spans are.
pub(super) async fn pass_on(input: &Arc<dyn ExecutionPlan>, work: &Work, to: &Arc<Queue>) -> Result<()> {
    let names = Arc::new(AllNames::default());
    let census = work.census(input).await?;
    let clocks = if work.wants_clocks {
        let again = reset_plan_states(Arc::clone(input))?;
        let learning = Work { own: vec![], own_schema: Arc::new(Schema::empty()), ..work.clone() };
        match sum(&again, &learning, &names, census.as_ref()).await? {
            Fold::Clocks(samples) => Some(Arc::new(KnownClocks::of(samples, &names))),
            _ => None,
        }
    } else {
        None
    };
    let look = |partition| Passed { rows: Rows::new(work, &names, clocks.as_ref(), partition), to: Arc::clone(to) };
    look_at_all(input, work, &names, census.as_ref(), look).await?;
    Ok(())
}

/// Have all traces looked at, by as many as the input has partitions.
async fn look_at_all<L: Look>(
    input: &Arc<dyn ExecutionPlan>,
    work: &Work,
    names: &Arc<AllNames>,
    census: Option<&Arc<Census>>,
    look: impl Fn(usize) -> L,
) -> Result<Vec<L>> {
    let spills = |schema| {
        let compression = work.context.session_config().spill_compression();
        SpillManager::new(work.context.runtime_env(), SpillMetrics::new(&work.metrics, 0), schema)
            .with_compression_type(compression)
    };
    let gathered = Arc::new(Gathered::new(work.reservation(), spills, &work.own_schema, work.wants_weights));
    let partitions = input.output_partitioning().partition_count();
    let read = |partition| {
        let scatter = Scatter::new(&gathered, work.context.memory_pool().as_ref(), partitions);
        let judge = Judge::Count(census.map(Arc::clone), Box::new(scatter));
        let rows = input.execute(partition, Arc::clone(&work.context))?;
        let mut reader = Reader::new(rows, work, names, partition, judge);
        let mut look = look(partition);
        Ok(SpawnedTask::spawn(async move {
            while let Some(traces) = reader.next().await? {
                look.look(traces).await?;
            }
            Ok((look, reader.rows()))
        }))
    };
    let tasks = (0..partitions).map(read).collect::<Result<Vec<_>>>()?;
    let (looks, rows): (Vec<L>, Vec<u64>) = all(tasks).await?.into_iter().unzip();
    if census.is_some_and(|census| rows.iter().sum::<u64>() > census.rows()) {
        return Err(UserError::new("40001", "the relation of spans changed while it was read")
            .hint("try again")
            .into());
    }
    let rest = looks.into_iter().map(|mut look| {
        let (gathered, enough) = (Arc::clone(&gathered), work.batch_size);
        SpawnedTask::spawn(async move {
            while let Some(mut unit) = gathered.take(enough).await? {
                look.look(Traces::of(&mut unit)?).await?;
                gathered.done(&unit);
            }
            Ok(look)
        })
    });
    all(rest.collect()).await
}

async fn all<T: 'static>(tasks: Vec<SpawnedTask<Result<T>>>) -> Result<Vec<T>> {
    let ended = try_join_all(tasks.into_iter().map(SpawnedTask::join_unwind)).await;
    ended.map_err(|error| DataFusionError::External(Box::new(error)))?.into_iter().collect()
}

/// Rows of traces in the order of the input.
pub(super) fn in_order(input: Arc<dyn ExecutionPlan>, work: Work) -> impl Stream<Item = Result<RecordBatch>> + Send {
    let start = async move {
        let names = Arc::new(AllNames::default());
        let rows = input.execute(0, Arc::clone(&work.context))?;
        let reader = Reader::new(rows, &work, &names, 0, Judge::Order);
        Ok::<_, DataFusionError>((Rows::new(&work, &names, None, 0), reader, work.batch_size))
    };
    let batches = |state: (Rows, Reader, usize)| {
        stream::try_unfold(state, |(mut rows, mut reader, size)| async move {
            let Some(traces) = reader.next().await? else { return Ok::<_, DataFusionError>(None) };
            let batch = rows.of(&traces).await?;
            Ok(Some((stream::iter(parts(&batch, size).map(Ok)), (rows, reader, size))))
        })
    };
    stream::once(start).map_ok(batches).try_flatten().try_flatten()
}

/// One batch of what is added up over all traces.
pub(super) fn folded(
    input: Arc<dyn ExecutionPlan>,
    ordered: bool,
    work: Work,
) -> impl Stream<Item = Result<RecordBatch>> + Send {
    stream::once(async move {
        let names = Arc::new(AllNames::default());
        let sum = if ordered {
            let rows = input.execute(0, Arc::clone(&work.context))?;
            let mut reader = Reader::new(rows, &work, &names, 0, Judge::Order);
            let mut sum = Sum::new(&work, &names, 0);
            while let Some(traces) = reader.next().await? {
                sum.look(traces).await?;
            }
            sum.sum
        } else {
            let census = work.census(&input).await?;
            sum(&input, &work, &names, census.as_ref()).await?
        };
        let batch = sum.finish(&names, &work.schema, &|name| work.uses(name))?;
        BaselineMetrics::new(&work.metrics, 0).record_output(batch.num_rows());
        Ok(batch)
    })
}

async fn sum(
    input: &Arc<dyn ExecutionPlan>,
    work: &Work,
    names: &Arc<AllNames>,
    census: Option<&Arc<Census>>,
) -> Result<Fold> {
    let sums = look_at_all(input, work, names, census, |partition| Sum::new(work, names, partition)).await?;
    let empty = Sum::new(work, names, 0);
    Ok(sums.into_iter().try_fold(empty, Sum::and)?.sum)
}
