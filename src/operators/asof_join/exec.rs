//! The physical node of an ASOF join.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{JoinSide, JoinType, Result, internal_err};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::filter_pushdown::{FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::joins::JoinOn;
use datafusion::physical_plan::joins::utils::{JoinFilter, build_join_schema};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::projection::{EmbeddedProjection, ProjectionExec, try_embed_projection};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, InputDistributionRequirements, PlanProperties, apply_expression_roots,
};

use super::index::BuildSide;
use super::stream;
use crate::operators::bounds::Bound;
use crate::operators::build::{BuildMetrics, Collected, Once};
use crate::operators::join::{Mode, Probe, composed, described, filters_through, properties, show};
use crate::operators::output::Output;

/// What an ASOF join does, apart from its inputs.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) on: JoinOn,
    /// The comparison of the times; the right side is the build side.
    pub(super) time: Bound,
    /// The match is at or before the left row rather than at or after.
    pub(super) backward: bool,
    /// How far away the match may be.
    pub(super) tolerance: Option<Bound>,
    /// Conditions that are left to check on a pair, with the build side for their left one.
    pub(super) filter: Option<JoinFilter>,
    /// If the filter does not hold of a row it does not hold of those further away.
    pub(super) monotone: bool,
    pub(super) join_type: JoinType,
    pub(super) mode: Mode,
    /// Columns of the output that are kept.
    pub(super) projection: Option<Vec<usize>>,
}

/// Joins each row of the left side, which streams past, with the nearest of the right, which is collected.
#[derive(Debug)]
pub struct AsofJoinExec {
    left: Arc<dyn ExecutionPlan>,
    right: Arc<dyn ExecutionPlan>,
    parts: Arc<Parts>,
    output: Arc<Output>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    build: Arc<Once<BuildSide>>,
}

impl AsofJoinExec {
    pub(super) fn try_new(left: Arc<dyn ExecutionPlan>, right: Arc<dyn ExecutionPlan>, parts: Parts) -> Result<Self> {
        let (schema, columns) = build_join_schema(&left.schema(), &right.schema(), &parts.join_type);
        let output = Output::new(&Arc::new(schema), &columns, parts.projection.as_ref())?;
        Ok(Self {
            properties: properties(&output, &left),
            left,
            right,
            parts: Arc::new(parts),
            output: Arc::new(output),
            metrics: ExecutionPlanMetricsSet::new(),
            build: Arc::default(),
        })
    }
}

impl EmbeddedProjection for AsofJoinExec {
    fn with_projection(&self, projection: Option<Vec<usize>>) -> Result<Self> {
        let mut parts = self.parts.as_ref().clone();
        parts.projection = composed(parts.projection.as_ref(), projection);
        Self::try_new(Arc::clone(&self.left), Arc::clone(&self.right), parts)
    }
}

impl DisplayAs for AsofJoinExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { on, time, backward, tolerance, filter, join_type, mode, .. } = self.parts.as_ref();
        let (nearer, further) = if *backward { ('<', '>') } else { ('>', '<') };
        write!(f, "AsofJoinExec: mode={mode:?}, join_type={join_type:?}")?;
        let direction = if *backward { "backward" } else { "forward" };
        let mut between = format!("match=[{}], direction={direction}", time.show(nearer));
        if let Some(tolerance) = tolerance {
            between = format!("{between}, tolerance=[{}]", tolerance.show(further));
        }
        let projected = self.parts.projection.is_some().then_some(self.output.as_ref());
        show(f, on, &between, filter.as_ref(), projected)
    }
}

impl ExecutionPlan for AsofJoinExec {
    fn name(&self) -> &'static str {
        "AsofJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        self.parts.mode.requirements(&self.parts.on, JoinSide::Right)
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.left, &self.right]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let bounds = [Some(&self.parts.time), self.parts.tolerance.as_ref()].into_iter().flatten();
        let keys = self.parts.on.iter().flat_map(|(left, right)| [left, right]);
        let rest = self.parts.filter.iter().map(JoinFilter::expression);
        apply_expression_roots(keys.chain(bounds.flat_map(|bound| [&bound.build, &bound.probe])).chain(rest), f)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let Ok([left, right]) = <[Arc<dyn ExecutionPlan>; 2]>::try_from(children) else {
            return internal_err!("an ASOF join has two inputs");
        };
        Ok(Arc::new(Self::try_new(left, right, self.parts.as_ref().clone())?))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let part = self.parts.mode.build_partition(partition);
        let start = || {
            let reservation = MemoryConsumer::new(format!("AsofJoin[{part}]")).register(context.memory_pool());
            let rows = self.right.execute(part, Arc::clone(&context))?;
            let (parts, metrics) = (Arc::clone(&self.parts), BuildMetrics::new(&self.metrics, part));
            Ok(async move { BuildSide::build(Collected::read(rows, reservation, metrics).await?, &parts) })
        };
        let build = self.parts.mode.build(&self.build, start)?;
        let probe = Probe::new(&self.left, partition, &context, &self.parts, &self.output, &self.metrics)?;
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream::run(probe, build))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn try_swapping_with_projection(&self, projection: &ProjectionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if self.parts.projection.is_some() { Ok(None) } else { try_embed_projection(projection, self) }
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        // What is known of the right side's columns above the join says nothing about which row is the nearest.
        let through = filters_through(&self.output, JoinType::Left, &self.left, &self.right, &parent_filters)?;
        Ok(described(through))
    }
}
