//! Who owns what, what was promised, and what went wrong.

use super::cell::{Double, Money, Text, TextMap, Time};
use super::{Partition, day_of};
use crate::canonical_table;

canonical_table! {
    /// Who owns what: effective-dated and weighted. An import closes the interval of what changed and never rewrites history.
    "ownership", OWNERSHIP, OwnershipRow, OwnershipBuilder;
    partition Partition::None, |_| None;
    key ["entity_kind", "entity", "owner", "role", "valid_from"];
    cluster ["entity_kind", "entity", "valid_from"];
    bloom [];
    /// service, resource, account, tag, repository, path, dataset, feature or tenant.
    entity_kind: Text,
    /// The thing owned; a tag is written key=value, a path repository:pattern.
    entity: Text,
    /// The owning team.
    owner: Text,
    /// primary or secondary.
    role: Text,
    /// Share of the owner; the weights of one entity at one instant sum to 1.
    weight: Money,
    /// From when, inclusive.
    valid_from: Time,
    /// Until when, exclusive; null while it lasts, which without a weight is until another owner of the role begins.
    valid_to: Time,
    /// Who is on call, or where to page them.
    on_call: Text,
    /// Cost center that is charged.
    cost_center: Text,
    /// System that the entity is part of.
    system: Text,
    /// Tier (criticality).
    tier: Text,
}

canonical_table! {
    /// Service level objectives, from OpenSLO documents.
    "slos", SLOS, SloRow, SloBuilder;
    partition Partition::None, |_| None;
    key ["slo"];
    cluster ["slo"];
    bloom [];
    /// Name of the objective.
    slo: Text,
    /// Service that it is about.
    service_name: Text,
    /// The indicator: its name or its definition as JSON.
    indicator: Text,
    /// Target ratio, such as 0.999.
    target: Double,
    /// Time window, such as 28d.
    window: Text,
    /// Occurrences, Timeslices or RatioTimeslices.
    budgeting_method: Text,
    /// Query or condition that selects the good events.
    good_filter: Text,
    /// Query or condition that selects all events.
    total_filter: Text,
    /// Owner, if the document names one.
    owner: Text,
    /// Labels and annotations of the document.
    labels: TextMap,
}

canonical_table! {
    /// Incidents, from alerting systems or SQL.
    "incidents", INCIDENTS, IncidentRow, IncidentBuilder;
    partition Partition::Day("started_at"), |row| row.started_at.map(day_of);
    key ["incident_id"];
    cluster ["started_at"];
    bloom [];
    /// Id of the incident.
    incident_id: Text,
    /// One line for people.
    title: Text,
    /// Severity as the source names it.
    severity: Text,
    /// open, acknowledged or resolved.
    status: Text,
    /// Service that alerted.
    service_name: Text,
    /// Deployment environment.
    environment: Text,
    /// When the trouble began.
    started_at: Time,
    /// When it was noticed.
    detected_at: Time,
    /// When somebody took it.
    acknowledged_at: Time,
    /// When it was over.
    resolved_at: Time,
    /// latency, errors, cost or security.
    signal: Text,
    /// Labels of the alert.
    labels: TextMap,
    /// Where a person can read about it.
    ref_url: Text,
}
