use proptest::prelude::*;
use serde_json::{Value, json};

use super::AzureActivity;
use crate::ingest::testing::{check, decode, fixture, lines, nothing_is_lost, of_the_shape, one};

const TABLE: &str = "iam_events";

#[test]
fn real_events_land() {
    let decoded = decode(&AzureActivity, &fixture("audit/azure-activity.ndjson"));
    assert_eq!((decoded.rows(TABLE), decoded.reasons()), (5, vec![]));
    assert_eq!(decoded.column(TABLE, "outcome"), ["success", "success", "success", "failure", "success"]);
    assert_eq!(decoded.column(TABLE, "read_only"), ["false", "true", "false", "true", ""]);
    check(
        TABLE,
        &decoded,
        2,
        &[
            ("event_source", "MICROSOFT.RECOVERYSERVICES"),
            ("event_name", "MICROSOFT.RECOVERYSERVICES/VAULTS/BACKUPFABRICS/PROTECTIONCONTAINERS/DELETE"),
            ("principal_type", "User"),
            ("principal_name", "compromised-admin@company.com"),
            ("account_id", "12345678-1234-1234-1234-123456789abc"),
            ("request_id", "a1b2c3d4-e5f6-7890-abcd-ef1234567890"),
            ("source_ip", "203.0.113.42"),
            ("region", "eastus"),
        ],
    );
    check(
        TABLE,
        &decoded,
        3,
        &[
            ("event_source", "Microsoft.Storage"),
            ("event_name", "GetBlobMetadata"),
            ("error_code", "BlobUsesCustomerSpecifiedEncryption"),
            ("principal_type", "SAS"),
            ("access_key_id", "key1(EXAMPLE_HASH)"),
            ("source_ip", "1.1.1.1"),
        ],
    );
    check(
        TABLE,
        &decoded,
        1,
        &[("principal_type", "ServicePrincipal"), ("principal_name", "12345678-1234-1234-1234-123456789abc")],
    );
    check(
        TABLE,
        &decoded,
        4,
        &[
            ("event_name", "Microsoft.Authorization/elevateAccess/action"),
            ("account_id", "87654321-4321-4321-4321-111111111111"),
        ],
    );
    let ids: std::collections::BTreeSet<String> = decoded.column(TABLE, "event_id").into_iter().collect();
    assert_eq!(ids.len(), 5);
}

fn rest() -> Value {
    json!({
        "eventTimestamp": "2024-08-01T09:00:00Z", "eventDataId": "d-1", "correlationId": "c-1", "caller": "ann@acme.io",
        "operationName": {"value": "Microsoft.Compute/virtualMachines/write", "localizedValue": "Create VM"},
        "status": {"value": "Failed"}, "subStatus": {"value": "Conflict"}, "category": {"value": "Administrative"},
        "resourceId": "/subscriptions/s-1/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm",
        "authorization": {"action": "a", "scope": "/subscriptions/s-1"}, "httpRequest": {"clientIpAddress": "192.0.2.7"},
        "claims": {"uti": "token-1", "iat": "1722502000", "appid": "portal", "http://schemas.microsoft.com/claims/authnmethodsreferences": "pwd,mfa",
            "http://schemas.microsoft.com/identity/claims/objectidentifier": "oid-1", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": "ann@acme.io"},
    })
}

fn sign_in() -> Value {
    json!({"time": "2024-08-01T08:55:00Z", "category": "SignInLogs", "operationName": "Sign-in activity", "resultType": "0",
        "callerIpAddress": "192.0.2.7", "tenantId": "t-1",
        "properties": {"id": "signin-1", "userPrincipalName": "ann@acme.io", "userId": "oid-1", "uniqueTokenIdentifier": "token-1",
            "authenticationRequirement": "multiFactorAuthentication", "resourceDisplayName": "Azure Resource Manager"}})
}

#[test]
fn a_call_and_the_sign_in_behind_it_name_the_same_token() {
    let decoded = decode(&AzureActivity, json!({"value": [rest()]}).to_string().as_bytes());
    check(
        TABLE,
        &decoded,
        0,
        &[
            ("event_id", "d-1"),
            ("outcome", "failure"),
            ("error_code", "Conflict"),
            ("principal_id", "oid-1"),
            ("principal_name", "ann@acme.io"),
            ("invoked_by", "portal"),
            ("access_key_id", "token-1"),
            ("mfa", "true"),
            ("session_created_at", "2024-08-01T08:46:40Z"),
            ("source_ip", "192.0.2.7"),
            (
                "resource_ids",
                "[/subscriptions/s-1/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm, /subscriptions/s-1]",
            ),
            ("issued_access_key_id", ""),
        ],
    );
    let decoded = decode(&AzureActivity, json!({"records": [sign_in()]}).to_string().as_bytes());
    check(
        TABLE,
        &decoded,
        0,
        &[
            ("event_id", "signin-1"),
            ("outcome", "success"),
            ("principal_name", "ann@acme.io"),
            ("issued_access_key_id", "token-1"),
            ("access_key_id", ""),
            ("mfa", "true"),
            ("account_id", "t-1"),
        ],
    );
    let mut failed = sign_in();
    failed["resultType"] = "50126".into();
    check(
        TABLE,
        &one(&AzureActivity, TABLE, &failed),
        0,
        &[("outcome", "failure"), ("error_code", "50126"), ("issued_access_key_id", "")],
    );
}

#[test]
fn what_only_started_has_no_outcome_and_what_has_no_time_is_counted() {
    let started =
        json!({"time": "2024-08-01T09:00:00Z", "operationName": "Microsoft.Web/sites/write", "resultType": "Start"});
    check(TABLE, &one(&AzureActivity, TABLE, &started), 0, &[("outcome", ""), ("error_code", "")]);
    let text = format!("{}\n{}\n[7]", json!({"operationName": "x"}), json!({"time": "2024-08-01T09:00:00Z"}));
    assert_eq!(
        decode(&AzureActivity, text.as_bytes()).reasons(),
        [("a record is not an object", 1), ("operationName is missing", 1), ("time is missing", 1)]
    );
}

proptest! {
    #[test]
    fn nothing_is_lost_of_what_has_the_shape(records in of_the_shape([lines("audit/azure-activity.ndjson"), vec![rest(), sign_in()]].concat())) {
        nothing_is_lost(&AzureActivity, TABLE, &records);
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(decode(&AzureActivity, &bytes).rows(TABLE), 0);
    }
}
