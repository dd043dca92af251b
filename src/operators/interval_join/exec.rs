//! The physical node of an interval join.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{JoinSide, JoinType, Result, internal_err};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{DynamicFilterPhysicalExpr, lit};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::joins::JoinOn;
use datafusion::physical_plan::joins::utils::{JoinFilter, build_join_schema};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::projection::{EmbeddedProjection, ProjectionExec, try_embed_projection};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    PlanProperties, apply_expression_roots,
};

use super::recognise::Interval;
use super::stream::{self, BuildSide, build};
use crate::operators::build::{BuildMetrics, Collected, Once};
use crate::operators::join::{Mode, Probe, composed, described, filters_through, properties, show};
use crate::operators::output::Output;

/// What an interval join does, apart from its inputs.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) on: JoinOn,
    pub(super) interval: Interval,
    /// Conditions that are left to check on a pair.
    pub(super) filter: Option<JoinFilter>,
    pub(super) join_type: JoinType,
    pub(super) mode: Mode,
    /// Columns of the output that are kept.
    pub(super) projection: Option<Vec<usize>>,
}

/// Joins on intervals. The left side is the build side, the rows of the right stream past.
#[derive(Debug)]
pub struct IntervalJoinExec {
    left: Arc<dyn ExecutionPlan>,
    right: Arc<dyn ExecutionPlan>,
    parts: Arc<Parts>,
    output: Arc<Output>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    build: Arc<Once<BuildSide>>,
    /// What the build side says about the rows of the probe side that can match.
    dynamic: Option<Arc<DynamicFilterPhysicalExpr>>,
}

impl IntervalJoinExec {
    pub(super) fn try_new(left: Arc<dyn ExecutionPlan>, right: Arc<dyn ExecutionPlan>, parts: Parts) -> Result<Self> {
        Self::with_parts(left, right, Arc::new(parts), None)
    }

    fn with_parts(
        left: Arc<dyn ExecutionPlan>,
        right: Arc<dyn ExecutionPlan>,
        parts: Arc<Parts>,
        dynamic: Option<Arc<DynamicFilterPhysicalExpr>>,
    ) -> Result<Self> {
        let (schema, columns) = build_join_schema(&left.schema(), &right.schema(), &parts.join_type);
        let output = Output::new(&Arc::new(schema), &columns, parts.projection.as_ref())?;
        let properties = properties(&output, &right);
        Ok(Self {
            left,
            right,
            parts,
            output: Arc::new(output),
            properties,
            metrics: ExecutionPlanMetricsSet::new(),
            build: Arc::default(),
            dynamic,
        })
    }

    /// Whether rows of the probe side that match nothing may be left out.
    fn may_drop_probe_rows(&self) -> bool {
        use JoinType::{Inner, Left, LeftAnti, LeftMark, LeftSemi, RightSemi};
        matches!(self.parts.join_type, Inner | Left | LeftSemi | LeftAnti | LeftMark | RightSemi)
    }
}

impl EmbeddedProjection for IntervalJoinExec {
    fn with_projection(&self, projection: Option<Vec<usize>>) -> Result<Self> {
        let composed = composed(self.parts.projection.as_ref(), projection);
        let parts = Parts { projection: composed, ..self.parts.as_ref().clone() };
        let (left, right) = (Arc::clone(&self.left), Arc::clone(&self.right));
        Self::with_parts(left, right, Arc::new(parts), self.dynamic.clone())
    }
}

impl DisplayAs for IntervalJoinExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { on, interval, filter, join_type, mode, .. } = self.parts.as_ref();
        write!(f, "IntervalJoinExec: mode={mode:?}, join_type={join_type:?}")?;
        let projected = self.parts.projection.is_some().then_some(self.output.as_ref());
        show(f, on, &format!("interval=[{interval}]"), filter.as_ref(), projected)
    }
}

impl ExecutionPlan for IntervalJoinExec {
    fn name(&self) -> &'static str {
        "IntervalJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        self.parts.mode.requirements(&self.parts.on, JoinSide::Left)
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.left, &self.right]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let Interval { start, end } = &self.parts.interval;
        let bounds = [&start.build, &start.probe, &end.build, &end.probe];
        let keys = self.parts.on.iter().flat_map(|(left, right)| [left, right]);
        let rest = self.parts.filter.iter().map(JoinFilter::expression);
        apply_expression_roots(keys.chain(bounds).chain(rest), f)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let Ok([left, right]) = <[Arc<dyn ExecutionPlan>; 2]>::try_from(children) else {
            return internal_err!("an interval join has two inputs");
        };
        Ok(Arc::new(Self::with_parts(left, right, Arc::clone(&self.parts), self.dynamic.clone())?))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let partitions = self.right.output_partitioning().partition_count();
        let part = self.parts.mode.build_partition(partition);
        let probers = if self.parts.mode == Mode::Broadcast { partitions } else { 1 };
        let start = || {
            let reservation = MemoryConsumer::new(format!("IntervalJoin[{part}]")).register(context.memory_pool());
            let rows = self.left.execute(part, Arc::clone(&context))?;
            let metrics = BuildMetrics::new(&self.metrics, part);
            let (parts, dynamic) = (Arc::clone(&self.parts), self.dynamic.clone());
            Ok(
                async move { build(Collected::read(rows, reservation, metrics).await?, &parts, probers, dynamic.as_ref()) },
            )
        };
        let build = self.parts.mode.build(&self.build, start)?;
        let probe = Probe::new(&self.right, partition, &context, &self.parts, &self.output, &self.metrics)?;
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            stream::run(probe, build, self.may_drop_probe_rows()),
        )))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn try_swapping_with_projection(&self, projection: &ProjectionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if self.parts.projection.is_some() { Ok(None) } else { try_embed_projection(projection, self) }
    }

    fn gather_filters_for_pushdown(
        &self,
        phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let through = filters_through(&self.output, self.parts.join_type, &self.left, &self.right, &parent_filters)?;
        let wanted = phase == FilterPushdownPhase::Post
            && self.dynamic.is_none()
            && self.parts.mode == Mode::Broadcast
            && self.may_drop_probe_rows()
            && config.optimizer.enable_join_dynamic_filter_pushdown;
        if !wanted {
            return Ok(described(through));
        }
        let Interval { start, end } = &self.parts.interval;
        let columns = vec![Arc::clone(&start.probe), Arc::clone(&end.probe)];
        let [left, right] = through;
        let dynamic = Arc::new(DynamicFilterPhysicalExpr::new(columns, lit(true)));
        Ok(described([left, right.with_self_filter(dynamic)]))
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let pushed = result.self_filters.get(1).and_then(|filters| filters.first());
        let pushed = pushed.map(|filter| Arc::clone(&filter.predicate));
        let answer = FilterPushdownPropagation::if_any(result);
        let dynamic = pushed.and_then(|filter| Arc::downcast::<DynamicFilterPhysicalExpr>(filter).ok());
        let Some(dynamic) = dynamic else { return Ok(answer) };
        let (left, right) = (Arc::clone(&self.left), Arc::clone(&self.right));
        let join = Self::with_parts(left, right, Arc::clone(&self.parts), Some(dynamic))?;
        Ok(answer.with_updated_node(Arc::new(join)))
    }
}
