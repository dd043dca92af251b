//! Random requests, written as JSON and as Protocol Buffers in every framing, land as the same rows.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};

use super::*;

/// Doubles that `serde_json` reads exactly without its feature `float_roundtrip`, and those that JSON cannot write.
fn double() -> impl Strategy<Value = f64> {
    let special = prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(1e20), Just(-1.5e-7)];
    prop_oneof![9 => any::<i32>().prop_map(|value| f64::from(value) / 64.0), 1 => special]
}

fn value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        "\\PC{0,8}".prop_map(Any::StringValue),
        any::<bool>().prop_map(Any::BoolValue),
        any::<i64>().prop_map(Any::IntValue),
        double().prop_map(Any::DoubleValue),
        proptest::collection::vec(any::<u8>(), 1..6).prop_map(Any::BytesValue),
    ];
    let leaf = leaf.prop_map(|value| AnyValue { value: Some(value) });
    leaf.prop_recursive(3, 12, 3, |inner| {
        let list =
            proptest::collection::vec(inner.clone(), 0..3).prop_map(|values| Any::ArrayValue(ArrayValue { values }));
        let pairs = proptest::collection::vec(("[a-z]{1,3}", inner), 0..3).prop_map(|pairs| {
            let values = pairs.into_iter().map(|(key, value)| pair(key, value)).collect();
            Any::KvlistValue(KeyValueList { values })
        });
        prop_oneof![list, pairs].prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn pair(key: String, value: AnyValue) -> KeyValue {
    KeyValue { key, value: Some(value), ..Default::default() }
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let key = prop_oneof![
        "[a-z.]{1,6}",
        Just("service.name".to_owned()),
        Just("http.status_code".to_owned()),
        Just("tenant.id".to_owned()),
        Just("user.id".to_owned()),
    ];
    let pairs = proptest::collection::vec((key, value()), 0..5);
    pairs.prop_map(|pairs| pairs.into_iter().map(|(key, value)| pair(key, value)).collect())
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![9 => 1_500_000_000_000_000_000_u64..1_800_000_000_000_000_000, 1 => Just(0), 1 => any::<u64>()]
}

fn bytes(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![9 => proptest::collection::vec(any::<u8>(), length), 1 => Just(vec![0; length]), 1 => Just(vec![])]
}

prop_compose! {
    fn span()(
        trace_id in bytes(16), span_id in bytes(8), parent_span_id in bytes(8),
        trace_state in prop_oneof![Just(String::new()), "ot=th:[0-9a-f]{1,15}"],
        name in "\\PC{0,12}", kind in 1..7, start_time_unix_nano in time(), end_time_unix_nano in time(),
        (attributes, event, link, status, dropped) in (attributes(), attributes(), bytes(16), 0..4, 0_u32..3),
    ) -> Span {
        let event = Event { time_unix_nano: 7, name: "exception".into(), attributes: event, ..Default::default() };
        Span {
            trace_id, span_id, parent_span_id, trace_state, name, kind, start_time_unix_nano, end_time_unix_nano,
            attributes, dropped_attributes_count: dropped, dropped_events_count: dropped,
            events: if dropped == 0 { vec![] } else { vec![event] },
            links: if link.is_empty() { vec![] } else { vec![Link { trace_id: link, ..Default::default() }] },
            status: Some(Status { code: status, message: "m".repeat(usize::from(status == 2)) }),
            ..Default::default()
        }
    }
}

prop_compose! {
    fn log()(time_unix_nano in time(), observed_time_unix_nano in time(), severity_number in 0..26, body in value(),
        attributes in attributes(), trace_id in bytes(16), span_id in bytes(8), event_name in "[a-z]{0,3}") -> LogRecord {
        LogRecord { time_unix_nano, observed_time_unix_nano, severity_number, body: Some(body), attributes, trace_id,
            span_id, event_name, ..Default::default() }
    }
}

prop_compose! {
    fn metric()(name in "[a-z]{1,3}", time_unix_nano in time(), attributes in attributes(), temporality in 0..3,
        number in any::<i64>(), double in double(), counts in proptest::collection::vec(any::<u64>(), 0..4),
        kind in 0..3) -> Metric {
        let value = Some(if temporality == 0 { Number::AsInt(number) } else { Number::AsDouble(double) });
        let point = NumberDataPoint { time_unix_nano, attributes: attributes.clone(), value, ..Default::default() };
        let histogram = HistogramDataPoint { time_unix_nano, attributes, count: 5, sum: Some(1.25),
            explicit_bounds: vec![1.0, 2.0], bucket_counts: counts, ..Default::default() };
        let data = match kind {
            0 => Data::Gauge(opentelemetry_proto::tonic::metrics::v1::Gauge { data_points: vec![point] }),
            1 => Data::Sum(Sum { data_points: vec![point], aggregation_temporality: temporality, is_monotonic: true }),
            _ => Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: temporality }),
        };
        Metric { name, unit: "1".into(), data: Some(data), ..Default::default() }
    }
}

