// node-postgres' pools, streams, types and sessions, and more of postgres.js, against a server that the environment's PG* variables
// name.
import { createRequire } from "node:module";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

const require = createRequire(`${process.env.ASCRIBE_NODE_MODULES}/`);
const pg = require("pg");
const Cursor = require("pg-cursor");
const QueryStream = require("pg-query-stream");
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
const section = async (what, work) => {
  try {
    await work();
  } catch (error) {
    failures.push(`${what}: ${error.code ?? ""} ${error.stack}`);
  }
};
const slow = "SELECT count(*) FROM generate_series(1, 300000) a(x) CROSS JOIN generate_series(1, 300000) b(y) WHERE a.x % 7 = b.y % 11";
const moment = new Date(Date.UTC(2024, 1, 29, 12, 34, 56, 789));

await section("types", async () => {
  const client = new pg.Client();
  await client.connect();
  const one = async (text, values) => {
    try {
      return (await client.query({ text, values, rowMode: "array" })).rows[0];
    } catch (error) {
      return `${error.code} ${error.message}`;
    }
  };
  check("numbers", await one("SELECT 9223372036854775807, 1.50, 2::smallint, 1.5::float8, 'NaN'::float8::text, 'Infinity'::float8"),
    ["9223372036854775807", "1.50", 2, 1.5, "NaN", null]);
  check("times", await one("SELECT timestamptz '2024-02-29 12:34:56.789Z', time '12:34', interval '1 day 02:00:03'"),
    [moment, "12:34:00", { days: 1, hours: 2, seconds: 3 }]);
  check("local times", (await one("SELECT date '2024-02-29', timestamp '2024-02-29 12:00'")).map((value) => value.getDate()), [29, 29]);
  check("arrays", await one("SELECT ARRAY[1, NULL], ARRAY['a', NULL, 'q\"x', '', 'NULL'], ARRAY[[1, 2], [3, 4]], ARRAY[2::bigint], '{}'::int[],"
    + " ARRAY[1.5::float8], ARRAY[true, false], ARRAY[timestamptz '2024-02-29 12:34:56.789Z']"),
    [[1, null], ["a", null, 'q"x', "", "NULL"], [[1, 2], [3, 4]], ["2"], [], [1.5], [true, false], [moment]]);
  check("json", await one("SELECT $1::jsonb, $2::json, $1::jsonb -> 'a', $1::jsonb ->> 'b'", [{ a: [1, null], b: "☃" }, "[1]"]),
    [{ a: [1, null], b: "☃" }, [1], [1, null], "☃"]);
  check("given", await one("SELECT $1::bigint, $2::numeric(10,2), $3::timestamptz, $4::bool, $5::int[], $6::text[], $7::text, $8::float8, $9::uuid",
    ["9223372036854775807", "1.50", moment, true, [1, null], ["a,b", 'q"x'], null, 1.5, "00000000-0000-0000-0000-000000000005"]),
    ["9223372036854775807", "1.50", moment, true, [1, null], ["a,b", 'q"x'], null, 1.5, "00000000-0000-0000-0000-000000000005"]);
  check("inferred", await one("SELECT g FROM generate_series(1, 9) AS g WHERE g > $1 AND g < $2 AND g = ANY($3) AND g * $4 = $5",
    [1, 8, [2, 3, 99], 2, 6]), [3]);
  check("inferred times", await one("SELECT count(*) FROM changes WHERE started_at > $1 AND started_at <= $2 AND service_name = 'none'", [moment, "2024-03-01"]), ["0"]);
  const { fields, command, rowCount } = await client.query("SELECT change_id, 1.5::numeric(10,2) AS n, now() AS t FROM changes LIMIT 0");
  check("fields", fields.map((field) => [field.name, field.dataTypeID]),
    [["change_id", 25], ["n", 1700], ["t", 1184]]);
  check("modifier", fields[1].dataTypeModifier, (10 << 16) + 2 + 4);
  check("result", [command, rowCount], ["SELECT", 0]);
  const own = { getTypeParser: (oid, format) => (oid === 20 ? BigInt : pg.types.getTypeParser(oid, format)) };
  check("own types", String((await client.query({ text: "SELECT count(*) AS n FROM generate_series(1, 3)", types: own })).rows[0].n), "3");
  const notices = [];
  client.on("notice", (notice) => notices.push([notice.severity, notice.code, notice.message]));
  await client.query("DROP VIEW IF EXISTS nothing");
  check("notice", notices, [["NOTICE", "00000", 'view "nothing" does not exist, skipping']]);
  check("listen", (await client.query("LISTEN something")).command, "LISTEN");
  check("unlisten", (await client.query("UNLISTEN *")).command, "UNLISTEN");
  await client.query("SELECT * FROM nothing WHERE a = $1", [1]).catch((error) => {
    check("error", [error.severity, error.code, error.position, error.message], ["ERROR", "42P01", "15", 'relation "nothing" does not exist']);
  });
  check("wrong number", await stateOf(() => client.query("SELECT $1::int, $2::int", [1])), "08P01");
  check("wrong text", await stateOf(() => client.query("SELECT $1::int", ["x"])), "22P02");
  await client.query("CREATE TEMPORARY VIEW mine AS SELECT 1 AS a");
  check("temporary view", await one("SELECT a FROM mine"), [1]);
  await client.end();
  const binary = new pg.Client({ binary: true, application_name: "binary", options: "-c TimeZone=Asia/Kolkata" });
  await binary.connect();
  const row = (await binary.query("SELECT 1 AS a, 'x' AS b, true AS d, NULL AS e, $1::int * 2 AS f", [21])).rows[0];
  check("binary", row, { a: 1, b: "x", d: true, e: null, f: 42 });
  check("startup", (await binary.query("SELECT current_setting('application_name') AS a, current_setting('TimeZone') AS b")).rows[0],
    { a: "binary", b: "Asia/Kolkata" });
  await binary.end();
});

