"""A company's telemetry as Parquet files: spans in order of time, deployments, ownership, cost and role sessions.

Deterministic. About 400,000 spans a second on one core. Times are nanoseconds since 1970 as integers, which all
engines read alike.
"""

import hashlib
import os
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HOUR = 3_600_000_000_000
START = 1_772_323_200_000_000_000  # 2026-03-01T00:00:00Z
DAYS = 30
SERVICES = [f"{area}-{part}" for area in ("cart", "checkout", "search", "account", "media", "ledger", "mail", "geo")
            for part in ("api", "worker", "cache", "store", "gateway")]
ENVIRONMENTS = ["prod", "staging"]
TEAMS = [f"team-{name}" for name in ("ash", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine")]
CHUNK = 1_000_000
ROW_GROUP = 131_072


def text(values, choices):
    """A column of few distinct texts."""
    return pa.DictionaryArray.from_arrays(pa.array(choices, pa.int32()), pa.array(values)).cast(pa.string())


def ids(low, high, width):
    """Fixed-size binary ids from integers."""
    raw = np.empty((len(low), width // 8), dtype=">u8")
    raw[:, -1] = low
    if width == 16:
        raw[:, 0] = high
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(low), [None, pa.py_buffer(raw.tobytes())])


def scrambled(numbers):
    """Numbers that look random and are as distinct as those given (the finaliser of SplitMix64)."""
    mixed = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def deployments(random):
    rows = []
    for service in range(len(SERVICES)):
        for environment in range(len(ENVIRONMENTS)):
            moments = np.unique(random.integers(START, START + DAYS * 24 * HOUR, 45))
            rows.extend((moment, service, environment) for moment in moments)
    rows.sort()
    moments, services, environments = (np.array(column) for column in zip(*rows))
    return moments, services, environments


def spans(count, sessions, deploys, random, path):
    writer, done, trace = None, 0, 0
    while done < count:
        rows = min(CHUNK, count - done)
        sizes = random.geometric(1 / 12, rows // 8 + 64).clip(1, 200)
        sizes = sizes[: int(np.searchsorted(np.cumsum(sizes), rows)) + 1]
        sizes[-1] -= sizes.sum() - rows
        first = np.repeat(np.cumsum(sizes) - sizes, sizes)
        place = np.arange(rows) - first
        window = DAYS * 24 * HOUR * rows / count
        begins = np.sort(random.integers(0, int(window), len(sizes))) + START + int(DAYS * 24 * HOUR * done / count)
        parent = first + (random.random(rows) * place).astype(np.int64)
        numbers = scrambled(np.arange(done, done + rows) + 1)
        traces = scrambled(np.repeat(np.arange(trace, trace + len(sizes)), sizes) + (1 << 40))
        length = (random.exponential(40e6, rows) / (1 + place)).astype(np.int64) + 1000
        begin = np.repeat(begins, sizes) + (place * random.integers(10_000, 900_000, rows))
        service = random.zipf(1.3, rows) % len(SERVICES)
        environment = np.repeat((random.random(len(sizes)) < 0.15).astype(np.int64), sizes)
        kind = np.where(place == 0, 0, random.integers(0, 3, rows))
        bad = random.random(rows) < 0.01 + 0.04 * (service % 7 == 3)
        human = random.random(rows) < 0.7
        version = (np.searchsorted(deploys, begin) // 97 + service) % 60
        order = np.argsort(begin, kind="stable")
        root = pa.array(place[order] == 0)
        columns = {
            "trace_id": ids(traces[order], traces[order] ^ np.uint64(0x5DEECE66D), 16),
            "span_id": ids(numbers[order], None, 8),
            "parent_span_id": pa.compute.if_else(root, None, ids(numbers[parent][order], None, 8)),
            "service_name": text(SERVICES, service[order]),
            "env": text(ENVIRONMENTS, environment[order]),
            "service_version": text([f"v1.{number}" for number in range(60)], version[order]),
            "kind": text(["SERVER", "CLIENT", "INTERNAL"], kind[order]),
            "status_code": text(["OK", "ERROR"], bad[order].astype(np.int64)),
            "start_ns": pa.array(begin[order]),
            "duration_ns": pa.array(length[order]),
            "principal": pa.compute.if_else(pa.array(human[order]), None,
                                            text(sessions, random.integers(0, len(sessions), rows))),
        }
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=ROW_GROUP)
        done, trace = done + rows, trace + len(sizes)
    writer.close()


def role_sessions(random, path):
    count, principals = 20_000, [f"role/svc-{number}" for number in range(120)]
    begin = np.sort(random.integers(START, START + DAYS * 24 * HOUR, count))
    end = begin + random.integers(15 * 60_000_000_000, 4 * HOUR, count)
    pq.write_table(pa.table({
        "session_name": pa.array([f"s-{number}" for number in range(count)]),
        "actor": text([f"user-{number}" for number in range(60)], random.integers(0, 60, count)),
        "principal": text(principals, random.integers(0, len(principals), count)),
        "begin_ns": pa.array(begin),
        "end_ns": pa.array(end),
    }), path)
    return principals


def ownership(random, path):
    rows = []
    for service in SERVICES:
        cuts = sorted(random.integers(START, START + DAYS * 24 * HOUR, 3).tolist())
        for begin, end in zip([START - HOUR, *cuts], [*cuts, None]):
            rows.append((service, TEAMS[random.integers(0, len(TEAMS))], begin, end))
    names = ["service_name", "team", "valid_from_ns", "valid_to_ns"]
    types = [pa.string(), pa.string(), pa.int64(), pa.int64()]
    pq.write_table(pa.table([pa.array(column, kind) for column, kind in zip(zip(*rows), types)], names), path)


def cost(random, path):
    hours = np.repeat(np.arange(DAYS * 24), len(SERVICES) + 1)
    service = np.tile(np.arange(len(SERVICES) + 1), DAYS * 24)
    shared = pa.array(service == len(SERVICES))
    pq.write_table(pa.table({
        "hour": pa.array(hours + START // HOUR),
        "service_name": pa.compute.if_else(shared, None, text(SERVICES, service % len(SERVICES))),
        "cost": pa.array(random.exponential(3.0, len(hours)).round(4)),
    }), path)


def generate(folder, count):
    """Write the files of `count` spans into a folder, and the id of one of their traces."""
    os.makedirs(folder, exist_ok=True)
    random = np.random.default_rng(int.from_bytes(hashlib.sha256(b"peers").digest()[:8], "big"))
    moments, services, environments = deployments(random)
    pq.write_table(pa.table({
        "deploy_id": pa.array(np.arange(len(moments))),
        "service_name": text(SERVICES, services),
        "env": text(ENVIRONMENTS, environments),
        "start_ns": pa.array(moments),
    }), f"{folder}/deploys.parquet")
    principals = role_sessions(random, f"{folder}/sessions.parquet")
    ownership(random, f"{folder}/ownership.parquet")
    cost(random, f"{folder}/cost.parquet")
    spans(count, principals, moments, random, f"{folder}/spans.parquet")
    some = pq.ParquetFile(f"{folder}/spans.parquet").read_row_group(0, ["trace_id"])["trace_id"]
    with open(f"{folder}/trace", "w", encoding="ascii") as file:
        file.write(some[len(some) // 2].as_py().hex())


if __name__ == "__main__":
    generate(sys.argv[1], int(sys.argv[2]))
