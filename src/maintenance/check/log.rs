//! The log of a table: every entry, in a row; checkpoints that say the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::Report;
use crate::config;
use crate::error::{Result, plural};
use crate::model::Table;
use crate::storage::{Lake, State, TableLog};

/// Check the log, and give the state that it leads to.
pub(super) async fn check(
    lake: &Arc<Lake>,
    table: &'static Table,
    log: &TableLog,
    report: &mut Report,
) -> Result<State> {
    hint(lake, table, log, report).await;
    for meta in log.others.iter().filter(|meta| meta.location.filename().is_some_and(|name| name.ends_with(".tmp"))) {
        report.note(table.name, "leftover", meta.location.as_ref(), "a writer was stopped while it committed");
    }
    let mut walk = Walk { lake, table, log, state: State::default(), report, broken: false };
    walk.begin().await;
    let first = walk.state.version.map_or(0, |version| version + 1);
    let entries: Vec<(u64, Path)> =
        log.entries.iter().map(|(version, meta)| (*version, meta.location.clone())).collect();
    let mut entries = stream::iter(entries)
        .map(|(version, path)| async move { (version, get(lake, &path).await) })
        .buffered(config::UPKEEP_REQUESTS);
    while let Some((version, entry)) = entries.next().await {
        walk.report.entries += 1;
        match entry {
            Ok(entry) if version >= first => walk.step(version, &entry).await,
            Ok(entry) => walk.look(version, &entry),
            Err(error) => {
                let detail = format!("the log entry cannot be read: {error}");
                walk.report.damage(table.name, "log entry", name(version), detail);
            }
        }
    }
    // A checkpoint may be all that is left.
    let newest = log.newest();
    if walk.state.version < newest {
        walk.rebase(newest.unwrap_or_default()).await;
    }
    if !walk.state.described {
        walk.report.damage(table.name, "log", "_delta_log", "no entry tells the schema of the table");
    }
    Ok(walk.state)
}

async fn get(lake: &Arc<Lake>, path: &Path) -> Result<Bytes> {
    Ok(lake.store().get(path).await?.bytes().await?)
}

fn name(version: u64) -> String {
    format!("version {version}")
}

async fn hint(lake: &Arc<Lake>, table: &'static Table, log: &TableLog, report: &mut Report) {
    const HINT: &str = "_delta_log/_last_checkpoint";
    match lake.checkpoint_version(table).await {
        Ok(Some(version)) if !log.checkpoints.contains_key(&version) => {
            // One that was written since the log was listed is no finding.
            let newest = log.newest().unwrap_or_default();
            if version <= newest {
                report.damage(
                    table.name,
                    "checkpoint",
                    HINT,
                    format!("it names checkpoint {version}, which is missing"),
                );
            }
        }
        Ok(None) if !log.checkpoints.is_empty() => {
            report.note(table.name, "checkpoint", HINT, "it is missing or unreadable: opening the table takes longer");
        }
        Ok(_) => {}
        Err(error) => report.damage(table.name, "checkpoint", HINT, format!("it cannot be read: {error}")),
    }
}

struct Walk<'a> {
    lake: &'a Arc<Lake>,
    table: &'static Table,
    log: &'a TableLog,
    state: State,
    report: &'a mut Report,
    /// Whether an entry is missing, so that what follows need not fit.
    broken: bool,
}

