use proptest::prelude::*;
use serde_json::{Value, json};

use super::Okta;
use crate::ingest::testing::{check, decode, fixture, lines, nothing_is_lost, of_the_shape, one};

const TABLE: &str = "iam_events";

#[test]
fn real_events_land() {
    let decoded = decode(&Okta, &fixture("audit/okta.ndjson"));
    assert_eq!((decoded.rows(TABLE), decoded.reasons()), (4, vec![]));
    assert_eq!(decoded.column(TABLE, "outcome"), ["", "failure", "failure", "success"]);
    check(
        TABLE,
        &decoded,
        1,
        &[
            ("event_id", "AbC-123-XyZ"),
            ("event_time", "2022-06-22T18:18:29.015Z"),
            ("provider", "okta"),
            ("event_name", "user.session.start"),
            ("error_code", "INVALID_CREDENTIALS"),
            ("principal_type", "User"),
            ("principal_id", "00abc123"),
            ("principal_name", "homer.simpson@duff.com"),
            ("session_name", "100-abc-9999"),
            ("request_id", "AbCdEf12G"),
            ("resource_ids", "[0002222AAAA, peter.griffin@company.com]"),
            ("source_ip", "1.3.2.4"),
        ],
    );
    check(
        TABLE,
        &decoded,
        3,
        &[("access_key_id", "00T1bjatrp6Nl1dOc5d7"), ("user_agent", "Go-http-client/2.0"), ("error_code", "")],
    );
}

fn event() -> Value {
    json!({"uuid": "e-1", "published": "2024-08-01T09:00:00.123Z", "eventType": "user.authentication.auth_via_mfa", "outcome": {"result": "SUCCESS"},
        "actor": {"id": "00u", "type": "User", "alternateId": "ann@acme.io"}, "client": {"ipAddress": "192.0.2.1"},
        "authenticationContext": {"authenticationProvider": "FEDERATION", "externalSessionId": "unknown"}, "target": null})
}

#[test]
fn second_factors_and_federation_are_told() {
    check(
        TABLE,
        &one(&Okta, TABLE, &event()),
        0,
        &[("mfa", "true"), ("federated_subject", "ann@acme.io"), ("session_name", ""), ("resource_ids", "")],
    );
    let mut challenged = event();
    challenged["outcome"]["result"] = "CHALLENGE".into();
    check(TABLE, &one(&Okta, TABLE, &challenged), 0, &[("mfa", ""), ("outcome", ""), ("error_code", "")]);
}

#[test]
fn streams_and_hooks_are_opened() {
    let stream = json!({"detail-type": "SystemLog", "detail": event()});
    check(TABLE, &one(&Okta, TABLE, &stream), 0, &[("event_id", "e-1"), ("raw", &stream.to_string())]);
    let hook = json!({"eventType": "com.okta.event_hook", "data": {"events": [event(), {"uuid": "e-2"}, event()]}});
    let decoded = decode(&Okta, hook.to_string().as_bytes());
    assert_eq!((decoded.rows(TABLE), decoded.reasons()), (2, vec![("eventType is missing", 1)]));
}

#[test]
fn what_cannot_be_placed_is_counted() {
    let text = format!("{}\n{}\n[7]", json!({"eventType": "x"}), json!({"eventType": "x", "published": "redacted"}));
    assert_eq!(
        decode(&Okta, text.as_bytes()).reasons(),
        [("a record is not an object", 1), ("published is missing", 1), ("published is not an instant", 1)]
    );
}

proptest! {
    #[test]
    fn nothing_is_lost_of_what_has_the_shape(records in of_the_shape([lines("audit/okta.ndjson"), vec![event()]].concat())) {
        nothing_is_lost(&Okta, TABLE, &records);
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(decode(&Okta, &bytes).rows(TABLE), 0);
    }
}
