"""The secure front door as real clients meet it: psql with TLS and certificates, psycopg, and the record of it all.

Starts servers of its own of the program that ASCRIBE_BIN names. Certificates are made by openssl.
"""

import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

import psycopg

binary = os.environ["ASCRIBE_BIN"]
failures = []
work = pathlib.Path(tempfile.mkdtemp())


def check(what, actual, expected):
    if actual != expected:
        failures.append(f"{what}: expected {expected!r}, got {actual!r}")


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], cwd=work, check=True, capture_output=True)


def certificate(name, subject, issuer, extensions, digest="-sha256"):
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
    (work / f"{name}.ext").write_text(extensions)
    openssl(
        "x509", "-req", "-in", f"{name}.csr", "-CA", f"{issuer}.crt", "-CAkey", f"{issuer}.key", "-CAcreateserial",
        "-out", f"{name}.crt", "-days", "2", digest, "-extfile", f"{name}.ext",
    )


def authority(name):
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.crt",
            "-days", "2", "-subj", f"/CN={name}")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def ascribe(*arguments, input=None):
    return subprocess.run([binary, *arguments], input=input, text=True, capture_output=True, timeout=120)


class Server:
    def __init__(self, *arguments):
        self.port = free_port()
        self.log = work / "server.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [binary, "serve", "--lake", str(work / "lake"), "--listen", f"127.0.0.1:{self.port}",
                 "--otlp-http", "off", "--otlp-grpc", "off", *arguments], stdout=log, stderr=log)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    raise SystemExit(f"the server ended: {self.log.read_text()}")
                time.sleep(0.1)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)


def psql(sql, **settings):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    environment |= {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "root", "PGDATABASE": "ascribe",
                    "PGPASSWORD": "correct horse", "PGSSLROOTCERT": str(work / "ca.crt"), "HOME": str(work),
                    "PGCONNECT_TIMEOUT": "20"}
    environment |= {key: str(value) for key, value in settings.items()}
    done = subprocess.run(["psql", "-XAtq", "-v", "VERBOSITY=verbose", "-c", sql], env=environment, text=True,
                          capture_output=True, timeout=60)
    return (done.stdout if done.returncode == 0 else done.stderr).strip()


def connect(user, password, **options):
    return psycopg.connect(host="127.0.0.1", port=server.port, dbname="ascribe", user=user, password=password,
                           autocommit=True, sslrootcert=str(work / "ca.crt"), **options)


def contains(what, text, *parts):
    failures.extend(f"{what}: {part!r} is not in {text!r}" for part in parts if part not in text)


for name in ("ca", "client-ca", "other-ca"):
    authority(name)
