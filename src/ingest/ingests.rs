//! Rows of `system.ingests`: what landed, from where, and what did not.

use std::collections::BTreeMap;

use super::Rejections;
use crate::model::RowBuilder;
use crate::model::system::{IngestBuilder, IngestRow};

/// One file or endpoint.
#[derive(Debug, Default)]
pub(super) struct Ingest {
    pub importer: &'static str,
    pub origin: String,
    /// SHA-256 of a file; requests have none of their own.
    pub hash: Option<String>,
    pub started: i64,
    pub bytes: u64,
    pub rows: u64,
    pub rejected: BTreeMap<String, Rejections>,
}

impl Ingest {
    pub(super) fn append_to(&self, builder: &mut IngestBuilder, finished: i64) {
        builder.append(&IngestRow {
            ingest_id: Some(uuid::Uuid::now_v7().to_string().into()),
            importer: Some(self.importer.into()),
            origin: Some(self.origin.as_str().into()),
            content_hash: self.hash.as_deref().map(Into::into),
            started_at: Some(self.started),
            finished_at: Some(finished),
            bytes: i64::try_from(self.bytes).ok(),
            rows_landed: i64::try_from(self.rows).ok(),
            rows_rejected: i64::try_from(count(&self.rejected, false)).ok(),
            rejections: (!self.rejected.is_empty()).then(|| as_json(&self.rejected).into()),
            ..IngestRow::default()
        });
    }
}

/// How many records were rejected, or understood and not used.
pub(super) fn count(rejected: &BTreeMap<String, Rejections>, unused: bool) -> u64 {
    rejected.values().filter(|rejections| rejections.unused == unused).map(|rejections| rejections.count).sum()
}

/// Add rejections to those that are known.
pub(super) fn absorb(known: &mut BTreeMap<String, Rejections>, more: BTreeMap<String, Rejections>) {
    for (reason, found) in more {
        known.entry(reason).and_modify(|known| known.count += found.count).or_insert(found);
    }
}

fn as_json(rejected: &BTreeMap<String, Rejections>) -> String {
    let entries = rejected
        .iter()
        .map(|(reason, found)| serde_json::json!({ "reason": reason, "count": found.count, "sample": found.sample }));
    serde_json::Value::from_iter(entries).to_string()
}
