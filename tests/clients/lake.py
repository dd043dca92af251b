"""What others read of a lake, and a lake in an S3 bucket.

Uses the deltalake package and moto's S3 server; ASCRIBE_BIN names the program under test.
"""

import csv
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

ASCRIBE = os.environ["ASCRIBE_BIN"]
TABLES = ["spans", "logs", "changes", "costs", "iam_events", "ownership"]


def ascribe(*arguments, **variables):
    done = subprocess.run(
        [ASCRIBE, *arguments], env={**os.environ, **variables}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


def rows(lake, sql, **variables):
    return list(csv.reader(io.StringIO(ascribe("sql", "--lake", lake, "--format", "csv", "-c", sql, **variables))))[1:]


def simulate(lake, **variables):
    out = ascribe("simulate", "--scenario", "bad-deploy", "--seed", "5", "--spans", "3000", "--lake", lake, **variables)
    return out


def others_read_it():
    from deltalake import DeltaTable

    with tempfile.TemporaryDirectory() as folder:
        lake = os.path.join(folder, "lake")
        simulate(lake)
        for table in TABLES:
            theirs = DeltaTable(os.path.join(lake, "tables", table)).to_pyarrow_table()
            ours = int(rows(lake, f"SELECT count(*) FROM {table}")[0][0])
            assert theirs.num_rows == ours > 0, (table, theirs.num_rows, ours)
        spans = DeltaTable(os.path.join(lake, "tables", "spans")).to_pyarrow_table()
        theirs = sum(value or 0 for value in spans.column("duration_nano").to_pylist())
        assert int(rows(lake, "SELECT sum(duration_nano) FROM spans")[0][0]) == theirs
        costs = DeltaTable(os.path.join(lake, "tables", "costs")).to_pyarrow_table()
        theirs = sum(costs.column("billed_cost").to_pylist())
        from decimal import Decimal

        assert Decimal(rows(lake, "SELECT sum(billed_cost) FROM costs")[0][0]) == theirs
        before = rows(lake, "SELECT sum(rows) FROM system.tables WHERE table_name <> 'ingests'")
        simulate(lake)
        after = rows(lake, "SELECT sum(rows) FROM system.tables WHERE table_name <> 'ingests'")
        assert before == after, f"the same files twice changed {before} to {after}"
    print("ok  other Delta readers see the rows that we wrote; the same files twice change nothing")


def in_a_bucket():
    import boto3

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        variables = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        client = boto3.client(
            "s3",
            endpoint_url=url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name="us-east-1",
        )
        client.create_bucket(Bucket="ascribe-lake")
        lake = "s3://ascribe-lake/company"
        truth = simulate(lake, **variables)
        truth = json.loads(truth[truth.index("{") :])
        assert truth["scenario"] == "bad-deploy"
        with tempfile.TemporaryDirectory() as folder:
            simulate(folder)
            for table in TABLES:
                sql = f"SELECT count(*) FROM {table}"
                assert rows(lake, sql, **variables) == rows(folder, sql), table
        ascribe("report", "run", "monthly_chargeback", "--at", "2026-04-03", "--lake", lake, **variables)
        listed = client.list_objects_v2(Bucket="ascribe-lake", Prefix="company/reports/monthly_chargeback/")
        names = [item["Key"].rsplit("/", 1)[1] for item in listed["Contents"]]
        assert "report.html" in names and "by_owner.csv" in names, names
    finally:
        server.terminate()
        server.wait()
    print("ok  a lake in an S3 bucket holds the same as one in a directory")


if __name__ == "__main__":
    others_read_it()
    in_a_bucket()
