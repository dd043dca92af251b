"""dbt against a server that the environment's PG* variables name: views built twice, tested, shown and documented.

The profile says `autocommit: true`, with which dbt 1.11 sends no BEGIN, and the project has the two macros of MACROS, with
which a view is replaced rather than made aside and renamed.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import psycopg2

failures = []
DBT = os.path.join(os.path.dirname(sys.executable), "dbt")

MACROS = """
{% materialization view, adapter='postgres' %} {{ return(create_or_replace_view()) }} {% endmaterialization %}
{% macro postgres__create_view_as(relation, sql) %} create or replace view {{ relation }} as ({{ sql }}) {% endmacro %}
"""

PROJECT = {
    "dbt_project.yml": """
name: shop
version: 1.0.0
profile: shop
models: {+materialized: view}
""",
    "profiles.yml": """
shop:
  target: here
  outputs:
    here: {type: postgres, host: "{{ env_var('PGHOST') }}", port: "{{ env_var('PGPORT') | int }}", user: "{{ env_var('PGUSER') }}",
           password: "{{ env_var('PGPASSWORD', '') }}", dbname: "{{ env_var('PGDATABASE') }}", schema: public, threads: 2,
           autocommit: true}
""",
    "macros/ascribe.sql": MACROS,
    "models/dbt_starts.sql": """
select service_name, min(started_at) as first_start, count(distinct change_id) as n
from {{ source('lake', 'changes') }} where service_name like 'dbt-%' group by 1
""",
    "models/dbt_busy.sql": "select service_name, n from {{ ref('dbt_starts') }} where n > {{ var('more_than') }}",
    "models/models.yml": """
sources: [{name: lake, schema: public, tables: [{name: changes, columns: [{name: change_id, data_tests: [not_null]}]}]}]
models:
  - name: dbt_starts
    description: When the services' first changes were
    columns: [{name: service_name, description: The service, data_tests: [not_null, unique]}]
  - {name: dbt_busy, columns: [{name: n, data_tests: [not_null]}]}
""",
}
NODES = {
    "dbt_starts": "success",
    "dbt_busy": "success",
    "source_not_null_lake_changes_change_id": "pass",
    "not_null_dbt_starts_service_name": "pass",
    "unique_dbt_starts_service_name": "pass",
    "not_null_dbt_busy_n": "pass",
}


def check(what, actual, expected):
    if actual != expected:
        failures.append(f"{what}: expected {expected!r}, got {actual!r}")


def dbt(folder, *arguments):
    """What it printed; what went wrong is told."""
    command = [DBT, "--no-use-colors", "--no-send-anonymous-usage-stats", "--no-version-check", *arguments]
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        failures.append(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout


def results(folder):
    """What became of every node of the last command."""
    file = folder / "target" / "run_results.json"
    found = json.loads(file.read_text())["results"] if file.exists() else []
    return {result["unique_id"].split(".")[2]: result["status"] for result in found}


def project(folder, cursor):
    check("debug", "All checks passed!" in dbt(folder, "debug"), True)
    for more_than, busy in ((1, [("dbt-a", 3)]), (0, [("dbt-a", 3), ("dbt-b", 1)])):
        # The second time the views are there and are replaced.
        variables = ["--vars", json.dumps({"more_than": more_than})]
        dbt(folder, "build", *variables)
        check(f"built, {more_than}", results(folder), NODES)
        if results(folder) == NODES:
            cursor.execute("SELECT service_name, n FROM dbt_busy ORDER BY 1")
            check(f"busy, {more_than}", cursor.fetchall(), busy)
    check("shown", "dbt-b" in dbt(folder, "show", "--select", "dbt_busy", *variables), True)

    dbt(folder, "docs", "generate", *variables)
    catalog = json.loads((folder / "target" / "catalog.json").read_text())
    check("errors of docs", catalog["errors"], None)
    columns = catalog["sources"]["source.shop.lake.changes"]["columns"]
    check("source", columns["change_id"]["type"], "text")
    check("models", sorted(catalog["nodes"]), ["model.shop.dbt_busy", "model.shop.dbt_starts"])
    if view := catalog["nodes"].get("model.shop.dbt_starts"):
        metadata = [view["metadata"][key] for key in ("type", "schema", "database")]
        check("view", metadata, ["VIEW", "public", os.environ["PGDATABASE"]])
        columns = [(column["name"], column["type"], column["index"]) for column in view["columns"].values()]
        check("columns", columns, [("service_name", "text", 1), ("first_start", "timestamp with time zone", 2), ("n", "bigint", 3)])


connection = psycopg2.connect("")
connection.autocommit = True
with connection.cursor() as cursor, tempfile.TemporaryDirectory() as name:
    for number in range(4):
        cursor.execute(
            "INSERT INTO changes (change_id, service_name, started_at) VALUES (%s, %s, '2026-03-01 10:00:00Z')",
            [f"dbt{number}", "dbt-a" if number < 3 else "dbt-b"],
        )
    for file, text in PROJECT.items():
        path = pathlib.Path(name, file)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    project(pathlib.Path(name), cursor)
    cursor.execute("DROP VIEW IF EXISTS dbt_busy")
    cursor.execute("DROP VIEW IF EXISTS dbt_starts")

for failure in failures:
    print("FAILED dbt", failure, file=sys.stderr)
if not failures:
    print("dbt: passed")
sys.exit(bool(failures))
