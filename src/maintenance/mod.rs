//! Looking after a lake: compaction, expiry, vacuum, checkpoints; forgetting a person; and whether it is sound.
//!
//! Everything that changes a table is a commit that is refused when what it was made of is no longer there, so any number
//! of nodes may do any of it at any time. A lease only keeps them from doing the same work.

mod check;
mod compact;
mod expire;
mod forget;
mod lease;
mod repeated;
mod retention;
mod rows;
mod vacuum;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::execution::context::SessionContext;
use tokio::sync::watch;

use self::lease::Lease;
use crate::config::{Config, Maintenance};
use crate::database::Database;
use crate::error::{Result, UserError, sqlstate};
use crate::model::{self, Table};
use crate::storage::{Lake, Upkeep};

pub use check::{Finding, Report, Severity, check};
pub use compact::{Compacted, Eagerness};
pub use expire::Expired;
pub use forget::{Erasure, Forgotten, forget};
pub use retention::{Holds, Retention, Rule, duration};
pub use vacuum::Vacuumed;

/// What was done to a table.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Merged files.
    pub compacted: Compacted,
    /// Expired rows.
    pub expired: Expired,
    /// Deleted files.
    pub vacuumed: Vacuumed,
    /// Checkpoints and log entries.
    pub log: Upkeep,
}

impl Done {
    /// Whether anything was done.
    #[must_use]
    pub fn something(&self) -> bool {
        *self != Self::default()
    }
}

/// Looks after a lake.
#[derive(Debug)]
pub struct Maintainer {
    lake: Arc<Lake>,
    database: Database,
    settings: Maintenance,
    seen: expire::Seen,
}

/// Every table that is stored.
#[must_use]
pub fn stored_tables() -> Vec<&'static Table> {
    model::tables().into_iter().chain(model::system_tables()).collect()
}

impl Maintainer {
    /// One with memory of its own, so that it takes none from queries.
    ///
    /// # Errors
    /// When the spill directory cannot be made.
    pub fn new(lake: &Arc<Lake>, settings: Maintenance) -> Result<Self> {
        let config = Config { memory_limit: settings.memory, target_partitions: 1, ..Config::default() };
        let database = Database::over(Arc::clone(lake), config)?;
        Ok(Self { lake: Arc::clone(lake), database, settings, seen: expire::Seen::default() })
    }

    /// One round over tables, as the node that has the lease. What was done, by table.
    ///
    /// # Errors
    /// When another node has the lease, or the lake cannot be read or written. What was done before stays.
    pub async fn once(&self, tables: &[&'static Table], eagerness: Eagerness) -> Result<BTreeMap<&'static str, Done>> {
        match self.round(tables, eagerness).await? {
            Some(done) => Ok(done),
            None => Err(UserError::new(sqlstate::CONFLICT, "another node is looking after the lake")
                .hint("it does the same work; try again when it is done")
                .into()),
        }
    }

    async fn round(
        &self,
        tables: &[&'static Table],
        eagerness: Eagerness,
    ) -> Result<Option<BTreeMap<&'static str, Done>>> {
        let Some(mut lease) = Lease::take(&self.lake, self.settings.lease).await? else { return Ok(None) };
        let done = self.tend(tables, eagerness, &mut lease).await;
        lease.release().await;
        Ok(Some(done?))
    }

    async fn tend(
        &self,
        tables: &[&'static Table],
        eagerness: Eagerness,
        lease: &mut Lease,
    ) -> Result<BTreeMap<&'static str, Done>> {
        let session = self.database.new_session()?;
        // Rules that cannot be understood let nothing expire; the rest is done all the same.
        let retention = Retention::of(&self.lake).await;
        let now = self.lake.clock().now_micros();
        let windows = match &retention {
            Ok(retention) => expire::windows(&session, &retention.holds, now).await?,
            Err(_) => Vec::new(),
        };
        let mut all = BTreeMap::new();
        let mut renewed = Instant::now();
        for table in tables.iter().copied() {
            if self.lake.version(table).await?.is_none() {
                continue;
            }
            let done = all.entry(table.name).or_insert_with(Done::default);
            if let Ok(retention) = &retention {
                done.expired = expire::expire(&self.lake, &session, table, retention, &windows, &self.seen).await?;
            }
            if !self.compact(&session, table, eagerness, lease, &mut renewed, &mut done.compacted).await? {
                return Ok(all);
            }
            let past =
                |age: Duration| lease.since_ms.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
            let log_age = past(self.settings.log_retention);
            done.log = self.lake.keep_log(table, self.settings.checkpoint_commits, log_age).await?;
            done.vacuumed = vacuum::vacuum(&self.lake, table, &self.settings, lease.since_ms).await?;
        }
        retention.map(|_| all)
    }

    /// False when the lease is lost, and with it the reason to go on.
    async fn compact(
        &self,
        session: &SessionContext,
        table: &'static Table,
        eagerness: Eagerness,
        lease: &mut Lease,
        renewed: &mut Instant,
        done: &mut Compacted,
    ) -> Result<bool> {
        let now_ms = self.lake.clock().now_micros() / 1000;
        for group in compact::groups(table, self.lake.files(table).await?, &self.settings, eagerness, now_ms) {
            done.absorb(self.merge(session, table, group, lease).await?);
            if renewed.elapsed() > self.settings.lease / 3 {
                if !lease.renew().await? {
                    return Ok(false);
                }
                *renewed = Instant::now();
            }
        }
        Ok(true)
    }

    /// Merge a group, and keep the lease meanwhile.
    async fn merge(
        &self,
        session: &SessionContext,
        table: &'static Table,
        mut group: compact::Group,
        lease: &mut Lease,
    ) -> Result<Compacted> {
        // The groups of a partition are merged one after the other: what the last one left stays beside this one.
        let live = self.lake.files(table).await?;
        group.others = live
            .into_iter()
            .filter(|file| file.partition(table) == group.partition && !group.files.contains(file))
            .collect();
        let merging = compact::merge(&self.lake, session, table, group, &self.settings);
        tokio::pin!(merging);
        loop {
            tokio::select! {
                merged = &mut merging => return merged,
                () = tokio::time::sleep(self.settings.lease / 3) => {
                    // Whoever has it now cannot be harmed by this, nor this by them.
                    lease.renew().await.ok();
                }
            }
        }
    }

    /// Rounds in the background until told to stop. An error is logged, and the next round tries again.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let tables = stored_tables();
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.settings.interval) => {}
                changed = stop.changed() => if changed.is_err() || *stop.borrow() { return },
            }
            let round = self.round(&tables, Eagerness::Worthwhile);
            let ended = tokio::select! {
                ended = round => ended,
                // What is half done was not committed, and vacuum takes its files away.
                _ = stop.wait_for(|stop| *stop) => return,
            };
            match ended {
                Ok(done) => {
                    for (table, done) in done.into_iter().flatten().filter(|(_, done)| done.something()) {
                        tracing::info!(table, ?done, "looked after a table");
                    }
                }
                Err(error) => tracing::error!(%error, "the lake could not be looked after"),
            }
        }
    }
}
