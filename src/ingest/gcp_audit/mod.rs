//! Google Cloud Audit Logs: `LogEntry` as a log sink delivers it (lines, arrays) and as `entries.list` answers
//! (`{"entries": […]}`). Lands in `iam_events`.
//!
//! Field meanings are those of the references of `LogEntry` and of `google.cloud.audit.AuditLog`.
//!
//! - The principal is the identity that the call was made with. Where it is a service account that somebody acts through
//!   (`serviceAccountDelegationInfo`, which lists the identities in the order of delegation), the first of them is the
//!   source identity, which the whole chain goes back to, and the last is who issued the session.
//! - A subject of workload or workforce identity federation is the federated subject, of the caller or of the first in
//!   the chain.
//! - A call that hands out a short-lived token of a service account names it as issued principal. A permanent key that
//!   is created is a resource: who makes it is not who uses it.
//! - The event id is `insertId`. An entry that was split for its size adds the number of the part.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::Value;

use super::audit::{self, first, items, str, text};
use super::json_records::Reason;
use super::{Input, Output, Source, json, json_records};
use crate::error::Result;
use crate::model::identity::IamEventRow;

/// The source `gcp-audit`.
#[derive(Debug)]
pub struct GcpAudit;

impl Source for GcpAudit {
    fn name(&self) -> &'static str {
        "gcp-audit"
    }

    fn doc(&self) -> &'static str {
        "Google Cloud Audit Logs (LogEntry: lines, arrays, entries) into iam_events"
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        json_records::for_each(input, &["entries"], output, |entry, raw, output| {
            output.iam_events.push(&row(entry, raw)?);
            Ok(())
        })
    }
}

/// Names of `google.rpc.Code`.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Methods of the IAM Credentials API that hand out a token of the service account that they name.
const ISSUING: [&str; 3] = ["GenerateAccessToken", "GenerateIdToken", "SignJwt"];

fn row<'v>(entry: &'v Value, raw: &'v str) -> Result<IamEventRow<'v>, Reason> {
    if !entry.is_object() {
        return Err("a record is not an object".into());
    }
    let Some(payload) = audit::at(entry, &["protoPayload"]).filter(|payload| payload.is_object()) else {
        let other = ["textPayload", "jsonPayload"].iter().any(|name| entry.get(name).is_some());
        return Err(
            if other { "log entry not used: it is not of an audit log" } else { "protoPayload is missing" }.into()
        );
    };
    let name = text(payload, &["methodName"]).ok_or("protoPayload.methodName is missing")?;
    let written = str(entry, &["timestamp"]).or_else(|| str(entry, &["receiveTimestamp"]));
    let event_time =
        super::times::parse(written.ok_or("timestamp is missing")?).ok_or("timestamp is not an instant")?;
    let code = audit::at(payload, &["status", "code"]).and_then(Value::as_u64).unwrap_or_default();
    let mut row = IamEventRow {
        event_time: Some(event_time),
        event_id: Some(event_id(entry, raw)),
        provider: Some("gcp".into()),
        event_source: text(payload, &["serviceName"]),
        outcome: audit::outcome(Some(code == 0)),
        error_code: (code != 0).then(|| name_of(code)),
        account_id: account(entry).map(Cow::Borrowed),
        request_id: first(payload, &[&["requestMetadata", "requestAttributes", "id"]])
            .or_else(|| text(entry, &["operation", "id"])),
        resource_ids: resources(payload),
        source_ip: text(payload, &["requestMetadata", "callerIp"]),
        user_agent: text(payload, &["requestMetadata", "callerSuppliedUserAgent"]),
        region: region(entry, payload),
        read_only: read_only(entry, payload),
        trace_id: str(entry, &["trace"]).and_then(|trace| audit::trace_id(trace.rsplit('/').next()?)).map(Cow::Owned),
        raw: Some(Cow::Borrowed(raw)),
        ..IamEventRow::default()
    };
    principal(payload, &mut row);
    if code == 0 && ISSUING.iter().any(|issuing| name.rsplit('.').next() == Some(*issuing)) {
        row.issued_principal_arn = issued_principal(entry, payload);
    }
    row.event_name = Some(name);
    Ok(row)
}

fn event_id<'v>(entry: &'v Value, raw: &str) -> Cow<'v, str> {
    match (text(entry, &["insertId"]), text(entry, &["split", "index"])) {
        (Some(id), Some(part)) if part != "0" => Cow::Owned(format!("{id}/{part}")),
        (Some(id), _) => id,
        (None, _) => Cow::Owned(audit::hash_of(raw)),
    }
}

fn name_of(code: u64) -> Cow<'static, str> {
    let known = usize::try_from(code).ok().and_then(|code| CODES.get(code));
    known.map_or_else(|| Cow::Owned(code.to_string()), |name| Cow::Borrowed(*name))
}

