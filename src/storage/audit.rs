//! Records of what was done, into `system.audit`.

use std::sync::Arc;

use uuid::Uuid;

use super::{Commit, Lake, Outcome};
use crate::error::Result;
use crate::model::RowBuilder;
use crate::model::system::{AUDIT, AuditBuilder, AuditRow};
use crate::security::audit::{BEGIN, Head, Record};

/// A record with the hash of the one before it in its chain, and its own.
pub type Linked = (Record, String, String);

/// Write records of one chain, in order, in one commit.
///
/// # Errors
/// When the lake cannot be written.
pub async fn write_audit(lake: &Arc<Lake>, records: &[Linked], source: &str, commit: Commit) -> Result<Outcome> {
    let mut builder = AuditBuilder::default();
    for (record, previous, hash) in records {
        builder.append(&AuditRow {
            node: Some(record.node.as_str().into()),
            sequence: Some(record.sequence),
            at: Some(record.at),
            role: Some(record.role.as_str().into()),
            address: record.address.as_deref().map(Into::into),
            application: Some(record.application.as_str().into()),
            statement: Some(record.statement.as_str().into()),
            rows: record.rows,
            sqlstate: Some(record.sqlstate.as_str().into()),
            duration_micros: Some(record.duration),
            previous_hash: Some(previous.as_str().into()),
            hash: Some(hash.as_str().into()),
            ..AuditRow::default()
        });
    }
    let note = records
        .last()
        .map(|(last, _, hash)| Head { node: last.node.clone(), sequence: last.sequence, hash: hash.clone() }.text());
    let mut writer = lake.writer(&AUDIT).await?;
    writer.write(builder.finish(source, lake.clock().now_micros())).await?;
    writer.commit(Commit { note, ..commit }).await
}

/// A chain of what a program does that is no server.
#[derive(Debug)]
pub struct Journal {
    lake: Arc<Lake>,
    node: String,
    application: &'static str,
    sequence: i64,
    hash: String,
}

impl Journal {
    /// One that has no record yet.
    #[must_use]
    pub fn new(lake: &Arc<Lake>, application: &'static str) -> Self {
        let node = Uuid::now_v7().to_string();
        Self { lake: Arc::clone(lake), node, application, sequence: 0, hash: BEGIN.to_owned() }
    }

    /// Record something, as one commit; `latest` as in [`Commit::latest`].
    ///
    /// # Errors
    /// When the lake cannot be written.
    pub async fn record(
        &mut self,
        statement: String,
        rows: Option<i64>,
        latest: Vec<(String, i64)>,
    ) -> Result<Outcome> {
        let record = Record {
            node: self.node.clone(),
            sequence: self.sequence + 1,
            at: self.lake.clock().now_micros(),
            role: "ascribe".to_owned(),
            application: self.application.to_owned(),
            statement,
            rows,
            sqlstate: "00000".to_owned(),
            ..Record::default()
        };
        let hash = record.hash(&self.hash);
        let linked = (record, self.hash.clone(), hash.clone());
        let commit = Commit { latest, ..Commit::default() };
        let outcome = write_audit(&self.lake, &[linked], self.application, commit).await?;
        if let Outcome::Committed(_) = outcome {
            self.sequence += 1;
            self.hash = hash;
        }
        Ok(outcome)
    }
}
