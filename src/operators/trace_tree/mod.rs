//! Computations over whole traces of any relation of spans: `span_tree`, `error_origins`, `critical_path_stats` and
//! `service_dependencies`.
//!
//! One pass: each batch becomes spans of 64 bytes, ids and names as integers, and only of the columns that what is asked
//! for depends on. Where the input says that it is ordered by `trace_id` a trace is looked at as soon as the next one
//! begins, and nothing else is held. Otherwise the spans of each trace are counted first, where that is cheap: a trace all of
//! whose spans follow each other is looked at as well once they have come. Everything else is gathered by the hash of the
//! trace, all partitions at once; what does not fit into memory is spilled, and a group at a time is read again. So a trace
//! is whole wherever its spans are.
//! `attribution::trace` and `attribution::clock_skew` say what is true of a trace; here is how its spans come together.

mod census;
mod columns;
mod encode;
mod exec;
mod fold;
mod gather;
mod logical;
mod looking;
mod metrics;
mod narrow;
mod reader;
mod rows;
mod shared;
mod stream;
mod syntax;
mod traces;

pub use columns::{CRITICAL_PATH_STATS, Computation, ERROR_ORIGINS, SERVICE_DEPENDENCIES, SPAN_TREE};
pub use exec::{PlanTraceTrees, TraceTreeExec};
pub use logical::{Question, TraceTree};
pub use syntax::table_arguments;
pub use traces::spans_of;
