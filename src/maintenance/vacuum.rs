//! Vacuum: files that no version needs any more are deleted.
//!
//! A file that was part of the table goes when it has been out of it for the retention, and no reader of this node is at
//! a version that has it. A file that never was part of it goes when nobody can be about to commit it. Anything else in
//! the folder is not ours to delete; `ascribe check` names it.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use crate::config::{self, Maintenance};
use crate::error::{Error, Result, UserError, sqlstate};
use crate::model::Table;
use crate::storage::{Lake, State, TableLog};

/// What vacuum did to a table.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Vacuumed {
    /// Files deleted.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The objects of a folder of the lake.
pub(super) async fn objects(lake: &Lake, folder: &str) -> Result<Vec<ObjectMeta>> {
    Ok(lake.store().list(Some(&Path::from(folder))).try_collect().await?)
}

/// The newest state of a table as its log has it, from the newest checkpoint on, or from the oldest entry that is left.
pub(super) async fn state(lake: &Arc<Lake>, log: &TableLog, from_oldest: bool) -> Result<State> {
    let base = match log.beginning() {
        Some(Some(version)) if from_oldest => log.checkpoints.get_key_value(&version),
        Some(None) if from_oldest => None,
        _ => log.checkpoints.last_key_value(),
    };
    let mut state = match base {
        None => State::default(),
        Some((version, parts)) => {
            let parts = stream::iter(parts.clone()).map(|part| get(lake, part.location));
            let parts = parts.buffered(config::UPKEEP_REQUESTS).try_collect().await?;
            State::of_checkpoint(*version, parts).map_err(|what| damaged(&format!("checkpoint {version}: {what}")))?
        }
    };
    let first = state.version.map_or(0, |version| version + 1);
    let entries: Vec<_> = log.entries.range(first..).map(|(version, meta)| (*version, meta.location.clone())).collect();
    let entries =
        stream::iter(entries).map(|(version, path)| async move { Ok::<_, Error>((version, get(lake, path).await?)) });
    let mut entries = entries.buffered(config::UPKEEP_REQUESTS);
    let mut problems = Vec::new();
    while let Some(entry) = entries.next().await {
        let (version, bytes): (u64, bytes::Bytes) = entry?;
        if state.version.map_or(0, |last| last + 1) != version {
            return Err(damaged(&format!("entry {version} does not follow the one before")).into());
        }
        state.apply(version, &bytes, &mut problems);
    }
    match problems.first() {
        Some(problem) => Err(damaged(&format!("entry {}: {}", problem.version, problem.what)).into()),
        None => Ok(state),
    }
}

async fn get(lake: &Arc<Lake>, path: Path) -> Result<bytes::Bytes> {
    Ok(lake.store().get(&path).await?.bytes().await?)
}

fn damaged(what: &str) -> UserError {
    UserError::new(sqlstate::IO, format!("nothing is deleted, for the log is damaged: {what}"))
        .hint("ascribe check tells more")
}

/// Delete what no version of a table needs. The time is the object store's, milliseconds since the epoch.
pub(super) async fn vacuum(
    lake: &Arc<Lake>,
    table: &'static Table,
    settings: &Maintenance,
    now_ms: i64,
) -> Result<Vacuumed> {
    let folder = format!("tables/{}", table.name);
    // Whoever begins to read later reads a version at least as new as the log read here.
    let pinned = lake.oldest_pinned(table);
    let listed = objects(lake, &folder).await?;
    let (log, data): (Vec<_>, Vec<_>) =
        listed.into_iter().partition(|meta| meta.location.as_ref().contains("/_delta_log/"));
    let log = TableLog::of(log);
    if log.newest().is_none() {
        return Ok(Vacuumed::default());
    }
    let past = |age: std::time::Duration| now_ms.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    let (gone_before, orphan_before) = (past(settings.retention), past(settings.orphans.max(settings.retention)));
    // Checkpoints forget removed files after a week.
    let from_oldest = settings.retention > Maintenance::default().retention;
    let state = state(lake, &log, from_oldest).await?;
    let unneeded = data.into_iter().filter(|meta| {
        let path = meta.location.as_ref().strip_prefix(&folder).map_or("", |path| path.trim_start_matches('/'));
        let modified = meta.last_modified.timestamp_millis();
        if state.live.contains_key(path) {
            return false;
        }
        match state.removed.get(path) {
            Some(removed) => {
                removed.at_ms.unwrap_or(modified).max(modified) < gone_before
                    && pinned.is_none_or(|(version, _)| version >= removed.version)
            }
            // That a file was part of the table is forgotten after a week.
            None => {
                let week = i64::try_from(Maintenance::default().retention.as_micros()).unwrap_or(i64::MAX);
                let read = pinned.is_some_and(|(_, since)| since.saturating_add(week / 2) < lake.clock().now_micros());
                path.ends_with(".parquet") && modified < orphan_before && !read
            }
        }
    });
    let mut done = Vacuumed::default();
    let mut deletions = stream::iter(unneeded.collect::<Vec<_>>())
        .map(|meta| async move {
            match lake.store().delete(&meta.location).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(meta.size),
                Err(error) => Err(Error::from(error)),
            }
        })
        .buffer_unordered(config::UPKEEP_REQUESTS);
    while let Some(size) = deletions.next().await {
        done.files += 1;
        done.bytes += size?;
    }
    drop(deletions);
    done.files += leftovers(lake, &folder, orphan_before);
    Ok(done)
}

/// A writer on a file system that is stopped in the middle of an upload leaves a file `NAME#1`, which the object store
/// does not show.
pub(super) fn leftovers(lake: &Lake, folder: &str, before_ms: i64) -> u64 {
    let Ok(root) = lake.url().to_file_path() else { return 0 };
    let mut folders = vec![root.join(folder)];
    let mut removed = 0;
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                folders.push(entry.path());
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            let part = name
                .rsplit_once('#')
                .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
            let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok();
            let modified = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
            let old = modified.is_some_and(|since| i64::try_from(since.as_millis()).is_ok_and(|ms| ms < before_ms));
            if part && old && std::fs::remove_file(entry.path()).is_ok() {
                removed += 1;
            }
        }
    }
    removed
}
