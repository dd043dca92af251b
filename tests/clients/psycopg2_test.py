"""psycopg2 against a server that the environment's PG* variables name: the client writes values into the statement."""

import datetime
import decimal
import io
import json
import math
import sys
import uuid

import psycopg2
import psycopg2.extras
from psycopg2 import errors, sql

failures = []


def check(what, actual, expected):
    if actual != expected:
        failures.append(f"{what}: expected {expected!r}, got {actual!r}")


def one(statement, values=None, row=None):
    """The only value, or the error in its place."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            found = cursor.fetchone()
            return found[0] if row is None else tuple(found)
    except psycopg2.Error as error:
        return f"{error.pgcode} {error}".strip()


def refused(what, statement, kind, values=None):
    """That the statement fails as psycopg2's class of the SQLSTATE, and what was said."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
        failures.append(f"{what}: expected {kind.__name__}, got {cursor.statusmessage}")
    except psycopg2.Error as error:
        check(what, type(error).__name__, kind.__name__)
        return error.diag
    return None


psycopg2.extras.register_uuid()
utc = datetime.timezone.utc
connection = psycopg2.connect("")
connection.autocommit = True
check("version", connection.server_version >= 140000, True)
check("encoding", connection.encoding, "UTF8")
check("parameter", connection.get_parameter_status("integer_datetimes"), "on")
check("pid", one("SELECT pg_backend_pid()"), connection.get_backend_pid())

# Values both ways.
when = datetime.datetime(2024, 2, 29, 12, 34, 56, 789, tzinfo=utc)
values = [True, False, None, 0, -7, 2**31 - 1, 2**31, -(2**63), 1.5, decimal.Decimal("12.340"), "", "x'\\%",
          "naïve ☃\n\t", datetime.date(2024, 2, 29), datetime.time(12, 34, 56, 789), when.replace(tzinfo=None), when,
          datetime.timedelta(days=3, hours=4, microseconds=5), datetime.timedelta(days=-1), uuid.UUID(int=5), math.inf, -math.inf,
          [1, None, 3], [2**40], ["a", None, 'q"x', "", "NULL", "b,c"], [1.5, 2.5], [decimal.Decimal("1.50")], [True, None],
          [datetime.date(2024, 2, 29)], [when], [[1, 2], [3, 4]]]
for value in values:
    check(f"value {value!r}", one("SELECT %s", [value]), value)
for value in (1e300, 5e-324, 0.1, -0.0, math.inf):
    check(f"double {value!r}", repr(one("SELECT %s::float8", [value])), repr(value))
check("nan", repr(one("SELECT %s", [math.nan])), "nan")
check("bytes", bytes(one("SELECT %s", [psycopg2.Binary(bytes(range(256)))])), bytes(range(256)))
check("numeric", one("SELECT 12345678901234567890.125::numeric(38,3)"), decimal.Decimal("12345678901234567890.125"))
check("in", one("SELECT 2 IN %s", [(1, 2, 3)]), True)
check("named values", one("SELECT %(a)s || %(b)s || %(a)s", {"a": "x", "b": "y"}), "xyx")
check("any", one("SELECT count(*) FROM generate_series(1, 9) AS g WHERE g = ANY(%s)", [[2, 3, 99]]), 2)
check("empty array", one("SELECT %s::int[]", [[]]), [])
check("intervals", one("SELECT interval '1 mon', interval '-1 day +02:03:04.5', interval '90 min'", row=True),
      (datetime.timedelta(days=30), datetime.timedelta(days=-1, hours=2, minutes=3, seconds=4.5), datetime.timedelta(minutes=90)))
check("dates that are none", one("SELECT 'infinity'::date::text, 'infinity'::timestamp::text, '-infinity'::timestamptz::text",
                                 row=True), ("infinity", "infinity", "-infinity"))
