SELECT e.id, jsonb_object_keys(e.payload::jsonb) AS k FROM shop.events e WHERE jsonb_typeof(e.payload::jsonb) = 'object' ORDER BY e.id, k
;
SELECT k, count(*) FROM (SELECT jsonb_object_keys(payload::jsonb) AS k FROM shop.events WHERE jsonb_typeof(payload::jsonb) = 'object') s GROUP BY k ORDER BY k
;
SELECT jsonb_array_elements('[1, {"a": 2}, null]') AS x
;
SELECT jsonb_array_elements('[{"a": 1}, {"a": 2}]') -> 'a' AS a
;
SELECT x ->> 'a' AS a, x -> 'b' -> 0 AS b FROM (SELECT jsonb_array_elements('[{"a": 1, "b": [3]}, {"a": 2}]') AS x) s ORDER BY a
;
SELECT jsonb_array_elements_text('["a", null, 1.50, {"k": 1}]') AS x
;
SELECT json_array_elements('[ 1e2 , {"a" :2}]') AS x
;
SELECT json_object_keys('{"b": 1, "a": 2, "b": 3}') AS k
;
SELECT jsonb_object_keys('[1]')
;
SELECT jsonb_array_elements('{"a": 1}')
;
SELECT jsonb_array_elements(NULL)
;
SELECT payload::jsonb ->> 'by' AS who, count(*) FROM shop.events GROUP BY payload::jsonb ->> 'by' ORDER BY who
;
SELECT a.id, b.id FROM shop.events a JOIN shop.events b ON a.payload::jsonb = b.payload::jsonb AND a.id <= b.id ORDER BY 1, 2
;
SELECT id FROM shop.events WHERE payload::jsonb @> '{}' AND payload::jsonb <> '{}' ORDER BY id
;
WITH d AS (SELECT id, payload::jsonb AS p FROM shop.events) SELECT id, p -> 'by' AS who, (p -> 'by') IS NULL AS none FROM d ORDER BY id
;
SELECT id, p ->> 'by' AS who FROM (SELECT id, payload::jsonb AS p FROM shop.events UNION ALL SELECT 0, '{"by": "x"}'::jsonb) u ORDER BY id
;
SELECT (SELECT payload::jsonb FROM shop.events ORDER BY id LIMIT 1) ->> 'by' AS who
;
SELECT jsonb_agg(id ORDER BY id) -> 0 AS first, count(DISTINCT payload::jsonb) FROM shop.events
;
SELECT payload::jsonb ->> 'by' AS who, jsonb_agg(id ORDER BY id) AS ids FROM shop.events GROUP BY payload::jsonb ->> 'by' ORDER BY who
;
SELECT jsonb_build_object('id', id, 'who', payload::jsonb -> 'by') AS o FROM shop.events ORDER BY id
;
SELECT id FROM shop.events WHERE payload::jsonb ? 'by' OR payload::jsonb ->> 'by' = 'x' ORDER BY id
;
SELECT DISTINCT payload::jsonb FROM shop.events
;
SELECT payload::jsonb, count(*) FROM shop.events GROUP BY 1
;
SELECT id FROM shop.events ORDER BY payload::jsonb, id
