//! Who is asking: the connection that a session belongs to, and the list of all connections.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use parking_lot::RwLock;

use super::settings::Settings;
use crate::security::Guard;

/// What `pg_stat_activity` shows of one connection.
#[derive(Debug, Clone, Default)]
pub struct Activity {
    /// User name.
    pub user: String,
    /// `application_name`.
    pub application: String,
    /// Address of the client.
    pub address: Option<String>,
    /// Microseconds since the epoch.
    pub connected_at: i64,
    /// Microseconds since the epoch; the newest statement's start.
    pub query_at: Option<i64>,
    /// The newest statement.
    pub query: String,
    /// active, idle, idle in transaction, idle in transaction (aborted).
    pub state: &'static str,
}

/// Every connection of a server, by its process number.
pub type Connections = RwLock<BTreeMap<i32, Activity>>;

/// The connection that a session belongs to; a session without one is an embedding program's own.
#[derive(Debug, Default)]
pub struct Client {
    /// The process number that the client was told.
    pub pid: i32,
    /// User name; empty in an embedding program.
    pub user: String,
    /// What it may do; none where nobody is guarded against.
    pub guard: Option<Arc<Guard>>,
    /// Settings.
    pub settings: Settings,
    /// All connections of the server.
    pub connections: Arc<Connections>,
    /// Inside of a transaction, the tables at the versions at which it has read them; none outside.
    pub snapshot: RwLock<Option<BTreeMap<String, Arc<dyn TableProvider>>>>,
    /// What the session has in schema `public` for itself.
    pub own: RwLock<BTreeMap<String, Arc<dyn TableProvider>>>,
}

impl Client {
    /// From now on every table is read at the version at which it is read first.
    pub fn pin(&self) {
        *self.snapshot.write() = Some(BTreeMap::new());
    }

    /// The newest versions again.
    pub fn unpin(&self) {
        *self.snapshot.write() = None;
    }

    /// A table as this transaction has read it before.
    #[must_use]
    pub fn pinned(&self, table: &str) -> Option<Arc<dyn TableProvider>> {
        self.snapshot.read().as_ref()?.get(table).cloned()
    }

    /// Keep a table as it was read, if a transaction is open.
    pub fn keep(&self, table: &str, provider: &Arc<dyn TableProvider>) {
        if let Some(pinned) = self.snapshot.write().as_mut() {
            pinned.insert(table.to_owned(), Arc::clone(provider));
        }
    }

    /// User name.
    #[must_use]
    pub fn user(&self) -> &str {
        if self.user.is_empty() { "ascribe" } else { &self.user }
    }
}
