//! Upkeep of a table's log: checkpoints, and the removal of entries that nobody needs any more.

use deltalake::protocol::checkpoints::{cleanup_expired_logs_for, create_checkpoint};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde_json::Value;

use super::Lake;
use crate::error::Result;
use crate::model::Table;

/// What was done to a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Whether a checkpoint was written.
    pub checkpoint: bool,
    /// Entries removed.
    pub cleaned: u64,
}

impl Lake {
    /// Write a checkpoint when `commits` were made since the last one, and remove log entries before a checkpoint that
    /// are older than `before_ms` (milliseconds since the epoch, by the object store's clock).
    ///
    /// # Errors
    /// When the object store fails.
    pub async fn keep_log(&self, table: &'static Table, commits: u64, before_ms: i64) -> Result<Upkeep> {
        let mut done = Upkeep::default();
        let Some(delta) = self.snapshot(table).await? else { return Ok(done) };
        let Some(version) = delta.version() else { return Ok(done) };
        let since = version.saturating_sub(self.checkpoint_version(table).await?.unwrap_or_default());
        if since >= commits.max(1) {
            create_checkpoint(&delta, None).await?;
            done.checkpoint = true;
        }
        let cleaned = cleanup_expired_logs_for(version, delta.log_store().as_ref(), before_ms, None).await?;
        done.cleaned = cleaned as u64;
        Ok(done)
    }

    /// Write a checkpoint of the newest version, and tell which that is; none before the first write.
    ///
    /// # Errors
    /// When the object store fails.
    pub async fn checkpoint(&self, table: &'static Table) -> Result<Option<u64>> {
        let Some(delta) = self.snapshot(table).await? else { return Ok(None) };
        create_checkpoint(&delta, None).await?;
        Ok(delta.version())
    }

    /// The version of the newest checkpoint, as the log's own hint has it.
    ///
    /// # Errors
    /// When the object store fails.
    pub async fn checkpoint_version(&self, table: &'static Table) -> Result<Option<u64>> {
        let path = Path::from(format!("tables/{}/_delta_log/_last_checkpoint", table.name));
        let hint = match self.store.get(&path).await {
            Ok(found) => found.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let hint: Option<Value> = serde_json::from_slice(&hint).ok();
        Ok(hint.and_then(|hint| hint.get("version")?.as_u64()))
    }

    /// When the newest version of a table was committed, microseconds since the epoch; none before its first write.
    ///
    /// # Errors
    /// When the object store fails.
    pub async fn committed_at(&self, table: &'static Table) -> Result<Option<i64>> {
        let Some(delta) = self.snapshot(table).await? else { return Ok(None) };
        let time = delta.version().and_then(|version| delta.snapshot().ok()?.version_timestamp(version));
        Ok(time.map(|ms| ms.saturating_mul(1000)))
    }
}
