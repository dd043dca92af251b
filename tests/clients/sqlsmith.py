"""Statements that nobody would write, by SQLsmith: each is answered or refused, and the server lives.

Starts a server of its own of the program that ASCRIBE_BIN names. SQLSMITH_QUERIES (default 300) says how many statements,
SQLSMITH_SEED which ones.
"""

import csv
import io
import os
import shutil
import subprocess
import sys
import tempfile

from program import ASCRIBE, ascribe, background, free_port, reachable


def psql(port, sql):
    command = ["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "ada", "-d", "ascribe", "--csv", "-t", "-c", sql]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return list(csv.reader(io.StringIO(done.stdout)))


def main():
    queries, seed = os.environ.get("SQLSMITH_QUERIES", "300"), os.environ.get("SQLSMITH_SEED", "1")
    with tempfile.TemporaryDirectory() as folder:
        lake, port = f"{folder}/lake", free_port()
        # Rows for the statements to stumble over.
        ascribe("simulate", "--scenario", "bad-deploy", "--seed", "1", "--spans", "2000", "--lake", lake)
        command = [ASCRIBE, "serve", "--lake", lake, "--listen", f"127.0.0.1:{port}", "--otlp-http", "off", "--otlp-grpc", "off"]
        with open(f"{folder}/log", "w+") as log, background(command, stdout=log, stderr=subprocess.STDOUT) as process:
            reachable(port)
            target = f"host=127.0.0.1 port={port} user=ada dbname=ascribe"
            smith = ["sqlsmith", f"--target={target}", f"--max-queries={queries}", f"--seed={seed}"]
            done = subprocess.run(smith, capture_output=True, text=True, timeout=900)
            assert done.returncode == 0, f"seed {seed}: {done.stderr[-2000:]}"
            assert process.poll() is None, f"seed {seed}: the server ended"
            # A defect of the server has a code of its own.
            defects = psql(port, "SELECT statement FROM system.queries WHERE sqlstate LIKE 'XX%'")
            assert not defects, f"seed {seed}: {defects}"
            answered, refused = psql(
                port,
                "SELECT count(*) FILTER (WHERE sqlstate = '00000'), count(*) FILTER (WHERE sqlstate <> '00000') FROM system.queries",
            )[0]
            assert int(answered) > 0 and int(refused) > 0
            log.seek(0)
            said = log.read()
            assert "panicked" not in said, said
    print(f"SQLsmith: {queries} statements; of the last 1,000 with those about the catalog {answered} were answered, {refused} refused")


if shutil.which("sqlsmith") and shutil.which("psql"):
    main()
else:
    print("SKIPPED SQLsmith: not installed", file=sys.stderr)
