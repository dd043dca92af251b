"""`ascribe import` from outside: every source fed good and bad files, from every kind of place, killed half way.

Environment: ASCRIBE_BIN. Needs moto for the part in a bucket, and zstd for compressing; both are skipped loudly.
"""

import gzip
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from program import ASCRIBE, ascribe, background, moto, rows, run

ROOT = pathlib.Path(__file__).parent.parent.parent
ROWS = "SELECT table_name, rows FROM system.tables WHERE table_name <> 'ingests' AND rows > 0 ORDER BY 1"
HUGE = 200_000_000


def plain(path):
    content = path.read_bytes()
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content


def samples(folder):
    """By source: a good file, and the options that it needs."""
    ascribe("simulate", "--seed", "7", "--spans", "2000", "--out", str(folder / "sim"))
    first = lambda pattern: plain(sorted((folder / "sim").glob(pattern))[0])
    ownership = first("ownership.csv")
    (folder / "ownership.csv").write_bytes(ownership)
    lake = str(folder / "made")
    ascribe("import", "csv", str(folder / "ownership.csv"), "--table", "ownership", "--lake", lake)
    query = "SELECT entity_kind, entity, owner, role, weight, valid_from FROM ownership"
    made = subprocess.run([ASCRIBE, "sql", "--lake", lake, "--format", "parquet", "-c", query], capture_output=True, check=True)
    zipkin = [
        {"traceId": "a" * 32, "id": f"{at:016x}", "name": "get", "timestamp": 1_700_000_000_000_000 + at, "duration": 5,
         "localEndpoint": {"serviceName": "cart"}}
        for at in range(1, 20)
    ]
    alerts = {"version": "4", "status": "firing", "alerts": [
        {"status": "firing", "labels": {"alertname": f"Errors{at}", "service": "cart"}, "fingerprint": f"{at:016x}",
         "startsAt": "2026-03-01T10:00:00Z", "endsAt": "0001-01-01T00:00:00Z"}
        for at in range(1, 4)
    ]}
    page = {"event": {"id": "01BX", "event_type": "incident.triggered", "resource_type": "incident", "occurred_at": "2026-03-01T10:05:00Z",
        "data": {"id": "PGR0VU2", "type": "incident", "status": "triggered", "created_at": "2026-03-01T10:00:00Z", "title": "A bump",
                 "service": {"id": "PF9", "summary": "checkout"}}}}
    fixtures = ROOT / "data" / "fixtures"
    # Lines without those that the source rightly rejects.
    audit = lambda name, *rejected: b"".join(
        line for at, line in enumerate((fixtures / "audit" / f"{name}.ndjson").read_bytes().splitlines(True)) if at not in rejected)
    activity = {"class_uid": 6003, "activity_id": 2, "time": 1_722_502_800_123, "status_id": 1, "metadata": {"uid": "e-1"},
        "cloud": {"provider": "AWS"}, "api": {"operation": "GetObject", "service": {"name": "s3.amazonaws.com"}},
        "actor": {"user": {"name": "ada", "uid": "arn:aws:iam::1:user/ada"}}}
    application = {"kind": "Application", "metadata": {"name": "cart", "namespace": "argocd"},
        "spec": {"source": {"repoURL": "https://github.com/acme/deploy", "targetRevision": "v2"}},
        "status": {"operationState": {"phase": "Succeeded", "startedAt": "2026-03-01T10:00:00Z", "finishedAt": "2026-03-01T10:01:00Z",
            "syncResult": {"revision": "abc"}}}}
    rescaled = {"kind": "Event", "involvedObject": {"kind": "HorizontalPodAutoscaler", "namespace": "shop", "name": "cart"},
        "reason": "SuccessfulRescale", "message": "New size: 4; reason: cpu resource utilization above target",
        "lastTimestamp": "2026-03-01T10:00:00Z", "metadata": {"uid": "u-1"}}
    run_event = {"eventType": "COMPLETE", "eventTime": "2026-03-01T10:00:00Z", "run": {"runId": "r-1"},
        "job": {"namespace": "airflow", "name": "daily"}, "inputs": [{"namespace": "s3://raw", "name": "orders"}], "outputs": []}
    owners = b"* @acme/platform\n/services/cart/ @acme/team-cart\n/services/pay/ @acme/team-pay\n"
    return {
        "gcp-audit": (audit("gcp-audit"), []),
        "azure-activity": (audit("azure-activity"), []),
        "k8s-audit": (audit("k8s-audit", 2, 3, 4), []),
        "okta": (audit("okta"), []),
        "github-audit": (audit("github-audit", 3, 5), []),
        "ocsf": (json.dumps(activity).encode(), []),
        "gitlab": ((fixtures / "gitlab" / "deployment-event.json").read_bytes(), []),
        "argocd": (json.dumps(application).encode(), []),
        "kubernetes": (json.dumps(rescaled).encode(), []),
        "openlineage": (json.dumps(run_event).encode(), []),
        "codeowners": (owners, ["--set", "repository=acme/shop"]),
        "otlp": (first("otlp/traces*"), []),
        "jaeger": ((fixtures / "crisp" / "1.json").read_bytes(), []),
        "zipkin": (json.dumps(zipkin).encode(), []),
        "cloudtrail": (first("cloudtrail/*"), []),
        "focus": (first("focus/*"), []),
        "github": (first("github/*-0-deployment.json"), []),
        "cdevents": (first("cdevents/0*"), []),
        "alertmanager": (json.dumps(alerts).encode(), []),
        "pagerduty": (json.dumps(page).encode(), []),
        "backstage": (first("backstage/*"), []),
        "openslo": ((fixtures / "openslo" / "ratio-timeslices.yaml").read_bytes(), []),
        "csv": (ownership, ["--table", "ownership"]),
        "parquet": (made.stdout, ["--table", "ownership"]),
    }


