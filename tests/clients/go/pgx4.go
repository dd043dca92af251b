// pgx 4, with its own interface, against a server that the environment's PG* variables name.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgtype"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

const driver = "pgx 4"

var ctx = context.Background()

type querier interface {
	QueryRow(context.Context, string, ...interface{}) pgx.Row
	Exec(context.Context, string, ...interface{}) (pgconn.CommandTag, error)
}

func stateOf(connection querier, sql string, arguments ...interface{}) string {
	_, err := connection.Exec(ctx, sql, arguments...)
	return state(err)
}

// Every value goes to the server and comes back, in binary but for the simple protocol.
func values(mode string, connection *pgx.Conn) {
	when := time.Date(2024, 2, 29, 12, 34, 56, 789000, time.UTC)
	text := "x"
	uuid := [16]byte{0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38, 0x0a, 0x11}
	type one struct {
		kind  string
		value interface{}
	}
	cases := []one{
		{"bool", true}, {"int2", int16(-5)}, {"int4", int32(math.MaxInt32)}, {"int8", int64(math.MinInt64 + 1)},
		{"float4", float32(1.5)}, {"float8", 1e300}, {"text", "naïve ☃ 'quoted' \\"}, {"varchar", ""},
		{"bytea", []byte{0, 255, '\\'}}, {"date", time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)}, {"timestamp", when},
		{"timestamptz", when}, {"text", &text}, {"text", (*string)(nil)}, {"int4", (*int32)(nil)},
		{"timestamptz", (*time.Time)(nil)},
		{"int4[]", []int32{1, -2}}, {"int8[]", []int64{}}, {"text[]", []string{"a", "", `q"x,`, "NULL"}},
		{"float8[]", []float64{1.5, math.Inf(1)}}, {"bool[]", []bool{true, false}}, {"timestamptz[]", []time.Time{when}},
		{"numeric[]", []float64{1.5, -0.25}},
		{"uuid", pgtype.UUID{Bytes: uuid, Status: pgtype.Present}},
		{"time", pgtype.Time{Microseconds: 45296_000_789, Status: pgtype.Present}},
		{"interval", pgtype.Interval{Months: 14, Days: -3, Microseconds: 5_000_001, Status: pgtype.Present}},
	}
	if mode != "simple" { // there pgx does not know how to write them
		cases = append(cases, one{"jsonb", map[string]interface{}{"a": []interface{}{1.0, nil}, "b": "ü"}},
			one{"float8", math.Inf(-1)}, one{"text[]", []*string{&text, nil}})
	}
	for _, one := range cases {
		what, pointer := fmt.Sprintf("%s %s %v", mode, one.kind, one.value), fresh(one.value)
		if fine(what, connection.QueryRow(ctx, "SELECT $1::"+one.kind, one.value).Scan(pointer)) {
			if times, ok := one.value.([]time.Time); ok {
				check(what, found(pointer).([]time.Time)[0], times[0])
			} else {
				check(what, found(pointer), one.value)
			}
		}
	}
	for _, number := range []string{"12345678901234567890.125", "0", "-0.50", "10000000", "0.000001"} {
		var in, out pgtype.Numeric
		must("numeric", in.Set(number))
		if fine(mode+" numeric "+number, connection.QueryRow(ctx, "SELECT $1::numeric(38,6)", &in).Scan(&out)) {
			expected, _ := new(big.Rat).SetString(number)
			actual, _ := new(big.Rat).SetString(fmt.Sprintf("%se%d", out.Int, out.Exp))
			check(mode+" numeric "+number, actual.RatString(), expected.RatString())
		}
	}
	var among []string
	fine(mode+" any", connection.QueryRow(ctx, `SELECT array_agg(v ORDER BY v)
		FROM unnest(ARRAY['x', 'y', 'z']) AS t(v) WHERE v = ANY($1)`, []string{"z", "x"}).Scan(&among))
	check(mode+" any", among, []string{"x", "z"})
}

