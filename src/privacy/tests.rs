use datafusion::arrow::array::{Array, AsArray, RecordBatch};

use super::*;
use crate::model::RowBuilder;
use crate::model::identity::{IAM_EVENTS, IamEventBuilder, IamEventRow};
use crate::model::ownership::OWNERSHIP;
use crate::model::system::{AUDIT, INGESTS, IngestBuilder, IngestRow};
use crate::model::telemetry::{LOGS, SPANS, SpanBuilder, SpanRow};
use crate::model::{SpanEvent, cell::MICROS_PER_DAY};

const KEYS: &str = "keys:\n- {id: 7, from: 2026-07-01, key: another key of some length}\n- {id: 3, key: a key of sixteen bytes or more}\n";

/// 2026-06-30.
const JUNE: i64 = 20_634 * MICROS_PER_DAY;

fn spans(times: &[i64]) -> RecordBatch {
    let mut builder = SpanBuilder::default();
    for time in times {
        builder.append(&SpanRow {
            trace_id: Some("0af7651916cd43dd8448eb211c80319c".into()),
            start_time: Some(*time),
            user_id: Some("ada@example.com".into()),
            tenant_id: Some("acme".into()),
            attributes: vec![
                ("http.request.header.cookie".into(), "c=1".into()),
                ("http.request.header.accept".into(), "*/*".into()),
                ("app.email".into(), "ada@example.com".into()),
            ],
            events: vec![SpanEvent {
                time_unix_nano: 1,
                name: "login".into(),
                attributes: vec![("user".into(), "ada".into()), ("k".into(), "v".into())],
            }],
            ..SpanRow::default()
        });
    }
    builder.finish("otlp", JUNE)
}

fn text(batch: &RecordBatch, column: &str, row: usize) -> Option<String> {
    let column = batch.column_by_name(column).unwrap().as_string::<i32>();
    column.is_valid(row).then(|| column.value(row).to_owned())
}

fn attributes(batch: &RecordBatch, row: usize) -> Vec<(String, String)> {
    let map = batch.column_by_name("attributes").unwrap().as_map().value(row);
    let (keys, values) = (map.column(0).as_string::<i32>(), map.column(1).as_string::<i32>());
    keys.iter().zip(values.iter()).map(|(key, value)| (key.unwrap().to_owned(), value.unwrap().to_owned())).collect()
}

