use proptest::prelude::*;
use serde_json::{Value, json};

use super::OpenLineage;
use crate::ingest::testing::{decode, nothing_is_lost, of_the_shape};

const TABLE: &str = "lineage_runs";

fn event() -> Value {
    json!({
        "eventType": "COMPLETE", "eventTime": "2024-08-01T09:00:00.123+02:00", "producer": "https://example.com", "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json",
        "run": {"runId": "01890a5d", "facets": {"parent": {"run": {"runId": "parent-1"}, "job": {"namespace": "airflow", "name": "daily"}}}},
        "job": {"namespace": "airflow", "name": "daily.orders"},
        "inputs": [{"namespace": "s3://raw/", "name": "/orders"}, {"namespace": "postgres://db", "name": "shop.public.users"}],
        "outputs": [{"namespace": "s3://marts", "name": "orders", "facets": {"columnLineage": {"fields": {"total": {"inputFields": []}}}}}],
    })
}

#[test]
fn a_run_event_is_a_row() {
    let decoded = decode(&OpenLineage, event().to_string().as_bytes());
    assert_eq!((decoded.rows(TABLE), decoded.reasons()), (1, vec![]));
    let expected = [
        ("run_id", "01890a5d"),
        ("job", "airflow/daily.orders"),
        ("event_type", "COMPLETE"),
        ("event_time", "2024-08-01T07:00:00.123Z"),
        ("inputs", "[s3://raw/orders, postgres://db/shop.public.users]"),
        ("outputs", "[s3://marts/orders]"),
        ("parent_run_id", "parent-1"),
        ("column_lineage", r#"{"s3://marts/orders":{"total":{"inputFields":[]}}}"#),
        ("date", "2024-08-01"),
        ("source", "openlineage"),
    ];
    for (column, value) in expected {
        assert_eq!(decoded.cell(TABLE, column, 0), value, "{column}");
    }
}

#[test]
fn the_rest_is_counted_by_reason() {
    let with = |name: &str, value: Value| {
        let mut event = event();
        event[name] = value;
        event
    };
    let events = json!([
        with("inputs", json!([])),
        with("eventType", json!("DONE")),
        with("eventTime", json!(7)),
        with("job", json!({})),
        with("run", json!({})),
        {"eventTime": "2024-08-01T09:00:00Z", "dataset": {"name": "x"}},
        [7],
    ]);
    let decoded = decode(&OpenLineage, events.to_string().as_bytes());
    assert_eq!(decoded.column(TABLE, "inputs"), [""]);
    assert_eq!(
        decoded.reasons(),
        [
            ("a record is not an object", 1),
            ("event not used: it is about no run", 1),
            ("eventTime is not an instant", 1),
            ("eventType is not known", 1),
            ("job.name is missing", 1),
            ("run.runId is missing", 1),
        ]
    );
}

proptest! {
    #[test]
    fn nothing_is_lost_of_what_has_the_shape(records in of_the_shape(vec![event()])) {
        nothing_is_lost(&OpenLineage, "lineage_runs", &records);
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(decode(&OpenLineage, &bytes).rows("lineage_runs"), 0);
    }
}
