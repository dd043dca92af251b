//! CDEvents (<https://cdevents.dev>, versions 0.1 to 0.6): the specification's own JSON (`context`, `subject`) and
//! structured CloudEvents whose `data` is that. Deployments, environments and pipeline runs land in `changes`,
//! incidents in `incidents`.
//!
//! - `service` deployed, upgraded, rolledback, removed: a finished change of the service. `published` is one too: the
//!   service takes traffic from then on.
//! - `environment` created, modified, deleted: kind infrastructure.
//! - `pipelinerun`, `taskrun` started, finished: a deploy, when the name of the pipeline or task says that it deploys.
//! - `incident` detected, reported, resolved: one row an event, all with the id of the incident.
//!
//! Source-code, test, build, artifact, ticket and approval events are not used: they change nothing that runs.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::Value;

use super::json::{self, text, time};
use super::json_records::Reason;
use super::{Input, Output, Source, json_records};
use crate::error::Result;
use crate::model::change::ChangeRow;
use crate::model::ownership::IncidentRow;

/// The source `cdevents`.
#[derive(Debug)]
pub struct CdEvents;

impl Source for CdEvents {
    fn name(&self) -> &'static str {
        "cdevents"
    }

    fn doc(&self) -> &'static str {
        "CDEvents (service, environment, pipelinerun, incident) into changes and incidents"
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        json_records::for_each(input, &[], output, |record, _, output| land(record, output))
    }
}

/// The parts of an event that every kind has.
struct Event<'v> {
    context: &'v Value,
    content: &'v Value,
    subject_id: &'v str,
    time: i64,
    root: &'v Value,
}

fn land(record: &Value, output: &mut Output<'_>) -> Result<(), Reason> {
    let root = match json::at(record, &["data"]) {
        Some(data) if json::at(data, &["context"]).is_some() => data,
        _ => record,
    };
    let kind = text(root, &["context", "type"]).ok_or("context.type is missing")?;
    let mut words = kind.strip_prefix("dev.cdevents.").ok_or("the event is no CDEvent")?.split('.');
    let (subject, predicate) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let event = Event {
        context: &root["context"],
        content: &root["subject"]["content"],
        subject_id: text(root, &["subject", "id"]).ok_or("subject.id is missing")?,
        time: time(root, &["context", "timestamp"]).ok_or("context.timestamp is not an instant")?,
        root,
    };
    match (subject, predicate) {
        ("service", "deployed" | "upgraded" | "published") => service(&event, predicate, "deploy", output),
        ("service", "rolledback") => service(&event, predicate, "rollback", output),
        ("service", "removed") => service(&event, predicate, "infrastructure", output),
        ("environment", "created" | "modified" | "deleted") => environment(&event, predicate, output),
        ("pipelinerun" | "taskrun", "started" | "finished") => return run(&event, predicate, output),
        ("incident", "detected" | "reported" | "resolved") => incident(&event, predicate, output),
        _ => return Err("event type not used".into()),
    }
    Ok(())
}

fn borrowed(text: Option<&str>) -> Option<Cow<'_, str>> {
    text.map(Cow::Borrowed)
}

impl<'v> Event<'v> {
    fn of_content(&self, path: &[&str]) -> Option<Cow<'v, str>> {
        borrowed(text(self.content, path))
    }

    /// What every change has.
    fn change(&self, predicate: &str, change_id: String) -> ChangeRow<'v> {
        let mut attributes = json::attributes(&self.root["customData"]);
        let told = [
            ("cdevents.predicate", Some(Cow::Owned(predicate.to_owned()))),
            ("cdevents.source", borrowed(text(self.context, &["source"]))),
            ("cdevents.chain_id", borrowed(text(self.context, &["chainId"]))),
        ];
        attributes.extend(told.into_iter().filter_map(|(name, value)| Some((Cow::Borrowed(name), value?))));
        let artifact = self.of_content(&["artifactId"]);
        ChangeRow {
            change_id: Some(Cow::Owned(change_id)),
            version: artifact.as_deref().and_then(version_of).map(Cow::Owned),
            artifact_id: artifact,
            environment: self.of_content(&["environment", "id"]),
            status: Some("succeeded".into()),
            started_at: Some(self.time),
            finished_at: Some(self.time),
            attributes,
            ..ChangeRow::default()
        }
    }

    fn id(&self) -> &'v str {
        text(self.context, &["id"]).unwrap_or(self.subject_id)
    }
}

