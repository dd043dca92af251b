use super::*;
use crate::ingest::testing::decode;

fn event(kind: &str, status: &str) -> String {
    format!(
        r#"{{"event":{{"id":"01BX","event_type":"{kind}","resource_type":"incident","occurred_at":"2026-03-01T10:05:00.123Z",
        "data":{{"id":"PGR0VU2","type":"incident","html_url":"https://acme.pagerduty.com/incidents/PGR0VU2","number":2,
        "status":"{status}","incident_key":"d3640fbd","created_at":"2026-03-01T10:00:00Z","title":"A little bump",
        "service":{{"id":"PF9","summary":"checkout"}},"priority":{{"summary":"P1"}},"urgency":"high",
        "escalation_policy":{{"summary":"Default"}}}}}}}}"#
    )
}

#[test]
fn events_tell_of_an_incident() {
    let events = ["triggered", "acknowledged", "resolved"].map(|word| event(&format!("incident.{word}"), word));
    let landed = decode(&PagerDuty, events.join("\n").as_bytes());
    let column = |name| landed.column("incidents", name);
    assert_eq!(column("incident_id"), ["pagerduty/PGR0VU2"; 3]);
    assert_eq!(column("status"), ["open", "acknowledged", "resolved"]);
    assert_eq!(column("started_at"), ["2026-03-01T10:00:00Z"; 3]);
    assert_eq!(column("acknowledged_at"), ["", "2026-03-01T10:05:00.123Z", ""]);
    assert_eq!(column("resolved_at"), ["", "", "2026-03-01T10:05:00.123Z"]);
    assert_eq!(landed.cell("incidents", "service_name", 0), "checkout");
    assert_eq!(landed.cell("incidents", "severity", 0), "P1");
}

#[test]
fn other_events_are_not_used_and_broken_ones_rejected() {
    let other = r#"{"event":{"event_type":"service.updated"}}"#;
    let note = event("incident.annotated", "x").replace("\"type\":\"incident\"", "\"type\":\"incident_note\"");
    let landed = decode(&PagerDuty, format!("{other}\n{note}\n{{}}").as_bytes());
    assert_eq!(landed.reasons(), [("event type not used", 2), ("event.event_type is missing", 1)]);
}
