//! Live ingest: requests gather in memory and land together, one commit a table; each is answered after the commit that
//! holds its rows.
//!
//! There is one lane a signal, and one for the sources of webhooks that land in the same tables. A lane takes the requests that arrived within an interval or up to a
//! number of bytes, decodes them, writes the rows of each table as one commit, and answers. What a failed commit held is
//! forgotten: its senders are told to send again.
//!
//! # What is guaranteed
//!
//! - A request that was answered with success is in the lake, whole but for the records that the answer counts as
//!   rejected, and the next query sees it.
//! - A request that is sent again as it was (the same bytes once decompressed, or the same delivery id of a webhook) lands
//!   once: among the last [`LIVE_RECENT_REQUESTS`](crate::config::LIVE_RECENT_REQUESTS) of its lane in this process (at
//!   least half as many), and, across restarts and between nodes, among those of the last
//!   [`LIVE_RECENT_COMMITS`](crate::config::LIVE_RECENT_COMMITS) commits to its table, whose notes hold the identities.
//! - A span that is sent again in another request lands once among the last
//!   [`LIVE_RECENT_SPANS`](crate::config::LIVE_RECENT_SPANS) of this process (at least half as many), an identity event
//!   among the last [`LIVE_RECENT_EVENTS`](crate::config::LIVE_RECENT_EVENTS).
//! - Not guaranteed here: the same request sent to two nodes that commit it at the same moment, a span that goes through
//!   two nodes in different requests, and what is sent again later than all that. Such rows share the key of their table.
//!
//! Memory is bounded by [`Gate`]: a request that does not fit is refused while it is read.

mod decode;
mod gate;
mod lane;
mod tally;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use serde::de::IgnoredAny;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use super::recent::Identity;
pub use gate::{Full, Gate, Held};

use self::lane::{Lane, Pending};
use self::tally::Tally;
pub use self::tally::{Endpoints, Total};
use super::otlp::{self, Encoding, Signal};
use super::{Input, Options, Output, Rejections, Source, ingests};
use crate::config::{self, Live};
use crate::error::Result;
use crate::model::{Table, telemetry};
use crate::storage::Lake;

/// What a request holds.
#[derive(Debug, Clone, Copy)]
pub enum Content {
    /// Telemetry.
    Otlp(Signal, Encoding),
    /// What a file of this source could hold as well.
    Of(&'static dyn Source),
}

/// A request that was read whole.
#[derive(Debug)]
pub struct Request {
    /// What it holds.
    pub content: Content,
    /// The endpoint that received it.
    pub origin: &'static str,
    /// Its body, decompressed.
    pub body: Bytes,
    /// What identifies it; one known identity makes it known.
    pub identities: Vec<Identity>,
    /// Its room in memory.
    pub held: Held,
}

/// What became of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Rows that it held.
    pub rows: u64,
    /// Whether it had landed before, so that nothing more was done.
    pub repeated: bool,
    /// Its records that did not land, by reason.
    pub rejected: BTreeMap<String, Rejections>,
}

impl Verdict {
    /// How many of its records did not land although they should.
    #[must_use]
    pub fn rejections(&self) -> u64 {
        ingests::count(&self.rejected, false)
    }

    /// The reasons for that, for people.
    #[must_use]
    pub fn reasons(&self) -> String {
        let reasons = self.rejected.iter().filter(|(_, found)| !found.unused);
        reasons.map(|(reason, found)| format!("{reason} ({})", found.count)).collect::<Vec<_>>().join("; ")
    }
}

/// Why a request did not land. All of them pass: the sender may try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The server is about to end.
    Closing,
    /// The commit failed, for this reason.
    Failed(String),
}

impl Content {
    /// The name in column `source`.
    #[must_use]
    pub fn source(&self) -> &'static str {
        match self {
            Self::Otlp(..) => otlp::Otlp.name(),
            Self::Of(source) => source.name(),
        }
    }

    /// What sets the identities of its kind apart from those of others.
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::Otlp(signal, encoding) => format!("otlp/{signal:?}/{encoding:?}"),
            Self::Of(source) => source.name().to_owned(),
        }
    }

    /// Whether a body can be such content at all.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check(&self, body: &[u8]) -> Result<(), &'static str> {
        match self {
            Self::Otlp(_, encoding) => otlp::check(*encoding, body),
            Self::Of(_) if body.trim_ascii_start().starts_with(b"[") => {
                match serde_json::from_slice::<Vec<IgnoredAny>>(body) {
                    Ok(_) => Ok(()),
                    Err(_) => Err("the request is not a JSON array"),
                }
            }
            Self::Of(_) => otlp::check(Encoding::Json, body),
        }
    }

    /// The tables that its rows land in.
    fn tables(self) -> Vec<&'static Table> {
        match self {
            Self::Otlp(Signal::Traces, _) => vec![&telemetry::SPANS],
            Self::Otlp(Signal::Logs, _) => vec![&telemetry::LOGS],
            Self::Otlp(Signal::Metrics, _) => vec![&telemetry::METRIC_POINTS],
            Self::Of(source) => source.tables(),
        }
    }

    fn decode(self, body: &[u8], identity: Identity, output: &mut Output<'_>) -> Result<()> {
        match self {
            Self::Otlp(signal, encoding) => otlp::decode_request(signal, encoding, body, output),
            Self::Of(source) => {
                let (hash, now) = (identity.to_hex(), output.ingested_at());
                let options = Options::default();
                let mut reader = body;
                let reader = &mut reader;
                source.decode(
                    Input { origin: source.name(), content_hash: &hash, reader, options: &options, now },
                    output,
                )
            }
        }
    }
}

