//! Scaling and data lineage.

use super::cell::{Int, Text, TextList, Time};
use super::{Partition, day_of};
use crate::canonical_table;

canonical_table! {
    /// Changes of a workload's size.
    "scaling_events", SCALING_EVENTS, ScalingEventRow, ScalingEventBuilder;
    partition Partition::Day("time"), |row| row.time.map(day_of);
    key ["time", "target"];
    cluster ["target", "time"];
    bloom [];
    /// When it happened.
    time: Time,
    /// Workload that was scaled.
    target: Text,
    /// Deployment environment.
    environment: Text,
    /// Replicas before.
    from_replicas: Int,
    /// Replicas after.
    to_replicas: Int,
    /// Metric that drove it.
    metric: Text,
    /// What the autoscaler said.
    reason: Text,
}

canonical_table! {
    /// OpenLineage run events.
    "lineage_runs", LINEAGE_RUNS, LineageRunRow, LineageRunBuilder;
    partition Partition::Day("event_time"), |row| row.event_time.map(day_of);
    key ["run_id", "event_type", "event_time"];
    cluster ["job", "event_time"];
    bloom [];
    /// Id of the run.
    run_id: Text,
    /// Job, as namespace/name.
    job: Text,
    /// START, RUNNING, COMPLETE, ABORT, FAIL or OTHER.
    event_type: Text,
    /// When it happened.
    event_time: Time,
    /// Datasets read, as namespace/name.
    inputs: TextList,
    /// Datasets written, as namespace/name.
    outputs: TextList,
    /// Run that this one is part of.
    parent_run_id: Text,
    /// Column lineage facet as JSON.
    column_lineage: Text,
}
