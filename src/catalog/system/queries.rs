//! `system.queries`: what the clients of a server ask, and have asked lately.

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;

use super::{SystemTable, own_columns};
use crate::canonical_table;
use crate::catalog::Client;
use crate::error::Result;
use crate::model::cell::{Int, Text, Time};
use crate::model::{Partition, RowBuilder, Table};
use crate::storage::Lake;

canonical_table! {
    /// What the clients of this server ask, and the last statements that have ended. Who may not do everything sees their own. system.audit has all that ever ended.
    "queries", QUERIES, QueryRow, QueryBuilder;
    partition Partition::None, |_| None;
    key [];
    cluster [];
    bloom [];
    /// Process number of the connection, as in pg_stat_activity.
    pid: Int,
    /// Role that asked.
    role: Text,
    /// application_name of the client.
    application_name: Text,
    /// Address of the client.
    client_address: Text,
    /// active, or ended.
    state: Text,
    /// The statement, without passwords.
    statement: Text,
    /// When it began.
    started_at: Time,
    /// How long it took, or has taken by now, microseconds.
    duration_micros: Int,
    /// Rows that were sent, or written; null while it runs.
    rows: Int,
    /// SQLSTATE with which it ended: 00000 is success. Null while it runs.
    sqlstate: Text,
    /// The most memory that its session had at a time, bytes; null while it runs.
    peak_memory: Int,
}

/// `system.queries`.
#[derive(Debug)]
pub(super) struct Queries;

#[async_trait]
impl SystemTable for Queries {
    fn table(&self) -> &'static Table {
        &QUERIES
    }

    async fn rows(&self, lake: &Lake, client: &Client) -> Result<RecordBatch> {
        let everything = match &client.guard {
            Some(guard) => guard.access().await?.everything(),
            None => true,
        };
        let shown = |role: &str| everything || role == client.user();
        let now = lake.clock().now_micros();
        let mut builder = QueryBuilder::default();
        for ended in client.connections.ended().iter().filter(|ended| shown(&ended.role)) {
            builder.append(&QueryRow {
                pid: Some(i64::from(ended.pid)),
                role: Some(ended.role.as_str().into()),
                application_name: Some(ended.application.as_str().into()),
                client_address: ended.address.as_deref().map(Into::into),
                state: Some("ended".into()),
                statement: Some(ended.statement.as_str().into()),
                started_at: Some(ended.started_at),
                duration_micros: Some(ended.duration_micros),
                rows: ended.rows,
                sqlstate: Some(ended.sqlstate.as_str().into()),
                peak_memory: Some(ended.peak_memory),
                ..QueryRow::default()
            });
        }
        for (pid, activity) in client.connections.read().iter() {
            if activity.state != "active" || !shown(&activity.user) {
                continue;
            }
            builder.append(&QueryRow {
                pid: Some(i64::from(*pid)),
                role: Some(activity.user.as_str().into()),
                application_name: Some(activity.application.as_str().into()),
                client_address: activity.address.as_deref().map(Into::into),
                state: Some("active".into()),
                statement: Some(activity.query.as_str().into()),
                started_at: activity.query_at,
                duration_micros: activity.query_at.map(|at| now.saturating_sub(at)),
                ..QueryRow::default()
            });
        }
        own_columns(builder)
    }
}
