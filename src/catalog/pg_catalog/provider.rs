//! `pg_catalog` as a schema: its tables are computed when they are read.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use datafusion::catalog::{MemTable, SchemaProvider, TableProvider};
use datafusion::common::Result;
use datafusion::execution::SessionState;

use super::objects::{RELATIONS, oid};
use super::rows::{Seen, SeenColumn, columns_of, relkind, rows};
use super::tables;
use crate::catalog::{Client, Own};
use crate::config::{DATABASE, SCHEMA};
use crate::security::Rights;
use crate::storage::{Lake, RelationKind, StoredColumn};

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
        let mut relations = self.relations().await;
        let state = self.state.upgrade().map(|state| state.read().clone());
        let catalog = state.and_then(|state| state.catalog_list().catalog(DATABASE));
        let names = |schema: &str| {
            let names = catalog.as_ref().and_then(|catalog| catalog.schema(schema)).map(|schema| schema.table_names());
            names.into_iter().flatten().collect::<BTreeSet<_>>()
        };
        let (public, system) = (names("public"), names("system"));
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
                comment: None,
                external: false,
                columns,
            });
        }
        if let Some(state) = state {
            self.added_relations(&state, &mut seen).await;
        }
        seen
    }

    /// What the session has for itself, and what users have added to the lake: as it was when it was made, for to plan
    /// all views whenever somebody lists them would take its time.
    async fn added_relations(&self, state: &SessionState, seen: &mut Vec<Seen>) {
        let catalogs = state.catalog_list();
        let Some(schema) = catalogs.catalog(DATABASE).and_then(|catalog| catalog.schema(SCHEMA)) else { return };
        let lasting = match state.config().get_extension::<Lake>() {
            Some(lake) => lake.relations().current().await.unwrap_or_else(|_| lake.relations().known()),
            None => Arc::default(),
        };
        let own = self.client.own.read().clone();
        for name in schema.table_names() {
            if RELATIONS.iter().any(|known| known.schema == SCHEMA && known.name == name) {
                continue;
            }
            let relation = lasting.relations.get(&name).filter(|_| !own.contains_key(&name));
            let (kind, definition, columns) = match (own.get(&name), relation.map(|relation| &relation.kind)) {
                (Some(Own::Table(table)), _) => {
                    let definition = table.get_table_definition().map(str::to_owned);
                    (relkind(table.table_type()), definition, columns_of(&table.schema()))
                }
                (Some(Own::View(view)), _) | (None, Some(RelationKind::View(view))) => {
                    ("v", Some(view.query.clone()), columns_stored(view.shape.iter()))
                }
                (None, Some(kind @ RelationKind::External(_))) => ("r", None, columns_stored(kind.shape().into_iter())),
                (None, None) => continue,
            };
            seen.push(Seen {
                oid: oid("relation", SCHEMA, &name),
                schema: SCHEMA.to_owned(),
                kind,
                temporary: relation.is_none(),
                definition,
                comment: relation.and_then(|relation| relation.comment.clone()),
                external: relation.is_some() && kind == "r",
                columns,
                name,
            });
        }
    }
}

fn columns_stored<'a>(columns: impl Iterator<Item = &'a StoredColumn>) -> Vec<SeenColumn> {
    let fields: Vec<_> = columns.filter_map(|column| column.field().ok()).collect();
    columns_of(&Arc::new(datafusion::arrow::datatypes::Schema::new(fields)))
}

fn is_view(name: &str) -> bool {
    matches!(
        name,
        "pg_available_extensions"
            | "pg_cursors"
            | "pg_indexes"
            | "pg_locks"
            | "pg_matviews"
            | "pg_policies"
            | "pg_prepared_statements"
            | "pg_prepared_xacts"
            | "pg_publication_tables"
            | "pg_replication_slots"
            | "pg_roles"
            | "pg_rules"
            | "pg_seclabels"
            | "pg_sequences"
            | "pg_settings"
            | "pg_stats"
            | "pg_tables"
            | "pg_user"
            | "pg_user_mappings"
            | "pg_views"
    ) || name.starts_with("pg_stat_")
        || name.starts_with("pg_statio_")
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
