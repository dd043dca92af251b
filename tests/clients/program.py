"""Running the program under test, which ASCRIBE_BIN names, as a user does."""

import contextlib
import csv
import io
import os
import signal
import socket
import subprocess
import sys
import time

ASCRIBE = os.environ["ASCRIBE_BIN"]


def start(*arguments, **variables):
    """The program, running, with its output as text."""
    environment = {**os.environ, **variables}
    return subprocess.Popen(
        [ASCRIBE, *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(*arguments, stdin=None, **variables):
    """The program when it has ended; what it was given at standard input is bytes."""
    done = subprocess.run([ASCRIBE, *arguments], env={**os.environ, **variables}, input=stdin or b"", capture_output=True, timeout=900)
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    assert "panicked" not in done.stderr and done.returncode in (0, 1, 2), f"{arguments}: {done}"
    return done


def ascribe(*arguments, **variables):
    """What it says when all is well."""
    done = run(*arguments, **variables)
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


def rows(lake, sql, **variables):
    """The rows of a statement as text, without the header."""
    return list(csv.reader(io.StringIO(ascribe("sql", "--lake", lake, "--format", "csv", "-c", sql, **variables))))[1:]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def reachable(port, seconds=60):
    """Wait until somebody listens."""
    for _ in range(seconds * 10):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"nobody listens at port {port}")


@contextlib.contextmanager
def background(command, **options):
    """Something that runs meanwhile and is ended with what it started, as a group of its own."""
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True, **options}
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        for wish, seconds in ((signal.SIGTERM, 30), (signal.SIGKILL, 10)):
            if ended(process, wish, seconds):
                break


def ended(process, wish, seconds):
    """Whether nothing of the group is left within the time."""
    deadline = time.monotonic() + seconds
    try:
        os.killpg(process.pid, wish)
        while time.monotonic() < deadline:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(0.05)
    except ProcessLookupError:
        process.wait()
        return True
    return False


@contextlib.contextmanager
def moto():
    """An S3 server with one bucket: its variables and a client."""
    import boto3

    port = free_port()
    with background([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]):
        reachable(port)
        url = f"http://127.0.0.1:{port}"
        variables = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }
        client = boto3.client("s3", endpoint_url=url, aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
        client.create_bucket(Bucket="ascribe-lake")
        yield variables, client
