//! One entry of a table's log, exactly behind the version that it was made for.
//!
//! The table format's own retries let a commit follow entries that it was not made for: what it removes may be gone by
//! then, taken away by one that changed no rows. So each entry is tried for one version only, and made anew behind the
//! next when another writer was faster. Each carries an id, by which an entry whose answer was lost is found again.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TransactionError};
use deltalake::kernel::{Action, Add, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTable, DeltaTableError};
use serde_json::Value;
use uuid::Uuid;

use super::{Lake, NewFile};
use crate::config;
use crate::error::{Result, UserError, sqlstate};
use crate::model::Table;

/// Id that every entry carries which takes files away, so that writers of other programs that retry see the conflict.
pub(super) const REWRITE_MARK: &str = "replace";

/// Name of an entry's id among the other information of a commit.
const ID: &str = "ascribe.commit";

/// What one entry says.
pub(super) struct Entry {
    pub actions: Vec<Action>,
    pub marks: Vec<Transaction>,
    pub information: HashMap<String, Value>,
    pub operation: DeltaOperation,
}

/// The attempts at one commit.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    id: Uuid,
    /// The first version that it was tried for.
    since: Option<u64>,
}

impl Attempt {
    /// Try the version behind the one that the table is at. None when another writer had it first.
    pub(super) async fn make(&mut self, delta: &mut DeltaTable, mut entry: Entry) -> Result<Option<u64>> {
        if self.id.is_nil() {
            self.id = Uuid::now_v7();
        }
        let next = delta.version().map_or(0, |version| version + 1);
        self.since.get_or_insert(next);
        entry.information.insert(ID.to_owned(), self.id.to_string().into());
        let mut failures = 0;
        loop {
            let state = delta.snapshot()?.clone();
            // Listing the log at every commit to clean it up would make each commit as slow as the log is long.
            let properties = CommitProperties::default()
                .with_max_retries(0)
                .with_cleanup_expired_logs(Some(false))
                .with_application_transactions(entry.marks.clone())
                .with_metadata(entry.information.clone());
            let committed = CommitBuilder::from(properties)
                .with_actions(entry.actions.clone())
                .build(Some(&state), delta.log_store(), entry.operation.clone())
                .await;
            let error = match committed {
                Ok(done) => {
                    let version = done.version();
                    // It is committed, whatever becomes of reading it.
                    delta.update_state().await.ok();
                    return Ok(Some(version));
                }
                Err(error) => error,
            };
            if let Ok(Some(version)) = self.landed(delta).await {
                delta.update_state().await.ok();
                return Ok(Some(version));
            }
            if outrun(&error) {
                return Ok(None);
            }
            // A put without an answer may still take effect. Trying the same version again decides it: one of the two
            // is refused, and whichever is there is found by its id.
            failures += 1;
            if failures >= config::COMMIT_ATTEMPTS_WITHOUT_ANSWER {
                return Err(error.into());
            }
            tokio::time::sleep(config::COMMIT_PAUSE * failures).await;
        }
    }

    /// The version at which an attempt took effect, if one did.
    pub(super) async fn landed(&self, delta: &DeltaTable) -> Result<Option<u64>> {
        let Some(since) = self.since else { return Ok(None) };
        let log = delta.log_store();
        let id = self.id.to_string();
        let mut version = since;
        while let Some(entry) = log.read_commit_entry(version).await? {
            if entry.windows(id.len()).any(|window| window == id.as_bytes()) {
                return Ok(Some(version));
            }
            version += 1;
        }
        Ok(None)
    }
}

/// Whether an error says that another writer had the version first.
fn outrun(error: &DeltaTableError) -> bool {
    matches!(
        error,
        DeltaTableError::VersionAlreadyExists(_)
            | DeltaTableError::Transaction {
                source: TransactionError::MaxCommitAttempts(_)
                    | TransactionError::CommitConflict(_)
                    | TransactionError::VersionAlreadyExists(_)
            }
    )
}

/// Whether a swap of files changes what rows the table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowChange {
    /// The same rows, laid out otherwise.
    None,
    /// The same rows, but fewer of those that were there more than once.
    Deduplicated,
    /// As many rows, some with other values.
    Changed,
    /// Rows are gone.
    Deleted,
}

/// Files that take the place of others.
#[derive(Debug)]
pub struct Swap {
    /// Paths of the files that go.
    pub remove: Vec<String>,
    /// Paths of files that stay and that the swap relies on.
    pub require: Vec<String>,
    /// The files that come.
    pub add: Vec<NewFile>,
    /// What becomes of the rows.
    pub change: RowChange,
}

impl Lake {
    /// Swap files in one commit, behind whatever was appended meanwhile. None, and nothing changed, when a file that it
    /// removes or relies on is no longer part of the table.
    ///
    /// # Errors
    /// When the object store fails, or other writers were faster too often.
    pub async fn swap(&self, table: &'static Table, swap: Swap) -> Result<Option<u64>> {
        let needed: HashSet<&str> = swap.remove.iter().chain(&swap.require).map(String::as_str).collect();
        let removed: HashSet<&str> = swap.remove.iter().map(String::as_str).collect();
        let mut attempt = Attempt::default();
        for _ in 0..config::COMMIT_RETRIES {
            let mut slot = self.slot(table)?.lock().await;
            self.refresh(table, &mut slot).await?;
            let Some(delta) = slot.as_mut() else { return Ok(None) };
            if let Some(version) = attempt.landed(delta).await? {
                return Ok(Some(version));
            }
            let data_change = swap.change != RowChange::None;
            let (mut found, mut actions) = (0, Vec::new());
            for view in delta.snapshot()?.log_data().iter() {
                let path = view.path();
                found += usize::from(needed.contains(path.as_ref()));
                if removed.contains(path.as_ref()) {
                    actions.push(Action::Remove(view.remove_action(data_change)));
                }
            }
            if found < needed.len() {
                return Ok(None);
            }
            actions.extend(swap.add.iter().map(|file| Action::Add(Add { data_change, ..file.0.clone() })));
            let now = self.clock().now_micros() / 1000;
            let marks = vec![Transaction::new_with_last_update(REWRITE_MARK, 1, Some(now))];
            let operation = match swap.change {
                RowChange::None => DeltaOperation::Optimize { predicate: None, target_size: 0 },
                RowChange::Changed => DeltaOperation::Update { predicate: None },
                RowChange::Deleted => DeltaOperation::Delete { predicate: None },
                RowChange::Deduplicated => {
                    let partition_by = table.partition.column().map(|column| vec![column.to_owned()]);
                    DeltaOperation::Write { mode: SaveMode::Overwrite, partition_by, predicate: None }
                }
            };
            let entry = Entry { actions, marks, information: HashMap::new(), operation };
            if let Some(version) = attempt.make(delta, entry).await? {
                return Ok(Some(version));
            }
        }
        Err(outrun_every_time(table).into())
    }
}

/// What a writer is told that never came to its turn.
pub(super) fn outrun_every_time(table: &Table) -> UserError {
    let message = format!("other writers of {} were faster every time", table.name);
    UserError::new(sqlstate::CONFLICT, message).hint("try again")
}

/// How long a writer that was outrun waits before it tries again, at most; it gives the others room.
#[must_use]
pub(super) fn pause(round: usize) -> Duration {
    config::COMMIT_PAUSE * u32::try_from(round.min(10)).unwrap_or(10)
}
