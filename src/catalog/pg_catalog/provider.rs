//! `pg_catalog` as a schema: its tables are computed when they are read.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use datafusion::catalog::{MemTable, SchemaProvider, TableProvider};
use datafusion::common::Result;
use datafusion::execution::SessionState;

use super::objects::{RELATIONS, oid};
use super::rows::{Seen, columns_of, relkind, rows};
use super::tables;
use crate::catalog::Client;
use crate::security::Rights;

type StateRef = Weak<parking_lot::RwLock<SessionState>>;

/// The schema.
pub(in crate::catalog) struct PgCatalog {
    client: Arc<Client>,
    state: StateRef,
}

impl fmt::Debug for PgCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgCatalog").finish_non_exhaustive()
    }
}

impl PgCatalog {
    pub(in crate::catalog) fn new(client: &Arc<Client>, state: StateRef) -> Self {
        Self { client: Arc::clone(client), state }
    }

    /// The relations whose names the role sees.
    pub(super) async fn visible_relations(&self) -> Vec<Seen> {
        let state = self.state.upgrade().map(|state| state.read().clone());
        let catalog = state.and_then(|state| state.catalog_list().catalog(crate::config::DATABASE));
        let names = |schema: &str| {
            let names = catalog.as_ref().and_then(|catalog| catalog.schema(schema)).map(|schema| schema.table_names());
            names.into_iter().flatten().collect::<BTreeSet<_>>()
        };
        let (public, system) = (names("public"), names("system"));
        let mut relations = self.relations().await;
        relations.retain(|relation| match relation.schema.as_str() {
            "public" => public.contains(&relation.name),
            "system" => system.contains(&relation.name),
            _ => true,
        });
        relations
    }

    /// Every relation that the session sees.
    async fn relations(&self) -> Vec<Seen> {
        let state = self.state.upgrade().map(|state| state.read().clone());
        // What a view is made of is told to those too who may not read it, as in PostgreSQL.
        let definer = state.as_ref().map(Rights::definer);
        let mut seen = Vec::new();
        for relation in RELATIONS.iter() {
            let columns = match &relation.columns {
                Some(columns) => {
                    let fields: Vec<_> = columns
                        .iter()
                        .map(|column| datafusion::arrow::datatypes::Field::new(column.name, (column.data_type)(), true))
                        .collect();
                    columns_of(&Arc::new(datafusion::arrow::datatypes::Schema::new(fields)))
                }
                None => match (tables::find(relation.name), relation.view, &definer) {
                    (Some(table), None, _) => columns_of(&table.schema()),
                    (_, Some(sql), Some(state)) => match state.create_logical_plan(sql).await {
                        Ok(plan) => columns_of(plan.schema().inner()),
                        Err(_) => Vec::new(),
                    },
                    _ => Vec::new(),
                },
            };
            seen.push(Seen {
                oid: relation.oid,
                schema: relation.schema.to_owned(),
                name: relation.name.to_owned(),
                kind: if relation.view.is_some() || (relation.schema == "pg_catalog" && is_view(relation.name)) {
                    "v"
                } else {
                    "r"
                },
                temporary: false,
                definition: relation.view.map(str::to_owned),
                columns,
            });
        }
        if let Some(state) = state {
            own_relations(&state, &mut seen).await;
        }
        seen
    }
}

fn is_view(name: &str) -> bool {
    matches!(
        name,
        "pg_roles"
            | "pg_user"
            | "pg_settings"
            | "pg_tables"
            | "pg_views"
            | "pg_matviews"
            | "pg_policies"
            | "pg_indexes"
            | "pg_sequences"
            | "pg_locks"
    ) || name.starts_with("pg_stat_")
}

/// What the session made itself.
async fn own_relations(state: &SessionState, seen: &mut Vec<Seen>) {
    let catalogs = state.catalog_list();
    let Some(schema) = catalogs.catalog(crate::config::DATABASE).and_then(|catalog| catalog.schema("public")) else {
        return;
    };
    for name in schema.table_names() {
        if RELATIONS.iter().any(|known| known.schema == "public" && known.name == name) {
            continue;
        }
        if let Ok(Some(table)) = schema.table(&name).await {
            seen.push(Seen {
                oid: oid("relation", "public", &name),
                schema: "public".to_owned(),
                name,
                kind: relkind(table.table_type()),
                temporary: true,
                definition: table.get_table_definition().map(str::to_owned),
                columns: columns_of(&table.schema()),
            });
        }
    }
}

#[async_trait]
impl SchemaProvider for PgCatalog {
    fn table_names(&self) -> Vec<String> {
        tables::all().map(|table| table.name.to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(table) = tables::find(name) else { return Ok(None) };
        let relations = match name {
            "pg_class" | "pg_attribute" | "pg_description" | "pg_tables" | "pg_views" => self.relations().await,
            _ => Vec::new(),
        };
        let batch = table.batch(&rows(name, &relations, &self.client))?;
        Ok(Some(Arc::new(MemTable::try_new(table.schema(), vec![vec![batch]])?)))
    }

    fn table_exist(&self, name: &str) -> bool {
        tables::find(name).is_some()
    }
}
