//! Changes, incidents and scaling as the systems that know them deliver them: GitHub deployment webhooks, CDEvents,
//! and tables for what neither expresses.

use std::path::Path;

use serde_json::{Value, json};

use super::random::mix;
use super::story::{Change, SECOND, Story, Via};
use super::timeline::Timeline;
use super::truth::iso;
use super::world::{ENVIRONMENT, ORGANISATION, World};
use crate::error::{Error, Result};

/// Write `github/`, `cdevents/`, `changes.csv` and `scaling_events.csv`.
///
/// # Errors
/// When the files cannot be written.
pub fn write(seed: u64, world: &World, story: &Story, timeline: &Timeline, directory: &Path) -> Result<()> {
    let (github, cdevents) = (directory.join("github"), directory.join("cdevents"));
    std::fs::create_dir_all(&github)?;
    std::fs::create_dir_all(&cdevents)?;
    for (number, change) in story.changes.iter().enumerate() {
        match change.via {
            Via::GitHub => {
                let events = deployment(change);
                for (position, (name, event)) in events.iter().enumerate() {
                    save(&github.join(format!("{number:04}-{position}-{name}.json")), event)?;
                }
            }
            Via::CdEvents => save(&cdevents.join(format!("{number:04}-service.json")), &service_event(change))?,
            Via::Table => {}
        }
    }
    for (name, event) in incident_events(seed, story) {
        save(&cdevents.join(format!("incident-{name}.json")), &event)?;
    }
    write_changes(story, &directory.join("changes.csv"))?;
    write_scaling(world, timeline, &directory.join("scaling_events.csv"))
}

fn save(path: &Path, value: &Value) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value).map_err(std::io::Error::from)?;
    text.push('\n');
    std::fs::write(path, text)?;
    Ok(())
}

/// `deployment` and its `deployment_status` events.
fn deployment(change: &Change) -> Vec<(&'static str, Value)> {
    let repository = format!("{ORGANISATION}/{}", change.target);
    let html = format!("https://github.com/{repository}");
    let number: i64 = change.id.parse().unwrap_or_default();
    let version = change.version.as_deref().unwrap_or_default();
    let sender = json!({"login": change.actor, "id": 1000 + change.actor.len(), "type": "User"});
    let task = if change.kind == "rollback" { "deploy:rollback" } else { "deploy" };
    let deployment = json!({
        "url": format!("https://api.github.com/repos/{repository}/deployments/{number}"),
        "id": number,
        "task": task,
        "original_environment": ENVIRONMENT,
        "environment": ENVIRONMENT,
        "production_environment": true,
        "description": change.title,
        "created_at": iso(change.started),
        "updated_at": iso(change.started),
        "creator": sender,
        "sha": change.revision,
        "ref": format!("v{version}"),
        "payload": {"service": change.target, "version": version, "previous_version": change.previous},
    });
    let repository = json!({
        "id": 7000 + change.target.len(),
        "name": change.target,
        "full_name": repository,
        "html_url": html,
        "owner": {"login": ORGANISATION, "type": "Organization"},
    });
    let run = json!({
        "id": change.run,
        "name": "deploy",
        "head_branch": "main",
        "head_sha": change.revision,
        "html_url": format!("{html}/actions/runs/{}", change.run),
        "actor": sender,
    });
    let state = if change.status == "succeeded" { "success" } else { "failure" };
    let status = |state: &str, at: i64, offset: i64| {
        json!({
            "action": "created",
            "deployment_status": {
                "id": number * 4 + offset,
                "state": state,
                "creator": sender,
                "description": "",
                "environment": ENVIRONMENT,
                "target_url": format!("{html}/actions/runs/{}", change.run),
                "created_at": iso(at),
                "updated_at": iso(at),
            },
            "deployment": deployment,
            "workflow_run": run,
            "repository": repository,
            "organization": {"login": ORGANISATION},
            "sender": sender,
        })
    };
    let created = json!({
        "action": "created",
        "deployment": deployment,
        "workflow": {"name": "deploy", "path": ".github/workflows/deploy.yml"},
        "workflow_run": run,
        "repository": repository,
        "organization": {"login": ORGANISATION},
        "sender": sender,
    });
    let finished = change.finished.unwrap_or(change.started);
    vec![
        ("deployment", created),
        ("deployment_status", status("in_progress", change.started + SECOND, 1)),
        ("deployment_status", status(state, finished, 2)),
    ]
}

fn envelope(id: &str, kind: &str, at: i64, subject: &Value, data: &Value) -> Value {
    json!({
        "context": {
            "specversion": "0.5.0",
            "id": id,
            "source": "/shop/delivery",
            "type": format!("dev.cdevents.{kind}"),
            "timestamp": iso(at),
        },
        "subject": subject,
        "customData": data,
        "customDataContentType": "application/json",
    })
}

