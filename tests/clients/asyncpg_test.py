"""asyncpg against a server that the environment's PG* variables name: every value is binary, types are looked up."""

import asyncio
import datetime
import decimal
import sys
import uuid

import asyncpg

failures = []


def check(what, actual, expected):
    if actual != expected:
        failures.append(f"{what}: expected {expected!r}, got {actual!r}")


async def state_of(connection, sql, *arguments):
    try:
        await connection.fetch(sql, *arguments)
    except asyncpg.PostgresError as error:
        return error.sqlstate
    return None


async def values(connection):
    utc = datetime.timezone.utc
    cases = [
        ("bool", True),
        ("int2", -5),
        ("int4", 2**31 - 1),
        ("int8", -(2**63)),
        ("float4", 1.5),
        ("float8", 1e300),
        ("numeric(38,3)", decimal.Decimal("12345678901234567890.125")),
        ("text", "naïve ☃"),
        ("varchar", "x"),
        ("bytea", b"\x00\xff"),
        ("date", datetime.date(2024, 2, 29)),
        ("time", datetime.time(12, 34, 56, 789)),
        ("timestamp", datetime.datetime(2024, 2, 29, 12, 34, 56, 789)),
        ("timestamptz", datetime.datetime(1999, 12, 31, 23, 59, tzinfo=utc)),
        ("interval", datetime.timedelta(days=3, hours=4, microseconds=5)),
        ("uuid", uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
        ("jsonb", '{"a": [1, null]}'),
        ("int4[]", [1, None, 3]),
        ("text[]", ["a", None, 'q"x', ""]),
        ("float8[]", [1.5, float("inf")]),
    ]
    for kind, value in cases:
        try:
            check(kind, await connection.fetchval(f"SELECT $1::{kind}", value), value)
            check(f"{kind} null", await connection.fetchval(f"SELECT $1::{kind}", None), None)
        except Exception as error:  # noqa: BLE001
            failures.append(f"{kind}: {type(error).__name__} {error}")


async def main():
    connection = await asyncpg.connect()
    await values(connection)
    check("literal", await connection.fetchval("SELECT 1 + $1", 2), 3)
    check("any", await connection.fetchval("SELECT $1 = ANY($2::int[])", 2, [1, 2]), True)
    record = await connection.fetchrow("SELECT 1 AS a, 'x' AS b, NULL AS c")
    check("record", dict(record), {"a": 1, "b": "x", "c": None})

    statement = await connection.prepare("SELECT change_id FROM changes WHERE service_name = ANY($1) ORDER BY 1")
    check("parameters", [parameter.name for parameter in statement.get_parameters()], ["text[]"])
    check("attributes", [attribute.name for attribute in statement.get_attributes()], ["change_id"])
    await connection.execute("INSERT INTO changes (change_id, service_name) VALUES ($1, $2)", "async1", "async")
    check("prepared", [row[0] for row in await statement.fetch(["async", "x"])], ["async1"])

    async with connection.transaction():
        cursor = await connection.cursor("SELECT g FROM generate_series(1, 250) AS g ORDER BY g")
        first = await cursor.fetch(100)
        await cursor.forward(50)
        rest = await cursor.fetch(1000)
        check("cursor", (len(first), rest[0][0], rest[-1][0]), (100, 151, 250))
    total = 0
    async with connection.transaction(readonly=True, isolation="repeatable_read"):
        check("isolation", await connection.fetchval("SHOW transaction_isolation"), "repeatable read")
        async for row in connection.cursor("SELECT g FROM generate_series(1, 1000) AS g"):
            total += row[0]
    check("iteration", total, 500500)

    check("missing table", await state_of(connection, "SELECT * FROM nothing"), "42P01")
    check("division", await state_of(connection, "SELECT 1 / $1::int", 0), "22012")
    check("overflow", await state_of(connection, "SELECT 2147483647 + $1::int", 1), "22003")
    check("alive", await connection.fetchval("SELECT 1"), 1)

    out = bytearray()

    async def take(data):
        out.extend(data)

    await connection.copy_from_query("SELECT 1 AS a, 'b' AS c", output=take, format="csv", header=True)
    check("copy csv", bytes(out), b"a,c\n1,b\n")
    out.clear()
    await connection.copy_from_query("SELECT 1 AS a", output=take, format="binary")
    check("copy binary", bytes(out[-6:]), b"\0\0\0\x01\xff\xff")
    await connection.close()

    pool = await asyncpg.create_pool(min_size=2, max_size=4)
    results = await asyncio.gather(*(pool.fetchval("SELECT $1::int * 2", number) for number in range(20)))
    check("pool", results, [number * 2 for number in range(20)])
    await pool.close()


asyncio.run(main())
for failure in failures:
    print("FAILED asyncpg", failure, file=sys.stderr)
if not failures:
    print("asyncpg: passed")
sys.exit(bool(failures))
