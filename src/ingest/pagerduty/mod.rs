//! PagerDuty's webhooks, version 3: `incident.triggered`, `acknowledged`, `resolved`, `reopened` and their likes. Each
//! event is a row with the incident's id, and completes what was told before; see `super::incidents`.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::Value;

use super::json::{self, text, time};
use super::json_records::Reason;
use super::{Input, Output, Source, json_records};
use crate::error::Result;
use crate::model::ownership::IncidentRow;

/// The source `pagerduty`.
#[derive(Debug)]
pub struct PagerDuty;

impl Source for PagerDuty {
    fn name(&self) -> &'static str {
        "pagerduty"
    }

    fn doc(&self) -> &'static str {
        "PagerDuty webhook payloads, version 3, into incidents"
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        json_records::for_each(input, &[], output, |payload, _, output| {
            output.incidents.push(&row(&payload["event"])?);
            Ok(())
        })
    }
}

fn row(event: &Value) -> Result<IncidentRow<'_>, Reason> {
    let kind = text(event, &["event_type"]).ok_or("event.event_type is missing")?;
    let incident = &event["data"];
    let (word, known) = match kind.strip_prefix("incident.") {
        Some(word) => (word, text(incident, &["type"]).is_none_or(|found| found == "incident")),
        None => return Err("event type not used".into()),
    };
    // Notes, responders and status updates are about an incident, but are not one.
    if !known {
        return Err("event type not used".into());
    }
    let id = text(incident, &["id"]).ok_or("the incident has no id")?;
    let at = time(event, &["occurred_at"]).ok_or("occurred_at is no instant")?;
    let status = match text(incident, &["status"]).unwrap_or(word) {
        "resolved" => "resolved",
        "acknowledged" => "acknowledged",
        _ => "open",
    };
    let of = |path: &[&str]| text(incident, path).map(Cow::Borrowed);
    let told = [
        ("pagerduty.number", json::scalar(incident, &["number"])),
        ("pagerduty.urgency", of(&["urgency"])),
        ("pagerduty.incident_key", of(&["incident_key"])),
        ("pagerduty.escalation_policy", of(&["escalation_policy", "summary"])),
    ];
    let labels = told.into_iter().filter_map(|(name, value)| Some((Cow::Borrowed(name), value?))).collect();
    let created = time(incident, &["created_at"]);
    Ok(IncidentRow {
        incident_id: Some(Cow::Owned(format!("pagerduty/{id}"))),
        title: of(&["title"]),
        severity: of(&["priority", "summary"]).or_else(|| of(&["urgency"])),
        status: Some(status.into()),
        service_name: of(&["service", "summary"]),
        started_at: created,
        detected_at: created,
        acknowledged_at: Some(at).filter(|_| word == "acknowledged"),
        resolved_at: Some(at).filter(|_| word == "resolved"),
        labels,
        ref_url: of(&["html_url"]),
        ..IncidentRow::default()
    })
}
