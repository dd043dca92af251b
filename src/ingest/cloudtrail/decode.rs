//! One CloudTrail record to one row.

use std::borrow::Cow;

use serde_json::Value;

use crate::ingest::audit;
use crate::ingest::json::{self, text, time};
use crate::ingest::json_records::Reason;
use crate::model::identity::IamEventRow;

/// The event itself, which EventBridge puts into `detail`.
pub fn event(record: &Value) -> &Value {
    match record.get("detail") {
        Some(detail) if record.get("eventName").is_none() && detail.is_object() => detail,
        _ => record,
    }
}

/// The row of a record, or why it has none.
pub fn row<'v>(
    record: &'v Value,
    raw: &'v str,
    resource_ids: Option<Vec<Cow<'v, str>>>,
) -> Result<IamEventRow<'v>, Reason> {
    let event = event(record);
    if !event.is_object() {
        return Err("a record is not an object".into());
    }
    let name = required(event, "eventName")?;
    let source = required(event, "eventSource")?;
    let written = required(event, "eventTime")?;
    let event_time = crate::ingest::times::parse(written).ok_or("eventTime is not an instant")?;
    let mut row = IamEventRow {
        event_time: Some(event_time),
        event_id: Some(event_id(event, raw)),
        provider: Some("aws".into()),
        event_source: borrowed(Some(source)),
        event_name: borrowed(Some(name)),
        error_code: borrowed(text(event, &["errorCode"])),
        shared_event_id: borrowed(text(event, &["sharedEventID"])),
        request_id: borrowed(text(event, &["requestID"])),
        resource_ids,
        source_ip: borrowed(text(event, &["sourceIPAddress"])),
        user_agent: borrowed(text(event, &["userAgent"])),
        region: borrowed(text(event, &["awsRegion"])),
        read_only: json::boolean(event, &["readOnly"]),
        trace_id: trace_id(event),
        raw: Some(Cow::Borrowed(raw)),
        ..IamEventRow::default()
    };
    let failed = has_failed(event);
    row.outcome = Some(if failed { "failure" } else { "success" }.into());
    principal(event, &mut row);
    // The session of a console sign-in begins with it; how it was authenticated stands beside it.
    row.mfa = row.mfa.or_else(|| match text(event, &["additionalEventData", "MFAUsed"])? {
        "Yes" => Some(true),
        "No" => Some(false),
        _ => None,
    });
    if !failed {
        issued(event, name, &mut row);
    }
    Ok(row)
}

fn required<'v>(event: &'v Value, name: &'static str) -> Result<&'v str, Reason> {
    text(event, &[name]).ok_or_else(|| Cow::Owned(format!("{name} is missing")))
}

fn borrowed(text: Option<&str>) -> Option<Cow<'_, str>> {
    text.map(Cow::Borrowed)
}

/// The event's own id; the hash of its text for one without, so that importing it again is recognized.
fn event_id<'v>(event: &'v Value, raw: &str) -> Cow<'v, str> {
    match text(event, &["eventID"]) {
        Some(id) => Cow::Borrowed(id),
        None => Cow::Owned(audit::hash_of(raw)),
    }
}

/// Sign-in events have no error code: they tell by `responseElements.ConsoleLogin` and by their message.
fn has_failed(event: &Value) -> bool {
    let answer = json::at(event, &["responseElements"]);
    let denied = answer.is_some_and(|answer| {
        ["ConsoleLogin", "SwitchRole", "CheckMfa"].iter().any(|name| text(answer, &[name]) == Some("Failure"))
    });
    denied || text(event, &["errorCode"]).is_some() || text(event, &["errorMessage"]).is_some()
}

/// The trace that `additionalEventData` names, from an X-Ray trace header (`Root=1-5759e988-bd862e3fe1be46a994272793`)
/// or a traceparent.
fn trace_id(event: &Value) -> Option<Cow<'_, str>> {
    let data = json::at(event, &["additionalEventData"])?;
    let names = ["x-amzn-trace-id", "X-Amzn-Trace-Id", "xAmznTraceId", "traceparent"];
    let header = names.iter().find_map(|name| text(data, &[name]))?;
    let id = match header.split(';').find_map(|part| part.trim().strip_prefix("Root=")) {
        Some(root) => root.strip_prefix("1-")?.replacen('-', "", 1),
        None => header.split('-').nth(1)?.to_owned(),
    };
    let hexadecimal = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    hexadecimal.then(|| Cow::Owned(id.to_ascii_lowercase()))
}

