//! Okta System Log: events as the API answers them and log streaming delivers them (lines, arrays, EventBridge's
//! `detail`), and as an event hook posts them (`data.events`). Lands in `iam_events`.
//!
//! Field meanings are those of Okta's "System Log" API, `LogEvent`.
//!
//! - The session is named by `authenticationContext.externalSessionId`, which all events of a user's session share.
//! - A call with an API token names it in `transaction.detail.requestApiTokenId`: that is its access key.
//! - The outcome is that of the event where it is one: a challenge or an evaluation that is skipped is neither success
//!   nor failure.
//! - A caller that another identity provider vouched for (`authenticationProvider` FEDERATION) is its federated subject.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::Value;

use super::audit::{self, first, items, str, text};
use super::json_records::Reason;
use super::{Input, Output, Source, json, json_records};
use crate::error::Result;
use crate::model::identity::IamEventRow;

/// The source `okta`.
#[derive(Debug)]
pub struct Okta;

impl Source for Okta {
    fn name(&self) -> &'static str {
        "okta"
    }

    fn doc(&self) -> &'static str {
        "Okta System Log events (lines, arrays, log streams, event hooks) into iam_events"
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        json_records::for_each(input, &[], output, |record, raw, output| {
            match json::at(record, &["data", "events"]).and_then(Value::as_array) {
                Some(events) => {
                    for event in events {
                        let raw = event.to_string();
                        match row(event, &raw) {
                            Ok(row) => output.iam_events.push(&row),
                            Err(reason) => output.reject(&reason, &raw),
                        }
                    }
                }
                None => output.iam_events.push(&row(of_stream(record), raw)?),
            }
            Ok(())
        })
    }
}

/// The event itself, which EventBridge puts into `detail`.
fn of_stream(record: &Value) -> &Value {
    match record.get("detail") {
        Some(detail) if detail.is_object() && audit::at(record, &["eventType"]).is_none() => detail,
        _ => record,
    }
}

fn row<'v>(event: &'v Value, raw: &'v str) -> Result<IamEventRow<'v>, Reason> {
    if !event.is_object() {
        return Err("a record is not an object".into());
    }
    let name = text(event, &["eventType"]).ok_or("eventType is missing")?;
    let written = str(event, &["published"]).ok_or("published is missing")?;
    let event_time = super::times::parse(written).ok_or("published is not an instant")?;
    let succeeded = succeeded(event);
    let debug = |name: &str| text(event, &["debugContext", "debugData", name]);
    let actor = |name: &str| text(event, &["actor", name]);
    let federated = str(event, &["authenticationContext", "authenticationProvider"]) == Some("FEDERATION");
    let step_up = name == "user.authentication.auth_via_mfa" && succeeded == Some(true);
    Ok(IamEventRow {
        event_time: Some(event_time),
        event_id: text(event, &["uuid"]).or_else(|| Some(Cow::Owned(audit::hash_of(raw)))),
        provider: Some("okta".into()),
        event_source: Some("okta.com".into()),
        outcome: audit::outcome(succeeded),
        error_code: text(event, &["outcome", "reason"]).filter(|_| succeeded == Some(false)),
        principal_type: actor("type"),
        principal_id: actor("id"),
        principal_name: actor("alternateId").or_else(|| actor("displayName")).or_else(|| actor("id")),
        access_key_id: text(event, &["transaction", "detail", "requestApiTokenId"]),
        session_name: text(event, &["authenticationContext", "externalSessionId"]),
        mfa: step_up.then_some(true),
        federated_subject: actor("alternateId").filter(|_| federated),
        request_id: debug("requestId").or_else(|| text(event, &["transaction", "id"])),
        resource_ids: targets(event),
        source_ip: text(event, &["client", "ipAddress"])
            .or_else(|| items(event, &["request", "ipChain"]).find_map(|hop| text(hop, &["ip"]))),
        user_agent: first(event, &[&["client", "userAgent", "rawUserAgent"]]),
        event_name: Some(name),
        raw: Some(Cow::Borrowed(raw)),
        ..IamEventRow::default()
    })
}

fn succeeded(event: &Value) -> Option<bool> {
    match str(event, &["outcome", "result"])? {
        "SUCCESS" | "ALLOW" => Some(true),
        "FAILURE" | "DENY" | "RATE_LIMIT" | "ABANDONED" | "SCHEDULED_FAILURE" => Some(false),
        _ => None,
    }
}

/// The ids of what the event is about, and the names that people know it by.
fn targets(event: &Value) -> Option<Vec<Cow<'_, str>>> {
    audit::each_once(
        items(event, &["target"])
            .flat_map(|target| [text(target, &["id"]), text(target, &["alternateId"])].into_iter().flatten()),
    )
}
