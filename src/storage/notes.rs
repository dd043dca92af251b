//! Notes: what a writer says about a commit, kept in the commit's own information (Delta protocol, "Commit Provenance
//! Information"). Unlike a transaction id a note costs the state of the table nothing; it goes with the log entry.

use std::sync::Arc;

use bytes::Bytes;
use deltalake::logstore::LogStoreRef;
use futures::{StreamExt, TryStreamExt};
use serde_json::Value;

use super::Lake;
use crate::error::Result;
use crate::model::Table;

/// Name of the note among the other information of a commit.
pub(super) const KEY: &str = "ascribe.note";

/// Log entries that are fetched at a time.
const FETCHES: usize = 16;

/// The notes of the commits after a version, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// The version of the table that they reach to; none before its first write.
    pub version: Option<u64>,
    /// The notes; commits without one are left out, and so are those whose log entry was cleaned up.
    pub notes: Vec<String>,
}

impl Lake {
    /// What was noted at the commits to a table after the version `since`, of the newest `most` commits only.
    ///
    /// # Errors
    /// When the object store cannot be read.
    pub async fn notes(self: &Arc<Self>, table: &'static Table, since: Option<u64>, most: u64) -> Result<Notes> {
        let Some(delta) = self.snapshot(table).await? else { return Ok(Notes::default()) };
        let Some(version) = delta.version() else { return Ok(Notes::default()) };
        let first = since.map_or(0, |since| since.saturating_add(1)).max((version + 1).saturating_sub(most));
        let log = delta.log_store();
        let entries = futures::stream::iter(first..=version).map(|version| entry(Arc::clone(&log), version));
        let entries: Vec<Option<Bytes>> = entries.buffered(FETCHES).try_collect().await?;
        let notes = entries.into_iter().flatten().filter_map(|entry| note_of(&entry)).collect();
        Ok(Notes { version: Some(version), notes })
    }
}

async fn entry(log: LogStoreRef, version: u64) -> Result<Option<Bytes>> {
    Ok(log.read_commit_entry(version).await?)
}

fn note_of(entry: &[u8]) -> Option<String> {
    let lines = entry.split(|byte| *byte == b'\n');
    let mut infos = lines.filter(|line| line.starts_with(b"{\"commitInfo\""));
    let action: Value = serde_json::from_slice(infos.next()?).ok()?;
    Some(action.get("commitInfo")?.get(KEY)?.as_str()?.to_owned())
}
