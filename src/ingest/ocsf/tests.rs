use std::sync::Arc;

use datafusion::arrow::json::ReaderBuilder;
use datafusion::arrow::json::reader::infer_json_schema_from_iterator;
use datafusion::parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Ocsf;
use crate::ingest::Options;
use crate::ingest::testing::{check, decode, nothing_is_lost, of_the_shape, one, try_decode};

const TABLE: &str = "iam_events";

fn api_activity() -> Value {
    json!({
        "class_uid": 6003, "category_uid": 6, "activity_id": 2, "activity_name": "Read", "time": 1_722_502_800_123_i64, "status_id": 1,
        "metadata": {"uid": "e-1", "product": {"name": "CloudTrail", "vendor_name": "AWS"}, "version": "1.1.0"},
        "api": {"operation": "GetObject", "service": {"name": "s3.amazonaws.com"}, "request": {"uid": "r-1"}},
        "actor": {"user": {"type": "AssumedRole", "uid": "arn:aws:sts::1:assumed-role/ci/run-7", "uid_alt": "AROA:run-7", "name": "ci",
                "credential_uid": "ASIA1", "account": {"uid": "1"}},
            "session": {"issuer": "arn:aws:iam::1:role/ci", "created_time": 1_722_500_000_000_i64, "is_mfa": false}},
        "cloud": {"provider": "AWS", "region": "eu-west-1"}, "src_endpoint": {"ip": "192.0.2.1"}, "http_request": {"user_agent": "cli"},
        "resources": [{"uid": "arn:aws:s3:::b/k"}], "unmapped": {"sharedEventID": "s-1"},
    })
}

fn assume_role() -> Value {
    let mut event = api_activity();
    event["class_uid"] = 3002.into();
    event["activity_id"] = 1.into();
    event["api"] = json!({"operation": "AssumeRole", "service": {"name": "sts.amazonaws.com"}, "response": {"data": {
        "credentials": {"accessKeyId": "ASIA2", "expiration": "2024-08-01T10:00:00Z"}, "assumedRoleUser": {"arn": "arn:aws:sts::1:assumed-role/x/y"}}}});
    event
}

fn sign_on() -> Value {
    json!({"class_uid": 3002, "activity_id": 1, "activity_name": "Logon", "time": 1_722_502_800_000_i64, "status": "Failure", "status_detail": "bad password",
        "metadata": {"product": {"vendor_name": "Okta", "name": "Okta System Log"}}, "user": {"name": "ann", "uid": "00u"},
        "is_mfa": true, "auth_protocol": "SAML", "service": {"name": "Salesforce"}})
}

/// Events as a Parquet file with nested columns, as a data lake keeps them.
fn as_parquet(events: &[Value]) -> Vec<u8> {
    let schema = infer_json_schema_from_iterator(events.iter().cloned().map(Ok)).unwrap();
    let mut reader = ReaderBuilder::new(Arc::new(schema.clone())).build_decoder().unwrap();
    reader.serialize(events).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::new(schema), None).unwrap();
    writer.write(&reader.flush().unwrap().unwrap()).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn a_parquet_file_lands_as_its_events_do() {
    let (call, mut session) = (api_activity(), assume_role());
    let answer = session["api"]["response"]["data"].take();
    session["api"]["response"]["data"] = answer.to_string().into();
    session["metadata"]["uid"] = "e-2".into();
    let other = json!({"class_uid": 4001, "time": 1_722_502_800_000_i64});
    let events = [call, session, other];
    let decoded = decode(&Ocsf, &as_parquet(&events));
    assert_eq!(decoded.reasons(), [("event class not used", 1)]);
    let lines = events.iter().map(|event| format!("{event}\n")).collect::<String>();
    let expected = decode(&Ocsf, lines.as_bytes());
    assert_eq!((decoded.rows(TABLE), expected.rows(TABLE)), (2, 2));
    let schema = expected.batches[TABLE][0].schema();
    for name in schema.fields().iter().map(|field| field.name()).filter(|name| *name != "raw") {
        assert_eq!(decoded.column(TABLE, name), expected.column(TABLE, name), "{name}");
    }
    assert_eq!(decoded.column(TABLE, "issued_access_key_id"), ["", "ASIA2"]);
    assert_eq!(decoded.column(TABLE, "session_created_at"), ["2024-08-01T08:13:20Z"; 2]);
    let raw: Vec<Value> = decoded.column(TABLE, "raw").iter().map(|raw| serde_json::from_str(raw).unwrap()).collect();
    assert_eq!(raw[..], events[..2]);
}

