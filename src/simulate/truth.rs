//! The truth file: what really happened, for tests and for judging answers.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use super::Plan;
use super::billing::Billed;
use super::identity::Access;
use super::otlp::{Exported, Instance};
use super::story::Story;
use super::traffic::{Counts, Stat};
use super::world::{TEAMS, World};

/// A time in nanoseconds as RFC 3339 with whole seconds, or as many digits as it needs.
#[must_use]
pub fn iso(nanos: i64) -> String {
    DateTime::from_timestamp_nanos(nanos).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// All that the generator knows.
pub struct Known<'a> {
    /// What was asked for.
    pub plan: &'a Plan,
    /// The company.
    pub world: &'a World,
    /// What happened.
    pub story: &'a Story,
    /// Spans and their fate.
    pub counts: &'a Counts,
    /// Records written.
    pub exported: &'a Exported,
    /// Senders.
    pub instances: &'a [Instance],
    /// Charges.
    pub billed: &'a Billed,
    /// Identities.
    pub access: &'a Access,
}

impl std::fmt::Debug for Known<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("plan", self.plan).finish_non_exhaustive()
    }
}

/// The content of `truth.json`.
#[must_use]
pub fn json(known: &Known<'_>) -> Value {
    let Known { plan, story, counts, exported, .. } = known;
    let incident = &story.incident;
    let causes: Vec<Value> = story.causes.iter().map(|cause| self::cause(story, cause)).collect();
    json!({
        "format": 1,
        "scenario": plan.scenario.name(),
        "seed": plan.seed,
        "window": {"start": iso(story.windows.start), "end": iso(story.windows.end)},
        "incident": {
            "incident_id": incident.id,
            "service_name": incident.service,
            "signal": incident.signal,
            "t0": iso(incident.t0),
            "t1": iso(incident.t1),
            "detected_at": iso(incident.detected),
            "onset": iso(story.windows.onset),
            "over": iso(story.windows.over),
        },
        "no_change": story.causes.iter().all(|cause| cause.change.is_none()),
        "causes": causes,
        "note": story.note,
        "counts": {
            "traces": counts.traces,
            "spans": exported.spans,
            "lost_spans": counts.lost,
            "orphan_spans": counts.orphans,
            "retries": counts.retries,
            "logs": exported.logs,
            "metrics": exported.metrics,
            "changes": story.changes.len(),
        },
        "services": services(known),
        "clock_offset_nano": offsets(known.instances),
        "cost": known.billed.json(),
        "access": {"origins": known.access.origins, "leak": known.access.leak},
    })
}

fn cause(story: &Story, cause: &super::story::Cause) -> Value {
    let change = cause.change.as_ref().and_then(|id| story.changes.iter().find(|change| &change.id == id));
    json!({
        "role": cause.role,
        "kind": cause.kind,
        "change_id": cause.change,
        "service_name": cause.service,
        "subject": cause.subject,
        "since": iso(cause.since),
        "version": change.and_then(|change| change.version.as_deref()),
        "revision": change.map(|change| change.revision.as_str()),
        "pipeline_run_id": change.filter(|change| change.run > 0).map(|change| change.run.to_string()),
        "changed_at": change.map(|change| iso(change.started)),
    })
}

/// What was measured at each service before the onset and during the incident, at the serving side.
fn services(known: &Known<'_>) -> Vec<Value> {
    let stat = |stat: &Stat| {
        let requests = stat.requests.max(1) as f64;
        json!({"requests": stat.requests, "errors": stat.errors, "mean_ms": (stat.total_ms / requests * 1000.0).round() / 1000.0})
    };
    let rows = known.world.services.iter().zip(&known.counts.services);
    rows.map(|(service, [before, during])| {
        json!({"service_name": service.name, "owner": TEAMS[service.team], "before": stat(before), "during": stat(during)})
    })
    .collect()
}

fn offsets(instances: &[Instance]) -> Value {
    let mut offsets = serde_json::Map::new();
    for instance in instances {
        offsets.insert(instance.name.clone(), json!(instance.skew));
    }
    Value::Object(offsets)
}
