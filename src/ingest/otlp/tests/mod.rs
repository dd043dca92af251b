//! Exact values of decoded requests, broken requests, real files.

use std::collections::BTreeMap;

use std::path::Path;

use super::*;
use crate::ingest::telemetry::testing::{Landed, collect, decode, decode_bytes, decode_file, files, shared_data};

mod round_trip;

fn span_json(members: &str) -> String {
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[]}},"scopeSpans":[{{"spans":[{{
        "traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174",
        "startTimeUnixNano":"1544712660000000001","endTimeUnixNano":"1544712661000000000"{members}}}]}}]}}]}}"#
    )
}

fn span_of(members: &str) -> Landed {
    let landed = decode_bytes(&Otlp, span_json(members).as_bytes());
    assert_eq!(landed.rejected, BTreeMap::new());
    assert_eq!(landed.rows("spans"), 1);
    landed
}

#[test]
fn every_column_of_a_span_is_filled() {
    let request = r#"{"resourceSpans":[{"resource":{"attributes":[
        {"key":"service.name","value":{"stringValue":"checkout"}},
        {"key":"service.namespace","value":{"stringValue":"shop"}},
        {"key":"service.version","value":{"stringValue":"1.2.3"}},
        {"key":"service.instance.id","value":{"stringValue":"pod-1"}},
        {"key":"deployment.environment","value":{"stringValue":"prod"}},
        {"key":"host.name","value":{"stringValue":"h"}}]},
      "scopeSpans":[{"scope":{"name":"lib","version":"2"},"spans":[{
        "traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","parentSpanId":"EEE19B7EC3C1B173",
        "traceState":"a=b,ot=th:c","name":"GET /x","kind":"SPAN_KIND_SERVER",
        "startTimeUnixNano":"1544712660000000001","endTimeUnixNano":1544712660000000000,
        "attributes":[
          {"key":"tenant.id","value":{"stringValue":"t1"}},
          {"key":"enduser.id","value":{"stringValue":"u1"}},
          {"key":"peer.service","value":{"stringValue":"db"}},
          {"key":"http.route","value":{"stringValue":"/x"}},
          {"key":"http.status_code","value":{"intValue":"503"}},
          {"key":"n","value":{"intValue":"7"}},
          {"key":"list","value":{"arrayValue":{"values":[{"intValue":1},null,{"stringValue":"a"}]}}},
          {"key":"map","value":{"kvlistValue":{"values":[{"key":"k","value":{"boolValue":true}}]}}}],
        "droppedAttributesCount":2,
        "events":[{"timeUnixNano":"1544712660500000000","name":"exception","attributes":[
          {"key":"exception.type","value":{"stringValue":"IoError"}}]}],
        "links":[{"traceId":"0000000000000000000000000000000a","spanId":"000000000000000b","attributes":[
          {"key":"why","value":{"stringValue":"retry"}}]}],
        "status":{"code":"STATUS_CODE_ERROR","message":"boom"}}]}]}]}"#;
    let landed = decode_bytes(&Otlp, request.as_bytes());
    assert_eq!(landed.rejections(), 0);
    let expected = [
        ("trace_id", "5b8efff798038103d269b633813fc60c"),
        ("span_id", "eee19b7ec3c1b174"),
        ("parent_span_id", "eee19b7ec3c1b173"),
        ("trace_state", "a=b,ot=th:c"),
        ("span_name", "GET /x"),
        ("span_kind", "SERVER"),
        ("status_code", "ERROR"),
        ("status_message", "boom"),
        ("start_time", "1544712660000000"),
        ("start_unix_nano", "1544712660000000001"),
        ("duration_nano", "-1"),
        ("service_name", "checkout"),
        ("service_namespace", "shop"),
        ("service_version", "1.2.3"),
        ("service_instance_id", "pod-1"),
        ("environment", "prod"),
        ("tenant_id", "t1"),
        ("user_id", "u1"),
        ("peer_service", "db"),
        ("http_route", "/x"),
        ("http_response_status_code", "503"),
        ("error_type", "IoError"),
        ("scope_name", "lib"),
        ("adjusted_count", "4"),
        ("resource_attributes", "host.name=h"),
        ("attributes", r#"n=7|list=[1,"a"]|map={"k":true}|otel.scope.version=2|otel.dropped_attributes_count=2"#),
        ("events", "[{time_unix_nano: 1544712660500000000, name: exception, attributes: {exception.type: IoError}}]"),
        (
            "links",
            "[{trace_id: 0000000000000000000000000000000a, span_id: 000000000000000b, attributes: {why: retry}}]",
        ),
        ("ingested_at", "1700000000000000"),
        ("source", "test"),
    ];
    for (column, value) in expected {
        let found = landed.cell("spans", column, 0);
        let value =
            if column == "attributes" { value.replace("[1,\"a\"]", "[1,null,\"a\"]") } else { value.to_owned() };
        assert_eq!(found, Some(value), "{column}");
    }
}

