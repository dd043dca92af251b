//! Kubernetes audit logs (`audit.k8s.io` Event and EventList): log files (lines), what a webhook backend receives, and
//! AKS' diagnostic logs (the event as text in `properties.log`). Every event lands in `iam_events`; one that changed a
//! workload, ConfigMap or Secret lands in `changes` as well, see `change`.
//!
//! Field meanings are those of the reference of `audit.k8s.io/v1`.
//!
//! - The principal is who authenticated (`user`); whom it impersonates is the name of its session.
//! - On EKS the user is an IAM principal: its ARN, key, role and session are in `user.extra`, so that the chain of roles
//!   goes on in CloudTrail.
//! - A token has an id (`authentication.kubernetes.io/credential-id`, Kubernetes 1.30 and later), which stands for the
//!   access key; the request that issued it names it, too. A node that fetches the token of a pod hands nothing on: the
//!   pod acts.
//! - The service is the API group, the operation the verb, the resource `group/version/namespaces/N/resource/name`, as
//!   GKE's audit logs have it.
//! - All stages of a request share `auditID`. It is the id of the event of the last stage (`ResponseComplete`); others
//!   add their stage, and have no outcome unless they say one.

mod change;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::Value;

use super::audit::{self, items, str, text};
use super::json_records::Reason;
use super::{Input, Output, Source, gcp_audit, json_records};
use crate::error::Result;
use crate::model::Table;
use crate::model::change::CHANGES;
use crate::model::identity::{IAM_EVENTS, IamEventRow};

/// The source `k8s-audit`.
#[derive(Debug)]
pub struct K8sAudit;

impl Source for K8sAudit {
    fn name(&self) -> &'static str {
        "k8s-audit"
    }

    fn doc(&self) -> &'static str {
        "Kubernetes audit events (lines, EventList, AKS logs) into iam_events, changes of workloads into changes"
    }

    fn tables(&self) -> Vec<&'static Table> {
        vec![&CHANGES, &IAM_EVENTS]
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        json_records::for_each(input, &["items", "records"], output, |record, raw, output| {
            match audit::at(record, &["properties", "log"]) {
                Some(Value::String(log)) => {
                    let event = serde_json::from_str(log).map_err(|_| "properties.log is not JSON")?;
                    land(&event, raw, output)
                }
                _ => land(record, raw, output),
            }
        })
    }
}

/// Operations under `get` or `create` that reach into a container or a node.
const REACHING: [&str; 4] = ["attach", "exec", "portforward", "proxy"];

fn land(event: &Value, raw: &str, output: &mut Output<'_>) -> Result<(), Reason> {
    let row = row(event, raw)?;
    if row.outcome.as_deref() == Some("success")
        && let Some(change) = change::of_event(event, &row)
    {
        output.changes.push(&change);
    }
    output.iam_events.push(&row);
    Ok(())
}

fn row<'v>(event: &'v Value, raw: &'v str) -> Result<IamEventRow<'v>, Reason> {
    if !event.is_object() {
        return Err("a record is not an object".into());
    }
    let Some(verb) = text(event, &["verb"]) else {
        let of_gke = gcp_audit::is_entry(event);
        return Err(if of_gke {
            "the event is of Cloud Audit Logs: import it as gcp-audit"
        } else {
            "verb is missing"
        }
        .into());
    };
    let times = ["requestReceivedTimestamp", "stageTimestamp", "timestamp"];
    let written = times.iter().find_map(|name| str(event, &[name])).ok_or("requestReceivedTimestamp is missing")?;
    let event_time = super::times::parse(written).ok_or("requestReceivedTimestamp is not an instant")?;
    let stage = str(event, &["stage"]);
    let id = text(event, &["auditID"]);
    let code = audit::at(event, &["responseStatus", "code"]).and_then(Value::as_u64);
    let succeeded = succeeded(event, stage, code);
    let subresource = str(event, &["objectRef", "subresource"]);
    let mut row = IamEventRow {
        event_time: Some(event_time),
        event_id: match (&id, stage) {
            (Some(id), None | Some("ResponseComplete")) => Some(id.clone()),
            (Some(id), Some(stage)) => Some(Cow::Owned(format!("{id}/{stage}"))),
            (None, _) => Some(Cow::Owned(audit::hash_of(raw))),
        },
        provider: Some("kubernetes".into()),
        event_source: audit::at(event, &["objectRef"])
            .map(|object| text(object, &["apiGroup"]).unwrap_or(Cow::Borrowed("core"))),
        outcome: audit::outcome(succeeded),
        error_code: text(event, &["responseStatus", "reason"])
            .or_else(|| code.map(|code| Cow::Owned(code.to_string())))
            .filter(|_| succeeded == Some(false)),
        request_id: id,
        resource_ids: audit::each_once(object(event).or_else(|| text(event, &["requestURI"]))),
        source_ip: items(event, &["sourceIPs"]).find_map(|address| text(address, &[])),
        user_agent: text(event, &["userAgent"]),
        read_only: Some(
            matches!(&*verb, "get" | "list" | "watch" | "head" | "options")
                && !subresource.is_some_and(|part| REACHING.contains(&part)),
        ),
        raw: Some(Cow::Borrowed(raw)),
        ..IamEventRow::default()
    };
    principal(event, &mut row);
    if succeeded == Some(true) && verb == "create" && subresource == Some("token") {
        issued(event, &mut row);
    }
    row.event_name = Some(verb);
    Ok(row)
}

