"""The server against a real PostgreSQL: every statement of compare/*.sql is asked of both.

Compared are the names and types of the columns, the bytes of every value and the SQLSTATE of an error, by the simple
protocol and by the extended one with text and with binary results. compare/differences.txt lists the statements that
differ with the reason of each; a listed statement that agrees fails the test as well as one that is not listed and differs.

PostgreSQL is started from /usr/lib/postgresql in a temporary folder. PGHOST and PGPORT name the server under test.
"""

import glob
import os
import pwd
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "compare")


class Server:
    """A connection that speaks just enough of the protocol to see every byte."""

    def __init__(self, host, port, user, database):
        self.socket = socket.create_connection((host, port), timeout=60)
        self.buffer = b""
        body = struct.pack("!i", 196608) + f"user\0{user}\0database\0{database}\0\0".encode()
        self.socket.sendall(struct.pack("!i", len(body) + 4) + body)
        self.until_ready()

    def send(self, *messages):
        parts = [kind + struct.pack("!i", len(body) + 4) + body for kind, body in messages]
        self.socket.sendall(b"".join(parts))

    def receive(self, size):
        while len(self.buffer) < size:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the server closed the connection")
            self.buffer += data
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def until_ready(self):
        columns, rows, error = None, [], None
        while True:
            kind, length = struct.unpack("!ci", self.receive(5))
            body = self.receive(length - 4)
            if kind == b"T":
                columns = described(body)
            elif kind == b"D":
                rows.append(values(body))
            elif kind == b"E" and error is None:
                fields = {part[:1]: part[1:].decode() for part in body.split(b"\0") if part}
                error = (fields[b"C"], fields[b"M"])
            elif kind == b"Z":
                return columns, rows, error

    def simple(self, sql):
        self.send((b"Q", sql.encode() + b"\0"))
        return self.until_ready()

    def extended(self, sql, binary):
        text = sql.encode() + b"\0"
        bind = b"\0\0" + struct.pack("!hhhh", 0, 0, 1, int(binary))
        self.send(
            (b"P", b"\0" + text + b"\0\0"),
            (b"B", bind),
            (b"D", b"P\0"),
            (b"E", b"\0" + struct.pack("!i", 0)),
            (b"S", b""),
        )
        return self.until_ready()


def described(body):
    (count,) = struct.unpack_from("!h", body)
    at, columns = 2, []
    for _ in range(count):
        end = body.index(b"\0", at)
        oid = struct.unpack_from("!i", body, end + 7)[0]
        columns.append((body[at:end].decode(), oid))
        at = end + 19
    return columns


def values(body):
    (count,) = struct.unpack_from("!h", body)
    at, row = 2, []
    for _ in range(count):
        (length,) = struct.unpack_from("!i", body, at)
        at += 4
        row.append(None if length < 0 else body[at : at + length])
        at += max(length, 0)
    return row


def start_postgresql(folder):
    programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: float(path.split("/")[-2]))
    if not programs:
        return None
    programs = programs[-1]
    data = os.path.join(folder, "data")
    prefix, owner = [], None
    if os.getuid() == 0:
        prefix, owner = ["runuser", "-u", "postgres", "--"], pwd.getpwnam("postgres").pw_uid
        os.chown(folder, owner, -1)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "cwd": folder}
    subprocess.run(
        [*prefix, f"{programs}/initdb", "-D", data, "-A", "trust", "-U", "ada", "--no-locale", "-E", "UTF8", "-N"], **quiet
    )
    options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off -c timezone=UTC"
    subprocess.run([*prefix, f"{programs}/pg_ctl", "-D", data, "-w", "-l", f"{folder}/log", "-o", options, "start"], **quiet)
    return port, [*prefix, f"{programs}/pg_ctl", "-D", data, "-m", "immediate", "stop"]


def statements():
    """(topic, statement); a line that is no statement is an expression, `\\set` lines are sent to both as they are."""
    for path in sorted(glob.glob(os.path.join(HERE, "*.sql"))):
        topic = os.path.basename(path)[:-4]
        for line in open(path, encoding="utf-8"):
            line = line.rstrip("\n")
            if not line or line.startswith("-- "):
                continue
            first = re.match(r"\(?\w*", line).group().lstrip("(").upper()
            known = {"SELECT", "WITH", "VALUES", "SET", "RESET", "SHOW", "BEGIN", "EXPLAIN"}
            yield topic, line if first in known else f"SELECT {line}"


def differences():
    listed = {}
    path = os.path.join(HERE, "differences.txt")
    reason = None
    for line in open(path, encoding="utf-8"):
        line = line.rstrip("\n")
        if line.startswith("# "):
            reason = line[2:]
        elif line:
            listed[line] = reason
    return listed


def shown(answer):
    columns, rows, error = answer
    return f"error {error[0]} {error[1]}" if error else f"{columns} {rows}"


def compare(ours, theirs, sql):
    """The first difference, or none."""
    asks = [
        ("simple", lambda server: server.simple(sql)),
        ("extended text", lambda server: server.extended(sql, False)),
        ("extended binary", lambda server: server.extended(sql, True)),
    ]
    for how, ask in asks:
        wanted, got = ask(theirs), ask(ours)
        if wanted[2] or got[2]:
            same = (wanted[2] or [None])[0] == (got[2] or [None])[0]
        else:
            same = wanted == got
        if not same:
            return f"{how}\n      postgresql: {shown(wanted)}\n      ascribe:    {shown(got)}"
    return None


def main():
    folder = tempfile.mkdtemp(prefix="compare")
    started = start_postgresql(folder)
    if started is None:
        print("SKIPPED compare: PostgreSQL's server is not installed", file=sys.stderr)
        return 0
    port, stop = started
    failures, counts, listed, seen = [], {}, differences(), set()
    try:
        theirs = Server("127.0.0.1", port, "ada", "postgres")
        ours = Server(os.environ.get("PGHOST", "127.0.0.1"), int(os.environ["PGPORT"]), "ada", "ascribe")
        begin = time.monotonic()
        for topic, sql in statements():
            seen.add(sql)
            different = compare(ours, theirs, sql)
            equal, other = counts.setdefault(topic, [0, 0])
            counts[topic] = [equal + (different is None), other + (different is not None)]
            if different and sql not in listed:
                failures.append(f"{topic}: {sql}\n    by {different}")
            elif not different and sql in listed:
                failures.append(f"{topic}: {sql}\n    is listed as a difference ({listed[sql]}) and is none")
        failures += [f"listed and not asked: {sql}" for sql in listed if sql not in seen]
        took = time.monotonic() - begin
    finally:
        subprocess.run(stop, check=False, stdout=subprocess.DEVNULL, cwd=folder)
        shutil.rmtree(folder, ignore_errors=True)
    for failure in failures:
        print("FAILED compare", failure, file=sys.stderr)
    for topic, (equal, other) in counts.items():
        print(f"compare {topic}: {equal} equal, {other} differ")
    equal, other = (sum(column) for column in zip(*counts.values()))
    print(f"compare: {equal} equal, {other} differ, {len(listed)} of them listed ({took:.0f} s)")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
