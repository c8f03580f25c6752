SELECT id FROM shop.orders WHERE CASE WHEN customer_id <> 0 THEN 10 / customer_id > 1 ELSE false END ORDER BY id
;
SELECT id FROM shop.orders WHERE 0 IN (SELECT count(*) FROM crm.orders WHERE crm.orders.id = shop.orders.id + 1000) ORDER BY id
;
SELECT id FROM shop.orders WHERE (customer_id IN (SELECT customer_id FROM crm.orders WHERE id = 4)) IS NULL
;
SELECT id FROM shop.orders WHERE customer_id NOT IN (SELECT customer_id FROM crm.orders WHERE id IN (4, 1)) OR id = 2
;
SELECT id FROM shop.orders WHERE id IN (SELECT row_number() OVER (ORDER BY id) FROM crm.orders WHERE crm.orders.customer_id = shop.orders.customer_id)
;
SELECT id % 2 AS g, max(value), min(value) FROM shop.events GROUP BY 1 ORDER BY 1
;
SELECT 1 WHERE 0.1::float8 + 0.2::float8 IN (SELECT 0.3)
;
SELECT ordered_on FROM shop.orders UNION ALL SELECT placed_at FROM shop.orders
;
SELECT 1 WHERE '1 mon'::interval IN (SELECT '30 days'::interval)
;
SELECT coalesce(coalesce(coalesce(NULL, id), 0), 1) FROM shop.orders ORDER BY 1
;
SELECT id BETWEEN 1 AND 2 AND ((id BETWEEN 1 AND 5)::int BETWEEN 0 AND 1)::int BETWEEN 1 AND 1 FROM shop.orders ORDER BY id
;
