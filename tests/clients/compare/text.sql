'abc'
''
NULL
'it''s'
'a\nb'
E'a\nb'
E'a\\b'
E'\x41'
E'\u00e9'
U&'\00e9'
$$dollar$$
$tag$do$$llar$tag$
'abc'::text
'abc'::varchar
'abc'::varchar(2)
'abc'::char(5)
'abc'::char(2)
'a'::"char"
'abc'::name
'aé😀'
length('aé😀')
char_length('aé😀')
octet_length('aé😀')
bit_length('abc')
upper('straße')
lower('ÀB')
initcap('hello wORLD foo_bar')
'a' || 'b'
'a' || 1
1 || 'a'
'a' || NULL
'a' || true
'a' || 1.5
'a' || date '2024-01-02'
concat('a', NULL, 1, true)
concat_ws(',', 'a', NULL, 'b')
concat()
substring('hello' from 2 for 3)
substring('hello', 2)
substring('hello', 0, 3)
substring('hello', -1, 3)
substring('hello' from 'l+')
substr('hello', 2, 3)
substring('hello', 2, -1)
left('hello', 2)
left('hello', -2)
right('hello', 2)
right('hello', -2)
position('l' in 'hello')
strpos('hello', 'l')
strpos('hello', 'z')
trim('  a  ')
trim(both 'x' from 'xxaxx')
trim(leading 'x' from 'xxaxx')
ltrim('xxa', 'x')
rtrim('axx', 'x')
btrim('xxaxx', 'x')
lpad('a', 3, '*')
rpad('a', 3)
lpad('abc', 2)
repeat('ab', 3)
repeat('ab', -1)
replace('hello', 'l', 'L')
translate('hello', 'el', 'ip')
reverse('hello')
split_part('a,b,c', ',', 2)
split_part('a,b,c', ',', -1)
split_part('a,b,c', ',', 5)
split_part('a,b,c', ',', 0)
starts_with('hello', 'he')
overlay('hello' placing 'XX' from 2 for 3)
ascii('a')
ascii('é')
chr(65)
chr(233)
chr(0)
md5('a')
quote_ident('Abc')
quote_ident('abc')
quote_literal('it''s')
quote_literal(E'a\\b')
quote_nullable(NULL)
format('%s is %I or %L', 'a', 'B c', 'd''e')
format('%2$s %1$s', 'a', 'b')
format('%5s|%-5s|%%', 'a', 'b')
encode('abc'::bytea, 'hex')
encode('abc'::bytea, 'base64')
decode('616263', 'hex')
decode('YWJj', 'base64')
'abc' LIKE 'a%'
'abc' LIKE 'A%'
'abc' ILIKE 'A%'
'a%c' LIKE 'a\%c'
'a%c' LIKE 'a!%c' ESCAPE '!'
'abc' NOT LIKE 'a_'
NULL LIKE 'a'
'abc' SIMILAR TO 'a(b|c)+'
'abc' ~ 'b'
'abc' ~* 'B'
'abc' !~ 'b'
'abc' !~* 'X'
'abc' ~~ 'a%'
regexp_replace('foobar', 'o+', 'X')
regexp_replace('foobar', 'o', 'X', 'g')
regexp_replace('foobar', '(o)(b)', '\2\1')
regexp_match('foobar', 'o(b)')
regexp_match('foobar', 'x')
regexp_matches('foobarbequebaz', 'ba.', 'g')
regexp_matches('foobarbequebaz', '(b)(a.)', 'g')
regexp_matches('foobarbequebaz', '(x)?ba.', 'gi')
regexp_matches('foobarbequebaz', 'xx')
regexp_matches('abc', '', 'g')
regexp_matches('abc', 'b', 'y')
SELECT * FROM regexp_matches('foobarbequebaz', 'ba.', 'g')
SELECT m[1] FROM regexp_matches('foobarbequebaz', 'ba.', 'g') AS m
substring('foobar' from 'o(.)b')
substring('foobar' from 'x')
substring('foobar', 'o.b')
regexp_count('foobar', 'o')
regexp_split_to_array('a,b,c', ',')
regexp_split_to_array('a,b', ',', 'g')
regexp_split_to_table('the quick fox', '\s*')
SELECT * FROM regexp_split_to_table('a1b22c', '\d+') AS part
regexp_like('foobar', 'O', 'i')
regexp_substr('foobar', 'o+')
string_to_array('a,b,c', ',')
string_to_array('a,,c', ',', '')
array_to_string(ARRAY['a', NULL, 'c'], ',')
array_to_string(ARRAY['a', NULL, 'c'], ',', '*')
'a' < 'B'
'abc' = 'abc '
'a'::text = 'a'::varchar
'b' BETWEEN 'a' AND 'c'
'abc' COLLATE "C" < 'abd'
-- Booleans
true
false
'yes'::bool
'of'::bool
'maybe'::bool
't'::bool
'1'::bool
true::text
false::text
true AND NULL
false AND NULL
true OR NULL
NOT NULL::bool
true > false
true = 'yes'
1 IN (1, 2)
1 NOT IN (2, NULL)
NULL IN (1, 2)
1 IS NULL
NULL IS NULL
1 IS DISTINCT FROM NULL
NULL IS NOT DISTINCT FROM NULL
1 IS NOT DISTINCT FROM 1 AND false
1 IS NOT DISTINCT FROM 2 OR true
true AND 1 IS NOT DISTINCT FROM 2 OR true
NOT 1 IS DISTINCT FROM 2 AND true
true IS TRUE
NULL IS UNKNOWN
NULL::bool IS NOT TRUE
1 BETWEEN 0 AND 2
1 NOT BETWEEN 0 AND 2
1 BETWEEN SYMMETRIC 2 AND 0
-- bytea
'\x00ff'::bytea
'abc'::bytea
'a\000b'::bytea
''::bytea
'\xzz'::bytea
'\x0'::bytea
NULL::bytea
length('\x00ff'::bytea)
'\x01'::bytea || '\x02'::bytea
'\x01'::bytea < '\x02'::bytea
sha256('abc'::bytea)
get_byte('\x1234'::bytea, 1)
substring('\x123456'::bytea from 2 for 1)
substring('\x123456'::bytea from 2)
octet_length('\x00ff'::bytea)
-- uuid, json
'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid
'x'::uuid
NULL::uuid
'{"a": 1, "b": [1, 2, {"c": null}]}'::jsonb
'{"b": 1, "a": 2, "b": 3}'::jsonb
'{"a" :  1}'::json
'"x"'::jsonb
'1.50'::jsonb
'null'::jsonb
'[1, 2'::jsonb
NULL::jsonb
'{"a": {"b": 5}}'::jsonb -> 'a'
'{"a": {"b": 5}}'::jsonb -> 'a' ->> 'b'
'{"a": {"b": 5}}'::jsonb #>> '{a,b}'
'[1, 2, 3]'::jsonb -> 1
'[1, 2, 3]'::jsonb ->> -1
'{"a": 1}'::jsonb ? 'a'
'{"a": 1, "b": 2}'::jsonb @> '{"a": 1}'
jsonb_array_length('[1, 2]'::jsonb)
jsonb_typeof('{"a": 1}'::jsonb)
json_build_object('a', 1, 'b', 'x')
jsonb_build_object('a', 1, 'b', NULL)
json_build_array(1, 'a', NULL)
to_json('a'::text)
to_jsonb(1)
to_json('{"a":1}'::jsonb)
to_json(ARRAY[1, 2])
json_build_object('a', json_build_object('b', 1))
json_build_array('{"a":  1}'::json, ARRAY[1, 2])
'{"a": 1}'::jsonb ?| ARRAY['a', 'b']
'{"a": 1}'::jsonb ?& ARRAY['a', 'b']
'{"a": 1}'::jsonb ?| '{a}'
SELECT json_agg(x) FROM (VALUES (1), (2), (NULL)) t(x)
SELECT json_agg(t) FROM (VALUES (1, 'a'), (2, NULL)) t(x, y)
SELECT jsonb_agg(t) FROM (VALUES (1, 'a'), (2, NULL)) t(x, y)
SELECT json_agg(x) FROM (VALUES (ARRAY[1, 2]), (ARRAY[3])) t(x)
SELECT json_agg(x) FROM (VALUES ('{"a":   1}'::json)) t(x)
SELECT jsonb_agg(x) FROM (VALUES ('{"a":   1}'::json)) t(x)
SELECT json_agg(x ORDER BY y DESC) FILTER (WHERE x > 1) FROM (VALUES (1, 1), (2, 2), (3, 3)) t(x, y)
SELECT json_agg(DISTINCT x) FROM (VALUES (3), (1), (3)) t(x)
SELECT json_agg(x) OVER (ORDER BY x) FROM (VALUES (3), (1)) t(x)
SELECT json_agg(x) FROM (VALUES (timestamp '2024-01-01 01:02:03')) t(x)
SELECT json_agg(x) FROM (VALUES (1)) t(x) WHERE false
SELECT row_to_json(t) FROM (SELECT 1 AS a, 2 AS b) t
SELECT json_object_agg(x, y) FROM (VALUES ('a', 1), ('b', 2), ('a', 3)) t(x, y)
SELECT jsonb_object_agg(x, y) FROM (VALUES ('a', 1), ('b', 2), ('a', 3)) t(x, y)
SELECT json_object_agg(x, y) FROM (VALUES (NULL, 1)) t(x, y)
SELECT * FROM jsonb_array_elements('[1,{"a":2},"x",null]')
SELECT * FROM jsonb_array_elements('[1,{"a":2},"x",null]') AS e
SELECT e FROM jsonb_array_elements('[1,{"a":2},"x",null]') AS e
SELECT e->>'a' FROM jsonb_array_elements('[1,{"a":2},"x",null]') AS e
SELECT * FROM jsonb_array_elements_text('[1,{"a":2},"x",null]') AS e(x)
SELECT * FROM json_array_elements('[1,{"a" :2},"x",null]')
SELECT t.a, e->>'k' FROM (VALUES (1, '[{"k": 5}, {"k": 6}]'::jsonb), (2, '[]')) t(a, b), jsonb_array_elements(t.b) AS e ORDER BY 1, 2
SELECT e, f FROM jsonb_array_elements('[[1,2],[3]]') e, jsonb_array_elements(e) f
SELECT * FROM jsonb_each('{"a":2, "b":null}')
SELECT * FROM jsonb_each_text('{"a":2, "b":null}')
SELECT * FROM json_each('{"a":  2, "b":null}')
SELECT * FROM jsonb_object_keys('{"a":2, "b":null}') AS k
jsonb_array_elements('[1, "x"]')
jsonb_array_elements('{"a":2}')
jsonb_array_elements('2')
json_array_elements('{"a":2}')
json_array_elements('2')
SELECT * FROM json_each('1')
jsonb_object_keys('[1]')
SELECT gen_random_uuid() IS NULL
SELECT u FROM (SELECT gen_random_uuid() AS u) t WHERE u IS NULL
