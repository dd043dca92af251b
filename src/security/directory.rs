//! Where the state is kept: numbered documents below `security/` of the lake, of which the newest holds. A document is
//! made only if its number is free, so that of two writers at once one has to look again; none is ever changed, so that
//! they are the history of who granted what.

use std::sync::Arc;
use std::time::Instant;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use parking_lot::RwLock;
use tokio::sync::Mutex;

use super::State;
use crate::clock::Clock;
use crate::config;
use crate::error::{Result, UserError, sqlstate};

const FOLDER: &str = "security";

#[derive(Debug, Default)]
struct Known {
    version: u64,
    looked: Option<Instant>,
}

/// The state of a lake.
#[derive(Debug)]
pub struct Directory {
    store: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
    state: RwLock<Arc<State>>,
}

impl Directory {
    /// The state kept in an object store whose root is that of the lake.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { store, clock, known: Mutex::default(), state: RwLock::default() })
    }

    /// The clock of the lake.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The state as it was read last.
    #[must_use]
    pub fn known(&self) -> Arc<State> {
        Arc::clone(&self.state.read())
    }

    /// The state, as of [`config::ROLES_FRESH`] ago at most.
    ///
    /// # Errors
    /// When the object store cannot be read.
    pub async fn current(&self) -> Result<Arc<State>> {
        let mut known = self.known.lock().await;
        if known.looked.is_none_or(|looked| looked.elapsed() >= config::ROLES_FRESH) {
            self.look(&mut known).await?;
        }
        Ok(self.known())
    }

    async fn look(&self, known: &mut Known) -> Result<()> {
        let folder = Path::from(FOLDER);
        let since = path_of(known.version);
        let found: Vec<u64> = self
            .store
            .list_with_offset(Some(&folder), &since)
            .try_filter_map(|meta| std::future::ready(Ok(version_of(&meta.location))))
            .try_collect()
            .await?;
        let newest = found.into_iter().filter(|version| *version > known.version).max();
        if let Some(version) = newest {
            let bytes = self.store.get(&path_of(version)).await?.bytes().await?;
            let state: State = serde_json::from_slice(&bytes).map_err(|error| {
                UserError::new(sqlstate::INTERNAL, format!("{} cannot be read", path_of(version)))
                    .detail(error.to_string())
            })?;
            *self.state.write() = Arc::new(state);
            known.version = version;
        }
        known.looked = Some(Instant::now());
        Ok(())
    }

    /// Change the newest state. `change` may be called more than once, each time with a newer state.
    ///
    /// # Errors
    /// What `change` returns, or when the object store cannot be written.
    pub async fn change<T>(&self, by: &str, change: impl Fn(&mut State) -> Result<T> + Send) -> Result<T> {
        let mut known = self.known.lock().await;
        for _ in 0..config::COMMIT_RETRIES {
            self.look(&mut known).await?;
            let mut state = State::clone(&self.known());
            if state.secret.is_empty() {
                state.secret = hex::encode(super::scram::random::<32>()?);
            }
            let done = change(&mut state)?;
            by.clone_into(&mut state.changed_by);
            state.changed_at = self.clock.now_micros();
            let text = serde_json::to_vec_pretty(&state)
                .map_err(|error| UserError::new(sqlstate::INTERNAL, error.to_string()))?;
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            match self.store.put_opts(&path_of(known.version + 1), text.into(), options).await {
                Ok(_) => {
                    known.version += 1;
                    *self.state.write() = Arc::new(state);
                    return Ok(done);
                }
                Err(object_store::Error::AlreadyExists { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(UserError::new(sqlstate::CONFLICT, "others were faster in changing roles, again and again").into())
    }
}

fn path_of(version: u64) -> Path {
    Path::from(format!("{FOLDER}/{version:020}.json"))
}

fn version_of(path: &Path) -> Option<u64> {
    path.filename()?.strip_suffix(".json")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::security::Role;

    #[tokio::test]
    async fn two_nodes_lose_no_change_and_see_each_others() {
        let store: Arc<dyn ObjectStore> = Arc::new(object_store::memory::InMemory::new());
        let node = || Directory::new(Arc::clone(&store), ManualClock::at(7));
        let (one, two) = (node(), node());
        let add = |node: Arc<Directory>, name: String| async move {
            let made = node.change("ada", |state| {
                state.roles.insert(name.clone(), Role::default());
                Ok(state.roles.len())
            });
            made.await.unwrap()
        };
        let tasks = (0..10).map(|at| add(if at % 2 == 0 { one.clone() } else { two.clone() }, format!("r{at}")));
        let mut counts = futures::future::join_all(tasks).await;
        counts.sort_unstable();
        assert_eq!(counts, (1..=10).collect::<Vec<_>>());
        let third = node();
        let state = third.current().await.unwrap();
        assert_eq!(state.roles.len(), 10);
        assert_eq!((state.changed_by.as_str(), state.changed_at, state.secret.len()), ("ada", 7, 64));
    }
}