#[test]
fn what_is_absent_is_null() {
    let landed = span_of("");
    for column in [
        "parent_span_id",
        "trace_state",
        "status_message",
        "service_name",
        "environment",
        "tenant_id",
        "user_id",
        "peer_service",
        "http_route",
        "http_response_status_code",
        "error_type",
        "scope_name",
        "adjusted_count",
    ] {
        assert_eq!(landed.cell("spans", column, 0), None, "{column}");
    }
    assert_eq!(landed.cell("spans", "span_kind", 0).as_deref(), Some("UNSPECIFIED"));
    assert_eq!(landed.cell("spans", "status_code", 0).as_deref(), Some("UNSET"));
    assert_eq!(landed.cell("spans", "attributes", 0).as_deref(), Some(""));
    assert_eq!(landed.cell("spans", "events", 0).as_deref(), Some("[]"));
}

#[test]
fn exporters_spell_things_differently() {
    let landed = span_of(
        r#","parent_span_id":"0000000000000000","kind":"3","status":null,"events":null,"links":[null],
        "attributes":[{"key":"a","value":"bare"},{"key":"b","value":5},{"key":"c","value":null},
        {"key":"d","value":{"double_value":"NaN"}},{"key":"e","value":{"boolValue":"true"}},{"key":"f"},
        {"key":"g","value":{"bytesValue":"/wA="}},{"key":"h","value":{"intValue":"x"}}],"unknown":{"x":[1]}"#,
    );
    assert_eq!(landed.cell("spans", "parent_span_id", 0), None);
    assert_eq!(landed.cell("spans", "span_kind", 0).as_deref(), Some("CLIENT"));
    assert_eq!(landed.cell("spans", "attributes", 0).as_deref(), Some("a=bare|b=5|c=|d=NaN|e=true|f=|g=/wA=|h=x"));
    let snake = r#"{"resource_spans":[{"scope_spans":[{"spans":[{"trace_id":"W47/95gDgQPSabYzgT/GDA==",
        "span_id":"7uGbfsPBsXQ=","start_time_unix_nano":1544712660000000001,"end_time_unix_nano":0,"kind":"internal"}]}]}]}"#;
    let landed = decode_bytes(&Otlp, snake.as_bytes());
    assert_eq!(landed.rejections(), 0);
    assert_eq!(landed.cell("spans", "trace_id", 0).as_deref(), Some("5b8efff798038103d269b633813fc60c"));
    assert_eq!(landed.cell("spans", "span_id", 0).as_deref(), Some("eee19b7ec3c1b174"));
    assert_eq!(landed.cell("spans", "span_kind", 0).as_deref(), Some("INTERNAL"));
    assert_eq!(landed.cell("spans", "duration_nano", 0), None, "an end of 0 is no end");
}

#[test]
fn a_malformed_span_rejects_itself_alone() {
    let good = |id: u8| {
        format!(
            r#"{{"traceId":"000000000000000000000000000000ff","spanId":"00000000000000{id:02x}","startTimeUnixNano":"1544712660000000000"}}"#
        )
    };
    let bad = [
        (r#"{"traceId":}"#.to_owned(), "malformed span"),
        (good(1).replace("\"1544712660000000000\"", "[]"), "malformed span"),
        (good(1).replace("1544712660000000000", "0"), "span that starts before 1990 or after 2199"),
        (good(1).replace("1544712660000000000", "18446744073709551615"), "span that starts before 1990 or after 2199"),
        (good(1).replace("}", ",\"endTimeUnixNano\":\"5\"}"), "span that ends before 1990 or after 2199"),
        (good(0), "span without a span id of 8 bytes that are not all zero"),
        (good(1).replace("00ff", ""), "span without a trace id of 16 bytes that are not all zero"),
        (good(1).replace("}", ",\"parentSpanId\":\"abc\"}"), "span with a parent span id that is not 8 bytes"),
        ("7".to_owned(), "malformed span"),
    ];
    for (record, reason) in &bad {
        let text =
            format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{},{record},{}]}}]}}]}}"#, good(1), good(2));
        let landed = decode_bytes(&Otlp, text.as_bytes());
        assert_eq!(landed.rows("spans"), 2, "{record}");
        assert_eq!(landed.rejected.keys().collect::<Vec<_>>(), [reason], "{record}");
        assert_eq!(landed.rejections(), 1);
    }
}

