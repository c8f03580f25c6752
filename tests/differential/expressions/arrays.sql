-- subscripts and slices
ia[1]
ia[2]
ia[0]
ia[-1]
ia[100]
ia[NULL]
ta[1]
ia[i]
(ia)[1] + 1
(ARRAY[1, 2, 3])[2]
(ARRAY['a', 'b'])[1]
('{10,20}'::int[])[2]
(string_to_array('a,b', ','))[2]
ia[1:2]
ia[2:]
ia[:2]
ia[:]
ia[2:1]
ia[0:1]
ia[5:9]
ta[2:3]
(ARRAY[1, 2, 3])[2:3]
(ARRAY[[1, 2], [3, 4]])[2][1]
(ARRAY[[1, 2], [3, 4]])[1]
(ARRAY[[1, 2], [3, 4]])[1:2][2:2]
ia[NULL:2]
ia[1:NULL]
ia[-5:2]
v.ia[1:2]
ta[i:2]
-- made of elements
ARRAY[1, 2, 3]
ARRAY[i, s, b]
ARRAY[i, NULL]
ARRAY[NULL]
ARRAY[]::int[]
ARRAY[1, 2.5]
ARRAY[1, '2']
ARRAY['a', NULL]
ARRAY[t, vc]
ARRAY[n, f]
ARRAY[d, ts]
ARRAY[true, bo]
ARRAY[[1, 2], [3, 4]]
ARRAY[ARRAY[i], ARRAY[s]]
ARRAY[n]
ARRAY[f]
ARRAY[tz]
ARRAY[by]
ARRAY[c]
array_fill(7, ARRAY[3])
array_fill(NULL::int, ARRAY[2])
array_fill(0, ARRAY[0])
pg_typeof(ARRAY[1, 2.5])::text
pg_typeof(ARRAY[s, b])::text
pg_typeof(ARRAY['a'])::text
array_fill('x'::text, ARRAY[2])
array_fill(i, ARRAY[2])
array_fill(1, ARRAY[-1])
array_fill(1, NULL)
-- lengths and bounds
array_length(ia, 1)
array_length(ta, 1)
array_length(ia, 2)
array_length('{}'::int[], 1)
cardinality(ia)
cardinality(ta)
cardinality('{}'::int[])
cardinality(ARRAY[[1, 2], [3, 4]])
array_ndims(ia)
array_ndims('{}'::int[])
array_dims(ia)
array_dims(ARRAY[[1, 2, 3], [4, 5, 6]])
array_lower(ia, 1)
array_upper(ia, 1)
array_upper(ta, 1)
-- changed
array_append(ia, 9)
array_append(ia, NULL)
array_append(ta, 'z')
array_append(NULL::int[], 1)
array_prepend(0, ia)
array_prepend(NULL, ta)
array_cat(ia, ARRAY[7, 8])
array_cat(ta, ta)
array_cat(NULL::int[], ARRAY[1])
ia || ia
ia || 5
0 || ia
ia || NULL
ia || '{}'
ta || 'x'::text
ta || '{x,y}'
ta || ARRAY['p', NULL]
ARRAY[1, 2] || ARRAY[3.5]
ARRAY[1] || ARRAY[[2, 3]]
array_remove(ia, 1)
array_remove(ia, NULL)
array_remove(ta, 'a')
array_replace(ia, 1, 100)
array_replace(ia, NULL, 0)
array_replace(ta, 'a', NULL)
trim_array(ia, 1)
trim_array(ARRAY[1, 2, 3], 2)
trim_array(ARRAY[1, 2, 3], 4)
trim_array(ia, 0)
trim_array(ia, -1)
-- searched
array_position(ia, 3)
array_position(ia, 1, 2)
array_position(ia, NULL)
array_position(ta, 'b')
array_positions(ia, 1)
array_positions(ia, 2)
array_positions(ta, 'a')
array_positions(ia, NULL)
1 = ANY (ia)
1 <> ALL (ia)
1 = ALL (ia)
3 > ANY (ia)
3 <= ALL (ia)
i = ANY (ia)
s = ANY (ia)
n = ANY (ia)
NULL = ANY (ia)
1 = ANY (NULL::int[])
1 = ANY ('{}'::int[])
1 = ALL ('{}'::int[])
1 = SOME (ia)
'a' = ANY (ta)
t = ANY (ta)
'x' <> ALL (ta)
'x' <> ANY (ta)
NOT (1 = ANY (ia))
t LIKE ANY (ta)
d = ANY (ARRAY[date '2024-01-15', '2024-02-29'])
ia @> ARRAY[1]
ia @> '{}'
ia @> ARRAY[NULL]::int[]
ia <@ ARRAY[1, 2, 3, 4, 5]
ARRAY[1] <@ ia
ia && ARRAY[3, 4]
ia && '{}'
ta @> ARRAY['a']
ta && ARRAY['x', 'y']
ARRAY[1, 1] <@ ARRAY[1]
array_position(ta, 'a', 2)
array_position(ia, 1, -3)
array_positions(NULL::int[], 1)
-- compared
ia = '{1,2}'
ia = ia
ia <> ARRAY[1, 2]
ia < ARRAY[2, 0]
ia >= ARRAY[1]
ta < ARRAY['b']
ARRAY[1, 2] = ARRAY[1, 2]
ARRAY[1, 2] = ARRAY[2, 1]
ARRAY[1.0, 2] = ARRAY[1, 2.00]
ia IS DISTINCT FROM ARRAY[1, 2]
ia IN (ARRAY[1, 2], ARRAY[3, 2, 1])
greatest(ia, ARRAY[2])
nullif(ia, '{}')
coalesce(ia, '{0}')
-- text
array_to_string(ia, ',')
array_to_string(ia, ',', '*')
array_to_string(ta, '; ')
array_to_string(ta, '', 'NULL')
array_to_string(ARRAY['a', NULL, 'b'], ',')
array_to_string(ARRAY[1.50, 2], ' ')
array_to_string(ARRAY[true, false], ',')
array_to_string(ARRAY[[1, 2], [3, 4]], ',')
array_to_string(ia, NULL)
ia::text || 'x'
ARRAY['a b', 'c"d', 'e\f', '', 'null', ' x', '{', ',']::text
ARRAY[1.50, 2.00]::text
ARRAY[0.1, 1e20]::float8[]::text
ARRAY[true, NULL]::text
ARRAY[date '2024-02-29']::text
ARRAY[timestamp '2024-02-29 12:00']::text
ARRAY[[1, NULL], [3, 4]]::text
-- by subquery
ARRAY(SELECT unnest(ia) ORDER BY 1)
ARRAY(SELECT x * 2 FROM unnest(ia) AS u(x) ORDER BY x)
ARRAY(SELECT x FROM unnest(ta) AS u(x) WHERE x > 'b' ORDER BY x DESC)
ARRAY(SELECT 1 WHERE false)
(SELECT sum(x) FROM unnest(ia) AS u(x))
(SELECT count(*) FROM unnest(ta) AS u(x))
(SELECT max(x) FROM unnest(ta) AS u(x))
(SELECT array_agg(x ORDER BY x DESC NULLS LAST) FROM unnest(ia) AS u(x))
(SELECT string_agg(x, '-' ORDER BY o) FROM unnest(ta) WITH ORDINALITY AS u(x, o))
EXISTS (SELECT 1 FROM unnest(ia) AS u(x) WHERE x > 10)
3 IN (SELECT unnest(ia))
3 NOT IN (SELECT unnest(ia))
(SELECT array_agg(g) FROM generate_series(1, 4) AS g)
