//! Spans, logs and metric points, after the OpenTelemetry data model and semantic conventions.

use super::cell::{Bool, Double, DoubleList, EventList, Int, Int4, IntList, LinkList, Text, TextMap, Time};
use super::{Partition, day_of};
use crate::canonical_table;

canonical_table! {
    /// One row a span. Both sides of an RPC (CLIENT and SERVER span) are kept. Clustered by trace id inside a file.
    "spans", SPANS, SpanRow, SpanBuilder;
    partition Partition::Day("start_time"), |row| row.start_time.map(day_of);
    key ["trace_id", "span_id"];
    cluster ["trace_id", "start_unix_nano"];
    bloom ["trace_id"];
    /// Trace id: 32 lowercase hex digits (16 from senders with 64-bit ids).
    trace_id: Text,
    /// Span id: 16 lowercase hex digits.
    span_id: Text,
    /// Span id of the parent; null for a root span.
    parent_span_id: Text,
    /// W3C tracestate as sent.
    trace_state: Text,
    /// Name of the operation.
    span_name: Text,
    /// SERVER, CLIENT, PRODUCER, CONSUMER, INTERNAL or UNSPECIFIED.
    span_kind: Text,
    /// UNSET, OK or ERROR.
    status_code: Text,
    /// Status description of an error.
    status_message: Text,
    /// When the span began, to the microsecond.
    start_time: Time,
    /// When the span began: nanoseconds since the epoch, exact.
    start_unix_nano: Int,
    /// End minus start, nanoseconds; negative when the sender's clock went backward.
    duration_nano: Int,
    /// service.name.
    service_name: Text,
    /// service.namespace.
    service_namespace: Text,
    /// service.version.
    service_version: Text,
    /// service.instance.id.
    service_instance_id: Text,
    /// deployment.environment.name (or the older deployment.environment).
    environment: Text,
    /// Tenant that the request was for (tenant.id).
    tenant_id: Text,
    /// End user (user.id, or the older enduser.id).
    user_id: Text,
    /// service.peer.name (or the older peer.service): who a client span called.
    peer_service: Text,
    /// http.route.
    http_route: Text,
    /// http.response.status_code.
    http_response_status_code: Int4,
    /// error.type, or exception.type of an exception event.
    error_type: Text,
    /// Name of the instrumentation scope.
    scope_name: Text,
    /// How many spans this one stands for, from tracestate ot=th; null when unknown.
    adjusted_count: Double,
    /// Resource attributes that have no column of their own.
    resource_attributes: TextMap,
    /// Span attributes that have no column of their own.
    attributes: TextMap,
    /// Events of the span in order.
    events: EventList,
    /// Links to other spans.
    links: LinkList,
}

canonical_table! {
    /// One row a log record.
    "logs", LOGS, LogRow, LogBuilder;
    partition Partition::Day("time"), |row| row.time.map(day_of);
    key ["time_unix_nano", "service_name", "body", "span_id"];
    cluster ["service_name", "time"];
    bloom ["trace_id"];
    /// When it happened (observed time where the sender gave no other).
    time: Time,
    /// When it happened: nanoseconds since the epoch, exact.
    time_unix_nano: Int,
    /// When the collector saw it.
    observed_time: Time,
    /// Trace that it belongs to, lowercase hex.
    trace_id: Text,
    /// Span that it belongs to, lowercase hex.
    span_id: Text,
    /// Severity as a number, 1 (TRACE) to 24 (FATAL4).
    severity_number: Int4,
    /// Severity as the sender wrote it.
    severity_text: Text,
    /// Body: text, or JSON for structured bodies.
    body: Text,
    /// Name of the event, when the record is one.
    event_name: Text,
    /// service.name.
    service_name: Text,
    /// service.version.
    service_version: Text,
    /// deployment.environment.name.
    environment: Text,
    /// Tenant that the record is about (tenant.id).
    tenant_id: Text,
    /// Resource attributes that have no column of their own.
    resource_attributes: TextMap,
    /// Attributes that have no column of their own.
    attributes: TextMap,
}

canonical_table! {
    /// One row a metric data point.
    "metric_points", METRIC_POINTS, MetricPointRow, MetricPointBuilder;
    partition Partition::Day("time"), |row| row.time.map(day_of);
    key ["time", "metric_name", "service_name", "resource_attributes", "attributes"];
    cluster ["metric_name", "service_name", "time"];
    bloom [];
    /// Time of the point.
    time: Time,
    /// Name of the metric.
    metric_name: Text,
    /// gauge, sum, histogram, exponential_histogram or summary.
    metric_kind: Text,
    /// Unit in UCUM.
    unit: Text,
    /// delta or cumulative; null for gauges.
    temporality: Text,
    /// Whether a sum only grows.
    is_monotonic: Bool,
    /// Value of a gauge or a sum.
    value: Double,
    /// Observations in a histogram or summary.
    count: Int,
    /// Sum of the observations.
    sum: Double,
    /// Upper bounds of the histogram's buckets (quantiles of a summary).
    bounds: DoubleList,
    /// Observations a bucket, one more than the bounds.
    bucket_counts: IntList,
    /// service.name.
    service_name: Text,
    /// deployment.environment.name.
    environment: Text,
    /// Tenant that the point is about (tenant.id).
    tenant_id: Text,
    /// Resource attributes that have no column of their own.
    resource_attributes: TextMap,
    /// Attributes of the point that have no column of their own.
    attributes: TextMap,
}