#[test]
fn a_damaged_parquet_file_is_refused() {
    let mut file = as_parquet(&[api_activity()]);
    file.truncate(file.len() / 2);
    let error = try_decode(&Ocsf, &file, &Options::default()).unwrap_err();
    assert_eq!(
        (error.sqlstate(), error.to_string().lines().next()),
        ("22023", Some("the file cannot be read as Parquet"))
    );
}

#[test]
fn an_api_call_is_told_in_full() {
    check(
        TABLE,
        &one(&Ocsf, TABLE, &api_activity()),
        0,
        &[
            ("event_id", "e-1"),
            ("event_time", "2024-08-01T09:00:00.123Z"),
            ("provider", "aws"),
            ("event_source", "s3.amazonaws.com"),
            ("event_name", "GetObject"),
            ("outcome", "success"),
            ("principal_type", "AssumedRole"),
            ("principal_arn", "arn:aws:sts::1:assumed-role/ci/run-7"),
            ("principal_id", "AROA:run-7"),
            ("principal_name", "ci"),
            ("account_id", "1"),
            ("access_key_id", "ASIA1"),
            ("session_issuer_arn", "arn:aws:iam::1:role/ci"),
            ("session_name", "run-7"),
            ("session_created_at", "2024-08-01T08:13:20Z"),
            ("mfa", "false"),
            ("shared_event_id", "s-1"),
            ("request_id", "r-1"),
            ("resource_ids", "[arn:aws:s3:::b/k]"),
            ("source_ip", "192.0.2.1"),
            ("region", "eu-west-1"),
            ("read_only", "true"),
        ],
    );
}

#[test]
fn authentication_and_what_it_hands_out() {
    check(
        TABLE,
        &one(&Ocsf, TABLE, &assume_role()),
        0,
        &[
            ("issued_access_key_id", "ASIA2"),
            ("issued_principal_arn", "arn:aws:sts::1:assumed-role/x/y"),
            ("issued_expires_at", "2024-08-01T10:00:00Z"),
            ("read_only", ""),
        ],
    );
    check(
        TABLE,
        &one(&Ocsf, TABLE, &sign_on()),
        0,
        &[
            ("provider", "okta"),
            ("event_name", "Logon"),
            ("outcome", "failure"),
            ("error_code", "bad password"),
            ("principal_name", "ann"),
            ("federated_subject", "ann"),
            ("mfa", "true"),
            ("resource_ids", "[Salesforce]"),
        ],
    );
    let changed = json!({"class_uid": 3001, "activity_id": 2, "activity_name": "Enable", "time_dt": "2024-08-01T09:00:00Z",
        "user": {"uid": "u-9", "name": "bob"}, "actor": {"user": {"name": "root"}}, "cloud": {"provider": "GCP"}});
    check(
        TABLE,
        &one(&Ocsf, TABLE, &changed),
        0,
        &[("provider", "gcp"), ("principal_name", "root"), ("resource_ids", "[u-9, bob]"), ("read_only", "false")],
    );
}

#[test]
fn other_classes_are_passed_over_and_the_rest_is_counted() {
    let text = [
        json!({"class_uid": 4001, "time": 1}),
        json!({"class_uid": 6003}),
        json!({"class_uid": 6003, "time": "soon"}),
        json!({"class_uid": 3002, "time": 1}),
        json!({}),
    ]
    .map(|event| event.to_string())
    .join("\n");
    assert_eq!(
        decode(&Ocsf, text.as_bytes()).reasons(),
        [
            ("api.operation is missing", 1),
            ("class_uid is missing", 1),
            ("event class not used", 1),
            ("time is missing", 1),
            ("time is not an instant", 1),
        ]
    );
    assert!(decode(&Ocsf, text.as_bytes()).rejected["event class not used"].unused);
}

proptest! {
    #[test]
    fn nothing_is_lost_of_what_has_the_shape(records in of_the_shape(vec![api_activity(), assume_role(), sign_on()])) {
        nothing_is_lost(&Ocsf, TABLE, &records);
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(decode(&Ocsf, &bytes).rows(TABLE), 0);
    }
}
