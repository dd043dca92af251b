-- Literals without a type beside values that have one, in a zone that is not Greenwich's.
SET timezone = 'America/New_York'
SELECT timestamptz '2026-03-17 14:30:00Z' BETWEEN '2026-03-17 10:30' AND '2026-03-17 10:30'
SELECT timestamptz '2026-03-17 14:30:00Z' BETWEEN '17 Mar 2026' AND '18 Mar 2026'
SELECT timestamptz '2026-03-17 14:30:00Z' NOT BETWEEN 'yesterday' AND 'tomorrow' IS NOT NULL
SELECT timestamptz '2026-03-17 14:30:00Z' IN ('2026-03-17 10:30', '2026-03-17 10:31')
SELECT timestamptz '2026-03-17 14:30:00Z' NOT IN ('2026-03-17 14:30', NULL)
SELECT timestamptz '2026-03-17 14:30:00Z' IN ('never')
SELECT '2026-03-17 10:30' IN (timestamptz '2026-03-17 14:30:00Z')
SELECT '2026-03-17 10:30' BETWEEN timestamptz '2026-03-17 14:30:00Z' AND timestamptz '2026-03-17 14:30:00Z'
SELECT CASE WHEN true THEN '2026-03-17 10:30' ELSE timestamptz '2020-01-01 00:00:00Z' END
SELECT CASE WHEN false THEN timestamptz '2020-01-01 00:00:00Z' ELSE '17 Mar 2026' END
SELECT CASE WHEN false THEN timestamptz '2020-01-01 00:00:00Z' ELSE 'x' END
SELECT CASE WHEN true THEN 'infinity' ELSE timestamptz '2020-01-01 00:00:00Z' END
SELECT CASE timestamptz '2026-03-17 14:30:00Z' WHEN '2026-03-17 10:30' THEN 'same' ELSE 'other' END
SELECT CASE WHEN true THEN '1 day' ELSE interval '2 days' END
SELECT CASE WHEN true THEN 't' ELSE false END
SELECT CASE WHEN true THEN '7' ELSE 5 END
SELECT CASE WHEN true THEN 'x' ELSE 5 END
SELECT CASE WHEN true THEN '1.50' ELSE 2.25 END
SELECT CASE WHEN true THEN '\xbeef' ELSE '\x00'::bytea END
SELECT CASE WHEN true THEN '{1,2}' ELSE ARRAY[3] END
SELECT coalesce(NULL::timestamptz, '2026-03-17 10:30')
SELECT coalesce(NULL::timestamptz, 'now') = now()
SELECT coalesce(NULL::timestamp, '2026-03-17 10:30')
SELECT coalesce(NULL::date, '17 Mar 2026')
SELECT coalesce(NULL::date, '2026-02-30')
SELECT coalesce(NULL::interval, '1 day 2 hours')
SELECT coalesce(NULL::boolean, 'yes')
SELECT coalesce(NULL::integer, '12')
SELECT coalesce(NULL::integer, '12.5')
SELECT coalesce(NULL::bigint, '99999999999')
SELECT coalesce(NULL::double precision, '1e3')
SELECT coalesce(NULL::uuid, 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11')
SELECT coalesce(NULL::uuid, 'x')
SELECT coalesce(NULL::jsonb, '{"b": 1, "a": 2}')
SELECT coalesce(NULL::jsonb, '{')
SELECT coalesce(NULL::date, timestamptz '2026-03-17 14:30:00Z', '2026-03-18')
SELECT greatest(timestamptz '2026-03-17 14:30:00Z', '2026-03-17 11:00')
SELECT least(timestamptz '2026-03-17 14:30:00Z', '2026-03-17 11:00')
SELECT greatest(date '2026-03-17', '18 Mar 2026')
SELECT least(5, '3')
SELECT nullif(timestamptz '2026-03-17 14:30:00Z', '2026-03-17 10:30')
SELECT nullif('2026-03-17 10:30', timestamptz '2026-03-17 14:30:00Z')
SELECT nullif(5, '5')
SELECT timestamptz '2026-03-17 14:30:00Z' UNION ALL SELECT '2026-03-17 10:30'
SELECT '2026-03-17 10:30' UNION ALL SELECT timestamptz '2026-03-17 14:30:00Z'
SELECT timestamptz '2026-03-17 14:30:00Z' UNION SELECT '2026-03-17 10:30'
SELECT date '2026-03-17' AS d UNION ALL SELECT '18 Mar 2026' ORDER BY d
SELECT 1 AS n UNION ALL SELECT '2' ORDER BY n
SELECT 1 UNION ALL SELECT 'x'
SELECT interval '1 day' UNION ALL SELECT '2 hours' ORDER BY 1
SELECT true UNION ALL SELECT 'no' ORDER BY 1
SELECT timestamptz '2026-03-17 14:30:00Z' EXCEPT SELECT '2026-03-17 10:30'
SELECT timestamptz '2026-03-17 14:30:00Z' INTERSECT SELECT '2026-03-17 10:30'
VALUES (timestamptz '2026-03-17 14:30:00Z'), ('2026-03-17 10:30'), (NULL)
VALUES ('2026-03-17 10:30'), (timestamptz '2026-03-17 14:30:00Z')
VALUES (1, 'a'), ('2', 'b')
VALUES ('x'), (1)
VALUES ('1 day'), (interval '1 hour')
VALUES (true), ('off')
SELECT * FROM (VALUES (date '2026-03-17'), ('18 Mar 2026')) AS v(d)
SELECT ARRAY[timestamptz '2026-03-17 14:30:00Z', '2026-03-17 10:30']
SELECT ARRAY['2026-03-17 10:30', timestamptz '2026-03-17 14:30:00Z']
SELECT ARRAY[date '2026-03-17', '18 Mar 2026']
SELECT ARRAY[1, '2']
SELECT ARRAY[1, 'x']
SELECT ARRAY[true, 'f']
SELECT '2026-03-17 10:30' IN (SELECT timestamptz '2026-03-17 14:30:00Z')
SELECT timestamptz '2026-03-17 14:30:00Z' IN (SELECT '2026-03-17 10:30'::timestamptz)
SELECT timestamptz '2026-03-17 14:30:00Z' = ANY (ARRAY['2026-03-17 10:30'::timestamptz])
SELECT timestamptz '2026-03-17 14:30:00Z' = ANY ('{2026-03-17 10:30}')
SELECT date '2026-03-17' BETWEEN timestamptz '2026-03-17 04:00:00Z' AND timestamptz '2026-03-17 04:00:00Z'
SELECT timestamptz '2026-03-17 04:00:00Z' IN (date '2026-03-17', date '2026-03-18')
SELECT coalesce(date '2026-03-17', timestamptz '2026-03-17 04:00:00Z')
SELECT CASE WHEN true THEN timestamp '2026-03-17 10:30' ELSE timestamptz '2026-03-17 04:00:00Z' END
SELECT date '2026-03-17' UNION ALL SELECT timestamptz '2026-03-17 14:30:00Z' ORDER BY 1
SELECT interval '1 day' BETWEEN '23 hours' AND '25 hours'
SELECT interval '1 day' IN ('24 hours', '2 days')
SELECT interval '1 month' BETWEEN '29 days' AND '31 days'
SELECT time '12:30' BETWEEN '12:00' AND '1 PM'
SELECT true IN ('yes', 'no')
SELECT 5 IN ('5', '6')
SELECT 5 BETWEEN '1' AND '9'
SELECT 5 IN ('x')
SELECT 2.5 IN ('2.50', '3')
SELECT date '2026-03-17' IN ('2026-03-17', '2026-02-30')
SELECT count(*) FROM (VALUES (timestamptz '2026-03-17 14:30:00Z')) AS v(t) WHERE t BETWEEN '2026-03-17 10:00' AND '2026-03-17 11:00'
SELECT count(*) FROM (VALUES (timestamptz '2026-03-17 14:30:00Z')) AS v(t) WHERE t >= '2026-03-17 10:00' AND t < '2300-01-01'
SELECT count(*) FROM (VALUES (timestamptz '2026-03-17 14:30:00Z')) AS v(t) WHERE t < timestamptz '2300-01-01' AND t > '1600-01-01' AND t < 'infinity'
SELECT now() BETWEEN '1500-01-01' AND '2300-01-01'
SELECT now() < '2300-01-01'
SELECT now() BETWEEN 'today' AND 'tomorrow'
SELECT timestamptz 'yesterday 12:00' BETWEEN 'yesterday' AND 'today'
SELECT date 'tomorrow' - date 'today'
SELECT now() > timestamptz '1500-01-01'
SELECT now() IN ('2300-01-01')
SELECT coalesce(now(), '2300-01-01') = now()
SELECT greatest(now(), '2300-01-01')
SELECT least(now(), '1500-01-01')
SELECT CASE WHEN false THEN now() ELSE '2300-01-01' END
SELECT timestamptz '2300-01-01' > now() + interval '1 day'
SELECT date_trunc('day', timestamptz '2300-01-01 12:00') > now()
SELECT timestamptz '2300-01-01' - timestamptz '1700-01-01'
SELECT t FROM (VALUES (timestamptz '2300-01-01')) AS v(t) WHERE t > now() ORDER BY t
RESET timezone