/// `service.upgraded` or `service.rolledback` (a failed attempt is a finished pipeline run).
fn service_event(change: &Change) -> Value {
    let version = change.version.as_deref().unwrap_or_default();
    let data = json!({
        "service": change.target,
        "version": version,
        "previous_version": change.previous,
        "revision": change.revision,
        "repository": format!("{ORGANISATION}/{}", change.target),
        "pipeline_run_id": change.run.to_string(),
        "actor": change.actor,
        "started_at": iso(change.started),
        "finished_at": change.finished.map(iso),
        "title": change.title,
    });
    if change.status == "failed" {
        let content = json!({"pipelineName": format!("deploy-{}", change.target), "outcome": "failure",
            "errors": "readiness probe failed", "uri": format!("https://ci.example/runs/{}", change.run)});
        let subject = json!({"id": change.run.to_string(), "source": "/shop/ci", "content": content});
        let at = change.finished.unwrap_or(change.started);
        return envelope(&change.id, "pipelinerun.finished.0.3.0", at, &subject, &data);
    }
    let kind = if change.kind == "rollback" { "service.rolledback.0.3.0" } else { "service.upgraded.0.3.0" };
    let artifact = format!("pkg:oci/{}@{version}?repository_url=registry.example/{ORGANISATION}", change.target);
    let content = json!({"environment": {"id": ENVIRONMENT, "source": "/shop"}, "artifactId": artifact});
    let subject = json!({"id": change.target, "source": "/shop/services", "content": content});
    envelope(&change.id, kind, change.started, &subject, &data)
}

fn incident_events(seed: u64, story: &Story) -> Vec<(&'static str, Value)> {
    let incident = &story.incident;
    let data = json!({"signal": incident.signal, "severity": "critical", "started_at": iso(incident.t0)});
    let event = |name, kind: &str, at: i64, text: String| {
        let content = json!({"description": text, "environment": {"id": ENVIRONMENT, "source": "/shop"},
            "service": {"id": incident.service, "source": "/shop/services"}});
        let subject = json!({"id": incident.id, "source": "/shop/alerts", "content": content});
        let id = uuid::Uuid::from_u64_pair(mix(&[seed, at as u64]), mix(&[seed, at as u64, 1])).to_string();
        (name, envelope(&id, kind, at, &subject, &data))
    };
    let service = &incident.service;
    vec![
        (
            "detected",
            event("", "incident.detected.0.3.0", incident.detected, format!("{} on {service}", incident.signal)).1,
        ),
        ("resolved", event("", "incident.resolved.0.3.0", incident.t1, format!("{service} is back to normal")).1),
    ]
}

fn write_changes(story: &Story, path: &Path) -> Result<()> {
    let mut out = csv::Writer::from_path(path).map_err(broken)?;
    out.write_record([
        "change_id",
        "kind",
        "service_name",
        "environment",
        "revision",
        "repository",
        "actor",
        "status",
        "started_at",
        "finished_at",
        "ref_url",
        "title",
    ])
    .map_err(broken)?;
    for change in story.changes.iter().filter(|change| change.via == Via::Table) {
        let repository = if change.kind == "config" { format!("{ORGANISATION}/config") } else { String::new() };
        out.write_record([
            &change.id,
            change.kind,
            &change.target,
            ENVIRONMENT,
            &change.revision,
            &repository,
            &change.actor,
            change.status,
            &iso(change.started),
            &change.finished.map(iso).unwrap_or_default(),
            &format!("https://changes.example/{}", change.id),
            &change.title,
        ])
        .map_err(broken)?;
    }
    out.flush()?;
    Ok(())
}

fn write_scaling(world: &World, timeline: &Timeline, path: &Path) -> Result<()> {
    let mut out = csv::Writer::from_path(path).map_err(broken)?;
    out.write_record(["time", "target", "environment", "from_replicas", "to_replicas", "metric", "reason"])
        .map_err(broken)?;
    for scaling in &timeline.scalings {
        let verb = if scaling.to > scaling.from { "above" } else { "below" };
        out.write_record([
            iso(scaling.at).as_str(),
            world.services[scaling.service].name,
            ENVIRONMENT,
            &scaling.from.to_string(),
            &scaling.to.to_string(),
            "process.cpu.utilization",
            &format!("cpu utilization {:.0} % {verb} target", scaling.utilisation * 100.0),
        ])
        .map_err(broken)?;
    }
    out.flush()?;
    Ok(())
}

/// A CSV writer's error is an I/O error here.
pub fn broken(error: csv::Error) -> Error {
    Error::Io(std::io::Error::other(error))
}
