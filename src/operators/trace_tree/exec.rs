//! The physical node of a computation over the traces of a relation.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, exec_err, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, OrderingRequirements, Partitioning, PhysicalExpr, PhysicalSortExpr,
};
use datafusion::physical_plan::execution_plan::EmissionType;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::projection::{EmbeddedProjection, ProjectionExec, try_embed_projection};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements, PlanProperties,
};
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};

use super::census;
use super::logical::{Question, TraceTree};
use super::shared::Runs;
use super::stream::{self, Work};
use crate::operators::join::composed;

/// Computes something over the whole traces of its input, wherever in it their spans are.
#[derive(Debug)]
pub struct TraceTreeExec {
    input: Arc<dyn ExecutionPlan>,
    question: Question,
    /// Which of all columns come out.
    projection: Option<Vec<usize>>,
    /// Which of those are not null for want of a reader; none: all.
    asked: Option<Vec<String>>,
    /// How the input is ordered, where that is by trace and all that is needed: it has to stay so.
    order: Option<SortOptions>,
    /// Whether the spans of traces are counted before they are read.
    counts: bool,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    runs: Runs,
}

impl TraceTreeExec {
    /// A node over spans; `asked` are the columns that somebody reads, if that is known.
    ///
    /// # Errors
    /// When a column is missing.
    pub fn try_new(input: Arc<dyn ExecutionPlan>, question: Question, asked: Option<Vec<String>>) -> Result<Self> {
        let output = question.computation.schema(&input.schema())?;
        let order = order_of(&input, &question, &output, asked.as_deref());
        Self::with(input, question, None, asked, order)
    }

    fn with(
        input: Arc<dyn ExecutionPlan>,
        question: Question,
        projection: Option<Vec<usize>>,
        asked: Option<Vec<String>>,
        order: Option<SortOptions>,
    ) -> Result<Self> {
        let schema = question.computation.schema(&input.schema())?;
        let output = match &projection {
            Some(columns) => Arc::new(schema.project(columns)?),
            None => schema,
        };
        let partitions = match (question.computation.keeps_rows(), order) {
            (true, None) => input.output_partitioning().partition_count(),
            _ => 1,
        };
        let emission = match (question.computation.keeps_rows(), order) {
            (true, Some(_)) => EmissionType::Incremental,
            (true, None) => EmissionType::Both,
            (false, _) => EmissionType::Final,
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(output),
            Partitioning::UnknownPartitioning(partitions),
            emission,
            input.boundedness(),
        );
        Ok(Self {
            counts: order.is_none() && census::plan(&input)?.is_some(),
            input,
            question,
            projection,
            asked,
            order,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
            runs: Runs::default(),
        })
    }

    fn ordered(&self) -> bool {
        self.order.is_some()
    }

    /// Whether the input is as it was asked for.
    fn is_in_order(&self) -> bool {
        let single = self.input.output_partitioning().partition_count() == 1;
        single && self.ordered() && first_column(&self.input).is_some_and(|(name, _)| name == TRACE)
    }
}

/// Whether a column of the output is computed.
fn uses(output: &Schema, asked: Option<&[String]>, name: &str) -> bool {
    output.column_with_name(name).is_some() && asked.is_none_or(|asked| asked.iter().any(|known| known == name))
}

const TRACE: &str = "trace_id";

fn first_column(input: &Arc<dyn ExecutionPlan>) -> Option<(String, SortOptions)> {
    let first = input.output_ordering()?.first();
    Some((first.expr.downcast_ref::<Column>()?.name().to_owned(), first.options))
}

/// The order of an input in which the spans of a trace follow each other, so that nothing has to be gathered. Clocks are
/// learnt of all traces before the first row comes out, for which the input is read twice anyway.
fn order_of(
    input: &Arc<dyn ExecutionPlan>,
    question: &Question,
    output: &Schema,
    asked: Option<&[String]>,
) -> Option<SortOptions> {
    let clocks = question.computation.keeps_rows()
        && ["clock_offset_nano", "clock_bound_nano"].iter().any(|name| uses(output, asked, name));
    let (name, options) = first_column(input)?;
    (!clocks && name == TRACE).then_some(options)
}

impl EmbeddedProjection for TraceTreeExec {
    fn with_projection(&self, projection: Option<Vec<usize>>) -> Result<Self> {
        let projection = composed(self.projection.as_ref(), projection);
        Self::with(Arc::clone(&self.input), self.question.clone(), projection, self.asked.clone(), self.order)
    }
}

impl DisplayAs for TraceTreeExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grouped = match self.ordered() {
            true => "order",
            false if self.counts => "hash, counted first",
            false => "hash",
        };
        write!(f, "TraceTreeExec: {}, traces by {grouped}", self.question)?;
        let schema = self.schema();
        let computed = self.question.computation.columns().iter();
        let computed: Vec<&str> =
            computed.map(|column| column.name).filter(|name| uses(&schema, self.asked.as_deref(), name)).collect();
        write!(f, ", computed=[{}]", computed.join(", "))
    }
}

impl ExecutionPlan for TraceTreeExec {
    fn name(&self) -> &'static str {
        "TraceTreeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let wanted = if self.ordered() { Distribution::SinglePartition } else { Distribution::UnspecifiedDistribution };
        InputDistributionRequirements::new(vec![wanted])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        let wanted = self.order.and_then(|options| {
            let column = Column::new_with_schema(TRACE, &self.input.schema()).ok()?;
            Some(PhysicalSortExpr::new(Arc::new(column), options))
        });
        vec![wanted.and_then(|wanted| OrderingRequirements::new([wanted.into()].into()).into())]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![!self.ordered()]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => {
                let (question, asked) = (self.question.clone(), self.asked.clone());
                Ok(Arc::new(Self::with(input, question, self.projection.clone(), asked, self.order)?))
            }
            _ => internal_err!("a trace operator has one input"),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let partitions = self.properties.output_partitioning().partition_count();
        if partition >= partitions {
            return exec_err!("this trace operator has {partitions} partitions, not {}", partition + 1);
        }
        let schema = self.schema();
        let work = Work::new(
            self.question.clone(),
            &self.input.schema(),
            &schema,
            &|name| uses(&schema, self.asked.as_deref(), name),
            &self.metrics,
            context,
        );
        let input = Arc::clone(&self.input);
        Ok(match (self.question.computation.keeps_rows(), self.is_in_order()) {
            (true, true) => Box::pin(RecordBatchStreamAdapter::new(schema, stream::in_order(input, work))),
            (true, false) => {
                let run = self.runs.join(partition, partitions);
                Box::pin(RecordBatchStreamAdapter::new(schema, run.rows(input, work)))
            }
            (false, ordered) => Box::pin(RecordBatchStreamAdapter::new(schema, stream::folded(input, ordered, work))),
        })
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn try_swapping_with_projection(&self, projection: &ProjectionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if self.projection.is_some() { Ok(None) } else { try_embed_projection(projection, self) }
    }
}

/// Makes physical plans of trace operators.
#[derive(Debug, Default)]
pub struct PlanTraceTrees;

#[async_trait]
impl ExtensionPlanner for PlanTraceTrees {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(node) = node.as_any().downcast_ref::<TraceTree>() else { return Ok(None) };
        let [input] = inputs else { return internal_err!("a trace operator has one input") };
        let asked = node.asked().map(|asked| asked.into_iter().collect());
        Ok(Some(Arc::new(TraceTreeExec::try_new(Arc::clone(input), node.question.clone(), asked)?)))
    }
}
