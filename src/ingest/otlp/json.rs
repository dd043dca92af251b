//! How exporters write spans, log records and metrics in JSON, read tolerantly into the messages of the protocol.
//!
//! Tolerated: names in `snake_case`, numbers as strings and strings as numbers, enums as numbers or by name, ids in hex or
//! (older exporters) in base64, values without their `stringValue` wrapper, null for anything, unknown members.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

pub use super::json_metrics::JsonMetric;
use crate::ingest::telemetry::scalar::{Scalar, list, nullable};

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

fn base64_bytes(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).or_else(|_| BASE64_URL.decode(text)).ok()
}

/// Bytes of an id. Text that is neither hex nor base64 has one byte, which is no length of an id, so that the record
/// is rejected for its id.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = Scalar::deserialize(deserializer)?.into_text();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let bytes = match text.len() {
        16 | 32 => hex::decode(text.as_bytes()).ok(),
        _ => None,
    };
    Ok(bytes.or_else(|| base64_bytes(&text)).filter(|bytes| !bytes.is_empty()).unwrap_or_else(|| vec![0]))
}

/// An unsigned number.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Scalar::deserialize(deserializer)?.as_u64().ok_or_else(|| Error::custom("not an unsigned number"))
}

/// An unsigned number of 32 bits; one beyond is the largest.
pub(super) fn number32<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    Ok(u32::try_from(number(deserializer)?).unwrap_or(u32::MAX))
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Scalar::deserialize(deserializer)?.into_text().into_owned())
}

/// An enum by number or name; an unknown one is 0, unspecified in all of them.
fn enumeration<'de, D: Deserializer<'de>>(deserializer: D, by_name: fn(&str) -> Option<i32>) -> Result<i32, D::Error> {
    let scalar = Scalar::deserialize(deserializer)?;
    let number = scalar.as_i64().and_then(|number| i32::try_from(number).ok());
    Ok(number.or_else(|| by_name(&scalar.into_text().trim().to_ascii_uppercase())).unwrap_or_default())
}

fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    enumeration(deserializer, |name| {
        SpanKind::from_str_name(name).or_else(|| SpanKind::from_str_name(&format!("SPAN_KIND_{name}"))).map(Into::into)
    })
}

fn status_code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    enumeration(deserializer, |name| {
        let prefixed = || StatusCode::from_str_name(&format!("STATUS_CODE_{name}"));
        StatusCode::from_str_name(name).or_else(prefixed).map(Into::into)
    })
}

fn severity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    enumeration(deserializer, |name| {
        let prefixed = || SeverityNumber::from_str_name(&format!("SEVERITY_NUMBER_{name}"));
        SeverityNumber::from_str_name(name).or_else(prefixed).map(Into::into)
    })
}

pub(super) fn temporality<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    enumeration(deserializer, |name| {
        let prefixed = || AggregationTemporality::from_str_name(&format!("AGGREGATION_TEMPORALITY_{name}"));
        AggregationTemporality::from_str_name(name).or_else(prefixed).map(Into::into)
    })
}

/// An attribute value.
#[derive(Debug, Default)]
pub struct JsonValue(Option<Value>);

#[derive(Deserialize)]
struct Wrapped<'a> {
    #[serde(default, alias = "stringValue", borrow)]
    string_value: Scalar<'a>,
    #[serde(default, alias = "boolValue", borrow)]
    bool_value: Scalar<'a>,
    #[serde(default, alias = "intValue", borrow)]
    int_value: Scalar<'a>,
    #[serde(default, alias = "doubleValue", borrow)]
    double_value: Scalar<'a>,
    #[serde(default, alias = "bytesValue", borrow)]
    bytes_value: Scalar<'a>,
    #[serde(default, alias = "arrayValue")]
    array_value: Option<JsonArray>,
    #[serde(default, alias = "kvlistValue")]
    kvlist_value: Option<JsonPairs>,
}

#[derive(Debug, Deserialize)]
struct JsonArray {
    #[serde(default, deserialize_with = "values")]
    values: Vec<AnyValue>,
}

/// Null is an element here, unlike in other lists.
fn values<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<AnyValue>, D::Error> {
    let values: Option<Vec<JsonValue>> = Deserialize::deserialize(deserializer)?;
    Ok(values.unwrap_or_default().into_iter().map(|value| AnyValue { value: value.0 }).collect())
}

#[derive(Debug, Deserialize)]
struct JsonPairs {
    #[serde(default, deserialize_with = "attributes")]
    values: Vec<KeyValue>,
}

