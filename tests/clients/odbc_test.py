"""PostgreSQL's ODBC driver by pyodbc, without a DSN, against a server that the environment's PG* variables name.

With and without UseDeclareFetch, where the driver reads every result by a cursor of the server.
"""

import datetime
import decimal
import os
import sys
import threading
import time
import uuid

import pyodbc

failures = []


def check(what, actual, expected):
    if actual != expected:
        failures.append(f"{what}: expected {expected!r}, got {actual!r}")


def connect(options="", **keywords):
    host, port, user, database = (os.environ[f"PG{name}"] for name in ("HOST", "PORT", "USER", "DATABASE"))
    server = f"DRIVER={{PostgreSQL Unicode}};SERVER={host};PORT={port};DATABASE={database};UID={user};{options}"
    return pyodbc.connect(server, **keywords)


def state_of(connection, sql, *values):
    try:
        connection.execute(sql, *values).fetchall()
    except pyodbc.Error as error:
        return error.args[0]
    return None


def rows(ask, *arguments, **keywords):
    """The rows of a statement or of a function of the catalog, or the error in their place."""
    try:
        return [tuple(row) for row in ask(*arguments, **keywords).fetchall()]
    except pyodbc.Error as error:
        return " ".join(error.args)


def values(how, connection):
    """Values as literals and as parameters, which the driver prepares."""
    one = connection.execute(
        "SELECT 1, 2::bigint, 3::smallint, 1.5::numeric(10,2), 1.5::float8, 2.5::float4, true, 'x', 'naïve ☃', date '2024-02-29',"
        r" time '12:34:56', timestamp '2024-02-29 12:34:56.789', '\x00ff'::bytea, '\x'::bytea, NULL, NULL::int,"
        " 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '{\"a\": 1}'::jsonb, interval '1 day 02:00', ARRAY[1, NULL]"
    )
    check(f"{how} literals", tuple(one.fetchone()), (
        1, 2, 3, decimal.Decimal("1.50"), 1.5, 2.5, True, "x", "naïve ☃", datetime.date(2024, 2, 29),
        datetime.time(12, 34, 56), datetime.datetime(2024, 2, 29, 12, 34, 56, 789000), b"\0\xff", b"", None, None,
        "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", '{"a": 1}', "1 day 02:00:00", "{1,NULL}"))
    one = connection.execute("SELECT 1 AS a, 1.5::numeric(10,2) AS b, 'x'::text AS c, now() AS d, 2::bigint")
    check(f"{how} columns", [(column[0], column[1].__name__, column[4], column[5]) for column in one.description],
          [("a", "int", 10, 0), ("b", "Decimal", 10, 2), ("c", "str", 8190, 0), ("d", "datetime", 26, 6), ("int8", "int", 19, 0)])
    one.fetchall()
    cases = [
        ("int", -(2**31)), ("bigint", 2**63 - 1), ("numeric(30,3)", decimal.Decimal("123456789012345678901234567.125")),
        ("float8", -1.5e300), ("boolean", True), ("text", ""), ("text", "it's \\ ? naïve ☃ 𝄞"), ("varchar(10)", "x"), ("text", "y" * 9000),
        ("date", datetime.date(1999, 12, 31)), ("time", datetime.time(23, 59, 58)), ("bytea", bytes(range(256))),
        ("timestamp", datetime.datetime(2024, 2, 29, 12, 34, 56, 789000)),
        ("timestamptz", datetime.datetime(2024, 2, 29, 12, 34, 56, 1000)), ("text", None), ("int", None), ("date", None),
    ]
    for kind, value in cases:
        try:
            check(f"{how} {kind}", connection.execute(f"SELECT CAST(? AS {kind})", value).fetchone()[0], value)
        except pyodbc.Error as error:
            failures.append(f"{how} {kind}: {error}")
    found = connection.execute("SELECT CAST(? AS uuid)", uuid.UUID(int=5)).fetchone()[0]
    check(f"{how} uuid", found, "00000000-0000-0000-0000-000000000005")
    found = rows(connection.execute, "SELECT g, g + ? FROM generate_series(1, 4) AS g WHERE g <> ? ORDER BY g", 10, 2)
    check(f"{how} parameters", found, [(1, 11), (3, 13), (4, 14)])
    found = rows(connection.execute, "SELECT count(*) FROM changes WHERE started_at BETWEEN ? AND ? AND service_name IN (?, ?) AND kind LIKE ?",
                 datetime.datetime(2024, 1, 1), datetime.datetime(2024, 2, 1), "a", "b", "c%")
    check(f"{how} conditions", found, [(0,)])
    cursor = connection.cursor()
    for number in range(8):
        check(f"{how} prepared", cursor.execute("SELECT ?::int * 2", number).fetchval(), number * 2)
    check(f"{how} escapes", tuple(connection.execute(
        "SELECT {fn UCASE('ab')}, {d '2024-02-29'}, {ts '2024-02-29 12:00:00'}, {fn LENGTH('abc')}").fetchone()),
        ("AB", datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 12), 3))