/// Lanes by the names of their tables.
type Lanes = HashMap<Vec<&'static str>, mpsc::UnboundedSender<Pending>>;

/// Gathers live requests and lands them.
#[derive(Debug)]
pub struct Buffer {
    settings: Live,
    gate: Gate,
    lake: Arc<Lake>,
    // Unbounded, because the gate bounds what is sent.
    lanes: Mutex<Option<Lanes>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    tally: Arc<Tally>,
    sent_away: AtomicU64,
    draining: watch::Sender<bool>,
}

impl Buffer {
    /// A buffer in front of a lake. Its tasks run until [`Buffer::close`], or until it is dropped.
    #[must_use]
    pub fn new(lake: &Arc<Lake>, settings: Live) -> Arc<Self> {
        let tally = Arc::new(Tally::new(Arc::clone(lake)));
        let (draining, drained) = watch::channel(false);
        let counting = tokio::spawn(write_counts(Arc::clone(&tally), drained));
        let gate = Gate::new(settings.requests, settings.buffer_bytes);
        let (lanes, tasks) = (Mutex::new(Some(Lanes::new())), Mutex::new(vec![counting]));
        let (lake, sent_away) = (Arc::clone(lake), AtomicU64::new(0));
        Arc::new(Self { settings, gate, lake, lanes, tasks, tally, sent_away, draining })
    }

    /// The lane of some tables, which begins with its first request.
    fn lane(&self, tables: Vec<&'static Table>) -> Option<mpsc::UnboundedSender<Pending>> {
        let mut lanes = self.lanes.lock();
        let names = tables.iter().map(|table| table.name).collect();
        let begin = || {
            let (sender, receiver) = mpsc::unbounded_channel();
            let lane = Lane::new(Arc::clone(&self.lake), tables, Arc::clone(&self.tally), self.settings.clone());
            self.tasks.lock().push(tokio::spawn(lane.run(receiver, self.draining.subscribe())));
            sender
        };
        Some(lanes.as_mut()?.entry(names).or_insert_with(begin).clone())
    }

    /// The settings that it was made with.
    #[must_use]
    pub fn settings(&self) -> &Live {
        &self.settings
    }

    /// Room for a request.
    ///
    /// # Errors
    /// When there is none.
    pub fn enter(&self) -> Result<Held, Full> {
        let held = self.gate.enter();
        if held.is_err() {
            self.sent_away.fetch_add(1, Ordering::Relaxed);
        }
        held
    }

    /// How many requests found no room since the beginning.
    #[must_use]
    pub fn sent_away(&self) -> u64 {
        self.sent_away.load(Ordering::Relaxed)
    }

    /// What came since the beginning, by source and endpoint.
    #[must_use]
    pub fn totals(&self) -> Endpoints<Total> {
        self.tally.totals()
    }

    /// Land a request; the answer comes when it is committed. The request lands even if nobody waits for the answer.
    ///
    /// # Errors
    /// When it did not land.
    pub async fn land(&self, request: Request) -> Result<Verdict, Refusal> {
        let (answer, answered) = oneshot::channel();
        let lane = self.lane(request.content.tables()).ok_or(Refusal::Closing)?;
        let pending = Pending { request, arrived: Instant::now(), answer };
        lane.send(pending).map_err(|_| Refusal::Closing)?;
        drop(lane);
        answered.await.unwrap_or(Err(Refusal::Closing))
    }

    /// Count a request that was refused as a whole, which the sender must not repeat.
    pub fn refuse(&self, content: Content, origin: &'static str, bytes: usize, reason: &str) {
        self.tally.refuse(content.source(), origin, bytes, reason);
    }

    /// Whether it is about to end.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Commit without waiting for others from now on.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// Land what is left, and end.
    ///
    /// # Errors
    /// When the counts of what landed cannot be committed; the rows are.
    pub async fn close(&self) -> Result<()> {
        self.drain();
        drop(self.lanes.lock().take());
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            // A task that panicked has dropped its requests, whose senders were told.
            task.await.unwrap_or_default();
        }
        self.tally.write().await
    }
}

/// Keep `system.ingests` current while nothing is rejected.
async fn write_counts(tally: Arc<Tally>, mut drained: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = drained.wait_for(|drained| *drained) => return,
            () = tokio::time::sleep(config::LIVE_TALLY_INTERVAL) => {}
        }
        if let Err(error) = tally.write().await {
            tracing::warn!(%error, "counts of live ingest are not committed yet");
        }
    }
}