await section("pool", async () => {
  const { PGUSER, PGHOST, PGPORT, PGDATABASE } = process.env;
  const pool = new pg.Pool({ connectionString: `postgres://${PGUSER}@${PGHOST}:${PGPORT}/${PGDATABASE}`, max: 3 });
  const numbers = Array.from({ length: 20 }, (_, number) => number);
  const found = await Promise.all(numbers.map((number) => pool.query("SELECT $1::int * 2 AS n", [number])));
  check("pool", found.map((result) => result.rows[0].n), numbers.map((number) => number * 2));
  check("its size", pool.totalCount <= 3, true);
  check("failing", await stateOf(() => pool.query("SELECT 1 / 0")), "22012");
  const client = await pool.connect();
  await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  check("transaction", (await client.query("SHOW transaction_isolation")).rows, [{ transaction_isolation: "repeatable read" }]);
  check("read-only", await stateOf(() => client.query("INSERT INTO changes (change_id) VALUES ('node')")), "25006");
  await client.query("ROLLBACK");
  await client.query("INSERT INTO changes (change_id, attributes, started_at) VALUES ($1, $2, $3)", ["node1", { a: "b" }, moment]);
  check("stored", (await client.query("SELECT attributes, started_at FROM changes WHERE change_id = $1", ["node1"])).rows,
    [{ attributes: { a: "b" }, started_at: moment }]);

  check("key", (await client.query("SELECT change_id FROM changes WHERE attributes ->> 'a' = $1", ["b"])).rows, [{ change_id: "node1" }]);

  let sum = 0;
  const stream = client.query(new QueryStream("SELECT g FROM generate_series(1, 1000) AS g WHERE g > $1 ORDER BY g", [0], { batchSize: 64 }));
  for await (const { g } of stream) sum += g;
  check("stream", sum, 500500);
  const early = client.query(new QueryStream("SELECT g FROM generate_series(1, 1000000) AS g", [], { batchSize: 10 }));
  for await (const { g } of early) if (g >= 25) break;
  check("left early", (await client.query("SELECT 1 AS a")).rows, [{ a: 1 }]);
  check("stream fails", await stateOf(async () => {
    for await (const _ of client.query(new QueryStream("SELECT 10 / (3 - g) FROM generate_series(1, 5) AS g"))) continue;
  }), "22012");
  const cursor = client.query(new Cursor("SELECT g FROM generate_series(1, 250) AS g ORDER BY g", [], { rowMode: "array" }));
  check("cursor", [(await cursor.read(2)), (await cursor.read(500)).length, (await cursor.read(1)).length], [[[1], [2]], 248, 0]);
  await cursor.close();
  client.release();
  await pool.end();

  const limited = new pg.Client({ statement_timeout: 300 });
  await limited.connect();
  check("time limit", await stateOf(() => limited.query(slow)), "57014");
  const pid = (await limited.query("SELECT pg_backend_pid() AS pid")).rows[0].pid;
  check("pid", pid, limited.processID);
  await limited.end();
});

