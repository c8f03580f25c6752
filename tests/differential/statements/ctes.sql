WITH paid AS (SELECT * FROM shop.orders WHERE lower(status) = 'paid') SELECT id, amount FROM paid ORDER BY id
;
WITH orders AS (SELECT 1 AS id, 'cte' AS status) SELECT id, status FROM orders
;
WITH orders AS (SELECT id, amount * 2 AS amount FROM shop.orders) SELECT orders.id, orders.amount, s.amount FROM orders JOIN shop.orders s ON s.id = orders.id WHERE orders.id < 5 ORDER BY 1
;
WITH customers AS (SELECT id, upper(name) AS name FROM crm.customers) SELECT customers.name FROM customers WHERE id < 4 ORDER BY id
;
WITH orders AS (SELECT * FROM crm.orders WHERE status = 'paid') SELECT s.id FROM shop.orders s WHERE EXISTS (SELECT 1 FROM orders WHERE orders.order_ref = s.id) ORDER BY s.id
;
WITH orders AS (SELECT * FROM crm.orders) SELECT shop.orders.id FROM shop.orders WHERE shop.orders.id NOT IN (SELECT id FROM orders) ORDER BY 1
;
WITH a AS (SELECT id FROM shop.orders WHERE id < 5), b AS (SELECT id FROM a WHERE id > 2) SELECT * FROM b ORDER BY id
;
WITH a (x, y) AS (SELECT id, amount FROM shop.orders) SELECT x, y FROM a WHERE y > 300 ORDER BY x
;
WITH a AS (SELECT id FROM shop.orders WHERE id < 4) SELECT * FROM a x JOIN a y ON x.id < y.id ORDER BY x.id, y.id
;
WITH totals AS (SELECT customer_id, sum(amount) AS total FROM shop.orders GROUP BY customer_id) SELECT c.name, t.total FROM totals t JOIN crm.customers c ON c.id = t.customer_id WHERE t.total > (SELECT avg(total) FROM totals) ORDER BY c.id
;
WITH a AS MATERIALIZED (SELECT id FROM shop.orders WHERE amount > 100) SELECT count(*) FROM a
;
WITH a AS NOT MATERIALIZED (SELECT id FROM shop.orders WHERE amount > 100) SELECT count(*) FROM a
;
WITH a AS (SELECT id FROM shop.orders), b AS (SELECT order_ref AS id FROM crm.orders) SELECT id FROM a EXCEPT SELECT id FROM b ORDER BY id
;
WITH unused AS (SELECT 1 / 0 AS x) SELECT count(*) FROM shop.orders
;
WITH x AS (WITH y AS (SELECT 1 AS n) SELECT n + 1 AS n FROM y) SELECT n FROM x
;
WITH x AS (SELECT 1 AS n) SELECT n FROM (WITH x AS (SELECT 2 AS n) SELECT n FROM x) q UNION ALL SELECT n FROM x ORDER BY n
;
SELECT id FROM shop.orders WHERE id IN (WITH q AS (SELECT order_ref FROM crm.orders) SELECT order_ref FROM q) ORDER BY id
;
SELECT o.id, (WITH q AS (SELECT count(*) AS n FROM shop.order_items i WHERE i.order_id = o.id) SELECT n FROM q) FROM shop.orders o ORDER BY o.id
;
WITH v (a, b) AS (VALUES (1, 'x'), (2, 'y'), (3, NULL)) SELECT a, b FROM v ORDER BY a DESC
;
WITH v AS (VALUES (1, 'x'), (2, 'y')) SELECT column1, column2 FROM v ORDER BY column1
;
WITH ranked AS (SELECT id, customer_id, row_number() OVER (PARTITION BY customer_id ORDER BY amount DESC NULLS LAST, id) AS r FROM shop.orders) SELECT customer_id, id FROM ranked WHERE r = 1 ORDER BY customer_id
;
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT i FROM n
;
WITH RECURSIVE n AS (SELECT 1 AS i, 1::bigint AS f UNION ALL SELECT i + 1, f * (i + 1) FROM n WHERE i < 15) SELECT i, f FROM n ORDER BY i
;
WITH RECURSIVE fib (a, b) AS (VALUES (0, 1) UNION ALL SELECT b, a + b FROM fib WHERE b < 1000) SELECT a FROM fib ORDER BY a, b
;
WITH RECURSIVE t AS (SELECT id, name, parent_id, 0 AS depth FROM shop.products WHERE parent_id IS NULL UNION ALL SELECT p.id, p.name, p.parent_id, t.depth + 1 FROM shop.products p JOIN t ON p.parent_id = t.id) SELECT id, name, depth FROM t ORDER BY id
;
WITH RECURSIVE t AS (SELECT id, sku::text AS path FROM shop.products WHERE parent_id IS NULL UNION ALL SELECT p.id, t.path || '/' || p.sku FROM shop.products p JOIN t ON p.parent_id = t.id) SELECT path FROM t ORDER BY path
;
WITH RECURSIVE t (id) AS (SELECT 12 UNION SELECT c.parent_id FROM crm.customers c JOIN t ON t.id = c.id) SELECT id FROM t
;
WITH RECURSIVE up AS (SELECT id, parent_id, ARRAY[id] AS path FROM crm.customers WHERE id = 9 UNION ALL SELECT c.id, c.parent_id, up.path || c.id FROM crm.customers c JOIN up ON c.id = up.parent_id WHERE c.id <> ALL (up.path)) SELECT id, path FROM up ORDER BY id
;
WITH RECURSIVE d (day) AS (SELECT date '2024-02-27' UNION ALL SELECT day + 1 FROM d WHERE day < date '2024-03-02') SELECT day FROM d ORDER BY day
;
WITH RECURSIVE n (i) AS (SELECT 1 UNION SELECT (i * 2) % 7 FROM n) SELECT i FROM n ORDER BY i
;
WITH RECURSIVE a AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM a WHERE x < 3), b AS (SELECT x * 10 AS y FROM a) SELECT x, y FROM a, b ORDER BY x, y
;
WITH RECURSIVE s (id, total) AS (SELECT id, coalesce(amount, 0) FROM shop.orders WHERE id = 1 UNION ALL SELECT o.id, s.total + coalesce(o.amount, 0) FROM shop.orders o JOIN s ON o.id = s.id + 1) SELECT id, total FROM s ORDER BY id
;
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i FROM n ORDER BY i DESC LIMIT 5
;
WITH shop AS (SELECT 1 AS id) SELECT shop.id FROM shop
;
WITH q AS (SELECT status, count(*) AS n FROM shop.orders GROUP BY status) SELECT q.status, q.n, sum(q.n) OVER () FROM q ORDER BY q.n DESC, q.status
