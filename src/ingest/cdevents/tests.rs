use proptest::prelude::*;
use serde_json::json;

use super::{CdEvents, version_of};
use crate::ingest::testing::{decode, fixture};

#[test]
fn a_deployed_service_is_a_change() {
    let decoded = decode(&CdEvents, &fixture("cdevents/service_deployed.json"));
    assert_eq!((decoded.rows("changes"), decoded.reasons()), (1, vec![]));
    let digest = "sha256:0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427";
    let expected = [
        ("change_id", "271069a8-fc18-44f1-b38f-9d70a1695819"),
        ("kind", "deploy"),
        ("service_name", "mySubject123"),
        ("environment", "test123"),
        ("version", digest),
        ("artifact_id", "pkg:oci/myapp@sha256%3A0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427"),
        ("status", "succeeded"),
        ("started_at", "2023-03-20T14:27:05.315384Z"),
        ("finished_at", "2023-03-20T14:27:05.315384Z"),
        ("date", "2023-03-20"),
    ];
    for (column, value) in expected {
        assert_eq!(decoded.cell("changes", column, 0), value, "{column}");
    }
}

#[test]
fn an_incident_is_told_by_its_events() {
    let decoded = decode(&CdEvents, &fixture("cdevents/incident_resolved.json"));
    let expected = [
        ("incident_id", "incident-123"),
        ("title", "Response time restored below 100ms"),
        ("status", "resolved"),
        ("service_name", "myApp"),
        ("environment", "prod1"),
        ("started_at", ""),
        ("resolved_at", "2022-11-11T13:52:20.079Z"),
    ];
    for (column, value) in expected {
        assert_eq!(decoded.cell("incidents", column, 0), value, "{column}");
    }
}

fn event(kind: &str, content: &serde_json::Value) -> serde_json::Value {
    json!({"context": {"type": kind, "id": "e-1", "source": "/ci", "timestamp": "2024-08-01T09:00:00Z"},
        "subject": {"id": "s-1", "content": content}})
}

#[test]
fn runs_count_if_they_deploy_and_envelopes_are_opened() {
    let started =
        event("dev.cdevents.pipelinerun.started.0.3.0", &json!({"pipelineName": "Deploy shop", "url": "https://x"}));
    let finished =
        event("dev.cdevents.pipelinerun.finished.0.1.0", &json!({"pipelineName": "deploy", "outcome": "failure"}));
    let wrapped =
        json!({"specversion": "1.0", "id": "ce", "type": "dev.cdevents.pipelinerun.finished.0.1.0", "data": finished});
    let decoded = decode(&CdEvents, format!("{started}\n{wrapped}").as_bytes());
    assert_eq!(decoded.reasons(), []);
    assert_eq!(decoded.column("changes", "change_id"), ["s-1", "s-1"]);
    assert_eq!(decoded.column("changes", "pipeline_run_id"), ["s-1", "s-1"]);
    assert_eq!(decoded.column("changes", "status"), ["started", "failed"]);
    assert_eq!(decoded.column("changes", "started_at"), ["2024-08-01T09:00:00Z", ""]);
    assert_eq!(decoded.column("changes", "finished_at"), ["", "2024-08-01T09:00:00Z"]);
    assert_eq!(decoded.column("changes", "date"), ["2024-08-01", "2024-08-01"]);
    let other = decode(&CdEvents, &fixture("cdevents/pipelinerun_finished.json"));
    assert_eq!(other.reasons(), [("run not used: it does not deploy", 1)]);
}

#[test]
fn the_rest_is_counted_by_reason() {
    let text = [
        event("dev.cdevents.service.rolledback.0.3.0", &json!({})),
        event("dev.cdevents.build.finished.0.3.0", &json!({})),
        event("com.example.thing", &json!({})),
        json!({"context": {"type": "dev.cdevents.service.deployed.0.3.0", "timestamp": "2024-08-01T09:00:00Z"}}),
        json!({"context": {"type": "dev.cdevents.service.deployed.0.3.0", "timestamp": 7}, "subject": {"id": "x"}}),
        json!([]),
        json!({}),
    ]
    .map(|event| event.to_string())
    .join("\n");
    let decoded = decode(&CdEvents, text.as_bytes());
    assert_eq!(decoded.column("changes", "kind"), ["rollback"]);
    assert_eq!(
        decoded.reasons(),
        [
            ("context.timestamp is not an instant", 1),
            ("context.type is missing", 1),
            ("event type not used", 1),
            ("subject.id is missing", 1),
            ("the event is no CDEvent", 1),
        ]
    );
}

#[test]
fn versions_come_out_of_package_urls() {
    assert_eq!(version_of("pkg:npm/a@1.2.3+b?x=y#z").as_deref(), Some("1.2.3+b"));
    assert_eq!(version_of("pkg:npm/%40scope/a@1&2%2F3").as_deref(), Some("1&2/3"));
    for none in ["pkg:npm/a", "1.2.3", "", "pkg:", "a@1", "pkg:a@", "#pkg:", "?"] {
        assert_eq!(version_of(none), None, "{none}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300), purl in ".*") {
        prop_assert_eq!(decode(&CdEvents, &bytes).rows("changes"), 0);
        let _version = version_of(&purl);
    }
}
