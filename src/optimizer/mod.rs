//! Our rules in one ordered list, before those of the engine, and what expressions mean that the engine does not know.

mod lateral;
mod map_operators;
mod owner_of;
mod yielding;

use std::sync::Arc;

use datafusion::optimizer::OptimizerRule;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

use crate::operators::asof_join::PushFiltersThroughAsofJoins;
use crate::operators::interval_join::RecogniseIntervalJoins;
use crate::table_functions::ResolveTableFunctions;

pub use map_operators::MapOperators;
pub use owner_of::{BindingPlanner, NAME as OWNER_OF, owner_of, owner_of_form};

/// The rules in order, each with its reason.
#[must_use]
pub fn rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    vec![
        // First, so that projections are pushed into the calls like into any table.
        Arc::new(ResolveTableFunctions),
        // Before the engine tries to take the subquery apart.
        Arc::new(lateral::ComputeLateral),
        // The engine pushes filters down to the join, this one past it, and in its next pass the engine goes on.
        Arc::new(PushFiltersThroughAsofJoins),
    ]
}

/// The engine's rules for physical plans and ours among them, each with its reason.
#[must_use]
pub fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    // Behind the choice of the build side, before the distribution of rows and the push-down of filters, both of which
    // ask our node what it needs.
    let place = rules.iter().position(|rule| rule.name() == "join_selection").map_or(0, |at| at + 1);
    rules.insert(place, Arc::new(RecogniseIntervalJoins));
    // Last: other rules look for joins where they are.
    rules.push(Arc::new(yielding::YieldBetweenBatches));
    rules
}
