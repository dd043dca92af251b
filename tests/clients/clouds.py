"""A lake on Azure and one on Google Cloud Storage, and imports from them.

Azure is azurite, which AZURITE_BIN names, with the package azure-storage-blob. For Google there is no emulator of the
XML interface that the object store speaks, so a small server of our own stands in, which knows what the lake relies on:
listing, reading, and that an object with a precondition is written only once. Environment: ASCRIBE_BIN.
"""

import contextlib
import email.utils
import hashlib
import http.server
import json
import os
import pathlib
import sys
import tempfile
import threading
import urllib.parse
from xml.sax.saxutils import escape

from program import ascribe, background, free_port, reachable, rows, run

# The account that azurite documents for everybody.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def the_same(sim, bucket, variables):
    """Import what is below the bucket's audit/ into a lake in it, twice, and land the rest of a simulation there."""
    lake = f"{bucket}/company"
    done = run("import", "cloudtrail", f"{bucket}/audit", "--lake", lake, **variables)
    assert done.returncode == 0 and "rows landed in iam_events" in done.stdout, done
    again = run("import", "cloudtrail", f"{bucket}/audit", "--lake", lake, **variables)
    assert again.returncode == 0 and " skipped as already imported" in again.stdout, again
    ascribe("import", "focus", str(sim / "focus"), "--lake", lake, **variables)
    ascribe("import", "csv", str(sim / "ownership.csv"), "--table", "ownership", "--lake", lake, **variables)
    with tempfile.TemporaryDirectory() as here:
        ascribe("import", "cloudtrail", str(sim / "cloudtrail"), "--lake", here)
        ascribe("import", "focus", str(sim / "focus"), "--lake", here)
        ascribe("import", "csv", str(sim / "ownership.csv"), "--table", "ownership", "--lake", here)
        for sql in [
            "SELECT count(*), count(DISTINCT event_id) FROM iam_events",
            "SELECT owner, billing_currency, sum(allocated_cost) FROM allocate_cost('default', '2026-03-01', '2026-04-01') GROUP BY 1, 2 ORDER BY 1, 2",
            "SELECT origin_kind, count(*) FROM access_attribution('2026-03-01', '2026-04-01') GROUP BY 1 ORDER BY 1",
        ]:
            expected = rows(here, sql)
            assert expected and rows(lake, sql, **variables) == expected, sql
    # The files of the lake itself stand for those of somebody else.
    theirs = f"{lake}/tables/iam_events"
    ascribe("sql", "--lake", lake, "-c", f"CREATE EXTERNAL TABLE by_log STORED AS DELTATABLE LOCATION '{theirs}'", **variables)
    pattern = f"{theirs}/*.parquet"
    ascribe("sql", "--lake", lake, "-c", f"CREATE EXTERNAL TABLE by_file STORED AS PARQUET LOCATION '{pattern}'", **variables)
    ask = "SELECT count(*), count(DISTINCT event_id), min(date), max(event_time) FROM "
    expected = rows(lake, ask + "iam_events", **variables)
    for name in ["by_log", "by_file"]:
        assert rows(lake, ask + name, **variables) == expected, name
    # A commit that finds its version taken is made again behind it, so of many writers none is lost.
    insert = "INSERT INTO changes (change_id, kind) VALUES ('w{}', 'deploy')"
    writers = [threading.Thread(target=ascribe, args=("sql", "--lake", lake, "-c", insert.format(n)), kwargs=variables) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert rows(lake, "SELECT count(DISTINCT change_id) FROM changes", **variables) == [["4"]]
    missing = run("import", "cloudtrail", f"{bucket}/nothing", "--lake", lake, **variables)
    assert missing.returncode == 1 and f"{bucket}/nothing" in missing.stderr, missing


def on_azure(sim, folder):
    try:
        from azure.storage.blob import BlobServiceClient
    except ImportError:
        print("SKIPPED Azure: azure-storage-blob is not installed", file=sys.stderr)
        return
    if not os.environ.get("AZURITE_BIN"):
        print("SKIPPED Azure: azurite is not installed", file=sys.stderr)
        return
    port = free_port()
    command = [os.environ["AZURITE_BIN"], "--silent", "--location", str(folder / "azurite"), "--blobPort", str(port), "--skipApiVersionCheck"]
    with background(command):
        reachable(port)
        url = f"http://127.0.0.1:{port}"
        text = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={url}/{ACCOUNT};"
        client = BlobServiceClient.from_connection_string(text)
        container = client.create_container("lake")
        for part in sorted((sim / "cloudtrail").iterdir()):
            container.upload_blob(f"audit/{part.name}", part.read_bytes())
        variables = {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "AZURE_STORAGE_USE_EMULATOR": "true",
            "AZURITE_BLOB_STORAGE_URL": url,
            "AZURE_ALLOW_HTTP": "true",
        }
        the_same(sim, "az://lake", variables)
    print("ok  a lake on Azure, and imports from there, by azurite")


class Bucket(http.server.BaseHTTPRequestHandler):
    """Enough of the XML interface of Google Cloud Storage, one bucket in memory."""

    protocol_version = "HTTP/1.1"
    objects = {}
    refused = 0
    lock = threading.Lock()

    def log_message(self, *_):
        pass

    def answer(self, status, content=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            # Whoever has read enough hangs up.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(content)

    def key(self):
        """The object's key, without the bucket; empty for the bucket."""
        return urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).lstrip("/").partition("/")[2]

    def facts(self, key):
        generation, content = self.objects[key]
        tag = hashlib.md5(content).hexdigest()
        return {"ETag": f'"{tag}"', "x_goog_generation": str(generation), "Last_Modified": email.utils.formatdate(0, usegmt=True)}

    def do_GET(self):
        if not self.key():
            return self.listing()
        with self.lock:
            if self.key() not in self.objects:
                return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            content, facts = self.objects[self.key()][1], self.facts(self.key())
        asked = self.headers.get("Range", "")
        if not asked:
            return self.answer(200, content, **facts)
        first, last = asked.removeprefix("bytes=").split("-")
        begin = int(first) if first else max(len(content) - int(last), 0)
        end = min(int(last), len(content) - 1) if first and last else len(content) - 1
        return self.answer(206, content[begin : end + 1], Content_Range=f"bytes {begin}-{end}/{len(content)}", **facts)

    do_HEAD = do_GET

    def listing(self):
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        prefix, delimiter, after = asked.get("prefix", ""), asked.get("delimiter", ""), asked.get("start-after", "")
        contents, folders = [], set()
        with self.lock:
            for key in sorted(self.objects):
                if not key.startswith(prefix) or key <= after:
                    continue
                if delimiter and delimiter in key[len(prefix) :]:
                    folders.add(prefix + key[len(prefix) :].partition(delimiter)[0] + delimiter)
                    continue
                size = len(self.objects[key][1])
                contents.append(
                    f"<Contents><Key>{escape(key)}</Key><LastModified>2026-03-01T00:00:00.000Z</LastModified>"
                    f"<ETag>{escape(self.facts(key)['ETag'])}</ETag><Size>{size}</Size></Contents>"
                )
        common = "".join(f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>" for folder in sorted(folders))
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(contents)}{common}</ListBucketResult>"
        self.answer(200, text.encode(), Content_Type="application/xml")

    def do_PUT(self):
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if source := self.headers.get("x-goog-copy-source"):
            content = self.objects[urllib.parse.unquote(source).lstrip("/").partition("/")[2]][1]
        with self.lock:
            if self.headers.get("x-goog-if-generation-match") == "0" and self.key() in self.objects:
                Bucket.refused += 1
                return self.answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            generation = self.objects.get(self.key(), (0, b""))[0] + 1
            self.objects[self.key()] = (generation, content)
            facts = self.facts(self.key())
        body = b"<CopyObjectResult></CopyObjectResult>" if source else b""
        return self.answer(200, body, **facts)

    def do_DELETE(self):
        with self.lock:
            found = self.objects.pop(self.key(), None)
        self.answer(204 if found else 404)


def on_google(sim, folder):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for part in sorted((sim / "cloudtrail").iterdir()):
        Bucket.objects[f"audit/{part.name}"] = (1, part.read_bytes())
    account = {"gcs_base_url": f"http://127.0.0.1:{server.server_port}", "disable_oauth": True}
    account |= {"client_email": "", "private_key": "", "private_key_id": ""}
    (folder / "google.json").write_text(json.dumps(account))
    the_same(sim, "gs://lake", {"GOOGLE_SERVICE_ACCOUNT": str(folder / "google.json")})
    server.shutdown()
    print(f"ok  a lake on a server that speaks as Google Cloud Storage does, {Bucket.refused} writes refused as taken")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        ascribe("simulate", "--seed", "4", "--spans", "1000", "--out", str(folder / "sim"))
        on_azure(folder / "sim", folder)
        on_google(folder / "sim", folder)