certificate("server", "/CN=localhost", "ca", "subjectAltName=DNS:localhost,IP:127.0.0.1")
certificate("server384", "/CN=localhost", "ca", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-sha384")
certificate("ada", "/O=team/CN=ada", "client-ca", "extendedKeyUsage=clientAuth")
certificate("stranger", "/CN=ada", "other-ca", "extendedKeyUsage=clientAuth")
for key in work.glob("*.key"):
    key.chmod(0o600)

lake = ("--lake", str(work / "lake"))
first = ascribe("role", *lake, "create", "reader")
contains("a first role that administers nothing", first.stderr, "no superuser would be left")
made = ascribe("role", *lake, "create", "root", "--superuser", "--password-stdin", input="correct horse\n")
check("the first role", (made.returncode, made.stdout), (0, "CREATE ROLE\n"))
contains("the list of roles", ascribe("role", *lake, "list").stdout, "root: superuser, can log in, has a password")

refused = ascribe("serve", "--lake", str(work / "open"), "--listen", f"0.0.0.0:{free_port()}", "--otlp-http", "off",
                  "--otlp-grpc", "off")
contains("listening beyond this machine without roles", refused.stderr, "refusing to listen", "ascribe role create")
for arguments, said in [
    (("--tls-cert", "missing.crt", "--tls-key", "server.key"), "missing.crt"),
    (("--tls-cert", "server.crt", "--tls-key", "ada.key"), "server.crt"),
    (("--tls-cert", "server.key", "--tls-key", "server.key"), "server.key"),
    (("--tls-cert", "server.crt", "--tls-key", "server.key", "--tls-client-ca", "ca.csr"), "ca.csr"),
]:
    paths = [part if part.startswith("--") else str(work / part) for part in arguments]
    done = ascribe("serve", *lake, "--listen", f"127.0.0.1:{free_port()}", *paths)
    check(f"{arguments} stops the start", done.returncode, 1)
    contains(f"{arguments}", done.stderr, "for TLS", said)

tls = ("--tls-cert", str(work / "server.crt"), "--tls-key", str(work / "server.key"),
       "--tls-client-ca", str(work / "client-ca.crt"))
server = Server(*tls)
try:
    check("psql verifies the server", psql("SELECT current_user", PGSSLMODE="verify-full"), "root")
    check("psql without encryption", psql("SELECT 1", PGSSLMODE="disable"), "1")
    check("psql insists on channel binding", psql("SELECT 1", PGSSLMODE="verify-full", PGCHANNELBINDING="require"), "1")
    for version in ("TLSv1.2", "TLSv1.3"):
        got = psql("SELECT 1", PGSSLMODE="verify-full", PGSSLMINPROTOCOLVERSION=version, PGSSLMAXPROTOCOLVERSION=version)
        check(f"psql speaks {version}", got, "1")
    contains("another root", psql("SELECT 1", PGSSLMODE="verify-full", PGSSLROOTCERT=work / "other-ca.crt"),
             "certificate verify failed")
    contains("a wrong password", psql("SELECT 1", PGPASSWORD="x"), 'password authentication failed for user "root"')
    contains("an unknown user", psql("SELECT 1", PGUSER="x", PGSSLMODE="require"), 'password authentication failed for user "x"')

    with connect("root", "correct horse", sslmode="verify-full") as root:
        check("psycopg is encrypted", root.info.parameter_status("server_encoding"), "UTF8")
        root.execute("CREATE ROLE ada LOGIN")
        root.execute("INSERT INTO changes (change_id, service_name, actor) VALUES ('c1', 'cart', 'ann'), ('c2', 'pay', 'bob')")
        root.execute("CREATE USER bob PASSWORD 'b'")
        root.execute("GRANT SELECT ON changes TO bob")
        root.execute("CREATE POLICY cart ON changes FOR SELECT TO bob USING (service_name = 'cart')")
        root.execute("SECURITY LABEL ON COLUMN changes.actor IS 'MASKED WITH HASH'")
    own = {"PGSSLMODE": "verify-full", "PGPASSWORD": "", "PGSSLCERT": work / "ada.crt", "PGSSLKEY": work / "ada.key"}
    check("a certificate is enough", psql("SELECT current_user", PGUSER="ada", **own), "ada")
    contains("a certificate of another role", psql("SELECT 1", PGUSER="root", **own),
             'certificate authentication failed for user "root"')
    stranger = own | {"PGSSLCERT": work / "stranger.crt", "PGSSLKEY": work / "stranger.key"}
    contains("a certificate of another root", psql("SELECT 1", PGUSER="ada", **stranger), "alert")
    contains("no certificate and no password", psql("SELECT 1", PGUSER="ada", PGSSLMODE="verify-full", PGPASSWORD="x"),
             'password authentication failed for user "ada"')
    contains("nothing was granted", psql("SELECT 1 FROM changes", PGUSER="ada", **own),
             "42501", "permission denied for table changes")

    with connect("bob", "b") as bob:
        rows = bob.execute("SELECT change_id, length(actor) FROM changes").fetchall()
        check("psycopg sees its rows", rows, [("c1", 32)])
        check("with parameters", bob.execute("SELECT count(*) FROM changes WHERE actor = %s", ["ann"]).fetchone(), (0,))
        with bob.cursor() as cursor, cursor.copy("COPY changes (change_id) TO STDOUT") as copy:
            check("copied", b"".join(bytes(part) for part in copy), b"c1\n")
        with bob.transaction(), bob.cursor(name="named") as cursor:
            check("by a cursor", cursor.execute("SELECT change_id FROM changes").fetchall(), [("c1",)])
        for sql, state in [("SELECT * FROM spans", "42501"), ("CREATE ROLE x", "42501"),
                           ("INSERT INTO changes (change_id) VALUES ('x')", "42501")]:
            try:
                bob.execute(sql)
                failures.append(f"not refused: {sql}")
            except psycopg.Error as error:
                check(sql, error.sqlstate, state)
    try:
        connect("bob", "wrong").close()
        failures.append("a wrong password was let in")
    except psycopg.OperationalError as error:
        contains("psycopg with a wrong password", str(error), 'password authentication failed for user "bob"')

    # psql hashes the password itself and shows what was granted.
    changed = subprocess.run(["psql", "-X", "-c", "\\password bob"], input="new\nnew\n", text=True, capture_output=True,
                             env={**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "root",
                                  "PGPASSWORD": "correct horse", "PGDATABASE": "ascribe"}, start_new_session=True)
    if changed.returncode == 0:
        connect("bob", "new").close()
        psql("ALTER USER bob PASSWORD 'b'")
    contains("\\du", psql("\\du"), "bob", "Superuser")
    contains("\\dp", psql("\\dp changes"), "bob=r/ascribe")
    check("the policies", psql("SELECT policyname, roles, qual FROM pg_policies"), "cart|{bob}|service_name = 'cart'")
    check("the tables that bob may read", psql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
                                               PGUSER="bob", PGPASSWORD="b"), "changes")

    # TLS at once, as clients of PostgreSQL 17 may.
    context = ssl.create_default_context(cafile=str(work / "ca.crt"))
    context.set_alpn_protocols(["postgresql"])
    with socket.create_connection(("127.0.0.1", server.port)) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as secured:
            secured.sendall(b"\0\0\0\x13\0\x03\0\0user\0root\0\0")
            check("TLS at once", secured.recv(9)[:1] + secured.recv(100)[:0], b"R")
    # What was said before the handshake is not taken for what was said within.
    with socket.create_connection(("127.0.0.1", server.port)) as plain:
        plain.sendall(b"\0\0\0\x08\x04\xd2\x16\x2f" + b"\0\0\0\x13\0\x03\0\0user\0root\0\0")
        plain.settimeout(10)
        check("stuffed before the handshake", plain.recv(1), b"S")
        rest = b""
        try:
            while part := plain.recv(4096):
                rest += part
        except OSError:
            pass
        check("nothing is said in the clear", b"SCRAM" in rest, False)
    # Half-open handshakes do not keep others out.
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
    for one in idle:
        one.sendall(b"\0\0\0\x08\x04\xd2\x16\x2f")
    check("others are served", psql("SELECT 1", PGSSLMODE="verify-full"), "1")
    for one in idle:
        one.close()
