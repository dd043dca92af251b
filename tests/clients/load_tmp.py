"""What a server bears: many who are idle, many who are busy, and those who mean no good; others are served meanwhile.

Needs nothing beyond the standard library. Starts a server of its own of the program that ASCRIBE_BIN names.
LOAD_ROUNDS (default 600) says how many broken conversations the fuzzer has, LOAD_SEED which ones.
"""

import os
import pathlib
import random
import resource
import socket
import struct
import subprocess
import tempfile
import threading
import time

from program import ASCRIBE, ascribe, background, free_port, reachable

IDLE = 1000
BUSY = 64


def message(kind, body):
    return kind + struct.pack("!i", len(body) + 4) + body


def text(value):
    return value.encode() + b"\0"


def startup(user="ada"):
    body = struct.pack("!i", 196608) + text("user") + text(user) + text("database") + text("ascribe") + b"\0"
    return struct.pack("!i", len(body) + 4) + body


def query(sql):
    return message(b"Q", text(sql))


class Client:
    """A connection that speaks as little of the protocol as it needs."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.sendall(startup())
        self.until(b"Z")

    def receive(self, count):
        parts = b""
        while len(parts) < count:
            part = self.socket.recv(count - len(parts))
            if not part:
                raise EOFError
            parts += part
        return parts

    def until(self, last):
        """The messages up to one of a kind, as kinds and bodies."""
        messages = []
        while not messages or messages[-1][0] != last:
            kind, length = struct.unpack("!ci", self.receive(5))
            messages.append((kind, self.receive(length - 4)))
        return messages

    def rows(self, sql):
        self.socket.sendall(query(sql))
        answer = self.until(b"Z")
        wrong = [body for kind, body in answer if kind == b"E"]
        assert not wrong, wrong
        rows = []
        for kind, body in answer:
            if kind != b"D":
                continue
            count, at, row = struct.unpack("!h", body[:2])[0], 2, []
            for _ in range(count):
                length = struct.unpack("!i", body[at : at + 4])[0]
                at += 4
                row.append(None if length < 0 else body[at : at + length].decode())
                at += max(length, 0)
            rows.append(row)
        return rows

    def close(self):
        self.socket.close()


def resident(pid):
    """Bytes of memory of a process."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) * 1024


def served(port):
    """Whether somebody who comes now is served."""
    client = Client(port)
    assert client.rows("SELECT count(*) FROM changes") == [["2"]]
    client.close()


def idle(port, pid):
    before = resident(pid)
    clients = [Client(port) for _ in range(IDLE)]
    grown = resident(pid) - before
    assert clients[-1].rows("SELECT count(*) FROM pg_stat_activity") == [[str(IDLE)]]
    # One more than there may be is told so, and the others do not mind.
    try:
        Client(port)
        raise AssertionError("one too many was let in")
    except EOFError:
        pass
    assert clients[0].rows("SELECT 1") == [["1"]]
    for client in clients:
        client.close()
    pass
    return f"{IDLE} idle connections take {grown / (1 << 20):.1f} MiB"


def busy(port):
    """Many who compute at once: all come forward."""
    counts = [0] * BUSY
    ends = time.monotonic() + 20

    def ask(at):
        client = Client(port)
        while time.monotonic() < ends:
            assert client.rows("SELECT sum(x) FROM generate_series(1, 300000) AS g(x)") == [["45000150000"]]
            counts[at] += 1
        client.close()

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(BUSY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert min(counts) > 0, counts
    return f"{BUSY} busy connections got {min(counts)} to {max(counts)} answers each"


def storm(port):
    """Those who connect and go at once, say nothing, or say half of it."""
    for _ in range(500):
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    silent = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(100)]
    half = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(100)]
    for at, one in enumerate(half):
        # A request for TLS and the beginning of a handshake; or the beginning of a startup message.
        one.sendall(struct.pack("!ii", 8, 80877103) + b"\x16\x03\x01" if at % 2 else startup()[:11])
    served(port)
    slow = socket.create_connection(("127.0.0.1", port), timeout=10)
    for byte in startup()[:20]:
        slow.sendall(bytes([byte]))
        time.sleep(0.02)
    served(port)
    for one in [*silent, *half, slow]:
        one.close()


def giant(port, pid):
    """A message of a gigabyte is not waited for, nor kept."""
    client = Client(port)
    before = resident(pid)
    client.socket.sendall(b"Q" + struct.pack("!i", 1 << 30))
    try:
        for _ in range(1024):
            client.socket.sendall(b" " * (1 << 20))
        client.until(b"Z")
        raise AssertionError("a message of a gigabyte was answered")
    except (EOFError, OSError):
        pass
    served(port)
    grown = resident(pid) - before
    assert grown < 200 << 20, f"a message of a gigabyte took {grown >> 20} MiB"


