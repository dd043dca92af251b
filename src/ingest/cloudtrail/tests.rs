use proptest::prelude::*;
use serde_json::{Value, json};

use super::CloudTrail;
use crate::ingest::testing::{Decoded, decode, fixture};

const TABLE: &str = "iam_events";

fn event(changes: &Value) -> Value {
    let mut event = json!({
        "eventVersion": "1.09", "eventID": "e-1", "eventTime": "2024-08-01T09:00:00Z", "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject", "awsRegion": "eu-west-1", "sourceIPAddress": "192.0.2.1", "userAgent": "cli",
        "requestID": "r-1", "readOnly": true, "recipientAccountId": "111111111111",
    });
    for (name, value) in changes.as_object().unwrap() {
        event[name] = value.clone();
    }
    event
}

fn one(changes: &Value) -> Decoded {
    let decoded = decode(&CloudTrail, event(changes).to_string().as_bytes());
    assert_eq!(decoded.reasons(), []);
    assert_eq!(decoded.rows(TABLE), 1);
    decoded
}

fn check(decoded: &Decoded, expected: &[(&str, &str)]) {
    for (column, value) in expected {
        assert_eq!(decoded.cell(TABLE, column, 0), *value, "{column}");
    }
}

#[test]
fn a_role_session_is_told_in_full() {
    let decoded = one(&json!({"userIdentity": {
        "type": "AssumedRole", "principalId": "AROAEXAMPLE:deploy-42",
        "arn": "arn:aws:sts::111111111111:assumed-role/ci/deploy-42", "accountId": "111111111111", "accessKeyId": "ASIA1",
        "invokedBy": "cloudformation.amazonaws.com",
        "sessionContext": {
            "sessionIssuer": {"type": "Role", "arn": "arn:aws:iam::111111111111:role/team/ci", "userName": "ci"},
            "attributes": {"creationDate": "2024-08-01T08:30:00Z", "mfaAuthenticated": "false"},
            "sourceIdentity": "alice",
        },
    }, "sharedEventID": "s-1", "resources": [{"ARN": "arn:aws:s3:::b/k"}, {"ARN": "arn:aws:s3:::b"}],
       "requestParameters": {"bucketName": "b", "key": "k"}}));
    check(
        &decoded,
        &[
            ("event_time", "2024-08-01T09:00:00Z"),
            ("event_id", "e-1"),
            ("provider", "aws"),
            ("event_source", "s3.amazonaws.com"),
            ("event_name", "GetObject"),
            ("outcome", "success"),
            ("error_code", ""),
            ("principal_type", "AssumedRole"),
            ("principal_id", "AROAEXAMPLE:deploy-42"),
            ("principal_arn", "arn:aws:sts::111111111111:assumed-role/ci/deploy-42"),
            ("principal_name", "ci"),
            ("account_id", "111111111111"),
            ("access_key_id", "ASIA1"),
            ("session_issuer_arn", "arn:aws:iam::111111111111:role/team/ci"),
            ("session_name", "deploy-42"),
            ("source_identity", "alice"),
            ("session_created_at", "2024-08-01T08:30:00Z"),
            ("mfa", "false"),
            ("invoked_by", "cloudformation.amazonaws.com"),
            ("federated_subject", ""),
            ("shared_event_id", "s-1"),
            ("request_id", "r-1"),
            ("resource_ids", "[arn:aws:s3:::b/k, arn:aws:s3:::b, b]"),
            ("source_ip", "192.0.2.1"),
            ("user_agent", "cli"),
            ("region", "eu-west-1"),
            ("read_only", "true"),
            ("date", "2024-08-01"),
            ("source", "cloudtrail"),
        ],
    );
}

