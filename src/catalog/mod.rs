//! What names mean: the canonical tables, the built-in views, the system tables.

mod builtin_sql;
pub mod client;
mod lake_schema;
mod lake_table;
pub mod pg_catalog;
mod reading;
pub mod settings;
mod system;

use std::sync::Arc;

use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider};
use datafusion::execution::context::SessionContext;

use crate::error::Result;
use crate::model;
use crate::storage::Lake;

pub use crate::dialect::{PG_TYPE, pg_type_of};
pub use builtin_sql::{ReportFile, View, report_files, views};
pub use client::Client;

/// Make the lake's tables, the built-in views and the system tables known to a session.
///
/// # Errors
/// When a schema cannot be registered, which is a defect of ours.
pub fn register(context: &SessionContext, lake: &Arc<Lake>, client: &Arc<Client>) -> Result<()> {
    let catalog = MemoryCatalogProvider::new();
    let state = context.state_weak_ref();
    let public = lake_schema::LakeSchema::new(lake, model::tables(), views(), Vec::new(), client, state.clone());
    catalog.register_schema("public", Arc::new(public))?;
    let system = lake_schema::LakeSchema::new(lake, model::system_tables(), Vec::new(), system::all(), client, state);
    catalog.register_schema("system", Arc::new(system))?;
    pg_catalog::register(context, &catalog, client, context.state_weak_ref())?;
    context.register_catalog("ascribe", Arc::new(catalog));
    Ok(())
}
