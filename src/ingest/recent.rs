//! What landed lately, so that what a sender sends again does not land twice.

use std::collections::HashSet;
use std::hash::Hash;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch, StringArray};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::Int64Type;
use sha2::{Digest, Sha256};

use super::telemetry::{SPAN_ID_BYTES, TRACE_ID_BYTES};
use crate::error::Result;
use crate::model::{Table, identity, telemetry};

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
    pub(in crate::ingest) fn within(self, table: &str) -> Self {
        Self::of(&format!("rows/{table}"), &self.0)
    }

    /// Lowercase hex.
    #[must_use]
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

/// Identities as the note of a commit.
pub(in crate::ingest) fn to_note(identities: impl Iterator<Item = Identity>) -> String {
    STANDARD_NO_PAD.encode(identities.flat_map(|identity| identity.0).collect::<Vec<u8>>())
}

/// The identities of a note; of one that somebody else wrote, none.
pub(in crate::ingest) fn of_note(note: &str) -> Vec<Identity> {
    let bytes = STANDARD_NO_PAD.decode(note).unwrap_or_default();
    let (whole, rest) = bytes.as_chunks::<IDENTITY_BYTES>();
    if rest.is_empty() { whole.iter().copied().map(Identity).collect() } else { Vec::new() }
}

/// A set of bounded size that forgets its oldest half at a time: it remembers at least `capacity / 2` keys.
#[derive(Debug)]
pub(in crate::ingest) struct Recent<K> {
    young: HashSet<K>,
    old: HashSet<K>,
    capacity: usize,
}

impl<K: Hash + Eq> Recent<K> {
    pub(in crate::ingest) fn new(capacity: usize) -> Self {
        Self { young: HashSet::new(), old: HashSet::new(), capacity }
    }

    pub(in crate::ingest) fn contains(&self, key: &K) -> bool {
        self.young.contains(key) || self.old.contains(key)
    }

    pub(in crate::ingest) fn insert(&mut self, key: K) {
        if self.young.len() >= self.capacity / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key);
    }
}

/// A span: its trace id and its own, when it began and how long it took. Both sides of a call may share the ids.
type SpanKey = [u8; SPAN_KEY_BYTES];

/// Bytes of a [`SpanKey`].
const SPAN_KEY_BYTES: usize = TRACE_ID_BYTES + SPAN_ID_BYTES + 2 * size_of::<i64>();

/// The spans and identity events that landed lately.
#[derive(Debug)]
pub(in crate::ingest) struct RecentRows {
    spans: Recent<SpanKey>,
    events: Recent<Identity>,
}

/// Those of one commit under way.
#[derive(Debug, Default)]
pub(in crate::ingest) struct NewRows {
    spans: HashSet<SpanKey>,
    events: HashSet<Identity>,
}

impl RecentRows {
    /// Nothing yet; as many spans and events are remembered.
    pub(in crate::ingest) fn new(spans: usize, events: usize) -> Self {
        Self { spans: Recent::new(spans), events: Recent::new(events) }
    }

    /// The rows of a batch of a table that neither landed lately nor are in `new` already; they are in `new` afterwards.
    pub(in crate::ingest) fn unseen(
        &self,
        table: &Table,
        batch: RecordBatch,
        new: &mut NewRows,
    ) -> Result<RecordBatch> {
        let keep = match table.name {
            name if name == telemetry::SPANS.name => self.spans_to_keep(&batch, &mut new.spans),
            name if name == identity::IAM_EVENTS.name => self.events_to_keep(&batch, &mut new.events),
            _ => None,
        };
        match keep {
            Some(keep) if keep.true_count() < batch.num_rows() => Ok(filter_record_batch(&batch, &keep)?),
            _ => Ok(batch),
        }
    }

    fn spans_to_keep(&self, batch: &RecordBatch, new: &mut HashSet<SpanKey>) -> Option<BooleanArray> {
        let (traces, spans) = (texts(batch, "trace_id")?, texts(batch, "span_id")?);
        let number = |name| batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
        let (starts, durations) = (number("start_unix_nano")?, number("duration_nano")?);
        let keep = |row| {
            let at =
                [starts, durations].map(|numbers| if numbers.is_null(row) { i64::MIN } else { numbers.value(row) });
            let Some(key) = key(traces.value(row), spans.value(row), at) else { return true };
            !self.spans.contains(&key) && new.insert(key)
        };
        Some((0..batch.num_rows()).map(keep).map(Some).collect())
    }

