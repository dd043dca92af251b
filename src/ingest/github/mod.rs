//! GitHub webhook payloads: deployments, their statuses, workflow runs and releases. Lands in `changes`.
//!
//! A file holds one payload or several (an array, lines). The kind of event travels in an HTTP header that files do not
//! have, so it is told from the members that only that kind has.
//!
//! - `deployment`, `deployment_status`: a deploy (a rollback, if its task says so), one row a status, all with the id of
//!   the deployment. A status that only says that something waits (`queued`, `pending`, `inactive`) is not used.
//! - `workflow_run`: a deploy when the workflow's name or file says that it deploys, releases or rolls back.
//! - `release`: a deploy of the repository's service at the tag, when it is published: consumers of the release take it
//!   from then on. Drafts, edits and deletions are not used.
//! - `push`: not used. What a push changes takes effect with the deploy that follows it.
//!
//! The service is the `service` of the deployment's payload, else the repository's name.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::Value;

use super::json::{self, scalar, text, time};
use super::json_records::Reason;
use super::{Input, Output, Source, json_records};
use crate::error::Result;
use crate::model::change::ChangeRow;

/// The source `github`.
#[derive(Debug)]
pub struct GitHub;

impl Source for GitHub {
    fn name(&self) -> &'static str {
        "github"
    }

    fn doc(&self) -> &'static str {
        "GitHub webhook payloads (deployment, deployment_status, workflow_run, release) into changes"
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        json_records::for_each(input, &[], output, |payload, _, output| {
            output.changes.push(&row(payload)?);
            Ok(())
        })
    }
}

/// Members of which every payload has some, whatever its event: who did it, where, or through which hook.
const WEBHOOK_MEMBERS: [&str; 6] = ["action", "enterprise", "hook", "organization", "repository", "sender"];

/// The row of a payload, or why it has none.
fn row(payload: &Value) -> Result<ChangeRow<'_>, Reason> {
    if !payload.is_object() {
        return Err("a payload is not an object".into());
    }
    let has = |name: &str| json::at(payload, &[name]).is_some_and(Value::is_object);
    // A deployment names the workflow run that asked for it and a job names its deployment, so the order tells.
    if has("check_run") || has("workflow_job") || has("check_suite") {
        Err("event type not used".into())
    } else if has("deployment_status") {
        deployment(payload, Some("deployment_status"))
    } else if has("deployment") {
        deployment(payload, None)
    } else if has("workflow_run") {
        workflow_run(payload)
    } else if has("release") {
        release(payload)
    } else if payload.get("pusher").is_some() && payload.get("commits").is_some() {
        Err("event type not used: push".into())
    } else if WEBHOOK_MEMBERS.iter().any(|name| payload.get(name).is_some()) {
        Err("event type not used".into())
    } else {
        Err("not a payload of a GitHub webhook".into())
    }
}

fn borrowed(text: Option<&str>) -> Option<Cow<'_, str>> {
    text.map(Cow::Borrowed)
}

fn base<'v>(payload: &'v Value, id: String) -> ChangeRow<'v> {
    ChangeRow {
        change_id: Some(Cow::Owned(id)),
        kind: Some("deploy".into()),
        service_name: borrowed(text(payload, &["repository", "name"])),
        repository: borrowed(
            text(payload, &["repository", "html_url"]).or_else(|| text(payload, &["repository", "full_name"])),
        ),
        actor: borrowed(text(payload, &["sender", "login"])),
        ..ChangeRow::default()
    }
}

fn repository(payload: &Value) -> &str {
    text(payload, &["repository", "full_name"]).unwrap_or_default()
}

fn deployment<'v>(payload: &'v Value, status: Option<&str>) -> Result<ChangeRow<'v>, Reason> {
    let deployment = &payload["deployment"];
    let id = scalar(deployment, &["id"]).ok_or("the deployment has no id")?;
    let created = time(deployment, &["created_at"]).ok_or("created_at of the deployment is no instant")?;
    let mut row = base(payload, format!("github/{}/deployment/{id}", repository(payload)));
    let asked = json::at(deployment, &["payload"]);
    let from_payload = |name: &str| asked.and_then(|asked| text(asked, &[name]));
    row.service_name = borrowed(from_payload("service")).or(row.service_name);
    let task = text(deployment, &["task"]).unwrap_or("deploy");
    row.kind = Some(kind_of(task).unwrap_or("deploy").into());
    row.environment = borrowed(text(deployment, &["environment"]));
    row.revision = borrowed(text(deployment, &["sha"]));
    row.version = borrowed(from_payload("version").or_else(|| text(deployment, &["ref"])));
    row.previous_version = borrowed(from_payload("previous_version"));
    row.artifact_id = borrowed(from_payload("artifact_id"));
    row.pipeline_run_id = scalar(payload, &["workflow_run", "id"]);
    row.actor = borrowed(text(deployment, &["creator", "login"])).or(row.actor);
    row.title = borrowed(text(deployment, &["description"]));
    row.started_at = Some(created);
    row.status = Some("started".into());
    row.ref_url = borrowed(text(payload, &["workflow_run", "html_url"])).or_else(|| row.repository.clone());
    row.attributes = asked.map(json::attributes).unwrap_or_default();
    row.attributes.push(("github.deployment.task".into(), task.into()));
    if let Some(status) = status.and_then(|name| json::at(payload, &[name])) {
        set_status(&mut row, status)?;
    }
    Ok(row)
}

