-- What drivers and tools ask of the catalog, where both have the same.

-- Columns of functions: names that are numbers.
SELECT typinput, typoutput, typreceive, typsend FROM pg_catalog.pg_type WHERE oid = 23
SELECT typinput, typreceive, typmodin, typsubscript, typanalyze FROM pg_catalog.pg_type WHERE oid = 1231
SELECT typinput::text, typmodin::text FROM pg_catalog.pg_type WHERE oid = 25
SELECT typname FROM pg_type JOIN pg_proc ON pg_proc.oid = typreceive WHERE proname = 'int4recv'
SELECT typinput = 'pg_catalog.array_in'::regproc, typreceive <> 0, typreceive::text FROM pg_type WHERE typname = '_text'
SELECT oid, proname, pronargs, prorettype, proisstrict FROM pg_proc WHERE proname IN ('array_in', 'array_recv', 'jsonb_send') ORDER BY oid
SELECT 'now'::regproc::oid, 'array_in'::regproc::oid

-- Types by name.
SELECT 'int4'::regtype::text, '_timestamptz'::regtype::text, 1043::regtype::text
SELECT 'pg_class'::regclass::oid, 'pg_class'::regclass::text
SELECT ('int' || '8')::regtype::oid
SELECT oidvectortypes('23 25')

-- Literals that are arrays.
SELECT typname FROM pg_type WHERE typname = ANY('{int4,text}') ORDER BY 1
SELECT typname FROM pg_type WHERE oid = ANY('{23,25}') ORDER BY 1
SELECT typname FROM pg_type WHERE oid = ANY('{int4,text}'::regtype[]) ORDER BY 1
SELECT 2 = ANY('{1,2}'), 'a' = ANY('{b,c}'), 3 <> ALL('{1,2}')

-- Subqueries that are values.
SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class WHERE relname = 'pg_class')
SELECT EXISTS (SELECT 1 FROM pg_type WHERE typname = 'none'), EXISTS (SELECT 1 FROM pg_type)

-- Scalars in FROM, in any spelling.
SELECT * FROM upper('x') AS u
SELECT u.c FROM pg_catalog.upper('x') AS u (c)
SELECT * FROM UPPER('x')
SELECT count(*) FROM CURRENT_SCHEMA()
SELECT count(*) FROM PG_GET_KEYWORDS() WHERE word = 'select'
SELECT pg_catalog.upper('x'), PG_CATALOG.Lower('X')

-- A word of the language is a name behind AS.
SELECT relname AS table FROM pg_class WHERE relname = 'pg_class'

-- What nobody has.
SELECT pg_blocking_pids(0)
SELECT locktype, page, virtualxid, fastpath FROM pg_locks WHERE locktype = 'none'
SHOW default_tablespace