fn succeeded(event: &Value, stage: Option<&str>, code: Option<u64>) -> Option<bool> {
    let forbidden = str(event, &["annotations", "authorization.k8s.io/decision"]) == Some("forbid");
    match code {
        _ if forbidden || stage == Some("Panic") => Some(false),
        Some(code) if code >= 400 => Some(false),
        Some(code) if code > 0 => Some(true),
        _ => None,
    }
}

/// `apps/v1/namespaces/shop/deployments/cart/scale`.
fn object(event: &Value) -> Option<Cow<'_, str>> {
    let object = audit::at(event, &["objectRef"])?;
    let resource = str(object, &["resource"])?;
    let group = str(object, &["apiGroup"]).unwrap_or("core");
    // Some write the group into the version.
    let version = str(object, &["apiVersion"]).map(|version| version.rsplit('/').next().unwrap_or(version));
    let namespace = str(object, &["namespace"]);
    let mut parts = vec![group];
    parts.extend(version);
    if let Some(namespace) = namespace.filter(|_| resource != "namespaces") {
        parts.extend(["namespaces", namespace]);
    }
    parts.push(resource);
    parts.extend(str(object, &["name"]));
    parts.extend(str(object, &["subresource"]));
    Some(Cow::Owned(parts.join("/")))
}

/// The first value of a member of `user.extra`.
fn extra<'v>(event: &'v Value, name: &str) -> Option<Cow<'v, str>> {
    items(event, &["user", "extra", name]).find_map(|value| text(value, &[]))
}

fn principal<'v>(event: &'v Value, row: &mut IamEventRow<'v>) {
    let name = text(event, &["user", "username"]);
    row.principal_type = name
        .as_deref()
        .map(|name| Cow::Borrowed(if name.starts_with("system:serviceaccount:") { "ServiceAccount" } else { "User" }));
    row.principal_id = text(event, &["user", "uid"]);
    row.principal_name = name;
    row.principal_arn = extra(event, "arn");
    row.account_id = row.principal_arn.as_deref().and_then(|arn| {
        let account = arn.split(':').nth(4).filter(|account| !account.is_empty())?;
        Some(Cow::Owned(account.to_owned()))
    });
    row.access_key_id =
        extra(event, "accessKeyId").or_else(|| extra(event, "authentication.kubernetes.io/credential-id"));
    row.session_issuer_arn =
        extra(event, "canonicalArn").filter(|canonical| Some(canonical) != row.principal_arn.as_ref());
    row.session_name = text(event, &["impersonatedUser", "username"]).or_else(|| extra(event, "sessionName"));
}

/// A token of a service account that somebody asked for.
fn issued<'v>(event: &'v Value, row: &mut IamEventRow<'v>) {
    if row.principal_name.as_deref().is_some_and(|name| name.starts_with("system:node:")) {
        return;
    }
    let object = |name: &str| str(event, &["objectRef", name]);
    if let (Some("serviceaccounts"), Some(namespace), Some(name)) =
        (object("resource"), object("namespace"), object("name"))
    {
        row.issued_principal_arn = Some(Cow::Owned(format!("system:serviceaccount:{namespace}:{name}")));
        row.issued_access_key_id = text(event, &["annotations", "authentication.kubernetes.io/issued-credential-id"]);
        row.issued_expires_at =
            audit::at(event, &["responseObject", "status", "expirationTimestamp"]).and_then(audit::instant);
    }
}