# Conversations that are right, of which the fuzzer makes wrong ones.
PARSE = message(b"P", text("s") + text("SELECT $1::int + 1") + struct.pack("!hi", 1, 23))
BIND = message(b"B", text("p") + text("s") + struct.pack("!hhhi", 1, 1, 1, 4) + struct.pack("!i", 7) + struct.pack("!hh", 1, 1))
DESCRIBE = message(b"D", b"P" + text("p")) + message(b"D", b"S" + text("s"))
EXECUTE = message(b"E", text("p") + struct.pack("!i", 0))
SYNC = message(b"S", b"")
CONVERSATIONS = [
    [query("SELECT * FROM generate_series(1, 100)"), query("BEGIN; SELECT 1; COMMIT"), query("SHOW ALL")],
    [PARSE, BIND, DESCRIBE, EXECUTE, SYNC, message(b"C", b"P" + text("p")), SYNC],
    [PARSE, BIND, message(b"E", text("p") + struct.pack("!i", 1)), message(b"H", b""), SYNC],
    [query("COPY changes (change_id) FROM STDIN"), message(b"d", b"a\n"), message(b"f", text("no")), query("SELECT 2")],
    [query("COPY (SELECT 1) TO STDOUT (FORMAT binary)"), query("DECLARE c CURSOR FOR SELECT 1"), message(b"X", b"")],
    [query("SELECT 'é', E'\\\\x00', $1, \"a\".b FROM changes WHERE kind = 'x' -- y"), message(b"F", b"\0" * 14), SYNC],
]


def broken(chance):
    """The bytes of a conversation, not all of them as they should be."""
    parts = [startup(), *chance.choice(CONVERSATIONS)]
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(parts))
        part = bytearray(parts[at])
        match chance.randrange(8):
            case 0:
                part[chance.randrange(len(part))] = chance.randrange(256)
            case 1:
                part = part[: chance.randrange(len(part))]
            case 2:
                place = 0 if at == 0 else 1
                part[place : place + 4] = struct.pack("!i", chance.choice([-1, 0, 3, 4, 5, 1 << 30, -(1 << 31), len(part) + 9]))
            case 3:
                place = chance.randrange(len(part))
                part[place:place] = chance.randbytes(chance.randint(1, 40))
            case 4:
                parts.insert(at, bytes(part))
            case 5:
                part = bytearray(chance.randbytes(chance.randint(1, 200)))
            case 6:
                other = chance.randrange(len(parts))
                parts[at], parts[other] = parts[other], parts[at]
                continue
            case 7:
                part[:1] = chance.choice([b"\0", b"p", b"Q", b"B", b"F", b"\xff", b"z"])
        parts[at] = bytes(part)
    return b"".join(parts)


def fuzz(port, process):
    rounds, seed = int(os.environ.get("LOAD_ROUNDS", "600")), os.environ.get("LOAD_SEED", "1")
    other = Client(port)
    for at in range(rounds):
        sent = broken(random.Random(f"{seed}/{at}"))
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
                one.sendall(sent)
                one.shutdown(socket.SHUT_WR)
                while one.recv(65536):
                    pass
        except TimeoutError as late:
            raise AssertionError(f"LOAD_SEED={seed}: conversation {at} hangs: {sent!r}") from late
        except OSError:
            pass
        assert process.poll() is None, f"LOAD_SEED={seed}: conversation {at} ended the server: {sent!r}"
        if at % 25 == 0:
            assert other.rows("SELECT count(*) FROM changes") == [["2"]], f"LOAD_SEED={seed}: after conversation {at}"
            served(port)
    other.close()
    return f"{rounds} broken conversations"


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    with tempfile.TemporaryDirectory() as folder:
        lake, port = f"{folder}/lake", free_port()
        os.mkdir(lake)
        ascribe("sql", "--lake", lake, "-c", "INSERT INTO changes (change_id, kind) VALUES ('a', 'deploy'), ('b', 'flag')")
        command = [ASCRIBE, "serve", "--lake", lake, "--listen", f"127.0.0.1:{port}", "--otlp-http", "off", "--otlp-grpc", "off"]
        with open(f"{folder}/log", "w+") as log, background(command, stdout=log, stderr=subprocess.STDOUT) as process:
            reachable(port)
            served(port)
            told = [idle(port, process.pid), busy(port)]
            storm(port)
            giant(port, process.pid)
            told.append(fuzz(port, process))
            served(port)
            log.seek(0)
            said = log.read()
            assert "panicked" not in said, said
    print(f"load: passed ({'; '.join(told)})")


main()