impl Walk<'_> {
    /// The state before the first entry that counts: nothing, or a checkpoint.
    async fn begin(&mut self) {
        match self.log.beginning() {
            Some(None) => {}
            Some(Some(base)) => {
                self.rebase(base).await;
                let before = self.log.entries.keys().take_while(|version| **version <= base);
                let gap =
                    before.zip(self.log.entries.keys().skip(1)).any(|(one, next)| *next <= base && one + 1 < *next);
                if gap {
                    let detail = "some entries before it are missing: they were being cleaned up";
                    self.report.note(self.table.name, "checkpoint", name(base), detail);
                }
            }
            None => {
                let first = self.log.entries.keys().next().copied().unwrap_or_default();
                if first > 0 {
                    let detail = format!("entries before {first} are missing, and no checkpoint stands for them");
                    self.report.damage(self.table.name, "log entry", name(first - 1), detail);
                    self.broken = true;
                }
            }
        }
    }

    async fn checkpoint(&mut self, version: u64) -> Option<State> {
        let mut parts = Vec::new();
        for meta in self.log.checkpoints.get(&version)? {
            match get(self.lake, &meta.location).await {
                Ok(part) => parts.push(part),
                Err(error) => {
                    let detail = format!("it cannot be read: {error}");
                    self.report.damage(self.table.name, "checkpoint", meta.location.as_ref(), detail);
                    return None;
                }
            }
        }
        match State::of_checkpoint(version, parts) {
            Ok(state) => Some(state),
            Err(what) => {
                self.report.damage(self.table.name, "checkpoint", name(version), format!("it cannot be read: {what}"));
                None
            }
        }
    }

    async fn rebase(&mut self, version: u64) {
        if let Some(state) = self.checkpoint(version).await {
            self.state = state;
            self.broken = false;
        }
    }

    /// An entry before the first state; only its form can be checked.
    fn look(&mut self, version: u64, entry: &[u8]) {
        let mut problems = Vec::new();
        State::default().apply(version, entry, &mut problems);
        for problem in problems.into_iter().filter(|problem| problem.what.contains("JSON")) {
            self.report.damage(self.table.name, "log entry", name(version), problem.what);
        }
    }

    async fn step(&mut self, version: u64, entry: &[u8]) {
        let expected = self.state.version.map_or(0, |last| last + 1);
        if version > expected && !self.broken {
            let detail = format!("entries {expected} to {} are missing", version - 1);
            self.report.damage(self.table.name, "log entry", name(expected), detail);
            self.broken = true;
            let between = self.log.checkpoints.range(expected..version).next_back().map(|(version, _)| *version);
            if let Some(between) = between {
                self.rebase(between).await;
                // The checkpoint stands for some of what is missing, perhaps not for all.
                self.broken = between + 1 < version;
            }
        }
        let mut problems = Vec::new();
        self.state.apply(version, entry, &mut problems);
        // Behind a gap contradictions are to be expected, and say nothing of their own.
        let told = problems.into_iter().filter(|problem| !self.broken || problem.what.contains("JSON"));
        for problem in told.collect::<Vec<_>>() {
            self.report.damage(self.table.name, "log entry", name(version), problem.what);
        }
        if self.log.checkpoints.contains_key(&version)
            && let Some(found) = self.checkpoint(version).await
        {
            self.compare(version, &found);
            if self.broken {
                self.state = found;
                self.broken = false;
            }
        }
    }

    fn compare(&mut self, version: u64, found: &State) {
        if self.broken {
            return;
        }
        let own: BTreeSet<(&str, i64)> = self.state.live.values().map(|file| (file.path.as_str(), file.size)).collect();
        let other: BTreeSet<(&str, i64)> = found.live.values().map(|file| (file.path.as_str(), file.size)).collect();
        let differing: Vec<&str> = own.symmetric_difference(&other).map(|(path, _)| *path).collect();
        if let Some(first) = differing.first() {
            let count = differing.len() as u64;
            let files = plural(count, "file");
            let detail = format!("it differs from the entries before it in {count} {files}, such as {first}");
            self.report.damage(self.table.name, "checkpoint", name(version), detail);
        }
        let missing = self.state.transactions.keys().filter(|id| !found.transactions.contains_key(*id)).count();
        if missing > 0 {
            let detail = format!("it has forgotten {missing} transaction ids");
            self.report.damage(self.table.name, "checkpoint", name(version), detail);
        }
    }
}