check("jsonb", one("SELECT %s::jsonb", [psycopg2.extras.Json({"a": [1, None, "☃"]})]), {"a": [1, None, "☃"]})
check("json", one("SELECT %s::json -> 'a'", [psycopg2.extras.Json({"a": [1, None]})]), [1, None])
psycopg2.extras.register_default_jsonb(connection, loads=lambda text: ("own", json.loads(text)))
check("own jsonb", one("SELECT '[1]'::jsonb"), ("own", [1]))
one("SET TIME ZONE 'Europe/Paris'", row=True)
check("timezone", str(one("SELECT timestamptz '2024-07-01 10:00:00+00'")), "2024-07-01 12:00:00+02:00")
one("SET TIME ZONE 'Asia/Kolkata'", row=True)
check("half hours", str(one("SELECT timestamptz '2024-07-01 10:00:00+00'")), "2024-07-01 15:30:00+05:30")
one("RESET TIME ZONE", row=True)

# Cursors and rows.
with connection.cursor() as cursor:
    cursor.execute("SELECT 1 AS a, 1.5::numeric(10,2) AS b, 'x'::varchar(5) AS c, now() AS d, ARRAY[1] AS e, change_id FROM changes LIMIT 0")
    check("names", [column.name for column in cursor.description], ["a", "b", "c", "d", "e", "change_id"])
    check("types", [column.type_code for column in cursor.description], [23, 1700, 1043, 1184, 1007, 25])
    check("precision", (cursor.description[1].precision, cursor.description[1].scale), (10, 2))
    check("no rows", (cursor.rowcount, cursor.fetchone(), cursor.statusmessage), (0, None, "SELECT 0"))
    cursor.execute("SELECT 1; SELECT 2 AS last")
    check("several", cursor.fetchall(), [(2,)])
    cursor.callproc("generate_series", [1, 3])
    check("callproc", cursor.fetchall(), [(1,), (2,), (3,)])
    cursor.execute(sql.SQL("SELECT {} AS {}, {} FROM {}").format(sql.Literal("it's"), sql.Identifier('A "b"'), sql.Identifier("g"),
                   sql.SQL("generate_series(1, 1) AS g")))
    check("composed", (cursor.fetchall(), cursor.description[0].name), ([("it's", 1)], 'A "b"'))
    found = psycopg2.extras.execute_values(cursor, "SELECT a, b FROM (VALUES %s) AS t(a, b) WHERE a > 1 ORDER BY a",
                                           [(n, f"x{n}") for n in range(1, 251)], page_size=100, fetch=True)
    check("execute_values", (len(found), found[0], found[-1]), (249, (2, "x2"), (250, "x250")))
    psycopg2.extras.execute_batch(cursor, "SELECT %s::int", [(n,) for n in range(7)], page_size=3)
    check("execute_batch", cursor.fetchall(), [(6,)])
    cursor.executemany("SELECT %s::int", [(1,), (2,)])
    check("executemany", cursor.rowcount, 2)
with connection.cursor(cursor_factory=psycopg2.extras.DictCursor) as cursor:
    cursor.execute("SELECT 1 AS a, NULL AS b")
    row = cursor.fetchone()
    check("DictCursor", (row["a"], row[1], dict(row)), (1, None, {"a": 1, "b": None}))
with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
    cursor.execute("SELECT count(*), sum(g) FROM generate_series(1, 4) AS g")
    check("RealDictCursor", dict(cursor.fetchone()), {"count": 4, "sum": 10})
with connection.cursor(cursor_factory=psycopg2.extras.NamedTupleCursor) as cursor:
    cursor.execute("SELECT 1 AS a, 2")
    check("NamedTupleCursor", cursor.fetchone()._asdict(), {"a": 1, "f_column_": 2})