def bad_files(source, good):
    """Names and contents of what no source should have to read."""
    noise = random.Random(1)
    end = len(good) * 6 // 10
    # A row that is cut in its last cell may be a whole row, so rows are cut near their beginning.
    cut = good.rfind(b"\n", 0, end) + 15 if source in ("csv", "focus") else end
    # An owner that is cut in its name may be another owner.
    cut = good.rfind(b"@", 0, end) + 1 if source == "codeowners" else cut
    yield "truncated", good[:cut]
    yield "wrong", b'{"a": [1, "x", null]}\n'
    yield "numbers", b"[1, 2, 3]\n"
    yield "binary", noise.randbytes(100_000)
    yield "no gzip", b"\x1f\x8b" + noise.randbytes(1000)
    yield "half a gzip", gzip.compress(good)[:-20]


def landed(done):
    """The rows that the summary claims, and the records that it says were rejected."""
    count = lambda words: sum(int(line.split()[0]) for line in done.stdout.splitlines() if re.search(words, line))
    return count(" rows? landed"), count(" records? rejected")


def stored(lake):
    return sum(int(row[1]) for row in rows(lake, ROWS)) if os.path.exists(lake) else 0


def every_source_survives_bad_files(folder, sources):
    names = {line.split()[0] for line in ascribe("import", "--help").split("Sources:")[1].splitlines() if line.startswith("  ")}
    assert names == set(sources), f"imports.py has no sample for {names ^ set(sources)}"
    for source, (good, options) in sources.items():
        path = folder / "input"
        alone = str(folder / "alone")
        path.write_bytes(good)
        done = run("import", source, str(path), "--lake", alone, *options)
        whole = landed(done)
        assert done.returncode == 0 and whole[0] > 0 == whole[1], (source, done)
        for kind, content in bad_files(source, good):
            lake = str(folder / "lake")
            path.write_bytes(content)
            done = run("import", source, str(path), "--lake", lake, *options)
            counted, rejected = landed(done)
            assert done.returncode == 1, (source, kind, done)
            assert stored(lake) == counted < whole[0], (source, kind, done)
            if done.stderr:
                assert counted == 0 and str(path) in done.stderr.splitlines()[0], (source, kind, done)
            else:
                assert rejected > 0 and "such as " in done.stdout, (source, kind, done)
                assert run("import", source, str(path), "--lake", str(folder / "other"), "--accept-rejections", *options).returncode == 0
                shutil.rmtree(folder / "other", ignore_errors=True)
            # The bad file costs nothing of the good one that is imported beside it, wherever it stands.
            beside = folder / "beside"
            beside.mkdir()
            (beside / "1-bad").write_bytes(content)
            (beside / "2-good").write_bytes(good)
            (beside / "3-bad").write_bytes(content[:-1])
            both = run("import", source, str(beside), "--lake", str(folder / "both"), *options)
            assert both.returncode == 1, (source, kind, both)
            if source == "focus" and both.stderr:
                # Half a delivery must not take the place of a whole one.
                assert stored(str(folder / "both")) == 0, (kind, both)
            else:
                assert landed(both)[0] >= whole[0] and stored(str(folder / "both")) == landed(both)[0], (source, kind, both)
            for used in (lake, str(folder / "both"), beside):
                shutil.rmtree(used, ignore_errors=True)
        path.write_bytes(b"")
        done = run("import", source, str(path), "--lake", alone, *options)
        assert landed(done) == (0, 0) and done.returncode == (1 if source in ("focus", "csv", "parquet") else 0), (source, done)
        assert stored(alone) == whole[0], source
        shutil.rmtree(alone)
    print(f"ok  {len(sources)} sources tell what is wrong with bad files and land all that is good beside them")


