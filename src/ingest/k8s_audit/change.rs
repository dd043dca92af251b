//! Which audit events are changes: what people and delivery tools did to workloads, ConfigMaps and Secrets.
//!
//! - A workload that is created, or whose request names an image, is a deploy; one whose request is about nothing but
//!   replicas is scaled; one that is deleted is infrastructure; any other write to it is configuration. Where the log's
//!   level keeps no request, nothing says more than that it was configured.
//! - A ConfigMap or Secret is configuration. What service accounts write there is their own state more often than
//!   anybody's configuration, and is no change.
//! - Controllers of the cluster (`system:…`, service accounts in `kube-system`) carry out what others decided.
//! - Requests with `dryRun` change nothing.

use std::borrow::Cow;

use serde_json::Value;

use crate::ingest::audit::{self, str};
use crate::ingest::{json, workload};
use crate::model::change::ChangeRow;
use crate::model::identity::IamEventRow;

/// The change that an event of a request that succeeded is, if it is one.
pub(super) fn of_event<'v>(event: &'v Value, row: &IamEventRow<'v>) -> Option<ChangeRow<'v>> {
    let object = |name: &str| str(event, &["objectRef", name]);
    let (verb, resource, name) = (str(event, &["verb"])?, object("resource")?, object("name")?);
    let finished = !matches!(str(event, &["stage"]), Some("RequestReceived" | "ResponseStarted"));
    let dry = str(event, &["requestURI"]).is_some_and(|uri| uri.contains("dryRun="));
    if !finished || dry || !matches!(verb, "create" | "update" | "patch" | "delete") {
        return None;
    }
    let actor = row.principal_name.clone()?;
    let by_service_account = actor.starts_with("system:serviceaccount:");
    let by_controller = actor.starts_with("system:serviceaccount:kube-system:")
        || (actor.starts_with("system:") && !by_service_account && actor != "system:admin");
    if by_controller {
        return None;
    }
    let nothing = &Value::Null;
    let request = json::at(event, &["requestObject"]).unwrap_or(nothing);
    let kind = match (resource, object("subresource")) {
        ("deployments" | "statefulsets" | "daemonsets" | "rollouts", None) => of_workload(verb, request, name),
        ("deployments" | "statefulsets" | "rollouts", Some("scale")) => "scale",
        ("configmaps" | "secrets", None) if !by_service_account => "config",
        _ => return None,
    };
    // The answer has the object whole, a patch only what it changes.
    let known = json::at(event, &["responseObject"]).filter(|object| json::at(object, &["spec"]).is_some());
    let known = known.unwrap_or(request);
    let is_workload = !matches!(resource, "configmaps" | "secrets");
    let namespace = object("namespace");
    let singular = resource.strip_suffix('s').unwrap_or(resource);
    let mut attributes = workload::attributes(namespace, singular, name);
    attributes.push(("k8s.audit.verb".into(), verb.into()));
    if let Some(replicas) = json::scalar(request, &["spec", "replicas"]).filter(|_| kind == "scale") {
        attributes.push(("k8s.replicas".into(), replicas));
    }
    let path = namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"));
    Some(ChangeRow {
        change_id: row.event_id.as_deref().map(|id| Cow::Owned(format!("kubernetes/{id}"))),
        kind: Some(kind.into()),
        service_name: is_workload.then(|| Cow::Borrowed(workload::service(known).unwrap_or(name))),
        environment: workload::environment(known).map(Cow::Borrowed),
        version: workload::version(known, name).filter(|_| kind == "deploy").map(Cow::Borrowed),
        artifact_id: workload::image(known, name).filter(|_| kind == "deploy").map(|image| Cow::Owned(image.purl())),
        actor: Some(actor),
        status: Some("succeeded".into()),
        started_at: row.event_time,
        finished_at: audit::at(event, &["stageTimestamp"]).and_then(audit::instant).or(row.event_time),
        title: Some(Cow::Owned(format!("{verb} {singular} {path}"))),
        attributes,
        ..ChangeRow::default()
    })
}

fn of_workload(verb: &str, request: &Value, name: &str) -> &'static str {
    let only_replicas = || {
        let spec = json::at(request, &["spec"]).and_then(Value::as_object);
        spec.is_some_and(|spec| spec.len() == 1 && spec.contains_key("replicas"))
    };
    match verb {
        "delete" => "infrastructure",
        "create" => "deploy",
        _ if workload::image(request, name).is_some() => "deploy",
        _ if only_replicas() => "scale",
        _ => "config",
    }
}
