//! What the physical nodes of our joins have in common: how rows meet, which filters pass through, how they are shown.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, JoinSide, JoinType, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{ChildFilterDescription, FilterDescription};
use datafusion::physical_plan::joins::JoinOn;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{
    ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements, PlanProperties,
};

use futures::future::BoxFuture;
use futures::{Stream, TryStreamExt, stream};

use super::build::Once;
use super::output::Output;
use crate::config::BROADCAST_ROWS;

/// How the rows of the two sides meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// The build side is collected once, for all partitions of the probe side.
    Broadcast,
    /// Both sides are partitioned by the hash of their keys.
    Partitioned,
}

impl Mode {
    /// What the inputs have to look like.
    pub(super) fn requirements(self, on: &JoinOn, build: JoinSide) -> InputDistributionRequirements {
        let (left, right) = on.iter().cloned().unzip();
        match self {
            Mode::Partitioned => InputDistributionRequirements::co_partitioned(vec![
                Distribution::KeyPartitioned(left),
                Distribution::KeyPartitioned(right),
            ]),
            Mode::Broadcast => {
                let side = |side| {
                    if side == build { Distribution::SinglePartition } else { Distribution::UnspecifiedDistribution }
                };
                InputDistributionRequirements::new(vec![side(JoinSide::Left), side(JoinSide::Right)])
            }
        }
    }

    /// The partition of the build side that a partition of the probe side needs.
    pub(super) fn build_partition(self, partition: usize) -> usize {
        match self {
            Mode::Broadcast => 0,
            Mode::Partitioned => partition,
        }
    }

    /// The build side that `start` makes: of all partitions together, or of each its own.
    pub(super) fn build<B, F>(self, shared: &Once<B>, start: impl FnOnce() -> Result<F>) -> Result<Build<B>>
    where
        B: Send + Sync + 'static,
        F: Future<Output = Result<B>> + Send + 'static,
    {
        match self {
            Mode::Broadcast => shared.get(start),
            Mode::Partitioned => Once::default().get(start),
        }
    }
}

/// A build side that is being made.
pub(super) type Build<B> = BoxFuture<'static, Result<Arc<B>>>;

/// One partition of the probe side, and what it is joined by.
pub(super) struct Probe<P> {
    pub(super) input: SendableRecordBatchStream,
    pub(super) parts: Arc<P>,
    pub(super) output: Arc<Output>,
    pub(super) batch_size: usize,
    pub(super) metrics: JoinMetrics,
}

