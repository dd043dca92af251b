//! The audit log of a GitHub organization or enterprise: events as the API answers them, exports give them and streams
//! deliver them (lines, arrays). Lands in `iam_events`.
//!
//! Field meanings are those of "Audit log events for your organization" and of the REST API's audit log endpoints.
//!
//! - The log has what was done, so an event succeeded unless its action says that something failed or was denied.
//! - The token that made the call, by its hash or its id, is the access key.
//! - The SAML identity that is linked to the actor is the federated subject.
//! - What `github-actions[bot]` does names the run of the workflow: that is its session, and leads to the run among the
//!   changes. In other events a run is what the event is about.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::Value;

use super::audit::{self, first, str, text};
use super::json_records::Reason;
use super::{Input, Output, Source, json_records};
use crate::error::Result;
use crate::model::identity::IamEventRow;

/// The source `github-audit`.
#[derive(Debug)]
pub struct GitHubAudit;

impl Source for GitHubAudit {
    fn name(&self) -> &'static str {
        "github-audit"
    }

    fn doc(&self) -> &'static str {
        "GitHub audit log of an organization or enterprise (lines, arrays) into iam_events"
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        json_records::for_each(input, &[], output, |event, raw, output| {
            output.iam_events.push(&row(event, raw)?);
            Ok(())
        })
    }
}

/// The actor that is the token of a workflow's job.
const ACTIONS: &str = "github-actions[bot]";

/// Members that name what the event is about.
const NAMING: [&[&str]; 12] = [
    &["repo"],
    &["repository"],
    &["team"],
    &["data", "team"],
    &["user"],
    &["branch"],
    &["environment_name"],
    &["integration"],
    &["ruleset_name"],
    &["hook_id"],
    &["data", "hook_id"],
    &["key"],
];

fn row<'v>(event: &'v Value, raw: &'v str) -> Result<IamEventRow<'v>, Reason> {
    if !event.is_object() {
        return Err("a record is not an object".into());
    }
    let action = text(event, &["action"]).ok_or("action is missing")?;
    let written = ["@timestamp", "created_at"].iter().find_map(|name| audit::at(event, &[name]));
    let event_time = written
        .ok_or("@timestamp is missing")
        .and_then(|at| audit::instant(at).ok_or("@timestamp is not an instant"))?;
    let actor = text(event, &["actor"]);
    let run = text(event, &["workflow_run_id"]);
    let by_run = actor.as_deref() == Some(ACTIONS);
    let about = NAMING.iter().filter_map(|path| text(event, path)).chain(run.clone());
    let resource_ids = audit::each_once(about);
    let failed = ["failed", "denied"].iter().any(|word| action.contains(word));
    Ok(IamEventRow {
        event_time: Some(event_time),
        event_id: text(event, &["_document_id"]).or_else(|| Some(Cow::Owned(audit::hash_of(raw)))),
        provider: Some("github".into()),
        event_source: Some("github.com".into()),
        outcome: audit::outcome(Some(!failed)),
        error_code: text(event, &["reason"]).filter(|_| failed),
        principal_type: principal_type(event, actor.as_deref()).map(Cow::Borrowed),
        principal_id: text(event, &["actor_id"]),
        principal_name: actor,
        account_id: first(event, &[&["org"], &["business"]]),
        access_key_id: first(event, &[&["hashed_token"], &["token_id"]]),
        session_name: run.filter(|_| by_run),
        federated_subject: first(event, &[&["external_identity_nameid"], &["external_identity_username"]]),
        request_id: text(event, &["request_id"]),
        resource_ids,
        source_ip: text(event, &["actor_ip"]),
        user_agent: text(event, &["user_agent"]),
        read_only: read_only(event, &action),
        event_name: Some(action),
        raw: Some(Cow::Borrowed(raw)),
        ..IamEventRow::default()
    })
}

fn principal_type(event: &Value, actor: Option<&str>) -> Option<&'static str> {
    let is_bot = super::json::boolean(event, &["actor_is_bot"]);
    match (is_bot, actor?) {
        (Some(true), _) => Some("Bot"),
        (_, name) if name.ends_with("[bot]") => Some("Bot"),
        (Some(false), _) => Some("User"),
        (None, _) => None,
    }
}

fn read_only(event: &Value, action: &str) -> Option<bool> {
    match (action, str(event, &["operation_type"])) {
        ("git.clone" | "git.fetch", _) | (_, Some("access")) => Some(true),
        ("git.push", _) | (_, Some("create" | "modify" | "remove" | "restore" | "transfer")) => Some(false),
        _ => None,
    }
}