#[test]
fn every_kind_of_principal_has_a_name() {
    let cases = [
        (json!({"type": "IAMUser", "arn": "arn:aws:iam::1:user/a/bob", "userName": "bob"}), "bob", ""),
        (json!({"type": "Root", "arn": "arn:aws:iam::1:root", "accountId": "1"}), "root", ""),
        (json!({"type": "AssumedRole", "principalId": "AROA:s"}), "AROA:s", "s"),
        (json!({"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/ops/x"}), "ops", "x"),
        (
            json!({"type": "FederatedUser", "arn": "arn:aws:sts::1:federated-user/eve", "principalId": "1:eve"}),
            "eve",
            "eve",
        ),
        (json!({"type": "AWSService", "invokedBy": "lambda.amazonaws.com"}), "lambda.amazonaws.com", ""),
        (json!({"type": "AWSAccount", "accountId": "222222222222", "principalId": "AROA:z"}), "222222222222", ""),
        (json!({"type": "IdentityCenterUser", "onBehalfOf": {"userId": "u-9"}}), "u-9", ""),
    ];
    for (identity, name, session) in cases {
        check(&one(&json!({ "userIdentity": identity })), &[("principal_name", name), ("session_name", session)]);
    }
}

#[test]
fn issuing_calls_tell_what_they_handed_out() {
    let decoded = one(&json!({"eventName": "AssumeRole", "eventSource": "sts.amazonaws.com",
        "requestParameters": {"roleArn": "arn:aws-cn:iam::1:role/p/ops", "roleSessionName": "x"},
        "responseElements": {"credentials": {"accessKeyId": "ASIA2", "expiration": "Nov 22, 2026 11:00:00 AM"}}}));
    check(
        &decoded,
        &[
            ("issued_access_key_id", "ASIA2"),
            ("issued_principal_arn", "arn:aws-cn:sts::1:assumed-role/ops/x"),
            ("issued_expires_at", "2026-11-22T11:00:00Z"),
            ("resource_ids", "[arn:aws-cn:iam::1:role/p/ops]"),
        ],
    );
    let decoded = one(&json!({"eventName": "AssumeRoleWithWebIdentity", "eventSource": "sts.amazonaws.com",
        "userIdentity": {"type": "WebIdentityUser", "principalId": "p", "userName": "repo:acme/shop:ref:refs/heads/main",
            "identityProvider": "token.actions.githubusercontent.com"},
        "responseElements": {"credentials": {"accessKeyId": "ASIA3", "expiration": "2026-11-22T11:00:00Z"},
            "subjectFromWebIdentityToken": "repo:acme/shop:ref:refs/heads/main",
            "assumedRoleUser": {"arn": "arn:aws:sts::1:assumed-role/ci/run-7", "assumedRoleId": "AROA:run-7"}}}));
    check(
        &decoded,
        &[
            ("federated_subject", "repo:acme/shop:ref:refs/heads/main"),
            ("issued_access_key_id", "ASIA3"),
            ("issued_principal_arn", "arn:aws:sts::1:assumed-role/ci/run-7"),
            ("issued_expires_at", "2026-11-22T11:00:00Z"),
        ],
    );
    let decoded = one(&json!({"eventName": "GetSessionToken", "eventSource": "sts.amazonaws.com",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::1:user/bob", "userName": "bob"},
        "responseElements": {"credentials": {"accessKeyId": "ASIA4"}}}));
    check(&decoded, &[("issued_access_key_id", "ASIA4"), ("issued_principal_arn", "arn:aws:iam::1:user/bob")]);
}

#[test]
fn a_failed_call_handed_out_nothing() {
    let decoded = one(&json!({"eventName": "AssumeRole", "errorCode": "AccessDenied",
        "responseElements": {"credentials": {"accessKeyId": "ASIA2"}}}));
    check(&decoded, &[("outcome", "failure"), ("error_code", "AccessDenied"), ("issued_access_key_id", "")]);
    let decoded = one(&json!({"eventName": "ConsoleLogin", "responseElements": {"ConsoleLogin": "Failure"},
        "additionalEventData": {"MFAUsed": "Yes"}}));
    check(&decoded, &[("outcome", "failure"), ("error_code", ""), ("mfa", "true")]);
}

