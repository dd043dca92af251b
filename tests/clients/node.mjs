// node-postgres, pg-cursor and postgres.js against a server that the environment's PG* variables name.
import { createRequire } from "node:module";

const require = createRequire(`${process.env.ASCRIBE_NODE_MODULES}/`);
const pg = require("pg");
const Cursor = require("pg-cursor");
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
    return error.code;
  }
  return null;
};

const client = new pg.Client();
await client.connect();
const one = async (sql, values) => (await client.query({ text: sql, values, rowMode: "array" })).rows[0];
check("literals", await one("SELECT 1, 'x', 1.50, true, NULL"), [1, "x", "1.50", true, null]);
check("parameters", await one("SELECT $1::int + 1, $2::text, $3::float8", [41, "a", 2.5]), [42, "a", 2.5]);
check("arrays", await one("SELECT $1::text[], $2::int[]", [["a", null, "b c"], [1, 2]]), [["a", null, "b c"], [1, 2]]);
check("any", await one("SELECT 'b' = ANY($1::text[])", [["a", "b"]]), [true]);
check("date", (await one("SELECT timestamptz '2024-02-29 12:00:00+00'"))[0], new Date(Date.UTC(2024, 1, 29, 12)));
check("json", await one(`SELECT '{"a": [1, null]}'::jsonb`), [{ a: [1, null] }]);
check("bytea", (await one("SELECT $1::bytea", [Buffer.from([0, 255])]))[0], Buffer.from([0, 255]));
const fields = (await client.query("SELECT count(*), 1 + 1 FROM changes")).fields;
check("fields", fields.map((field) => [field.name, field.dataTypeID]), [["count", 20], ["?column?", 23]]);
const named = { name: "by-number", text: "SELECT $1::int * 2 AS n" };
for (const value of [1, 2, 3]) {
  check("named", (await client.query({ ...named, values: [value] })).rows, [{ n: value * 2 }]);
}
const several = await client.query("SELECT 1 AS a; SELECT 2 AS b");
check("several", several.map((result) => result.rows), [[{ a: 1 }], [{ b: 2 }]]);
check("undefined", await stateOf(() => client.query("SELECT * FROM nothing")), "42P01");
check("division", await stateOf(() => client.query("SELECT 1 / $1::int", [0])), "22012");
check("alive", await one("SELECT 1"), [1]);
await client.query("BEGIN");
check("aborted", await stateOf(() => client.query("SELECT 1/0")), "22012");
check("ignored", await stateOf(() => client.query("SELECT 1")), "25P02");
await client.query("ROLLBACK");
const cursor = client.query(new Cursor("SELECT g FROM generate_series(1, 250) AS g ORDER BY g"));
check("cursor", [(await cursor.read(100)).length, (await cursor.read(100))[0].g, (await cursor.read(100)).length], [100, 101, 50]);
await cursor.close();
const values = Promise.all([1, 2, 3, 4].map((value) => client.query("SELECT $1::int AS v", [value])));
check("queued", (await values).map((result) => result.rows[0].v), [1, 2, 3, 4]);
await client.end();

const sql = postgres({ max: 2, onnotice: () => {} });
check("postgres.js", (await sql`SELECT ${41}::int + 1 AS n, ${"x"} AS t`).map((row) => ({ ...row })), [{ n: 42, t: "x" }]);
check("postgres.js array", (await sql`SELECT ${sql.array([1, 2, 3])}::int[] AS a`)[0].a, [1, 2, 3]);
let counted = 0;
await sql`SELECT g FROM generate_series(1, 300) AS g`.cursor(100, (rows) => {
  counted += rows.length;
});
check("postgres.js cursor", counted, 300);
check("postgres.js error", await stateOf(() => sql`SELECT nope FROM changes`), "42703");
await sql.end();

for (const failure of failures) console.error("FAILED node", failure);
if (failures.length === 0) console.log("node-postgres, pg-cursor and postgres.js: passed");
process.exit(failures.length === 0 ? 0 : 1);
