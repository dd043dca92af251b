//! The rule that puts [`IntervalJoinExec`] in the place of nested loops and of hash joins with a range filter.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{NullEquality, Result};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, PartitionMode};

use super::exec::{IntervalJoinExec, Parts};
use super::recognise::recognise;
use crate::operators::join::{Mode, is_small};

/// Recognises joins on intervals. It runs after the engine has chosen which side to build on and before it
/// distributes the rows.
#[derive(Debug, Default)]
pub struct RecogniseIntervalJoins;

impl PhysicalOptimizerRule for RecogniseIntervalJoins {
    fn name(&self) -> &'static str {
        "recognise_interval_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let rewritten = plan.transform_up(|node| {
            Ok(match replacement(&node, config)? {
                Some(join) => Transformed::yes(join),
                None => Transformed::no(node),
            })
        })?;
        Ok(rewritten.data)
    }
}

fn replacement(node: &Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let (left, right, on, filter, join_type, mode, projection) = if let Some(join) = node.downcast_ref::<HashJoinExec>()
    {
        if join.null_equality() == NullEquality::NullEqualsNull || join.null_aware || join.fetch().is_some() {
            return Ok(None);
        }
        let small = *join.partition_mode() == PartitionMode::CollectLeft || is_small(join.left(), config);
        let mode = if small { Mode::Broadcast } else { Mode::Partitioned };
        (join.left(), join.right(), join.on().to_vec(), join.filter(), join.join_type(), mode, &join.projection)
    } else if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        let mode = Mode::Broadcast;
        (join.left(), join.right(), vec![], join.filter(), join.join_type(), mode, join.projection())
    } else {
        return Ok(None);
    };
    let Some(filter) = filter else { return Ok(None) };
    let Some((interval, rest)) = recognise(filter, &left.schema(), &right.schema())? else { return Ok(None) };
    let join = IntervalJoinExec::try_new(
        Arc::clone(left),
        Arc::clone(right),
        Parts {
            on,
            interval,
            filter: rest,
            join_type: *join_type,
            mode,
            projection: projection.as_ref().map(|columns| columns.to_vec()),
        },
    )?;
    Ok(Some(Arc::new(join)))
}
