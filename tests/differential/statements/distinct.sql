SELECT DISTINCT status FROM shop.orders
;
SELECT DISTINCT status FROM shop.orders ORDER BY status NULLS FIRST
;
SELECT DISTINCT customer_id, status FROM shop.orders ORDER BY customer_id, status
;
SELECT DISTINCT lower(status) AS s FROM shop.orders ORDER BY s
;
SELECT DISTINCT amount, discount FROM shop.orders
;
SELECT DISTINCT value + 0 FROM shop.events
;
SELECT DISTINCT tags FROM shop.products
;
SELECT DISTINCT country_code || '' FROM shop.orders
;
SELECT DISTINCT * FROM (VALUES (1, NULL), (1, NULL), (NULL, 1), (NULL, NULL), (NULL, NULL)) t (a, b)
;
SELECT DISTINCT 1.0, 1.00
;
SELECT DISTINCT x FROM (VALUES (1.0), (1.00), (1)) t (x)
;
SELECT DISTINCT x FROM (VALUES ('a'), ('A'), ('a '), ('ä'), (NULL)) t (x) ORDER BY x
;
SELECT DISTINCT x FROM (VALUES ('0'::float8), ('-0'), ('NaN'), ('NaN')) t (x) WHERE x <> 0
;
SELECT DISTINCT ON (customer_id) customer_id, id, amount FROM shop.orders ORDER BY customer_id, amount DESC NULLS LAST, id
;
SELECT DISTINCT ON (status) status, id FROM shop.orders ORDER BY status, id DESC
;
SELECT DISTINCT ON (country_code, status) country_code, status, id, ordered_on FROM shop.orders ORDER BY country_code, status, ordered_on DESC NULLS LAST, id
;
SELECT DISTINCT ON (lower(name)) id, name FROM shop.products ORDER BY lower(name), id DESC
;
SELECT DISTINCT ON (customer_id) id FROM shop.orders WHERE customer_id IS NOT NULL ORDER BY customer_id DESC, id
;
SELECT DISTINCT ON (o.customer_id) o.id, c.name FROM shop.orders o LEFT JOIN crm.customers c ON c.id = o.customer_id ORDER BY o.customer_id NULLS FIRST, o.placed_at DESC NULLS LAST, o.id
;
SELECT DISTINCT ON (shop.orders.customer_id) shop.orders.id, crm.orders.id FROM shop.orders LEFT JOIN crm.orders ON crm.orders.customer_id = shop.orders.customer_id ORDER BY shop.orders.customer_id, shop.orders.id, crm.orders.id DESC
;
SELECT id FROM (SELECT DISTINCT ON (customer_id) id, customer_id FROM shop.orders ORDER BY customer_id, id DESC) latest ORDER BY id
;
SELECT DISTINCT ON (1) status, id FROM shop.orders ORDER BY 1, 2 LIMIT 3
;
SELECT count(*) FROM (SELECT DISTINCT customer_id FROM shop.orders) t
;
SELECT count(DISTINCT customer_id), count(DISTINCT status), count(DISTINCT amount) FROM shop.orders
;
SELECT DISTINCT count(*) FROM shop.orders GROUP BY customer_id
;
SELECT DISTINCT o.country_code, k.region FROM shop.orders o LEFT JOIN crm.countries k ON k.code = o.country_code ORDER BY 2, 1
;
SELECT DISTINCT status FROM shop.orders ORDER BY status LIMIT 2 OFFSET 1
;
SELECT DISTINCT extract(month FROM ordered_on) AS m FROM shop.orders ORDER BY m DESC NULLS LAST
;
SELECT DISTINCT shop.orders.status = crm.orders.status FROM shop.orders, crm.orders WHERE shop.orders.id = crm.orders.id
;
SELECT ALL status FROM crm.orders
