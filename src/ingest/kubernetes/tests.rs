use proptest::prelude::*;
use serde_json::{Value, json};

use super::Kubernetes;
use crate::ingest::testing::{Decoded, decode, of_the_shape};

fn event(kind: &str, name: &str, reason: &str, message: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "uid": "uid-1", "creationTimestamp": "2024-08-01T08:00:00Z"},
        "involvedObject": {"kind": kind, "namespace": "shop", "name": name}, "reason": reason, "message": message,
        "firstTimestamp": "2024-08-01T08:00:00Z", "lastTimestamp": "2024-08-01T09:00:00Z", "type": "Normal"})
}

fn examples() -> Vec<Value> {
    vec![
        event(
            "HorizontalPodAutoscaler",
            "cart",
            "SuccessfulRescale",
            "New size: 4; reason: cpu resource utilization (percentage of request) above target",
        ),
        event("Deployment", "cart", "ScalingReplicaSet", "Scaled up replica set cart-7d9f to 3 from 1"),
        release(),
        event("Pod", "cart-1", "BackOff", "Back-off restarting failed container"),
    ]
}

fn release() -> Value {
    let mut event = event(
        "HelmRelease",
        "cart",
        "UpgradeFailed",
        "Helm upgrade failed for release shop/cart with chart cart@1.4.2",
    );
    event["metadata"]["annotations"] = json!({"helm.toolkit.fluxcd.io/revision": "1.4.2"});
    event
}

fn check(decoded: &Decoded, table: &str, expected: &[(&str, &str)]) {
    assert_eq!((decoded.rows(table), decoded.reasons()), (1, vec![]));
    for (column, value) in expected {
        assert_eq!(decoded.cell(table, column, 0), *value, "{column}");
    }
}

#[test]
fn sizes_change() {
    check(
        &decode(&Kubernetes, examples()[0].to_string().as_bytes()),
        "scaling_events",
        &[
            ("time", "2024-08-01T09:00:00Z"),
            ("target", "shop/cart"),
            ("from_replicas", ""),
            ("to_replicas", "4"),
            ("metric", "cpu"),
            ("reason", "cpu resource utilization (percentage of request) above target"),
            ("source", "kubernetes"),
        ],
    );
    check(
        &decode(&Kubernetes, examples()[1].to_string().as_bytes()),
        "scaling_events",
        &[("target", "shop/cart-7d9f"), ("from_replicas", "1"), ("to_replicas", "3"), ("metric", "")],
    );
    let before = event("Deployment", "cart", "ScalingReplicaSet", "Scaled down replica set cart-7d9f to 0");
    check(
        &decode(&Kubernetes, before.to_string().as_bytes()),
        "scaling_events",
        &[("from_replicas", ""), ("to_replicas", "0")],
    );
    let all =
        event("HorizontalPodAutoscaler", "cart", "SuccessfulRescale", "New size: 1; reason: All metrics below target");
    check(
        &decode(&Kubernetes, all.to_string().as_bytes()),
        "scaling_events",
        &[("metric", ""), ("reason", "All metrics below target")],
    );
    let external = "New size: 2; reason: external metric queue_depth(&LabelSelector{MatchLabels:map[string]string{},}) above target";
    let external = event("HorizontalPodAutoscaler", "cart", "SuccessfulRescale", external);
    check(&decode(&Kubernetes, external.to_string().as_bytes()), "scaling_events", &[("metric", "queue_depth")]);
}

#[test]
fn releases_are_changes_in_every_form() {
    let expected = [
        ("kind", "deploy"),
        ("service_name", "cart"),
        ("version", "1.4.2"),
        ("status", "failed"),
        ("change_id", "kubernetes/uid-1/1722502800000000"),
        ("started_at", "2024-08-01T09:00:00Z"),
    ];
    let mut newer = release();
    let about = newer["involvedObject"].take();
    newer["apiVersion"] = "events.k8s.io/v1".into();
    newer["regarding"] = about;
    newer["note"] = newer["message"].take();
    newer["deprecatedLastTimestamp"] = newer["lastTimestamp"].take();
    for text in
        [release(), json!({"kind": "List", "items": [release()]}), json!({"type": "ADDED", "object": release()}), newer]
    {
        check(&decode(&Kubernetes, text.to_string().as_bytes()), "changes", &expected);
    }
}

#[test]
fn the_rest_is_counted_by_reason() {
    let mut timeless = examples().swap_remove(1);
    timeless["metadata"]["creationTimestamp"] = Value::Null;
    timeless["firstTimestamp"] = Value::Null;
    timeless["lastTimestamp"] = "soon".into();
    let text = json!([
        examples()[3],
        timeless,
        event("HorizontalPodAutoscaler", "x", "SuccessfulRescale", "grown"),
        event("Deployment", "x", "ScalingReplicaSet", "Scaled up"),
        {"reason": "x"},
        [7],
    ]);
    assert_eq!(
        decode(&Kubernetes, text.to_string().as_bytes()).reasons(),
        [
            ("a record is not an object", 1),
            ("event type not used", 1),
            ("involvedObject is missing", 1),
            ("the event has no time", 1),
            ("the message names no new size", 1),
            ("the message names no replica set", 1),
        ]
    );
}

proptest! {
    #[test]
    fn nothing_is_lost_of_what_has_the_shape(records in of_the_shape(examples())) {
        let decoded = decode(&Kubernetes, json!(records).to_string().as_bytes());
        let landed = decoded.rows("scaling_events") + decoded.rows("changes");
        prop_assert_eq!(landed as u64 + decoded.not_landed(), records.len() as u64);
    }

    #[test]
    fn any_message_is_answered(message in ".{0,40}", number in "New size: [0-9]{0,30}.{0,3}reason: .{0,9} metric .{0,9}") {
        for message in [message.as_str(), &number, &format!("replica set {message} to {number} from {message}")] {
            for (kind, reason) in [("Deployment", "ScalingReplicaSet"), ("HorizontalPodAutoscaler", "SuccessfulRescale")] {
                let decoded = decode(&Kubernetes, event(kind, "x", reason, message).to_string().as_bytes());
                prop_assert_eq!(decoded.rows("scaling_events") as u64 + decoded.not_landed(), 1);
            }
        }
    }
}
