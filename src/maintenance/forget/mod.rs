//! Forgetting a person: what names the person goes from every table, its files, its old versions and its log.
//!
//! Table by table, as the node that has the lease: the live files that name the person are written anew without, in one
//! commit; then every file that is no longer part of the table and names the person is deleted, and what the log says of
//! least and greatest values is taken out of it. Log entries are written over, not deleted: the name of an entry is what
//! keeps two writers from the same version. All of it is done again until nothing is found, so that what is written
//! meanwhile is found as well.
//!
//! A file that a query of this process reads stays until that ends, and one that is in no version yet until it is a day old:
//! a writer may be about to commit it. Both are counted, and forgetting again does the rest.

mod audit;
mod history;
mod outputs;
mod rows;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use super::lease::Lease;
use super::stored_tables;
use crate::config::{self, Maintenance};
use crate::error::{Result, UserError, plural, sqlstate};
use crate::model::Table;
use crate::model::system::AUDIT;
use crate::privacy::Person;
use crate::storage::{Journal, Lake, RowChange, Swap};

/// What was done to a table, or would be.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// Rows that named the person.
    pub rows: u64,
    /// Files that were written anew without.
    pub rewritten: u64,
    /// Files of older versions that were deleted.
    pub deleted: u64,
    /// Entries and checkpoints of the log that were cleaned or deleted.
    pub log: u64,
    /// Files that are still there because queries of this process read them.
    pub read: u64,
    /// Files that are still there because a writer may be about to commit them.
    pub uncommitted: u64,
    /// What still names the person and cannot be changed, in words.
    pub stays: Vec<String>,
}

impl Forgotten {
    /// Whether nothing names the person any more.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.read == 0 && self.uncommitted == 0 && self.stays.is_empty()
    }
}

/// What was done to a lake, or would be.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// By table, those in which the person was named.
    pub tables: BTreeMap<&'static str, Forgotten>,
    /// Files of reports that named the person and were deleted.
    pub reports: u64,
}

impl Erasure {
    /// Whether nothing names the person any more.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.tables.values().all(Forgotten::complete)
    }
}

/// Forget a person; with `dry_run` only count.
///
/// # Errors
/// When another node looks after the lake for too long, the lake cannot be read or written, or other writers are faster
/// too often. What was done stays, and forgetting again does the rest.
pub async fn forget(lake: &Arc<Lake>, person: &Person, dry_run: bool) -> Result<Erasure> {
    if dry_run {
        return Forget {
            lake,
            person,
            lease: None,
            journal: Journal::new(lake, audit::APPLICATION),
            renewed: Instant::now(),
        }
        .all()
        .await;
    }
    let lease = Some(take_lease(lake).await?);
    let journal = Journal::new(lake, audit::APPLICATION);
    let mut forget = Forget { lake, person, lease, journal, renewed: Instant::now() };
    let hash = person.hash();
    let begun = forget.journal.record(format!("FORGET sha256:{hash}: begun"), None, Vec::new()).await;
    let done = match begun {
        Ok(_) => forget.all().await,
        Err(error) => Err(error),
    };
    if let Some(lease) = forget.lease.take() {
        lease.release().await;
    }
    let done = done?;
    let said: Vec<String> =
        done.tables.iter().map(|(table, done)| format!("{table} {} {}", done.rows, plural(done.rows, "row"))).collect();
    let said = if said.is_empty() { "nothing named the person".to_owned() } else { said.join(", ") };
    let end = if done.complete() { "done" } else { "not complete" };
    let rows: u64 = done.tables.values().map(|done| done.rows).sum();
    let statement = format!("FORGET sha256:{hash}: {end}: {said}");
    forget.journal.record(statement, i64::try_from(rows).ok(), Vec::new()).await?;
    Ok(done)
}