#[test]
fn lines_lists_and_concatenations_are_told_apart_from_each_other() {
    let request = span_json("");
    let line = request.replace('\n', " ");
    for text in [
        format!("{line}\n{line}\n"),
        format!("{request}{request}"),
        format!("[{request},\n{request}]"),
        format!("\u{feff}\n{request}\n\n{request}"),
        format!("{line}\n{}\n{line}", &line[..line.len() / 2]),
    ] {
        assert_eq!(decode_bytes(&Otlp, text.as_bytes()).rows("spans"), 2, "{text}");
    }
    let landed = decode_bytes(&Otlp, format!("{line}\n{}\n{line}", &line[..line.len() / 2]).as_bytes());
    assert_eq!(landed.rejected[json_walk::NOT_JSON].count, 1);
    let landed = decode_bytes(&Otlp, b"{\"x\":1}\n{}");
    assert_eq!(landed.rejected[json_walk::NO_SIGNAL].count, 1);
    assert_eq!(landed.rejections(), 1);
}

#[test]
fn what_is_neither_json_nor_protobuf_is_an_error() {
    for bytes in [&b"hello world"[..], b"\x1f\x8b\x08\x00\x00\x00\x00\x00", b"PAR1\x00\x00", &[0xFF; 40]] {
        let error = decode(&Otlp, &mut &*bytes).unwrap_err();
        assert_eq!(error.sqlstate(), crate::error::sqlstate::INVALID_PARAMETER, "{bytes:?}");
    }
    assert_eq!(decode_bytes(&Otlp, b"").tables.len(), 0);
    assert_eq!(decode_bytes(&Otlp, b" \n ").rejections(), 0);
}

#[test]
fn log_records_have_time_body_and_ids() {
    let request = r#"{"resourceLogs":[{"resource":{"attributes":[
        {"key":"service.name","value":{"stringValue":"s"}},{"key":"service.namespace","value":{"stringValue":"ns"}},
        {"key":"tenant_id","value":{"stringValue":"t"}}]},
      "scopeLogs":[{"scope":{"name":"lib"},"logRecords":[
        {"timeUnixNano":"1544712660300000123","observedTimeUnixNano":"1544712660400000000","severityNumber":"SEVERITY_NUMBER_WARN2",
         "severityText":"warn","body":{"stringValue":"hi"},"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",
         "attributes":[{"key":"event.name","value":{"stringValue":"old"}}]},
        {"observedTimeUnixNano":"1544712660400000000","body":{"kvlistValue":{"values":[{"key":"a","value":{"intValue":"1"}}]}},
         "traceId":"zz","eventName":"login","attributes":[{"key":"event.name","value":{"stringValue":"old"}}]},
        {"body":"bare"},
        {"timeUnixNano":"5"}]}]}]}"#;
    let landed = decode_bytes(&Otlp, request.as_bytes());
    assert_eq!(landed.rows("logs"), 3);
    assert_eq!(landed.rejected["log record from before 1990 or after 2199"].count, 1);
    let rows: [&[(&str, Option<&str>)]; 3] = [
        &[
            ("time", Some("1544712660300000")),
            ("time_unix_nano", Some("1544712660300000123")),
            ("observed_time", Some("1544712660400000")),
            ("trace_id", Some("5b8efff798038103d269b633813fc60c")),
            ("span_id", Some("eee19b7ec3c1b174")),
            ("severity_number", Some("14")),
            ("severity_text", Some("warn")),
            ("body", Some("hi")),
            ("event_name", Some("old")),
            ("service_name", Some("s")),
            ("tenant_id", Some("t")),
            ("resource_attributes", Some("service.namespace=ns")),
            ("attributes", Some("otel.scope.name=lib")),
        ],
        &[
            ("time_unix_nano", Some("1544712660400000000")),
            ("trace_id", None),
            ("severity_number", None),
            ("body", Some("{\"a\":1}")),
            ("event_name", Some("login")),
            ("attributes", Some("otel.scope.name=lib|event.name=old")),
        ],
        &[("time", Some("1700000000000000")), ("observed_time", None), ("body", Some("bare"))],
    ];
    for (row, cells) in rows.iter().enumerate() {
        for (column, value) in *cells {
            assert_eq!(landed.cell("logs", column, row).as_deref(), *value, "{column} of {row}");
        }
    }
}

