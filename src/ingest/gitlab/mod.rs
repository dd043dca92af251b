//! GitLab webhook payloads: deployments, jobs, pipelines, releases and feature flags. Lands in `changes`.
//!
//! Field meanings are those of GitLab's "Webhook events". The kind of event is `object_kind`.
//!
//! - `deployment`: a deploy, one row a status. It has the id of the job that deploys, if it has one, so that it and the
//!   `build` event of that job, which names the pipeline, are one change.
//! - `build` (a job): a deploy when it starts an environment, or when its name or stage says that it deploys or rolls
//!   back.
//! - `pipeline`: a deploy when its name says so; deployments of other pipelines tell themselves.
//! - `release`: a deploy of the project's service at the tag, when it is created.
//! - `feature_flag`: switched on or off. The payload has no time, so it happened when it arrived.
//! - `push`, `tag_push`: not used. What they change takes effect with the deploy that follows.
//!
//! What still waits (`created`, `pending`, `manual`, …) is not used. The service is the last part of the project's path.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::Value;

use super::github::kind_of;
use super::json::{self, scalar, text, time};
use super::json_records::Reason;
use super::{Input, Output, Source, json_records};
use crate::error::Result;
use crate::model::change::ChangeRow;

/// The source `gitlab`.
#[derive(Debug)]
pub struct GitLab;

impl Source for GitLab {
    fn name(&self) -> &'static str {
        "gitlab"
    }

    fn doc(&self) -> &'static str {
        "GitLab webhook payloads (deployment, job, pipeline, release, feature flag) into changes"
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        let now = input.now;
        json_records::for_each(input, &[], output, |payload, _, output| {
            output.changes.push(&row(payload, now)?);
            Ok(())
        })
    }
}

fn row(payload: &Value, now: i64) -> Result<ChangeRow<'_>, Reason> {
    if !payload.is_object() {
        return Err("a payload is not an object".into());
    }
    match text(payload, &["object_kind"]).ok_or("object_kind is missing")? {
        "deployment" => deployment(payload),
        "build" => job(payload),
        "pipeline" => pipeline(payload),
        "release" => release(payload),
        "feature_flag" => feature_flag(payload, now),
        "push" | "tag_push" => Err("event type not used: push".into()),
        _ => Err("event type not used".into()),
    }
}

fn borrowed(text: Option<&str>) -> Option<Cow<'_, str>> {
    text.map(Cow::Borrowed)
}

/// The address of the project.
fn web_url(payload: &Value) -> Option<&str> {
    text(payload, &["project", "web_url"]).or_else(|| text(payload, &["repository", "homepage"]))
}

/// `group/project`: as the payload says it, else as the project's address has it.
fn path(payload: &Value) -> Option<&str> {
    let of_address = || web_url(payload)?.split_once("://")?.1.split_once('/').map(|(_, path)| path);
    text(payload, &["project", "path_with_namespace"]).or_else(of_address)
}

fn base<'v>(payload: &'v Value, what: &str, id: &str) -> ChangeRow<'v> {
    let path = path(payload);
    ChangeRow {
        change_id: Some(Cow::Owned(format!("gitlab/{}/{what}/{id}", path.unwrap_or_default()))),
        kind: Some("deploy".into()),
        service_name: borrowed(path.and_then(|path| path.rsplit('/').next())),
        repository: borrowed(web_url(payload).or(path)),
        actor: borrowed(text(payload, &["user", "username"]).or_else(|| text(payload, &["user", "name"]))),
        ..ChangeRow::default()
    }
}

/// The status of a change, and whether it is over.
fn status(word: Option<&str>) -> Result<(&'static str, bool), Reason> {
    match word.unwrap_or_default() {
        "running" => Ok(("started", false)),
        "success" => Ok(("succeeded", true)),
        "failed" => Ok(("failed", true)),
        "canceled" | "cancelled" | "canceling" => Ok(("cancelled", true)),
        "" => Err("the event has no status".into()),
        _ => Err("not used: it waits or was skipped".into()),
    }
}

fn deployment(payload: &Value) -> Result<ChangeRow<'_>, Reason> {
    let id = scalar(payload, &["deployment_id"]).ok_or("deployment_id is missing")?;
    let (word, over) = status(text(payload, &["status"]))?;
    let at = time(payload, &["status_changed_at"]).ok_or("status_changed_at is not an instant")?;
    let mut row = match scalar(payload, &["deployable_id"]) {
        Some(job) => base(payload, "job", &job),
        None => base(payload, "deployment", &id),
    };
    let commit = text(payload, &["commit_url"]).and_then(|url| url.rsplit('/').next());
    row.environment = borrowed(text(payload, &["environment"]));
    row.revision = borrowed(commit.or_else(|| text(payload, &["short_sha"])));
    row.version = borrowed(text(payload, &["ref"]));
    row.status = Some(word.into());
    row.started_at = (!over).then_some(at);
    row.finished_at = over.then_some(at);
    row.ref_url = borrowed(text(payload, &["deployable_url"]));
    row.title = borrowed(text(payload, &["commit_title"]));
    row.attributes.push(("gitlab.deployment.id".into(), id));
    note(&mut row, "gitlab.environment.tier", payload, &["environment_tier"]);
    Ok(row)
}

