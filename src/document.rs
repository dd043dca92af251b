//! What a lake remembers beside its tables: numbered documents in a folder of the object store, of which the newest holds.
//! A document is made only if its number is free, so that of two writers at once one has to look again; none is ever
//! changed, so that they are the history of who changed what.

use std::sync::Arc;
use std::time::Instant;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use parking_lot::RwLock;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use crate::config;
use crate::error::{Result, UserError, sqlstate};

#[derive(Debug, Default)]
struct Known {
    version: u64,
    looked: Option<Instant>,
}

/// The documents of a folder. Before the first one is written its content is the default.
#[derive(Debug)]
pub struct Document<T> {
    store: Arc<dyn ObjectStore>,
    folder: &'static str,
    known: Mutex<Known>,
    content: RwLock<Arc<T>>,
}

impl<T: Clone + Default + Serialize + DeserializeOwned + Send + Sync> Document<T> {
    /// The documents of a folder in an object store whose root is that of the lake.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, folder: &'static str) -> Self {
        Self { store, folder, known: Mutex::default(), content: RwLock::default() }
    }

    /// The content as it was read last.
    #[must_use]
    pub fn known(&self) -> Arc<T> {
        Arc::clone(&self.content.read())
    }

    /// The content, as of [`config::DOCUMENT_FRESH`] ago at most.
    ///
    /// # Errors
    /// When the object store cannot be read.
    pub async fn current(&self) -> Result<Arc<T>> {
        let mut known = self.known.lock().await;
        if known.looked.is_none_or(|looked| looked.elapsed() >= config::DOCUMENT_FRESH) {
            self.look(&mut known).await?;
        }
        Ok(self.known())
    }

    /// The content as it is now, for whoever misses something in the known one.
    ///
    /// # Errors
    /// When the object store cannot be read.
    pub async fn newest(&self) -> Result<Arc<T>> {
        self.look(&mut *self.known.lock().await).await?;
        Ok(self.known())
    }

    async fn look(&self, known: &mut Known) -> Result<()> {
        let folder = Path::from(self.folder);
        let since = self.path_of(known.version);
        let found: Vec<u64> = self
            .store
            .list_with_offset(Some(&folder), &since)
            .try_filter_map(|meta| std::future::ready(Ok(version_of(&meta.location))))
            .try_collect()
            .await?;
        let newest = found.into_iter().filter(|version| *version > known.version).max();
        if let Some(version) = newest {
            let path = self.path_of(version);
            let bytes = self.store.get(&path).await?.bytes().await?;
            let content: T = serde_json::from_slice(&bytes).map_err(|error| {
                UserError::new(sqlstate::INTERNAL, format!("{path} cannot be read")).detail(error.to_string())
            })?;
            *self.content.write() = Arc::new(content);
            known.version = version;
        }
        known.looked = Some(Instant::now());
        Ok(())
    }

    /// Change the newest content. `change` may be called more than once, each time with a newer content.
    ///
    /// # Errors
    /// What `change` returns, or when the object store cannot be written.
    pub async fn change<R>(&self, change: impl Fn(&mut T) -> Result<R> + Send) -> Result<R> {
        let mut known = self.known.lock().await;
        for _ in 0..config::COMMIT_RETRIES {
            self.look(&mut known).await?;
            let mut content = T::clone(&self.known());
            let done = change(&mut content)?;
            let text = serde_json::to_vec_pretty(&content)
                .map_err(|error| UserError::new(sqlstate::INTERNAL, error.to_string()))?;
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            match self.store.put_opts(&self.path_of(known.version + 1), text.into(), options).await {
                Ok(_) => {
                    known.version += 1;
                    *self.content.write() = Arc::new(content);
                    return Ok(done);
                }
                Err(object_store::Error::AlreadyExists { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let message = format!("others were faster in changing {}/ of the lake, again and again", self.folder);
        Err(UserError::new(sqlstate::CONFLICT, message).into())
    }

    fn path_of(&self, version: u64) -> Path {
        Path::from(format!("{}/{version:020}.json", self.folder))
    }
}

fn version_of(path: &Path) -> Option<u64> {
    path.filename()?.strip_suffix(".json")?.parse().ok()
}