fn any_json(value: &AnyValue) -> Value {
    match value.value.as_ref() {
        Some(Any::StringValue(text)) => json!({ "stringValue": text }),
        Some(Any::BoolValue(value)) => json!({ "boolValue": value }),
        Some(Any::IntValue(value)) => json!({ "intValue": value.to_string() }),
        Some(Any::DoubleValue(value)) => json!({ "doubleValue": double_json(*value) }),
        Some(Any::BytesValue(bytes)) => {
            use base64::Engine;
            json!({ "bytesValue": base64::engine::general_purpose::STANDARD.encode(bytes) })
        }
        Some(Any::ArrayValue(array)) => {
            json!({ "arrayValue": { "values": array.values.iter().map(any_json).collect::<Vec<_>>() } })
        }
        Some(Any::KvlistValue(list)) => json!({ "kvlistValue": { "values": pairs_json(&list.values) } }),
        _ => Value::Null,
    }
}

fn double_json(value: f64) -> Value {
    let name = if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    if value.is_finite() { json!(value) } else { json!(name) }
}

fn pairs_json(pairs: &[KeyValue]) -> Value {
    pairs.iter().map(|pair| json!({ "key": pair.key, "value": pair.value.as_ref().map(any_json) })).collect()
}

fn span_json(span: &Span) -> Value {
    json!({
        "traceId": hex::encode(&span.trace_id), "spanId": hex::encode_upper(&span.span_id),
        "parentSpanId": hex::encode(&span.parent_span_id), "traceState": span.trace_state, "name": span.name,
        "kind": span.kind, "startTimeUnixNano": span.start_time_unix_nano.to_string(),
        "endTimeUnixNano": span.end_time_unix_nano, "attributes": pairs_json(&span.attributes),
        "droppedAttributesCount": span.dropped_attributes_count, "droppedEventsCount": span.dropped_events_count,
        "events": span.events.iter().map(|event| json!({ "timeUnixNano": "7", "name": event.name,
            "attributes": pairs_json(&event.attributes) })).collect::<Vec<_>>(),
        "links": span.links.iter().map(|link| json!({ "traceId": hex::encode(&link.trace_id) })).collect::<Vec<_>>(),
        "status": span.status.as_ref().map(|status| json!({ "code": status.code, "message": status.message })),
    })
}

fn log_json(log: &LogRecord) -> Value {
    json!({
        "timeUnixNano": log.time_unix_nano.to_string(), "observedTimeUnixNano": log.observed_time_unix_nano.to_string(),
        "severityNumber": log.severity_number, "body": log.body.as_ref().map(any_json), "eventName": log.event_name,
        "attributes": pairs_json(&log.attributes), "traceId": hex::encode(&log.trace_id),
        "spanId": hex::encode(&log.span_id),
    })
}

