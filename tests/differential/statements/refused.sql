WITH orders AS (SELECT id, amount * 2 AS amount FROM shop.orders) SELECT orders.id, orders.amount, shop.orders.amount FROM orders JOIN shop.orders ON shop.orders.id = orders.id WHERE orders.id < 5 ORDER BY 1
;
SELECT id, s.id, c.id FROM shop.orders s FULL JOIN crm.orders c USING (id) ORDER BY id
;
SELECT id FROM shop."Mixed"
;
SELECT "ID" FROM shop.orders
;
SELECT id AS total FROM shop.orders ORDER BY "Total"
;
SELECT orders.id FROM shop.orders, crm.orders
;
SELECT id FROM shop.orders, crm.orders WHERE shop.orders.id = crm.orders.id
;
SELECT shop.orders.id FROM shop.orders o
;
SELECT orders.id FROM shop.orders o
;
SELECT o.id FROM shop.orders
;
SELECT crm.orders.id FROM shop.orders
;
SELECT id AS x FROM shop.orders WHERE x = 1
;
SELECT id FROM (SELECT id, id FROM shop.orders WHERE id = 1) t
;
SELECT id FROM shop.orders ORDER BY 3
;
SELECT id FROM shop.orders WHERE ROW(amount, discount) IS DISTINCT FROM (SELECT amount, discount FROM shop.orders WHERE id = 11)
;
SELECT status, id FROM shop.orders GROUP BY status
;
SELECT id FROM shop.orders WHERE count(*) > 1
;
SELECT id FROM shop.orders WHERE row_number() OVER (ORDER BY id) = 1
;
SELECT status FROM shop.orders GROUP BY count(*)
;
SELECT status, count(*) FROM shop.orders GROUP BY 2
;
SELECT status, count(*) AS n FROM shop.orders GROUP BY status HAVING n > 1
;
SELECT status AS s, count(*) FROM shop.orders GROUP BY status HAVING s = 'open'
;
SELECT id, * EXCLUDE (note) FROM shop.orders
;
SELECT * EXCEPT (note) FROM shop.orders
;
SELECT id FROM shop.orders QUALIFY row_number() OVER (PARTITION BY status ORDER BY id) = 1
;
SELECT status, count(*) FROM shop.orders GROUP BY ALL
;
SELECT id FROM shop.orders ORDER BY ALL
;
SELECT TOP 3 id FROM shop.orders
;
SELECT id FROM shop.orders LIMIT 2, 3
;
SELECT id FROM shop.orders MINUS SELECT id FROM crm.orders
;
SELECT id FROM shop.orders UNION SELECT id, status FROM crm.orders
;
SELECT id FROM shop.orders UNION SELECT status FROM crm.orders
;
SELECT id FROM shop.orders UNION ALL SELECT ordered_on FROM shop.orders
;
SELECT id FROM shop.orders UNION SELECT id FROM crm.orders ORDER BY amount
;
SELECT id FROM shop.orders UNION SELECT id FROM crm.orders ORDER BY id + 1
;
SELECT DISTINCT status FROM shop.orders ORDER BY amount
;
SELECT DISTINCT ON (status) id FROM shop.orders ORDER BY id
;
SELECT id FROM shop.orders WHERE id IN (SELECT id, status FROM crm.orders)
;
SELECT id FROM shop.orders WHERE id = (SELECT id, status FROM crm.orders)
;
SELECT id FROM shop.orders WHERE id IN (SELECT status FROM crm.orders)
;
SELECT o.id FROM shop.orders o JOIN (SELECT count(*) AS n FROM crm.orders c WHERE c.order_ref = o.id) x ON true
;
SELECT o.id FROM shop.orders o JOIN crm.orders c USING (ordered_on)
;
SELECT o.id FROM shop.orders o JOIN crm.orders o ON true
;
SELECT o.id FROM shop.orders o, shop.order_items i JOIN crm.orders c ON c.id = o.id
;
SELECT id FROM shop.nothing
;
SELECT id FROM nowhere.orders
;
SELECT shop.orders.nothing FROM shop.orders
;
SELECT a FROM (VALUES (1, 2), (3)) t (a, b)
;
SELECT * FROM (SELECT 1) t (a, b)
;
SELECT rank() OVER w FROM shop.orders
;
SELECT sum(amount) OVER (ORDER BY amount RANGE BETWEEN interval '1 day' PRECEDING AND CURRENT ROW) FROM shop.orders
;
SELECT sum(amount) OVER (ORDER BY id, amount RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM shop.orders
;
SELECT sum(amount) OVER (GROUPS CURRENT ROW) FROM shop.orders
;
SELECT sum(amount) OVER (ORDER BY id ROWS BETWEEN CURRENT ROW AND 1 PRECEDING) FROM shop.orders
;
SELECT count(*) OVER (PARTITION BY count(*) OVER ()) FROM shop.orders
;
SELECT grouping(status) FROM shop.orders
;
SELECT grouping(priority) FROM shop.orders GROUP BY status
;
SELECT id FROM shop.orders FETCH FIRST 2 ROWS WITH TIES
;
WITH a AS (SELECT 1), a AS (SELECT 2) SELECT * FROM a
;
WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a
;
WITH RECURSIVE n (i) AS (SELECT i + 1 FROM n) SELECT i FROM n
;
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT sum(i) FROM n) SELECT i FROM n
;
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT 1.5 + i FROM n WHERE i < 5) SELECT i FROM n
;
SELECT m.Id FROM shop."Mixed" m
;
SELECT username FROM shop."Mixed"
;
SELECT Mixed."Id" FROM shop."Mixed"
;
SELECT "Shop".orders.id FROM shop.orders
;
SELECT x FROM unnest(ARRAY[1, 2])
;
SELECT * FROM unnest(1)
;
SELECT * FROM shop.orders PIVOT (sum(amount) FOR status IN ('open', 'paid'))
;
SELECT * FROM shop.orders LEFT SEMI JOIN crm.orders ON true
;
SELECT * FROM shop.orders LEFT ANTI JOIN crm.orders ON true
;
FROM shop.orders SELECT id
;
SELECT DISTINCT status, count(*) FROM shop.orders
;
SELECT id, sum(amount) FROM shop.orders
;
SELECT sum(amount), * FROM shop.orders
;
SELECT o.id, (SELECT sum(o.amount)) FROM shop.orders o
;
SELECT id FROM shop.orders WHERE amount
;
SELECT id FROM shop.orders WHERE 1
;
SELECT id FROM shop.orders WHERE status
;
SELECT id FROM shop.orders JOIN crm.customers
;
SELECT DISTINCT payload::json FROM shop.events
;
SELECT payload::json, count(*) FROM shop.events GROUP BY payload::json
;
SELECT id FROM shop.events ORDER BY payload::json
;
SELECT '{}'::jsonb UNION ALL SELECT 'a'::text
;
SELECT '{}'::jsonb UNION ALL SELECT '{}'::json
;
SELECT payload::json FROM shop.events UNION SELECT payload::json FROM shop.events
;
SELECT count(DISTINCT payload::json) FROM shop.events
;
SELECT id FROM shop.events WHERE payload::json IN (SELECT payload::json FROM shop.events)
;
SELECT row_number() OVER (PARTITION BY payload::json) FROM shop.events
;
SELECT a.id FROM shop.events a JOIN shop.events b ON a.payload::json = b.payload::json