    /// An event is called what its provider calls it; one without a name is like no other.
    fn events_to_keep(&self, batch: &RecordBatch, new: &mut HashSet<Identity>) -> Option<BooleanArray> {
        let (providers, ids) = (texts(batch, "provider")?, texts(batch, "event_id")?);
        let keep = |row| {
            if providers.is_null(row) || ids.is_null(row) {
                return true;
            }
            let key = Identity::of(providers.value(row), ids.value(row).as_bytes());
            !self.events.contains(&key) && new.insert(key)
        };
        Some((0..batch.num_rows()).map(keep).map(Some).collect())
    }

    /// The rows landed.
    pub(in crate::ingest) fn landed(&mut self, new: NewRows) {
        new.spans.into_iter().for_each(|key| self.spans.insert(key));
        new.events.into_iter().for_each(|key| self.events.insert(key));
    }
}

fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a StringArray> {
    batch.column_by_name(name)?.as_string_opt::<i32>()
}

fn key(trace_id: &str, span_id: &str, at: [i64; 2]) -> Option<SpanKey> {
    let mut key = [0; SPAN_KEY_BYTES];
    let (trace, rest) = key.split_at_mut(TRACE_ID_BYTES);
    let (span, rest) = rest.split_at_mut(SPAN_ID_BYTES);
    hex::decode_to_slice(trace_id, trace).ok()?;
    hex::decode_to_slice(span_id, span).ok()?;
    rest.iter_mut().zip(at.into_iter().flat_map(i64::to_le_bytes)).for_each(|(to, from)| *to = from);
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RowBuilder;
    use crate::model::identity::{IamEventBuilder, IamEventRow};
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
                    span_id: Some(format!("{:016x}", id % 100 + 1).into()),
                    start_unix_nano: Some(7),
                    duration_nano: Some(i64::from(*id > 100)),
                    ..SpanRow::default()
                });
            }
            builder.finish("otlp", 0)
        };
        let (mut recent, mut new) = (RecentRows::new(100, 0), NewRows::default());
        let passed = |recent: &RecentRows, ids: &[u64], new: &mut NewRows| {
            recent.unseen(&telemetry::SPANS, batch(ids), new).unwrap().num_rows()
        };
        assert_eq!(passed(&recent, &[1, 2, 1], &mut new), 2);
        assert_eq!(passed(&recent, &[2, 3], &mut new), 1);
        // The commit failed: nothing of it landed.
        drop(new);
        let mut new = NewRows::default();
        assert_eq!(passed(&recent, &[1, 2], &mut new), 2);
        recent.landed(new);
        assert_eq!(passed(&recent, &[1, 2, 3], &mut NewRows::default()), 1);
    }

    #[test]
    fn the_two_sides_of_a_call_may_share_their_ids() {
        let mut builder = SpanBuilder::default();
        for (start, duration) in [(10, 5), (11, 3), (10, 5), (10, 3)] {
            builder.append(&SpanRow {
                trace_id: Some(format!("{:032x}", 1).into()),
                span_id: Some(format!("{:016x}", 1).into()),
                start_unix_nano: Some(start),
                duration_nano: Some(duration),
                ..SpanRow::default()
            });
        }
        let batch = builder.finish("otlp", 0);
        let kept = RecentRows::new(9, 9).unseen(&telemetry::SPANS, batch, &mut NewRows::default()).unwrap();
        assert_eq!(kept.num_rows(), 3);
    }

    #[test]
    fn an_identity_event_passes_once_by_the_name_of_its_provider() {
        let mut builder = IamEventBuilder::default();
        for (provider, id) in [
            (Some("aws"), Some("1")),
            (Some("aws"), Some("1")),
            (Some("gcp"), Some("1")),
            (Some("aws"), None),
            (Some("aws"), None),
        ] {
            builder.append(&IamEventRow {
                provider: provider.map(Into::into),
                event_id: id.map(Into::into),
                ..IamEventRow::default()
            });
        }
        let batch = builder.finish("cloudtrail", 0);
        let (mut recent, mut new) = (RecentRows::new(0, 100), NewRows::default());
        assert_eq!(recent.unseen(&identity::IAM_EVENTS, batch.clone(), &mut new).unwrap().num_rows(), 4);
        recent.landed(new);
        assert_eq!(recent.unseen(&identity::IAM_EVENTS, batch, &mut NewRows::default()).unwrap().num_rows(), 2);
    }
}
