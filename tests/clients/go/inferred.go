package main

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v4"
)

// What the server takes parameters for that nobody gave a type: pgx, asyncpg and others encode by that. A statement, then the types.
const untyped = `
SELECT change_id FROM changes WHERE service_name = $1: text
SELECT change_id FROM changes WHERE service_name IN ($1, $2): text text
SELECT change_id FROM changes WHERE service_name = ANY($1): text[]
SELECT change_id FROM changes WHERE service_name ILIKE '%' || $1 || '%': text
SELECT change_id FROM changes WHERE started_at BETWEEN $1 AND $2: timestamptz timestamptz
SELECT change_id FROM changes WHERE started_at > now() - $1::interval: interval
SELECT change_id FROM changes WHERE $1::text IS NULL OR service_name = $1: text
SELECT count(*) FILTER (WHERE started_at > $1) FROM changes GROUP BY service_name HAVING count(*) > $2: timestamptz int8
SELECT EXISTS (SELECT FROM changes AS c WHERE c.started_at::date = $1): date
SELECT date_trunc($1, started_at), string_agg(service_name, $2) FROM changes GROUP BY 1: text text
SELECT coalesce($1, service_name), $2 + 1, $3 + 1.5, $4 || 'x', $5 FROM changes: text int4 numeric text text
SELECT * FROM (VALUES (1, 'a')) AS t(x, y) WHERE x = $1 AND y = $2: int4 text
SELECT * FROM unnest($1::int[], $2::text[]) AS t(a, b): int4[] text[]
SELECT $1::jsonb -> 'a' ->> $2: jsonb text
SELECT $1::timestamptz AT TIME ZONE $2, extract(epoch FROM $1): timestamptz text
SELECT ($1::text[])[1], $2::int[] || $3::int, $4::uuid, $5::bytea: text[] int4[] int4 uuid bytea
WITH t AS (SELECT $1::int AS a) SELECT a, $2::text FROM t: int4 text
INSERT INTO changes (change_id, started_at) VALUES ($1, $2): text timestamptz
`

func inferred(connection *pgx.Conn) {
	for number, line := range strings.Split(strings.TrimSpace(untyped), "\n") {
		at := strings.LastIndex(line, ": ")
		described, err := connection.Prepare(ctx, fmt.Sprint("inferred ", number), line[:at])
		if !fine(line[:at], err) {
			continue
		}
		var types []string
		for _, oid := range described.ParamOIDs {
			found, _ := connection.ConnInfo().DataTypeForOID(oid)
			name := found.Name
			if strings.HasPrefix(name, "_") {
				name = name[1:] + "[]"
			}
			types = append(types, name)
		}
		check(line[:at], strings.Join(types, " "), line[at+2:])
	}
}
