//! Operators that make many batches out of one let others go on in between.
//!
//! The engine makes sure that sources do so. A join may turn one batch of a source into thousands, and whatever reads them in
//! a loop would keep a thread until all are made, though nobody waits for them any more. A nested loop join may
//! look at thousands of batches for one of its own, which [`pausing`] takes care of.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;

use crate::operators::pausing::pausing;

/// Makes nested loop joins pause, and puts a node that takes from the budget of its task above the others and what unfolds lists.
#[derive(Debug, Default)]
pub struct YieldBetweenBatches;

impl PhysicalOptimizerRule for YieldBetweenBatches {
    fn name(&self) -> &'static str {
        "yield_between_batches"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let yielding = plan.transform_up(|node| {
            Ok(if let Some(join) = pausing(&node)? {
                Transformed::yes(join)
            } else if multiplies(node.name()) {
                Transformed::yes(Arc::new(CooperativeExec::new(node)) as Arc<dyn ExecutionPlan>)
            } else {
                Transformed::no(node)
            })
        })?;
        Ok(yielding.data)
    }
}

fn multiplies(name: &str) -> bool {
    name.ends_with("JoinExec") || name == "UnnestExec"
}
