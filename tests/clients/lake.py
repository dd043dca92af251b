"""What others read of a lake, and a lake in an S3 bucket.

Uses the deltalake package and moto's S3 server; ASCRIBE_BIN names the program under test.
"""

import json
import os
import re
import tempfile

from program import ascribe, moto, rows

TABLES = ["spans", "logs", "changes", "costs", "iam_events", "ownership"]


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
    with moto() as (variables, client):
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
        # GitHub tells of the start of a deployment twice: as a deployment, and as a status of it.
        counts = [f"SELECT count(*) FROM {table}" for table in TABLES if table != "changes"]
        counts.append("SELECT count(*) FROM (SELECT DISTINCT change_id, status, source FROM changes)")
        before = [rows(lake, count, **variables) for count in counts]
        told = ascribe("maintain", "--once", "--retention", "0s", "--orphans", "0s", "--lake", lake, **variables)
        assert "spans: " in told and re.search("unneeded files? deleted", told), told
        assert before == [rows(lake, count, **variables) for count in counts]
        sound = json.loads(ascribe("check", "--format", "json", "--lake", lake, **variables))
        assert sound["sound"] and sound["findings"] == [], sound
    print("ok  a lake in an S3 bucket holds the same as one in a directory")


if __name__ == "__main__":
    others_read_it()
    in_a_bucket()