/// The version of a package URL (`pkg:type/name@version?qualifiers#subpath`), percent-decoded.
fn version_of(purl: &str) -> Option<String> {
    let named = purl.strip_prefix("pkg:")?.split(['?', '#']).next()?;
    let (_, version) = named.rsplit_once('@')?;
    let mut decoded = Vec::with_capacity(version.len());
    let mut rest = version.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let escaped = behind.get(..2).filter(|_| byte == b'%').and_then(|digits| hex::decode(digits).ok());
        rest = if escaped.is_some() { behind.get(2..)? } else { behind };
        decoded.extend(escaped.unwrap_or_else(|| vec![byte]));
    }
    String::from_utf8(decoded).ok().filter(|version| !version.is_empty())
}

fn service(event: &Event<'_>, predicate: &str, kind: &'static str, output: &mut Output<'_>) {
    let mut row = event.change(predicate, event.id().to_owned());
    row.kind = Some(kind.into());
    row.service_name = Some(Cow::Borrowed(event.subject_id));
    row.title = Some(Cow::Owned(format!("{} {predicate}", event.subject_id)));
    output.changes.push(&row);
}

fn environment(event: &Event<'_>, predicate: &str, output: &mut Output<'_>) {
    let mut row = event.change(predicate, event.id().to_owned());
    row.kind = Some("infrastructure".into());
    row.environment = event.of_content(&["name"]).or(Some(Cow::Borrowed(event.subject_id)));
    row.ref_url = event.of_content(&["uri"]).or_else(|| event.of_content(&["url"]));
    row.title = Some(Cow::Owned(format!("environment {} {predicate}", event.subject_id)));
    output.changes.push(&row);
}

fn run(event: &Event<'_>, predicate: &str, output: &mut Output<'_>) -> Result<(), Reason> {
    let name = text(event.content, &["pipelineName"]).or_else(|| text(event.content, &["taskName"]));
    let lower = name.unwrap_or_default().to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let kind = if says(&["rollback", "revert"]) {
        "rollback"
    } else if says(&["deploy", "release", "promote", "rollout"]) {
        "deploy"
    } else {
        return Err("run not used: it does not deploy".into());
    };
    // Both events of a run are about the same change, so its id is the run's.
    let mut row = event.change(predicate, event.subject_id.to_owned());
    row.kind = Some(kind.into());
    row.pipeline_run_id = text(event.content, &["pipelineRun", "id"]).or(Some(event.subject_id)).map(Cow::Borrowed);
    row.ref_url = event.of_content(&["uri"]).or_else(|| event.of_content(&["url"]));
    row.title = borrowed(name);
    if predicate == "started" {
        row.status = Some("started".into());
        row.finished_at = None;
    } else {
        row.status = Some(status_of(text(event.content, &["outcome"])).into());
        row.started_at = None;
    }
    output.changes.push(&row);
    Ok(())
}

fn status_of(outcome: Option<&str>) -> &'static str {
    match outcome {
        Some("success") => "succeeded",
        Some("cancel" | "cancelled") => "cancelled",
        // "failure" and "error" in the specification; a run that ended in any other way did not succeed either.
        _ => "failed",
    }
}

fn incident(event: &Event<'_>, predicate: &str, output: &mut Output<'_>) {
    let custom = &event.root["customData"];
    let mut labels = json::attributes(custom);
    let artifact = text(event.content, &["artifactId"]);
    labels.extend(artifact.map(|artifact| (Cow::Borrowed("artifact_id"), Cow::Borrowed(artifact))));
    let resolved = predicate == "resolved";
    output.incidents.push(&IncidentRow {
        incident_id: Some(Cow::Borrowed(event.subject_id)),
        title: event.of_content(&["description"]),
        severity: borrowed(text(custom, &["severity"])),
        status: Some(if resolved { "resolved" } else { "open" }.into()),
        service_name: event.of_content(&["service", "id"]),
        environment: event.of_content(&["environment", "id"]),
        // A resolution alone does not say when the trouble began.
        started_at: Some(event.time).filter(|_| !resolved),
        detected_at: Some(event.time).filter(|_| !resolved),
        resolved_at: Some(event.time).filter(|_| resolved),
        signal: borrowed(text(custom, &["signal"])),
        labels,
        ref_url: event.of_content(&["ticketURI"]),
        ..IncidentRow::default()
    });
}
