//! Every connection of a server: how many there may be, and how they are stopped.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use parking_lot::Mutex;

use super::stop::{Reason, Stops};
use crate::catalog::client::Connections;
use crate::error::UserError;

/// Every connection of a server.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) connections: Arc<Connections>,
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
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            connections: Arc::default(),
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
