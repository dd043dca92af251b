ARRAY[1, 2, 3]
ARRAY[1, NULL, 3]
ARRAY['a', 'b c', NULL, 'null', '', 'q"x', 'b\s', '{}', 'a,b']
ARRAY[1.5, 2.25]
ARRAY[1, 2.5]
ARRAY[true, false, NULL]
ARRAY[date '2024-01-01', NULL]
ARRAY[timestamp '2024-01-01 10:00']
ARRAY[timestamptz '2024-01-01 10:00+00']
ARRAY[interval '1 day']
ARRAY[1.5::float8, 'NaN'::float8, 'Infinity'::float8]
ARRAY[1::int2]
ARRAY[1::int8]
ARRAY['\x00ff'::bytea]
ARRAY['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid]
ARRAY[]::int[]
ARRAY[]::text[]
ARRAY[ARRAY[1, 2], ARRAY[3, 4]]
ARRAY[[1, 2], [3, 4]]
ARRAY[['a', NULL], ['c', 'd e']]
'{1,2,3}'::int[]
'{a,"b c",NULL,"NULL"}'::text[]
'{}'::int[]
'{{1,2},{3,4}}'::int[]
'{1,2'::int[]
'{1,x}'::int[]
NULL::int[]
NULL::text[]
(ARRAY[1, 2, 3])[1]
(ARRAY[1, 2, 3])[0]
(ARRAY[1, 2, 3])[4]
(ARRAY[1, 2, 3])[-1]
(ARRAY[1, 2, 3])[2:3]
(ARRAY[1, 2, 3])[:2]
(ARRAY['a', 'b'])[2]
ARRAY[1, 2] || ARRAY[3]
ARRAY[1, 2] || 3
0 || ARRAY[1, 2]
ARRAY[1, 2] || NULL
ARRAY[1, 2] = ARRAY[1, 2]
ARRAY[1, 2] < ARRAY[1, 3]
ARRAY[1, 2, 3] @> ARRAY[1, 3]
ARRAY[1, 3] <@ ARRAY[1, 2, 3]
ARRAY[1, 2] && ARRAY[2, 3]
1 = ANY(ARRAY[1, 2])
3 = ANY(ARRAY[1, NULL])
1 = ANY('{1,2}')
1 <> ALL(ARRAY[2, 3])
1 < ANY(ARRAY[0, 2])
5 > ALL(ARRAY[1, 2])
'a' = ANY(ARRAY['a', 'b'])
'abc' LIKE ANY(ARRAY['a%', 'x%'])
array_length(ARRAY[1, 2, 3], 1)
array_length(ARRAY[]::int[], 1)
array_length(ARRAY[1, 2, 3], 2)
array_ndims(ARRAY[[1, 2], [3, 4]])
cardinality(ARRAY[1, 2, 3])
array_upper(ARRAY[1, 2, 3], 1)
array_lower(ARRAY[1, 2, 3], 1)
array_append(ARRAY[1, 2], 3)
array_prepend(0, ARRAY[1, 2])
array_cat(ARRAY[1], ARRAY[2])
array_remove(ARRAY[1, 2, 1], 1)
array_replace(ARRAY[1, 2, 1], 1, 9)
array_position(ARRAY['a', 'b'], 'b')
array_positions(ARRAY[1, 2, 1], 1)
array_dims(ARRAY[1, 2])
array_fill(7, ARRAY[3])
array_fill(7, ARRAY[]::int[])
array_fill(7, ARRAY[2], ARRAY[1])
array_to_string(ARRAY[1, 2, NULL], ',', '*')
trim_array(ARRAY[1, 2, 3], 1)
unnest(ARRAY[1, 2, 3])
SELECT * FROM unnest(ARRAY[1, 2, 3])
SELECT * FROM unnest(ARRAY['a', 'b']) AS x
SELECT x FROM unnest(ARRAY['a', 'b']) AS t(x)
SELECT * FROM unnest(ARRAY['a', 'b']) WITH ORDINALITY
SELECT * FROM generate_series(1, 3)
SELECT * FROM generate_series(1, 3) AS g
SELECT g FROM generate_series(3, 1, -1) AS g
SELECT i * 2 FROM generate_series(1, 3) AS i
SELECT * FROM generate_series(timestamp '2024-01-01', timestamp '2024-01-02', interval '12 hours')
SELECT * FROM generate_series(date '2024-01-01', date '2024-01-03', interval '1 day')
SELECT * FROM generate_series(date '2024-01-01', date '2024-01-03', '1 day') AS d
SELECT * FROM generate_series('2024-01-31'::timestamp, '2024-04-30', '1 month')
SELECT * FROM generate_series('2024-03-30'::timestamptz, '2024-04-01', '1 day') AS t(d)
SELECT generate_series('2024-01-03'::timestamp, '2024-01-01', '-1 day')
SELECT * FROM generate_series('2024-01-03'::timestamp, NULL, '-1 day')
SELECT * FROM generate_series('2024-01-01', '2024-01-03', '1 day')
SELECT * FROM generate_series('2024-01-01'::timestamp, '2024-01-03', '0 day')
SELECT d::date, count(*) FROM generate_series(date '2024-01-01', date '2024-01-03', interval '1 day') AS d GROUP BY 1 ORDER BY 1
SELECT * FROM generate_series((SELECT timestamp '2024-01-01'), timestamp '2024-01-02', '12 hours')
SELECT generate_series(1, 3)
SELECT s.x, g FROM (VALUES (1), (2)) s(x), generate_series(1, s.x) AS g ORDER BY 1, 2
SELECT t.a, x FROM (VALUES (1, ARRAY['p', 'q']), (2, '{}')) t(a, b), unnest(t.b) AS x ORDER BY 1, 2
SELECT t.a, x FROM (VALUES (1, ARRAY['p', 'q']), (2, '{}')) t(a, b) CROSS JOIN LATERAL unnest(b) AS x ORDER BY 1, 2
SELECT generate_subscripts(ARRAY[4, 5], 1)
SELECT array(SELECT a FROM (VALUES (1), (2)) t(a) ORDER BY a DESC)
SELECT array_agg(a) FROM (VALUES (1)) t(a) WHERE a > 1
ARRAY[1, 2]::text
ARRAY[1, 2]::text[]
ARRAY['1', '2']::int[]
ROW(1, 'a')
(1, 2) = (1, 2)
(1, 2) < (1, 3)
(1, NULL) IN ((1, 2))
