//! What the engine writes: attributions and their evidence. Append-only: a later opinion is a new row.

use super::cell::{Double, Int, Text, Time};
use super::{Partition, day_of};
use crate::canonical_table;

canonical_table! {
    /// Answers of the engine: one row a candidate cause of an outcome.
    "attributions", ATTRIBUTIONS, AttributionRow, AttributionBuilder;
    partition Partition::Day("created_at"), |row| row.created_at.map(day_of);
    key ["attribution_id", "created_at"];
    cluster ["subject_id", "created_at"];
    bloom ["attribution_id"];
    /// Id of the attribution; evidence(attribution_id) shows what it rests on.
    attribution_id: Text,
    /// incident, cost, access or burn.
    subject_kind: Text,
    /// What was explained.
    subject_id: Text,
    /// When the answer was given.
    created_at: Time,
    /// 1 is the likeliest.
    rank: Int,
    /// primary or contributing.
    role: Text,
    /// Kind of the cause: a kind of change, service, or none.
    cause_kind: Text,
    /// Id of the cause.
    cause_id: Text,
    /// Service of the cause.
    service_name: Text,
    /// Owner of that service at that time.
    owner: Text,
    /// Share of the outcome that goes to the cause.
    effect: Double,
    /// Relative weight of the cause among the candidates; not a probability.
    score: Double,
    /// Calibrated probability that this is a cause; null where no calibration applies.
    confidence: Double,
    /// Name of the method.
    method: Text,
    /// Version of the method.
    method_version: Text,
    /// Start of the window that was looked at.
    window_start: Time,
    /// End of the window that was looked at.
    window_end: Time,
}

canonical_table! {
    /// Evidence of the attributions; every row carries the SQL that returns the rows that it rests on.
    "attribution_evidence", ATTRIBUTION_EVIDENCE, EvidenceRow, EvidenceBuilder;
    partition Partition::Day("observed_at"), |row| row.observed_at.map(day_of);
    key ["attribution_id", "seq"];
    cluster ["attribution_id", "seq"];
    bloom ["attribution_id"];
    /// Attribution that the evidence is for.
    attribution_id: Text,
    /// Order of reading.
    seq: Int,
    /// Kind of evidence, such as blame, cohort, lead_time.
    kind: Text,
    /// The statement, for people.
    statement: Text,
    /// Table that holds the rows.
    source_table: Text,
    /// Key of the row, where the statement rests on one.
    row_key: Text,
    /// When what is stated was the case.
    observed_at: Time,
    /// What the statement added to the score (log-odds).
    weight: Double,
    /// Rows that the query returns.
    row_count: Int,
    /// SQL that returns the very rows that the statement rests on.
    query: Text,
}
