//! `pg_catalog` and `information_schema`: the catalog as PostgreSQL's clients ask for it, made of what there really is.

mod compatible;
mod functions;
mod information;
mod objects;
mod privileges;
mod provider;
mod rows;
mod table;
mod tables;

use std::sync::Arc;

use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider};
use datafusion::execution::SessionState;
use datafusion::execution::context::SessionContext;

use super::Client;
use crate::error::Result;

pub use compatible::{compatible, reads_catalog};

/// Make the schema and its functions known to a session.
///
/// # Errors
/// When the registry refuses one, which is a defect of ours.
pub(super) fn register(
    context: &SessionContext,
    catalog: &MemoryCatalogProvider,
    client: &Arc<Client>,
    state: std::sync::Weak<parking_lot::RwLock<SessionState>>,
) -> Result<()> {
    let tables = Arc::new(provider::PgCatalog::new(client, state));
    catalog.register_schema("information_schema", Arc::new(information::InformationSchema::new(&tables)))?;
    catalog.register_schema("pg_catalog", tables)?;
    let session = context.state_ref();
    functions::register(&mut *session.write(), client)?;
    Ok(())
}
