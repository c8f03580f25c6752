SELECT * FROM unnest(ARRAY[3, 1, 2]) AS u (x) ORDER BY x
;
SELECT x FROM unnest(ARRAY['b', NULL, 'a']) AS u (x)
;
SELECT * FROM unnest(ARRAY[10, 20, 30]) WITH ORDINALITY
;
SELECT x, n FROM unnest(ARRAY['a', 'b', 'c']) WITH ORDINALITY AS u (x, n) ORDER BY n DESC
;
SELECT * FROM unnest(ARRAY[1, 2, 3], ARRAY['a', 'b']) AS u (n, t) ORDER BY n
;
SELECT * FROM unnest('{}'::int[])
;
SELECT count(*) FROM unnest(NULL::int[])
;
SELECT * FROM unnest(ARRAY[[1, 2], [3, 4]]) AS u (x) ORDER BY x
;
SELECT p.id, t FROM shop.products p, unnest(p.tags) t ORDER BY p.id, t
;
SELECT p.id, t.tag, t.n FROM shop.products p, unnest(p.tags) WITH ORDINALITY t (tag, n) WHERE t.n > 1 ORDER BY p.id, t.n
;
SELECT tag, count(*) FROM shop.products, unnest(tags) AS u (tag) GROUP BY tag ORDER BY count(*) DESC, tag
;
SELECT p.id FROM shop.products p WHERE EXISTS (SELECT 1 FROM unnest(p.tags) AS u (tag) WHERE tag = 'home') ORDER BY p.id
;
SELECT p.id, (SELECT string_agg(tag, '+' ORDER BY tag) FROM unnest(p.tags) AS u (tag)) FROM shop.products p ORDER BY p.id
;
SELECT p.id, ARRAY(SELECT DISTINCT tag FROM unnest(p.tags) AS u (tag) ORDER BY tag) FROM shop.products p ORDER BY p.id
;
SELECT id, unnest(tags) AS tag FROM shop.products ORDER BY id, tag
;
SELECT id, unnest(tags) FROM shop.products WHERE id < 3
;
SELECT unnest(ARRAY[1, 2]), unnest(ARRAY['a', 'b', 'c'])
;
SELECT unnest(ARRAY[3, 1, 2]) AS x ORDER BY x
;
SELECT unnest(ARRAY[1, 2, 3]) AS x LIMIT 2
;
SELECT x, count(*) FROM (SELECT unnest(tags) AS x FROM shop.products) t GROUP BY x ORDER BY x
;
SELECT * FROM generate_series(1, 5)
;
SELECT g FROM generate_series(1, 10, 3) AS g ORDER BY g DESC
;
SELECT g FROM generate_series(5, 1, -2) g
;
SELECT * FROM generate_series(5, 1)
;
SELECT * FROM generate_series(1, 3, 0)
;
SELECT g FROM generate_series(1.0, 2.0, 0.25) AS g (g) ORDER BY g
;
SELECT g, n FROM generate_series(10, 30, 10) WITH ORDINALITY AS s (g, n) ORDER BY n
;
SELECT day::date FROM generate_series(date '2024-02-27', date '2024-03-02', interval '1 day') AS s (day) ORDER BY day
;
SELECT m FROM generate_series(timestamp '2024-01-31', timestamp '2024-06-30', '1 month') AS s (m) ORDER BY m
;
SELECT h FROM generate_series(timestamptz '2024-03-31 00:00+00', timestamptz '2024-03-31 03:00+00', interval '1 hour') h ORDER BY h
;
SELECT d.day::date, count(o.id) FROM generate_series(date '2024-02-28', date '2024-03-02', interval '1 day') AS d (day) LEFT JOIN shop.orders o ON o.ordered_on = d.day::date GROUP BY d.day ORDER BY d.day
;
SELECT m.m::date AS month, coalesce(sum(o.amount), 0) FROM generate_series(timestamp '2024-01-01', timestamp '2024-12-01', interval '1 month') AS m (m) LEFT JOIN shop.orders o ON date_trunc('month', o.ordered_on) = m.m GROUP BY 1 ORDER BY 1
;
SELECT generate_series(1, 3) AS x ORDER BY x DESC
;
SELECT g, g * g AS square FROM generate_series(-2, 2) AS g WHERE g <> 0 ORDER BY g
;
SELECT a.x, b.y FROM generate_series(1, 2) AS a (x), generate_series(1, 2) AS b (y) ORDER BY 1, 2
;
SELECT g FROM generate_series(1, NULL) g
;
SELECT n, part FROM string_to_table('a,b,,c', ',') WITH ORDINALITY AS s (part, n) ORDER BY n
;
SELECT * FROM regexp_split_to_table('one  two three', '\s+') AS w (word) ORDER BY word
;
SELECT m FROM regexp_matches('a1b22c333', '\d+', 'g') AS m
;
SELECT * FROM jsonb_array_elements('[1, "a", null, {"k": 2}]') AS e (x)
;
SELECT * FROM jsonb_array_elements_text('[1, "a", null]') WITH ORDINALITY AS e (x, n) ORDER BY n
;
SELECT key, value FROM jsonb_each('{"a": 1, "b": [2]}') ORDER BY key
;
SELECT * FROM jsonb_each_text('{"a": 1, "b": null}') ORDER BY key
;
SELECT k FROM jsonb_object_keys('{"b": 1, "a": 2}') AS k ORDER BY k
;
SELECT * FROM jsonb_to_recordset('[{"a": 1, "b": "x"}, {"a": 2}]') AS t (a int, b text) ORDER BY a
;
SELECT e.id, e.payload::jsonb ->> 'by' AS who FROM shop.events e WHERE e.payload IS NOT NULL AND e.payload::jsonb ->> 'by' IS NOT NULL ORDER BY e.id
;
SELECT a, b FROM ROWS FROM (generate_series(1, 3), unnest(ARRAY['x', 'y'])) AS t (a, b) ORDER BY a
;
SELECT o.id FROM shop.orders o JOIN unnest(ARRAY[3, 1, 99]) AS wanted (id) ON wanted.id = o.id ORDER BY o.id
;
SELECT x FROM unnest(ARRAY[date '2024-02-29', NULL]) AS u (x) ORDER BY x NULLS FIRST
;
SELECT * FROM unnest(ARRAY[10, 20, 30], ARRAY['a', NULL]) WITH ORDINALITY AS u (a, b, n) ORDER BY n
;
SELECT * FROM generate_series(3, 1, -1) WITH ORDINALITY
;
SELECT g.ordinality, g.g FROM generate_series(3, 1, -1) WITH ORDINALITY g
;
SELECT generate_series, generate_series.generate_series FROM generate_series(1, 2)
;
SELECT g.* FROM generate_series(1, 2) g, generate_series(1, 2) h WHERE g.g = h.h
;
SELECT x.n, c.id FROM generate_series(1, 3) AS x (n) LEFT JOIN crm.orders c ON c.customer_id = x.n ORDER BY 1, 2
;
SELECT g FROM generate_series((SELECT min(id) FROM crm.orders), (SELECT max(id) FROM crm.orders), 5) g
;
SELECT g FROM generate_series(1, 10) g WHERE g IN (SELECT customer_id FROM crm.orders) ORDER BY g
;
SELECT g, EXISTS (SELECT 1 FROM crm.orders c WHERE c.id = g.g) FROM generate_series(1, 12) g ORDER BY g
;
SELECT count(*) FROM generate_series(NULL, 3)
;
SELECT g FROM generate_series(1::bigint, 3) g
;
SELECT g FROM generate_series(1, 3, 0) g
;
SELECT g FROM generate_series(5.5, 1, -1.25) g
;
SELECT g FROM generate_series(date '2024-01-30', date '2024-04-30', interval '1 month') g
;
SELECT g FROM generate_series('2024-01-03', '2024-01-01', interval '-12 hours') g
;
SELECT g FROM generate_series(timestamp '2024-01-01', '2024-01-02', '7 hours') g
;
SELECT * FROM string_to_table('a,b,,c', ',', '') AS s
;
SELECT * FROM string_to_table(NULL, ',') AS s
;
SELECT count(*), (SELECT count(*) FROM generate_series(1, 4)) FROM string_to_table('', ',') AS s
;
SELECT * FROM regexp_split_to_table('a1b22c', '\d+') WITH ORDINALITY
;
SELECT * FROM jsonb_array_elements('[3, null, {"a": [1]}]') WITH ORDINALITY AS e (x, n)
;
SELECT x ->> 'k' FROM jsonb_array_elements('[{"k": 1}, {"k": null}, {}]') x
;
SELECT * FROM json_object_keys('{"b": 1, "a": 2, "b": 3}') k