def many(how, connection):
    """More rows than are fetched at once, several results at once, and the count of them."""
    cursor = connection.execute("SELECT g, 'row ' || g FROM generate_series(1, 10000) AS g ORDER BY g")
    other = connection.execute("SELECT g FROM generate_series(1, 250) AS g ORDER BY g")
    first, second = cursor.fetchmany(150), other.fetchmany(120)
    rest, others = cursor.fetchall(), other.fetchall()
    check(f"{how} rows", (tuple(first[149]), tuple(rest[0]), tuple(rest[-1])), ((150, "row 150"), (151, "row 151"), (10000, "row 10000")))
    check(f"{how} at once", (second[-1][0], others[0][0], others[-1][0], len(rest)), (120, 121, 250, 9850))
    cursor.execute("SELECT g FROM generate_series(1, 1000) AS g WHERE g > ? ORDER BY g", 0)
    cursor.skip(500)
    check(f"{how} skipped", cursor.fetchone()[0], 501)
    cursor.close()
    check(f"{how} no rows", connection.execute("SELECT change_id FROM changes WHERE change_id = ?", "none").fetchall(), [])
    cursor = connection.execute("SELECT 1 AS a; SELECT 'x' AS b, 2 AS c")
    check(f"{how} first result", cursor.fetchall()[0][0], 1)
    check(f"{how} second result", (cursor.nextset(), tuple(cursor.fetchone()), cursor.nextset()), (True, ("x", 2), False))


def described(how, connection):
    """What Excel, Tableau and Power BI list."""
    cursor = connection.cursor()
    cursor.tables(table="changes")
    check(f"{how} table", [tuple(row)[:4] for row in cursor], [("ascribe", "public", "changes", "TABLE")])
    listed = {row.table_name for row in cursor.tables(schema="public", tableType="TABLE")}
    check(f"{how} tables", {"changes", "costs", "spans"} - listed, set())
    check(f"{how} no tables", rows(cursor.tables, table="nothing"), [])
    check(f"{how} pattern", [row.table_name for row in cursor.tables(table="chan_es", schema="pub%")], ["changes"])
    check(f"{how} schemas", "public" in {row.table_schem for row in cursor.tables(table="", catalog="", schema="%")}, True)
    check(f"{how} types of tables", {"TABLE", "VIEW"} <= {row.table_type for row in cursor.tables(table="", catalog="", schema="", tableType="%")}, True)
    columns = rows(cursor.columns, schema="public", table="changes")
    check(f"{how} columns", [(row[3], row[5], row[16]) for row in columns[:3]],
          [("change_id", "text", 1), ("kind", "text", 2), ("service_name", "text", 3)])
    kinds = {row[3]: (row[4], row[5], row[6], row[10], row[12]) for row in columns}
    check(f"{how} types", (kinds["change_id"], kinds["started_at"]),
          ((pyodbc.SQL_WLONGVARCHAR, "text", 8190, 1, None), (pyodbc.SQL_TYPE_TIMESTAMP, "timestamptz", 26, 1, None)))
    check(f"{how} a column", [row[3] for row in cursor.columns(table="changes", column="started%")], ["started_at"])
    check(f"{how} primary keys", rows(cursor.primaryKeys, "changes"), [])
    check(f"{how} statistics", rows(cursor.statistics, "changes"), [])
    check(f"{how} row id", rows(cursor.rowIdColumns, "changes"), [])
    check(f"{how} procedures", [(row[1], row[2]) for row in cursor.procedures(procedure="deploy_impact")], [("public", "deploy_impact")])
    check(f"{how} its columns", {row[2] for row in cursor.procedureColumns(procedure="deploy_impact")}, {"deploy_impact"})
    types = {(row[0], row[1]) for row in cursor.getTypeInfo()}
    wanted = {("int4", pyodbc.SQL_INTEGER), ("int8", pyodbc.SQL_BIGINT), ("numeric", pyodbc.SQL_NUMERIC), ("float8", pyodbc.SQL_DOUBLE),
              ("text", pyodbc.SQL_WLONGVARCHAR), ("timestamptz", pyodbc.SQL_TYPE_TIMESTAMP), ("bytea", pyodbc.SQL_VARBINARY)}
    check(f"{how} type info", wanted - types, set())
    check(f"{how} one type", [row[0] for row in cursor.getTypeInfo(pyodbc.SQL_TYPE_DATE)], ["date"])


