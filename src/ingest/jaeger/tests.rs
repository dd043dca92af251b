//! Exact values, broken documents, real files.

use proptest::prelude::*;

use super::Jaeger;
use crate::ingest::telemetry::testing::{decode, decode_bytes, decode_file, files, shared_data};

const EXPORT: &str = r#"{"data":[{"traceID":"a1","spans":[
  {"traceID":"a1","spanID":"2","operationName":"call","references":[
     {"refType":"FOLLOWS_FROM","traceID":"a1","spanID":"9"},{"refType":"CHILD_OF","traceID":"a1","spanID":"1"},
     {"refType":"CHILD_OF","traceID":"5aab74dbb904746bb33447baae403ed6","spanID":"7"}],
   "startTime":1655765638003323,"duration":14656,"processID":"p1","warnings":["late"],
   "tags":[{"key":"span.kind","type":"string","value":"client"},{"key":"error","type":"bool","value":true},
     {"key":"http.status_code","type":"int64","value":503},{"key":"peer.service","value":"db"},
     {"key":"sampler.param","type":"float64","value":0.3},{"key":"w3c.tracestate","value":"ot=th:8"},
     {"key":"otel.scope.name","value":"lib"},{"key":"otel.status_description","value":"boom"}],
   "logs":[{"timestamp":1655765638003400,"fields":[{"key":"event","value":"error"},{"key":"error.kind","value":"Timeout"},
     {"key":"n","value":1}]}]},
  {"traceID":"a1","spanID":"3","operationName":"async","references":[{"refType":"FOLLOWS_FROM","traceID":"a1","spanID":"2"}],
   "startTime":"1655765638003323","duration":-5,"processID":"nobody","tags":null,"logs":null}],
 "processes":{"p1":{"serviceName":"search","tags":[{"key":"service.version","value":"1.0"},{"key":"hostname","value":"h"}]}}}],
 "total":0,"errors":null}"#;

#[test]
fn every_column_is_filled() {
    let landed = decode_bytes(&Jaeger, EXPORT.as_bytes());
    assert_eq!(landed.rejections(), 0);
    let expected = [
        ("trace_id", "00000000000000a1"),
        ("span_id", "0000000000000002"),
        ("parent_span_id", "0000000000000001"),
        ("trace_state", "ot=th:8"),
        ("adjusted_count", "2"),
        ("span_name", "call"),
        ("span_kind", "CLIENT"),
        ("status_code", "ERROR"),
        ("status_message", "boom"),
        ("start_time", "1655765638003323"),
        ("start_unix_nano", "1655765638003323000"),
        ("duration_nano", "14656000"),
        ("service_name", "search"),
        ("service_version", "1.0"),
        ("peer_service", "db"),
        ("http_response_status_code", "503"),
        ("error_type", "Timeout"),
        ("scope_name", "lib"),
        ("resource_attributes", "hostname=h"),
        ("attributes", "sampler.param=0.3|jaeger.warnings=[\"late\"]"),
        ("events", "[{time_unix_nano: 1655765638003400000, name: error, attributes: {error.kind: Timeout, n: 1}}]"),
        (
            "links",
            "[{trace_id: 00000000000000a1, span_id: 0000000000000009, attributes: {opentracing.ref_type: follows_from}}, \
             {trace_id: 5aab74dbb904746bb33447baae403ed6, span_id: 0000000000000007, attributes: {opentracing.ref_type: child_of}}]",
        ),
    ];
    for (column, value) in expected {
        assert_eq!(landed.cell("spans", column, 0).as_deref(), Some(value), "{column}");
    }
    let expected = [
        ("parent_span_id", Some("0000000000000002")),
        ("span_kind", Some("UNSPECIFIED")),
        ("status_code", Some("UNSET")),
        ("duration_nano", Some("-5000")),
        ("service_name", None),
        ("attributes", Some("opentracing.ref_type=follows_from")),
        ("links", Some("[]")),
    ];
    for (column, value) in expected {
        assert_eq!(landed.cell("spans", column, 1).as_deref(), value, "{column}");
    }
}