await section("postgres.js", async () => {
  const sql = postgres({ max: 2, onnotice: () => {}, connection: { application_name: "js" } });
  check("types", [...(await sql`SELECT ${"9"}::bigint AS a, ${moment}::timestamptz AS b, ${sql.json({ c: [1] })}::jsonb AS d, ${null}::int AS e,
    ${true}::bool AS f, ${["a", "b"]}::text[] AS g, ${Buffer.from([0, 255])}::bytea AS h, now() > ${new Date(0)} AS i`)],
    [{ a: "9", b: moment, d: { c: [1] }, e: null, f: true, g: ["a", "b"], h: Buffer.from([0, 255]), i: true }]);
  check("in", [...(await sql`SELECT g FROM generate_series(1, 5) AS g WHERE g IN ${sql([2, 4])} ORDER BY g`)], [{ g: 2 }, { g: 4 }]);
  check("names", [...(await sql`SELECT ${sql(["change_id", "kind"])} FROM ${sql("public.changes")} WHERE change_id = 'none'`)], []);
  const rows = [{ change_id: "js1", service_name: "js", started_at: moment }, { change_id: "js2", service_name: "js", started_at: null }];
  check("insert", (await sql`INSERT INTO changes ${sql(rows)}`).count, 2);
  check("selected", [...(await sql`SELECT change_id, started_at FROM changes WHERE service_name = 'js' ORDER BY 1`)],
    rows.map(({ change_id, started_at }) => ({ change_id, started_at })));
  check("transaction", await sql.begin("read only", async (own) => [(await own`SELECT 1 AS a`)[0].a, (await own`SHOW transaction_read_only`)[0]]),
    [1, { transaction_read_only: "on" }]);
  check("savepoint", await sql.begin(async (own) => {
    const state = await stateOf(() => own.savepoint((inner) => inner`SELECT 1 / 0`));
    return [state, (await own`SELECT 2 AS a`)[0].a];
  }), ["22012", 2]);
  check("described", (await sql`SELECT change_id FROM changes WHERE started_at > ${moment}`.describe()).types, [1184]);
  const running = sql.unsafe(slow);
  setTimeout(() => running.cancel(), 500);
  check("cancel", await stateOf(() => running), "57014");
  let text = "";
  for await (const part of await sql`COPY (SELECT g, 'x' FROM generate_series(1, 3) AS g) TO STDOUT`.readable()) text += part;
  check("copy out", text, "1\tx\n2\tx\n3\tx\n");
  await pipeline(Readable.from(["js3\tjs\n", "js4\tjs\n"]), await sql`COPY changes (change_id, service_name) FROM STDIN`.writable());
  check("copy in", (await sql`SELECT count(*)::int AS n FROM changes WHERE service_name = 'js'`)[0].n, 4);
  const { unlisten } = await sql.listen("something", () => {});
  await unlisten();
  await sql.end();
});

for (const failure of failures) console.error("FAILED node_more", failure);
if (failures.length === 0) console.log("node-postgres' pools, streams and sessions: passed");
process.exit(failures.length === 0 ? 0 : 1);
