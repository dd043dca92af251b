//! Who is asking: the connection that a session belongs to, and the list of all connections.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};

use datafusion::catalog::TableProvider;
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::settings::Settings;
use crate::config;
use crate::security::Guard;
use crate::storage::{Lake, Relation, RelationKind, UserView};

/// How a connection is stopped by others.
pub trait Stop: std::fmt::Debug + Send + Sync {
    /// End the statement that it runs, if it runs one.
    fn cancel(&self);

    /// End the connection.
    fn terminate(&self);
}

/// What `pg_stat_activity` shows of one connection, and what ends it.
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
    /// What stops it; none if nobody can.
    pub stop: Option<Arc<dyn Stop>>,
}

/// A statement that has ended.
#[derive(Debug, Clone, Default)]
pub struct Ended {
    /// Process number of the connection.
    pub pid: i32,
    /// Who asked.
    pub role: String,
    /// `application_name`.
    pub application: String,
    /// Address of the client.
    pub address: Option<String>,
    /// The statement, without passwords.
    pub statement: String,
    /// Microseconds since the epoch.
    pub started_at: i64,
    /// Microseconds.
    pub duration_micros: i64,
    /// Rows that were sent or written.
    pub rows: Option<i64>,
    /// How it ended.
    pub sqlstate: String,
    /// The most memory of its session, bytes.
    pub peak_memory: i64,
}

/// The connections of a server, and what they asked lately.
#[derive(Debug, Default)]
pub struct Connections {
    open: RwLock<BTreeMap<i32, Activity>>,
    ended: Mutex<VecDeque<Ended>>,
}

impl Connections {
    /// Every connection, by its process number.
    pub fn read(&self) -> RwLockReadGuard<'_, BTreeMap<i32, Activity>> {
        self.open.read()
    }

    /// The same, to be changed.
    pub fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<i32, Activity>> {
        self.open.write()
    }

    /// A statement has ended.
    pub fn end(&self, ended: Ended) {
        let mut kept = self.ended.lock();
        if kept.len() >= config::ENDED_QUERIES {
            kept.pop_front();
        }
        kept.push_back(ended);
    }

    /// The last [`config::ENDED_QUERIES`] statements that have ended, the oldest first.
    #[must_use]
    pub fn ended(&self) -> Vec<Ended> {
        self.ended.lock().iter().cloned().collect()
    }
}

/// Tables as they were read, by schema and name.
pub type Snapshot = BTreeMap<(&'static str, String), Arc<dyn TableProvider>>;

/// What a session has for itself.
#[derive(Debug, Clone)]
pub enum Own {
    /// What an embedding program, or COPY, has registered.
    Table(Arc<dyn TableProvider>),
    /// A temporary view, planned by each statement that names it, with the rights of its role.
    View(UserView),
}

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
    pub snapshot: RwLock<Option<Snapshot>>,
    /// What the session has in schema `public` for itself.
    pub own: RwLock<BTreeMap<String, Own>>,
    /// The lake of the session, once it has one.
    pub lake: RwLock<Weak<Lake>>,
}

/// A relation that is not built in.
pub(super) struct Added {
    pub(super) name: String,
    /// What it is in the lake; none if it is the session's own.
    pub(super) relation: Option<Relation>,
    /// The query, if it is a view.
    pub(super) query: Option<String>,
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
    pub fn pinned(&self, schema: &'static str, table: &str) -> Option<Arc<dyn TableProvider>> {
        self.snapshot.read().as_ref()?.get(&(schema, table.to_owned())).cloned()
    }

    /// Keep a table as it was read, if a transaction is open.
    pub fn keep(&self, schema: &'static str, table: &str, provider: &Arc<dyn TableProvider>) {
        if let Some(pinned) = self.snapshot.write().as_mut() {
            pinned.insert((schema, table.to_owned()), Arc::clone(provider));
        }
    }

    /// What the session has for itself and what users have added to the lake, as far as it is known: the first that fits.
    pub(super) fn added(&self, fits: impl Fn(&str) -> bool) -> Option<Added> {
        if let Some((name, own)) = self.own.read().iter().find(|(name, _)| fits(name)) {
            let query = match own {
                Own::Table(table) => table.get_table_definition().map(str::to_owned),
                Own::View(view) => Some(view.query.clone()),
            };
            return Some(Added { name: name.clone(), relation: None, query });
        }
        let known = self.lake.read().upgrade()?.relations().known();
        let (name, relation) = known.relations.iter().find(|(name, _)| fits(name))?;
        let query = match &relation.kind {
            RelationKind::View(view) => Some(view.query.clone()),
            RelationKind::External(_) => None,
        };
        Some(Added { name: name.clone(), relation: Some(relation.clone()), query })
    }

    /// User name.
    #[must_use]
    pub fn user(&self) -> &str {
        if self.user.is_empty() { "ascribe" } else { &self.user }
    }
}