func statements(connection *pgx.Conn) {
	described, err := connection.Prepare(ctx, "by_number", "SELECT $1::int8 * 2 AS n, $2 || '!' AS t, now() AS w, 1.5 AS q")
	must("prepare", err)
	check("parameters", described.ParamOIDs, []uint32{pgtype.Int8OID, pgtype.TextOID})
	var fields []string
	for _, field := range described.Fields {
		fields = append(fields, fmt.Sprint(string(field.Name), " ", field.DataTypeOID))
	}
	check("fields", fields, []string{"n 20", "t 25", "w 1184", "q 1700"})
	for number := int64(0); number < 8; number++ {
		var n int64
		var t string
		fine("by number", connection.QueryRow(ctx, "by_number", number, "x").Scan(&n, &t, nil, nil))
		check("by number", []interface{}{n, t}, []interface{}{number * 2, "x!"})
	}
	fine("deallocate", connection.Deallocate(ctx, "by_number"))
	check("no rows", connection.QueryRow(ctx, "SELECT 1 WHERE false").Scan(nil), pgx.ErrNoRows)

	rows, err := connection.Query(ctx, "SELECT g, 'x' || g FROM generate_series(1, 20000) AS g WHERE g > $1 ORDER BY g", 0)
	must("rows", err)
	total, last := 0, []interface{}{}
	for rows.Next() {
		last, err = rows.Values()
		must("rows", err)
		total += int(last[0].(int32))
	}
	must("rows", rows.Err())
	check("rows", []interface{}{total, last[1], rows.CommandTag().String()}, []interface{}{200010000, "x20000", "SELECT 20000"})

	tag, err := connection.Exec(ctx, `INSERT INTO changes (change_id, service_name, started_at)
		VALUES ($1, $2, $3)`, "pgx1", "pgx", time.Now())
	fine("insert", err)
	check("insert", tag.String(), "INSERT 0 1")
	var count int
	fine("inserted", connection.QueryRow(ctx, `SELECT count(DISTINCT change_id) FROM changes
		WHERE service_name = $1 AND started_at > now() - interval '1 hour'`, "pgx").Scan(&count))
	check("inserted", count, 1)

	var out bytes.Buffer
	copying := "COPY (SELECT g AS n, 'x,' || g AS t FROM generate_series(1, 2) AS g) TO STDOUT (FORMAT csv, HEADER)"
	tag, err = connection.PgConn().CopyTo(ctx, &out, copying)
	fine("copy to", err)
	check("copy to", []string{out.String(), tag.String()}, []string{"n,t\n1,\"x,1\"\n2,\"x,2\"\n", "COPY 2"})
	_, err = connection.PgConn().CopyTo(ctx, &out, "COPY nothing TO STDOUT")
	check("copy nothing", state(err), "42P01")

	batch := &pgx.Batch{}
	batch.Queue("SELECT $1::int + 1", 1)
	batch.Queue("SELECT $1 || 'b'", "a")
	batch.Queue("SELECT 1 / $1::int", 0)
	batch.Queue("SELECT 2")
	results := connection.SendBatch(ctx, batch)
	var n int
	var t string
	fine("batch", results.QueryRow().Scan(&n))
	fine("batch", results.QueryRow().Scan(&t))
	check("batch", []interface{}{n, t}, []interface{}{2, "ab"})
	check("batch error", state(results.QueryRow().Scan(&n)), "22012")
	check("batch after the error", results.QueryRow().Scan(&n) != nil, true)
	results.Close()
	fine("after the batch", connection.QueryRow(ctx, "SELECT 7").Scan(&n))
	check("after the batch", n, 7)

	several, err := connection.PgConn().Exec(ctx, "SELECT 1 AS a; SELECT 'x' AS b, NULL AS c").ReadAll()
	fine("several", err)
	check("several", len(several), 2)
}