/// The project, folder or organization in whose log the entry is.
fn account(entry: &Value) -> Option<&str> {
    let of_resource = str(entry, &["resource", "labels", "project_id"]);
    of_resource.or_else(|| str(entry, &["logName"])?.split('/').nth(1).filter(|id| !id.is_empty()))
}

fn resources(payload: &Value) -> Option<Vec<Cow<'_, str>>> {
    let named = text(payload, &["resourceName"]);
    let checked = items(payload, &["authorizationInfo"]).filter_map(|check| text(check, &["resource"]));
    audit::each_once(named.into_iter().chain(checked))
}

fn region<'v>(entry: &'v Value, payload: &'v Value) -> Option<Cow<'v, str>> {
    let labels = ["location", "region", "zone"].iter().find_map(|name| text(entry, &["resource", "labels", name]));
    labels.or_else(|| items(payload, &["resourceLocation", "currentLocations"]).find_map(|place| text(place, &[])))
}

/// What the permission checks say; the log of admin activity holds nothing but writes.
fn read_only(entry: &Value, payload: &Value) -> Option<bool> {
    let types: Vec<&str> =
        items(payload, &["authorizationInfo"]).filter_map(|check| str(check, &["permissionType"])).collect();
    if types.iter().any(|kind| kind.ends_with("_WRITE")) {
        return Some(false);
    }
    if !types.is_empty() && types.iter().all(|kind| kind.ends_with("_READ")) {
        return Some(true);
    }
    let log = str(entry, &["logName"])?.rsplit('/').next()?;
    (log == "cloudaudit.googleapis.com%2Factivity").then_some(false)
}

fn principal<'v>(payload: &'v Value, row: &mut IamEventRow<'v>) {
    let Some(identity) = audit::at(payload, &["authenticationInfo"]) else { return };
    let email = text(identity, &["principalEmail"]);
    let subject = text(identity, &["principalSubject"]);
    let member = subject.clone().or_else(|| email.as_deref().map(|email| Cow::Owned(as_member(email))));
    row.principal_type = member.as_deref().map(|member| Cow::Borrowed(kind_of(member)));
    row.principal_id = subject.clone();
    row.principal_name = email.or(subject);
    row.access_key_id = str(identity, &["serviceAccountKeyName"])
        .map(|key| Cow::Borrowed(key.rsplit_once("/keys/").map_or(key, |(_, id)| id)));
    let delegators = || items(identity, &["serviceAccountDelegationInfo"]).filter_map(delegator);
    row.source_identity = delegators().next();
    row.session_issuer_arn = delegators().last();
    row.federated_subject = [member.as_deref(), row.source_identity.as_deref()]
        .into_iter()
        .flatten()
        .find_map(federated_subject)
        .map(|subject| Cow::Owned(subject.to_owned()));
    row.principal_arn = member;
}

/// Who acts through a service account.
fn delegator(delegation: &Value) -> Option<Cow<'_, str>> {
    let paths: [&[&str]; 4] = [
        &["firstPartyPrincipal", "principalEmail"],
        &["principalSubject"],
        &["thirdPartyPrincipal", "thirdPartyClaims", "sub"],
        &["thirdPartyPrincipal", "serviceMetadata", "principalEmail"],
    ];
    first(delegation, &paths)
}

/// How IAM policies write an address.
fn as_member(email: &str) -> String {
    let kind = if email.ends_with(".gserviceaccount.com") { "serviceAccount" } else { "user" };
    format!("{kind}:{email}")
}

fn kind_of(member: &str) -> &'static str {
    match member.split(':').next() {
        Some("serviceAccount") => "serviceAccount",
        Some("principal" | "principalSet") => "federated",
        _ => "user",
    }
}

/// The subject in `principal://iam.googleapis.com/projects/N/locations/global/workloadIdentityPools/POOL/subject/SUBJECT`.
fn federated_subject(member: &str) -> Option<&str> {
    member.strip_prefix("principal://")?.split_once("/subject/").map(|(_, subject)| subject)
}

/// The service account that a token was handed out of.
fn issued_principal<'v>(entry: &'v Value, payload: &'v Value) -> Option<Cow<'v, str>> {
    let labelled = str(entry, &["resource", "labels", "email_id"]);
    let requested = str(payload, &["request", "name"]).and_then(|name| name.rsplit('/').next());
    let email = labelled.or(requested).filter(|email| email.contains('@'))?;
    Some(Cow::Owned(format!("serviceAccount:{email}")))
}

/// Whether an entry, or what it is part of, is one of these; for telling people of a mistaken source.
#[must_use]
pub fn is_entry(value: &Value) -> bool {
    json::at(value, &["protoPayload"]).is_some()
}
