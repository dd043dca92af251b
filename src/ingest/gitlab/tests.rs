use proptest::prelude::*;
use serde_json::{Value, json};

use super::GitLab;
use crate::ingest::testing::{self, Decoded, decode, fixture, nothing_is_lost, of_the_shape};

const TABLE: &str = "changes";

fn check(decoded: &Decoded, expected: &[(&str, &str)]) {
    assert_eq!((decoded.rows(TABLE), decoded.reasons()), (1, vec![]));
    testing::check(TABLE, decoded, 0, expected);
}

fn example(name: &str) -> Value {
    serde_json::from_slice(&fixture(&format!("gitlab/{name}-event.json"))).unwrap()
}

fn examples() -> Vec<Value> {
    let given = ["deployment", "job", "pipeline", "release", "push"].map(example);
    given.into_iter().chain([deploying_job(), flag(true)]).collect()
}

fn deploying_job() -> Value {
    json!({"object_kind": "build", "build_id": 796, "build_name": "ship", "build_stage": "prod", "build_status": "success", "pipeline_id": 31,
        "sha": "279484c09fbe69ededfced8c1bb6e6d24616b468", "ref": "master", "build_started_at": "2021-04-28 19:48:00 UTC",
        "build_finished_at": "2021-04-28 19:50:00 UTC", "environment": {"name": "staging", "action": "start"},
        "repository": {"name": "test-deployment-webhooks", "homepage": "http://10.126.0.2:3000/root/test-deployment-webhooks"},
        "user": {"username": "root"}})
}

fn flag(active: bool) -> Value {
    json!({"object_kind": "feature_flag", "project": {"path_with_namespace": "acme/shop", "web_url": "https://gitlab.com/acme/shop"},
        "user": {"username": "ann"}, "object_attributes": {"id": 6, "name": "new-cart", "active": active}})
}

#[test]
fn a_deployment_and_its_job_are_one_change() {
    check(
        &decode(&GitLab, example("deployment").to_string().as_bytes()),
        &[
            ("change_id", "gitlab/root/test-deployment-webhooks/job/796"),
            ("kind", "deploy"),
            ("service_name", "test-deployment-webhooks"),
            ("environment", "staging"),
            ("revision", "279484c09fbe69ededfced8c1bb6e6d24616b468"),
            ("repository", "http://10.126.0.2:3000/root/test-deployment-webhooks"),
            ("actor", "root"),
            ("status", "succeeded"),
            ("started_at", ""),
            ("finished_at", "2021-04-28T19:50:00Z"),
            ("ref_url", "http://10.126.0.2:3000/root/test-deployment-webhooks/-/jobs/796"),
            ("title", "Add new file"),
            ("source", "gitlab"),
            ("date", "2021-04-28"),
        ],
    );
    check(
        &decode(&GitLab, deploying_job().to_string().as_bytes()),
        &[
            ("change_id", "gitlab/root/test-deployment-webhooks/job/796"),
            ("environment", "staging"),
            ("pipeline_run_id", "31"),
            ("status", "succeeded"),
            ("started_at", "2021-04-28T19:48:00Z"),
            ("finished_at", "2021-04-28T19:50:00Z"),
        ],
    );
}

#[test]
fn releases_pipelines_and_flags() {
    check(
        &decode(&GitLab, example("release").to_string().as_bytes()),
        &[
            ("change_id", "gitlab/gitlab-org/release-webhook-example/release/1"),
            ("version", "v1.1"),
            ("revision", "ee0a3fb31ac16e11b9dbb596ad16d4af654d08f8"),
            ("actor", "Example User"),
            ("started_at", "2020-11-02T12:55:12Z"),
        ],
    );
    let mut pipeline = example("pipeline");
    pipeline["object_attributes"]["name"] = "Roll back production".into();
    check(
        &decode(&GitLab, pipeline.to_string().as_bytes()),
        &[
            ("change_id", "gitlab/gitlab-org/gitlab-test/pipeline/31"),
            ("kind", "rollback"),
            ("pipeline_run_id", "31"),
            ("started_at", "2016-08-12T15:23:28Z"),
            ("finished_at", "2016-08-12T15:26:29Z"),
        ],
    );
    check(
        &decode(&GitLab, flag(false).to_string().as_bytes()),
        &[
            ("change_id", "gitlab/acme/shop/feature_flag/6/1795348800000000"),
            ("kind", "feature_flag"),
            ("title", "new-cart off"),
            ("actor", "ann"),
            ("started_at", "2026-11-22T12:00:00Z"),
        ],
    );
}

#[test]
fn the_rest_is_counted_by_reason() {
    let mut waiting = deploying_job();
    waiting["build_status"] = "pending".into();
    let text = [
        example("push"),
        example("job"),
        example("pipeline"),
        waiting,
        json!({"object_kind": "note"}),
        json!({"zen": 1}),
        json!([7]),
        json!({"object_kind": "deployment", "deployment_id": 1, "status": "running", "status_changed_at": "soon"}),
    ]
    .map(|payload| payload.to_string())
    .join("\n");
    let decoded = decode(&GitLab, text.as_bytes());
    assert_eq!(
        decoded.reasons(),
        [
            ("a payload is not an object", 1),
            ("event type not used", 1),
            ("event type not used: push", 1),
            ("job not used: it does not deploy", 1),
            ("not used: it waits or was skipped", 1),
            ("object_kind is missing", 1),
            ("pipeline not used: it does not deploy", 1),
            ("status_changed_at is not an instant", 1),
        ]
    );
}

proptest! {
    #[test]
    fn nothing_is_lost_of_what_has_the_shape(records in of_the_shape(examples())) {
        nothing_is_lost(&GitLab, "changes", &records);
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(decode(&GitLab, &bytes).rows("changes"), 0);
    }
}
