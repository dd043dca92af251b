use proptest::prelude::*;
use serde_json::{Value, json};

use super::GitHub;
use crate::ingest::testing::{Decoded, decode, fixture};

const TABLE: &str = "changes";

fn check(decoded: &Decoded, expected: &[(&str, &str)]) {
    assert_eq!((decoded.rows(TABLE), decoded.reasons()), (1, vec![]));
    for (column, value) in expected {
        assert_eq!(decoded.cell(TABLE, column, 0), *value, "{column}");
    }
}

#[test]
fn a_deployment_and_its_status_are_one_change() {
    check(
        &decode(&GitHub, &fixture("github/deployment.json")),
        &[
            ("change_id", "github/Codertocat/Hello-World/deployment/145988746"),
            ("kind", "deploy"),
            ("service_name", "Hello-World"),
            ("environment", "github-pages"),
            ("version", "gh-pages"),
            ("revision", "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"),
            ("pipeline_run_id", "289782451"),
            ("actor", "github-pages[bot]"),
            ("status", "started"),
            ("started_at", "2022-01-03T01:28:30Z"),
            ("finished_at", ""),
            ("date", "2022-01-03"),
        ],
    );
    check(
        &decode(&GitHub, &fixture("github/deployment_status.json")),
        &[
            ("change_id", "github/Codertocat/Hello-World/deployment/145988746"),
            ("environment", "production"),
            ("status", "succeeded"),
            ("started_at", "2019-05-15T15:20:53Z"),
            ("finished_at", "2019-05-15T15:20:55Z"),
            ("repository", "https://github.com/Codertocat/Hello-World"),
        ],
    );
}

#[test]
fn what_the_deployment_says_of_itself_counts() {
    let payload = json!({"repository": {"name": "mono", "full_name": "acme/mono"}, "deployment": {"id": 7, "task": "deploy:rollback",
        "sha": "abc", "ref": "main", "environment": "prod", "created_at": "2024-08-01T09:00:00Z",
        "payload": {"service": "checkout", "version": "1.4.2", "previous_version": "1.4.3", "ring": 2}}});
    check(
        &decode(&GitHub, payload.to_string().as_bytes()),
        &[("kind", "rollback"), ("service_name", "checkout"), ("version", "1.4.2"), ("previous_version", "1.4.3")],
    );
}

fn run(name: &str, status: &str, conclusion: Option<&str>) -> Value {
    json!({"repository": {"name": "shop", "full_name": "acme/shop"}, "workflow": {"name": name},
        "workflow_run": {"id": 9, "run_attempt": 2, "status": status, "conclusion": conclusion, "head_sha": "abc",
            "created_at": "2024-08-01T09:00:00Z", "updated_at": "2024-08-01T09:05:00Z"}})
}

#[test]
fn a_workflow_run_counts_if_it_deploys() {
    check(
        &decode(&GitHub, run("Deploy to prod", "completed", Some("failure")).to_string().as_bytes()),
        &[
            ("change_id", "github/acme/shop/workflow_run/9/2"),
            ("pipeline_run_id", "9"),
            ("status", "failed"),
            ("started_at", "2024-08-01T09:00:00Z"),
            ("finished_at", "2024-08-01T09:05:00Z"),
        ],
    );
    let text = [run("test", "completed", Some("success")), run("deploy", "queued", None)]
        .map(|run| run.to_string())
        .join("\n");
    assert_eq!(
        decode(&GitHub, text.as_bytes()).reasons(),
        [("workflow run not used: it does not deploy", 1), ("workflow run not used: it still waits", 1),]
    );
    let real = decode(&GitHub, &fixture("github/workflow_run.json"));
    assert_eq!(real.reasons(), [("workflow run not used: it does not deploy", 1)]);
}

#[test]
fn a_release_counts_once_it_is_published() {
    check(
        &decode(&GitHub, &fixture("github/release.json")),
        &[
            ("change_id", "github/Codertocat/Hello-World/release/17372790"),
            ("version", "0.0.1"),
            ("revision", ""),
            ("status", "succeeded"),
            ("started_at", "2019-05-15T15:20:53Z"),
            ("title", "0.0.1"),
        ],
    );
}

#[test]
fn the_rest_is_counted_by_reason() {
    let text = concat!(
        r#"{"ref":"refs/heads/main","commits":[],"pusher":{"name":"x"}}"#,
        "\n",
        r#"{"zen":"Keep it logically awesome.","hook":{"id":1}}"#,
        "\n",
        r#"{"of":"somebody else"}"#,
        "\n",
        r#"{"release":{"id":1},"action":"deleted"}"#,
        "\n",
        r#"{"deployment":{"id":1}}"#,
        "\n",
        r#"{"deployment":{"id":1,"created_at":"2024-08-01T09:00:00Z"},"deployment_status":{"state":"odd"}}"#,
        "\n",
        "[\"text\"]\n{\n",
    );
    let decoded = decode(&GitHub, text.as_bytes());
    assert_eq!(decoded.rows(TABLE), 0);
    assert_eq!(
        decoded.reasons(),
        [
            ("a payload is not an object", 1),
            ("created_at of the deployment is no instant", 1),
            ("event type not used", 1),
            ("event type not used: push", 1),
            ("not a payload of a GitHub webhook", 1),
            ("release not used: it is not published by this event", 1),
            ("the file ends inside a record or array", 1),
            ("the state of a deployment status is not known", 1),
        ]
    );
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(decode(&GitHub, &bytes).rows(TABLE), 0);
    }
}
