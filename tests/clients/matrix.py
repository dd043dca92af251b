"""psql, psycopg and JDBC ask the demo's lake every query; each answer must be that of `ascribe sql --format csv`.

The queries are the demo's four questions as it prints them, and queries.sql. Environment: ASCRIBE_BIN; JDBC_CLASSPATH,
when there is a JDBC driver and a compiled Queries.java.
"""

import csv
import datetime
import decimal
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import psycopg
from program import ASCRIBE, ascribe, background, free_port, reachable, rows

HERE = pathlib.Path(__file__).parent
VIEWS = ["deploys", "focus", "feature_usage"]


def questions(text):
    """The statements that the demo printed, by question."""
    found = {}
    for number, block in re.findall(r"^(\d)\. [^\n]*\n\n(.*?;)\n\n\+", text, re.S | re.M):
        # A question of several statements has their answers behind one another, so each is asked alone.
        for part, statement in enumerate(block.split(";\n\n")):
            found[f"question_{number}_{part}"] = statement.rstrip(";")
    return found


def resolved(lake):
    """The queries of queries.sql with the facts filled in."""
    facts, queries = {}, {}
    name = None
    for line in (HERE / "queries.sql").read_text().splitlines():
        fill = lambda text: re.sub(r"\{(\w+)\}", lambda match: facts[match[1]], text)
        if fact := re.match(r"-- fact (\w+): (.*)", line):
            facts[fact[1]] = rows(lake, fill(fact[2]))[0][0]
        elif query := re.match(r"-- query (\w+)", line):
            name = query[1]
            queries[name] = ""
        elif name:
            queries[name] += fill(line) + "\n"
    return queries


