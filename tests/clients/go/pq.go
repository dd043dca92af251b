// database/sql with lib/pq, and sqlx on top of it, against a server that the environment's PG* variables name.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

const driver = "database/sql with lib/pq, and sqlx"

var ctx = context.Background()

type execer interface {
	Exec(string, ...interface{}) (sql.Result, error)
}

func stateOf(db execer, statement string, arguments ...interface{}) string {
	_, err := db.Exec(statement, arguments...)
	return state(err)
}

func values(mode string, db *sql.DB) {
	when := time.Date(2024, 2, 29, 12, 34, 56, 789000, time.UTC)
	for _, one := range []struct {
		kind  string
		value interface{}
	}{
		{"bool", true}, {"int2", int64(-5)}, {"int4", int64(1<<31 - 1)}, {"int8", int64(-1 << 63)}, {"float8", 1e300},
		{"float4", 1.5}, {"text", "naïve ☃ 'quoted' \\"}, {"varchar", ""}, {"bytea", []byte{0, 255, '\\'}}, {"timestamptz", when},
		{"timestamp", when}, {"date", time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)}, {"numeric(38,3)", "12345678901234567890.125"},
		{"uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}, {"jsonb", `{"a": [1, null]}`}, {"interval", "1 year 2 mons 3 days 00:00:05.000001"},
		{"time", time.Date(0, 1, 1, 12, 34, 56, 789000, time.UTC)},
		{"text", sql.NullString{}}, {"text", sql.NullString{String: "x", Valid: true}}, {"int8", sql.NullInt64{}}, {"float8", sql.NullFloat64{}},
		{"bool", sql.NullBool{}}, {"timestamptz", sql.NullTime{}}, {"int8", sql.NullInt64{Int64: 7, Valid: true}},
		{"text[]", pq.StringArray{"a", "", `q"x,\`, "NULL"}}, {"int8[]", pq.Int64Array{1, -2}}, {"float8[]", pq.Float64Array{1.5, -0.25}},
		{"bool[]", pq.BoolArray{true, false}}, {"int4[]", pq.Int32Array{}}, {"bytea[]", pq.ByteaArray{{0, 255}, {}}},
	} {
		what, pointer := fmt.Sprintf("%s %s %v", mode, one.kind, one.value), fresh(one.value)
		if fine(what, db.QueryRow("SELECT $1::"+one.kind, one.value).Scan(pointer)) {
			check(what, found(pointer), one.value)
		}
	}
	var among []string
	fine(mode+" any", db.QueryRow("SELECT array_agg(v ORDER BY v) FROM unnest(ARRAY['x', 'y', 'z']) AS t(v) WHERE v = ANY($1)",
		pq.Array([]string{"z", "x"})).Scan(pq.Array(&among)))
	check(mode+" any", among, []string{"x", "z"})
}

func statements(mode string, db *sql.DB) {
	prepared, err := db.Prepare("SELECT $1::int8 * 2, $2 || '!'")
	must("prepare", err)
	for number := int64(0); number < 8; number++ {
		var n int64
		var t string
		fine("prepared", prepared.QueryRow(number, "x").Scan(&n, &t))
		check("prepared", []interface{}{n, t}, []interface{}{number * 2, "x!"})
	}
	fine("close", prepared.Close())
	check("no rows", db.QueryRow("SELECT 1 WHERE false").Scan(new(int)), sql.ErrNoRows)

	rows, err := db.Query(`SELECT 1 AS i, 2::int8 AS l, 'x' AS t, 1.5::numeric(12,3) AS q, now() AS w, true AS b,
		1.5::float8 AS f, 'abc'::varchar(7) AS v, ARRAY[1] AS a`)
	must("types", err)
	types, err := rows.ColumnTypes()
	must("types", err)
	var names []string
	for _, column := range types {
		names = append(names, column.Name()+" "+column.DatabaseTypeName())
	}
	check("types", names, []string{"i INT4", "l INT8", "t TEXT", "q NUMERIC", "w TIMESTAMPTZ", "b BOOL", "f FLOAT8", "v VARCHAR", "a _INT4"})
	precision, scale, known := types[3].DecimalSize()
	check("decimal", []interface{}{precision, scale, known}, []interface{}{int64(12), int64(3), true})
	rows.Close()

	rows, err = db.Query("SELECT g, 'x' || g FROM generate_series(1, 20000) AS g WHERE g > $1 ORDER BY g", 0)
	must("rows", err)
	var n, total int
	var t string
	for rows.Next() {
		fine("rows", rows.Scan(&n, &t))
		total += n
	}
	fine("rows", rows.Err())
	check("rows", []interface{}{total, t}, []interface{}{200010000, "x20000"})
	rows, err = db.Query("SELECT g FROM generate_series(1, 100000) AS g")
	must("early", err)
	check("early", rows.Next(), true)
	fine("closed early", rows.Close())

	rows, err = db.Query("SELECT 1; SELECT 'a', 'b'")
	must("several", err)
	check("several", []bool{rows.Next(), rows.Next(), rows.NextResultSet(), rows.Next()}, []bool{true, false, true, true})
	rows.Close()

	id := "pq " + mode
	result, err := db.Exec("INSERT INTO changes (change_id, service_name, started_at) VALUES ($1, $2, $3)", id, "pq", time.Now())
	must("insert", err)
	affected, _ := result.RowsAffected()
	check("insert", affected, int64(1))
	var started sql.NullTime
	fine("inserted", db.QueryRow("SELECT service_name, started_at FROM changes WHERE change_id = $1", id).Scan(&t, &started))
	check("inserted", []interface{}{t, started.Valid, time.Since(started.Time) < time.Minute}, []interface{}{"pq", true, true})
}

func errorsTold(db *sql.DB) {
	for statement, code := range map[string]string{
		"SELECT * FROM nothing": "42P01", "SELECT nope FROM changes": "42703", "SELEC": "42601", "SELECT 1/0": "22012",
		"SELECT nope(1)": "42883", "SELECT 'x'::int": "22P02", "SHOW nothing": "42704",
	} {
		check(statement, stateOf(db, statement), code)
	}
	check("parameter", stateOf(db, "SELECT 10 / $1::int", 0), "22012")
	check("bad parameter", stateOf(db, "SELECT $1::int", "x"), "22P02")
	var told *pq.Error
	_, err := db.Exec("SELECT nope FROM changes WHERE change_id = $1", "x")
	if errors.As(err, &told) {
		check("told", []string{told.Code.Name(), told.Severity, told.Message, told.Position},
			[]string{"undefined_column", "ERROR", `column "nope" does not exist`, "8"})
	}
}

func transactions(db *sql.DB) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead})
	must("begin", err)
	var isolation, access string
	fine("isolation", tx.QueryRow(`SELECT current_setting('transaction_isolation'),
		current_setting('transaction_read_only')`).Scan(&isolation, &access))
	check("isolation", isolation+" "+access, "repeatable read on")
	check("read only", stateOf(tx, "INSERT INTO changes (change_id) VALUES ('x')"), "25006")
	check("aborted", stateOf(tx, "SELECT 1"), "25P02")
	fine("rollback", tx.Rollback())
	tx, err = db.Begin()
	must("begin", err)
	check("savepoint", stateOf(tx, "SAVEPOINT here"), "<nil>")
	check("failing", stateOf(tx, "SELECT 1/0"), "22012")
	check("back", stateOf(tx, "ROLLBACK TO SAVEPOINT here"), "<nil>")
	check("again", stateOf(tx, "SELECT $1::int", 1), "<nil>")
	fine("commit", tx.Commit())
}

func cancelled(db *sql.DB) {
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := db.QueryContext(short, slow)
	check("cancel", state(err), "57014")
	check("soon", time.Since(begin) < 5*time.Second, true)
	check("alive", stateOf(db, "SELECT 1"), "<nil>")
	doubled("pool", func(number int, answer *int) error {
		return db.QueryRow("SELECT $1::int * 2", number).Scan(answer)
	})
}

func withSqlx(options string) {
	db, err := sqlx.Connect("postgres", options)
	must("sqlx", err)
	defer db.Close()
	type row struct {
		N    int
		Name sql.NullString `db:"service_name"`
	}
	var all []row
	must("select", db.Select(&all, "SELECT g AS n, CASE WHEN g > 1 THEN 'x' END AS service_name FROM generate_series(1, 2) AS g ORDER BY 1"))
	check("select", all, []row{{1, sql.NullString{}}, {2, sql.NullString{String: "x", Valid: true}}})
	query, arguments, err := sqlx.In("SELECT count(*) FROM generate_series(1, 9) AS g WHERE g IN (?)", []int{2, 3, 77})
	must("in", err)
	var count int
	fine("in", db.Get(&count, db.Rebind(query), arguments...))
	check("in", count, 2)
	rows, err := db.NamedQuery("SELECT CAST(:n AS int) AS n, :service_name AS service_name", row{5, sql.NullString{String: "y", Valid: true}})
	if fine("named", err) {
		one := map[string]interface{}{}
		rows.Next()
		fine("named", rows.MapScan(one))
		check("named", fmt.Sprintf("%v %s", one["n"], one["service_name"]), "5 y")
		rows.Close()
	}
}

func main() {
	for _, mode := range []string{"no", "yes"} {
		options := "sslmode=disable application_name=checks statement_timeout=60000 binary_parameters=" + mode
		db, err := sql.Open("postgres", options)
		must("open", err)
		db.SetMaxOpenConns(4)
		must("ping", db.Ping())
		values(mode, db)
		statements(mode, db)
		errorsTold(db)
		transactions(db)
		cancelled(db)
		db.Close()
		withSqlx(options)
	}
	finish()
}
