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
    Secrets { github: Some("s3cret".to_owned()), gitlab: None, pagerduty: Some("duty".to_owned()) }
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