finally:
    server.stop()

server = Server("--tls-cert", str(work / "server384.crt"), "--tls-key", str(work / "server384.key"), "--tls-required")
try:
    contains("encryption is required", psql("SELECT 1", PGSSLMODE="disable"), "the connection has to be encrypted")
    check("with SHA-384 bound", psql("SELECT 1", PGSSLMODE="verify-full", PGCHANNELBINDING="require"), "1")
    recorded = psql("SELECT role, sqlstate, count(*) FROM system.audit WHERE statement = 'CONNECT' AND role = 'x' GROUP BY 1, 2")
    check("the failed login is recorded", recorded, "x|28P01|1")
    check("no password is recorded", psql("SELECT count(*) FROM system.audit WHERE statement LIKE '%PASSWORD ''b''%'"), "0")
finally:
    server.stop()

# A certificate is renewed while the server runs.
certificate("renewed", "/CN=localhost", "ca", "subjectAltName=DNS:localhost,IP:127.0.0.1")
certificate("client-renewed", "/CN=root", "other-ca", "extendedKeyUsage=clientAuth")
(work / "client-renewed.key").chmod(0o600)
for found, name in (("server.crt", "shown.crt"), ("server.key", "shown.key"), ("client-ca.crt", "clients.crt")):
    shutil.copy(work / found, work / name)