fn set_status<'v>(row: &mut ChangeRow<'v>, status: &'v Value) -> Result<(), Reason> {
    let (word, finished) = match text(status, &["state"]).unwrap_or_default() {
        "success" => ("succeeded", true),
        "failure" | "error" => ("failed", true),
        "in_progress" => ("started", false),
        "queued" | "pending" | "waiting" => return Err("deployment status not used: it still waits".into()),
        "inactive" => return Err("deployment status not used: superseded by another".into()),
        _ => return Err("the state of a deployment status is not known".into()),
    };
    let at = time(status, &["created_at"]).ok_or("created_at of the deployment status is no instant")?;
    row.status = Some(word.into());
    if finished {
        row.finished_at = Some(at);
    } else {
        // Work begins with this status; until then the deployment waited.
        row.started_at = Some(at);
    }
    row.environment = borrowed(text(status, &["environment"])).or(row.environment.take());
    let url = ["environment_url", "log_url", "target_url"].iter().find_map(|name| text(status, &[name]));
    row.ref_url = borrowed(url).or(row.ref_url.take());
    row.title = borrowed(text(status, &["description"])).or(row.title.take());
    Ok(())
}

/// What kind of change a task or workflow of that name makes, if it makes one.
pub(super) fn kind_of(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if says(&["rollback", "roll-back", "roll back", "revert"]) {
        Some("rollback")
    } else if says(&["migrat"]) {
        Some("migration")
    } else if says(&["deploy", "release", "publish", "promote", "rollout"]) {
        Some("deploy")
    } else {
        None
    }
}

fn workflow_run(payload: &Value) -> Result<ChangeRow<'_>, Reason> {
    let run = &payload["workflow_run"];
    let id = scalar(run, &["id"]).ok_or("the workflow run has no id")?;
    let names =
        [&["workflow", "name"][..], &["workflow_run", "name"], &["workflow_run", "path"], &["workflow", "path"]];
    let kind = names.iter().find_map(|path| kind_of(text(payload, path)?));
    let kind = kind.ok_or("workflow run not used: it does not deploy")?;
    let started = time(run, &["run_started_at"]).or_else(|| time(run, &["created_at"]));
    let started = started.ok_or("run_started_at of the workflow run is no instant")?;
    let (status, finished) = match (text(run, &["status"]), text(run, &["conclusion"])) {
        (Some("completed"), Some("success")) => ("succeeded", true),
        (Some("completed"), Some("cancelled" | "skipped" | "stale" | "neutral")) => ("cancelled", true),
        (Some("completed"), _) => ("failed", true),
        (Some("in_progress"), _) => ("started", false),
        _ => return Err("workflow run not used: it still waits".into()),
    };
    let attempt = scalar(run, &["run_attempt"]).unwrap_or("1".into());
    let mut row = base(payload, format!("github/{}/workflow_run/{id}/{attempt}", repository(payload)));
    row.kind = Some(kind.into());
    row.revision = borrowed(text(run, &["head_sha"]));
    row.version = borrowed(text(run, &["head_branch"]));
    row.pipeline_run_id = Some(id);
    row.actor =
        borrowed(text(run, &["triggering_actor", "login"]).or_else(|| text(run, &["actor", "login"]))).or(row.actor);
    row.status = Some(status.into());
    row.started_at = Some(started);
    row.finished_at = if finished { time(run, &["updated_at"]) } else { None };
    row.ref_url = borrowed(text(run, &["html_url"]));
    row.title = borrowed(text(run, &["display_title"]).or_else(|| text(run, &["name"])));
    for (name, path) in
        [("github.workflow.name", &["workflow", "name"]), ("github.workflow.event", &["workflow_run", "event"])]
    {
        row.attributes.extend(text(payload, path).map(|value| (Cow::Borrowed(name), Cow::Borrowed(value))));
    }
    Ok(row)
}

fn release(payload: &Value) -> Result<ChangeRow<'_>, Reason> {
    let release = &payload["release"];
    match text(payload, &["action"]) {
        Some("published" | "released" | "prereleased") => {}
        _ => return Err("release not used: it is not published by this event".into()),
    }
    let id = scalar(release, &["id"]).ok_or("the release has no id")?;
    let published = time(release, &["published_at"]).ok_or("published_at of the release is no instant")?;
    let mut row = base(payload, format!("github/{}/release/{id}", repository(payload)));
    row.version = borrowed(text(release, &["tag_name"]));
    row.revision = borrowed(text(release, &["target_commitish"]).filter(|name| is_commit(name)));
    row.actor = borrowed(text(release, &["author", "login"])).or(row.actor);
    row.status = Some("succeeded".into());
    row.started_at = Some(published);
    row.finished_at = Some(published);
    row.ref_url = borrowed(text(release, &["html_url"]));
    row.title = borrowed(text(release, &["name"]).or_else(|| text(release, &["tag_name"])));
    row.attributes
        .extend(scalar(release, &["prerelease"]).map(|value| (Cow::Borrowed("github.release.prerelease"), value)));
    Ok(row)
}

/// `target_commitish` is a branch or a commit.
fn is_commit(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}
