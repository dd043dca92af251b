//! Keeping what was done: records wait in memory for a moment, and go to `system.audit` in groups.
//!
//! When the lake cannot be written, they wait longer; when [`config::AUDIT_WAITING`] of them do, or as many as take
//! [`config::AUDIT_WAITING_BYTES`], statements are refused
//! until it can be written again: nothing is done that could not be recorded. What a server that dies has not written yet,
//! [`config::AUDIT_INTERVAL`] of it, is lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::config;
use crate::error::{Result, UserError, sqlstate};
use crate::security::audit::{BEGIN, Record};
use crate::storage::{Commit, Lake, Linked, write_audit};

/// The chain of one run of a server.
#[derive(Debug)]
pub(crate) struct Audit {
    node: String,
    lake: Arc<Lake>,
    chain: Mutex<Chain>,
    full: Notify,
}

#[derive(Debug)]
struct Chain {
    sequence: i64,
    hash: String,
    /// With the hash before each, and its own.
    waiting: VecDeque<Linked>,
    /// Bytes of those, about.
    bytes: usize,
}

/// The room that a record takes, about.
fn bytes_of(record: &Record) -> usize {
    500 + record.statement.len() + record.role.len() + record.application.len()
}

impl Audit {
    pub(crate) fn new(lake: &Arc<Lake>) -> Arc<Self> {
        let chain = Chain { sequence: 0, hash: BEGIN.to_owned(), waiting: VecDeque::new(), bytes: 0 };
        Arc::new(Self {
            node: Uuid::now_v7().to_string(),
            lake: Arc::clone(lake),
            chain: Mutex::new(chain),
            full: Notify::new(),
        })
    }

    /// Whether one more statement can be recorded.
    ///
    /// # Errors
    /// When too many records wait to be written.
    pub(crate) fn check_room(&self) -> Result<(), UserError> {
        let chain = self.chain.lock();
        if chain.waiting.len() < config::AUDIT_WAITING && chain.bytes < config::AUDIT_WAITING_BYTES {
            return Ok(());
        }
        let error = UserError::new(sqlstate::IO, "statements are refused until what was done before is recorded");
        Err(error.detail("system.audit cannot be written"))
    }

    /// Record something; its place in the chain is filled in.
    pub(crate) fn record(&self, record: Record) {
        let mut chain = self.chain.lock();
        chain.sequence += 1;
        let record = Record { node: self.node.clone(), sequence: chain.sequence, ..record };
        let hash = record.hash(&chain.hash);
        let previous = std::mem::replace(&mut chain.hash, hash.clone());
        chain.bytes += bytes_of(&record);
        chain.waiting.push_back((record, previous, hash));
        if chain.waiting.len() >= config::AUDIT_GROUP {
            self.full.notify_one();
        }
    }

    /// Write until the server ends, then what is left.
    pub(crate) async fn run(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        loop {
            let ends = tokio::select! {
                _ = stopped.changed() => true,
                () = self.full.notified() => false,
                () = tokio::time::sleep(config::AUDIT_INTERVAL) => false,
            };
            while let Some(group) = self.group() {
                match self.write(&group).await {
                    Ok(()) => self.written(group.len()),
                    Err(error) => {
                        tracing::error!(%error, "system.audit cannot be written");
                        if ends {
                            return;
                        }
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
            }
            if ends {
                return;
            }
        }
    }

    fn group(&self) -> Option<Vec<Linked>> {
        let group: Vec<_> = self.chain.lock().waiting.iter().take(config::AUDIT_GROUP).cloned().collect();
        Some(group).filter(|group| !group.is_empty())
    }

    fn written(&self, count: usize) {
        let mut chain = self.chain.lock();
        let bytes: usize = chain.waiting.drain(..count).map(|(record, ..)| bytes_of(&record)).sum();
        chain.bytes = chain.bytes.saturating_sub(bytes);
    }

    async fn write(&self, group: &[Linked]) -> Result<()> {
        let (Some((first, ..)), Some((last, ..))) = (group.first(), group.last()) else { return Ok(()) };
        // A group that was written although nobody heard of it is not written twice: it begins where it began.
        let transactions = vec![format!("audit/{}/{}-{}", first.node, first.sequence, last.sequence)];
        write_audit(&self.lake, group, "server", Commit { transactions, ..Commit::default() }).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[tokio::test]
    async fn what_cannot_be_recorded_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(&folder.path().display().to_string(), &Config::default()).unwrap();
        let audit = Audit::new(&lake);
        let long = "x".repeat(config::AUDIT_WAITING_BYTES / 2);
        audit.record(Record { statement: long.clone(), ..Record::default() });
        audit.check_room().unwrap();
        audit.record(Record { statement: long, ..Record::default() });
        assert_eq!(audit.check_room().unwrap_err().code, "58030");
        audit.written(1);
        audit.check_room().unwrap();
        audit.written(1);
        for _ in 0..config::AUDIT_WAITING {
            audit.check_room().unwrap();
            audit.record(Record::default());
        }
        assert_eq!(audit.check_room().unwrap_err().code, "58030");
        assert_eq!(audit.group().unwrap().len(), config::AUDIT_GROUP);
    }
}