#[test]
fn all_kinds_of_metric_points_land() {
    let request = r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}}]},
      "scopeMetrics":[{"metrics":[
        {"name":"g","unit":"By","gauge":{"dataPoints":[{"timeUnixNano":"1544712660300000000","asInt":"-3","attributes":[
            {"key":"tenant.id","value":{"stringValue":"t"}},{"key":"k","value":{"stringValue":"v"}}]},
            {"timeUnixNano":"1544712660300000000","asDouble":"NaN"},
            {"timeUnixNano":"1544712660300000000","flags":1},
            {"timeUnixNano":"1544712660300000000"}]}},
        {"name":"c","sum":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_CUMULATIVE","isMonotonic":true,
            "dataPoints":[{"timeUnixNano":1544712660300000000,"asDouble":"-Infinity"}]}},
        {"name":"h","histogram":{"aggregationTemporality":1,"dataPoints":[
            {"timeUnixNano":"1544712660300000000","count":"3","sum":4.5,"bucketCounts":["1",2],"explicitBounds":[0.5]},
            {"timeUnixNano":"1544712660300000000","count":"3","bucketCounts":["1"],"explicitBounds":[0.5]}]}},
        {"name":"e","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[
            {"timeUnixNano":"1544712660300000000","count":"3","sum":10,"scale":0,"zeroCount":"1",
             "positive":{"offset":1,"bucketCounts":["0","2"]}}]}},
        {"name":"q","summary":{"dataPoints":[{"timeUnixNano":"1544712660300000000","count":"2","sum":3,
            "quantileValues":[{"quantile":0.5,"value":1.5},{"quantile":1,"value":"NaN"}]}]}},
        {"name":"n"},
        {"gauge":{"dataPoints":[]}}]}]}]}"#;
    let landed = decode_bytes(&Otlp, request.as_bytes());
    let reasons: Vec<_> = landed.rejected.iter().map(|(reason, seen)| (reason.as_str(), seen.count)).collect();
    let expected = [
        ("histogram point whose counts do not match its bounds", 1),
        ("metric point without a value", 1),
        ("metric without a name", 1),
        ("metric without data", 1),
    ];
    assert_eq!(reasons, expected);
    let row = |at: usize| -> Vec<String> {
        let columns = ["metric_name", "metric_kind", "unit", "temporality", "is_monotonic", "value", "count", "sum"];
        let columns = columns.iter().chain(&["bounds", "bucket_counts", "tenant_id", "attributes"]);
        columns.map(|column| landed.cell("metric_points", column, at).unwrap_or_else(|| "-".into())).collect()
    };
    assert_eq!(landed.rows("metric_points"), 7);
    assert_eq!(row(0).join(" "), "g gauge By - - -3 - - - - t k=v");
    assert_eq!(row(1)[5], "NaN");
    assert_eq!(row(2)[5], "-", "no recorded value");
    assert_eq!(row(3).join(" "), "c sum - cumulative true -inf - - - - - ");
    assert_eq!(row(4).join(" "), "h histogram - delta - - 3 4.5 [0.5] [1, 2] - ");
    assert_eq!(row(5).join(" "), "e exponential_histogram - cumulative - - 3 10 [2.0, 4.0, 8.0] [1, 0, 2, 0] - ");
    assert_eq!(row(6).join(" "), "q summary - - - - 2 3 [0.5, 1.0] - - otel.summary.quantile_values=[1.5,\"NaN\"]");
    assert_eq!(landed.cell("metric_points", "time", 0).as_deref(), Some("1544712660300000"));
    assert_eq!(landed.cell("metric_points", "service_name", 6).as_deref(), Some("s"));
}

