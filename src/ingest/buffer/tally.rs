//! What live requests brought, by endpoint, on its way to `system.ingests`.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config;
use crate::error::Result;
use crate::ingest::Rejections;
use crate::ingest::ingests::{Ingest, absorb};
use crate::model::RowBuilder;
use crate::model::system::{INGESTS, IngestBuilder};
use crate::storage::{Commit, Lake};

/// The reason under which further reasons are counted when there are too many.
const OTHER_REASONS: &str = "other reasons";

/// Counts since the last write.
#[derive(Debug)]
pub(super) struct Tally {
    lake: Arc<Lake>,
    counts: Mutex<BTreeMap<(&'static str, &'static str), Ingest>>,
}

impl Tally {
    pub(super) fn new(lake: Arc<Lake>) -> Self {
        Self { lake, counts: Mutex::default() }
    }

    /// Add what a source brought through an endpoint.
    pub(super) fn add(&self, origin: &'static str, mut more: Ingest) {
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
                self.add(origin, count);
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
