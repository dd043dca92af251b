//! The shapes of Jaeger's JSON.

use std::borrow::Cow;

use serde::Deserialize;

use crate::ingest::telemetry::scalar::{AnyText, Scalar, list, nullable};

/// A span.
#[derive(Debug, Deserialize)]
pub struct Span<'a> {
    #[serde(rename = "traceID", alias = "traceId", default, borrow)]
    pub trace_id: Scalar<'a>,
    #[serde(rename = "spanID", alias = "spanId", default, borrow)]
    pub span_id: Scalar<'a>,
    /// Before references existed.
    #[serde(rename = "parentSpanID", alias = "parentSpanId", default, borrow)]
    pub parent_span_id: Scalar<'a>,
    #[serde(rename = "operationName", default, borrow)]
    pub operation_name: Scalar<'a>,
    #[serde(default, deserialize_with = "list", borrow)]
    pub references: Vec<Reference<'a>>,
    #[serde(rename = "startTime", default, borrow)]
    pub start_time: Option<Scalar<'a>>,
    #[serde(default, borrow)]
    pub duration: Option<Scalar<'a>>,
    #[serde(default, deserialize_with = "list", borrow)]
    pub tags: Vec<Tag<'a>>,
    #[serde(default, deserialize_with = "list", borrow)]
    pub logs: Vec<Log<'a>>,
    #[serde(rename = "processID", alias = "processId", default, borrow)]
    pub process_id: Scalar<'a>,
    /// Instead of a process id, where a span stands alone.
    #[serde(default, borrow)]
    pub process: Option<Process<'a>>,
    #[serde(default, deserialize_with = "list", borrow)]
    pub warnings: Vec<AnyText<'a>>,
}

/// A reference to another span.
#[derive(Debug, Deserialize)]
pub struct Reference<'a> {
    #[serde(rename = "refType", default, borrow)]
    pub ref_type: Scalar<'a>,
    #[serde(rename = "traceID", alias = "traceId", default, borrow)]
    pub trace_id: Scalar<'a>,
    #[serde(rename = "spanID", alias = "spanId", default, borrow)]
    pub span_id: Scalar<'a>,
}

/// A tag, or a field of a log.
#[derive(Debug, Deserialize)]
pub struct Tag<'a> {
    #[serde(default, borrow)]
    pub key: Cow<'a, str>,
    #[serde(default, borrow)]
    pub value: AnyText<'a>,
}

/// A log of a span.
#[derive(Debug, Deserialize)]
pub struct Log<'a> {
    #[serde(default, borrow)]
    pub timestamp: Scalar<'a>,
    #[serde(default, deserialize_with = "list", borrow)]
    pub fields: Vec<Tag<'a>>,
}

/// A process.
#[derive(Debug, Default, Deserialize)]
pub struct Process<'a> {
    #[serde(rename = "serviceName", default, deserialize_with = "nullable", borrow)]
    pub service_name: Cow<'a, str>,
    #[serde(default, deserialize_with = "list", borrow)]
    pub tags: Vec<Tag<'a>>,
}
