-- Literals and their types
1
-1
0
2147483647
2147483648
-2147483648
9223372036854775807
9223372036854775808
1.5
-0.50
1e3
1.5e-3
123456789012345678901234567890
1::int2
32767::int2
32768::int2
-32768::int2
2147483648::int4
(-2147483648)::int4
9223372036854775807::int8
9223372036854775808::int8
(-9223372036854775808)::int8
1::float4
1::float8
1::numeric
1.005::numeric(10,2)
-1.005::numeric(10,2)
12345.678::numeric(6,2)
123456.78::numeric(6,2)
99999999999999999999999999999999999999::numeric
0.00000000000000000000000000000000000001::numeric
0::numeric(38,10)
-0.0::numeric
'1.50'::numeric
'NaN'::numeric
'Infinity'::numeric
'abc'::numeric
'  12  '::int4
'0x1f'::int4
''::int4
'1.5'::int4
'99999999999'::int4
'nan'::float8
'inf'::float8
'-Infinity'::float8
'1e400'::float8
'1e-400'::float8
1e308::float8
1.7976931348623157e308::float8
2.2250738585072014e-308::float8
5e-324::float8
3.4028235e38::float4
1e-45::float4
1.1::float4
1.1::float4::float8
0.1::float8 + 0.2::float8
-0.0::float8
100000000000000::float8
1000000000000000::float8
0.0001::float8
0.00001::float8
123456.7::float4
1234567.8::float4
NULL::int2
NULL::int4
NULL::int8
NULL::float4
NULL::float8
NULL::numeric
NULL::bool
-- Arithmetic
1 + 1
1 + 1.5
1 + 1.5::float8
2 * 3
2 * 3.50
7 / 2
-7 / 2
7 % 3
-7 % 3
7 % -3
7.0 / 2
1.0 / 3
10.0 / 4
2.5 % 1
2 ^ 10
2 ^ 0.5
2147483647 + 1
-2147483648 - 1
2147483647 * 2
65536 * 65536
9223372036854775807 + 1
9223372036854775807 * 2
(-9223372036854775807) - 2
32767::int2 + 1::int2
32767::int2 + 1
1::int2 + 1::int2
1::int4 + 1::int8
1 / 0
1 % 0
1.0 / 0
1::float8 / 0
0::float8 / 0
1::float8 / 0.0
1::int8 / 0
1e308::float8 * 10
1e-308::float8 * 1e-308::float8
-(-2147483648)::int4
- 5
+ 5
@ -5
abs(-5)
abs(-5.5)
abs((-2147483648)::int4)
5 & 3
5 | 3
5 # 3
~5
1 << 4
16 >> 2
|/ 16.0
||/ 27.0
1 = 1.0
1 < 2.5
'5' = 5
5 = '05'
1 = 'a'
'NaN'::float8 = 'NaN'::float8
'NaN'::float8 > 'Infinity'::float8
-- Functions
round(2.5)
round(-2.5)
round(3.14159, 2)
round(2.5::float8)
round(3.5::float8)
round(-1.5::float8)
round(1234.567, -2)
trunc(2.7)
trunc(-2.7)
trunc(3.14159, 3)
trunc(2.7::float8)
ceil(2.1)
ceil(2.1::float8)
ceiling(2.1)
floor(-2.1)
floor(-2.1::float8)
sign(-3)
sign(-3.5)
mod(7, 3)
mod(-7, 3)
mod(7.5, 2)
div(7, 2)
div(7.5, 2)
power(2, 3)
power(2.0, 3)
power(2::float8, 0.5::float8)
sqrt(2)
sqrt(2::float8)
sqrt(-1::float8)
exp(1::float8)
ln(2::float8)
ln(0::float8)
log(100::float8)
log(2, 8)
log(100)
pi()
degrees(pi())
radians(180::float8)
sin(1::float8)
atan2(1::float8, 2::float8)
cbrt(27::float8)
gcd(12, 18)
lcm(4, 6)
factorial(5)
width_bucket(5.35, 0.024, 10.06, 5)
greatest(1, 2, 3)
greatest(1, 2.5)
greatest(1, NULL, 3)
least(3, 1, NULL)
greatest(NULL, NULL)
coalesce(NULL, 1)
coalesce(NULL, 1, 2.5)
nullif(1, 1)
nullif(1, 2)
to_hex(255)
random() >= 0
-- Casts
1.5::int
2.5::int
3.5::int
-1.5::int
2.5::float8::int
3.5::float8::int
1.5::float8::int8
1e10::float8::int4
'NaN'::float8::int4
1::bool
0::bool
1::text
1.50::text
1.5::float8::text
true::int
CAST(1 AS text)
CAST('7' AS int)
CAST(1.7 AS int)
1::numeric(5,2)
1::int8::int4
3000000000::int4
int4 '5'
float8 '1.5'
numeric '1.50'
-- Floats beside numeric
ARRAY[1.5, 2.5::float8]
ARRAY[1.5, 'Infinity'::float8, NULL]
ARRAY[2.5::float8, 1.5, 1]
'Infinity'::float8 IN (1.5, 2.5)
1.5 = ANY(ARRAY['Infinity'::float8, 1.5])
1.5 < ALL(ARRAY['Infinity'::float8])
1.5 IN (SELECT 'Infinity'::float8)
coalesce(NULL::numeric, 'Infinity'::float8)
SELECT 1.5 UNION ALL SELECT 'Infinity'::float8 ORDER BY 1
SELECT 'NaN'::float8 UNION ALL SELECT 1.5::numeric ORDER BY 1
SELECT 1 UNION ALL SELECT 1.5 UNION ALL SELECT 'Infinity'::float8 ORDER BY 1
SELECT 1 WHERE 1.5 IN (SELECT 'Infinity'::float8 UNION ALL SELECT 1.5)
SELECT 1 WHERE 'Infinity'::float8 NOT IN (SELECT 1.5::numeric)
-- Aggregates
SELECT count(*), sum(a), avg(a), min(a), max(a) FROM (VALUES (1), (2), (4)) t(a)
SELECT sum(a), avg(a) FROM (VALUES (1::int8), (2), (4)) t(a)
SELECT sum(a) FROM (VALUES (9223372036854775807), (1)) t(a)
SELECT sum(a), avg(a) FROM (VALUES (1.50), (2.25)) t(a)
SELECT sum(a), avg(a) FROM (VALUES (1.5::float8), (2.25)) t(a)
SELECT sum(a), avg(a) FROM (VALUES (1::int2), (2::int2)) t(a)
SELECT sum(a), count(a), avg(a), min(a) FROM (VALUES (1)) t(a) WHERE a > 5
SELECT avg(a) FROM (VALUES (1), (2)) t(a)
SELECT stddev(a), variance(a) FROM (VALUES (1::float8), (2), (4)) t(a)
SELECT stddev_pop(a), var_pop(a) FROM (VALUES (1::float8), (2), (4)) t(a)
SELECT bool_and(a), bool_or(a), every(a) FROM (VALUES (true), (false)) t(a)
SELECT count(DISTINCT a) FROM (VALUES (1), (1), (NULL)) t(a)
SELECT sum(a) FILTER (WHERE a > 1) FROM (VALUES (1), (2), (4)) t(a)
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY a) FROM (VALUES (1), (2), (3), (4)) t(a)
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY a DESC) FROM (VALUES ('a'), ('b'), ('c'), (NULL)) t(a)
SELECT percentile_disc(ARRAY[0, 0.5, 1]) WITHIN GROUP (ORDER BY a) FROM (VALUES (1), (2), (3)) t(a)
SELECT percentile_disc(0) WITHIN GROUP (ORDER BY a) FROM (VALUES (1), (2)) t(a)
SELECT percentile_disc(1.5) WITHIN GROUP (ORDER BY a) FROM (VALUES (1)) t(a)
SELECT percentile_disc(NULL) WITHIN GROUP (ORDER BY a) FROM (VALUES (1)) t(a)
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM (VALUES (1::float8), (2), (4)) t(a)
SELECT string_agg(a, ',' ORDER BY a) FROM (VALUES ('b'), ('a')) t(a)
SELECT array_agg(a ORDER BY a) FROM (VALUES (2), (1), (NULL)) t(a)
SELECT corr(a, b) FROM (VALUES (1::float8, 2::float8), (2, 4), (3, 7)) t(a, b)
SELECT regr_slope(b, a) FROM (VALUES (1::float8, 2::float8), (2, 4), (3, 7)) t(a, b)
SELECT bit_and(a), bit_or(a) FROM (VALUES (6), (3)) t(a)
