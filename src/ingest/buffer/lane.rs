//! One lane: gathering requests of a kind, landing them in one commit a table, answering.

use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::decode::{self, Decoded, Job};
use super::tally::Tally;
use super::{Refusal, Request, Verdict};
use crate::config::{self, Live};
use crate::error::Result;
use crate::ingest::ingests::Ingest;
use crate::ingest::recent::{Identity, NewRows, Recent, RecentRows, of_note, to_note};
use crate::ingest::{LANDED_BEFORE, Rejections, incidents, ownership as owned};
use crate::model::{Table, ownership};
use crate::storage::{Commit, Lake, Outcome};

/// A request that waits for its commit.
#[derive(Debug)]
pub(super) struct Pending {
    pub request: Request,
    pub arrived: Instant,
    pub answer: oneshot::Sender<Result<Verdict, Refusal>>,
}

pub(super) struct Lane {
    lake: Arc<Lake>,
    tables: Vec<&'static Table>,
    tally: Arc<Tally>,
    settings: Live,
    /// Versions of the tables whose notes are in `requests`.
    versions: BTreeMap<&'static str, u64>,
    requests: Recent<Identity>,
    recent: RecentRows,
}

/// The rows of one commit, by table.
type Rows = BTreeMap<&'static str, (&'static Table, Vec<RecordBatch>)>;

impl Lane {
    pub(super) fn new(lake: Arc<Lake>, tables: Vec<&'static Table>, tally: Arc<Tally>, settings: Live) -> Self {
        let requests = Recent::new(config::LIVE_RECENT_REQUESTS);
        let recent = RecentRows::new(config::LIVE_RECENT_SPANS, config::LIVE_RECENT_EVENTS);
        Self { lake, tables, tally, settings, versions: BTreeMap::new(), requests, recent }
    }

    /// Land what arrives, until nobody can send any more.
    pub(super) async fn run(
        mut self,
        mut receiver: mpsc::UnboundedReceiver<Pending>,
        mut draining: watch::Receiver<bool>,
    ) {
        while let Some(first) = receiver.recv().await {
            let gathered = self.gather(first, &mut receiver, &mut draining).await;
            let landed = self.land(&gathered).await;
            match landed {
                Ok(verdicts) => {
                    for (pending, verdict) in gathered.into_iter().zip(verdicts) {
                        // A sender that is gone does not want to know.
                        pending.answer.send(Ok(verdict)).unwrap_or_default();
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, requests = gathered.len(), "a commit of live ingest failed");
                    let refusal = Refusal::Failed(error.describe().message);
                    for pending in gathered {
                        pending.answer.send(Err(refusal.clone())).unwrap_or_default();
                    }
                }
            }
        }
    }

    /// The requests of one commit.
    async fn gather(
        &self,
        first: Pending,
        receiver: &mut mpsc::UnboundedReceiver<Pending>,
        draining: &mut watch::Receiver<bool>,
    ) -> Vec<Pending> {
        let due = first.arrived + self.settings.flush_interval;
        let mut bytes = first.request.body.len();
        let mut gathered = vec![first];
        while bytes < self.settings.flush_bytes {
            // What is here already goes along, even when it is time.
            let next = tokio::select! {
                biased;
                next = receiver.recv() => next,
                _ = draining.wait_for(|draining| *draining) => None,
                () = tokio::time::sleep_until(due) => None,
            };
            let Some(next) = next else { break };
            bytes += next.request.body.len();
            gathered.push(next);
        }
        gathered
    }

    /// Land the rows of requests, and tell what became of each.
    async fn land(&mut self, gathered: &[Pending]) -> Result<Vec<Verdict>> {
        let started = self.lake.clock().now_micros();
        self.catch_up().await?;
        let mut new = HashSet::new();
        let fresh: Vec<bool> = gathered.iter().map(|pending| self.is_new(&pending.request, &mut new)).collect();
        let requests: Vec<&Request> =
            gathered.iter().zip(&fresh).filter(|(_, fresh)| **fresh).map(|(pending, _)| &pending.request).collect();
        let jobs = requests.iter().map(|request| self.job(request)).collect();
        let decoded = decode::all(jobs, started).await?;
        let Decoded { batches, mut verdicts } = decoded;
        let mut landing = NewRows::default();
        let (rows, repeated) = self.rows(batches, &mut landing)?;
        if !rows.is_empty()
            && let Err(error) = self.commit(rows, &new).await
        {
            // The store may have done what it failed to tell.
            self.catch_up().await?;
            if !new.iter().all(|identity| self.requests.contains(identity)) {
                return Err(error);
            }
        }
        new.into_iter().for_each(|identity| self.requests.insert(identity));
        self.recent.landed(landing);
        let rejected = self.count(&requests, &verdicts, repeated, started);
        // Rejections are committed before they are answered.
        if rejected && let Err(error) = self.tally.write().await {
            tracing::warn!(%error, "rejections of live ingest are not committed yet");
        }
        let repeated = Verdict { repeated: true, ..Verdict::default() };
        let mut landed = verdicts.drain(..);
        Ok(fresh
            .iter()
            .map(|fresh| if *fresh { landed.next() } else { None }.unwrap_or_else(|| repeated.clone()))
            .collect())
    }

