use super::*;
use crate::ingest::testing::decode;

const GROUP: &str = r#"{"receiver":"team","status":"firing","externalURL":"http://am","version":"4","alerts":[
    {"status":"firing","labels":{"alertname":"HighErrorRate","service":"cart","severity":"page","env":"prod"},
     "annotations":{"summary":"cart fails"},"startsAt":"2026-03-01T10:00:00Z","endsAt":"0001-01-01T00:00:00Z",
     "generatorURL":"http://prom/g","fingerprint":"8cf77ec9f54ffc08"},
    {"status":"resolved","labels":{"alertname":"SlowRequests","job":"pay"},"annotations":{},
     "startsAt":"2026-03-01T09:00:00Z","endsAt":"2026-03-01T09:30:00.5Z","fingerprint":"02c8d0a9f54ffc08"},
    {"status":"firing","labels":{},"startsAt":"2026-03-01T09:00:00Z"}]}"#;

#[test]
fn each_alert_is_an_incident() {
    let landed = decode(&Alertmanager, GROUP.as_bytes());
    let column = |name| landed.column("incidents", name);
    let ids = ["alertmanager/8cf77ec9f54ffc08/1772359200000000", "alertmanager/02c8d0a9f54ffc08/1772355600000000"];
    assert_eq!(column("incident_id"), ids);
    assert_eq!(column("status"), ["open", "resolved"]);
    assert_eq!(column("title"), ["cart fails", "SlowRequests"]);
    assert_eq!(column("service_name"), ["cart", "pay"]);
    assert_eq!(column("severity"), ["page", ""]);
    assert_eq!(column("environment"), ["prod", ""]);
    assert_eq!(column("signal"), ["errors", "latency"]);
    assert_eq!(column("resolved_at"), ["", "2026-03-01T09:30:00.500Z"]);
    assert_eq!(column("ref_url"), ["http://prom/g", "http://am"]);
    assert_eq!(landed.reasons(), [("the alert has no fingerprint", 1)]);
    assert_eq!(decode(&Alertmanager, b"{}").reasons(), [("alerts is missing", 1)]);
}
