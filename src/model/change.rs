//! Everything that somebody changed.

use super::cell::{Text, TextMap, Time};
use super::{Partition, day_of};
use crate::canonical_table;

canonical_table! {
    /// Everything that somebody changed: deploys, rollbacks, configuration, feature flags, migrations, scaling, infrastructure, providers.
    "changes", CHANGES, ChangeRow, ChangeBuilder;
    partition Partition::Day("started_at"), |row| row.started_at.or(row.finished_at).map(day_of);
    key ["change_id", "status"];
    cluster ["service_name", "started_at"];
    bloom [];
    /// Id of the change, unique in the source that reports it.
    change_id: Text,
    /// deploy, rollback, config, feature_flag, migration, scale, infrastructure or provider.
    kind: Text,
    /// Service that was changed; null when the change is to something wider.
    service_name: Text,
    /// Deployment environment.
    environment: Text,
    /// Version after the change.
    version: Text,
    /// Version before the change.
    previous_version: Text,
    /// vcs.ref.head.revision: the commit.
    revision: Text,
    /// Repository that it came from, as a URL or owner/name.
    repository: Text,
    /// Artifact that was deployed, as a package URL (purl).
    artifact_id: Text,
    /// cicd.pipeline.run.id of the run that made the change.
    pipeline_run_id: Text,
    /// Who made it.
    actor: Text,
    /// started, succeeded, failed or cancelled.
    status: Text,
    /// When the change began to act.
    started_at: Time,
    /// When it was complete.
    finished_at: Time,
    /// Where a person can read about it.
    ref_url: Text,
    /// One line for people.
    title: Text,
    /// What else the source said.
    attributes: TextMap,
}
