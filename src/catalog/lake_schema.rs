//! A schema of the lake: every lookup sees the newest committed state.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, RwLock, Weak};

use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result, exec_err};
use datafusion::datasource::ViewTable;
use datafusion::execution::SessionState;

use super::Client;
use super::builtin_sql::View;
use super::lake_table::LakeTable;
use super::system::SystemTable;
use crate::error::Error;
use crate::model::Table;
use crate::operators::asof_join;
use crate::storage::Lake;

// The engine hands out its state behind this kind of lock.
type StateRef = Weak<parking_lot::RwLock<SessionState>>;

/// A schema of stored tables, built-in views, computed tables, and what the session itself registers.
pub(super) struct LakeSchema {
    lake: Arc<Lake>,
    tables: Vec<&'static Table>,
    views: Vec<View>,
    computed: Vec<&'static dyn SystemTable>,
    own: RwLock<BTreeMap<String, Arc<dyn TableProvider>>>,
    client: Arc<Client>,
    state: StateRef,
}

impl fmt::Debug for LakeSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LakeSchema").field("lake", &self.lake.url().as_str()).finish_non_exhaustive()
    }
}

impl LakeSchema {
    pub(super) fn new(
        lake: &Arc<Lake>,
        tables: Vec<&'static Table>,
        views: Vec<View>,
        computed: Vec<&'static dyn SystemTable>,
        client: &Arc<Client>,
        state: StateRef,
    ) -> Self {
        let client = Arc::clone(client);
        Self { lake: Arc::clone(lake), tables, views, computed, own: RwLock::default(), client, state }
    }

    fn own(&self, name: &str) -> Option<Arc<dyn TableProvider>> {
        self.own.read().ok()?.get(name).cloned()
    }

    async fn view(&self, view: &View) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(state) = self.state.upgrade().map(|state| state.read().clone()) else { return Ok(None) };
        let plan = asof_join::plan(&state, view.sql).await?;
        Ok(Some(Arc::new(ViewTable::new(plan, Some(view.sql.to_owned())))))
    }
}

/// An error of the lake in the engine's clothes.
fn engine_error(error: Error) -> DataFusionError {
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
        if let Ok(own) = self.own.read() {
            names.extend(own.keys().cloned());
        }
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(own) = self.own(name) {
            return Ok(Some(own));
        }
        if let Some(table) = self.tables.iter().find(|table| table.name == name) {
            if let Some(pinned) = self.client.pinned(table.name) {
                return Ok(Some(pinned));
            }
            let provider: Arc<dyn TableProvider> =
                Arc::new(LakeTable::open(&self.lake, table).await.map_err(engine_error)?);
            self.client.keep(table.name, &provider);
            return Ok(Some(provider));
        }
        if let Some(view) = self.views.iter().find(|view| view.name == name) {
            return self.view(view).await;
        }
        if let Some(computed) = self.computed.iter().find(|table| table.name() == name) {
            return Ok(Some(computed.provider(&self.lake).await.map_err(engine_error)?));
        }
        Ok(None)
    }

    fn register_table(&self, name: String, table: Arc<dyn TableProvider>) -> Result<Option<Arc<dyn TableProvider>>> {
        let built_in = self.tables.iter().any(|known| known.name == name)
            || self.views.iter().any(|view| view.name == name)
            || self.computed.iter().any(|known| known.name() == name);
        if built_in || self.own(&name).is_some() {
            return exec_err!("relation \"{name}\" already exists");
        }
        match self.own.write() {
            Ok(mut own) => Ok(own.insert(name, table)),
            Err(_) => exec_err!("the session's own tables are lost"),
        }
    }

    fn deregister_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.own.write() {
            Ok(mut own) => Ok(own.remove(name)),
            Err(_) => exec_err!("the session's own tables are lost"),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.table_names().iter().any(|known| known == name)
    }
}
