"""SQLAlchemy's reflection, and ADBC, against a server that the environment's PG* variables name."""

import os
import sys

import sqlalchemy

failures = []


def check(what, actual, expected):
    if actual != expected:
        failures.append(f"{what}: expected {expected!r}, got {actual!r}")


host, port = os.environ["PGHOST"], os.environ["PGPORT"]
for driver in ("psycopg", "psycopg2"):
    engine = sqlalchemy.create_engine(f"postgresql+{driver}://ada@{host}:{port}/ascribe")
    with engine.connect() as connection:
        check(f"{driver} one", connection.execute(sqlalchemy.text("SELECT 1")).scalar(), 1)
    inspector = sqlalchemy.inspect(engine)
    check(f"{driver} schemas", {"public", "system"} <= set(inspector.get_schema_names()), True)
    check(f"{driver} tables", {"spans", "changes", "costs"} <= set(inspector.get_table_names()), True)
    columns = {column["name"]: str(column["type"]) for column in inspector.get_columns("changes")}
    check(f"{driver} change_id", columns.get("change_id"), "TEXT")
    check(f"{driver} started_at", columns.get("started_at"), "TIMESTAMP")
    check(f"{driver} keys", inspector.get_pk_constraint("changes")["constrained_columns"], [])
    check(f"{driver} foreign keys", inspector.get_foreign_keys("changes"), [])
    check(f"{driver} indexes", inspector.get_indexes("changes"), [])
    check(f"{driver} comment", bool(inspector.get_table_comment("changes")["text"]), True)
    check(f"{driver} views", isinstance(inspector.get_view_names(), list), True)
    table = sqlalchemy.Table("changes", sqlalchemy.MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        found = connection.execute(sqlalchemy.select(sqlalchemy.func.count()).select_from(table)).scalar()
        check(f"{driver} count", isinstance(found, int), True)
    engine.dispose()

try:
    import adbc_driver_postgresql.dbapi as adbc
except ImportError:
    print("SKIPPED ADBC: not installed", file=sys.stderr)
else:
    with adbc.connect(f"postgresql://ada@{host}:{port}/ascribe") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT g AS n, 'x' || g AS t, g / 2.0 AS q FROM generate_series(1, 1000) AS g ORDER BY g")
        table = cursor.fetch_arrow_table()
        check("ADBC rows", table.num_rows, 1000)
        check("ADBC types", [str(field.type) for field in table.schema][:2], ["int32", "string"])
        check("ADBC sum", sum(table.column("n").to_pylist()), 500500)
        cursor.execute("SELECT true, 1.5::float8, date '2024-02-29', timestamptz '2024-02-29 12:00+00', ARRAY[1, NULL]")
        row = cursor.fetchone()
        check("ADBC values", (row[0], row[1], str(row[2]), row[4]), (True, 1.5, "2024-02-29", [1, None]))

for failure in failures:
    print("FAILED reflection", failure, file=sys.stderr)
if not failures:
    print("SQLAlchemy and ADBC: passed")
sys.exit(bool(failures))
