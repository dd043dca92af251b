"""The exporters of the OpenTelemetry SDK for Python, over HTTP and gRPC, into a server; then asked by psql's protocol.

OTLP_HTTP and OTLP_GRPC name the endpoints, PGHOST and PGPORT the server.
"""

import os

import psycopg
from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc import _log_exporter as grpc_logs
from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as grpc_metrics
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc_traces
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http import _log_exporter as http_logs
from opentelemetry.exporter.otlp.proto.http import metric_exporter as http_metrics
from opentelemetry.exporter.otlp.proto.http import trace_exporter as http_traces
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

HTTP, GRPC = os.environ["OTLP_HTTP"], os.environ["OTLP_GRPC"]


def exporters(way):
    if way == "http":
        options = {"compression": Compression.Gzip}
        return (
            http_traces.OTLPSpanExporter(endpoint=f"{HTTP}/v1/traces", **options),
            http_logs.OTLPLogExporter(endpoint=f"{HTTP}/v1/logs", **options),
            http_metrics.OTLPMetricExporter(endpoint=f"{HTTP}/v1/metrics", **options),
        )
    options = {"endpoint": GRPC, "insecure": True}
    return (
        grpc_traces.OTLPSpanExporter(**options),
        grpc_logs.OTLPLogExporter(**options),
        grpc_metrics.OTLPMetricExporter(**options),
    )


def send(way):
    spans, logs, metrics = exporters(way)
    resource = Resource.create({"service.name": f"sdk-{way}", "service.version": "1.2.3"})
    tracer_provider = TracerProvider(resource=resource)
    tracer_provider.add_span_processor(BatchSpanProcessor(spans))
    tracer = tracer_provider.get_tracer("tests", "9")
    with tracer.start_as_current_span("earlier") as earlier:
        linked = earlier.get_span_context()
    attributes = {"http.route": "/pay", "retries": 3, "tags": ["a", "b"]}
    links = [trace.Link(linked, {"why": "follows"})]
    with tracer.start_as_current_span("pay", kind=SpanKind.SERVER, attributes=attributes, links=links) as span:
        span.add_event("charged", {"amount": 12})
        span.set_status(Status(StatusCode.ERROR, "card declined"))
        logger_provider = LoggerProvider(resource=resource)
        logger_provider.add_log_record_processor(SimpleLogRecordProcessor(logs))
        logger_provider.get_logger("tests").emit(
            severity_number=SeverityNumber.WARN, severity_text="WARN", body="declined", attributes={"code": "51"}
        )
    reader = PeriodicExportingMetricReader(metrics, export_interval_millis=3_600_000)
    view = View(instrument_name="size", aggregation=ExponentialBucketHistogramAggregation())
    meter_provider = MeterProvider(resource=resource, metric_readers=[reader], views=[view])
    meter = meter_provider.get_meter("tests")
    meter.create_counter("paid", unit="1").add(5, {"method": "card"})
    for value in (1, 2, 4, 8):
        meter.create_histogram("size", unit="By").record(value)
    for provider in (tracer_provider, logger_provider, meter_provider):
        assert provider.force_flush(20_000), f"{provider} over {way}"
        provider.shutdown()
    return linked


def asked(cursor, sql):
    return cursor.execute(sql).fetchall()


def check(cursor, way, linked):
    found = asked(
        cursor,
        "SELECT span_name, span_kind, status_code, status_message, http_route, attributes['retries'], attributes['tags'], "
        f"service_version, scope_name, parent_span_id FROM spans WHERE service_name = 'sdk-{way}' AND span_name = 'pay'",
    )
    expected = ("pay", "SERVER", "ERROR", "card declined", "/pay", "3", '["a","b"]', "1.2.3", "tests", None)
    assert found == [expected], found
    found = asked(
        cursor,
        "SELECT events[1]['name'], events[1]['attributes']['amount'], links[1]['trace_id'], links[1]['span_id'], "
        f"links[1]['attributes']['why'] FROM spans WHERE service_name = 'sdk-{way}' AND span_name = 'pay'",
    )
    assert found == [("charged", "12", f"{linked.trace_id:032x}", f"{linked.span_id:016x}", "follows")], found
    found = asked(
        cursor,
        "SELECT l.body, l.severity_number, l.severity_text, l.attributes['code'], s.span_name FROM logs l "
        f"JOIN spans s ON l.trace_id = s.trace_id AND l.span_id = s.span_id WHERE l.service_name = 'sdk-{way}'",
    )
    assert found == [("declined", 13, "WARN", "51", "pay")], found
    found = asked(
        cursor,
        "SELECT metric_name, metric_kind, temporality, value, count, sum, attributes['method'] FROM metric_points "
        f"WHERE service_name = 'sdk-{way}' AND metric_name IN ('paid', 'size') ORDER BY 1",
    )
    expected = [
        ("paid", "sum", "cumulative", 5.0, None, None, "card"),
        ("size", "exponential_histogram", "cumulative", None, 4, 15.0, None),
    ]
    # The last flush and the shutdown may each export once.
    assert sorted(set(found), key=lambda row: row[0]) == expected, found
    found = asked(
        cursor,
        "SELECT array_length(bounds, 1) + 1 = array_length(bucket_counts, 1) FROM metric_points "
        f"WHERE service_name = 'sdk-{way}' AND metric_name = 'size'",
    )
    assert set(found) == {(True,)}, found


address = f"host={os.environ['PGHOST']} port={os.environ['PGPORT']} user=ada dbname=ascribe"
# Without autocommit all would be one transaction, which sees each table as it was first read.
with psycopg.connect(address, autocommit=True) as connection:
    for way in ("http", "grpc"):
        linked = send(way)
        check(connection.cursor(), way, linked)
        print(f"ok  the OpenTelemetry SDK for Python over {way}")
