//! What the functions over traces share: the lake's spans, or any other relation, below the operator that looks at whole
//! traces.

mod output;
mod over;
mod source;

pub(super) use output::{Output, margin_argument, trace_argument, window_arguments};
pub use over::PlanTraceFunctions;
pub(super) use over::{explain_nothing, over_lake, over_relation};
pub(super) use source::{known_service, one_trace, text};
