//! Webhooks: signatures, replays, what lands.

use ascribe::server::http::Secrets;
use hmac::{Hmac, KeyInit, Mac};

use super::client::{JSON, post};
use super::{Fixture, quick};

const DEPLOYMENT: &str = r#"{"action":"created","deployment":{"id":7,"sha":"abc","ref":"v2","task":"deploy",
    "environment":"production","created_at":"2026-03-01T10:00:00Z","creator":{"login":"ada"}},
    "repository":{"name":"checkout","full_name":"acme/checkout","html_url":"https://github.com/acme/checkout"}}"#;

const DEPLOYED: &str = r#"{"context":{"version":"0.4.1","id":"271069a8","source":"/event/source/123",
    "type":"dev.cdevents.service.deployed.0.1.1","timestamp":"2026-03-01T10:00:00Z"},
    "subject":{"id":"cart","type":"service","content":{"environment":{"id":"prod"},"artifactId":"pkg:oci/cart@1.2"}}}"#;

fn secrets() -> Secrets {
    Secrets { github: Some("s3cret".to_owned()), gitlab: Some("t0ken".to_owned()), pagerduty: Some("duty".to_owned()) }
}

fn signature(prefix: &str, secret: &str, body: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    format!("{prefix}{}", hex::encode(mac.finalize().into_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn github_is_believed_when_it_signs_and_heard_once() {
    let fixture = Fixture::start_with(quick(), None, secrets()).await;
    let at = fixture.http();
    let signed = signature("sha256=", "s3cret", DEPLOYMENT);
    let forged = signature("sha256=", "other", DEPLOYMENT);
    assert_eq!(post(at, "/webhooks/github", &[JSON], DEPLOYMENT.as_bytes()).await.status, 401);
    let headers = [JSON, ("x-hub-signature-256", forged.as_str())];
    assert_eq!(post(at, "/webhooks/github", &headers, DEPLOYMENT.as_bytes()).await.status, 401);
    let headers = [JSON, ("x-hub-signature-256", signed.as_str()), ("x-github-delivery", "72d3162e")];
    let answer = post(at, "/webhooks/github", &headers, DEPLOYMENT.as_bytes()).await;
    let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(told, serde_json::json!({ "message": "", "rejected": 0, "repeated": false, "rows": 1 }));
    let answer = post(at, "/webhooks/github", &headers, DEPLOYMENT.as_bytes()).await;
    assert!(answer.text().contains(r#""repeated":true"#), "{}", answer.text());
    let sql = "SELECT change_id, service_name, actor, source FROM changes";
    assert_eq!(fixture.rows(sql).await, ["github/acme/checkout/deployment/7|checkout|ada|github"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn cdevents_come_in_both_bindings() {
    let fixture = Fixture::start(quick()).await;
    let at = fixture.http();
    let binary =
        [JSON, ("ce-specversion", "1.0"), ("ce-id", "271069a8"), ("ce-type", "dev.cdevents.service.deployed.0.1.1")];
    assert_eq!(post(at, "/webhooks/cdevents", &binary, DEPLOYED.as_bytes()).await.status, 200);
    let structured = format!(r#"{{"specversion":"1.0","id":"8","data":{}}}"#, DEPLOYED.replace("271069a8", "8"));
    let headers = [("content-type", "application/cloudevents+json")];
    assert_eq!(post(at, "/webhooks/cdevents", &headers, structured.as_bytes()).await.status, 200);
    let sql = "SELECT change_id, service_name, environment, version FROM changes ORDER BY 1";
    assert_eq!(fixture.rows(sql).await, ["271069a8|cart|prod|1.2", "8|cart|prod|1.2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_and_pages_become_one_row_an_incident() {
    let fixture = Fixture::start_with(quick(), None, secrets()).await;
    let at = fixture.http();
    let alert = |status: &str, end: &str| {
        format!(
            r#"{{"version":"4","status":"{status}","alerts":[{{"status":"{status}","labels":{{"alertname":"Errors","service":"cart"}},
            "startsAt":"2026-03-01T10:00:00Z","endsAt":"{end}","fingerprint":"f"}}]}}"#
        )
    };
    for body in [alert("firing", "0001-01-01T00:00:00Z"), alert("resolved", "2026-03-01T11:00:00Z")] {
        assert_eq!(post(at, "/webhooks/alertmanager", &[JSON], body.as_bytes()).await.status, 200);
    }
    let page = r#"{"event":{"event_type":"incident.triggered","occurred_at":"2026-03-01T10:01:00Z","data":{"id":"P1",
        "type":"incident","status":"triggered","title":"down","created_at":"2026-03-01T10:01:00Z"}}}"#;
    let both = format!("v1=00, {}", signature("v1=", "duty", page));
    let headers = [JSON, ("x-pagerduty-signature", both.as_str())];
    assert_eq!(post(at, "/webhooks/pagerduty", &headers, page.as_bytes()).await.status, 200);
    assert_eq!(post(at, "/webhooks/pagerduty", &[JSON], page.as_bytes()).await.status, 401);
    let sql = "SELECT incident_id, status, resolved_at - started_at, source FROM incidents ORDER BY 1";
    let rows = fixture.rows(sql).await;
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows[0].starts_with("alertmanager/f/1772359200000000|resolved|") && rows[0].ends_with("|alertmanager"));
    assert!(rows[1].starts_with("pagerduty/P1|open|") && rows[1].ends_with("|pagerduty"), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn gitlab_shows_its_token_and_a_switch_that_comes_again_is_another() {
    let fixture = Fixture::start_with(quick(), None, secrets()).await;
    let at = fixture.http();
    let flag = r#"{"object_kind":"feature_flag","project":{"path_with_namespace":"acme/shop"},
        "object_attributes":{"id":6,"name":"new-cart","active":true},"user":{"username":"ann"}}"#;
    let wrong = [JSON, ("x-gitlab-token", "t0kem")];
    assert_eq!(post(at, "/webhooks/gitlab", &wrong, flag.as_bytes()).await.status, 401);
    assert_eq!(post(at, "/webhooks/gitlab", &[JSON], flag.as_bytes()).await.status, 401);
    // The same delivery twice, then the same switch of another delivery.
    for (key, repeated) in [("k-1", false), ("k-1", true), ("k-2", false)] {
        let headers = [JSON, ("x-gitlab-token", "t0ken"), ("idempotency-key", key), ("x-gitlab-event-uuid", "same")];
        let answer = post(at, "/webhooks/gitlab", &headers, flag.as_bytes()).await;
        assert!(answer.text().contains(&format!(r#""repeated":{repeated}"#)), "{key}: {}", answer.text());
    }
    assert_eq!(
        fixture.rows("SELECT kind, title, count(*) FROM changes GROUP BY 1, 2").await,
        ["feature_flag|new-cart on|2"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_audit_events_lands_in_both_tables_once() {
    let fixture = Fixture::start(quick()).await;
    let at = fixture.http();
    let event = |id: &str, verb: &str| {
        format!(
            r#"{{"kind":"Event","auditID":"{id}","stage":"ResponseComplete","verb":"{verb}","user":{{"username":"ann"}},
            "requestReceivedTimestamp":"2026-03-01T10:00:00.000001Z","responseStatus":{{"code":200}},
            "objectRef":{{"resource":"deployments","apiGroup":"apps","apiVersion":"v1","namespace":"shop","name":"cart"}}}}"#
        )
    };
    let list =
        format!(r#"{{"kind":"EventList","items":[{},{},{{"verb":"get"}}]}}"#, event("a", "delete"), event("b", "get"));
    for (rejected, repeated) in [(1, false), (0, true)] {
        let answer = post(at, "/webhooks/k8s-audit", &[JSON], list.as_bytes()).await;
        let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((told["rejected"].as_i64(), told["repeated"].as_bool()), (Some(rejected), Some(repeated)), "{told}");
    }
    assert_eq!(
        fixture.rows("SELECT event_id, event_name, source FROM iam_events ORDER BY 1").await,
        ["a|delete|k8s-audit", "b|get|k8s-audit"]
    );
    assert_eq!(fixture.rows("SELECT change_id, kind, actor FROM changes").await, ["kubernetes/a|infrastructure|ann"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lineage_applications_and_events_have_their_endpoints() {
    let fixture = Fixture::start_with(quick(), Some("key"), secrets()).await;
    let at = fixture.http();
    let shown = [JSON, ("authorization", "Bearer key")];
    let run = r#"{"eventType":"START","eventTime":"2026-03-01T10:00:00Z","run":{"runId":"r"},"job":{"namespace":"n","name":"j"}}"#;
    assert_eq!(post(at, "/api/v1/lineage", &[JSON], run.as_bytes()).await.status, 401);
    assert_eq!(post(at, "/api/v1/lineage", &shown, run.as_bytes()).await.status, 200);
    assert!(post(at, "/webhooks/openlineage", &shown, run.as_bytes()).await.text().contains(r#""repeated":true"#));
    let app = r#"{"app":{"kind":"Application","metadata":{"name":"cart"},"spec":{},
        "status":{"operationState":{"phase":"Running","startedAt":"2026-03-01T10:00:00Z"}}}}"#;
    assert_eq!(post(at, "/webhooks/argocd", &shown, app.as_bytes()).await.status, 200);
    let scaled = r#"{"involvedObject":{"kind":"HorizontalPodAutoscaler","namespace":"shop","name":"cart"},"reason":"SuccessfulRescale",
        "message":"New size: 4; reason: cpu","lastTimestamp":"2026-03-01T10:00:00Z"}"#;
    assert_eq!(post(at, "/webhooks/kubernetes", &shown, scaled.as_bytes()).await.status, 200);
    assert_eq!(fixture.rows("SELECT run_id, job, event_type FROM lineage_runs").await, ["r|n/j|START"]);
    assert_eq!(fixture.rows("SELECT service_name, status, source FROM changes").await, ["cart|started|argocd"]);
    assert_eq!(fixture.rows("SELECT target, to_replicas FROM scaling_events").await, ["shop/cart|4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_of_the_lake_are_received_as_they_are_described() {
    let folder = tempfile::tempdir().unwrap();
    let described = "webhooks:\n  flags:\n    table: changes\n    map: {change_id: /id, started_at: /at}\n    set: {kind: feature_flag}\n";
    std::fs::write(folder.path().join("webhooks.yaml"), described).unwrap();
    let fixture = Fixture::in_folder(folder, quick(), None, secrets()).await.unwrap();
    let at = fixture.http();
    let body = r#"[{"id":"f-1","at":"2026-03-01T10:00:00Z"},{"id":"f-2"}]"#;
    let answer = post(at, "/webhooks/flags", &[JSON], body.as_bytes()).await;
    let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        told,
        serde_json::json!({ "message": "started_at is empty", "rejected": 1, "repeated": false, "rows": 1 })
    );
    assert_eq!(fixture.rows("SELECT change_id, kind, source FROM changes").await, ["f-1|feature_flag|flags"]);

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("webhooks.yaml"), described.replace("/at}", "/at, nonsense: /x}")).unwrap();
    let refused = Fixture::in_folder(folder, quick(), None, secrets()).await.err().unwrap();
    assert!(refused.to_string().contains("nonsense"), "{refused}");
}
