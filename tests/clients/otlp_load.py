"""Load: batches of 1,000 spans over OTLP/HTTP protobuf from many connections, and what is acknowledged a second.

    python otlp_load.py http://127.0.0.1:4318 SECONDS [CONNECTIONS] [LAKE]

Needs the package opentelemetry-proto. With a lake it also tells the bytes a span of the files that the tables have.
Spans have ids of their own in every batch; names, services and attributes are of a few hundred kinds, as a real system's are.
"""

import asyncio
import os
import random
import sys
import time
from urllib.parse import urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SPANS = 1000
TEMPLATES = 32
# Four bytes of every id stand for the batch; they are replaced when it is sent.
MARK = b"\xfe\xed\xfa\xce"


def attribute(holder, key, value):
    added = holder.attributes.add()
    added.key = key
    if isinstance(value, int):
        added.value.int_value = value
    else:
        added.value.string_value = value


def template(chance):
    request = ExportTraceServiceRequest()
    start = 1_770_000_000_000_000_000
    for service in chance.sample(range(40), 4):
        resource = request.resource_spans.add()
        attribute(resource.resource, "service.name", f"service-{service}")
        attribute(resource.resource, "service.version", f"1.{service % 7}.0")
        attribute(resource.resource, "deployment.environment.name", "production")
        scope = resource.scope_spans.add()
        scope.scope.name = "io.opentelemetry.http"
        trace = parent = b""
        for number in range(SPANS // 4):
            if number % 10 == 0:
                trace, parent = MARK + chance.randbytes(12), b""
            span = scope.spans.add()
            span.trace_id, span.span_id, span.parent_span_id = trace, MARK + chance.randbytes(4), parent
            parent = span.span_id
            span.name = f"GET /resource/{chance.randrange(30)}"
            span.kind = 2 + number % 2
            start += chance.randrange(2_000_000)
            span.start_time_unix_nano = start
            span.end_time_unix_nano = start + int(chance.lognormvariate(16, 1))
            attribute(span, "http.route", f"/resource/{chance.randrange(30)}")
            attribute(span, "http.request.method", "GET")
            attribute(span, "http.response.status_code", 200 if chance.random() < 0.98 else 503)
            attribute(span, "server.address", f"host-{chance.randrange(20)}")
    return request.SerializeToString()


async def send(address, templates, counts, until):
    chance = random.Random(id(counts) ^ random.getrandbits(64))
    reader, writer = await asyncio.open_connection(*address)
    while time.monotonic() < until:
        body = chance.choice(templates).replace(MARK, chance.randbytes(4))
        head = (
            "POST /v1/traces HTTP/1.1\r\nhost: load\r\ncontent-type: application/x-protobuf\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        begun = time.monotonic()
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        for line in answer.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                await reader.readexactly(int(line.split(b":")[1]))
        status = int(answer.split(b" ")[1])
        counts[status] = counts.get(status, 0) + 1
        if status == 200:
            counts.setdefault("latencies", []).append(time.monotonic() - begun)
        else:
            await asyncio.sleep(1)
    writer.close()


async def main(url, seconds, connections):
    parts = urlsplit(url)
    templates = [template(random.Random(seed)) for seed in range(TEMPLATES)]
    counts = {}
    begun = time.monotonic()
    address = (parts.hostname, parts.port)
    await asyncio.gather(*(send(address, templates, counts, begun + seconds) for _ in range(connections)))
    took = time.monotonic() - begun
    latencies = sorted(counts.pop("latencies", [0.0]))
    p99 = latencies[int(len(latencies) * 0.99) - 1]
    spans = counts.get(200, 0) * SPANS
    print(f"{spans} spans acknowledged in {took:.1f} s: {spans / took:.0f} a second; p99 {p99:.2f} s; answers {counts}")
    print(f"{len(templates[0]) / SPANS:.0f} bytes a span on the wire")
    return spans


def stored(lake):
    folder = os.path.join(lake, "tables", "spans")
    walk = ((at, name) for at, _, names in os.walk(folder) for name in names if name.endswith(".parquet"))
    return sum(os.path.getsize(os.path.join(at, name)) for at, name in walk if "_delta_log" not in at)


if __name__ == "__main__":
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10.0
    connections = int(sys.argv[3]) if len(sys.argv) > 3 else 300
    lake = sys.argv[4] if len(sys.argv) > 4 else None
    before = stored(lake) if lake else 0
    landed = asyncio.run(main(sys.argv[1], seconds, connections))
    if lake and landed:
        print(f"{(stored(lake) - before) / landed:.1f} bytes a span at rest, before compaction")
