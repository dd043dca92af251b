//! Where the state is kept: documents below `security/` of the lake.

use std::sync::Arc;

use object_store::ObjectStore;

use super::State;
use crate::clock::Clock;
use crate::document::Document;
use crate::error::Result;

/// The state of a lake.
#[derive(Debug)]
pub struct Directory {
    document: Document<State>,
    clock: Arc<dyn Clock>,
}

impl Directory {
    /// The state kept in an object store whose root is that of the lake.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { document: Document::new(store, "security"), clock })
    }

    /// The clock of the lake.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The state as it was read last.
    #[must_use]
    pub fn known(&self) -> Arc<State> {
        self.document.known()
    }

    /// The state, as of [`crate::config::DOCUMENT_FRESH`] ago at most.
    ///
    /// # Errors
    /// When the object store cannot be read.
    pub async fn current(&self) -> Result<Arc<State>> {
        self.document.current().await
    }

    /// Change the newest state. `change` may be called more than once, each time with a newer state.
    ///
    /// # Errors
    /// What `change` returns, or when the object store cannot be written.
    pub async fn change<T>(&self, by: &str, change: impl Fn(&mut State) -> Result<T> + Send + Sync) -> Result<T> {
        let changed = |state: &mut State| {
            if state.secret.is_empty() {
                state.secret = hex::encode(super::scram::random::<32>()?);
            }
            let done = change(state)?;
            by.clone_into(&mut state.changed_by);
            state.changed_at = self.clock.now_micros();
            Ok(done)
        };
        self.document.change(changed).await
    }
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