#[test]
fn the_first_rule_that_fits_decides() {
    let rules = Rules::parse(
        "rules:\n- {table: spans, column: attributes.http.request.header.accept, action: keep}\n\
         - {table: spans, column: attributes.http.*, action: drop}\n\
         - {table: spans, column: attributes.enduser.id, action: pseudonym}\n\
         - {table: spans, column: attributes.app.email, action: pseudonym}\n\
         - {table: spans, column: events.user, action: drop}\n- {table: spans, column: tenant_id, action: drop}\n",
    )
    .unwrap();
    let own = rules.of(&SPANS);
    assert!(own.needs_keys() && rules.of(&LOGS).is_empty());
    let keys = Keys::parse(KEYS).unwrap();
    assert_eq!(keys.describe(), "3, 7 from 2026-07-01");
    let batch = spans(&[JUNE, JUNE + MICROS_PER_DAY]);
    let passed = own.apply(batch.clone(), Some(&keys)).unwrap();
    assert_eq!(passed.schema(), batch.schema());
    let pseudonyms: Vec<String> = (0..2).map(|row| text(&passed, "user_id", row).unwrap()).collect();
    assert!(pseudonyms[0].starts_with("p3_") && pseudonyms[1].starts_with("p7_"), "{pseudonyms:?}");
    assert_eq!(keys.all("ada@example.com").collect::<Vec<_>>(), pseudonyms);
    let expected = [("http.request.header.accept", "*/*"), ("app.email", pseudonyms[0].as_str())];
    assert_eq!(attributes(&passed, 0), expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    assert_eq!(text(&passed, "tenant_id", 0), None);
    let events = passed.column_by_name("events").unwrap().as_list::<i32>().value(0);
    let events = format!("{:?}", events.as_struct().column(2));
    assert!(events.contains("\"k\"") && !events.contains("ada"), "{events}");
    assert_eq!(
        events.as_str(),
        format!("{:?}", {
            let again = own.apply(passed.clone(), Some(&keys)).unwrap();
            assert_eq!(again, passed, "a pseudonym stays what it is");
            again.column_by_name("events").unwrap().as_list::<i32>().value(0).as_struct().column(2).clone()
        })
    );
    let refused = own.apply(batch, None).unwrap_err();
    assert!(refused.to_string().contains("there is no key"), "{refused}");
}

#[test]
fn the_event_as_delivered_goes_with_what_is_hidden_of_it() {
    let mut builder = IamEventBuilder::default();
    builder.append(&IamEventRow {
        event_time: Some(JUNE),
        source_ip: Some("192.0.2.7".into()),
        resource_ids: Some(vec!["arn:aws:iam::1:user/ada".into()]),
        raw: Some("{\"ip\":\"192.0.2.7\"}".into()),
        ..IamEventRow::default()
    });
    let batch = builder.finish("cloudtrail", JUNE);
    let hides = "{table: iam_events, column: source_ip, action: drop}";
    let apply = |rules: &str| Rules::parse(rules).unwrap().of(&IAM_EVENTS).apply(batch.clone(), None).unwrap();
    let passed = apply(&format!("rules: [{hides}]"));
    assert_eq!((text(&passed, "source_ip", 0), text(&passed, "raw", 0)), (None, None));
    let passed = apply(&format!("rules: [{hides}, {{table: iam_events, column: raw, action: keep}}]"));
    assert!(text(&passed, "source_ip", 0).is_none() && text(&passed, "raw", 0).is_some());
    assert_eq!(apply("rules: []"), batch);
    let keys = Keys::parse(KEYS).unwrap();
    let rules = Rules::parse("rules: [{table: iam_events, column: resource_ids, action: pseudonym}]").unwrap();
    let passed = rules.of(&IAM_EVENTS).apply(batch, Some(&keys)).unwrap();
    let ids = passed.column_by_name("resource_ids").unwrap().as_list::<i32>().value(0);
    assert!(ids.as_string::<i32>().value(0).starts_with("p3_"), "{ids:?}");
}

#[test]
fn samples_of_rejected_records_are_not_kept_where_there_are_rules() {
    let mut builder = IngestBuilder::default();
    let rejections = r#"[{"reason":"no time","count":2,"sample":"{\"user\":\"ada\"}"}]"#;
    builder.append(&IngestRow { rejections: Some(rejections.into()), ..IngestRow::default() });
    let batch = builder.finish("csv", JUNE);
    assert!(Rules::default().of(&INGESTS).is_empty());
    let rules = Rules::parse("rules: [{table: spans, column: user_id, action: drop}]").unwrap();
    let passed = rules.of(&INGESTS).apply(batch, None).unwrap();
    let found: serde_json::Value = serde_json::from_str(&text(&passed, "rejections", 0).unwrap()).unwrap();
    assert_eq!(found, serde_json::json!([{"reason": "no time", "count": 2, "sample": ""}]));
}

#[test]
fn rules_that_make_no_sense_are_errors() {
    let told = |rules: &str| Rules::parse(rules).unwrap_err().to_string();
    for (rule, says) in [
        ("{table: span, column: user_id, action: drop}", "there is no table span"),
        ("{table: spans, column: userid, action: drop}", "spans has no column userid"),
        ("{table: spans, column: span_name.x, action: drop}", "spans has no map span_name"),
        ("{table: spans, column: trace_id, action: drop}", "spans.trace_id cannot be dropped"),
        ("{table: spans, column: start_time, action: drop}", "spans.start_time cannot be dropped"),
        ("{table: spans, column: date, action: drop}", "spans.date cannot be dropped"),
        ("{table: spans, column: ingested_at, action: drop}", "spans.ingested_at cannot be dropped"),
        ("{table: ownership, column: owner, action: drop}", "ownership.owner cannot be dropped"),
        ("{table: spans, column: duration_nano, action: pseudonym}", "spans.duration_nano cannot be a pseudonym"),
        ("{table: spans, column: trace_id, action: pseudonym}", "spans.trace_id cannot be a pseudonym"),
        ("{table: audit, column: role, action: drop}", "audit is written by the server"),
        ("{table: spans, column: user_id, action: hash}", "unknown variant"),
        ("{table: spans, column: user_id, action: drop, where: x}", "unknown field"),
    ] {
        let found = told(&format!("rules: [{rule}]"));
        assert!(found.starts_with("privacy.yaml: ") && found.contains(says), "{rule}: {found}");
    }
    assert!(told("rule: []").contains("unknown field"));
    assert!(Rules::parse("rules: [{table: logs, column: body, action: drop}]").is_ok());
    assert!(Rules::parse("rules: [{table: ownership, column: owner, action: pseudonym}]").is_ok());
}

#[test]
fn keys_are_never_shown() {
    let told = |keys: &str| Keys::parse(keys).unwrap_err().to_string();
    for (keys, says) in [
        ("a secret that is no document", "no such document"),
        ("keys: [{id: a secret, key: a secret of some length}]", "line 1"),
        ("keys: []", "there is none"),
        ("keys: [{id: 1, key: a secret}]", "key 1 has less than 16 bytes"),
        ("keys: [{id: 1, from: a secret, key: a secret of some length}]", "from is no date"),
        (
            "keys: [{id: 1, key: a secret of some length}, {id: 1, from: 2026-01-01, key: a secret of some length}]",
            "id 1",
        ),
        ("keys: [{id: 1, key: a secret of some length}, {id: 2, key: a secret of some length}]", "begin at the same"),
    ] {
        let found = told(keys);
        assert!(!found.contains("a secret"), "{found}");
        assert!(found.contains(says) || says == "no such document", "{keys}: {found}");
    }
    let keys = Keys::parse(KEYS).unwrap();
    assert!(!format!("{keys:?} {}", keys.describe()).contains("some length"));
    // The oldest key counts before its own beginning, too.
    let late = Keys::parse("keys: [{id: 9, from: 2026-07-01, key: another key of some length}]").unwrap();
    assert!(late.pseudonym("ada", 0).starts_with("p9_"));
}

#[test]
fn a_person_is_found_where_the_identifier_stands_by_itself() {
    let keys = Keys::parse(KEYS).unwrap();
    let ada = Person::new("Ada@example.com", Some(&keys)).unwrap();
    assert!(ada.is_unmistakable());
    let pseudonym = keys.pseudonym("ada@example.com", JUNE);
    for text in [
        "ada@example.com",
        "mailto:ADA@example.com?subject=x",
        "sent by ada@example.com.",
        "{\"user\":\"ada@example.com\"}",
        "a\\nada@example.com",
        "?user=ada%40example.com&x=1",
        "(ada@example.com)",
        &pseudonym,
        &format!("a {pseudonym}!"),
    ] {
        assert!(ada.is_in(text), "{text}");
    }
    for text in ["canada@example.com", "not-ada@example.com", "ada@example.com.evil.test", "ada", "x.ada@example.com"] {
        assert!(!ada.is_in(text), "{text}");
    }
    assert_eq!(ada.judge(&SPANS, "span_name", None, "mail ada@example.com"), Fate::Goes);
    let replaced = Fate::Becomes("SELECT 'forgotten', 'forgotten'".to_owned());
    assert_eq!(ada.judge(&AUDIT, "statement", None, "SELECT 'ada@example.com', 'ADA@example.com'"), replaced);
    assert_eq!(ada.judge(&OWNERSHIP, "owner", None, "ada@example.com"), Fate::Becomes(FORGOTTEN.to_owned()));
    assert_eq!(ada.judge(&SPANS, "attributes", Some("x.ada@example.com"), "1"), Fate::Stays);
    assert_eq!(ada.judge(&SPANS, "attributes", Some("count ada@example.com"), "1"), Fate::Goes);
    for nobody in ["", " ", "forgotten"] {
        assert!(Person::new(nobody, None).is_err());
    }
}

#[test]
fn a_short_identifier_counts_where_persons_are_named_only() {
    let keys = Keys::parse(KEYS).unwrap();
    let person = Person::new("1042", Some(&keys)).unwrap();
    assert!(!person.is_unmistakable());
    let goes = |column: &str, key: Option<&str>, text: &str| person.judge(&SPANS, column, key, text) == Fate::Goes;
    assert!(goes("user_id", None, "1042"));
    assert!(!goes("user_id", None, "11042"));
    assert!(!goes("span_name", None, "GET /orders/1042"));
    assert!(!goes("tenant_id", None, "1042"));
    for key in ["enduser.id", "app.customer-email", "createdBy", "user_id", "userId"] {
        assert!(goes("attributes", Some(key), "1042"), "{key}");
    }
    for key in ["http.response.size", "retry.count", "causer", "submit.count"] {
        assert!(!goes("attributes", Some(key), "1042"), "{key}");
    }
    let ada = Person::new("ada", None).unwrap();
    let arn = "arn:aws:sts::1:assumed-role/dev/ada";
    assert_eq!(ada.judge(&IAM_EVENTS, "principal_arn", None, arn), Fate::Goes);
    assert_eq!(ada.judge(&IAM_EVENTS, "principal_arn", None, &arn.replace("ada", "ada-lovelace")), Fate::Stays);
    assert_eq!(ada.judge(&IAM_EVENTS, "event_id", None, "ada"), Fate::Stays);
    // A pseudonym means one person wherever it stands.
    assert!(goes("span_name", None, &keys.pseudonym("1042", JUNE)));
}
