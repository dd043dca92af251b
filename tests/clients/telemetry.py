"""What a server tells of itself: log lines as JSON, and spans by OTLP, over HTTP and gRPC, into another server that is asked
for them. Neither has a statement's text or values. A collector that is away, or never answers, keeps nobody.

Environment: ASCRIBE_BIN.
"""

import json
import os
import secrets
import socket
import subprocess
import tempfile

import psycopg

from program import ASCRIBE, background, free_port, reachable, run

PASSWORD = "correct horse"
# In every statement, and never in what is told.
SECRET = "geheim"


def server(lake, port, *arguments, log, **variables):
    ours = ("OTEL_", "ASCRIBE_LOG", "HTTP_PROXY", "ALL_PROXY")
    inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith(ours)}
    command = [ASCRIBE, "serve", "--lake", lake, "--listen", f"127.0.0.1:{port}", "--maintain", "off", *arguments]
    return background(command, env={**inherited, **variables}, stderr=log)


def connect(port, **options):
    options = {"user": "root", "password": PASSWORD, "application_name": "telemetry.py", **options}
    return psycopg.connect(host="127.0.0.1", port=port, dbname="ascribe", autocommit=True, **options)


def sqlstate(connection, sql, parameters=None):
    """The SQLSTATE of a statement that fails."""
    try:
        connection.execute(sql, parameters)
    except psycopg.Error as error:
        return error.sqlstate
    raise AssertionError(f"{sql} is not refused")


def ask(port):
    """Ask with a caller's span for each statement; gives back trace and parent by what was asked."""
    spans = {name: (secrets.token_hex(16), secrets.token_hex(8)) for name in ("simple", "extended", "division", "syntax", "unsampled")}

    def caller(name, flags="01"):
        trace, parent = spans[name]
        return f"/*action='{SECRET}',traceparent='00-{trace}-{parent}-{flags}'*/"

    with connect(port) as connection:
        found = connection.execute(f"SELECT '{SECRET}' AS x {caller('simple')}").fetchall()
        assert found == [(SECRET,)], found
        sql = f"SELECT count(*) FROM changes WHERE service_name = %s {caller('extended')}"
        assert connection.execute(sql, [SECRET]).fetchone() == (0,)
        assert sqlstate(connection, f"SELECT 1 / 0, '{SECRET}' {caller('division')}") == "22012"
        assert sqlstate(connection, f"SELEC '{SECRET}' {caller('syntax')}") == "42601"
        connection.execute(f"SELECT '{SECRET}' {caller('unsampled', '00')}")
    return spans


def check_spans(collector, service, spans):
    columns = ("span_id, parent_span_id, span_name, span_kind, status_code, error_type, scope_name, attributes['db.system.name'], "
               "attributes['db.namespace'], attributes['db.operation.name'], attributes['db.response.status_code'], "
               "attributes['db.response.returned_rows']")
    with connect(collector, user="ada", password=None) as connection:
        def spans_of(name):
            found = connection.execute(
                f"SELECT {columns} FROM spans WHERE service_name = %s AND trace_id = %s ORDER BY start_unix_nano", [service, spans[name][0]])
            return found.fetchall()

        def statement_of(name):
            """The span of the statement, and the names of its parts."""
            found = spans_of(name)
            below = [row for row in found if row[1] == spans[name][1]]
            assert len(below) == 1, f"{name}: {found}"
            (statement,) = below
            parts = [row for row in found if row is not statement]
            assert all(row[1] == statement[0] and row[3] == "INTERNAL" for row in parts), f"{name}: {found}"
            return statement[2:], [row[2] for row in parts]

        database = ("ascribe", "ascribe", "ascribe")
        span, parts = statement_of("simple")
        assert span == ("SELECT", "SERVER", "UNSET", None, *database, "SELECT", None, "1"), span
        assert parts == ["plan", "execute"], parts
        span, parts = statement_of("extended")
        assert span == ("SELECT", "SERVER", "UNSET", None, *database, "SELECT", None, "1"), span
        # By Parse and by Bind.
        assert parts == ["plan", "plan", "wait", "execute"], parts
        span, _ = statement_of("division")
        assert span == ("SELECT", "SERVER", "ERROR", "22012", *database, "SELECT", "22012", None), span
        span, parts = statement_of("syntax")
        assert span == ("ascribe", "SERVER", "ERROR", "42601", *database, None, "42601", None), span
        assert parts == [], parts
        assert spans_of("unsampled") == []
        told = connection.execute(
            "SELECT count(*), count(DISTINCT service_version), min(environment), min(resource_attributes['team']) FROM spans "
            "WHERE service_name = %s", [service]).fetchone()
        assert told[0] >= 11 and told[1:] == (1, "test", "a"), told
        with connection.cursor() as cursor, cursor.copy(f"COPY (SELECT * FROM spans WHERE service_name = '{service}') TO STDOUT") as copy:
            everything = b"".join(bytes(part) for part in copy)
        assert service.encode() in everything and SECRET.encode() not in everything, everything


