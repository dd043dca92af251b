"""What Npgsql, and Power BI and Excel with it, send once connected, replayed by psycopg and judged as Npgsql judges answers.

The statements are those of npgsql.sql. The server is the one that the environment's PG* variables name.
"""

import datetime
import decimal
import pathlib
import re
import sys

import psycopg

failures = []
SENT = pathlib.Path(__file__).with_name("npgsql.sql").read_text()
STATEMENTS = dict(re.findall(r"^-- statement (\w+)[^\n]*\n(.*?)\s*(?=^-- |\Z)", SENT, re.M | re.S))


def check(what, actual, expected):
    if actual != expected:
        failures.append(f"{what}: expected {expected!r}, got {actual!r}")


def several(connection, statements):
    """The answers to a simple query of several statements as they come: columns, rows of texts, tag."""
    found = []
    cursor = connection.execute(statements)
    while True:
        answer = cursor.pgresult
        names = [answer.fname(column).decode() for column in range(answer.nfields)]
        cells = [[answer.get_value(row, column) for column in range(answer.nfields)] for row in range(answer.ntuples)]
        rows = [[None if cell is None else cell.decode() for cell in row] for row in cells]
        found.append((names, rows, answer.command_status.decode()))
        if not cursor.nextset():
            return found


def settings(connection):
    for name, pattern in {
        "server_version": r"\d+(\.\d+)*(?![.\d])", "integer_datetimes": "on$", "standard_conforming_strings": "on$", "client_encoding": "UTF8$",
        "in_hot_standby": "off$", "default_transaction_read_only": "off$", "TimeZone": r"\S+$", "DateStyle": "ISO",
    }.items():  # fmt: skip
        value = (connection.pgconn.parameter_status(name.encode()) or b"").decode()
        check(f"parameter {name}, {value!r}", bool(re.match(pattern, value)), True)
    primary = several(connection, "SELECT pg_is_in_recovery(); SHOW default_transaction_read_only")
    check("primary", [rows for _, rows, _ in primary], [[["f"]], [["off"]]])

    now = "SELECT current_setting('application_name'), current_setting('statement_timeout')"
    connection.execute("SET application_name = 'other'")
    connection.execute("SET statement_timeout = 77777")
    connection.execute("PREPARE kept AS SELECT 1")
    check("before the reset", connection.execute(now).fetchone(), ("other", "77777ms"))
    tags = [tag for _, _, tag in several(connection, STATEMENTS["reset"])]
    check("reset", tags, ["SET", "RESET", "CLOSE CURSOR ALL", "UNLISTEN", "SELECT 1", "DISCARD SEQUENCES", "DISCARD TEMP"])
    check("after the reset", connection.execute(now).fetchone(), ("checks", "0"))
    check("prepared still", connection.execute("EXECUTE kept").fetchone(), (1,))
    connection.execute("SET statement_timeout = 77777")
    connection.execute("DISCARD ALL")
    check("after DISCARD ALL", connection.execute(now).fetchone(), ("checks", "0"))
    try:
        connection.execute("EXECUTE kept")
        failures.append("DISCARD ALL keeps what is prepared")
    except psycopg.Error as error:
        check("prepared no more", error.sqlstate, "26000")
    for level in ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"):
        connection.execute(f"BEGIN TRANSACTION ISOLATION LEVEL {level}")
        check(level, connection.execute("SHOW transaction_isolation").fetchone(), (level.lower(),))
        connection.execute("ROLLBACK")


def asked(connection, name):
    """The columns and rows of a statement, in binary as Npgsql wants them."""
    try:
        cursor = connection.cursor(binary=True).execute(STATEMENTS[name])
    except psycopg.Error as error:
        return error.sqlstate, [(str(error),)]
    return [column.name for column in cursor.description], cursor.fetchall()


def power_bi(connection):
    names, rows = asked(connection, "tables")
    check("names of tables", names, ["table_schema", "table_name", "table_type"])
    check("tables", ("public", "changes", "BASE TABLE") in rows, True)
    names, rows = asked(connection, "table_columns")
    check("names of columns", names, ["column_name", "ordinal_position", "is_nullable", "data_type"])
    kinds = {row[0]: row[3] for row in rows}
    check("text", kinds.get("service_name"), "text")
    check("time", kinds.get("started_at"), "timestamp with time zone")
    check("positions", [row[1] for row in rows], list(range(1, len(rows) + 1)))
    keys = ["pk_column_name", "fk_table_schema", "fk_table_name", "fk_column_name", "ordinal", "fk_name"]
    check("parents", asked(connection, "parents"), (keys, []))
    check("indexes", asked(connection, "indexes"), (["index_name", "column_name", "ordinal_position", "primary_key"], []))

    when = [datetime.datetime(2026, 3, day, 10, tzinfo=datetime.timezone.utc) for day in (1, 2, 3)]
    for number, service in enumerate(["npgsql-a", "npgsql-a", "npgsql-b"]):
        row = [f"npgsql{number}", service, when[number]]
        connection.execute("INSERT INTO changes (change_id, service_name, started_at) VALUES (%b, %b, %b)", row)
    names, rows = asked(connection, "preview")
    check("preview", (names, sorted(rows)[2]), (["change_id", "service_name", "started_at"], ("npgsql2", "npgsql-b", when[2])))
    expected = [("NPGSQL-A", 2, decimal.Decimal(14)), ("NPGSQL-B", 1, decimal.Decimal(7))]
    check("DirectQuery", asked(connection, "direct"), (["service_upper", "a0", "a1"], expected))

    # What the table says of the columns of a reader.
    (oid,) = connection.execute("SELECT 'changes'::regclass::oid").fetchone()
    numbers = dict(connection.execute("SELECT attname, attnum FROM pg_attribute WHERE attrelid = %s", [oid]).fetchall())
    fields = " OR ".join(f"(attr.attrelid={oid} AND attr.attnum={numbers[name]})" for name in ("started_at", "service_name"))
    cursor = connection.cursor(binary=True).execute(STATEMENTS["columns"].replace("{fields}", fields))
    found = {row[3]: (row[0], row[2], row[4], row[6], row[7], row[8], row[9], row[11], row[12]) for row in cursor}
    rest = ("changes", oid, False, False, -1, None, False, False)
    check("columns", found, {"started_at": (1184, *rest), "service_name": (25, *rest)})


with psycopg.connect(autocommit=True, application_name="checks") as connection:
    for part in (settings, power_bi):
        try:
            part(connection)
        except (psycopg.Error, IndexError) as error:
            failures.append(f"{part.__name__}: {error!r}")

for failure in failures:
    print("FAILED Npgsql", failure, file=sys.stderr)
if not failures:
    print("Npgsql and Power BI: passed")
sys.exit(bool(failures))