def what_was_rejected_is_not_forgotten(folder, sources):
    lake, path = str(folder / "bills"), folder / "bill.csv"
    bill = sources["focus"][0]
    path.write_bytes(bill)
    whole = landed(run("import", "focus", str(path), "--lake", lake))[0]
    sums = "SELECT sum(billed_cost) FROM costs"
    before = rows(lake, sums)
    # A cell of the last row is no amount; the column is found by its name.
    header, *lines = bill.decode().splitlines()
    cells = lines[-1].split(",")
    cells[header.split(",").index("BilledCost")] = "much"
    path.write_text("\n".join([header, *lines[:-1], ",".join(cells)]) + "\n")
    done = run("import", "focus", str(path), "--lake", lake)
    assert done.returncode == 1 and "would take the place of another one, and 1 record of it" in done.stderr, done
    assert "--accept-rejections" in done.stderr and rows(lake, sums) == before and stored(lake) == whole, done
    done = run("import", "focus", str(path), "--lake", lake, "--accept-rejections")
    assert done.returncode == 0 and stored(lake) == whole - 1, done
    # What is there already takes nobody's place, but is no success either.
    done = run("import", "focus", str(path), "--lake", lake)
    assert done.returncode == 1 and "1 record of that rejected" in done.stdout and stored(lake) == whole - 1, done

    lake, path = str(folder / "lines"), folder / "traces.jsonl"
    path.write_bytes(sources["otlp"][0] + b'{"a": 1}\n')
    options = ["import", "otlp", str(path), "--lake", lake]
    first = run(*options)
    assert first.returncode == 1 and landed(first)[1] == 1, first
    again = run(*options)
    assert again.returncode == 1 and "1 record of that rejected" in again.stdout, again
    assert run(*options, "--accept-rejections").returncode == 0
    print("ok  a bill with a rejected record replaces no whole one, and a file that had one stays a failure")


