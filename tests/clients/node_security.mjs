// node-postgres and postgres.js with passwords and TLS against a server of the program that ASCRIBE_BIN names.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const require = createRequire(`${process.env.ASCRIBE_NODE_MODULES}/`);
const pg = require("pg");
const postgres = require("postgres");

const failures = [];
const check = (what, actual, expected) => {
  const [got, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (got !== wanted) failures.push(`${what}: expected ${wanted}, got ${got}`);
};
const stateOf = async (work) => {
  try {
    await work();
  } catch (error) {
    return error.code ?? error.message;
  }
  return null;
};
const work = mkdtempSync(join(tmpdir(), "node-"));
const openssl = (...args) => execFileSync("openssl", args, { cwd: work, stdio: "pipe" });
openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key", "-out", "crt", "-days", "2", "-subj", "/CN=localhost",
  "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1");
const lake = join(work, "lake");
execFileSync(process.env.ASCRIBE_BIN, ["role", "--lake", lake, "create", "root", "--superuser", "--password-stdin"],
  { input: "correct horse\n", stdio: "pipe" });
const probe = net.createServer().listen(0, "127.0.0.1");
await once(probe, "listening");
const { port } = probe.address();
await new Promise((done) => probe.close(done));
const server = spawn(process.env.ASCRIBE_BIN, ["serve", "--lake", lake, "--listen", `127.0.0.1:${port}`, "--otlp-http", "off", "--otlp-grpc",
  "off", "--tls-cert", join(work, "crt"), "--tls-key", join(work, "key")], { stdio: "ignore" });
const base = { host: "127.0.0.1", port, user: "root", database: "ascribe", password: "correct horse" };
const ask = async (options) => {
  const client = new pg.Client({ ...base, ...options });
  await client.connect();
  const { rows } = await client.query("SELECT current_user AS me");
  await client.end();
  return rows[0].me;
};
try {
  for (let attempt = 0; attempt < 200 && (await stateOf(() => ask({}))) === "ECONNREFUSED"; attempt++) await sleep(100);
  const ssl = { ca: readFileSync(join(work, "crt")) };
  check("SCRAM", await ask({}), "root");
  check("TLS", await ask({ ssl }), "root");
  check("bound", await ask({ ssl, enableChannelBinding: true }), "root");
  const address = `postgres://root:correct%20horse@localhost:${port}/ascribe`;
  check("address", await ask({ connectionString: `${address}?sslmode=verify-full&sslrootcert=${join(work, "crt")}` }), "root");
  check("unknown certificate", await stateOf(() => ask({ ssl: true })), "DEPTH_ZERO_SELF_SIGNED_CERT");
  check("wrong password", await stateOf(() => ask({ password: "wrong", ssl })), "28P01");
  const sql = postgres({ ...base, username: "root", ssl, max: 1 });
  check("postgres.js", [...(await sql`SELECT current_user AS me`)], [{ me: "root" }]);
  await sql.end();
} finally {
  server.kill();
  await once(server, "exit");
  rmSync(work, { recursive: true });
}

for (const failure of failures) console.error("FAILED node_security", failure);
if (failures.length === 0) console.log("node-postgres and postgres.js with passwords and TLS: passed");
process.exit(failures.length === 0 ? 0 : 1);