fn note<'v>(row: &mut ChangeRow<'v>, name: &'static str, payload: &'v Value, path: &[&str]) {
    row.attributes.extend(scalar(payload, path).map(|value| (Cow::Borrowed(name), value)));
}

fn job(payload: &Value) -> Result<ChangeRow<'_>, Reason> {
    let id = scalar(payload, &["build_id"]).ok_or("build_id is missing")?;
    let starts = match text(payload, &["environment", "action"]) {
        Some(action) => action == "start",
        None => json::at(payload, &["environment", "name"]).is_some(),
    };
    let named = ["build_name", "build_stage"].iter().find_map(|name| kind_of(text(payload, &[name])?));
    let kind = named.or_else(|| starts.then_some("deploy")).ok_or("job not used: it does not deploy")?;
    let (word, over) = status(text(payload, &["build_status"]))?;
    let started = time(payload, &["build_started_at"]);
    let finished = time(payload, &["build_finished_at"]).filter(|_| over);
    if started.or(finished).is_none() {
        return Err("build_started_at is not an instant".into());
    }
    let mut row = base(payload, "job", &id);
    row.kind = Some(kind.into());
    row.environment = borrowed(text(payload, &["environment", "name"]).or_else(|| text(payload, &["environment"])));
    row.revision = borrowed(text(payload, &["sha"]));
    row.version = borrowed(text(payload, &["ref"]));
    row.pipeline_run_id = scalar(payload, &["pipeline_id"]);
    row.status = Some(word.into());
    row.started_at = started;
    row.finished_at = finished;
    row.ref_url = web_url(payload).map(|url| Cow::Owned(format!("{url}/-/jobs/{id}")));
    row.title = borrowed(text(payload, &["build_name"]));
    note(&mut row, "gitlab.job.stage", payload, &["build_stage"]);
    note(&mut row, "gitlab.job.failure_reason", payload, &["build_failure_reason"]);
    Ok(row)
}

fn pipeline(payload: &Value) -> Result<ChangeRow<'_>, Reason> {
    let run = &payload["object_attributes"];
    let id = scalar(run, &["id"]).ok_or("the pipeline has no id")?;
    let kind = text(run, &["name"]).and_then(kind_of).ok_or("pipeline not used: it does not deploy")?;
    let (word, over) = status(text(run, &["status"]))?;
    let started = time(run, &["started_at"]).or_else(|| time(run, &["created_at"]));
    let started = started.ok_or("created_at of the pipeline is not an instant")?;
    let mut row = base(payload, "pipeline", &id);
    row.kind = Some(kind.into());
    row.revision = borrowed(text(run, &["sha"]));
    row.version = borrowed(text(run, &["ref"]));
    row.pipeline_run_id = Some(id);
    row.status = Some(word.into());
    row.started_at = Some(started);
    row.finished_at = if over { time(run, &["finished_at"]) } else { None };
    row.ref_url = borrowed(text(run, &["url"]));
    row.title = borrowed(text(run, &["name"]));
    note(&mut row, "gitlab.pipeline.source", run, &["source"]);
    Ok(row)
}

fn release(payload: &Value) -> Result<ChangeRow<'_>, Reason> {
    if text(payload, &["action"]) != Some("create") {
        return Err("release not used: it is not created by this event".into());
    }
    let id = scalar(payload, &["id"]).ok_or("the release has no id")?;
    let at = time(payload, &["released_at"]).or_else(|| time(payload, &["created_at"]));
    let at = at.ok_or("released_at is not an instant")?;
    let mut row = base(payload, "release", &id);
    row.version = borrowed(text(payload, &["tag"]));
    row.revision = borrowed(text(payload, &["commit", "id"]));
    row.actor = row.actor.or_else(|| borrowed(text(payload, &["commit", "author", "name"])));
    row.status = Some("succeeded".into());
    row.started_at = Some(at);
    row.finished_at = Some(at);
    row.ref_url = borrowed(text(payload, &["url"]));
    row.title = borrowed(text(payload, &["name"]));
    Ok(row)
}

fn feature_flag(payload: &Value, now: i64) -> Result<ChangeRow<'_>, Reason> {
    let flag = &payload["object_attributes"];
    let name = text(flag, &["name"]).ok_or("the feature flag has no name")?;
    let active = json::boolean(flag, &["active"]).ok_or("the feature flag is neither on nor off")?;
    let id = scalar(flag, &["id"]).unwrap_or(Cow::Borrowed(name));
    let mut row = base(payload, "feature_flag", &format!("{id}/{now}"));
    row.kind = Some("feature_flag".into());
    row.status = Some("succeeded".into());
    row.started_at = Some(now);
    row.finished_at = Some(now);
    row.title = Some(Cow::Owned(format!("{name} {}", if active { "on" } else { "off" })));
    row.attributes.push(("feature_flag.key".into(), name.into()));
    row.attributes.push(("feature_flag.result.value".into(), if active { "true" } else { "false" }.into()));
    Ok(row)
}