def every_source_survives_a_huge_line(folder, sources):
    path = folder / "huge"
    with open(path, "wb") as file:
        for _ in range(HUGE // 1_000_000):
            file.write(b"x" * 1_000_000)
    watch = "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:]); used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_maxrss // 1024, file=sys.stderr); sys.exit(done.returncode)"

    def refused(source):
        lake, options = str(folder / f"huge-{source}"), sources[source][1]
        command = [sys.executable, "-c", watch, ASCRIBE, "import", source, str(path), "--lake", lake, *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 1 and "panicked" not in done.stderr, (source, done)
        *said, memory = done.stderr.splitlines()
        assert len("".join(said)) + len(done.stdout) < 5000, f"{source} says too much"
        assert int(memory) < 600, f"{source} took {memory} MiB for a line of {HUGE} bytes"
        assert stored(lake) == 0

    # It is all computing, so two at a time.
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(refused, sources))
    path.unlink()
    print(f"ok  a line of {HUGE // 1_000_000} MB is refused by all sources in bounded memory")


def zstd(content):
    return subprocess.run(["zstd", "-q", "-c"], input=content, capture_output=True, check=True).stdout


def it_is_the_same_from_anywhere(folder, sources):
    traces = sources["otlp"][0]
    path = folder / "traces.jsonl"
    path.write_bytes(traces)
    expected = landed(run("import", "otlp", str(path), "--lake", str(folder / "lake")))[0]
    piped = {"plain": traces, "gzip": gzip.compress(traces)}
    if shutil.which("zstd"):
        piped["zstd"] = zstd(traces)
    else:
        print("SKIPPED zstd: not installed", file=sys.stderr)
    for kind, content in piped.items():
        lake = str(folder / kind)
        done = run("import", "otlp", "-", "--lake", lake, stdin=content)
        assert (done.returncode, landed(done)) == (0, (expected, 0)), (kind, done)
        again = run("import", "otlp", "-", "--lake", lake, stdin=content)
        assert "1 file skipped as already imported" in again.stdout and stored(lake) == expected, again
    # Content counts, not the name: what came by path is known at standard input.
    again = run("import", "otlp", "-", "--lake", str(folder / "lake"), stdin=traces)
    assert "skipped" in again.stdout and stored(str(folder / "lake")) == expected

    source = folder / "sim" / "cloudtrail"
    parts = sorted(source.iterdir())
    assert len(parts) > 1
    whole = landed(run("import", "cloudtrail", str(source), "--lake", str(folder / "directory")))[0]
    # A space, and letters that a URL writes as hexadecimal numbers.
    spaced = folder / "a b ü"
    shutil.copytree(source, spaced)
    for kind, argument in {
        "glob": [f"{source}/*.json.gz"],
        "files": [str(part) for part in parts],
        "url": [f"file://{source}"],
        "spaced": [str(spaced)],
        "spaced url": [spaced.as_uri()],
    }.items():
        done = run("import", "cloudtrail", *argument, "--lake", str(folder / kind))
        assert (done.returncode, landed(done)) == (0, (whole, 0)), (kind, done)
    for argument in [str(folder / "nothing"), f"{folder}/*.nothing", f"file://{folder}/nothing"]:
        done = run("import", "cloudtrail", argument, "--lake", str(folder / "glob"))
        assert done.returncode == 1 and argument.removeprefix("file://") in done.stderr, done
    unknown = run("import", "nonsense", str(path), "--lake", str(folder / "glob"))
    assert unknown.returncode == 1 and "the sources are: otlp" in unknown.stderr, unknown
    print("ok  standard input, gzip, zstd, globs, directories and file:// land the same")
    return whole


def it_is_the_same_from_a_bucket(folder, whole):
    try:
        import boto3  # noqa: F401
    except ImportError:
        print("SKIPPED imports from a bucket: boto3 and moto are not installed", file=sys.stderr)
        return
    with moto() as (variables, client):
        for part in sorted((folder / "sim" / "cloudtrail").iterdir()):
            client.put_object(Bucket="ascribe-lake", Key=f"audit/a b/{part.name}", Body=part.read_bytes())
        lake = "s3://ascribe-lake/lake"
        done = run("import", "cloudtrail", "s3://ascribe-lake/audit/a b", "--lake", lake, **variables)
        assert (done.returncode, landed(done)) == (0, (whole, 0)), done
        one = f"s3://ascribe-lake/audit/a b/{part.name}"
        done = run("import", "cloudtrail", one, "--lake", lake, **variables)
        assert "1 file skipped as already imported" in done.stdout, done
        done = run("import", "cloudtrail", "s3://ascribe-lake/nothing", "--lake", lake, **variables)
        assert done.returncode == 1 and "s3://ascribe-lake/nothing" in done.stderr, done
        done = run("import", "cloudtrail", "s3://no-such-bucket/x", "--lake", lake, **variables)
        assert done.returncode == 1 and "ERROR" in done.stderr, done
        assert rows(lake, "SELECT count(*) FROM iam_events", **variables) == [[str(whole)]]
    print("ok  objects in a bucket land the same")


def a_watched_bucket_lands_once(folder, whole):
    try:
        import boto3  # noqa: F401
    except ImportError:
        print("SKIPPED a watched bucket: boto3 and moto are not installed", file=sys.stderr)
        return
    with moto() as (variables, client):
        lake = "s3://ascribe-lake/lake"
        serve = [ASCRIBE, "serve", "--lake", lake, "--listen", "127.0.0.1:0", "--otlp-http", "off", "--otlp-grpc", "off", "--maintain", "off",
                 "--watch", "cloudtrail=s3://ascribe-lake/AWSLogs", "--watch-interval", "1s"]
        environment = {**os.environ, **variables}
        with background(serve, env=environment), background(serve, env=environment):
            for part in sorted((folder / "sim" / "cloudtrail").iterdir()):
                client.put_object(Bucket="ascribe-lake", Key=f"AWSLogs/2026/{part.name}", Body=part.read_bytes())
                time.sleep(0.5)
            count = lambda: int(rows(lake, "SELECT count(*) FROM iam_events", **variables)[0][0])
            deadline = time.monotonic() + 120
            while count() < whole and time.monotonic() < deadline:
                time.sleep(0.5)
            # Both nodes look again.
            time.sleep(3)
            assert count() == whole, f"{count()} rows of {whole} landed"
    print("ok  what is delivered to a bucket lands once with two nodes that watch it")


def killed_half_way_it_lands_once(folder):
    sim = folder / "large"
    ascribe("simulate", "--seed", "11", "--spans", "20000", "--out", str(sim))
    argument = str(sim / "otlp")
    clean = str(folder / "clean")
    ascribe("import", "otlp", argument, "--lake", clean)
    expected = rows(clean, ROWS)
    assert len(expected) >= 3, expected

    def reached(lake, files):
        return sum(1 for _ in pathlib.Path(lake).glob(files)) > 0

    # While files are written, after the first table's commit, and after all but the last.
    moments = ["tables/*/date=*/*.parquet", "tables/*/_delta_log/*1.json", "tables/spans/_delta_log/*1.json"]
    stopped = 0
    for number, moment in enumerate(moments):
        lake = str(folder / f"killed{number}")
        process = subprocess.Popen([ASCRIBE, "import", "otlp", argument, "--lake", lake], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not reached(lake, moment):
            time.sleep(0.001)
        process.kill()
        stopped += process.wait() == -9
        before = rows(lake, ROWS)
        done = run("import", "otlp", argument, "--lake", lake)
        assert done.returncode == 0, done
        assert rows(lake, ROWS) == expected, f"{moment}: {before} became {rows(lake, ROWS)} instead of {expected}"
        again = run("import", "otlp", argument, "--lake", lake)
        assert " skipped as already imported" in again.stdout and rows(lake, ROWS) == expected
    assert stopped > 0, "no import was slow enough to be killed"
    print(f"ok  {stopped} imports killed half way and made again landed every row once")


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        sources = samples(folder)
        every_source_survives_bad_files(folder, sources)
        what_was_rejected_is_not_forgotten(folder, sources)
        every_source_survives_a_huge_line(folder, sources)
        whole = it_is_the_same_from_anywhere(folder, sources)
        it_is_the_same_from_a_bucket(folder, whole)
        a_watched_bucket_lands_once(folder, whole)
        killed_half_way_it_lands_once(folder)


if __name__ == "__main__":
    main()