INTERVAL = re.compile(r"(-?[\d.]+) (year|mon|day|hour|min|sec)s?")
ISO = re.compile(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?")
SECONDS = {"year": 31_104_000, "mon": 2_592_000, "day": 86_400, "hour": 3600, "min": 60, "sec": 1}


def interval(text):
    """Seconds of an interval in PostgreSQL's or Arrow's words; none if it is not one."""
    if len(text) > 2 and (iso := ISO.fullmatch(text)):
        parts = zip(iso.groups()[1:], (86_400, 3600, 60, 1))
        total = sum(decimal.Decimal(amount or 0) * seconds for amount, seconds in parts)
        return (-total if iso[1] else total).normalize()
    clock = re.search(r"(-?)(\d+):(\d\d):(\d\d(?:\.\d+)?)$", text)
    words = text[: clock.start()] if clock else text
    if INTERVAL.sub("", words).strip() or not (clock or words.strip()):
        return None
    total = sum(decimal.Decimal(amount) * SECONDS[unit] for amount, unit in INTERVAL.findall(words))
    if clock:
        spent = int(clock[2]) * 3600 + int(clock[3]) * 60 + decimal.Decimal(clock[4])
        total += -spent if clock[1] else spent
    return total.normalize()


def items(text):
    """The members of a list in PostgreSQL's braces."""
    return next(csv.reader([text[1:-1]], escapechar="\\"), [])


def document(text):
    """What a JSON object or array holds; none if it is neither."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, (dict, list)) else None


def canonical(cell):
    """One spelling for what the clients and the command line spell differently; a null and an empty text are one."""
    if isinstance(cell, datetime.timedelta):
        return ("interval", decimal.Decimal(str(cell.total_seconds())).normalize())
    if cell in ([], (), {}, "{}"):
        # A list and a map are spelled alike.
        return ("nothing",)
    if isinstance(cell, (list, tuple)):
        return ("list", *(canonical(item) for item in cell))
    if isinstance(cell, dict):
        return ("map", *sorted((key, canonical(value)) for key, value in cell.items()))
    if isinstance(cell, datetime.datetime):
        cell = cell.isoformat()
    text = "" if cell is None else str(cell)
    if text.lower() in ("t", "true", "f", "false"):
        return text[0].lower() == "t"
    if re.fullmatch(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d(:?\d\d)?)", text):
        text = re.sub(r"([+-]\d\d)$", r"\1:00", text.replace("Z", "+00:00"))
        return datetime.datetime.fromisoformat(text).astimezone(datetime.timezone.utc)
    if re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d{1,3})?", text):
        return decimal.Decimal(text).normalize()
    if (found := document(text)) is not None:
        return canonical(found)
    if text.startswith("{") and text.endswith("}"):
        return canonical(items(text))
    if (length := interval(text)) is not None:
        return ("interval", length)
    return text


def table(lines):
    """Rows to compare: the order counts only where a query says so, and there the sorted rows are the same too."""
    return sorted((tuple(canonical(cell) for cell in line) for line in lines), key=repr)


def of_csv(text):
    return table(list(csv.reader(io.StringIO(text)))[1:])


def with_psql(folder, queries):
    for name in queries:
        done = subprocess.run(["psql", "-X", "--csv", "-f", folder / f"{name}.sql"], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and not done.stderr, f"psql {name}: {done.stderr}"
        yield name, of_csv(done.stdout)


def with_psycopg(queries, binary):
    with psycopg.connect(autocommit=True) as connection:
        for name, sql in queries.items():
            cursor = connection.cursor(binary=binary)
            yield name, table(cursor.execute(sql, prepare=True).fetchall())


def with_jdbc(folder, queries, port):
    out = folder / "jdbc"
    out.mkdir()
    url = f"jdbc:postgresql://127.0.0.1:{port}/ascribe?user=ada&prepareThreshold=1"
    done = subprocess.run(["java", "-cp", os.environ["JDBC_CLASSPATH"], "Queries", url, folder, out], capture_output=True, text=True)
    assert done.returncode == 0, f"JDBC: {done.stdout}{done.stderr}"
    for name in queries:
        yield name, of_csv((out / f"{name}.csv").read_text())
    return (out / "functions.txt").read_text().split(), (out / "tables.txt").read_text().split()


def compare(client, answers, expected):
    seen = 0
    for name, found in answers:
        assert len(found) == len(expected[name]), f"{client} {name}: {len(found)} rows instead of {len(expected[name])}"
        for got, wanted in zip(found, expected[name]):
            assert got == wanted, f"{client} {name}:\n  {got}\n  instead of\n  {wanted}"
        seen += 1
    assert seen == len(expected)
    print(f"ok  {client} is told what `ascribe sql` prints, {seen} queries")


def backslash(command):
    done = subprocess.run(["psql", "-X", "-A", "-t", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, f"{command}: {done.stderr}"
    return [line.split("|") for line in done.stdout.splitlines()]


def described(lake):
    """What `\\d`, `\\dt` and `\\df` must show: the names, and with a plus the descriptions."""
    tables = {(schema, name) for schema, name, kind in rows(
        lake, "SELECT table_schema, table_name, table_type FROM information_schema.tables WHERE table_schema = 'public'"
    ) if kind == "BASE TABLE"}
    shown = {(row[0], row[1]) for row in backslash(r"\dt") if row[2] == "table"}
    assert tables and shown == tables, shown ^ tables
    everything = {row[1]: row for row in backslash(r"\d+")}
    for name in [*(name for _, name in tables), *VIEWS]:
        assert everything[name][-1], f"\\d+ has no description of {name}"
    for name in VIEWS:
        assert everything[name][2] == "view", everything[name]
    columns = backslash(r"\d spans")
    known = rows(lake, "SELECT column_name FROM information_schema.columns WHERE table_name = 'spans' ORDER BY ordinal_position")
    assert [row[0] for row in columns[: len(known)]] == [row[0] for row in known], columns
    functions = {row[0]: row for row in rows(lake, "SELECT function_name, arguments, description FROM system.functions")}
    assert len(functions) >= 17, functions
    listed = {row[1] for row in backslash(r"\df") if len(row) > 1}
    assert listed == set(functions), listed ^ set(functions)
    # Descriptions have lines of their own, so the whole of it is looked at.
    described = subprocess.run(["psql", "-X", "-A", "-t", "-c", r"\df+"], capture_output=True, text=True, timeout=60).stdout
    for name, (_, arguments, description) in functions.items():
        assert description in described, f"\\df+ does not describe {name}"
        for form in arguments.split(" | "):
            assert form in described, f"\\df does not show the arguments of {name}: {form}"
    print(rf"ok  \d, \dt and \df show {len(tables)} tables, {len(VIEWS)} views and {len(functions)} functions with descriptions")
    # The driver's list is of plain functions, for every server.
    plain = {row[0] for row in rows(lake, "SELECT function_name FROM system.functions WHERE kind IN ('table', 'scalar')")}
    return plain, {name for _, name in tables}


def main():
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        lake = str(folder / "demo")
        queries = questions(ascribe("demo", "--no-serve", "--lake", lake))
        assert {name[:10] for name in queries} == {f"question_{number}" for number in range(1, 5)}, queries
        queries |= resolved(lake)
        expected = {}
        for name, sql in queries.items():
            (folder / f"{name}.sql").write_text(sql + ";\n")
            text = ascribe("sql", "--lake", lake, "--format", "csv", "-f", str(folder / f"{name}.sql"))
            expected[name] = of_csv(text)
            assert expected[name] or name == "feature_usage", f"{name} has no answer"
        uncovered = {row[0] for row in rows(lake, "SELECT function_name FROM system.functions WHERE kind = 'table' OR function_name = 'owner_of'")}
        uncovered = {name for name in uncovered if not any(re.search(rf"\b{name}\(", sql) for sql in queries.values())}
        assert not uncovered, f"queries.sql does not call {uncovered}"
        port = free_port()
        with background([ASCRIBE, "serve", "--lake", lake, "--listen", f"127.0.0.1:{port}",
            "--otlp-http", "off", "--otlp-grpc", "off", "--maintain", "off"]):
            reachable(port)
            os.environ.update(PGHOST="127.0.0.1", PGPORT=str(port), PGUSER="ada", PGDATABASE="ascribe")
            functions, tables = set(), set()

            def check(client, answers):
                nonlocal failures
                try:
                    compare(client, answers, expected)
                except (AssertionError, psycopg.Error) as error:
                    print(f"FAILED {client}: {error}", file=sys.stderr)
                    failures += 1

            if shutil.which("psql"):
                check("psql", with_psql(folder, queries))
                functions, tables = described(lake)
            else:
                print("SKIPPED psql: not installed", file=sys.stderr)
            check("psycopg in text", with_psycopg(queries, False))
            check("psycopg in binary", with_psycopg(queries, True))
            if os.environ.get("JDBC_CLASSPATH"):
                check("JDBC", with_jdbc(folder, queries, port))
                listed = [set((folder / "jdbc" / name).read_text().split()) for name in ("functions.txt", "tables.txt")]
                assert functions <= listed[0] and tables <= listed[1], f"JDBC lists {listed}"
            else:
                print("SKIPPED JDBC: not installed", file=sys.stderr)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
