-- by key and index
j::jsonb -> 'a'
j::jsonb ->> 'a'
j::json -> 'a'
j::json ->> 'a'
j::jsonb -> 'missing'
j::jsonb ->> 'missing'
j::jsonb -> 0
j::jsonb ->> 1
j::jsonb -> -1
j::jsonb ->> 'ä'
j::jsonb ->> ''
j::jsonb -> 'l' -> 0
j::jsonb -> 'l' ->> 0
j::jsonb -> 'l' ->> -1
j::json -> 'l' -> 1
j::jsonb -> 'b' -> 'c'
j::jsonb -> 'b' ->> 'c'
j::json -> 'b' ->> 'c'
j::jsonb ->> 'b'
j::json ->> 'b'
j::jsonb ->> 'l'
j::jsonb #> '{b,c}'
j::jsonb #>> '{b,c}'
j::jsonb #>> '{l,0}'
j::jsonb #>> '{l,-1}'
j::jsonb #> '{}'
j::jsonb #>> ARRAY['b', 'd', 'e']
j::json #>> '{b,c}'
j::jsonb ->> NULL
(j::jsonb)['a']
(j::jsonb)['l'][0]
j::jsonb ->> t
'[1, 2]'::jsonb ->> '0'
'{"0": "x"}'::jsonb ->> '0'
'{"0": "x"}'::jsonb -> 0
-- values
(j::jsonb -> 'a')::text
(j::jsonb ->> 'a') IS NULL
j::jsonb -> 'a' IS NULL
'{"a": 1.50}'::jsonb ->> 'a'
'{"a": 1e2}'::jsonb ->> 'a'
'{"a": 1e2}'::json ->> 'a'
'{"a": "x\"y"}'::jsonb -> 'a'
'{"a": "x\"y"}'::jsonb ->> 'a'
'{"a": "\u00e4\ud83d\ude00"}'::jsonb ->> 'a'
'{"a": "\u0000"}'::jsonb ->> 'a'
'{"a": null}'::jsonb ->> 'a'
'{"a": null}'::jsonb -> 'a'
'{"a": true}'::jsonb ->> 'a'
'{"a": "l\nb"}'::jsonb ->> 'a'
'{"a": 12345678901234567890}'::jsonb ->> 'a'
('{"a": "12"}'::jsonb ->> 'a')::int + 1
('{"a": 12}'::jsonb -> 'a')::int + 1
('{"a": 12.7}'::jsonb -> 'a')::int
('{"a": "x"}'::jsonb ->> 'a')::int
(('{"a": "2024-02-29"}'::jsonb) ->> 'a')::date
('{"a": true}'::jsonb -> 'a')::boolean
CASE WHEN jsonb_typeof(j::jsonb -> 'a') = 'number' THEN (j::jsonb -> 'a')::numeric END
CASE WHEN jsonb_typeof(j::jsonb -> 'a') = 'number' THEN (j::jsonb ->> 'a')::float8 * 2 END
-- asked about
jsonb_typeof(j::jsonb)
jsonb_typeof(j::jsonb -> 'a')
json_typeof(j::json -> 'l')
jsonb_typeof('null'::jsonb)
jsonb_typeof(NULL::jsonb)
j::jsonb ? 'a'
j::jsonb ?| ARRAY['a', 'k']
j::jsonb ?& ARRAY['a', 'b']
j::jsonb @> '{"a": 1}'
j::jsonb @> '{"l": [1]}'
j::jsonb @> '{}'
'{"a": 1}'::jsonb <@ j::jsonb
'[1, 2, [3]]'::jsonb @> '[[3], 1]'
'[1]'::jsonb @> '1'
j::jsonb = '{"b": {}, "a": "1", "l": [null, 1]}'
j::jsonb < '[]'
'{"a": 1, "b": 2}'::jsonb = '{"b": 2, "a": 1}'
'1.0'::jsonb = '1.00'
'{"a": 1, "a": 2}'::jsonb = '{"a": 2}'
CASE WHEN jsonb_typeof(j::jsonb) = 'array' THEN jsonb_array_length(j::jsonb) END
jsonb_array_length('[1, 2, 3]')
jsonb_array_length('{}')
json_array_length('[]')
CASE WHEN jsonb_typeof(j::jsonb -> 'l') = 'array' THEN jsonb_array_length(j::jsonb -> 'l') END
j::jsonb @@ '$.a == 1'
j::jsonb @? '$.l[*] ? (@ == 1)'
jsonb_path_exists(j::jsonb, '$.b.c')
jsonb_path_query_first(j::jsonb, '$.l[0]')
jsonb_path_query_array(j::jsonb, '$.l[*]')
j IS NULL
-- changed
j::jsonb || '{"z": 9}'
'{"a": 1}'::jsonb || '{"a": 2, "b": 3}'
'[1]'::jsonb || '[2]'
'[1]'::jsonb || '2'
j::jsonb - 'a' = '{}'
'{"a": 1, "b": 2}'::jsonb - 'a'
'[1, 2, 3]'::jsonb - 1
'{"a": 1, "b": 2}'::jsonb - ARRAY['a', 'b']
'{"a": {"b": 1, "c": 2}}'::jsonb #- '{a,b}'
jsonb_set('{"a": 1}', '{a}', '2')
jsonb_set('{"a": 1}', '{b}', '2')
jsonb_set('{"a": 1}', '{b}', '2', false)
jsonb_set('{"a": [1, 2]}', '{a,-1}', '"x"')
jsonb_insert('{"a": [1, 2]}', '{a,1}', '"x"')
jsonb_strip_nulls(j::jsonb)
jsonb_extract_path(j::jsonb, 'b', 'c')
jsonb_extract_path_text(j::jsonb, 'b', 'c')
json_extract_path_text(j::json, 'l', '0')
jsonb_pretty('{"a": [1, {"b": 2}]}')
-- built
to_jsonb(i)
to_jsonb(t)
to_jsonb(n)
to_jsonb(bo)
to_jsonb(d)
to_jsonb(ts)
to_jsonb(tz)
to_jsonb(ia)
to_jsonb(ta)
to_json(t)
to_json(ts)
jsonb_build_object('a', i, 'b', t)
jsonb_build_object('n', n, 'x', NULL, 'd', d)
jsonb_build_object()
jsonb_build_array(i, t, bo, NULL)
json_build_object('a', i, 'b', n)
json_build_array(1, 'a', NULL, 2.50)
jsonb_build_object(NULL, 1)
jsonb_object('{a,1,b,2}')
jsonb_object('{a,b}', '{1,NULL}')
array_to_json(ia)
(jsonb_build_object('a', i) ->> 'a')::int = i
-- as text
j::json::text = j
length((j::jsonb)::text)
(j::jsonb ->> 'a') || '!'
'{"b":1,"a":[1,2,{"x":null}]}'::jsonb::text
'{"b":1,   "a":2}'::json::text
'{"bb": 1, "a": 2, "c": 3}'::jsonb
'"\/"'::jsonb
'"\u00e4"'::json
'[1.0, 1.00, 1e1]'::jsonb
'1 2'::jsonb
'nan'::jsonb
'{"a":}'::jsonb
'{''a'': 1}'::jsonb
'"\ud800"'::jsonb
t::jsonb
'  {"a"  : 1 }  '::jsonb
-- where there is nothing
j::jsonb -> -100
j::json -> -1
j::json ->> 'l'
j::json -> 'l' -> -1
'1'::jsonb -> 0
'"a"'::jsonb ->> -1
'1'::json -> 0
j::jsonb #> '{l,-1}'
j::json #> '{l,-1}'
'[[1, 2], [3]]'::json #> '{1,-1}'
'[[1, 2], [3]]'::jsonb #> '{1,-1}'
'{"a": {"b": 1}, "a": {"c": 2}}'::json #> '{a,b}'
'{"a": 1, "a": null}'::json ->> 'a'
j::jsonb #> ARRAY['a', NULL]
j::jsonb #>> '{}'
j::json #>> '{}'
' [1]  '::json #> '{}'
' "a"'::json #> '{}'
'"a"'::json #>> '{}'
j::jsonb -> s
j::jsonb -> i
j::jsonb ->> vc
j::jsonb -> c
(j::jsonb)[0]
(j::jsonb)['l'][-1]
(j::jsonb)[t]
(j::jsonb)['b']['c'] ->> 0
('{"0": "x"}'::jsonb)[0]
('"s"'::jsonb)[0]
'{"b": "\u0000", "a": 1}'::json -> 'a'
'{"b": "\ud800", "a": 1}'::json -> 'a'
'"\ud800"'::json
-- numbers of every size
'1e400'::jsonb
'1e131071'::jsonb IS NULL
'1e131072'::jsonb
'1e-16383'::jsonb IS NULL
'1e-16384'::jsonb
'[0, -0, -0.00, 0e5, 1.50e1, 1E+2, 12e-1]'::jsonb
'01'::jsonb
'1.'::json
'.5'::json
'+1'::json
'1a'::json
'null'::jsonb::int
'"1"'::jsonb::int
'2.5'::jsonb::int
'-2.5'::jsonb::bigint
'32768'::jsonb::smallint
'1e400'::jsonb::float8
'12.345'::jsonb::numeric(5, 1)
'1.1'::jsonb::real
'true'::jsonb::boolean
'1'::jsonb::boolean
'12.3'::jsonb::varchar(2)
CASE WHEN jsonb_typeof(j::jsonb -> 'a') = 'number' THEN (j::jsonb -> 'a')::bigint END
CASE WHEN jsonb_typeof(j::jsonb -> 'a') = 'boolean' THEN (j::jsonb -> 'a')::boolean END
-- compared
j::jsonb > '1'
j::jsonb <= '{"a": 1}'
j::jsonb <> '[]'
j::jsonb = j::jsonb
j::jsonb IS DISTINCT FROM '{"a": 43}'
j::jsonb IN ('{"a": 43}', '[]', 'null')
j::jsonb -> 'a' = '1'
j::jsonb -> 'a' = j::jsonb -> 'a2'
NULLIF(j::jsonb, '[]')
CASE j::jsonb WHEN '{"a": 43.0}' THEN 'x' ELSE 'y' END
'[]'::jsonb < 'null'
'[1]'::jsonb > '1'
'{"b": 1}'::jsonb < '{"aa": 1}'
'{"a": 1.0}'::jsonb = '{"a": 1.00}'
j::jsonb @> '[1]'
j::jsonb @> j::jsonb
'{"a": 1}' <@ j::jsonb
'"a"'::jsonb ? 'a'
j::jsonb ? t
j::jsonb ?| '{a,b}'
j::jsonb ?& ta
j::jsonb ?| ARRAY[t, vc]
'{}'::jsonb ?& '{}'
-- of one type
COALESCE(j::jsonb, '{}')
COALESCE(j::jsonb -> 'b', '{}') -> 'c'
CASE WHEN i > 0 THEN j::jsonb ELSE '{"a": "else"}' END -> 'a'
CASE WHEN i > 0 THEN j::jsonb END ->> 'a'
NULLIF(j::jsonb -> 'a', '1') -> 'x'
pg_typeof(j::jsonb -> 'a')
j::jsonb::json
j::json::jsonb
j::jsonb::json -> 'a'
concat(j::jsonb, '!')
(j::jsonb -> 'a') || '!'::text
-- more that is changed
'1'::jsonb || '{}'
'{"a": 1}'::jsonb || '[]'
'[]'::jsonb || '{}'
j::jsonb || j::jsonb
j::jsonb - 'a' - 'b'
'["a", "b", "a", 1]'::jsonb - 'a'
'[1, 2, 3]'::jsonb - -1
'[1, 2, 3]'::jsonb - 9
'{"a": 1}'::jsonb - 1
'1'::jsonb - 'a'
j::jsonb #- '{l,0}'
j::jsonb #- '{b,c}'
'{"a": [1]}'::jsonb #- '{a,x}'
'1'::jsonb #- '{a}'
CASE WHEN jsonb_typeof(j::jsonb) = 'object' THEN jsonb_set(j::jsonb, '{b,c}', '"new"') END
CASE WHEN jsonb_typeof(j::jsonb) = 'object' THEN jsonb_set(j::jsonb, '{l,0}', '0', bo) END
jsonb_set('{"a": [1, 2]}', '{a,9}', '3')
jsonb_set('{"a": [1, 2]}', '{a,-9}', '3')
jsonb_set('{"a": [1, 2]}', '{a,x}', '3')
jsonb_set('{"a": 1}', '{a,b,c}', '3')
jsonb_set('1', '{a}', '3')
jsonb_set('{"a": 1}', ARRAY['a', NULL], '3')
jsonb_set('{"a": 1}', '{a}', NULL)
jsonb_insert('{"a": [1, 2]}', '{a,1}', '"x"', true)
jsonb_insert('{"a": 1}', '{a}', '2')
jsonb_insert('{"a": 1}', '{b}', '2')
jsonb_strip_nulls('[null, {"a": null, "b": [null, {"c": null}]}]')
jsonb_pretty(j::jsonb)
jsonb_pretty('{"a": {}, "b": []}')
jsonb_extract_path(j::jsonb, 'l', '-1')
jsonb_extract_path(j::jsonb, 'b', NULL)
json_extract_path(j::json, 'b', 'c')
-- more that is built
to_jsonb(r)
to_jsonb(f)
to_json(f)
to_json(n)
to_json(bo)
to_json(d)
to_json(tz)
to_json(by)
to_json(ia)
to_json(ta)
to_json(vc)
to_jsonb(c)
to_jsonb(j::json)
to_json(j::jsonb)
to_jsonb(interval '1 day 02:03')
to_jsonb('10:00'::time)
to_jsonb(ARRAY[n, n])
to_jsonb(ts - ts)
jsonb_build_object(t, i)
CASE WHEN t IS NOT NULL AND vc IS NOT NULL THEN jsonb_build_object(t, i, vc, j::jsonb) END
CASE WHEN t IS NOT NULL THEN json_build_object(t, f, 'ia', ia) END
json_build_object('a', 1, 'a', 2, 1, true, 1.50, NULL)
json_build_object('j', j::json)
json_build_array(j::jsonb, ts, ta)
json_build_array()
json_build_object('a', NULL, 'b', 'it''s "quoted"')
jsonb_build_object('a', 1, 'b')
jsonb_build_object(ia, 1)
jsonb_build_array(f, r, n, by)
jsonb_object('{}')
jsonb_object('{a,b,c}')
jsonb_object(ARRAY['a', 'b'], ta)
-- what is not JSON
''::json
'[1,]'::json
'{"a" 1}'::jsonb
'{"a": 1,}'::jsonb
'truely'::jsonb
E'"a\tb"'::jsonb
'"\q"'::json
'"\u12"'::json
'{1: 2}'::json
'[1'::jsonb
'[1]]'::jsonb
-- by subquery
(SELECT count(*) FROM jsonb_object_keys('{"a": 1, "b": 2}'))
(SELECT string_agg(k, ',' ORDER BY k) FROM jsonb_object_keys('{"b": 1, "a": 2}') AS k)
(SELECT sum(x::int) FROM jsonb_array_elements_text('[1, 2, 3]') AS x)
(SELECT string_agg(key || '=' || value, ';' ORDER BY key) FROM jsonb_each_text('{"a": 1, "b": "x"}'))
