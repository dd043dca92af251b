//! Prometheus Alertmanager's webhook (payload version 4): a group of alerts, each of which is an incident.
//!
//! The id is the alert's fingerprint with its start, because a fingerprint is that of the labels and comes again with the
//! next firing. An alert that is told repeatedly completes its row; see `super::incidents`.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::Value;

use super::json::{self, text, time};
use super::json_records::Reason;
use super::{Input, Output, Source, json_records};
use crate::error::Result;
use crate::model::ownership::IncidentRow;

/// Labels that name the service, the most specific first.
const SERVICE: [&str; 5] = ["service_name", "service", "app", "application", "job"];

/// Labels that name the environment.
const ENVIRONMENT: [&str; 4] = ["deployment_environment_name", "deployment_environment", "environment", "env"];

/// The source `alertmanager`.
#[derive(Debug)]
pub struct Alertmanager;

impl Source for Alertmanager {
    fn name(&self) -> &'static str {
        "alertmanager"
    }

    fn doc(&self) -> &'static str {
        "Prometheus Alertmanager webhook payloads into incidents"
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        json_records::for_each(input, &[], output, |group, _, output| {
            let alerts = json::at(group, &["alerts"]).and_then(Value::as_array).ok_or("alerts is missing")?;
            for alert in alerts {
                match row(group, alert) {
                    Ok(row) => output.incidents.push(&row),
                    Err(reason) => output.reject(reason, &alert.to_string()),
                }
            }
            Ok::<(), Reason>(())
        })
    }
}

fn row<'v>(group: &'v Value, alert: &'v Value) -> Result<IncidentRow<'v>, &'static str> {
    let fingerprint = text(alert, &["fingerprint"]).ok_or("the alert has no fingerprint")?;
    let started = time(alert, &["startsAt"]).ok_or("startsAt of the alert is no instant")?;
    let resolved = text(alert, &["status"]).or_else(|| text(group, &["status"])) == Some("resolved");
    let label = |name: &str| text(alert, &["labels", name]);
    let of = |names: &[&str]| names.iter().find_map(|name| label(name)).map(Cow::Borrowed);
    let annotation = |name: &str| text(alert, &["annotations", name]);
    let title = annotation("summary").or_else(|| label("alertname")).or_else(|| annotation("description"));
    let mut labels = json::attributes(&alert["labels"]);
    labels.extend(text(group, &["receiver"]).map(|receiver| ("alertmanager.receiver".into(), receiver.into())));
    Ok(IncidentRow {
        incident_id: Some(Cow::Owned(format!("alertmanager/{fingerprint}/{started}"))),
        title: title.map(Cow::Borrowed),
        severity: of(&["severity", "priority"]),
        status: Some(if resolved { "resolved" } else { "open" }.into()),
        service_name: of(&SERVICE),
        environment: of(&ENVIRONMENT),
        started_at: Some(started),
        detected_at: Some(started),
        // While it fires the end is the year 1.
        resolved_at: time(alert, &["endsAt"]).filter(|_| resolved),
        signal: signal(label("signal").or_else(|| label("alertname")).unwrap_or_default()).map(Cow::Borrowed),
        labels,
        ref_url: text(alert, &["generatorURL"]).or_else(|| text(group, &["externalURL"])).map(Cow::Borrowed),
        ..IncidentRow::default()
    })
}

/// What the name of an alert says that is wrong.
fn signal(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if says(&["latency", "slow", "duration", "p99", "p95"]) {
        Some("latency")
    } else if says(&["error", "fail", "5xx", "availability"]) {
        Some("errors")
    } else if says(&["cost", "budget", "spend"]) {
        Some("cost")
    } else {
        None
    }
}