fn principal<'v>(event: &'v Value, row: &mut IamEventRow<'v>) {
    let Some(identity) = json::at(event, &["userIdentity"]) else { return };
    let kind = text(identity, &["type"]);
    let arn = text(identity, &["arn"]);
    row.principal_type = borrowed(kind);
    row.principal_id = borrowed(text(identity, &["principalId"]).or_else(|| text(identity, &["identityProvider"])));
    row.principal_arn = borrowed(arn);
    row.account_id = borrowed(text(identity, &["accountId"]));
    row.access_key_id = borrowed(text(identity, &["accessKeyId"]));
    row.invoked_by = borrowed(text(identity, &["invokedBy"]));
    session(identity, row);
    if matches!(kind, Some("AssumedRole" | "FederatedUser")) {
        row.session_name = borrowed(session_name(kind, arn, text(identity, &["principalId"])));
    }
    if kind == Some("IdentityCenterUser") || kind == Some("IdentityCenter") {
        let user = text(identity, &["onBehalfOf", "userId"]);
        row.principal_id = row.principal_id.take().or(borrowed(user));
    }
    row.principal_name = principal_name(kind, identity, row);
    row.federated_subject = federated_subject(event, kind, identity);
}

fn session<'v>(identity: &'v Value, row: &mut IamEventRow<'v>) {
    let Some(context) = json::at(identity, &["sessionContext"]) else { return };
    row.session_issuer_arn = borrowed(text(context, &["sessionIssuer", "arn"]));
    row.source_identity = borrowed(text(context, &["sourceIdentity"]));
    row.session_created_at = time(context, &["attributes", "creationDate"]);
    row.mfa = json::boolean(context, &["attributes", "mfaAuthenticated"]);
}

/// `arn:aws:sts::123456789012:assumed-role/Role/NAME`, or `AROA…:NAME` where there is no such ARN.
fn session_name<'v>(kind: Option<&str>, arn: Option<&'v str>, principal_id: Option<&'v str>) -> Option<&'v str> {
    let parts_wanted = if kind == Some("AssumedRole") { 3 } else { 2 };
    let of_arn = arn.filter(|arn| arn.split('/').count() >= parts_wanted).and_then(|arn| arn.rsplit('/').next());
    let of_id = || principal_id.and_then(|id| id.split_once(':')).map(|(_, name)| name);
    of_arn.or_else(of_id).filter(|name| !name.is_empty())
}

fn principal_name<'v>(kind: Option<&str>, identity: &'v Value, row: &IamEventRow<'v>) -> Option<Cow<'v, str>> {
    let own = text(identity, &["userName"]).or_else(|| text(identity, &["credentialId"]));
    let issuer = text(identity, &["sessionContext", "sessionIssuer", "userName"]);
    let named = match kind {
        Some("Root") => own.or(Some("root")),
        Some("AssumedRole" | "Role") => own.or(issuer).or_else(|| role_name(text(identity, &["arn"]))),
        Some("FederatedUser") => own.or_else(|| arn_name(text(identity, &["arn"]))).or(issuer),
        Some("AWSService") => own.or_else(|| text(identity, &["invokedBy"])),
        Some("AWSAccount") => own.or_else(|| text(identity, &["accountId"])),
        _ => own.or_else(|| arn_name(text(identity, &["arn"]))),
    };
    borrowed(named).or_else(|| row.principal_id.clone())
}

fn arn_name(arn: Option<&str>) -> Option<&str> {
    arn?.rsplit_once('/').map(|(_, name)| name).filter(|name| !name.is_empty())
}

/// The role in `…:assumed-role/ROLE/session`, or at the end of a role's own ARN.
fn role_name(arn: Option<&str>) -> Option<&str> {
    let resource = arn?.splitn(6, ':').nth(5)?;
    match resource.strip_prefix("assumed-role/") {
        Some(rest) => rest.split('/').next(),
        None => resource.rsplit('/').next(),
    }
    .filter(|name| !name.is_empty())
}

