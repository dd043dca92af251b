//! Kubernetes events (`v1` and `events.k8s.io/v1`; JSON: lines, arrays, lists as `kubectl get events -o json` prints them,
//! what `kubectl get -w` and event exporters send). What tells of a change of size lands in `scaling_events`, what tells
//! of a deploy or rollback in `changes`; all other events are about symptoms, or are told better by other sources, and
//! are not used.
//!
//! - `SuccessfulRescale` of a horizontal pod autoscaler: the workload gets a new size, and why. The event names the
//!   autoscaler, which stands for the workload. Its former size is not told.
//! - `ScalingReplicaSet` of a Deployment: one of its replica sets gets a new size, by scaling or in a rollout. The
//!   target is the replica set.
//! - Helm releases of Flux (`InstallSucceeded`, `UpgradeSucceeded`, `RollbackSucceeded` and their failures): a deploy or
//!   rollback of the release; its version is the annotation `…/revision`, that of the chart.
//! - `DeploymentRollback`: a rollback.
//!
//! Targets are `namespace/name`. An event that is told again (`count`, `series`) is another one at its newest time.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::Value;

use super::json::{self, text, time};
use super::json_records::Reason;
use super::{Input, Output, Source, json_records, workload};
use crate::error::Result;
use crate::model::Table;
use crate::model::change::{CHANGES, ChangeRow};
use crate::model::platform::{SCALING_EVENTS, ScalingEventRow};

/// The source `kubernetes`.
#[derive(Debug)]
pub struct Kubernetes;

impl Source for Kubernetes {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn doc(&self) -> &'static str {
        "Kubernetes events (JSON, lists, watches) into scaling_events and changes"
    }

    fn tables(&self) -> Vec<&'static Table> {
        vec![&CHANGES, &SCALING_EVENTS]
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        json_records::for_each(input, &["items"], output, |record, _, output| {
            let watched = json::at(record, &["object"]).filter(|object| json::at(object, &["metadata"]).is_some());
            land(watched.unwrap_or(record), output)
        })
    }
}

struct Event<'v> {
    event: &'v Value,
    /// What the event is about.
    object: &'v Value,
    reason: &'v str,
    message: &'v str,
    time: i64,
}

fn land(event: &Value, output: &mut Output<'_>) -> Result<(), Reason> {
    if !event.is_object() {
        return Err("a record is not an object".into());
    }
    let object = json::at(event, &["involvedObject"]).or_else(|| json::at(event, &["regarding"]));
    let object = object.ok_or("involvedObject is missing")?;
    let reason = text(event, &["reason"]).ok_or("reason is missing")?;
    let kind = text(object, &["kind"]).unwrap_or_default();
    let paths: [&[&str]; 7] = [
        &["series", "lastObservedTime"],
        &["lastTimestamp"],
        &["deprecatedLastTimestamp"],
        &["eventTime"],
        &["firstTimestamp"],
        &["deprecatedFirstTimestamp"],
        &["metadata", "creationTimestamp"],
    ];
    let time = paths.iter().find_map(|path| time(event, path));
    let message = text(event, &["message"]).or_else(|| text(event, &["note"])).unwrap_or_default();
    let event = Event { event, object, reason, message, time: time.ok_or("the event has no time")? };
    match (kind, reason) {
        ("HorizontalPodAutoscaler", "SuccessfulRescale") => output.scaling_events.push(&event.rescaled()?),
        ("Deployment", "ScalingReplicaSet") => output.scaling_events.push(&event.replica_set()?),
        ("Deployment", "DeploymentRollback") => output.changes.push(&event.change("rollback", "succeeded")),
        ("HelmRelease", "InstallSucceeded" | "UpgradeSucceeded") => {
            output.changes.push(&event.change("deploy", "succeeded"));
        }
        ("HelmRelease", "InstallFailed" | "UpgradeFailed") => output.changes.push(&event.change("deploy", "failed")),
        ("HelmRelease", "RollbackSucceeded") => output.changes.push(&event.change("rollback", "succeeded")),
        ("HelmRelease", "RollbackFailed") => output.changes.push(&event.change("rollback", "failed")),
        _ => return Err("event type not used".into()),
    }
    Ok(())
}

/// The number behind a word.
fn number_behind(message: &str, word: &str) -> Option<i64> {
    let (_, behind) = message.split_once(word)?;
    let digits: &str = behind.split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok()
}

impl<'v> Event<'v> {
    fn name(&self) -> &'v str {
        text(self.object, &["name"]).unwrap_or_default()
    }

    fn namespace(&self) -> Option<&'v str> {
        text(self.object, &["namespace"])
    }

    fn target(&self, name: &str) -> Cow<'static, str> {
        Cow::Owned(self.namespace().map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}")))
    }

    /// `New size: 4; reason: cpu resource utilization (percentage of request) above target`.
    fn rescaled(&self) -> Result<ScalingEventRow<'v>, Reason> {
        let to = number_behind(self.message, "New size: ").ok_or("the message names no new size")?;
        let reason = self.message.split_once("reason: ").map(|(_, reason)| reason);
        let metric = reason.map(|reason| reason.split([' ']).next().unwrap_or(reason));
        let named = reason.and_then(|reason| reason.split_once(" metric ")).map(|(_, behind)| behind);
        let metric = named.and_then(|behind| behind.split(['(', ' ']).next()).or(metric);
        Ok(ScalingEventRow {
            time: Some(self.time),
            target: Some(self.target(self.name())),
            to_replicas: Some(to),
            metric: metric.filter(|metric| *metric != "All").map(Cow::Borrowed),
            reason: reason.map(Cow::Borrowed),
            ..ScalingEventRow::default()
        })
    }

    /// `Scaled up replica set cart-7d9f to 3 from 1`; before Kubernetes 1.26 without the last two words.
    fn replica_set(&self) -> Result<ScalingEventRow<'v>, Reason> {
        let (_, behind) = self.message.split_once("replica set ").ok_or("the message names no replica set")?;
        let name = behind.split(' ').next().unwrap_or_default();
        let to = number_behind(behind, " to ").ok_or("the message names no new size")?;
        Ok(ScalingEventRow {
            time: Some(self.time),
            target: Some(self.target(name)),
            from_replicas: number_behind(behind, " from "),
            to_replicas: Some(to),
            reason: Some(Cow::Borrowed(self.message)),
            ..ScalingEventRow::default()
        })
    }

    fn change(&self, kind: &'static str, status: &'static str) -> ChangeRow<'v> {
        let annotations = json::at(self.event, &["metadata", "annotations"]).and_then(Value::as_object);
        let revision = annotations.into_iter().flatten().find(|(name, _)| name.ends_with("toolkit.fluxcd.io/revision"));
        let version = revision.and_then(|(_, value)| value.as_str());
        let uid = text(self.event, &["metadata", "uid"]).map_or_else(|| self.target(self.name()), Cow::Borrowed);
        let mut attributes = workload::attributes(self.namespace(), "object", self.name());
        attributes.push(("k8s.event.reason".into(), self.reason.into()));
        ChangeRow {
            change_id: Some(Cow::Owned(format!("kubernetes/{uid}/{}", self.time))),
            kind: Some(kind.into()),
            service_name: Some(Cow::Borrowed(self.name())),
            version: version.map(Cow::Borrowed),
            status: Some(status.into()),
            started_at: Some(self.time),
            finished_at: Some(self.time),
            title: Some(Cow::Borrowed(self.message)).filter(|message| !message.is_empty()),
            attributes,
            ..ChangeRow::default()
        }
    }
}