# COPY.
out = io.StringIO()
with connection.cursor() as cursor:
    cursor.copy_expert("COPY (SELECT g, 'a,' || g AS t, NULL AS n FROM generate_series(1, 2) AS g) TO STDOUT WITH CSV HEADER", out)
    check("copy csv", out.getvalue(), 'g,t,n\n1,"a,1",\n2,"a,2",\n')
    binary = io.BytesIO()
    cursor.copy_expert("COPY (SELECT 1 AS a) TO STDOUT WITH BINARY", binary)
    check("copy binary", binary.getvalue()[-12:], b"\0\x01\0\0\0\x04\0\0\0\x01\xff\xff")
    psycopg2.extras.execute_values(cursor, "INSERT INTO changes (change_id, service_name, started_at) VALUES %s",
                                   [("two1", "psy", when), ("two2", "psy", None)])
    check("inserted", cursor.rowcount, 2)
    cursor.copy_from(io.StringIO("two3\tpsy\t2024-02-29 13:00:00+00\ntwo4\tpsy\t\\N\n"), "changes",
                     columns=("change_id", "service_name", "started_at"))
    cursor.execute("SELECT change_id, started_at FROM changes WHERE service_name = 'psy' ORDER BY change_id")
    check("stored", cursor.fetchall(), [("two1", when), ("two2", None), ("two3", datetime.datetime(2024, 2, 29, 13, tzinfo=utc)),
                                       ("two4", None)])
    out = io.StringIO()
    cursor.copy_expert("COPY (SELECT change_id FROM changes WHERE service_name = 'psy' ORDER BY 1) TO STDOUT", out)
    check("copied out", out.getvalue(), "two1\ntwo2\ntwo3\ntwo4\n")

# Errors.
said = refused("table", "SELECT * FROM nothing", errors.UndefinedTable)
check("diag", (said.severity, said.sqlstate, said.message_primary, said.statement_position),
      ("ERROR", "42P01", 'relation "nothing" does not exist', "15"))
said = refused("column", "SELECT nope FROM changes", errors.UndefinedColumn)
check("diag column", (said.message_primary, said.statement_position), ('column "nope" does not exist', "8"))
for what, statement, kind in [
    ("function", "SELECT nope(1)", errors.UndefinedFunction), ("syntax", "SELEC 1", errors.SyntaxError),
    ("division", "SELECT 1 / 0", errors.DivisionByZero), ("setting", "SHOW nothing", errors.UndefinedObject),
    ("integer", "SELECT 'x'::int", errors.InvalidTextRepresentation), ("range", "SELECT 2147483647 + 1", errors.NumericValueOutOfRange),
    ("rows", "SELECT (SELECT g FROM generate_series(1, 2) AS g)", errors.CardinalityViolation),
    ("group", "SELECT change_id, count(*) FROM changes", errors.GroupingError),
    ("ambiguous", "SELECT a FROM (VALUES (1)) x(a), (VALUES (1)) y(a)", errors.AmbiguousColumn),
    ("date", "SELECT '2024-02-30'::date", errors.DatetimeFieldOverflow), ("no date", "SELECT 'x'::date", errors.InvalidDatetimeFormat),
    ("schema", "SELECT * FROM nowhere.nothing", errors.UndefinedTable), ("type", "SELECT 1::nothing", errors.UndefinedObject),
    ("operator", "SELECT 1 + 'a'::text", errors.UndefinedFunction), ("cursor", "FETCH 1 FROM nothing", errors.InvalidCursorName),
    ("prepared", "EXECUTE nothing", errors.InvalidSqlStatementName),
]:
    refused(what, statement, kind)
with connection.cursor() as cursor:
    cursor.execute("DROP VIEW IF EXISTS nothing")
    cursor.execute("COMMIT")
check("notices", connection.notices, ['NOTICE:  view "nothing" does not exist, skipping\n', "WARNING:  there is no transaction in progress\n"])
connection.close()

for failure in failures:
    print("FAILED psycopg2", failure, file=sys.stderr)
if not failures:
    print("psycopg2: passed")
sys.exit(bool(failures))
