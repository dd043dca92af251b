use proptest::prelude::*;
use serde_json::json;

use super::GitHubAudit;
use crate::ingest::testing::{check, decode, fixture, lines, nothing_is_lost, of_the_shape, one};

const TABLE: &str = "iam_events";

#[test]
fn real_events_land() {
    let decoded = decode(&GitHubAudit, &fixture("audit/github-audit.ndjson"));
    assert_eq!((decoded.rows(TABLE), decoded.reasons()), (4, vec![("@timestamp is missing", 2)]));
    check(
        TABLE,
        &decoded,
        0,
        &[
            ("event_id", "pWWWWWWWWWWWWWWWWWWWWW"),
            ("event_time", "2023-01-31T18:58:27.638Z"),
            ("event_name", "workflows.completed_workflow_run"),
            ("outcome", "success"),
            ("principal_name", "github_handle"),
            ("session_name", ""),
            ("account_id", "panther-labs"),
            ("resource_ids", "[your-org/panther-analysis-copy, 5555555555]"),
            ("read_only", "false"),
        ],
    );
    check(
        TABLE,
        &decoded,
        1,
        &[("federated_subject", "badger@acme.com"), ("principal_type", "User"), ("principal_id", "1234567")],
    );
    check(
        TABLE,
        &decoded,
        2,
        &[
            ("event_time", "2022-12-15T13:31:51.111Z"),
            ("source_ip", "12.12.12.12"),
            ("account_id", "example-enterprise"),
        ],
    );
    check(
        TABLE,
        &decoded,
        3,
        &[("event_time", "2021-05-18T02:31:58.553Z"), ("event_name", "protected_branch.destroy")],
    );
}

#[test]
fn a_clone_names_its_token() {
    let mut clone = lines("audit/github-audit.ndjson").swap_remove(3);
    clone["@timestamp"] = 1_722_502_800_000_i64.into();
    check(
        TABLE,
        &one(&GitHubAudit, TABLE, &clone),
        0,
        &[
            ("event_name", "git.clone"),
            ("access_key_id", "0771cae4d170dc02a6ff393d9946cd684d6145c1="),
            ("read_only", "true"),
            ("resource_ids", "[acme-inc/a-repo]"),
            ("federated_subject", ""),
        ],
    );
}

#[test]
fn a_job_names_its_run() {
    let event = json!({"@timestamp": 1_722_502_800_000_i64, "_document_id": "d", "action": "git.push", "actor": "github-actions[bot]",
        "repo": "acme/shop", "workflow_run_id": 77_001_234});
    check(
        TABLE,
        &one(&GitHubAudit, TABLE, &event),
        0,
        &[("session_name", "77001234"), ("principal_type", "Bot"), ("read_only", "false")],
    );
    let failed = json!({"@timestamp": 1_722_502_800_000_i64, "action": "user.failed_login", "actor": "ann"});
    check(TABLE, &one(&GitHubAudit, TABLE, &failed), 0, &[("outcome", "failure")]);
}

proptest! {
    #[test]
    fn nothing_is_lost_of_what_has_the_shape(records in of_the_shape(lines("audit/github-audit.ndjson"))) {
        nothing_is_lost(&GitHubAudit, TABLE, &records);
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(decode(&GitHubAudit, &bytes).rows(TABLE), 0);
    }
}
