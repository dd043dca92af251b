//! Azure Activity Log and the resource logs that share its schema: as diagnostic settings deliver them (lines, or
//! `{"records": […]}` from an event hub) and as the REST API answers (`{"value": […]}`). Lands in `iam_events`.
//!
//! Field meanings are those of "Azure activity log event schema", in its diagnostic and its REST form, and of "Azure
//! resource logs common schema".
//!
//! - The claims of the caller's token tell who it was: object id, user principal name or application, second factor,
//!   and when the token was issued.
//! - A token has an id (`uti`), which stands for the access key; the sign-in that issued it names the same one
//!   (`uniqueTokenIdentifier`), so that a call leads to its sign-in where both logs are imported.
//! - An event that only says that an operation started or was accepted has no outcome.
//! - The event id is `eventDataId`; events of the diagnostic form without one get the hash of their text, for
//!   `correlationId` is shared by all events of an operation. It is the request id.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::Value;

use super::audit::{self, first, str, text};
use super::json_records::Reason;
use super::{Input, Output, Source, json_records};
use crate::error::Result;
use crate::model::identity::IamEventRow;

/// The source `azure-activity`.
#[derive(Debug)]
pub struct AzureActivity;

impl Source for AzureActivity {
    fn name(&self) -> &'static str {
        "azure-activity"
    }

    fn doc(&self) -> &'static str {
        "Azure Activity Log and sign-in logs (lines, records, REST value) into iam_events"
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        json_records::for_each(input, &["records", "value"], output, |event, raw, output| {
            output.iam_events.push(&row(event, raw)?);
            Ok(())
        })
    }
}

const OBJECT_ID: &str = "http://schemas.microsoft.com/identity/claims/objectidentifier";
const UPN: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn";
const EMAIL: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress";
const NAME: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name";
const NAME_ID: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier";
const PROVIDER: &str = "http://schemas.microsoft.com/identity/claims/identityprovider";
const METHODS: &str = "http://schemas.microsoft.com/claims/authnmethodsreferences";

/// A name that is a text, or an object with the text and its translation.
fn label<'v>(event: &'v Value, name: &str) -> Option<Cow<'v, str>> {
    text(event, &[name]).or_else(|| text(event, &[name, "value"]))
}

fn row<'v>(event: &'v Value, raw: &'v str) -> Result<IamEventRow<'v>, Reason> {
    if !event.is_object() {
        return Err("a record is not an object".into());
    }
    let name = label(event, "operationName").ok_or("operationName is missing")?;
    let written = str(event, &["time"]).or_else(|| str(event, &["eventTimestamp"])).ok_or("time is missing")?;
    let event_time = super::times::parse(written).ok_or("time is not an instant")?;
    let succeeded = succeeded(event);
    let resource = first(event, &[&["resourceId"], &["resourceUri"]]);
    let mut row = IamEventRow {
        event_time: Some(event_time),
        event_id: first(event, &[&["eventDataId"], &["properties", "eventDataId"], &["properties", "id"]])
            .or_else(|| Some(Cow::Owned(audit::hash_of(raw)))),
        provider: Some("azure".into()),
        event_source: service(&name, resource.as_deref(), event),
        outcome: audit::outcome(succeeded),
        error_code: if succeeded == Some(false) { error_code(event) } else { None },
        account_id: account(event, resource.as_deref()),
        request_id: first(event, &[&["correlationId"], &["operationId"], &["properties", "clientRequestId"]]),
        source_ip: first(
            event,
            &[
                &["callerIpAddress"],
                &["httpRequest", "clientIpAddress"],
                &["properties", "ipAddress"],
                &["identity", "claims", "ipaddr"],
            ],
        )
        .map(audit::without_port),
        user_agent: first(event, &[&["properties", "userAgentHeader"], &["properties", "userAgent"]]),
        region: first(event, &[&["location"], &["resourceLocation"]]),
        read_only: read_only(&name, event),
        raw: Some(Cow::Borrowed(raw)),
        ..IamEventRow::default()
    };
    let scope = first(event, &[&["authorization", "scope"], &["identity", "authorization", "scope"]]);
    let others = [scope, text(event, &["properties", "entity"]), text(event, &["properties", "objectKey"])];
    row.resource_ids = audit::each_once(resource.into_iter().chain(others.into_iter().flatten()));
    principal(event, &mut row);
    if is_sign_in(event) {
        signed_in(event, succeeded, &mut row);
    }
    row.event_name = Some(name);
    Ok(row)
}

/// Whether the event says that the operation succeeded or failed; one that started did neither yet.
fn succeeded(event: &Value) -> Option<bool> {
    let words = [label(event, "resultType"), label(event, "status")];
    let of_word = words.into_iter().flatten().find_map(|word| match word.to_ascii_lowercase().as_str() {
        "success" | "succeeded" | "succeed" | "0" => Some(true),
        "failure" | "failed" | "fail" | "error" => Some(false),
        // Sign-ins give the number of the error.
        number if number.bytes().all(|byte| byte.is_ascii_digit()) => Some(false),
        _ => None,
    });
    let paths: [&[&str]; 3] = [&["statusCode"], &["properties", "statusCode"], &["resultSignature"]];
    of_word.or_else(|| {
        let code: u32 = first(event, &paths)?.parse().ok()?;
        (code >= 200).then_some(code < 400)
    })
}