async fn take_lease(lake: &Arc<Lake>) -> Result<Lease> {
    let begun = Instant::now();
    loop {
        if let Some(lease) = Lease::take(lake, Maintenance::default().lease).await? {
            return Ok(lease);
        }
        if begun.elapsed() > config::FORGET_LEASE {
            let error = UserError::new(sqlstate::CONFLICT, "another node is looking after the lake");
            return Err(error.detail("Nothing was changed.").hint("try again when it is done").into());
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}

struct Forget<'a> {
    lake: &'a Arc<Lake>,
    person: &'a Person,
    /// None when nothing is to be changed.
    lease: Option<Lease>,
    journal: Journal,
    renewed: Instant,
}

impl Forget<'_> {
    async fn all(&mut self) -> Result<Erasure> {
        let mut erasure = Erasure::default();
        for table in stored_tables() {
            if self.lake.version(table).await?.is_none() {
                continue;
            }
            let done = self.table(table).await?;
            if done != Forgotten::default() {
                erasure.tables.insert(table.name, done);
            }
        }
        erasure.reports = outputs::forget(self.lake, self.person, self.lease.is_none()).await?;
        Ok(erasure)
    }

    /// Keep the lease. Whoever has it otherwise cannot be harmed, nor do harm; they would only do the same work.
    async fn keep_lease(&mut self) {
        if self.renewed.elapsed() > Maintenance::default().lease / 3
            && let Some(lease) = &mut self.lease
        {
            lease.renew().await.ok();
            self.renewed = Instant::now();
        }
    }

    async fn table(&mut self, table: &'static Table) -> Result<Forgotten> {
        let mut done = Forgotten::default();
        // Files and log entries that were looked through and do not name the person; nothing but this changes them.
        let mut clean = HashSet::new();
        let begun = Instant::now();
        for _ in 0..config::FORGET_ROUNDS {
            (done.read, done.uncommitted) = (0, 0);
            done.stays.clear();
            let mut changed = self.live(table, &mut clean, &mut done).await?;
            changed |= self.old(table, &mut clean, &mut done).await?;
            changed |= self.log(table, &mut clean, &mut done).await?;
            if self.lease.is_none() {
                return Ok(done);
            }
            if changed {
                continue;
            }
            if done.read + done.uncommitted == 0 || begun.elapsed() > config::FORGET_READERS {
                return Ok(done);
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        let message = format!("other writers of {} were faster every time", table.name);
        Err(UserError::new(sqlstate::CONFLICT, message).hint("try again").into())
    }

    /// Write the files of the newest state anew that name the person. Tells whether there were any.
    async fn live(&mut self, table: &'static Table, clean: &mut HashSet<String>, done: &mut Forgotten) -> Result<bool> {
        let (mut remove, mut add, mut rows, mut records) = (Vec::new(), Vec::new(), 0, Vec::new());
        for file in self.lake.files(table).await? {
            if clean.contains(&file.path) {
                continue;
            }
            self.keep_lease().await;
            let found = rows::count(self.lake, self.person, table, &file).await?;
            if found == 0 {
                clean.insert(file.path);
                continue;
            }
            rows += found;
            if self.lease.is_some() {
                if table.name == AUDIT.name {
                    records.extend(audit::changed(self.lake, self.person, &file).await?);
                }
                add.push(rows::without(self.lake, self.person, table, &file).await?);
            }
            remove.push(file.path);
        }
        let rewritten = remove.len() as u64;
        if self.lease.is_none() {
            done.rows += rows;
            done.rewritten += rewritten;
            return Ok(false);
        }
        if remove.is_empty() {
            return Ok(false);
        }
        audit::record(&mut self.journal, self.person, &records).await?;
        let written: Vec<String> = add.iter().map(|file| file.path().to_owned()).collect();
        let swap = Swap { remove, require: Vec::new(), add, change: RowChange::Changed };
        if self.lake.swap(table, swap).await?.is_some() {
            done.rows += rows;
            done.rewritten += rewritten;
            clean.extend(written);
        } else {
            // Another writer changed the files meanwhile; what was written is in no version, and nobody else's.
            for path in written {
                history::delete(self.lake, &format!("tables/{}/{path}", table.name)).await?;
            }
        }
        Ok(true)
    }
}