#[test]
fn real_logs_land_whole() {
    let raw = fixture("cloudtrail/aws.persistence.sts-federation-token.json");
    let decoded = decode(&CloudTrail, &raw);
    assert_eq!((decoded.rows(TABLE), decoded.reasons()), (2, vec![]));
    let names = decoded.column(TABLE, "event_name");
    let issuing = names.iter().position(|name| name == "GetFederationToken").unwrap();
    let calling = names.iter().position(|name| name == "GetCallerIdentity").unwrap();
    assert_eq!(decoded.cell(TABLE, "issued_access_key_id", issuing), "ASIASTJKC5GCM7ZE6LUP");
    assert_eq!(decoded.cell(TABLE, "issued_expires_at", issuing), "2024-11-30T20:43:17Z");
    assert_eq!(
        decoded.cell(TABLE, "issued_principal_arn", issuing),
        "arn:aws:sts::742491224508:federated-user/stratus_red_team"
    );
    assert_eq!(decoded.cell(TABLE, "access_key_id", calling), "ASIASTJKC5GCM7ZE6LUP");
    let text = String::from_utf8(raw).unwrap();
    assert!(decoded.column(TABLE, "raw").iter().all(|raw| text.contains(raw.as_str())));

    let decoded = decode(&CloudTrail, &fixture("cloudtrail/aws.persistence.iam-create-admin-user.json"));
    assert_eq!((decoded.rows(TABLE), decoded.reasons()), (3, vec![]));
    let created = decoded.column(TABLE, "event_name").iter().position(|name| name == "CreateAccessKey").unwrap();
    assert_eq!(decoded.cell(TABLE, "issued_access_key_id", created), "AKIAXAFZN8JEPF6L682H");
    assert_eq!(
        decoded.cell(TABLE, "issued_principal_arn", created),
        "arn:aws:iam::229654561268:user/malicious-iam-user"
    );
}

#[test]
fn every_arrangement_lands_the_same() {
    let (first, second) = (event(&json!({})), event(&json!({"eventID": "e-2"})));
    let wrapped =
        json!({"version": "0", "id": "bridge", "detail-type": "AWS API Call via CloudTrail", "detail": second});
    let arrangements = [
        json!({"Records": [first, second]}).to_string(),
        json!([first, second]).to_string(),
        format!("{first}\n{second}\n"),
        format!("{first:#}{second:#}"),
        format!("{first}\n{wrapped}"),
    ];
    for text in arrangements {
        let decoded = decode(&CloudTrail, text.as_bytes());
        assert_eq!(decoded.column(TABLE, "event_id"), ["e-1", "e-2"], "{text}");
        assert_eq!(decoded.reasons(), []);
    }
}

#[test]
fn what_cannot_be_placed_is_counted_and_the_rest_lands() {
    let text = format!(
        "{{\"Records\":[{},{{\"eventName\":}},7,{},{},{}]}}",
        event(&json!({})),
        event(&json!({"eventTime": "yesterday"})),
        event(&json!({"eventName": null})),
        event(&json!({"eventID": "e-9", "userIdentity": "nobody", "resources": "x", "requestParameters": [1]})),
    );
    let decoded = decode(&CloudTrail, text.as_bytes());
    assert_eq!(decoded.column(TABLE, "event_id"), ["e-1", "e-9"]);
    assert_eq!(
        decoded.reasons(),
        [
            ("a record is not an object", 1),
            ("eventName is missing", 1),
            ("eventTime is not an instant", 1),
            ("not valid JSON", 1),
        ]
    );
}

#[test]
fn an_event_without_an_id_gets_the_same_one_every_time() {
    let text = event(&json!({"eventID": null})).to_string();
    let first = decode(&CloudTrail, text.as_bytes()).cell(TABLE, "event_id", 0);
    assert_eq!(first.len(), "sha256:".len() + 64);
    assert_eq!(decode(&CloudTrail, format!("[{text}]").as_bytes()).cell(TABLE, "event_id", 0), first);
}

#[test]
fn a_trace_header_is_understood() {
    let decoded =
        one(&json!({"additionalEventData": {"x-amzn-trace-id": "Root=1-5759E988-bd862e3fe1be46a994272793;Sampled=1"}}));
    check(&decoded, &[("trace_id", "5759e988bd862e3fe1be46a994272793")]);
    check(&one(&json!({"additionalEventData": {"traceparent": "junk"}})), &[("trace_id", "")]);
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let decoded = decode(&CloudTrail, &bytes);
        prop_assert_eq!(decoded.rows(TABLE), 0);
    }
}