fn error_code(event: &Value) -> Option<Cow<'_, str>> {
    let sub_status = label(event, "subStatus").or_else(|| text(event, &["properties", "subStatus"]));
    let paths: [&[&str]; 6] = [
        &["statusText"],
        &["properties", "statusCode"],
        &["properties", "status", "errorCode"],
        &["statusCode"],
        &["resultSignature"],
        &["resultType"],
    ];
    let code = sub_status.or_else(|| first(event, &paths))?;
    // "Failed.Forbidden" says the outcome before the code.
    Some(match code.split_once('.') {
        Some((_, behind)) if !behind.is_empty() => Cow::Owned(behind.to_owned()),
        _ => code,
    })
}

/// The resource provider: in the operation, else in the resource, else the category of the log.
fn service<'v>(operation: &str, resource: Option<&str>, event: &'v Value) -> Option<Cow<'v, str>> {
    let of_operation = operation.split_once('/').map(|(provider, _)| provider);
    let of_resource = || resource?.rsplit_once("/providers/")?.1.split('/').next();
    let provider = of_operation.or_else(of_resource).filter(|provider| !provider.is_empty() && !provider.contains(' '));
    provider.map(|provider| Cow::Owned(provider.to_owned())).or_else(|| label(event, "category"))
}

fn account<'v>(event: &'v Value, resource: Option<&str>) -> Option<Cow<'v, str>> {
    let mut parts = resource.unwrap_or_default().split('/');
    let of_resource = parts.find(|part| part.eq_ignore_ascii_case("subscriptions")).and_then(|_| parts.next());
    let told = text(event, &["subscriptionId"]);
    told.or_else(|| of_resource.filter(|id| !id.is_empty()).map(|id| Cow::Owned(id.to_owned())))
        .or_else(|| text(event, &["tenantId"]))
}

fn read_only(operation: &str, event: &Value) -> Option<bool> {
    match operation.rsplit('/').next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "read" => return Some(true),
        "write" | "delete" => return Some(false),
        _ => {}
    }
    match label(event, "category").as_deref() {
        Some("StorageRead") => Some(true),
        Some("StorageWrite" | "StorageDelete") => Some(false),
        _ => None,
    }
}

fn principal<'v>(event: &'v Value, row: &mut IamEventRow<'v>) {
    let nothing = &Value::Null;
    let identity = audit::at(event, &["identity"]).unwrap_or(nothing);
    let claims = audit::at(identity, &["claims"]).or_else(|| audit::at(event, &["claims"])).unwrap_or(nothing);
    let claim = |names: &[&str]| names.iter().find_map(|name| text(claims, &[name]));
    let evidence = &["authorization", "evidence"];
    let evidence = audit::at(identity, evidence).or_else(|| audit::at(event, evidence)).unwrap_or(nothing);
    let requester = |name: &str| text(identity, &["requester", name]);
    let application = claim(&["appid", "azp"]).or_else(|| requester("appId"));
    let user = claim(&[UPN, "upn", EMAIL, "unique_name", "preferred_username"]).or_else(|| requester("upn"));
    let user = user.or_else(|| text(event, &["caller"]).filter(|caller| caller.contains('@')));
    let is_user = user.is_some();
    row.principal_type = match claim(&["idtyp"]).as_deref() {
        Some("app") => Some("ServicePrincipal".into()),
        Some("user") => Some("User".into()),
        _ if is_user => Some("User".into()),
        // The evidence is about the assignment that allowed the call, which may be of a group.
        _ => text(evidence, &["principalType"]).filter(|kind| kind != "Group").or_else(|| match &application {
            Some(_) => Some("ServicePrincipal".into()),
            None => text(identity, &["type"]),
        }),
    };
    row.principal_id = claim(&[OBJECT_ID, "oid"])
        .or_else(|| requester("objectId"))
        .or_else(|| text(evidence, &["principalId"]).filter(|_| row.principal_type.as_deref() != Some("Group")));
    row.principal_name =
        user.or_else(|| claim(&[NAME, "name"])).or_else(|| text(event, &["caller"])).or_else(|| application.clone());
    row.session_created_at = audit::at(claims, &["iat"]).and_then(audit::seconds);
    row.access_key_id = claim(&["uti"]).or_else(|| text(identity, &["tokenHash"]));
    row.mfa = claim(&[METHODS, "amr"]).map(|methods| methods.split([',', ' ']).any(|method| method == "mfa"));
    row.federated_subject = claim(&[PROVIDER, "idp"]).and_then(|_| claim(&[NAME_ID]));
    // A user's call through an application is made by the application on the user's behalf.
    row.invoked_by = application.filter(|_| is_user);
}

fn is_sign_in(event: &Value) -> bool {
    label(event, "category").is_some_and(|category| category.ends_with("SignInLogs"))
}

/// A sign-in to Microsoft Entra ID: its caller is in the properties, and it hands out a token.
fn signed_in<'v>(event: &'v Value, succeeded: Option<bool>, row: &mut IamEventRow<'v>) {
    let of = |name: &str| text(event, &["properties", name]);
    let user = of("userPrincipalName");
    row.principal_type = Some(if user.is_some() { "User" } else { "ServicePrincipal" }.into());
    row.principal_id = of("userId").or_else(|| of("servicePrincipalId"));
    row.principal_name = user.or_else(|| of("servicePrincipalName")).or_else(|| of("appId"));
    row.federated_subject = of("federatedCredentialSubject").or_else(|| row.federated_subject.take());
    row.mfa = of("authenticationRequirement").map(|kind| kind == "multiFactorAuthentication");
    row.session_created_at = None;
    row.access_key_id = None;
    let resource = [of("resourceDisplayName"), of("resourceId"), of("appDisplayName")];
    row.resource_ids = audit::each_once(resource.into_iter().flatten());
    if succeeded == Some(true) {
        row.issued_access_key_id = of("uniqueTokenIdentifier");
    }
}