#[test]
fn traces_and_spans_may_stand_alone_or_in_lists() {
    let span = r#"{"traceID":"a1","spanID":"2","startTime":1655765638003323,"process":{"serviceName":"s"}}"#;
    let trace = format!(r#"{{"traceID":"a1","spans":[{span},{}],"processes":{{}}}}"#, span.replace("\"a1\"", "null"));
    for (text, rows) in [
        (format!("{span}\n{span}"), 2),
        (trace.clone(), 2),
        (format!("[{trace},{span}]"), 3),
        (format!("{{\"data\":[{trace}]}}\n{{\"data\":{trace}}}"), 4),
        (format!("{span}\n{}\n{span}", &span[..40]), 2),
    ] {
        let landed = decode_bytes(&Jaeger, text.as_bytes());
        assert_eq!(landed.rows("spans"), rows, "{text}");
        assert_eq!(landed.cell("spans", "service_name", rows - 1).as_deref(), Some("s"));
        assert_eq!(landed.cell("spans", "trace_id", rows - 1).as_deref(), Some("00000000000000a1"));
        assert_eq!(landed.cell("spans", "duration_nano", 0), None);
    }
}

#[test]
fn a_malformed_span_rejects_itself_alone() {
    let good = r#"{"traceID":"a1","spanID":"2","startTime":1655765638003323,"duration":1}"#;
    let cases = [
        (good.replace("\"a1\"", "\"\"").as_str(), "span without a trace id"),
        (&good.replace("\"2\"", "\"0\""), "span without a span id"),
        (&good.replace("\"2\"", "\"12345678901234567\""), "span without a span id"),
        (&good.replace("1655765638003323", "null"), "span without a start time"),
        (&good.replace("1655765638003323", "\"soon\""), "span whose start time is not a number"),
        (&good.replace("1655765638003323", "-1"), "span that starts before 1970 or after 2199"),
        (&good.replace("1655765638003323", "9223372036854775807"), "span that starts before 1970 or after 2199"),
        (&good.replace(":1}", ":9223372036854775}"), "span that ends after 2199"),
        (&good.replace(":1}", ":1,\"tags\":5}"), "malformed span"),
    ]
    .map(|(text, reason)| (text.to_owned(), reason));
    for (bad, reason) in cases {
        let text = format!(r#"{{"data":[{{"spans":[{good},{bad},{good}]}}]}}"#);
        let landed = decode_bytes(&Jaeger, text.as_bytes());
        assert_eq!(landed.rows("spans"), 2, "{bad}");
        assert_eq!(landed.rejected.keys().collect::<Vec<_>>(), [reason], "{bad}");
    }
    assert_eq!(decode_bytes(&Jaeger, b"{\"a\":1}\nnonsense\n").rejections(), 2);
}

#[test]
fn ids_that_are_not_hex_are_replaced_everywhere_alike() {
    let text = r#"{"spans":[{"traceID":"A","spanID":"G","startTime":0},
        {"traceID":"A","spanID":"B","startTime":1,"references":[{"refType":"CHILD_OF","traceID":"A","spanID":"G"}]}]}"#;
    let landed = decode_bytes(&Jaeger, text.as_bytes());
    assert_eq!(landed.rejections(), 0);
    let id = landed.cell("spans", "span_id", 0).unwrap();
    assert_eq!(id.len(), 16);
    assert_eq!(landed.cell("spans", "parent_span_id", 1), Some(id));
    assert_eq!(landed.cell("spans", "attributes", 0).as_deref(), Some("jaeger.span_id=G"));
    assert_eq!(landed.cell("spans", "start_unix_nano", 0).as_deref(), Some("0"));
}

#[test]
fn death_star_bench_and_crisp_land_completely() {
    let Some(folder) = shared_data("traces") else { return };
    for (subfolder, suffix) in [("jaeger", ".jsonl.gz"), ("crisp", ".json")] {
        let (mut rows, mut expected) = (0, 0);
        for path in files(&folder.join(subfolder), suffix) {
            let landed = decode_file(&Jaeger, &path);
            assert_eq!(landed.rejections(), 0, "{}: {:?}", path.display(), landed.rejected);
            rows += landed.rows("spans");
            let mut text = String::new();
            let file = std::fs::File::open(&path).unwrap();
            let mut reader: Box<dyn std::io::Read> =
                if suffix.ends_with("gz") { Box::new(flate2::read::MultiGzDecoder::new(file)) } else { Box::new(file) };
            std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
            expected += text.matches("\"startTime\":").count();
        }
        eprintln!("{subfolder}: {rows} rows");
        assert!(rows > 100);
        assert_eq!(rows, expected, "{subfolder}");
    }
}

proptest! {
    #[test]
    fn arbitrary_and_damaged_documents_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(), byte in any::<u8>(), truncate in any::<bool>(),
    ) {
        decode(&Jaeger, &mut bytes.as_slice()).unwrap();
        let mut damaged = EXPORT.as_bytes().to_vec();
        let at = at.index(damaged.len());
        if truncate { damaged.truncate(at) } else { damaged[at] = byte }
        decode(&Jaeger, &mut damaged.as_slice()).unwrap();
    }

    #[test]
    fn spans_land_with_the_times_and_ids_that_they_have(
        spans in proptest::collection::vec((1_u64.., 1_u64.., 0_i64..7_000_000_000_000_000, 0_i64..1_000_000_000), 1..6),
    ) {
        let json: Vec<_> = spans.iter().map(|(trace, span, start, duration)| serde_json::json!({
            "traceID": format!("{trace:x}"), "spanID": format!("{span:x}"), "startTime": start, "duration": duration,
        })).collect();
        let landed = decode_bytes(&Jaeger, serde_json::json!({ "data": [{ "spans": json }] }).to_string().as_bytes());
        prop_assert_eq!(landed.rejections(), 0);
        for (row, (trace, span, start, duration)) in spans.iter().enumerate() {
            prop_assert_eq!(landed.cell("spans", "trace_id", row), Some(format!("{trace:016x}")));
            prop_assert_eq!(landed.cell("spans", "span_id", row), Some(format!("{span:016x}")));
            prop_assert_eq!(landed.cell("spans", "start_unix_nano", row), Some((start * 1_000).to_string()));
            prop_assert_eq!(landed.cell("spans", "duration_nano", row), Some((duration * 1_000).to_string()));
        }
    }
}