impl Wrapped<'_> {
    fn value<E: Error>(self) -> Result<Option<Value>, E> {
        let present = |scalar: &Scalar<'_>| !scalar.is_null();
        if present(&self.string_value) {
            return Ok(Some(Value::StringValue(self.string_value.into_text().into_owned())));
        }
        if present(&self.int_value) {
            return number_value(&self.int_value, self.int_value.as_i64().map(Value::IntValue));
        }
        if present(&self.bool_value) {
            return number_value(&self.bool_value, self.bool_value.as_bool().map(Value::BoolValue));
        }
        if present(&self.double_value) {
            return number_value(&self.double_value, self.double_value.as_f64().map(Value::DoubleValue));
        }
        if present(&self.bytes_value) {
            let bytes = base64_bytes(&self.bytes_value.clone().into_text());
            return number_value(&self.bytes_value, bytes.map(Value::BytesValue));
        }
        if let Some(array) = self.array_value {
            return Ok(Some(Value::ArrayValue(ArrayValue { values: array.values })));
        }
        Ok(self.kvlist_value.map(|pairs| Value::KvlistValue(KeyValueList { values: pairs.values })))
    }
}

/// The value, or the text as written where it is not of the type that its member names.
fn number_value<E: Error>(scalar: &Scalar<'_>, value: Option<Value>) -> Result<Option<Value>, E> {
    Ok(Some(value.unwrap_or_else(|| Value::StringValue(scalar.clone().into_text().into_owned()))))
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = JsonValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an attribute value")
    }
    fn visit_unit<E: Error>(self) -> Result<JsonValue, E> {
        Ok(JsonValue(None))
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<JsonValue, E> {
        Ok(JsonValue(Some(Value::BoolValue(value))))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<JsonValue, E> {
        Ok(JsonValue(Some(Value::IntValue(value))))
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<JsonValue, E> {
        let text = || Value::StringValue(value.to_string());
        Ok(JsonValue(Some(i64::try_from(value).map_or_else(|_| text(), Value::IntValue))))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<JsonValue, E> {
        Ok(JsonValue(Some(Value::DoubleValue(value))))
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<JsonValue, E> {
        Ok(JsonValue(Some(Value::StringValue(value.to_owned()))))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<JsonValue, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = access.next_element::<JsonValue>()? {
            values.push(AnyValue { value: value.0 });
        }
        Ok(JsonValue(Some(Value::ArrayValue(ArrayValue { values }))))
    }
    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<JsonValue, A::Error> {
        Wrapped::deserialize(MapAccessDeserializer::new(access))?.value().map(JsonValue)
    }
}

impl<'de> Deserialize<'de> for JsonValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

#[derive(Debug, Deserialize)]
struct JsonKeyValue {
    #[serde(default, deserialize_with = "text")]
    key: String,
    #[serde(default)]
    value: Option<JsonValue>,
}

impl From<JsonKeyValue> for KeyValue {
    fn from(json: JsonKeyValue) -> Self {
        let value = json.value.map(|value| AnyValue { value: value.0 });
        Self { key: json.key, value, ..Self::default() }
    }
}

/// A list of attributes.
pub(super) fn attributes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<KeyValue>, D::Error> {
    let attributes: Vec<JsonKeyValue> = list(deserializer)?;
    Ok(attributes.into_iter().map(Into::into).collect())
}

/// A resource, of which only the attributes count.
#[derive(Debug, Default, Deserialize)]
pub struct JsonResource {
    /// Its attributes.
    #[serde(default, deserialize_with = "attributes")]
    pub attributes: Vec<KeyValue>,
}

/// An instrumentation scope.
#[derive(Debug, Default, Deserialize)]
pub struct JsonScope {
    #[serde(default, deserialize_with = "text")]
    name: String,
    #[serde(default, deserialize_with = "text")]
    version: String,
    #[serde(default, deserialize_with = "attributes")]
    attributes: Vec<KeyValue>,
}

impl From<JsonScope> for InstrumentationScope {
    fn from(json: JsonScope) -> Self {
        Self { name: json.name, version: json.version, attributes: json.attributes, ..Self::default() }
    }
}

/// A span.
#[derive(Debug, Deserialize)]
pub struct JsonSpan {
    #[serde(default, alias = "traceId", deserialize_with = "id")]
    trace_id: Vec<u8>,
    #[serde(default, alias = "spanId", deserialize_with = "id")]
    span_id: Vec<u8>,
    #[serde(default, alias = "parentSpanId", deserialize_with = "id")]
    parent_span_id: Vec<u8>,
    #[serde(default, alias = "traceState", deserialize_with = "text")]
    trace_state: String,
    #[serde(default, deserialize_with = "text")]
    name: String,
    #[serde(default, deserialize_with = "kind")]
    kind: i32,
    #[serde(default, alias = "startTimeUnixNano", deserialize_with = "number")]
    start_time_unix_nano: u64,
    #[serde(default, alias = "endTimeUnixNano", deserialize_with = "number")]
    end_time_unix_nano: u64,
    #[serde(default, deserialize_with = "attributes")]
    attributes: Vec<KeyValue>,
    #[serde(default, alias = "droppedAttributesCount", deserialize_with = "number32")]
    dropped_attributes_count: u32,
    #[serde(default, deserialize_with = "list")]
    events: Vec<JsonEvent>,
    #[serde(default, alias = "droppedEventsCount", deserialize_with = "number32")]
    dropped_events_count: u32,
    #[serde(default, deserialize_with = "list")]
    links: Vec<JsonLink>,
    #[serde(default, alias = "droppedLinksCount", deserialize_with = "number32")]
    dropped_links_count: u32,
    #[serde(default, deserialize_with = "nullable")]
    status: JsonStatus,
}

#[derive(Debug, Deserialize)]
struct JsonEvent {
    #[serde(default, alias = "timeUnixNano", deserialize_with = "number")]
    time_unix_nano: u64,
    #[serde(default, deserialize_with = "text")]
    name: String,
    #[serde(default, deserialize_with = "attributes")]
    attributes: Vec<KeyValue>,
    #[serde(default, alias = "droppedAttributesCount", deserialize_with = "number32")]
    dropped_attributes_count: u32,
}

#[derive(Debug, Deserialize)]
struct JsonLink {
    #[serde(default, alias = "traceId", deserialize_with = "id")]
    trace_id: Vec<u8>,
    #[serde(default, alias = "spanId", deserialize_with = "id")]
    span_id: Vec<u8>,
    #[serde(default, deserialize_with = "attributes")]
    attributes: Vec<KeyValue>,
    #[serde(default, alias = "droppedAttributesCount", deserialize_with = "number32")]
    dropped_attributes_count: u32,
}

#[derive(Debug, Default, Deserialize)]
struct JsonStatus {
    #[serde(default, deserialize_with = "status_code")]
    code: i32,
    #[serde(default, deserialize_with = "text")]
    message: String,
}

impl From<JsonSpan> for Span {
    fn from(json: JsonSpan) -> Self {
        Self {
            trace_id: json.trace_id,
            span_id: json.span_id,
            parent_span_id: json.parent_span_id,
            trace_state: json.trace_state,
            name: json.name,
            kind: json.kind,
            start_time_unix_nano: json.start_time_unix_nano,
            end_time_unix_nano: json.end_time_unix_nano,
            attributes: json.attributes,
            dropped_attributes_count: json.dropped_attributes_count,
            events: json.events.into_iter().map(Into::into).collect(),
            dropped_events_count: json.dropped_events_count,
            links: json.links.into_iter().map(Into::into).collect(),
            dropped_links_count: json.dropped_links_count,
            status: Some(Status { code: json.status.code, message: json.status.message }),
            flags: 0,
        }
    }
}

impl From<JsonEvent> for Event {
    fn from(json: JsonEvent) -> Self {
        Self {
            time_unix_nano: json.time_unix_nano,
            name: json.name,
            attributes: json.attributes,
            dropped_attributes_count: json.dropped_attributes_count,
        }
    }
}

impl From<JsonLink> for Link {
    fn from(json: JsonLink) -> Self {
        Self {
            trace_id: json.trace_id,
            span_id: json.span_id,
            attributes: json.attributes,
            dropped_attributes_count: json.dropped_attributes_count,
            ..Self::default()
        }
    }
}

/// A log record.
#[derive(Debug, Deserialize)]
pub struct JsonLog {
    #[serde(default, alias = "timeUnixNano", deserialize_with = "number")]
    time_unix_nano: u64,
    #[serde(default, alias = "observedTimeUnixNano", deserialize_with = "number")]
    observed_time_unix_nano: u64,
    #[serde(default, alias = "severityNumber", deserialize_with = "severity")]
    severity_number: i32,
    #[serde(default, alias = "severityText", deserialize_with = "text")]
    severity_text: String,
    #[serde(default)]
    body: Option<JsonValue>,
    #[serde(default, deserialize_with = "attributes")]
    attributes: Vec<KeyValue>,
    #[serde(default, alias = "droppedAttributesCount", deserialize_with = "number32")]
    dropped_attributes_count: u32,
    #[serde(default, alias = "traceId", deserialize_with = "id")]
    trace_id: Vec<u8>,
    #[serde(default, alias = "spanId", deserialize_with = "id")]
    span_id: Vec<u8>,
    #[serde(default, alias = "eventName", deserialize_with = "text")]
    event_name: String,
}

impl From<JsonLog> for LogRecord {
    fn from(json: JsonLog) -> Self {
        Self {
            time_unix_nano: json.time_unix_nano,
            observed_time_unix_nano: json.observed_time_unix_nano,
            severity_number: json.severity_number,
            severity_text: json.severity_text,
            body: json.body.map(|value| AnyValue { value: value.0 }),
            attributes: json.attributes,
            dropped_attributes_count: json.dropped_attributes_count,
            flags: 0,
            trace_id: json.trace_id,
            span_id: json.span_id,
            event_name: json.event_name,
        }
    }
}