def check_log(path, spans):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert SECRET not in text and PASSWORD not in text, text
    lines = [json.loads(line) for line in text.splitlines()]
    assert all({"timestamp", "level", "target"} <= line.keys() for line in lines), lines

    def of(message):
        return [line for line in lines if line.get("message") == message]

    assert len(of("listening")) == 1 and len(of("shutting down")) == 1, lines
    opened, closed = of("connection opened"), of("connection closed")
    assert [line["pid"] for line in opened] == [line["pid"] for line in closed] and len(opened) == 1, lines
    (line,) = opened
    assert (line["level"], line["peer"], line["role"], line["application_name"]) == ("INFO", "127.0.0.1", "root", "telemetry.py"), line
    (line,) = of("login failed")
    assert (line["level"], line["peer"], line["role"], line["sqlstate"]) == ("WARN", "127.0.0.1", "root", "28P01"), line
    ended = {line["trace_id"]: line for line in of("statement ended")}
    told = {name: tuple(ended[trace].get(key) for key in ("operation", "sqlstate", "rows")) for name, (trace, _) in spans.items()}
    expected = {
        "simple": ("SELECT", "00000", 1),
        "extended": ("SELECT", "00000", 1),
        "division": ("SELECT", "22012", None),
        "syntax": (None, "42601", None),
        "unsampled": ("SELECT", "00000", 1),
    }
    assert told == expected, told
    assert all(line["milliseconds"] >= 0 and line["role"] == "root" for line in ended.values()), ended


def refused_login(port):
    try:
        connect(port, password="wrong").close()
    except psycopg.OperationalError:
        return
    raise AssertionError("a wrong password was let in")


def main():
    with tempfile.TemporaryDirectory() as folder:
        lake, log = os.path.join(folder, "lake"), os.path.join(folder, "log")
        made = run("role", "--lake", lake, "create", "root", "--superuser", "--password-stdin", stdin=PASSWORD.encode())
        assert made.returncode == 0, made
        off = ("--otlp-http", "off", "--otlp-grpc", "off")
        http, grpc, collector = free_port(), free_port(), free_port()
        to_collector = ("--otlp-http", f"127.0.0.1:{http}", "--otlp-grpc", f"127.0.0.1:{grpc}")
        with server(os.path.join(folder, "collected"), collector, *to_collector, log=subprocess.DEVNULL):
            reachable(collector)
            reachable(http)
            reachable(grpc)
            for protocol, place in (("http/protobuf", http), ("grpc", grpc)):
                service, port = f"served over {protocol}", free_port()
                variables = {
                    "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{place}",
                    "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                    "OTEL_SERVICE_NAME": service,
                    "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,team=a",
                    # What is asked for is sent when the server ends.
                    "OTEL_BSP_SCHEDULE_DELAY": "600000",
                    "ASCRIBE_LOG_FORMAT": "json",
                }
                with open(log, "w", encoding="utf-8") as file, server(lake, port, "--log-level", "info", *off, log=file, **variables) as served:
                    reachable(port)
                    refused_login(port)
                    spans = ask(port)
                assert served.returncode == 0, served.returncode
                check_log(log, spans)
                check_spans(collector, service, spans)

        # Nobody listens there, somebody listens and never answers, and nothing is to be sent.
        with socket.create_server(("127.0.0.1", 0)) as hole:
            silent = f"http://127.0.0.1:{hole.getsockname()[1]}"
            for variables in (
                {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"},
                {"OTEL_EXPORTER_OTLP_ENDPOINT": silent},
                {"OTEL_EXPORTER_OTLP_ENDPOINT": silent, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
                {"OTEL_EXPORTER_OTLP_ENDPOINT": silent, "OTEL_SDK_DISABLED": "true"},
            ):
                port = free_port()
                with open(log, "w", encoding="utf-8") as file, server(
                        lake, port, "--log-format", "json", *off, log=file, OTEL_BSP_SCHEDULE_DELAY="50", **variables) as served:
                    reachable(port)
                    ask(port)
                    ask(port)
                assert served.returncode == 0, variables
                with open(log, encoding="utf-8") as file:
                    lines = [json.loads(line) for line in file]
                assert not [line for line in lines if line["level"] not in ("WARN", "ERROR")], lines
                told = any(line["target"].startswith("opentelemetry") for line in lines)
                assert told == ("OTEL_SDK_DISABLED" not in variables), f"{variables}: {lines}"

    for arguments, variables, said in [
        (("--log-level", "loud"), {}, "--log-level loud"),
        (("--log-level", "info,ascribe=loud"), {}, "--log-level info,ascribe=loud"),
        ((), {"ASCRIBE_LOG_FORMAT": "xml"}, "ASCRIBE_LOG_FORMAT xml"),
    ]:
        done = run("sql", "-c", "SELECT 1", *arguments, **variables)
        assert done.returncode == 1 and said in done.stderr, done
    print("telemetry: passed")


if __name__ == "__main__":
    main()