def shown():
    """The certificate that a new connection is shown."""
    context = ssl.create_default_context(cafile=str(work / "ca.crt"))
    context.set_alpn_protocols(["postgresql"])
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as secured:
            return secured.getpeercert(binary_form=True)


def of_file(name):
    return ssl.PEM_cert_to_DER_cert((work / name).read_text())


def told(expected):
    """Whether new connections are shown a certificate, soon after SIGHUP."""
    server.process.send_signal(signal.SIGHUP)
    for _ in range(100):
        if shown() == of_file(expected):
            return True
        time.sleep(0.1)
    return False


server = Server("--tls-cert", str(work / "shown.crt"), "--tls-key", str(work / "shown.key"), "--tls-client-ca", str(work / "clients.crt"))
try:
    check("the first certificate", shown() == of_file("server.crt"), True)
    connected = connect("root", "correct horse", sslmode="verify-full")
    stranger = {"PGSSLMODE": "verify-full", "PGPASSWORD": "", "PGSSLCERT": work / "client-renewed.crt",
                "PGSSLKEY": work / "client-renewed.key"}
    check("a client of an authority that is not known", psql("SELECT current_user", **stranger) == "root", False)
    for name in ("crt", "key"):
        shutil.copy(work / f"renewed.{name}", work / f"shown.{name}")
    shutil.copy(work / "other-ca.crt", work / "clients.crt")
    check("the new certificate is shown", told("renewed.crt"), True)
    check("who was connected still is", connected.execute("SELECT 1").fetchone(), (1,))
    check("and who is new is bound to it", psql("SELECT 1", PGSSLMODE="verify-full", PGCHANNELBINDING="require"), "1")
    check("a client of the new authority", psql("SELECT current_user", **stranger), "root")
    # A key of another certificate, then no certificate at all, then none that can be read.
    for broken in ((work / "ada.key").read_text(), "nonsense", None):
        (work / "shown.key").unlink(missing_ok=True)
        if broken is not None:
            (work / "shown.key").write_text(broken)
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        check(f"the last good certificate is shown beside {broken!r:.20}", shown() == of_file("renewed.crt"), True)
        check("and clients are served", psql("SELECT 1", PGSSLMODE="verify-full"), "1")
    for name in ("crt", "key"):
        shutil.copy(work / f"server.{name}", work / f"shown.{name}")
    check("the certificate that is good again is shown", told("server.crt"), True)
    check("who was connected first still is", connected.execute("SELECT 2").fetchone(), (2,))
    connected.close()
finally:
    server.stop()

verified = ascribe("audit", "verify", *lake)
check("the record is whole", (verified.returncode, "0 wrong" in verified.stdout), (0, True))
head = verified.stdout.splitlines()[-2]
check("its end is there", ascribe("audit", "verify", *lake, "--expect", head).returncode, 0)
node, number, digest = head.split(":")
beyond = ascribe("audit", "verify", *lake, "--expect", f"{node}:{int(number) + 1}:{digest}")
contains("an end that is gone", beyond.stdout, "are missing")
check("and fails", beyond.returncode, 1)

shutil.rmtree(work)
if failures:
    print("\n".join(f"FAILED security: {failure}" for failure in failures), file=sys.stderr)
    sys.exit(1)
print("security: passed")
