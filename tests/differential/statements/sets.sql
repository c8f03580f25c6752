SELECT id FROM shop.orders UNION SELECT id FROM crm.orders ORDER BY id
;
SELECT id FROM shop.orders UNION ALL SELECT id FROM crm.orders ORDER BY id
;
SELECT id FROM shop.orders INTERSECT SELECT id FROM crm.orders ORDER BY id
;
SELECT id FROM shop.orders EXCEPT SELECT id FROM crm.orders ORDER BY id
;
SELECT shop.orders.id FROM shop.orders EXCEPT SELECT crm.orders.order_ref FROM crm.orders
;
SELECT customer_id FROM shop.orders INTERSECT ALL SELECT customer_id FROM crm.orders
;
SELECT customer_id FROM shop.orders EXCEPT ALL SELECT customer_id FROM crm.orders
;
SELECT customer_id FROM shop.orders UNION SELECT customer_id FROM crm.orders
;
SELECT status FROM shop.orders UNION SELECT status FROM crm.orders ORDER BY status NULLS FIRST
;
SELECT status FROM shop.orders INTERSECT SELECT status FROM crm.orders
;
SELECT status FROM shop.orders EXCEPT SELECT status FROM crm.orders
;
SELECT status, customer_id FROM shop.orders INTERSECT SELECT status, customer_id FROM crm.orders
;
SELECT amount FROM shop.orders INTERSECT SELECT amount FROM crm.orders
;
SELECT amount FROM shop.orders UNION SELECT amount FROM crm.orders ORDER BY amount
;
SELECT NULL UNION SELECT NULL
;
SELECT NULL UNION ALL SELECT NULL
;
SELECT NULL INTERSECT SELECT NULL
;
SELECT NULL EXCEPT SELECT NULL
;
SELECT 1 UNION SELECT 1.0
;
SELECT 1 UNION ALL SELECT 2.5 ORDER BY 1
;
SELECT 1 AS x UNION SELECT NULL ORDER BY x
;
SELECT NULL AS x UNION ALL SELECT 'a' ORDER BY x
;
SELECT '1' UNION ALL SELECT 2 ORDER BY 1
;
SELECT 'a'::char(3) AS x UNION SELECT 'a'::text
;
SELECT date '2024-01-01' AS x UNION SELECT timestamp '2024-01-01 00:00:00'
;
SELECT id, 'shop' AS place FROM shop.orders WHERE id < 3 UNION ALL SELECT id, 'crm' FROM crm.orders WHERE id < 3 ORDER BY place, id
;
SELECT 1 AS a, 2 AS b UNION SELECT 2 AS b, 1 AS a ORDER BY a
;
SELECT 1 UNION SELECT 2 INTERSECT SELECT 2
;
(SELECT 1 UNION SELECT 2) INTERSECT SELECT 2
;
SELECT 1 UNION ALL SELECT 1 EXCEPT SELECT 1
;
SELECT 1 UNION ALL (SELECT 1 EXCEPT SELECT 1)
;
SELECT 1 EXCEPT SELECT 2 EXCEPT SELECT 1
;
SELECT 1 EXCEPT (SELECT 2 EXCEPT SELECT 1)
;
SELECT 1 UNION SELECT 1 UNION ALL SELECT 1
;
SELECT 1 UNION ALL SELECT 1 UNION SELECT 1
;
SELECT x FROM (VALUES (1), (1), (1), (2), (NULL), (NULL)) a (x) EXCEPT ALL SELECT y FROM (VALUES (1), (NULL)) b (y)
;
SELECT x FROM (VALUES (1), (1), (2), (NULL), (NULL)) a (x) INTERSECT ALL SELECT y FROM (VALUES (1), (1), (1), (NULL)) b (y)
;
SELECT x FROM (VALUES (1), (1), (2), (NULL)) a (x) INTERSECT SELECT y FROM (VALUES (1), (1), (NULL)) b (y)
;
SELECT x FROM (VALUES (1), (2), (2)) a (x) EXCEPT SELECT y FROM (VALUES (1), (1)) b (y)
;
SELECT a, b FROM (VALUES (1, NULL), (1, NULL), (2, 'x')) t (a, b) UNION SELECT 1, NULL
;
(SELECT id FROM shop.orders ORDER BY amount DESC NULLS LAST, id LIMIT 3) UNION ALL (SELECT id FROM crm.orders ORDER BY amount DESC NULLS LAST, id LIMIT 3) ORDER BY id
;
(SELECT id FROM shop.orders ORDER BY id LIMIT 5) EXCEPT (SELECT id FROM crm.orders ORDER BY id LIMIT 2) ORDER BY 1 DESC
;
SELECT id FROM shop.orders UNION SELECT id FROM crm.orders ORDER BY id DESC LIMIT 4 OFFSET 2
;
SELECT count(*) FROM (SELECT customer_id FROM shop.orders UNION SELECT id FROM crm.customers) u
;
SELECT place, sum(amount) FROM (SELECT 'shop' AS place, amount FROM shop.orders UNION ALL SELECT 'crm', amount FROM crm.orders) u GROUP BY place ORDER BY place
;
SELECT country_code FROM shop.orders UNION SELECT country_code FROM crm.customers UNION SELECT code FROM crm.countries ORDER BY 1
;
SELECT code FROM crm.countries EXCEPT SELECT country_code FROM crm.customers EXCEPT SELECT country_code FROM shop.orders
;
SELECT lower(name) FROM shop.products INTERSECT SELECT lower(name) FROM shop.products WHERE id > 1
;
SELECT value + 0 FROM shop.events UNION SELECT value + 0 FROM shop.events
;
SELECT tags FROM shop.products UNION SELECT '{home}'
;
SELECT DISTINCT status FROM shop.orders UNION ALL SELECT DISTINCT status FROM crm.orders
;
SELECT * FROM (SELECT 1 AS a UNION SELECT 2) x NATURAL JOIN (SELECT 2 AS a UNION SELECT 3) y
;
VALUES (1, 'a'), (2, 'b') UNION VALUES (2, 'b'), (3, NULL) ORDER BY 1
;
TABLE crm.countries EXCEPT SELECT * FROM crm.countries WHERE region = 'Europe'
;
SELECT s.id, s.status FROM shop.orders s UNION SELECT c.id, c.status FROM crm.orders c ORDER BY id, status
;
SELECT id FROM shop.orders WHERE id IN (SELECT id FROM crm.orders INTERSECT SELECT order_ref FROM crm.orders)
;
SELECT o.priority FROM shop.orders o ORDER BY o.priority FETCH FIRST 3 ROWS WITH TIES
;
SELECT o.amount FROM shop.orders o ORDER BY o.amount DESC NULLS LAST FETCH FIRST 4 ROWS WITH TIES
;
SELECT o.status FROM shop.orders o ORDER BY o.status OFFSET 2 ROWS FETCH FIRST 1 ROW WITH TIES
;
SELECT o.status FROM shop.orders o ORDER BY status DESC FETCH FIRST 1 ROW WITH TIES
;
SELECT count(*) AS n FROM shop.orders o GROUP BY o.status ORDER BY count(*) DESC FETCH FIRST 2 ROWS WITH TIES
;
SELECT count(*) AS n FROM shop.orders o GROUP BY o.status ORDER BY 1 FETCH FIRST 1 ROWS WITH TIES
;
SELECT count(*) FROM (SELECT id FROM shop.orders ORDER BY ordered_on FETCH FIRST 5 ROWS WITH TIES) t
;
SELECT DISTINCT o.status FROM shop.orders o ORDER BY o.status FETCH FIRST 2 ROWS WITH TIES
;
SELECT DISTINCT o.status FROM shop.orders o ORDER BY status FETCH FIRST 2 ROWS WITH TIES
;
SELECT o.priority FROM shop.orders o UNION ALL SELECT c.id FROM crm.orders c ORDER BY priority FETCH FIRST 5 ROWS WITH TIES
;
WITH q AS (SELECT id, priority FROM shop.orders) SELECT q.priority AS p FROM q ORDER BY q.priority DESC NULLS LAST FETCH FIRST 2 ROWS WITH TIES
;
SELECT o.priority FROM shop.orders o ORDER BY o.priority FETCH FIRST 300 ROWS WITH TIES
;
SELECT o.priority FROM shop.orders o ORDER BY o.priority OFFSET 13 FETCH FIRST 3 ROWS WITH TIES
;
SELECT o.id FROM shop.orders o ORDER BY (SELECT c.name FROM crm.customers c WHERE c.id = o.customer_id) NULLS FIRST, o.id
;
SELECT o.id, o.status FROM shop.orders o WHERE o.id > 3 ORDER BY EXISTS (SELECT 1 FROM crm.customers c WHERE c.id = o.customer_id AND c.vip), status DESC, id DESC LIMIT 7 OFFSET 2
;
SELECT customer_id FROM shop.orders INTERSECT ALL SELECT customer_id FROM crm.orders
;
SELECT customer_id FROM shop.orders EXCEPT ALL SELECT customer_id FROM crm.orders
;
SELECT customer_id, status FROM shop.orders EXCEPT ALL SELECT customer_id, status FROM crm.orders ORDER BY customer_id, status
;
SELECT x FROM (VALUES (1), (1), (1), (2), (NULL), (NULL)) a (x) EXCEPT ALL SELECT y FROM (VALUES (1), (NULL)) b (y)
;
SELECT x FROM (VALUES (1), (1), (2), (NULL), (NULL)) a (x) INTERSECT ALL SELECT y FROM (VALUES (1), (1), (1), (NULL)) b (y) ORDER BY x
;
VALUES (1), (1), (2) EXCEPT ALL VALUES (1), (3)
;
SELECT status FROM shop.orders UNION ALL (SELECT status FROM crm.orders EXCEPT ALL SELECT status FROM shop.orders) ORDER BY 1
;
SELECT status FROM shop.orders EXCEPT ALL SELECT status FROM crm.orders EXCEPT ALL SELECT 'Paid' ORDER BY 1
;
SELECT status FROM shop.orders INTERSECT ALL SELECT * FROM (SELECT status FROM crm.orders) q ORDER BY 1
