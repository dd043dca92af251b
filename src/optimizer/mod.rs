//! Our rules in one ordered list, before those of the engine, and what expressions mean that the engine does not know.

mod map_operators;

use std::sync::Arc;

use datafusion::optimizer::OptimizerRule;

use crate::table_functions::ResolveTableFunctions;

pub use map_operators::MapOperators;

/// The rules in order, each with its reason.
#[must_use]
pub fn rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    vec![
        // First, so that projections are pushed into the calls like into any table.
        Arc::new(ResolveTableFunctions),
    ]
}
