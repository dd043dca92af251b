//! Every connection of a server: how many there may be, how they are stopped, how they prove who they are.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::accept::Login;
use super::stop::{Reason, Stops};
use crate::catalog::client::Connections;
use crate::error::UserError;

/// Decides whether a client is who it says it is.
#[async_trait]
pub trait Authenticate: std::fmt::Debug + Send + Sync {
    /// Let the client in or not.
    ///
    /// # Errors
    /// When it is not let in, with what it is told.
    async fn authenticate(&self, login: &Login) -> Result<(), UserError>;

    /// Whether clients have to prove anything; only then may the server listen beyond the machine.
    fn protects(&self) -> bool;
}

/// Everybody is who they say they are.
#[derive(Debug)]
pub struct Trust;

#[async_trait]
impl Authenticate for Trust {
    async fn authenticate(&self, _: &Login) -> Result<(), UserError> {
        Ok(())
    }

    fn protects(&self) -> bool {
        false
    }
}

/// Every connection of a server.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) connections: Arc<Connections>,
    pub(crate) authentication: Box<dyn Authenticate>,
    stops: Mutex<HashMap<i32, (i32, Arc<Stops>)>>,
    next: AtomicI32,
    most: usize,
    closing: AtomicBool,
}

/// The place of one connection, given back when it ends.
pub(crate) struct Place {
    pub(crate) pid: i32,
    pub(crate) secret: i32,
    pub(crate) stops: Arc<Stops>,
    registry: Arc<Registry>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.registry.stops.lock().remove(&self.pid);
        self.registry.connections.write().remove(&self.pid);
    }
}

impl Registry {
    pub(crate) fn new(most: usize, authentication: Box<dyn Authenticate>) -> Arc<Self> {
        Arc::new(Self {
            connections: Arc::default(),
            authentication,
            stops: Mutex::default(),
            next: AtomicI32::new(1),
            most,
            closing: AtomicBool::new(false),
        })
    }

    /// A place for a new connection.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Place, UserError> {
        let mut stops = self.stops.lock();
        if stops.len() >= self.most {
            return Err(UserError::new("53300", "sorry, too many clients already"));
        }
        if self.closing() {
            return Err(UserError::new("57P03", "the database system is shutting down"));
        }
        let pid = self.next.fetch_add(1, Ordering::Relaxed) & i32::MAX;
        // The keys of this hasher come from the operating system, so that nobody can guess the secret.
        let secret = std::hash::RandomState::new().hash_one(pid);
        let secret =
            i32::from_ne_bytes([0, 1, 2, 3].map(|at: usize| secret.to_ne_bytes().get(at).copied().unwrap_or(0)));
        let own = Arc::new(Stops::default());
        stops.insert(pid, (secret, Arc::clone(&own)));
        Ok(Place { pid, secret, stops: own, registry: Arc::clone(self) })
    }

    /// Stop what a connection runs, if the secret is its own.
    pub(crate) fn cancel(&self, pid: i32, secret: &[u8]) {
        if let Some((own, stops)) = self.stops.lock().get(&pid)
            && own.to_be_bytes() == *secret
        {
            stops.stop(Reason::Cancelled);
        }
    }

    /// End every connection.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        for (_, stops) in self.stops.lock().values() {
            stops.stop(Reason::Terminated);
        }
    }

    pub(crate) fn closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }
}
