//! What names mean: the canonical tables, the built-in views, the system tables, what users have added.

mod builtin_sql;
pub mod client;
mod external;
mod guarded;
mod infallible;
mod lake_schema;
mod lake_table;
pub mod pg_catalog;
mod reading;
mod relations;
mod restricted;
pub mod settings;
mod system;

use std::sync::Arc;

use datafusion::catalog::{CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList};
use datafusion::execution::context::SessionContext;

use self::guarded::Asking;
use self::lake_schema::LakeSchema;
use crate::config::{DATABASE, SCHEMA};
use crate::error::Result;
use crate::security::Rights;
use crate::storage::{Lake, Relation, RelationKind};
use crate::{model, optimizer, table_functions};

pub use crate::dialect::{PG_TYPE, pg_type_of};
pub use builtin_sql::{ReportFile, View, report_files, views};
pub use client::{Client, Own};
pub use external::complete;
pub use guarded::{check_condition, check_mask};
pub use relations::{PlanView, UserViews};

/// The tables and views that are built into a schema, each with whether it is a view.
#[must_use]
pub fn built_in(schema: &str) -> Vec<(&'static str, bool)> {
    let tables = |tables: Vec<&'static model::Table>| tables.into_iter().map(|table| (table.name, false));
    match schema {
        SCHEMA => tables(model::tables()).chain(views().into_iter().map(|view| (view.name, true))).collect(),
        "system" => {
            let computed = system::all().into_iter().map(|table| (table.name(), false));
            tables(model::system_tables()).chain(computed).collect()
        }
        _ => Vec::new(),
    }
}

/// The tables and views that every session has in a schema, each with whether it is a view.
///
/// # Errors
/// When the lake cannot be read.
pub async fn relations(lake: &Lake, schema: &str) -> Result<Vec<(String, bool)>> {
    let mut all: Vec<_> = built_in(schema).into_iter().map(|(name, view)| (name.to_owned(), view)).collect();
    if schema == SCHEMA {
        let added = lake.relations().current().await?;
        let is_view = |relation: &Relation| matches!(relation.kind, RelationKind::View(_));
        all.extend(added.relations.iter().map(|(name, relation)| (name.clone(), is_view(relation))));
    }
    Ok(all)
}

/// The functions that read the lake, for which a privilege is needed.
#[must_use]
pub fn functions() -> Vec<&'static str> {
    let tables = table_functions::all().into_iter().map(|function| function.signature().name);
    tables.chain([optimizer::OWNER_OF]).collect()
}

/// Make the lake's tables, the built-in views and the system tables known to a session.
///
/// # Errors
/// When a schema cannot be registered, which is a defect of ours.
pub fn register(context: &SessionContext, lake: &Arc<Lake>, client: &Arc<Client>) -> Result<()> {
    let state = context.state_weak_ref();
    *client.lake.write() = Arc::downgrade(lake);
    let schemas = |asking: Asking| -> Result<MemoryCatalogProvider> {
        let catalog = MemoryCatalogProvider::new();
        let public = LakeSchema::public(lake, client, asking, state.clone());
        catalog.register_schema("public", Arc::new(public))?;
        let system = LakeSchema::system(lake, client, asking, state.clone());
        catalog.register_schema("system", Arc::new(system))?;
        pg_catalog::register(&catalog, client, &state)?;
        Ok(catalog)
    };
    if let Some(guard) = &client.guard {
        let list = |asking: Asking| -> Result<Arc<dyn CatalogProviderList>> {
            let list = MemoryCatalogProviderList::new();
            list.register_catalog(DATABASE.to_owned(), Arc::new(schemas(asking)?));
            Ok(Arc::new(list))
        };
        let rights = Rights::new(guard, list(Asking::Definer)?, list(Asking::Owner)?);
        context.state_ref().write().config_mut().set_extension(Arc::new(rights));
    }
    context.register_catalog(DATABASE, Arc::new(schemas(Asking::Role)?));
    pg_catalog::register_functions(context, client)?;
    Ok(())
}
