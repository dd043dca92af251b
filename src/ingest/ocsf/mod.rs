//! OCSF events (versions 1.0 to 1.6; JSON: lines, arrays; Parquet, as Amazon Security Lake keeps them): API Activity (6003) and the classes of category Identity &
//! Access Management (3001 to 3006 and their successors). Lands in `iam_events`. Other classes are not used.
//!
//! Field meanings are those of <https://schema.ocsf.io>. An event that was made of another log has that log's id
//! (`metadata.uid`), so that it does not count twice where both are imported.
//!
//! - The caller is `actor.user`; in an Authentication event without an actor it is `user`, who authenticates. Elsewhere
//!   `user` is whom the event is about.
//! - What a session was issued by, when, and whether with a second factor is `actor.session`.
//! - What an AWS call handed out is in `api.response.data`, where a mapping keeps it.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::Value;

use super::audit::{self, first, items, str, text};
use super::json_records::Reason;
use super::{Input, Output, Source, json, json_records, parquet_file};
use crate::error::Result;
use crate::model::identity::IamEventRow;

/// The source `ocsf`.
#[derive(Debug)]
pub struct Ocsf;

impl Source for Ocsf {
    fn name(&self) -> &'static str {
        "ocsf"
    }

    fn doc(&self) -> &'static str {
        "OCSF events of API Activity and Identity & Access Management (lines, arrays, Parquet) into iam_events"
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        if !parquet_file::is_parquet(input.reader)? {
            return json_records::for_each(input, &[], output, land);
        }
        let Input { origin, content_hash, reader, options, now } = input;
        let mut file = parquet_file::File::open(reader)?;
        while let Some(batch) = file.next_batch()? {
            let lines = parquet_file::as_json_lines(&batch)?;
            let input = Input { origin, content_hash, reader: &mut lines.as_slice(), options, now };
            json_records::for_each(input, &[], output, land)?;
        }
        Ok(())
    }
}

fn land(event: &Value, raw: &str, output: &mut Output<'_>) -> Result<(), Reason> {
    output.iam_events.push(&row(event, raw)?);
    Ok(())
}

const API_ACTIVITY: u64 = 6003;
const AUTHENTICATION: u64 = 3002;

/// Names of vendors and clouds, and of the provider in `iam_events`.
const PROVIDERS: [(&str, &str); 8] = [
    ("aws", "aws"),
    ("amazon", "aws"),
    ("gcp", "gcp"),
    ("google", "gcp"),
    ("azure", "azure"),
    ("microsoft", "azure"),
    ("okta", "okta"),
    ("github", "github"),
];

fn row<'v>(event: &'v Value, raw: &'v str) -> Result<IamEventRow<'v>, Reason> {
    if !event.is_object() {
        return Err("a record is not an object".into());
    }
    let class = audit::at(event, &["class_uid"]).and_then(Value::as_u64).ok_or("class_uid is missing")?;
    if class != API_ACTIVITY && class / 1000 != 3 {
        return Err("event class not used".into());
    }
    let written = ["time", "time_dt"].iter().find_map(|name| audit::at(event, &[name])).ok_or("time is missing")?;
    let event_time = audit::instant(written).ok_or("time is not an instant")?;
    let name =
        first(event, &[&["api", "operation"], &["activity_name"], &["type_name"]]).ok_or("api.operation is missing")?;
    let succeeded = succeeded(event);
    let mut row = IamEventRow {
        event_time: Some(event_time),
        event_id: first(event, &[&["metadata", "uid"], &["metadata", "original_event_uid"]])
            .or_else(|| Some(Cow::Owned(audit::hash_of(raw)))),
        provider: provider(event),
        event_source: first(
            event,
            &[&["api", "service", "name"], &["service", "name"], &["metadata", "product", "name"]],
        ),
        outcome: audit::outcome(succeeded),
        error_code: first(event, &[&["api", "response", "error"], &["status_code"], &["status_detail"]])
            .filter(|_| succeeded == Some(false)),
        shared_event_id: first(event, &[&["unmapped", "sharedEventID"]]),
        request_id: text(event, &["api", "request", "uid"]),
        resource_ids: resources(event, class),
        source_ip: first(event, &[&["src_endpoint", "ip"], &["src_endpoint", "svc_name"], &["src_endpoint", "domain"]]),
        user_agent: text(event, &["http_request", "user_agent"]),
        region: text(event, &["cloud", "region"]),
        read_only: read_only(event, class),
        trace_id: first(event, &[&["trace", "uid"], &["metadata", "trace_uid"]])
            .and_then(|trace| audit::trace_id(&trace))
            .map(Cow::Owned),
        event_name: Some(name),
        raw: Some(Cow::Borrowed(raw)),
        ..IamEventRow::default()
    };
    principal(event, class, &mut row);
    if succeeded != Some(false) && row.provider.as_deref() == Some("aws") {
        issued(event, &mut row);
    }
    Ok(row)
}

fn provider(event: &Value) -> Option<Cow<'_, str>> {
    let paths: [&[&str]; 3] =
        [&["metadata", "product", "vendor_name"], &["cloud", "provider"], &["metadata", "product", "name"]];
    let named = || paths.iter().filter_map(|path| text(event, path));
    // An EKS audit log is the cluster's, whoever runs it.
    let log = first(event, &[&["metadata", "log_name"], &["metadata", "product", "name"]]).unwrap_or_default();
    if ["kubernetes", "eks"].iter().any(|word| log.to_ascii_lowercase().contains(word)) {
        return Some("kubernetes".into());
    }
    let known = named().find_map(|name| {
        let name = name.to_ascii_lowercase();
        PROVIDERS.iter().find(|(word, _)| name.contains(word)).map(|(_, provider)| Cow::Borrowed(*provider))
    });
    known.or_else(|| named().next().map(|name| Cow::Owned(name.to_ascii_lowercase())))
}

