use proptest::prelude::*;
use serde_json::{Value, json};

use super::K8sAudit;
use crate::ingest::testing::{check, decode, fixture, lines, nothing_is_lost, of_the_shape, one};

const TABLE: &str = "iam_events";

#[test]
fn real_events_land() {
    let decoded = decode(&K8sAudit, &fixture("audit/k8s-audit.ndjson"));
    assert_eq!(decoded.rows(TABLE), 2);
    assert_eq!(
        decoded.reasons(),
        [
            ("requestReceivedTimestamp is missing", 1),
            ("the event is of Cloud Audit Logs: import it as gcp-audit", 1),
            ("verb is missing", 1),
        ]
    );
    check(
        TABLE,
        &decoded,
        0,
        &[
            ("event_id", "35506555-dffc-4337-b2b1-c4af52b88e18/ResponseStarted"),
            ("event_source", "core"),
            ("event_name", "get"),
            ("principal_name", "kubernetes-admin"),
            ("principal_arn", "arn:aws:sts::123412341234:assumed-role/DevAdministrator/1669660343296132000"),
            ("session_issuer_arn", "arn:aws:iam::123412341234:role/DevAdministrator"),
            ("session_name", "1669660343296132000"),
            ("access_key_id", "ASIARLIVEKVNN6Y6J5UW"),
            ("account_id", "123412341234"),
            ("resource_ids", "[core/v1/namespaces/default/pods/kube-bench-drn4j/log]"),
            ("read_only", "true"),
        ],
    );
    check(
        TABLE,
        &decoded,
        1,
        &[
            ("event_id", "edf35e8d-92c3-4507-9bc6-4dd9cf068bcf"),
            ("outcome", "failure"),
            ("error_code", "Forbidden"),
            ("resource_ids", "[/vendor/phpunit/src/Util/PHP/eval-stdin.php]"),
            ("source_ip", "8.216.81.10"),
        ],
    );
}

fn event(verb: &str, user: &str, object: &Value, request: &Value) -> Value {
    json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "a-1", "stage": "ResponseComplete", "verb": verb,
        "requestURI": "/apis/x", "requestReceivedTimestamp": "2024-08-01T09:00:00.000001Z", "stageTimestamp": "2024-08-01T09:00:00.5Z",
        "user": {"username": user, "uid": "u-1"}, "objectRef": object, "responseStatus": {"code": 200}, "requestObject": request})
}

fn deployment(subresource: Option<&str>) -> Value {
    json!({"resource": "deployments", "apiGroup": "apps", "apiVersion": "v1", "namespace": "shop", "name": "cart", "subresource": subresource})
}

fn rollout() -> Value {
    let pods = json!({"spec": {"containers": [{"name": "cart", "image": "ghcr.io/acme/cart:v2"}]}});
    event("patch", "ann@acme.io", &deployment(None), &json!({"spec": {"template": pods}}))
}

#[test]
fn a_new_image_is_a_deploy() {
    let decoded = one(&K8sAudit, TABLE, &rollout());
    let expected = [
        ("change_id", "kubernetes/a-1"),
        ("kind", "deploy"),
        ("service_name", "cart"),
        ("version", "v2"),
        ("artifact_id", "pkg:oci/cart?repository_url=ghcr.io/acme/cart&tag=v2"),
        ("actor", "ann@acme.io"),
        ("status", "succeeded"),
        ("started_at", "2024-08-01T09:00:00.000001Z"),
        ("finished_at", "2024-08-01T09:00:00.500Z"),
        ("title", "patch deployment shop/cart"),
    ];
    assert_eq!(decoded.rows("changes"), 1);
    for (column, value) in expected {
        assert_eq!(decoded.cell("changes", column, 0), value, "{column}");
    }
}

