"""Go's drivers at a server with TLS and roles: passwords, certificates, and what they trust.

Environment: ASCRIBE_BIN; GO_LOGIN, the program of go/login.go. Certificates are made by openssl.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

from program import ASCRIBE, background, free_port, reachable, run

failures = []


def check(what, actual, expected):
    if actual != expected:
        failures.append(f"{what}: expected {expected!r}, got {actual!r}")


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def certificates(folder):
    """Two authorities, and of the first a server and ada."""
    key = ["req", "-newkey", "rsa:2048", "-nodes", "-subj"]
    for name in ("ca", "other"):
        openssl(folder, *key, f"/CN={name}", "-keyout", f"{name}.key", "-x509", "-days", "2", "-out", f"{name}.crt")
    for name in ("server", "ada"):
        openssl(folder, *key, f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (folder / f"{name}.ext").write_text("subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth")
        signing = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", f"{name}.ext"]
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.crt", "-days", "2", *signing)
    for key in folder.glob("*.key"):
        key.chmod(0o600)


def login(driver, port, **variables):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    # The address is a name: Go looks it up among the certificate's.
    kept |= {"PGHOST": "localhost", "PGPORT": str(port), "PGDATABASE": "ascribe", "PGCONNECT_TIMEOUT": "20"}
    command = [os.environ["GO_LOGIN"], driver]
    return subprocess.run(command, env={**kept, **variables}, capture_output=True, text=True, timeout=60).stdout.strip()


def logins(folder, port):
    root = {"PGUSER": "root", "PGPASSWORD": "correct horse"}
    verified = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(folder / "ca.crt")}
    ada = {"PGUSER": "ada", "PGSSLCERT": str(folder / "ada.crt"), "PGSSLKEY": str(folder / "ada.key")}
    for driver in ("pgx", "postgres"):
        check(f"{driver} verifies", login(driver, port, **root, **verified), "root")
        check(f"{driver} requires", login(driver, port, **root, PGSSLMODE="require"), "root")
        check(f"{driver} does without", login(driver, port, **root, PGSSLMODE="disable"), "root")
        check(f"{driver} with a certificate", login(driver, port, **ada, **verified), "ada")
        wrong = {**root, "PGPASSWORD": "x"}
        check(f"{driver} with a wrong password", login(driver, port, **wrong, **verified), "28P01")
        check(f"{driver} without a password", login(driver, port, **{**root, "PGPASSWORD": ""}, **verified), "28P01")
        check(f"{driver} as nobody known", login(driver, port, **{**root, "PGUSER": "nobody"}, **verified), "28P01")
        other = login(driver, port, **root, **{**verified, "PGSSLROOTCERT": str(folder / "other.crt")})
        check(f"{driver} with another authority: {other}", "certificate" in other, True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        folder, port = pathlib.Path(name), free_port()
        certificates(folder)
        lake = ("--lake", str(folder / "lake"))
        made = run("role", *lake, "create", "root", "--superuser", "--password-stdin", stdin=b"correct horse\n")
        check("the first role", made.returncode, 0)
        check("the second role", run("role", *lake, "create", "ada").returncode, 0)
        tls = ["--tls-cert", folder / "server.crt", "--tls-key", folder / "server.key", "--tls-client-ca", folder / "ca.crt"]
        serving = [ASCRIBE, "serve", *lake, "--listen", f"127.0.0.1:{port}", "--otlp-http", "off", "--otlp-grpc", "off", *map(str, tls)]
        with background(serving):
            reachable(port)
            logins(folder, port)
    for failure in failures:
        print("FAILED login", failure, file=sys.stderr)
    if not failures:
        print("logins of pgx and lib/pq: passed")
    sys.exit(bool(failures))