fn succeeded(event: &Value) -> Option<bool> {
    match audit::at(event, &["status_id"]).and_then(Value::as_u64) {
        Some(1) => return Some(true),
        Some(2) => return Some(false),
        _ => {}
    }
    match str(event, &["status"])?.to_ascii_lowercase().as_str() {
        "success" | "succeeded" => Some(true),
        "failure" | "failed" => Some(false),
        _ => None,
    }
}

/// What the class and the activity say: of API Activity 2 is Read, the other classes change accounts and rights.
fn read_only(event: &Value, class: u64) -> Option<bool> {
    let activity = audit::at(event, &["activity_id"]).and_then(Value::as_u64)?;
    match (class, activity) {
        (API_ACTIVITY, 1..=4) => Some(activity == 2),
        (3001 | 3005 | 3006, 1..=98) => Some(false),
        (3004, 1..=4) => Some(activity == 2),
        _ => None,
    }
}

fn resources(event: &Value, class: u64) -> Option<Vec<Cow<'_, str>>> {
    let named = |path: &'static [&'static str]| {
        let item = audit::at(event, path);
        item.into_iter().flat_map(|item| [text(item, &["uid"]), text(item, &["name"])]).flatten()
    };
    let listed = items(event, &["resources"]).flat_map(|item| first(item, &[&["uid"], &["name"]]));
    let about = named(&["user"]).filter(|_| class != AUTHENTICATION);
    audit::each_once(
        listed
            .chain(named(&["resource"]))
            .chain(about)
            .chain(named(&["group"]))
            .chain(named(&["entity"]))
            .chain(named(&["service"]).filter(|_| class == AUTHENTICATION)),
    )
}

fn principal<'v>(event: &'v Value, class: u64, row: &mut IamEventRow<'v>) {
    let nothing = &Value::Null;
    let actor = audit::at(event, &["actor"]).unwrap_or(nothing);
    let authenticates = || audit::at(event, &["user"]).filter(|_| class == AUTHENTICATION);
    let user = audit::at(actor, &["user"]).or_else(authenticates).unwrap_or(nothing);
    let ids = [text(user, &["uid"]), text(user, &["uid_alt"])];
    let is_arn = |id: &Cow<'_, str>| id.starts_with("arn:");
    row.principal_arn = ids.iter().flatten().find(|id| is_arn(id)).cloned();
    row.principal_id = ids.iter().flatten().find(|id| !is_arn(id)).cloned();
    row.principal_type = text(user, &["type"]);
    row.principal_name =
        first(user, &[&["name"], &["email_addr"], &["full_name"]]).or_else(|| row.principal_id.clone());
    row.account_id = text(user, &["account", "uid"]).or_else(|| text(event, &["cloud", "account", "uid"]));
    row.access_key_id = text(user, &["credential_uid"]);
    row.invoked_by = first(actor, &[&["invoked_by"], &["app_name"]]);
    let session = audit::at(actor, &["session"]).or_else(|| audit::at(event, &["session"])).unwrap_or(nothing);
    row.session_issuer_arn = text(session, &["issuer"]);
    row.session_created_at =
        ["created_time", "created_time_dt"].iter().find_map(|name| audit::instant(audit::at(session, &[name])?));
    row.mfa = json::boolean(session, &["is_mfa"]).or_else(|| json::boolean(event, &["is_mfa"]));
    row.session_name = row.principal_arn.as_deref().and_then(session_name).map(|name| Cow::Owned(name.to_owned()));
    row.session_name = row.session_name.take().or_else(|| first(session, &[&["uid_alt"], &["uid"]]));
    row.source_identity =
        first(event, &[&["unmapped", "userIdentity.sessionContext.sourceIdentity"], &["unmapped", "sourceIdentity"]]);
    let protocol = str(event, &["auth_protocol"]).unwrap_or_default();
    if class == AUTHENTICATION && ["SAML", "OpenID", "OAUTH 2.0"].contains(&protocol) {
        row.federated_subject = first(user, &[&["name"], &["email_addr"], &["uid"]]);
    }
}

/// `arn:aws:sts::123456789012:assumed-role/Role/NAME`.
fn session_name(arn: &str) -> Option<&str> {
    let is_session = arn.contains(":assumed-role/") || arn.contains(":federated-user/");
    arn.rsplit_once('/').map(|(_, name)| name).filter(|name| is_session && !name.is_empty())
}

fn issued(event: &Value, row: &mut IamEventRow<'_>) {
    let Some(answer) = audit::at(event, &["api", "response", "data"]) else { return };
    // Where columns have types it is a text.
    let parsed = answer.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let answer = parsed.as_ref().unwrap_or(answer);
    let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
    row.issued_access_key_id = text(answer, &["credentials", "accessKeyId"]).map(owned);
    row.issued_principal_arn = first(answer, &[&["assumedRoleUser", "arn"], &["federatedUser", "arn"]]).map(owned);
    row.issued_expires_at = audit::at(answer, &["credentials", "expiration"]).and_then(audit::instant);
}
