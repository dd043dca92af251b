#!/usr/bin/env bash
# What psql prints, against what it has to print.
set -uo pipefail
failed=0

check() {
    local expected=$1
    shift
    local actual
    actual=$(psql -X -A -t "$@" 2>&1)
    if [ "$actual" != "$expected" ]; then
        printf 'FAILED psql %q\n  expected: %s\n  actual:   %s\n' "$*" "$expected" "$actual" >&2
        failed=1
    fi
}

check '1|x|' -c "SELECT 1, 'x', NULL"
check '2026-03-01 11:00:00+01' -c "SET TimeZone = 'Europe/Paris'" -c "SELECT timestamptz '2026-03-01 10:00:00+00'" -q
check 'INSERT 0 2' -c "INSERT INTO changes (change_id, kind) VALUES ('p1', 'deploy'), ('p2', 'flag')"
check $'p1|deploy\np2|flag' -c "SELECT change_id, kind FROM changes WHERE change_id LIKE 'p_' ORDER BY 1"
check $'change_id,kind\np1,deploy\np2,flag' -c "COPY (SELECT change_id, kind FROM changes WHERE change_id LIKE 'p_' ORDER BY 1) TO STDOUT (FORMAT csv, HEADER)"
check $'public|ascribe\nsystem|ascribe' -c '\dn'
check 'public|changes|table|ascribe' -c '\dt changes'
check 'CREATE VIEW' -c "CREATE VIEW by_kind AS SELECT kind, count(*) FROM changes WHERE change_id LIKE 'p_' GROUP BY 1"
check 'COMMENT' -c "COMMENT ON VIEW by_kind IS 'changes by kind'"
check $'deploy|1\nflag|1' -c 'SELECT * FROM by_kind ORDER BY 1'
check $'kind|text|||\ncount|bigint|||' -c '\d by_kind'
check 'public|by_kind|view|ascribe|permanent||changes by kind' -c '\dv+ by_kind'
check "SELECT kind, count(*) FROM changes WHERE change_id LIKE 'p_' GROUP BY 1" -c "SELECT pg_get_viewdef('by_kind'::regclass)"
check 'DROP VIEW' -c 'DROP VIEW by_kind'
check 'Did not find any relation named "nothing".' -c '\d nothing'
check $'ERROR:  relation "nothing" does not exist\nLINE 1: SELECT * FROM nothing\n                      ^' -c 'SELECT * FROM nothing'
check $'ERROR:  division by zero' -c 'SELECT 1/0'
# A statement as a chain, which nests as deep as it is long: the server lives, and says when it is too long.
chain() { printf 'SELECT 0%s\n' "$(printf ' + 1%.0s' $(seq "$1"))" >"$work_chain"; }
work_chain=$(mktemp)
chain 300
check 300 -f "$work_chain"
chain 20000
check "psql:$work_chain:1: ERROR:  statement too complex
DETAIL:  It has more than 10000 operators.
HINT:  a long chain of OR is shorter as IN (…) or = ANY (ARRAY […]), a long UNION ALL as VALUES" -f "$work_chain"
rm "$work_chain"
check $'1\n2\n3' -v FETCH_COUNT=2 -c 'SELECT value FROM generate_series(1, 3) ORDER BY 1'
[ $failed -eq 0 ] && echo "psql: passed"
exit $failed
