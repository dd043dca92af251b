"""What Npgsql, and Power BI and Excel with it, send from connecting on, replayed by psycopg and judged as Npgsql judges answers.

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

# The types that a program meets here with their OIDs, and those of arrays of them.
TYPES = {
    "bool": (16, 1000), "bytea": (17, 1001), "char": (18, 1002), "name": (19, 1003), "int8": (20, 1016), "int2": (21, 1005),
    "int4": (23, 1007), "text": (25, 1009), "oid": (26, 1028), "json": (114, 199), "float4": (700, 1021), "float8": (701, 1022),
    "varchar": (1043, 1015), "date": (1082, 1182), "time": (1083, 1183), "timestamp": (1114, 1115), "timestamptz": (1184, 1185),
    "interval": (1186, 1187), "numeric": (1700, 1231), "uuid": (2950, 2951), "jsonb": (3802, 3807), "bpchar": (1042, 1014),
}  # fmt: skip


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


def judged(what, rows):
    """Types by OID, taken as they come: one that is made of a type that is not known yet is passed over."""
    known = {}
    for schema, oid, name, kind, element in rows:
        check(f"{what}: kind of {name}", kind in ("b", "a", "r", "m", "e", "c", "d", "p"), True)
        if kind not in ("a", "r", "m", "d") or element in known:
            known[oid] = (schema, name, kind, element if kind == "a" else 0)
    for name, (oid, array) in TYPES.items():
        check(f"{what}: {name}", known.get(oid), ("pg_catalog", name, "b", 0))
        check(f"{what}: array of {name}", known.get(array), ("pg_catalog", f"_{name}", "a", oid))
    for oid, name in ((2249, "record"), (2278, "void")):
        check(f"{what}: {name}", known.get(oid), ("pg_catalog", name, "p", 0))
    return known


def types(connection):
    for schema in ("", "pg_catalog."):
        version, loaded, composites, enums = several(connection, STATEMENTS["loading"].replace("{schema}", schema))
        server = connection.pgconn.parameter_status(b"server_version").decode()
        check("version", version[1][0][0].startswith(f"PostgreSQL {server.split()[0]}"), True)
        check("types", loaded[0], ["nspname", "oid", "typname", "typtype", "typnotnull", "elemtypoid"])
        check("types not null", {row[4] for row in loaded[1]} <= {"t", "f"}, True)
        known = judged("types", [(row[0], int(row[1]), row[2], row[3], int(row[5] or 0)) for row in loaded[1]])
        check("composites", composites[0], ["oid", "attname", "atttypid"])
        check("enums", enums[0], ["oid", "enumlabel"])
        check("composites and enums known", {int(row[0]) for row in composites[1] + enums[1]} <= set(known), True)
        # Npgsql cannot read a column of a type that it did not find.
        used = """SELECT DISTINCT atttypid FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
            JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'v') AND attnum > 0 AND nspname IN ('public', 'system')"""
        check("types of columns not known", {row[0] for row in connection.execute(used)} - set(known), set())
    with connection.pipeline():
        cursor = connection.execute(STATEMENTS["loading_4"])
    names = ["nspname", "typname", "oid", "typrelid", "typbasetype", "type", "elemoid", "ord"]
    check("types of 4.0", [column.name for column in cursor.description], names)
    judged("types of 4.0", [(row[0], row[2], row[1], row[5], row[4] if row[5] == "d" else row[6]) for row in cursor])


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
    check("charsets", asked(connection, "charsets"), (["character_set_name"], [("UTF8",)]))
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
    for part in (settings, types, power_bi):
        try:
            part(connection)
        except (psycopg.Error, IndexError) as error:
            failures.append(f"{part.__name__}: {error!r}")

for failure in failures:
    print("FAILED Npgsql", failure, file=sys.stderr)
if not failures:
    print("Npgsql and Power BI: passed")
sys.exit(bool(failures))
