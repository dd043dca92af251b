//! Scalar, aggregate and window functions for attribution queries: identifiers, exact splits of money, and the
//! statistics that tell an effect from noise. They work in any `DataFusion` program:
//!
//! ```
//! # fn main() -> datafusion::error::Result<()> {
//! use datafusion::prelude::{SessionConfig, SessionContext};
//!
//! let ctx = SessionContext::new_with_config(SessionConfig::new());
//! ascribe_udfs::register_all(&ctx)?;
//! # Ok(())
//! # }
//! ```
//!
//! `FUNCTIONS.md` describes every function with examples; the same text is in each function's
//! [`Documentation`](datafusion::logical_expr::Documentation).

mod about;
mod aggregate;
mod apportion;
mod args;
mod config;
mod docs;
mod forms;
mod scalar;
mod stats;
mod window;

use std::sync::{Arc, LazyLock};

use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};
use datafusion::prelude::SessionContext;

pub use about::Failure;
pub use aggregate::all_aggregate;
pub use config::PseudonymOptions;
pub use docs::functions_markdown;
pub use forms::{Form, Parameter, forms};
pub use scalar::{Pseudonyms, all_scalar};
pub use window::all_window;

/// Registers every function with `ctx`, and the options that they read (see [`PseudonymOptions`]) unless the
/// program has set those already.
///
/// # Errors
///
/// Those of the registry; a [`SessionContext`] has none.
pub fn register_all(ctx: &SessionContext) -> Result<()> {
    let state = ctx.state_ref();
    let mut state = state.write();
    let extensions = &mut state.config_mut().options_mut().extensions;
    if extensions.get::<PseudonymOptions>().is_none() {
        extensions.insert(PseudonymOptions::default());
    }
    register_functions(&mut *state)
}

/// Registers every function with a registry. The program adds [`PseudonymOptions`] to its configuration itself if it
/// wants `pseudonymize` to work.
///
/// # Errors
///
/// Those of the registry, for example that it is read-only.
pub fn register_functions(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for function in SCALAR.iter() {
        registry.register_udf(Arc::clone(function))?;
    }
    for function in AGGREGATE.iter() {
        registry.register_udaf(Arc::clone(function))?;
    }
    for function in WINDOW.iter() {
        registry.register_udwf(Arc::clone(function))?;
    }
    Ok(())
}

// Made once: a program may have a session for each of its clients.
static SCALAR: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| all_scalar().into_iter().map(Arc::new).collect());
static AGGREGATE: LazyLock<Vec<Arc<AggregateUDF>>> =
    LazyLock::new(|| all_aggregate().into_iter().map(Arc::new).collect());
static WINDOW: LazyLock<Vec<Arc<WindowUDF>>> = LazyLock::new(|| all_window().into_iter().map(Arc::new).collect());