    /// Remember what commits hold that this lane did not make, or whose end it does not know.
    async fn catch_up(&mut self) -> Result<()> {
        for table in &self.tables {
            let since = self.versions.get(table.name).copied();
            let found = self.lake.notes(table, since, config::LIVE_RECENT_COMMITS).await?;
            found.notes.iter().flat_map(|note| of_note(note)).for_each(|identity| self.requests.insert(identity));
            if let Some(version) = found.version {
                self.versions.insert(table.name, version);
            }
        }
        Ok(())
    }

    /// Whether none of the identities of a request landed or is in `new`; they are in `new` afterwards.
    fn is_new(&self, request: &Request, new: &mut HashSet<Identity>) -> bool {
        let known = |identity: &Identity| self.requests.contains(identity) || new.contains(identity);
        let fresh = !request.identities.iter().any(known);
        if fresh {
            new.extend(&request.identities);
        }
        fresh
    }

    /// The rows by table, and how many are left out because they landed before.
    fn rows(&self, batches: Vec<(&'static Table, RecordBatch)>, landing: &mut NewRows) -> Result<(Rows, u64)> {
        let mut rows = Rows::new();
        let mut repeated = 0;
        for (table, batch) in batches {
            let before = batch.num_rows();
            let batch = self.recent.unseen(table, batch, landing)?;
            repeated += (before - batch.num_rows()) as u64;
            if batch.num_rows() == 0 {
                continue;
            }
            match rows.entry(table.name) {
                Entry::Occupied(mut known) => known.get_mut().1.push(batch),
                Entry::Vacant(none) => {
                    none.insert((table, vec![batch]));
                }
            }
        }
        Ok((rows, repeated))
    }

    /// Commit the rows of each table. What says that the requests landed goes with the last commit, so that they are not
    /// known before all of their rows are there. Those before it say which table is done, so that it is left out when the
    /// requests are sent again; merging rows of incidents and ownership again changes nothing.
    async fn commit(&mut self, mut rows: Rows, new: &HashSet<Identity>) -> Result<()> {
        let note = || Some(to_note(new.iter().copied()));
        let incidents = rows.remove(ownership::INCIDENTS.name);
        let owners = rows.remove(ownership::OWNERSHIP.name);
        let last = rows.len();
        let whole = |is_last: bool| Commit { note: note().filter(|_| is_last), ..Commit::default() };
        if let Some((_, batches)) = incidents {
            incidents::land(&self.lake, batches, &whole(last == 0)).await?;
        }
        if let Some((_, batches)) = owners {
            owned::land(&self.lake, batches, &whole(last == 0), &BTreeSet::new()).await?;
        }
        for (at, (table, batches)) in (1..).zip(rows.into_values()) {
            let mut writer = self.lake.writer(table).await?;
            for batch in batches {
                writer.write(batch).await?;
            }
            let part = || Some(to_note(new.iter().map(|identity| identity.within(table.name))));
            let note = if at == last { note() } else { part() };
            let outcome = writer.commit(Commit { note, ..Commit::default() }).await?;
            // The notes of a commit right behind what is known are known as well, but for the parts.
            if let (Some(known), Outcome::Committed(version)) = (self.versions.get_mut(table.name), outcome)
                && at == last
                && version == *known + 1
            {
                *known = version;
            }
        }
        Ok(())
    }

    /// A request to decode, without the rows that landed when its commit failed half way.
    fn job(&self, request: &Request) -> Job {
        let identity = request.identities.first().copied().unwrap_or_else(|| Identity::of("", &request.body));
        let landed = |table: &&str| request.identities.iter().any(|known| self.requests.contains(&known.within(table)));
        let done = self.tables.iter().map(|table| table.name).filter(landed).collect();
        Job { content: request.content, body: request.body.clone(), identity, done }
    }

    /// Count what landed and what did not. Tells whether something was rejected.
    fn count(&self, requests: &[&Request], verdicts: &[Verdict], mut repeated: u64, started: i64) -> bool {
        let mut rejected = false;
        for (request, verdict) in requests.iter().zip(verdicts) {
            rejected |= verdict.rejections() > 0;
            let mut count = Ingest {
                importer: request.content.source(),
                started,
                bytes: request.body.len() as u64,
                rows: verdict.rows,
                rejected: verdict.rejected.clone(),
                ..Ingest::default()
            };
            // Which of the requests brought a row for the second time is not known, nor does it matter.
            let again = repeated.min(count.rows);
            if again > 0 {
                repeated -= again;
                count.rows -= again;
                let again = Rejections { count: again, unused: true, sample: String::new() };
                count.rejected.insert(LANDED_BEFORE.to_owned(), again);
            }
            self.tally.add(request.origin, count);
        }
        rejected
    }
}