fn metric_json(metric: &Metric) -> Value {
    let number = |point: &NumberDataPoint| {
        let mut json =
            json!({ "timeUnixNano": point.time_unix_nano.to_string(), "attributes": pairs_json(&point.attributes) });
        match point.value {
            Some(Number::AsInt(value)) => json["asInt"] = json!(value.to_string()),
            Some(Number::AsDouble(value)) => json["asDouble"] = double_json(value),
            None => {}
        }
        json
    };
    let mut json = json!({ "name": metric.name, "unit": metric.unit });
    match metric.data.as_ref().unwrap() {
        Data::Gauge(gauge) => {
            json["gauge"] = json!({ "dataPoints": gauge.data_points.iter().map(number).collect::<Vec<_>>() });
        }
        Data::Sum(sum) => {
            json["sum"] = json!({ "dataPoints": sum.data_points.iter().map(number).collect::<Vec<_>>(),
            "aggregationTemporality": sum.aggregation_temporality, "isMonotonic": sum.is_monotonic });
        }
        Data::Histogram(histogram) => {
            json["histogram"] = json!({
            "aggregationTemporality": histogram.aggregation_temporality,
            "dataPoints": histogram.data_points.iter().map(|point| json!({
                "timeUnixNano": point.time_unix_nano.to_string(), "attributes": pairs_json(&point.attributes),
                "count": point.count.to_string(), "sum": point.sum, "explicitBounds": point.explicit_bounds,
                "bucketCounts": point.bucket_counts.iter().map(u64::to_string).collect::<Vec<_>>() })).collect::<Vec<_>>() });
        }
        _ => {}
    }
    json
}

/// Land the request in all forms and check that every form gives the same.
fn same(json: &Value, protobuf: &[u8], signal: Signal) -> std::result::Result<(), TestCaseError> {
    let expected = decode_bytes(&Otlp, json.to_string().as_bytes());
    let pretty = decode_bytes(&Otlp, serde_json::to_string_pretty(json).unwrap().as_bytes());
    let live = collect(|output| decode_request(signal, Encoding::Protobuf, protobuf, output)).unwrap();
    let plain = decode_bytes(&Otlp, protobuf);
    let big_endian = u32::try_from(protobuf.len()).unwrap().to_be_bytes();
    let framed = decode_bytes(&Otlp, &[&big_endian, protobuf].concat());
    let varint = decode_bytes(&Otlp, &prost_framed(protobuf));
    for (name, landed) in
        [("pretty", pretty), ("live", live), ("plain", plain), ("big-endian", framed), ("varint", varint)]
    {
        prop_assert_eq!(comparable(&expected), comparable(&landed), "{}", name);
    }
    Ok(())
}

fn prost_framed(message: &[u8]) -> Vec<u8> {
    let mut framed = Vec::new();
    prost::encoding::encode_varint(message.len() as u64, &mut framed);
    framed.extend_from_slice(message);
    framed
}

/// Rows as text (NaN equals itself there) and rejections without their samples.
fn comparable(landed: &Landed) -> (String, Vec<(&String, u64)>) {
    let rows = landed.tables.values().map(|batch| format!("{:?}", batch.columns())).collect();
    (rows, landed.rejected.iter().map(|(reason, seen)| (reason, seen.count)).collect())
}

