-- Names of columns
SELECT 1, 2
SELECT 1 AS a, 2 AS a
SELECT count(*), count(1), max(1)
SELECT coalesce(1, 2), nullif(1, 2), greatest(1, 2)
SELECT CASE WHEN true THEN 1 END
SELECT CASE WHEN true THEN 1 ELSE 2 END AS "Big Name"
SELECT CASE WHEN true THEN 1 ELSE a END FROM (VALUES (1)) t(a)
SELECT 1::text, 'a'::varchar, CAST(1 AS numeric)
SELECT true AND false, NOT true, 1 = 1
SELECT EXISTS (SELECT 1)
SELECT (SELECT 1), (SELECT a FROM (VALUES (5)) t(a))
SELECT ARRAY[1], ARRAY(SELECT 1)
SELECT current_date IS NOT NULL, now() IS NOT NULL
SELECT extract(year from date '2024-01-01'), date_part('year', date '2024-01-01')
SELECT upper('a'), lower('A') AS x, trim(' a '), substring('abc' from 2)
SELECT t.a, t.b FROM (VALUES (1, 'x')) t(a, b)
SELECT * FROM (VALUES (1, 'x'), (2, NULL)) t(a, b)
SELECT * FROM (VALUES (1, 'x'), (2, NULL)) t
VALUES (1, 'a'), (2, 'b')
WITH t AS (SELECT 1 AS a) TABLE t
(WITH t AS (SELECT 1 AS a) TABLE t) UNION ALL SELECT 2 ORDER BY 1
SELECT a, a FROM (VALUES (1)) t(a)
SELECT a, a AS b, a FROM (VALUES (1)) t(a)
SELECT *, a FROM (VALUES (1, 2)) t(a, b)
SELECT t.*, a FROM (VALUES (1, 2)) t(a, b)
SELECT x.a, y.a FROM (VALUES (1)) x(a), (VALUES (2)) y(a)
SELECT * FROM (VALUES (1)) x(a), (VALUES (2)) y(a)
SELECT * FROM (SELECT 1 AS a, 2 AS a) t
SELECT * FROM (SELECT 1, 2) t
SELECT count(*) FROM (SELECT a, a FROM (VALUES (1)) t(a)) s
WITH c AS (SELECT 1 AS n) SELECT n, n FROM c
SELECT sum(a), sum(a) FROM (VALUES (1), (2)) t(a)
SELECT a + 1, a + 1 FROM (VALUES (1)) t(a)
SELECT -a, +a FROM (VALUES (1)) t(a)
SELECT interval '1 day', date '2024-01-01', timestamp '2024-01-01'
SELECT current_user, current_schema, session_user
SELECT 'a' AS "select", 1 AS "Weird ""name"""
SELECT row_number() OVER (ORDER BY a), rank() OVER (ORDER BY a) FROM (VALUES (1), (2)) t(a)
SELECT a, sum(a) OVER (ORDER BY a) FROM (VALUES (1), (2)) t(a)
SELECT lag(a) OVER (ORDER BY a), lead(a, 1, 0) OVER (ORDER BY a), ntile(2) OVER (ORDER BY a) FROM (VALUES (1), (2)) t(a)
SELECT first_value(a) OVER w, last_value(a) OVER w FROM (VALUES (1), (2)) t(a) WINDOW w AS (ORDER BY a)
SELECT avg(a) OVER (ORDER BY a ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM (VALUES (1), (2), (4)) t(a)
-- Subqueries
SELECT (SELECT a FROM (VALUES (1), (2)) t(a))
SELECT (SELECT a FROM (VALUES (1)) t(a) WHERE a > 5)
SELECT (SELECT 1, 2)
SELECT x, (SELECT max(b) FROM (VALUES (1, 10), (2, 20), (2, 30)) t(a, b) WHERE t.a = x) FROM (VALUES (1), (2), (3)) s(x) ORDER BY x
SELECT x, (SELECT count(*) FROM (VALUES (1, 10), (2, 20)) t(a, b) WHERE t.a = x) FROM (VALUES (1), (3)) s(x) ORDER BY x
SELECT x, (SELECT b FROM (VALUES (1, 10), (2, 20)) t(a, b) WHERE t.a = x) FROM (VALUES (1), (2), (3)) s(x) ORDER BY x
SELECT x, (SELECT b FROM (VALUES (1, 10), (1, 20)) t(a, b) WHERE t.a = x) FROM (VALUES (1), (2)) s(x) ORDER BY x
SELECT x, (SELECT b FROM (VALUES (1, 10), (1, 20)) t(a, b) WHERE t.a = x ORDER BY b DESC LIMIT 1) FROM (VALUES (1), (2)) s(x) ORDER BY x
SELECT x, (SELECT max(b) FROM (VALUES (1, 10), (2, 20), (3, 30)) t(a, b) WHERE t.a < x) FROM (VALUES (1), (2), (3)) s(x) ORDER BY x
SELECT x FROM (VALUES (1), (2), (3)) s(x) WHERE x > (SELECT avg(a) FROM (VALUES (1), (2)) t(a)) ORDER BY x
SELECT x FROM (VALUES (1), (2), (3)) s(x) WHERE EXISTS (SELECT 1 FROM (VALUES (2), (3)) t(a) WHERE t.a = x) ORDER BY x
SELECT x FROM (VALUES (1), (2), (3)) s(x) WHERE x IN (SELECT a FROM (VALUES (2), (NULL)) t(a)) ORDER BY x
SELECT x FROM (VALUES (1), (2), (3)) s(x) WHERE x NOT IN (SELECT a FROM (VALUES (2), (NULL)) t(a)) ORDER BY x
SELECT x FROM (VALUES (1), (2), (3)) s(x) WHERE x = ANY (SELECT a FROM (VALUES (2), (3)) t(a)) ORDER BY x
SELECT x FROM (VALUES (1), (2), (3)) s(x) WHERE x > ALL (SELECT a FROM (VALUES (1), (2)) t(a)) ORDER BY x
SELECT x, x IN (SELECT a FROM (VALUES (2), (3)) t(a)) FROM (VALUES (1), (2)) s(x) ORDER BY x
SELECT x, EXISTS (SELECT 1 FROM (VALUES (2), (3)) t(a) WHERE t.a = x) FROM (VALUES (1), (2)) s(x) ORDER BY x
SELECT s.x, l.b FROM (VALUES (1), (2)) s(x), LATERAL (SELECT s.x * 10 AS b) l ORDER BY 1
SELECT s.x, l.b FROM (VALUES (1), (2)) s(x) LEFT JOIN LATERAL (SELECT max(a) AS b FROM (VALUES (1), (5)) t(a) WHERE a > s.x) l ON true ORDER BY 1
-- Sets, sorting, grouping
SELECT 1 UNION SELECT 2 ORDER BY 1
SELECT 1 UNION ALL SELECT 2.5 ORDER BY 1
SELECT 1 UNION ALL SELECT NULL ORDER BY 1
SELECT 'a' UNION SELECT 1
SELECT 1 EXCEPT SELECT 1
SELECT a FROM (VALUES (1), (1), (2)) t(a) INTERSECT ALL SELECT a FROM (VALUES (1), (1)) t(a)
SELECT a FROM (VALUES (2), (NULL), (1)) t(a) ORDER BY a
SELECT a FROM (VALUES (2), (NULL), (1)) t(a) ORDER BY a DESC
SELECT a FROM (VALUES (2), (NULL), (1)) t(a) ORDER BY a NULLS FIRST
SELECT a FROM (VALUES (2), (NULL), (1)) t(a) ORDER BY a DESC NULLS LAST
SELECT a FROM (VALUES ('b'), ('A'), ('a'), ('B')) t(a) ORDER BY a
SELECT a FROM (VALUES ('NaN'::float8), (1), ('Infinity'::float8)) t(a) ORDER BY a
SELECT DISTINCT a FROM (VALUES (1), (1), (NULL), (NULL)) t(a) ORDER BY a
SELECT DISTINCT ON (a) a, b FROM (VALUES (1, 2), (1, 1), (2, 5)) t(a, b) ORDER BY a, b
SELECT a, count(*) FROM (VALUES (1), (1), (2)) t(a) GROUP BY a ORDER BY a
SELECT a, count(*) FROM (VALUES (1), (1), (2)) t(a) GROUP BY 1 HAVING count(*) > 1
SELECT a, b, sum(c) FROM (VALUES (1, 1, 10), (1, 2, 20)) t(a, b, c) GROUP BY ROLLUP (a, b) ORDER BY 1, 2
SELECT a, grouping(a) FROM (VALUES (1), (2)) t(a) GROUP BY ROLLUP (a) ORDER BY a
SELECT a, count(*) FROM (VALUES (1)) t(a)
SELECT a + 1 FROM (VALUES (1), (2)) t(a) GROUP BY a + 1 ORDER BY a + 1
SELECT a FROM (VALUES (1), (2), (3)) t(a) ORDER BY a LIMIT 1 OFFSET 1
SELECT a FROM (VALUES (1), (2), (3)) t(a) ORDER BY a FETCH FIRST 2 ROWS ONLY
SELECT a FROM (VALUES (1), (2)) t(a) LIMIT -1
SELECT a FROM (VALUES (1), (2)) t(a) ORDER BY a LIMIT NULL
SELECT a FROM (VALUES (1), (2)) t(a) ORDER BY a LIMIT ALL
SELECT x.a, y.b FROM (VALUES (1), (2)) x(a) FULL JOIN (VALUES (2), (3)) y(b) ON x.a = y.b ORDER BY 1, 2
SELECT * FROM (VALUES (1, 'x')) x(a, b) JOIN (VALUES (1, 'y')) y(a, c) USING (a)
SELECT * FROM (VALUES (1, 'x')) x(a, b) NATURAL JOIN (VALUES (1, 'y')) y(a, c)
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n) FROM r
SELECT CASE 1 WHEN 1 THEN 'one' ELSE 'other' END
SELECT CASE WHEN false THEN 1 END
SELECT CASE WHEN true THEN 1 ELSE 2.5 END
SELECT CASE WHEN a = 0 THEN 0 ELSE 10 / a END FROM (VALUES (0), (5)) t(a)
SELECT a FROM (VALUES (0), (5)) t(a) WHERE a <> 0 AND 10 / a > 1
-- Errors
SELECT nope
SELECT nope FROM (VALUES (1)) t(a)
SELECT * FROM nope
SELECT * FROM nope.nope
SELECT nope(1)
SELECT upper(1, 2, 3)
SELECT x.a FROM (VALUES (1)) t(a)
SELECT a FROM (VALUES (1)) x(a), (VALUES (2)) y(a)
SELECT 1 +
SELEC 1
SELECT 'a
SELECT 1 FROM
SELECT sum(sum(1))
SELECT 1 WHERE sum(1) > 0
SELECT 'a'::nope
SELECT 1::uuid
SELECT 'a' + 1
SELECT true + 1
SELECT date '2024-01-01' + date '2024-01-01'
SELECT 1 UNION SELECT 1, 2
SELECT $1
SELECT 'x'::int
SELECT a FROM (VALUES (1)) t(a) ORDER BY 2
SELECT a FROM (VALUES (1)) t(a) GROUP BY b
SELECT 1 AS a WHERE a = 1
SELECT DISTINCT a FROM (VALUES (1, 2)) t(a, b) ORDER BY b
SHOW nothing
SELECT current_setting('nothing')
SELECT current_setting('TimeZone')
SELECT set_config('application_name', 'x', false)
SHOW application_name
SELECT pg_typeof(1), pg_typeof('a'::text), pg_typeof(1.5), pg_typeof(now()), pg_typeof(ARRAY[1])
SELECT pg_sleep(0)
SELECT version() IS NOT NULL
SELECT 1 WHERE 1
SELECT 1 WHERE 'x'
SELECT 1 WHERE 'yes'
SELECT 1 WHERE NULL
SELECT 1 WHERE true AND 1
SELECT 1 WHERE (1.5) OR false
SELECT 1 WHERE ARRAY[1]
SELECT NOT 1
SELECT NOT 'f'
SELECT NOT 'x'
SELECT CASE WHEN 1 THEN 2 END
SELECT CASE WHEN 't' THEN 2 END
SELECT CASE WHEN NULL THEN 2 ELSE 3 END
SELECT count(*) FROM (VALUES (1)) t(a) HAVING 1
SELECT count(*) FROM (VALUES (1)) t(a) HAVING count(*)
SELECT count(*) FILTER (WHERE a) FROM (VALUES (1)) t(a)
SELECT count(*) FILTER (WHERE a) FROM (VALUES (true), (false)) t(a)
SELECT t.a FROM (VALUES (1)) t(a) JOIN (VALUES (2)) u(a) ON 1
SELECT t.a FROM (VALUES (1)) t(a) LEFT JOIN (VALUES (true)) u(b) ON u.b
SELECT CASE WHEN a THEN 'x' ELSE 'y' END, count(*) FROM (VALUES (true), (false), (true)) t(a) GROUP BY CASE WHEN a THEN 'x' ELSE 'y' END ORDER BY 1
