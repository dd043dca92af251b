//! A scan that keeps the files of the version that it reads, for as long as it is planned or runs, and takes only
//! conditions that cannot fail.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
    PushedDown,
};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildStats, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, StatisticsArgs,
};
use futures::StreamExt;

use super::infallible;
use crate::storage::Pin;

/// Passes on what its input gives, and all that is asked of it to its input, but for conditions that can fail.
#[derive(Debug)]
pub(super) struct ReadingExec {
    input: Arc<dyn ExecutionPlan>,
    pin: Arc<Pin>,
}

impl ReadingExec {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, pin: &Arc<Pin>) -> Self {
        Self { input, pin: Arc::clone(pin) }
    }

    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self::new(input, &self.pin))
    }
}

impl DisplayAs for ReadingExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadingExec")
    }
}

impl ExecutionPlan for ReadingExec {
    fn name(&self) -> &'static str {
        "ReadingExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.pop()) {
            (Some(input), None) => Ok(self.over(input)),
            _ => plan_err!("a scan that is kept has one input"),
        }
    }

    fn repartitioned(&self, partitions: usize, config: &ConfigOptions) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        Ok(self.input.repartitioned(partitions, config)?.map(|input| self.over(input)))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let pin = Arc::clone(&self.pin);
        let rows = self.input.execute(partition, context)?;
        let schema = rows.schema();
        // The rows hold the pin.
        let kept = rows.map(move |batch| {
            let _held = &pin;
            batch
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, kept)))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        match inputs.first() {
            Some(statistics) => Ok(Arc::clone(statistics)),
            None => Ok(Arc::new(Statistics::new_unknown(&self.schema()))),
        }
    }

    fn supports_limit_pushdown(&self) -> bool {
        self.input.supports_limit_pushdown()
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        Some(self.over(self.input.with_fetch(limit)?))
    }

    fn fetch(&self) -> Option<usize> {
        self.input.fetch()
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn try_swapping_with_projection(&self, projection: &ProjectionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        Ok(self.input.try_swapping_with_projection(projection)?.map(|input| self.over(input)))
    }

    /// A condition that can fail stays above. The engine lets a node refuse conditions by their columns only: so those that
    /// go down do it as this node's own.
    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let down = filters.iter().filter(|filter| infallible::runs_through(filter)).map(Arc::clone).collect();
        let child = ChildFilterDescription::all_unsupported(&filters).with_self_filters(down);
        Ok(FilterDescription::new().with_child(child))
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let down = result.self_filters.first().map(Vec::as_slice).unwrap_or_default();
        let taken = |filter: &Arc<dyn PhysicalExpr>| {
            let found = down.iter().find(|sent| Arc::ptr_eq(&sent.predicate, filter));
            found.map_or(PushedDown::No, |sent| sent.discriminant)
        };
        let filters = result.parent_filters.iter().map(|parent| taken(&parent.filter)).collect();
        Ok(FilterPushdownPropagation::with_parent_pushdown_result(filters))
    }
}