func errorsTold(connection *pgx.Conn) {
	for sql, code := range map[string]string{
		"SELECT * FROM nothing": "42P01", "SELECT nope FROM changes": "42703", "SELEC": "42601", "SELECT 1/0": "22012",
		"SELECT nope(1)": "42883", "SELECT 2147483647 + 1": "22003", "SELECT 'x'::int": "22P02",
		"SELECT date '2024-02-30'": "22008", "SHOW nothing": "42704",
	} {
		check(sql, stateOf(connection, sql), code)
	}
	check("parameter", stateOf(connection, "SELECT 10 / $1::int", 0), "22012")
	var told *pgconn.PgError
	_, err := connection.Exec(ctx, "SELECT nope FROM changes")
	if errors.As(err, &told) {
		check("told", []interface{}{told.Severity, told.Message, told.Position},
			[]interface{}{"ERROR", `column "nope" does not exist`, int32(8)})
	}
	_, err = connection.Exec(ctx, "SELECT * FROM nothing")
	if errors.As(err, &told) {
		check("told", []interface{}{told.Message, told.Position}, []interface{}{`relation "nothing" does not exist`, int32(15)})
	}
}

func transactions(connection *pgx.Conn) {
	tx, err := connection.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly, IsoLevel: pgx.RepeatableRead})
	must("begin", err)
	var isolation, access string
	fine("isolation", tx.QueryRow(ctx, `SELECT current_setting('transaction_isolation'),
		current_setting('transaction_read_only')`).Scan(&isolation, &access))
	check("isolation", isolation+" "+access, "repeatable read on")
	check("read only", stateOf(tx, "INSERT INTO changes (change_id) VALUES ('x')"), "25006")
	check("aborted", stateOf(tx, "SELECT 1"), "25P02")
	check("commit of what failed", tx.Commit(ctx), pgx.ErrTxCommitRollback)
	tx, err = connection.Begin(ctx)
	must("begin", err)
	nested, err := tx.Begin(ctx)
	if fine("savepoint", err) {
		check("in the savepoint", stateOf(nested, "SELECT 1/0"), "22012")
		fine("back to the savepoint", nested.Rollback(ctx))
		check("after the savepoint", stateOf(tx, "SELECT 1"), "<nil>")
	}
	fine("commit", tx.Commit(ctx))
}

func cancelled(connection *pgx.Conn) {
	time.AfterFunc(300*time.Millisecond, func() { connection.PgConn().CancelRequest(ctx) })
	begin := time.Now()
	check("cancel", stateOf(connection, slow), "57014")
	check("set", stateOf(connection, "SET statement_timeout = '200ms'"), "<nil>")
	check("timeout", stateOf(connection, slow), "57014")
	check("reset", stateOf(connection, "RESET statement_timeout"), "<nil>")
	// pgx closes a connection whose context ends; the server is to notice.
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	_, err := connection.Exec(short, slow)
	check("deadline", errors.Is(err, context.DeadlineExceeded), true)
	<-connection.PgConn().CleanupDone()
	check("soon", time.Since(begin) < 15*time.Second, true)
	check("closed", connection.IsClosed(), true)
}

func pool() {
	config, err := pgxpool.ParseConfig("pool_max_conns=4 application_name=checks statement_timeout=60000 timezone=Asia/Kolkata")
	must("pool", err)
	pool, err := pgxpool.ConnectConfig(ctx, config)
	must("pool", err)
	defer pool.Close()
	var name, zone, timeout string
	fine("settings", pool.QueryRow(ctx, `SELECT current_setting('application_name'), current_setting('TimeZone'),
		current_setting('statement_timeout')`).Scan(&name, &zone, &timeout))
	check("settings", []string{name, zone, timeout}, []string{"checks", "Asia/Kolkata", "1min"})
	doubled("pool", func(number int, answer *int) error {
		return pool.QueryRow(ctx, "SELECT $1::int * 2", number).Scan(answer)
	})
	fine("ping", pool.Ping(ctx))
}

func main() {
	for _, mode := range []string{"prepare", "describe", "simple"} {
		config, err := pgx.ParseConfig("")
		if mode == "describe" {
			config, err = pgx.ParseConfig("statement_cache_mode=describe")
		}
		must("configuration", err)
		config.PreferSimpleProtocol = mode == "simple"
		connection, err := pgx.ConnectConfig(ctx, config)
		must("connect", err)
		values(mode, connection)
		if mode == "prepare" {
			statements(connection)
			inferred(connection)
			errorsTold(connection)
			transactions(connection)
			cancelled(connection)
		}
		connection.Close(ctx)
	}
	pool()
	finish()
}