/// Who the identity provider said it was: only for principals and calls that come from one.
fn federated_subject<'v>(event: &'v Value, kind: Option<&str>, identity: &'v Value) -> Option<Cow<'v, str>> {
    let answered = || {
        let answer = json::at(event, &["responseElements"])?;
        text(answer, &["subjectFromWebIdentityToken"]).or_else(|| text(answer, &["subject"]))
    };
    let subject = match kind {
        Some("WebIdentityUser" | "SAMLUser") => text(identity, &["userName"]).or_else(answered),
        _ => match text(event, &["eventName"]) {
            Some("AssumeRoleWithWebIdentity" | "AssumeRoleWithSAML") => answered(),
            _ => None,
        },
    };
    borrowed(subject)
}

/// What the call handed out: a key, the principal that it acts for, and until when.
fn issued<'v>(event: &'v Value, name: &str, row: &mut IamEventRow<'v>) {
    let Some(answer) = json::at(event, &["responseElements"]) else { return };
    match name {
        "AssumeRole"
        | "AssumeRoleWithSAML"
        | "AssumeRoleWithWebIdentity"
        | "AssumeRoot"
        | "GetFederationToken"
        | "GetSessionToken" => {
            let Some(credentials) = json::at(answer, &["credentials"]) else { return };
            row.issued_access_key_id = borrowed(text(credentials, &["accessKeyId"]));
            row.issued_expires_at = time(credentials, &["expiration"]);
            row.issued_principal_arn = session_arn(event, name, answer).or_else(|| own_arn(name, event));
        }
        // IAM Roles Anywhere exchanges a certificate for credentials, one set a requested role.
        "CreateSession" => {
            let set = json::at(answer, &["credentialSet"]).and_then(|sets| sets.get(0));
            let Some(set) = set else { return };
            row.issued_access_key_id = borrowed(text(set, &["credentials", "accessKeyId"]));
            row.issued_expires_at = time(set, &["credentials", "expiration"]);
            row.issued_principal_arn = borrowed(text(set, &["assumedRoleUser", "arn"]));
        }
        "CreateAccessKey" => {
            row.issued_access_key_id = borrowed(text(answer, &["accessKey", "accessKeyId"]));
            row.issued_principal_arn = user_arn(event, answer);
        }
        _ => {}
    }
}

fn session_arn<'v>(event: &'v Value, name: &str, answer: &'v Value) -> Option<Cow<'v, str>> {
    let told = text(answer, &["assumedRoleUser", "arn"]).or_else(|| text(answer, &["federatedUser", "arn"]));
    told.map(Cow::Borrowed).or_else(|| {
        // Some calls answer without the user; role and session name are in the request then.
        let role = text(event, &["requestParameters", "roleArn"]).filter(|_| name.starts_with("AssumeRole"))?;
        let session = text(event, &["requestParameters", "roleSessionName"])?;
        let mut parts = role.splitn(6, ':');
        let (partition, account) = (parts.nth(1)?, parts.nth(2)?);
        let role = parts.next()?.rsplit('/').next()?;
        Some(Cow::Owned(format!("arn:{partition}:sts::{account}:assumed-role/{role}/{session}")))
    })
}

/// `GetSessionToken` hands out credentials of the caller itself.
fn own_arn<'v>(name: &str, event: &'v Value) -> Option<Cow<'v, str>> {
    borrowed(text(event, &["userIdentity", "arn"]).filter(|_| name == "GetSessionToken"))
}

/// The user that a new access key is of: the caller, if the request names none.
fn user_arn<'v>(event: &'v Value, answer: &'v Value) -> Option<Cow<'v, str>> {
    let caller = text(event, &["userIdentity", "arn"]);
    let user = text(answer, &["accessKey", "userName"]).or_else(|| text(event, &["requestParameters", "userName"]));
    let Some(user) = user else { return borrowed(caller) };
    let own = text(event, &["userIdentity", "type"]) == Some("IAMUser")
        && text(event, &["userIdentity", "userName"]) == Some(user);
    if let Some(caller) = caller.filter(|_| own) {
        return Some(Cow::Borrowed(caller));
    }
    let account = text(event, &["userIdentity", "accountId"]).or_else(|| text(event, &["recipientAccountId"]))?;
    let partition = caller.and_then(|arn| arn.split(':').nth(1)).unwrap_or("aws");
    Some(Cow::Owned(format!("arn:{partition}:iam::{account}:user/{user}")))
}
