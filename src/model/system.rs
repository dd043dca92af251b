//! Tables of schema `system` that are stored in the lake.

use super::cell::{Int, Text, Time};
use super::{Partition, day_of};
use crate::canonical_table;

canonical_table! {
    /// Every file or request that was landed, with what was rejected and why.
    "ingests", INGESTS, IngestRow, IngestBuilder;
    partition Partition::Day("finished_at"), |row| row.finished_at.map(day_of);
    key ["content_hash", "importer"];
    cluster ["finished_at"];
    bloom [];
    /// Id of the ingest.
    ingest_id: Text,
    /// The importer.
    importer: Text,
    /// The file or endpoint.
    origin: Text,
    /// SHA-256 of the content, lowercase hex.
    content_hash: Text,
    /// When it began.
    started_at: Time,
    /// When it was committed.
    finished_at: Time,
    /// Bytes read.
    bytes: Int,
    /// Rows that landed, over all tables.
    rows_landed: Int,
    /// Records that were rejected.
    rows_rejected: Int,
    /// Rejections by reason with a sample each, as JSON.
    rejections: Text,
}

canonical_table! {
    /// One row a run of a report.
    "report_runs", REPORT_RUNS, ReportRunRow, ReportRunBuilder;
    partition Partition::Day("due_at"), |row| row.due_at.map(day_of);
    key ["report", "due_at"];
    cluster ["report", "due_at"];
    bloom [];
    /// Id of the run.
    run_id: Text,
    /// Name of the report.
    report: Text,
    /// schedule or manual.
    trigger: Text,
    /// The instant that the run stands for.
    due_at: Time,
    /// When it began.
    started_at: Time,
    /// When it was delivered.
    finished_at: Time,
    /// succeeded or failed.
    status: Text,
    /// Rows of the result.
    rows: Int,
    /// The files delivered, as a JSON list of paths below the lake.
    outputs: Text,
    /// What went wrong.
    error: Text,
    /// The parameters of the run as JSON.
    parameters: Text,
}

canonical_table! {
    /// Every statement of every connection, every login, and what the rules of privacy became. Rows are only added, and
    /// changed only when a person is forgotten; each has the hash of the one before it, and `ascribe audit verify` finds what
    /// was changed otherwise, removed or moved.
    "audit", AUDIT, AuditRow, AuditBuilder;
    partition Partition::Day("at"), |row| row.at.map(day_of);
    key ["node", "sequence"];
    cluster ["node", "sequence"];
    bloom [];
    /// The run of a server that the chain of records belongs to.
    node: Text,
    /// Number in the chain, from one.
    sequence: Int,
    /// When the statement began.
    at: Time,
    /// The role, or who the client said it was.
    role: Text,
    /// Address of the client.
    address: Text,
    /// application_name of the connection.
    application: Text,
    /// The statement, without passwords; CONNECT for a login.
    statement: Text,
    /// Rows that were sent or written; null if it failed or has none.
    rows: Int,
    /// 00000, or the SQLSTATE of the error.
    sqlstate: Text,
    /// How long it took, microseconds.
    duration_micros: Int,
    /// The hash of the record before it in the chain; empty for the first.
    previous_hash: Text,
    /// SHA-256 of the record and the hash before it, lowercase hex.
    hash: Text,
}