def transactions(how, connection):
    """The driver sets a savepoint before every statement, so that a failing one does not end the transaction."""
    connection.autocommit = False
    check(f"{how} one", connection.execute("SELECT 1").fetchval(), 1)
    if how != "DeclareFetch":
        check(f"{how} fails", state_of(connection, "SELECT 1 / ?::int", 0), "22012")
        check(f"{how} goes on", rows(connection.execute, "SELECT 2"), [(2,)])
        check(f"{how} unknown", state_of(connection, "SELECT * FROM nothing"), "42P01")
        check(f"{how} goes on still", rows(connection.execute, "SELECT ?::int", 3), [(3,)])
    connection.rollback()
    check(f"{how} after it", rows(connection.execute, "SELECT 4"), [(4,)])
    connection.commit()
    connection.autocommit = True


def writing(how, connection):
    name = f"odbc {how}"
    insert, when = "INSERT INTO changes (change_id, started_at) VALUES (?, ?)", datetime.datetime(2024, 2, 29, 12)
    connection.cursor().executemany(insert, [(name, when), (name + " 2", None)])
    check(f"{how} inserted", rows(connection.execute, "SELECT started_at FROM changes WHERE change_id = ?", name), [(when,)])


def errors(how, connection):
    for sql, state in [("SELECT * FROM nothing", "42P01"), ("SELECT nope FROM changes", "42703"), ("SELEC 1", "42601"),
                       ("SELECT nope(1)", "42883"), ("SELECT 1 / 0", "22012"), ("SELECT 'x'::int", "22P02"),
                       ("SELECT 2147483647 + 1", "22003"), ("SELECT '2024-02-30'::date", "22008")]:
        check(f"{how} {sql}", state_of(connection, sql), state)
    slow = "SELECT count(*) FROM generate_series(1, 300000) a(x) CROSS JOIN generate_series(1, 300000) b(y) WHERE a.x % 7 = b.y % 11"
    cursor = connection.cursor()
    threading.Timer(0.5, cursor.cancel).start()
    begin = time.monotonic()
    try:
        cursor.execute(slow)
        failures.append(f"{how} is not cancelled")
    except pyodbc.Error as error:
        check(f"{how} cancelled", error.args[0], "57014")
    check(f"{how} cancelled soon", time.monotonic() - begin < 5, True)
    connection.execute("SET statement_timeout = 300")
    check(f"{how} time limit", state_of(connection, slow), "57014")
    connection.execute("SET statement_timeout = 0")
    check(f"{how} alive", connection.execute("SELECT 1").fetchval(), 1)


for how, options in [("plain", ""), ("DeclareFetch", "UseDeclareFetch=1;Fetch=100"), ("simple", "UseServerSidePrepare=0")]:
    connection = connect(f"BoolsAsChar=0;{options}", autocommit=True)
    check(f"{how} product", connection.getinfo(pyodbc.SQL_DBMS_NAME), "PostgreSQL")
    check(f"{how} version", int(connection.getinfo(pyodbc.SQL_DBMS_VER).split(".")[0]) >= 14, True)
    for part in (values, many, described, transactions, errors, writing):
        try:
            part(how, connection)
        except pyodbc.Error as error:
            failures.append(f"{how} {part.__name__}: {error}")
            connection.rollback()
            connection.autocommit = True
    connection.close()

for failure in failures:
    print("FAILED odbc", failure, file=sys.stderr)
if not failures:
    print("ODBC: passed")
sys.exit(bool(failures))