fn scope() -> InstrumentationScope {
    InstrumentationScope { name: "lib".into(), version: "1".into(), ..Default::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn spans(resource in attributes(), spans in proptest::collection::vec(span(), 1..5)) {
        let json = json!({ "resourceSpans": [{ "resource": { "attributes": pairs_json(&resource) }, "scopeSpans": [{
            "scope": { "name": "lib", "version": "1" }, "spans": spans.iter().map(span_json).collect::<Vec<_>>() }] }] });
        let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans, ..Default::default() }];
        let resource = Some(Resource { attributes: resource, ..Default::default() });
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans { resource, scope_spans, ..Default::default() }],
        };
        same(&json, &request.encode_to_vec(), Signal::Traces)?;
    }

    #[test]
    fn logs(resource in attributes(), logs in proptest::collection::vec(log(), 1..5)) {
        let json = json!({ "resourceLogs": [{ "resource": { "attributes": pairs_json(&resource) }, "scopeLogs": [{
            "scope": { "name": "lib", "version": "1" }, "logRecords": logs.iter().map(log_json).collect::<Vec<_>>() }] }] });
        let scope_logs = vec![ScopeLogs { scope: Some(scope()), log_records: logs, ..Default::default() }];
        let resource = Some(Resource { attributes: resource, ..Default::default() });
        let request = ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs { resource, scope_logs, ..Default::default() }],
        };
        same(&json, &request.encode_to_vec(), Signal::Logs)?;
    }

    #[test]
    fn metrics(resource in attributes(), metrics in proptest::collection::vec(metric(), 1..5)) {
        let json = json!({ "resourceMetrics": [{ "resource": { "attributes": pairs_json(&resource) }, "scopeMetrics": [{
            "scope": { "name": "lib", "version": "1" }, "metrics": metrics.iter().map(metric_json).collect::<Vec<_>>() }] }] });
        let scope_metrics = vec![ScopeMetrics { scope: Some(scope()), metrics, ..Default::default() }];
        let resource = Some(Resource { attributes: resource, ..Default::default() });
        let request = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics { resource, scope_metrics, ..Default::default() }],
        };
        same(&json, &request.encode_to_vec(), Signal::Metrics)?;
    }

    #[test]
    fn a_damaged_span_leaves_the_others(spans in proptest::collection::vec(span(), 2..5), at in any::<prop::sample::Index>()) {
        let bytes: Vec<Vec<u8>> = spans.iter().map(Message::encode_to_vec).collect();
        let damaged = at.index(bytes.len());
        let mut scope = Vec::new();
        for (index, span) in bytes.iter().enumerate() {
            // A name that is not UTF-8.
            let suffix: &[u8] = if index == damaged { &[0x2A, 2, 0xFF, 0xFE] } else { &[] };
            prost::encoding::bytes::encode(2, &[span, suffix].concat(), &mut scope);
        }
        let (mut element, mut request) = (Vec::new(), Vec::new());
        prost::encoding::bytes::encode(2, &scope, &mut element);
        prost::encoding::bytes::encode(1, &element, &mut request);
        let others = spans.iter().enumerate().filter(|(index, _)| *index != damaged).map(|(_, span)| span.clone());
        let scope_spans = vec![ScopeSpans { spans: others.collect(), ..Default::default() }];
        let clean = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans { scope_spans, ..Default::default() }],
        };
        let found = collect(|output| decode_request(Signal::Traces, Encoding::Protobuf, &request, output)).unwrap();
        let expected = collect(|output| decode_request(Signal::Traces, Encoding::Protobuf, &clean.encode_to_vec(), output)).unwrap();
        prop_assert_eq!(found.rejected["malformed span"].count, 1);
        prop_assert_eq!(found.rejections(), expected.rejections() + 1);
        prop_assert_eq!(found.tables, expected.tables);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop(decode(&Otlp, &mut bytes.as_slice()));
        for signal in [Signal::Traces, Signal::Logs, Signal::Metrics] {
            collect(|output| decode_request(signal, Encoding::Protobuf, &bytes, output)).unwrap();
            collect(|output| decode_request(signal, Encoding::Json, &bytes, output)).unwrap();
        }
    }

    #[test]
    fn damaged_requests_never_panic(
        span in span(), metric in metric(), cut in any::<prop::sample::Index>(), byte in any::<u8>(), truncate in any::<bool>(),
    ) {
        let scope_spans = vec![ScopeSpans { spans: vec![span.clone(), span.clone()], ..Default::default() }];
        let traces = ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..Default::default() }] };
        let scope_metrics = vec![ScopeMetrics { metrics: vec![metric.clone()], ..Default::default() }];
        let metrics = ExportMetricsServiceRequest { resource_metrics: vec![ResourceMetrics { scope_metrics, ..Default::default() }] };
        let json = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span_json(&span)] }] }],
            "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [metric_json(&metric)] }] }] });
        for mut bytes in [traces.encode_to_vec(), metrics.encode_to_vec(), json.to_string().into_bytes()] {
            let at = cut.index(bytes.len());
            if truncate { bytes.truncate(at) } else { bytes[at] = byte }
            drop(decode(&Otlp, &mut bytes.as_slice()));
        }
    }
}
