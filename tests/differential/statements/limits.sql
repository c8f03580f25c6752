SELECT id FROM shop.orders ORDER BY id LIMIT 5
;
SELECT id FROM shop.orders ORDER BY id LIMIT 5 OFFSET 3
;
SELECT id FROM shop.orders ORDER BY id OFFSET 28
;
SELECT id FROM shop.orders ORDER BY id OFFSET 3 LIMIT 2
;
SELECT id FROM shop.orders ORDER BY id LIMIT 0
;
SELECT id FROM shop.orders ORDER BY id LIMIT ALL
;
SELECT id FROM crm.orders ORDER BY id LIMIT NULL OFFSET NULL
;
SELECT id FROM shop.orders ORDER BY id LIMIT 1000 OFFSET 1000
;
SELECT id FROM shop.orders ORDER BY id LIMIT 2 + 1
;
SELECT id FROM shop.orders ORDER BY id LIMIT (SELECT count(*) / 10 FROM shop.orders)
;
SELECT id FROM shop.orders ORDER BY id LIMIT 2.5
;
SELECT id FROM shop.orders ORDER BY id LIMIT '3'
;
SELECT id FROM shop.orders ORDER BY id LIMIT -1
;
SELECT id FROM shop.orders ORDER BY id OFFSET -1
;
SELECT id FROM shop.orders ORDER BY id FETCH FIRST 3 ROWS ONLY
;
SELECT id FROM shop.orders ORDER BY id FETCH FIRST ROW ONLY
;
SELECT id FROM shop.orders ORDER BY id OFFSET 2 ROWS FETCH NEXT 2 ROWS ONLY
;
SELECT priority FROM shop.orders ORDER BY priority FETCH FIRST 3 ROWS WITH TIES
;
SELECT amount FROM shop.orders ORDER BY amount DESC NULLS LAST FETCH FIRST 4 ROWS WITH TIES
;
SELECT status FROM shop.orders ORDER BY status OFFSET 2 ROWS FETCH FIRST 1 ROW WITH TIES
;
SELECT count(*) FROM (SELECT id FROM shop.orders ORDER BY ordered_on FETCH FIRST 5 ROWS WITH TIES) t
;
SELECT customer_id, count(*) AS n FROM shop.orders GROUP BY customer_id ORDER BY n DESC, customer_id LIMIT 3
;
SELECT count(*) FROM (SELECT id FROM shop.orders LIMIT 7) t
;
SELECT count(*) FROM (SELECT id FROM shop.orders OFFSET 7) t
;
SELECT count(*) FROM shop.orders LIMIT 1 OFFSET 1
;
SELECT sum(id) FROM (SELECT id FROM shop.orders ORDER BY id DESC LIMIT 3) t
;
SELECT id FROM (SELECT id FROM shop.orders ORDER BY id LIMIT 10) t WHERE id % 2 = 0 ORDER BY id LIMIT 3
;
SELECT id FROM (SELECT id FROM shop.orders ORDER BY id DESC LIMIT 5) t ORDER BY id
;
SELECT id FROM shop.orders WHERE id IN (SELECT order_ref FROM crm.orders WHERE order_ref IS NOT NULL ORDER BY order_ref DESC LIMIT 4)
;
SELECT id FROM shop.orders WHERE amount > (SELECT amount FROM shop.orders WHERE amount IS NOT NULL ORDER BY amount DESC, id LIMIT 1 OFFSET 4) ORDER BY id
;
SELECT DISTINCT status FROM shop.orders ORDER BY status DESC NULLS LAST LIMIT 2
;
(SELECT id FROM shop.orders ORDER BY id LIMIT 1) UNION ALL (SELECT id FROM crm.orders ORDER BY id DESC LIMIT 1)
;
SELECT o.id, c.name FROM (SELECT id, customer_id FROM shop.orders ORDER BY amount DESC NULLS LAST, id LIMIT 5) o LEFT JOIN crm.customers c ON c.id = o.customer_id ORDER BY o.id
;
SELECT id, row_number() OVER (ORDER BY id DESC) AS r FROM shop.orders ORDER BY id LIMIT 2
;
SELECT id FROM shop.orders LEFT JOIN shop.order_items ON order_id = id ORDER BY id, line LIMIT 4
;
SELECT id FROM shop.orders WHERE false ORDER BY id LIMIT 5
;
SELECT 1 LIMIT 1
;
SELECT 1 OFFSET 1
;
SELECT 1 WHERE false
