//! What live requests brought, by endpoint, on its way to `system.ingests`.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config;
use crate::error::Result;
use crate::ingest::Rejections;
use crate::ingest::ingests::{Ingest, absorb, count};
use crate::model::RowBuilder;
use crate::model::system::{INGESTS, IngestBuilder};
use crate::storage::{Commit, Lake};

/// The reason under which further reasons are counted when there are too many.
const OTHER_REASONS: &str = "other reasons";

/// What an endpoint has brought since the server began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Total {
    /// Requests that were looked into.
    pub requests: u64,
    /// Rows that landed.
    pub rows: u64,
    /// Records that did not land, and requests that were refused as a whole.
    pub rejected: u64,
    /// Bytes of the requests.
    pub bytes: u64,
}

/// The endpoints of sources: the source, and the path of a request.
pub type Endpoints<T> = BTreeMap<(&'static str, &'static str), T>;

/// Counts since the last write, and since the beginning.
#[derive(Debug)]
pub(super) struct Tally {
    lake: Arc<Lake>,
    counts: Mutex<Endpoints<Ingest>>,
    totals: Mutex<Endpoints<Total>>,
}

impl Tally {
    pub(super) fn new(lake: Arc<Lake>) -> Self {
        Self { lake, counts: Mutex::default(), totals: Mutex::default() }
    }

    /// Add what a request of a source brought through an endpoint.
    pub(super) fn add(&self, origin: &'static str, more: Ingest) {
        let mut totals = self.totals.lock();
        let total = totals.entry((more.importer, origin)).or_default();
        total.requests += 1;
        total.rows += more.rows;
        total.rejected += count(&more.rejected, false);
        total.bytes += more.bytes;
        drop(totals);
        self.put(origin, more);
    }

    /// What came since the beginning.
    pub(super) fn totals(&self) -> Endpoints<Total> {
        self.totals.lock().clone()
    }

    fn put(&self, origin: &'static str, mut more: Ingest) {
        let mut counts = self.counts.lock();
        let count = counts.entry((more.importer, origin)).or_insert_with(|| Ingest {
            importer: more.importer,
            origin: origin.to_owned(),
            started: more.started,
            ..Ingest::default()
        });
        count.started = count.started.min(more.started);
        count.bytes += more.bytes;
        count.rows += more.rows;
        if count.rejected.len() + more.rejected.len() > config::LIVE_TALLY_REASONS {
            let known = &count.rejected;
            let (same, other): (BTreeMap<_, _>, BTreeMap<_, _>) =
                more.rejected.into_iter().partition(|(reason, _)| known.contains_key(reason));
            more.rejected = same;
            for found in other.into_values() {
                absorb(&mut more.rejected, [(OTHER_REASONS.to_owned(), found)].into());
            }
        }
        absorb(&mut count.rejected, more.rejected);
    }

    /// Count a request that was refused as a whole.
    pub(super) fn refuse(&self, source: &'static str, origin: &'static str, bytes: usize, reason: &str) {
        let refused = Rejections { count: 1, unused: false, sample: String::new() };
        self.add(
            origin,
            Ingest {
                importer: source,
                started: self.lake.clock().now_micros(),
                bytes: bytes as u64,
                rejected: [(reason.to_owned(), refused)].into(),
                ..Ingest::default()
            },
        );
    }

    /// Commit the counts. Where that fails they stay for the next time.
    pub(super) async fn write(&self) -> Result<()> {
        let counts = std::mem::take(&mut *self.counts.lock());
        if counts.is_empty() {
            return Ok(());
        }
        let written = self.commit(counts.values()).await;
        if written.is_err() {
            for ((_, origin), count) in counts {
                self.put(origin, count);
            }
        }
        written
    }

    async fn commit(&self, counts: impl Iterator<Item = &Ingest>) -> Result<()> {
        let finished = self.lake.clock().now_micros();
        let mut builder = IngestBuilder::default();
        counts.for_each(|count| count.append_to(&mut builder, finished));
        let mut writer = self.lake.writer(&INGESTS).await?;
        writer.write(builder.finish("live", finished)).await?;
        writer.commit(Commit::default()).await?;
        Ok(())
    }
}
