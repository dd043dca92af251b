"""psycopg 3 against a server that the environment's PG* variables name."""

import datetime
import decimal
import sys
import threading
import time

import psycopg

failures = []


def check(what, actual, expected):
    if actual != expected:
        failures.append(f"{what}: expected {expected!r}, got {actual!r}")


def state_of(connection, sql):
    try:
        connection.execute(sql)
    except psycopg.Error as error:
        return error.sqlstate
    return None


utc = datetime.timezone.utc
with psycopg.connect(autocommit=True) as connection:
    when = datetime.datetime(2026, 3, 1, 10, 0, tzinfo=utc)
    values = [True, 7, 2**40, 1.5, decimal.Decimal("12.340"), "text", b"\0\xff", datetime.date(2026, 3, 1), when]
    kinds = ["bool", "int4", "int8", "float8", "numeric(38,3)", "text", "bytea", "date", "timestamptz"]
    for binary in (False, True):
        for value, kind in zip(values, kinds):
            row = connection.execute(f"SELECT %s::{kind}", [value], binary=binary).fetchone()
            check(f"{kind} binary={binary}", row[0], value)
        row = connection.execute("SELECT ARRAY['a', NULL, 'b c'], NULL::int4", binary=binary).fetchone()
        check(f"array binary={binary}", row, (["a", None, "b c"], None))

    connection.execute("INSERT INTO changes (change_id, service_name) VALUES (%s, %s)", ["py1", "cart"])
    found = connection.execute("SELECT change_id FROM changes WHERE service_name = ANY(%s)", [["cart", "x"]]).fetchall()
    check("any", found, [("py1",)])

    check("undefined table", state_of(connection, "SELECT * FROM nothing"), "42P01")
    check("syntax", state_of(connection, "SELEC"), "42601")
    check("setting", state_of(connection, "SHOW nothing"), "42704")

    with connection.transaction():
        with connection.cursor(name="named") as cursor:
            cursor.itersize = 100
            cursor.execute("SELECT value FROM generate_series(1, 1000) ORDER BY 1")
            check("named cursor", sum(row[0] for row in cursor), 500500)

    threading.Timer(0.5, connection.cancel).start()
    begin = time.monotonic()
    slow = "SELECT count(*) FROM generate_series(1, 300000) a CROSS JOIN generate_series(1, 300000) b WHERE a.value % 7 = b.value % 11"
    check("cancel", state_of(connection, slow), "57014")
    check("cancelled soon", time.monotonic() - begin < 5, True)
    check("alive", connection.execute("SELECT 1").fetchone()[0], 1)

    import uuid
    from psycopg.types.json import Jsonb

    many = [True, -5, 2**31 - 1, 2**63 - 1, 1.5, decimal.Decimal("-0.50"), "x'\\", b"\0\xff", datetime.date(2024, 2, 29)]
    many += [datetime.time(12, 34, 56, 789), datetime.datetime(2024, 2, 29, 12, 0, 0, 1), when, uuid.UUID(int=5)]
    many += [datetime.timedelta(days=3, hours=4), [1, None, 3], [datetime.date(2024, 1, 1)]]
    for binary in (False, True):
        with connection.cursor(binary=binary) as cursor:
            for value in many:
                marker = "%b" if binary else "%t"
                try:
                    cursor.execute(f"SELECT {marker}", [value])
                    check(f"dumped {value!r} binary={binary}", cursor.fetchone()[0], value)
                except psycopg.Error as error:
                    failures.append(f"dumped {value!r} binary={binary}: {error}")
            # As text, psycopg leaves the type of strings to the server, which takes an unknown literal for text.
            texts = ["a", None, 'q"x'] if binary else '{a,NULL,"q\\"x"}'
            check("dumped texts", cursor.execute(f"SELECT {marker}", [["a", None, 'q"x']]).fetchone()[0], texts)
            check("json", cursor.execute("SELECT %s", [Jsonb({"a": [1, None]})]).fetchone()[0], {"a": [1, None]})

    with connection.pipeline():
        cursors = [connection.execute("SELECT %s::int * 2", [number]) for number in range(5)]
    check("pipeline", [cursor.fetchone()[0] for cursor in cursors], [0, 2, 4, 6, 8])

    with connection.cursor() as cursor:
        with cursor.copy("COPY (SELECT g, 'x' || g FROM generate_series(1, 3) AS g) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            check("copy binary", list(copy.rows()), [(1, "x1"), (2, "x2"), (3, "x3")])
        with cursor.copy("COPY changes (change_id, service_name, started_at) FROM STDIN") as copy:
            copy.write_row(("copied", None, when))
        row = cursor.execute("SELECT service_name, started_at FROM changes WHERE change_id = 'copied'").fetchone()
        check("copied", row, (None, when))
        for number in range(8):
            cursor.execute("SELECT %s::int + 1", [number], prepare=True)
            check("prepared", cursor.fetchone()[0], number + 1)

for failure in failures:
    print("FAILED psycopg", failure, file=sys.stderr)
if not failures:
    print("psycopg: passed")
sys.exit(bool(failures))
