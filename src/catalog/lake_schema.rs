//! A schema of the lake: every lookup sees the newest committed state.

use std::fmt;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result, exec_err};
use datafusion::datasource::ViewTable;
use datafusion::execution::SessionState;

use super::builtin_sql::View;
use super::guarded::{self, Asking, Name};
use super::lake_table::LakeTable;
use super::system::SystemTable;
use super::{Client, Own};
use super::{external, relations};
use crate::config::SCHEMA;
use crate::error::Error;
use crate::model::{self, Table};
use crate::operators::asof_join;
use crate::storage::{Lake, Relation, RelationKind};

// The engine hands out its state behind this kind of lock.
type StateRef = Weak<parking_lot::RwLock<SessionState>>;

/// A schema of stored tables, built-in views, computed tables, what users have added, and what the session has for itself.
pub(super) struct LakeSchema {
    name: &'static str,
    lake: Arc<Lake>,
    tables: Vec<&'static Table>,
    views: Vec<View>,
    computed: Vec<&'static dyn SystemTable>,
    asking: Asking,
    client: Arc<Client>,
    state: StateRef,
}

impl fmt::Debug for LakeSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LakeSchema").field("lake", &self.lake.url().as_str()).finish_non_exhaustive()
    }
}

impl LakeSchema {
    /// Schema `public`, looked up with somebody's rights.
    pub(super) fn public(lake: &Arc<Lake>, client: &Arc<Client>, asking: Asking, state: StateRef) -> Self {
        Self {
            name: "public",
            lake: Arc::clone(lake),
            tables: model::tables(),
            views: super::views(),
            computed: Vec::new(),
            asking,
            client: Arc::clone(client),
            state,
        }
    }

    /// Schema `system`.
    pub(super) fn system(lake: &Arc<Lake>, client: &Arc<Client>, asking: Asking, state: StateRef) -> Self {
        Self {
            name: "system",
            tables: model::system_tables(),
            views: Vec::new(),
            computed: super::system::all(),
            ..Self::public(lake, client, asking, state)
        }
    }

    /// What the session has for itself; nothing built in and no view of others finds it.
    fn own(&self, name: &str) -> Option<Own> {
        if self.has_own() { self.client.own.read().get(name).cloned() } else { None }
    }

    fn has_own(&self) -> bool {
        self.asking == Asking::Role && self.name == SCHEMA
    }

    /// What users have added to the lake.
    async fn added(&self, name: &str) -> Result<Option<Relation>> {
        if self.name != SCHEMA {
            return Ok(None);
        }
        let documents = self.lake.relations();
        if let Some(known) = documents.current().await.map_err(engine_error)?.relations.get(name) {
            return Ok(Some(known.clone()));
        }
        // Another node may just have made it.
        Ok(documents.newest().await.map_err(engine_error)?.relations.get(name).cloned())
    }

    async fn opened(&self, name: &str, relation: &Relation) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(state) = self.session() else { return Ok(None) };
        let external = match &relation.kind {
            RelationKind::View(view) => {
                let state = relations::session_of(&state, self.asking);
                return relations::planned(state, name, view).await.map(Some);
            }
            RelationKind::External(external) => external,
        };
        if let Some(pinned) = self.client.pinned(self.name, name) {
            return Ok(Some(pinned));
        }
        let provider = external::open(&state, &self.lake, name, external).await.map_err(engine_error)?;
        self.client.keep(self.name, name, &provider);
        Ok(Some(provider))
    }

    fn session(&self) -> Option<SessionState> {
        self.state.upgrade().map(|state| state.read().clone())
    }

    async fn view(&self, view: &View) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(state) = self.session() else { return Ok(None) };
        let plan = asof_join::plan(&relations::session_of(&state, self.asking), view.sql).await?;
        Ok(Some(Arc::new(ViewTable::new(plan, Some(view.sql.to_owned())))))
    }

    /// What is behind a name, whoever asks.
    async fn found(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(table) = self.tables.iter().find(|table| table.name == name) {
            if let Some(pinned) = self.client.pinned(self.name, table.name) {
                return Ok(Some(pinned));
            }
            let provider: Arc<dyn TableProvider> =
                Arc::new(LakeTable::open(&self.lake, table).await.map_err(engine_error)?);
            self.client.keep(self.name, table.name, &provider);
            return Ok(Some(provider));
        }
        if let Some(view) = self.views.iter().find(|view| view.name == name) {
            return self.view(view).await;
        }
        if let Some(computed) = self.computed.iter().find(|table| table.name() == name) {
            return Ok(Some(computed.provider(&self.lake, &self.client).await.map_err(engine_error)?));
        }
        Ok(None)
    }

    fn is_built_in(&self, name: &str) -> bool {
        self.tables.iter().any(|known| known.name == name)
            || self.views.iter().any(|view| view.name == name)
            || self.computed.iter().any(|known| known.name() == name)
    }
}

/// An error of the lake in the engine's clothes.
pub(super) fn engine_error(error: Error) -> DataFusionError {
    match error {
        Error::Engine(inner) => inner,
        other => DataFusionError::External(Box::new(other)),
    }
}

#[async_trait]
impl SchemaProvider for LakeSchema {
    fn table_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.tables.iter().map(|table| table.name.to_owned()).collect();
        names.extend(self.views.iter().map(|view| view.name.to_owned()));
        names.extend(self.computed.iter().map(|table| table.name().to_owned()));
        if self.name == SCHEMA {
            names.extend(self.lake.relations().known().relations.keys().cloned());
        }
        if let Some(guard) = &self.client.guard {
            names = guarded::visible(guard, self.asking, self.name, names);
        }
        if self.has_own() {
            names.extend(self.client.own.read().keys().cloned());
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.own(name) {
            Some(Own::Table(table)) => return Ok(Some(table)),
            Some(Own::View(view)) => {
                let Some(state) = self.session() else { return Ok(None) };
                return relations::planned(state, name, &view).await.map(Some);
            }
            None => {}
        }
        let added = if self.is_built_in(name) { None } else { self.added(name).await? };
        if added.is_none() && !self.is_built_in(name) {
            return Ok(None);
        }
        let full = Name { schema: self.name, name };
        let access = match &self.client.guard {
            Some(guard) => guarded::admitted(guard, self.asking, full).await?,
            None => None,
        };
        let found = match &added {
            Some(relation) => self.opened(name, relation).await?,
            None => self.found(name).await?,
        };
        Ok(match (found, access, &self.client.guard) {
            (Some(found), Some(access), Some(guard)) => {
                Some(guarded::guarded(found, guard, &access, self.asking, full))
            }
            (found, ..) => found,
        })
    }

    fn register_table(&self, name: String, table: Arc<dyn TableProvider>) -> Result<Option<Arc<dyn TableProvider>>> {
        if !self.has_own() || self.table_exist(&name) {
            return exec_err!("relation \"{name}\" already exists");
        }
        self.client.own.write().insert(name, Own::Table(table));
        Ok(None)
    }

    fn deregister_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match if self.has_own() { self.client.own.write().remove(name) } else { None } {
            Some(Own::Table(table)) => Ok(Some(table)),
            Some(Own::View(_)) | None => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        let added = || self.name == SCHEMA && self.lake.relations().known().relations.contains_key(name);
        self.is_built_in(name) || self.own(name).is_some() || added()
    }
}
