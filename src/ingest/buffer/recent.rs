//! What landed lately, so that what a sender sends again does not land twice.

use std::collections::HashSet;
use std::hash::Hash;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use datafusion::arrow::array::{AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use sha2::{Digest, Sha256};

use crate::config;
use crate::error::Result;
use crate::ingest::telemetry::{SPAN_ID_BYTES, TRACE_ID_BYTES};

/// Bytes of an [`Identity`].
const IDENTITY_BYTES: usize = 16;

/// What identifies a request: the beginning of the SHA-256 of its kind and content, or of its sender's id for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity([u8; IDENTITY_BYTES]);

impl Identity {
    /// Of a kind and what tells requests of that kind apart.
    #[must_use]
    pub fn of(kind: &str, content: &[u8]) -> Self {
        let mut digest = Sha256::new();
        digest.update(kind.as_bytes());
        digest.update([0]);
        digest.update(content);
        let mut identity = [0; IDENTITY_BYTES];
        identity.iter_mut().zip(digest.finalize()).for_each(|(to, from)| *to = from);
        Self(identity)
    }

    /// What says that the rows of one table landed, while those of others may not have.
    #[must_use]
    pub(super) fn within(self, table: &str) -> Self {
        Self::of(&format!("rows/{table}"), &self.0)
    }

    /// Lowercase hex.
    #[must_use]
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

/// Identities as the note of a commit.
pub(super) fn to_note(identities: impl Iterator<Item = Identity>) -> String {
    STANDARD_NO_PAD.encode(identities.flat_map(|identity| identity.0).collect::<Vec<u8>>())
}

/// The identities of a note; of one that somebody else wrote, none.
pub(super) fn of_note(note: &str) -> Vec<Identity> {
    let bytes = STANDARD_NO_PAD.decode(note).unwrap_or_default();
    let (whole, rest) = bytes.as_chunks::<IDENTITY_BYTES>();
    if rest.is_empty() { whole.iter().copied().map(Identity).collect() } else { Vec::new() }
}

/// A set of bounded size that forgets its oldest half at a time: it remembers at least `capacity / 2` keys.
#[derive(Debug)]
pub(super) struct Recent<K> {
    young: HashSet<K>,
    old: HashSet<K>,
    capacity: usize,
}

impl<K: Hash + Eq> Recent<K> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { young: HashSet::new(), old: HashSet::new(), capacity }
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.young.contains(key) || self.old.contains(key)
    }

    pub(super) fn insert(&mut self, key: K) {
        if self.young.len() >= self.capacity / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key);
    }
}

/// A span: its trace id and its own.
type SpanKey = [u8; TRACE_ID_BYTES + SPAN_ID_BYTES];

/// The spans that landed lately.
#[derive(Debug)]
pub(super) struct RecentSpans(Recent<SpanKey>);

/// Spans of one commit under way.
#[derive(Debug, Default)]
pub(super) struct NewSpans(HashSet<SpanKey>);

impl Default for RecentSpans {
    fn default() -> Self {
        Self(Recent::new(config::LIVE_RECENT_SPANS))
    }
}

impl RecentSpans {
    /// The rows of a batch of spans that neither landed lately nor are in `new` already; they are in `new` afterwards.
    pub(super) fn unseen(&self, batch: RecordBatch, new: &mut NewSpans) -> Result<RecordBatch> {
        let column = |name| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        let (Some(traces), Some(spans)) = (column("trace_id"), column("span_id")) else { return Ok(batch) };
        let unseen = |row| {
            let Some(key) = key(traces.value(row), spans.value(row)) else { return true };
            !self.0.contains(&key) && new.0.insert(key)
        };
        let keep: BooleanArray = (0..batch.num_rows()).map(unseen).map(Some).collect();
        if keep.true_count() == batch.num_rows() {
            return Ok(batch);
        }
        Ok(filter_record_batch(&batch, &keep)?)
    }

    /// The spans landed.
    pub(super) fn landed(&mut self, new: NewSpans) {
        new.0.into_iter().for_each(|key| self.0.insert(key));
    }
}

fn key(trace_id: &str, span_id: &str) -> Option<SpanKey> {
    let mut key = SpanKey::default();
    let (trace, span) = key.split_at_mut(TRACE_ID_BYTES);
    hex::decode_to_slice(trace_id, trace).ok()?;
    hex::decode_to_slice(span_id, span).ok()?;
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RowBuilder;
    use crate::model::telemetry::{SpanBuilder, SpanRow};

    #[test]
    fn notes_keep_identities_and_foreign_notes_are_none() {
        let identities: Vec<_> = [&b"a"[..], b"b"].map(|content| Identity::of("otlp", content)).into();
        assert_ne!(identities[0], Identity::of("otl", b"pa"));
        assert_eq!(of_note(&to_note(identities.iter().copied())), identities);
        assert_eq!(of_note("not ours"), []);
        assert_eq!(of_note("YWJj"), []);
        assert_eq!(of_note(""), []);
    }

    #[test]
    fn the_oldest_half_is_forgotten() {
        let mut recent = Recent::new(4);
        (0..5).for_each(|key| recent.insert(key));
        assert_eq!((0..6).filter(|key| recent.contains(key)).collect::<Vec<_>>(), [2, 3, 4]);
    }

    #[test]
    fn a_span_passes_once() {
        let batch = |ids: &[u64]| {
            let mut builder = SpanBuilder::default();
            for id in ids {
                builder.append(&SpanRow {
                    trace_id: Some(format!("{:032x}", id / 2 + 1).into()),
                    span_id: Some(format!("{:016x}", id + 1).into()),
                    ..SpanRow::default()
                });
            }
            builder.finish("otlp", 0)
        };
        let (mut recent, mut new) = (RecentSpans::default(), NewSpans::default());
        assert_eq!(recent.unseen(batch(&[1, 2, 1]), &mut new).unwrap().num_rows(), 2);
        assert_eq!(recent.unseen(batch(&[2, 3]), &mut new).unwrap().num_rows(), 1);
        // The commit failed: nothing of it landed.
        drop(new);
        let mut new = NewSpans::default();
        assert_eq!(recent.unseen(batch(&[1, 2]), &mut new).unwrap().num_rows(), 2);
        recent.landed(new);
        assert_eq!(recent.unseen(batch(&[1, 2, 3]), &mut NewSpans::default()).unwrap().num_rows(), 1);
    }
}