impl<P> Probe<P> {
    /// Of a partition of a side.
    pub(super) fn new(
        side: &Arc<dyn ExecutionPlan>,
        partition: usize,
        context: &Arc<TaskContext>,
        parts: &Arc<P>,
        output: &Arc<Output>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Self> {
        Ok(Self {
            input: side.execute(partition, Arc::clone(context))?,
            parts: Arc::clone(parts),
            output: Arc::clone(output),
            batch_size: context.session_config().batch_size().max(1),
            metrics: JoinMetrics::new(metrics, partition),
        })
    }
}

/// Whether it is known that a side has so few rows that sending all of them everywhere costs less than sending each
/// row of the other side somewhere. Where the engine is told to broadcast nothing we do not either.
pub(super) fn is_small(plan: &Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> bool {
    let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new());
    let rows = statistics.ok().and_then(|statistics| statistics.num_rows.get_value().copied());
    let allowed = config.optimizer.hash_join_single_partition_threshold_rows > 0;
    allowed && rows.is_some_and(|rows| rows <= BROADCAST_ROWS)
}

/// The properties of a join whose output has the partitions of its probe side.
pub(super) fn properties(output: &Output, probe: &Arc<dyn ExecutionPlan>) -> Arc<PlanProperties> {
    Arc::new(PlanProperties::new(
        EquivalenceProperties::new(Arc::clone(&output.schema)),
        Partitioning::UnknownPartitioning(probe.output_partitioning().partition_count()),
        EmissionType::Incremental,
        Boundedness::Bounded,
    ))
}

/// A projection of a projection.
pub(super) fn composed(old: Option<&Vec<usize>>, new: Option<Vec<usize>>) -> Option<Vec<usize>> {
    match (old, new) {
        (Some(old), Some(new)) => Some(new.iter().filter_map(|at| old.get(*at).copied()).collect()),
        (old, new) => new.or_else(|| old.cloned()),
    }
}

/// Which of the filters above a join may as well be checked on its inputs.
pub(super) fn filters_through(
    output: &Output,
    join_type: JoinType,
    left: &Arc<dyn ExecutionPlan>,
    right: &Arc<dyn ExecutionPlan>,
    filters: &[Arc<dyn PhysicalExpr>],
) -> Result<[ChildFilterDescription; 2]> {
    let through = |side: JoinSide, input: &Arc<dyn ExecutionPlan>| {
        if !preserves(join_type, side) {
            return Ok(ChildFilterDescription::all_unsupported(filters));
        }
        let columns = output.columns.iter().enumerate().filter(|(_, column)| column.side == side);
        let allowed: HashSet<usize> = columns.map(|(at, _)| at).collect();
        ChildFilterDescription::from_child_with_allowed_indices(filters, allowed, input)
    };
    Ok([through(JoinSide::Left, left)?, through(JoinSide::Right, right)?])
}

/// The same, for a node that adds nothing of its own.
pub(super) fn described([left, right]: [ChildFilterDescription; 2]) -> FilterDescription {
    FilterDescription::new().with_child(left).with_child(right)
}

/// Whether a condition on the rows of a side may as well be checked before the join.
fn preserves(join_type: JoinType, side: JoinSide) -> bool {
    use JoinType::{Inner, Left, LeftAnti, LeftMark, LeftSemi, Right, RightAnti, RightMark, RightSemi};
    match side {
        JoinSide::Left => matches!(join_type, Inner | Left | LeftSemi | LeftAnti | LeftMark),
        JoinSide::Right => matches!(join_type, Inner | Right | RightSemi | RightAnti | RightMark),
        JoinSide::None => false,
    }
}

/// `, on=[…], filter=…, projection=[…]` of those that there are, with what is between keys and filter.
pub(super) fn show(
    f: &mut fmt::Formatter<'_>,
    on: &JoinOn,
    between: &str,
    filter: Option<&JoinFilter>,
    projected: Option<&Output>,
) -> fmt::Result {
    if !on.is_empty() {
        let keys: Vec<String> = on.iter().map(|(left, right)| format!("({left}, {right})")).collect();
        write!(f, ", on=[{}]", keys.join(", "))?;
    }
    write!(f, ", {between}")?;
    if let Some(filter) = filter {
        write!(f, ", filter={}", filter.expression())?;
    }
    if let Some(output) = projected {
        let names: Vec<&str> = output.schema.fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, ", projection=[{}]", names.join(", "))?;
    }
    Ok(())
}

/// What EXPLAIN ANALYZE shows of one partition of a join.
#[derive(Debug, Clone)]
pub(super) struct JoinMetrics {
    pub(super) baseline: BaselineMetrics,
    pub(super) probe_rows: Count,
    /// Pairs that the index found, before further conditions.
    pub(super) pairs: Count,
}

impl JoinMetrics {
    pub(super) fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        Self {
            baseline: BaselineMetrics::new(metrics, partition),
            probe_rows: MetricBuilder::new(metrics).counter("input_rows", partition),
            pairs: MetricBuilder::new(metrics).counter("candidate_pairs", partition),
        }
    }
}

/// One partition of a join while it runs.
pub(super) trait Running: Send + 'static {
    /// The next batch that is not empty.
    fn next(&mut self) -> impl Future<Output = Result<Option<RecordBatch>>> + Send;
}

/// The batches of one partition, which starts once the build side is there.
pub(super) fn batches<B, R>(
    build: Build<B>,
    start: impl FnOnce(Arc<B>) -> R + Send + 'static,
) -> impl Stream<Item = Result<RecordBatch>> + Send
where
    B: Send + Sync + 'static,
    R: Running,
{
    let running = async move { Ok::<_, DataFusionError>(start(build.await?)) };
    stream::once(running)
        .map_ok(|running| {
            stream::try_unfold(running, async |mut running: R| Ok(running.next().await?.map(|batch| (batch, running))))
        })
        .try_flatten()
}