#[test]
fn attributes_beyond_the_limits_are_counted_and_long_values_cut() {
    let many: Vec<_> = (0..1_030).map(|at| format!(r#"{{"key":"k{at}","value":{{"stringValue":"v"}}}}"#)).collect();
    let landed = span_of(&format!(r#","attributes":[{}]"#, many.join(",")));
    assert!(landed.cell("spans", "attributes", 0).unwrap().ends_with("k1023=v|otel.dropped_attributes_count=6"));
    let long = format!(r#","attributes":[{{"key":"k","value":{{"stringValue":"{}"}}}}]"#, "é".repeat(40_000));
    assert_eq!(span_of(&long).cell("spans", "attributes", 0).unwrap().len(), 2 + 65_536);
}

#[test]
fn the_protocols_examples_land() {
    let Some(folder) = shared_data("traces/otlp") else { return };
    let landed = decode_file(&Otlp, &folder.join("trace.json"));
    assert_eq!((landed.rows("spans"), landed.rejections()), (1, 0));
    assert_eq!(landed.cell("spans", "span_name", 0).as_deref(), Some("I'm a server span"));
    assert_eq!(landed.cell("spans", "duration_nano", 0).as_deref(), Some("1000000000"));
    let landed = decode_file(&Otlp, &folder.join("metrics.json"));
    assert_eq!((landed.rows("metric_points"), landed.rejections()), (4, 0));
    assert_eq!(landed.cell("metric_points", "bucket_counts", 3).as_deref(), Some("[1, 0, 2, 0]"));
    let landed = decode_file(&Otlp, &folder.join("logs.json"));
    assert_eq!((landed.rows("logs"), landed.rejections()), (1, 0));
    let landed = decode_file(&Otlp, &folder.join("events.json"));
    assert_eq!(landed.cell("logs", "event_name", 0).as_deref(), Some("browser.page_view"));
    assert!(landed.cell("logs", "body", 0).unwrap().starts_with("{\"type\":0,\"url\":\"https"));
}

/// Records of a file counted in the naive way: by the key that every record of the signal has exactly once.
fn naive_count(path: &Path, needle: &str) -> usize {
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text.matches(needle).count()
}

#[test]
fn the_train_ticket_benchmark_lands_completely() {
    let Some(folder) = shared_data("trainticket") else { return };
    let signals = [
        ("traces.otlp.jsonl.gz", "spans", "\"startTimeUnixNano\":"),
        ("logs.otlp.jsonl.gz", "logs", "\"severityNumber\":"),
        ("metrics.otlp.jsonl.gz", "metric_points", "\"timeUnixNano\":"),
    ];
    for (suffix, table, needle) in signals {
        let found = files(&folder, suffix);
        assert_eq!(found.len(), 4);
        for path in found {
            let landed = decode_file(&Otlp, &path);
            eprintln!("{}: {} rows, {} rejected", path.display(), landed.rows(table), landed.rejections());
            assert_eq!(landed.rejections(), 0, "{}: {:?}", path.display(), landed.rejected);
            assert_eq!(landed.rows(table), naive_count(&path, needle), "{}", path.display());
        }
    }
}

#[test]
fn requests_of_a_receiver_land_without_a_file() {
    let landed =
        collect(|output| decode_request(Signal::Traces, Encoding::Json, span_json("").as_bytes(), output)).unwrap();
    assert_eq!(landed.rows("spans"), 1);
    let landed =
        collect(|output| decode_request(Signal::Traces, Encoding::Protobuf, &[0x0A, 0x05, 1], output)).unwrap();
    assert_eq!(landed.rejections(), 1);
}

#[test]
fn zeros_are_no_requests() {
    let error = decode(&Otlp, &mut &[0; 1000][..]).err().unwrap();
    assert_eq!((error.sqlstate(), error.to_string().lines().next().unwrap()), ("22023", "the file is not OTLP"));
}

#[test]
fn what_many_points_share_is_handed_on_before_it_is_too_much_for_an_array() {
    use crate::ingest::telemetry::MAX_VALUE_BYTES;
    use crate::ingest::{BYTES_PER_BATCH, Input, Options, Output};
    let value = "x".repeat(MAX_VALUE_BYTES);
    let shared: Vec<String> = (0..=BYTES_PER_BATCH / 2 / MAX_VALUE_BYTES)
        .map(|key| format!(r#"{{"key":"k{key}","value":{{"stringValue":"{value}"}}}}"#))
        .collect();
    let points: Vec<String> =
        (0..5).map(|at| format!(r#"{{"timeUnixNano":"154471266030000000{at}","asInt":"{at}"}}"#)).collect();
    let request = format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{}]}},
        "scopeMetrics":[{{"metrics":[{{"name":"m","gauge":{{"dataPoints":[{}]}}}}]}}]}}]}}"#,
        shared.join(","),
        points.join(",")
    );
    let mut batches = Vec::new();
    let mut flush = |_, batch: datafusion::arrow::array::RecordBatch| {
        batches.push(batch.num_rows());
        Ok(())
    };
    let mut output = Output::new("otlp", 0, &mut flush);
    let options = Options::default();
    let mut bytes = request.as_bytes();
    let input = Input { origin: "", content_hash: "", reader: &mut bytes, options: &options, now: 0 };
    Otlp.decode(input, &mut output).unwrap();
    assert_eq!(output.finish().unwrap(), BTreeMap::new());
    assert_eq!(batches, [2, 2, 1]);
}
