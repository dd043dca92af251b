//! `pg_catalog` and `information_schema`: the catalog as PostgreSQL's clients ask for it, made of what there really is.

mod compatible;
mod functions;
mod information;
mod objects;
mod privileges;
mod provider;
mod rows;
mod signals;
mod table;
mod tables;

use std::sync::{Arc, Weak};

use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider};
use datafusion::execution::SessionState;
use datafusion::execution::context::SessionContext;

use super::Client;
use crate::error::Result;

pub use compatible::{compatible, reads_catalog};
pub(crate) use signals::check_places;

/// Put the schemas into a catalog of a session.
///
/// # Errors
/// When the catalog refuses one, which is a defect of ours.
pub(super) fn register(
    catalog: &MemoryCatalogProvider,
    client: &Arc<Client>,
    state: &Weak<parking_lot::RwLock<SessionState>>,
) -> Result<()> {
    let tables = Arc::new(provider::PgCatalog::new(client, state.clone()));
    catalog.register_schema("information_schema", Arc::new(information::InformationSchema::new(&tables)))?;
    catalog.register_schema("pg_catalog", tables)?;
    Ok(())
}

/// Make the functions known to a session.
///
/// # Errors
/// When the registry refuses one, which is a defect of ours.
pub(super) fn register_functions(context: &SessionContext, client: &Arc<Client>) -> Result<()> {
    let session = context.state_ref();
    functions::register(&mut *session.write(), client)?;
    Ok(())
}