#[test]
fn what_people_change_is_a_change_and_what_controllers_do_is_none() {
    let kind = |event: &Value| one(&K8sAudit, TABLE, event).column("changes", "kind").join(",");
    let scale = json!({"spec": {"replicas": 5}});
    let config = json!({"resource": "configmaps", "apiVersion": "v1", "namespace": "shop", "name": "flags"});
    let gitops = "system:serviceaccount:argocd:argocd-application-controller";
    assert_eq!(kind(&event("patch", "ann", &deployment(Some("scale")), &scale)), "scale");
    assert_eq!(kind(&event("patch", "ann", &deployment(None), &scale)), "scale");
    assert_eq!(kind(&event("patch", "ann", &deployment(None), &json!({"metadata": {}}))), "config");
    assert_eq!(kind(&event("update", "ann", &deployment(None), &Value::Null)), "config");
    assert_eq!(kind(&event("delete", "ann", &deployment(None), &Value::Null)), "infrastructure");
    assert_eq!(kind(&event("create", gitops, &deployment(None), &Value::Null)), "deploy");
    assert_eq!(kind(&event("update", "ann", &config, &Value::Null)), "config");
    assert_eq!(kind(&event("update", "system:serviceaccount:ingress:nginx", &config, &Value::Null)), "");
    assert_eq!(kind(&event("update", "system:kube-controller-manager", &deployment(Some("status")), &Value::Null)), "");
    assert_eq!(
        kind(&event(
            "patch",
            "system:serviceaccount:kube-system:horizontal-pod-autoscaler",
            &deployment(Some("scale")),
            &scale
        )),
        ""
    );
    assert_eq!(kind(&event("get", "ann", &deployment(None), &Value::Null)), "");
    let mut dry = rollout();
    dry["requestURI"] = "/apis/apps/v1/namespaces/shop/deployments/cart?dryRun=All".into();
    assert_eq!(kind(&dry), "");
    let mut denied = rollout();
    denied["responseStatus"]["code"] = 403.into();
    assert_eq!(kind(&denied), "");
}

fn token() -> Value {
    let object = json!({"resource": "serviceaccounts", "subresource": "token", "namespace": "shop", "name": "cart", "apiVersion": "v1"});
    let mut event = event("create", "ann", &object, &Value::Null);
    event["annotations"] = json!({"authentication.kubernetes.io/issued-credential-id": "JTI=7"});
    event["responseObject"] = json!({"status": {"expirationTimestamp": "2024-08-01T10:00:00Z"}});
    event
}

#[test]
fn tokens_and_impersonation_are_followed() {
    check(
        TABLE,
        &one(&K8sAudit, TABLE, &token()),
        0,
        &[
            ("issued_access_key_id", "JTI=7"),
            ("issued_principal_arn", "system:serviceaccount:shop:cart"),
            ("issued_expires_at", "2024-08-01T10:00:00Z"),
        ],
    );
    let mut by_node = token();
    by_node["user"]["username"] = "system:node:n1".into();
    check(TABLE, &one(&K8sAudit, TABLE, &by_node), 0, &[("issued_access_key_id", ""), ("issued_principal_arn", "")]);
    let mut later = event("get", "system:serviceaccount:shop:cart", &deployment(None), &Value::Null);
    later["user"]["extra"] = json!({"authentication.kubernetes.io/credential-id": ["JTI=7"]});
    later["impersonatedUser"] = json!({"username": "bob@acme.io"});
    check(
        TABLE,
        &one(&K8sAudit, TABLE, &later),
        0,
        &[("access_key_id", "JTI=7"), ("session_name", "bob@acme.io"), ("principal_type", "ServiceAccount")],
    );
    let object =
        json!({"resource": "pods", "subresource": "exec", "namespace": "shop", "name": "cart-1", "apiVersion": "v1"});
    check(TABLE, &one(&K8sAudit, TABLE, &event("get", "ann", &object, &Value::Null)), 0, &[("read_only", "false")]);
}

#[test]
fn lists_and_diagnostic_logs_are_opened() {
    let list =
        json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": [rollout(), token()]});
    let aks = json!({"records": [{"category": "kube-audit", "properties": {"log": rollout().to_string()}}, {"properties": {"log": "{"}}]});
    assert_eq!(decode(&K8sAudit, list.to_string().as_bytes()).rows(TABLE), 2);
    let decoded = decode(&K8sAudit, aks.to_string().as_bytes());
    assert_eq!((decoded.rows(TABLE), decoded.reasons()), (1, vec![("properties.log is not JSON", 1)]));
}

proptest! {
    #[test]
    fn nothing_is_lost_of_what_has_the_shape(records in of_the_shape([lines("audit/k8s-audit.ndjson"), vec![rollout(), token()]].concat())) {
        nothing_is_lost(&K8sAudit, TABLE, &records);
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(decode(&K8sAudit, &bytes).rows(TABLE), 0);
    }
}
