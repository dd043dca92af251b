use proptest::prelude::*;
use serde_json::{Value, json};

use super::GcpAudit;
use crate::ingest::testing::{check, decode, fixture, lines, nothing_is_lost, of_the_shape, one};

const TABLE: &str = "iam_events";

#[test]
fn real_entries_land() {
    let raw = fixture("audit/gcp-audit.ndjson");
    let decoded = decode(&GcpAudit, &raw);
    assert_eq!((decoded.rows(TABLE), decoded.reasons()), (4, vec![]));
    assert_eq!(decoded.column(TABLE, "event_id"), ["13ogcded7jh2", "1abcd23efg456", "12345", "1dy9ihte4iyjz"]);
    assert_eq!(decoded.column(TABLE, "outcome"), ["failure", "success", "success", "success"]);
    check(
        TABLE,
        &decoded,
        0,
        &[
            ("provider", "gcp"),
            ("event_source", "storage.googleapis.com"),
            ("event_name", "google.storage.objects.get"),
            ("error_code", "PERMISSION_DENIED"),
            ("principal_name", "user1@serviceaccount.gcp.com"),
            ("principal_type", "user"),
        ],
    );
    check(
        TABLE,
        &decoded,
        1,
        &[
            ("event_time", "2023-10-01T12:34:56.789Z"),
            ("principal_arn", "serviceAccount:user@example.com"),
            ("principal_type", "serviceAccount"),
            ("access_key_id", "key-id"),
            ("account_id", "test-project"),
            ("resource_ids", "[projects/test-project/zones/us-central1-a/disks/disk-1]"),
            ("source_ip", "192.0.2.1"),
            ("user_agent", "google-cloud-sdk"),
            ("region", "us-central1-a"),
            ("read_only", "false"),
        ],
    );
    check(
        TABLE,
        &decoded,
        3,
        &[
            ("issued_principal_arn", "serviceAccount:sample@email.com"),
            ("request_id", "10172500524907939495"),
            ("read_only", ""),
        ],
    );
    let text = String::from_utf8(raw).unwrap();
    assert_eq!(decoded.column(TABLE, "raw"), text.lines().collect::<Vec<_>>());
}

fn entry() -> Value {
    let pool = "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci/subject/";
    json!({
        "insertId": "i-1", "timestamp": "2024-08-01T09:00:00.123456789Z", "trace": "projects/p/traces/4BF92F3577B34DA6A3CE929D0E0E4736",
        "logName": "organizations/77/logs/cloudaudit.googleapis.com%2Fdata_access",
        "protoPayload": {
            "serviceName": "storage.googleapis.com", "methodName": "storage.objects.get", "resourceName": "projects/_/buckets/b",
            "authenticationInfo": {
                "principalEmail": "deploy@shop.iam.gserviceaccount.com",
                "serviceAccountDelegationInfo": [
                    {"principalSubject": format!("{pool}repo:acme/shop:ref:refs/heads/main")},
                    {"firstPartyPrincipal": {"principalEmail": "hop@shop.iam.gserviceaccount.com"}},
                ],
            },
            "authorizationInfo": [
                {"resource": "projects/_/buckets/b", "permission": "storage.objects.get", "permissionType": "DATA_READ", "granted": true},
                {"resource": "projects/_/buckets/b/objects/o", "permissionType": "DATA_READ", "granted": true},
            ],
        },
    })
}

#[test]
fn who_acts_through_a_service_account_is_told() {
    check(
        TABLE,
        &one(&GcpAudit, TABLE, &entry()),
        0,
        &[
            ("principal_arn", "serviceAccount:deploy@shop.iam.gserviceaccount.com"),
            (
                "source_identity",
                "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci/subject/repo:acme/shop:ref:refs/heads/main",
            ),
            ("session_issuer_arn", "hop@shop.iam.gserviceaccount.com"),
            ("federated_subject", "repo:acme/shop:ref:refs/heads/main"),
            ("account_id", "77"),
            ("resource_ids", "[projects/_/buckets/b, projects/_/buckets/b/objects/o]"),
            ("read_only", "true"),
            ("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
            ("event_time", "2024-08-01T09:00:00.123456Z"),
        ],
    );
}

#[test]
fn every_arrangement_lands_the_same_and_parts_are_told_apart() {
    let (first, mut second) = (entry(), entry());
    second["split"] = json!({"uid": "u", "index": 1, "totalSplits": 2});
    for text in [
        json!([first, second]).to_string(),
        json!({"entries": [first, second]}).to_string(),
        format!("{first}\n{second}"),
    ] {
        assert_eq!(decode(&GcpAudit, text.as_bytes()).column(TABLE, "event_id"), ["i-1", "i-1/1"], "{text}");
    }
}

#[test]
fn what_is_no_audit_event_is_counted() {
    let text = [
        json!({"textPayload": "hello", "logName": "projects/p/logs/app", "timestamp": "2024-08-01T09:00:00Z"}),
        json!({"protoPayload": {"methodName": "m"}}),
        json!({"protoPayload": {"methodName": "m"}, "timestamp": "soon"}),
        json!({"protoPayload": {}}),
        json!({}),
        json!([7]),
    ]
    .map(|entry| entry.to_string())
    .join("\n");
    assert_eq!(
        decode(&GcpAudit, text.as_bytes()).reasons(),
        [
            ("a record is not an object", 1),
            ("log entry not used: it is not of an audit log", 1),
            ("protoPayload is missing", 1),
            ("protoPayload.methodName is missing", 1),
            ("timestamp is missing", 1),
            ("timestamp is not an instant", 1),
        ]
    );
}

proptest! {
    #[test]
    fn nothing_is_lost_of_what_has_the_shape(records in of_the_shape([lines("audit/gcp-audit.ndjson"), vec![entry()]].concat())) {
        nothing_is_lost(&GcpAudit, TABLE, &records);
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(decode(&GcpAudit, &bytes).rows(TABLE), 0);
    }
}
