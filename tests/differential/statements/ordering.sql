SELECT id, amount FROM shop.orders ORDER BY amount, id
;
SELECT id, amount FROM shop.orders ORDER BY amount DESC, id
;
SELECT id, amount FROM shop.orders ORDER BY amount NULLS FIRST, id DESC
;
SELECT id, amount FROM shop.orders ORDER BY amount DESC NULLS LAST, id
;
SELECT id, status FROM shop.orders ORDER BY status, id
;
SELECT id, status FROM shop.orders ORDER BY lower(status) DESC NULLS LAST, status, id
;
SELECT status, id FROM shop.orders ORDER BY 1 DESC, 2
;
SELECT id, amount * 2 AS twice FROM shop.orders ORDER BY twice DESC NULLS LAST, id
;
SELECT id, name FROM crm.customers ORDER BY name, id
;
SELECT id, name FROM crm.customers ORDER BY name DESC, id
;
SELECT id, name FROM crm.customers ORDER BY lower(name), id
;
SELECT id, name FROM crm.customers ORDER BY name COLLATE "C", id
;
SELECT id, name FROM shop.products ORDER BY name NULLS FIRST, id
;
SELECT id FROM shop.products ORDER BY length(name) DESC NULLS LAST, name, id
;
SELECT id, value FROM shop.events ORDER BY value, id
;
SELECT id, value FROM shop.events ORDER BY value DESC NULLS LAST, id
;
SELECT id, tags FROM shop.products ORDER BY tags, id
;
SELECT id, vip FROM crm.customers ORDER BY vip, id
;
SELECT id, vip FROM crm.customers ORDER BY vip DESC NULLS LAST, id
;
SELECT id FROM crm.customers ORDER BY created_on DESC, score, id
;
SELECT id FROM shop.orders ORDER BY placed_at AT TIME ZONE 'Europe/Berlin', id
;
SELECT id FROM shop.orders ORDER BY country_code, amount DESC, id
;
SELECT id FROM shop.orders ORDER BY CASE status WHEN 'open' THEN 0 WHEN 'paid' THEN 1 ELSE 2 END, id
;
SELECT id FROM shop.orders ORDER BY status = 'open' DESC NULLS LAST, id
;
SELECT id FROM shop.orders ORDER BY id % 3, -id
;
SELECT id FROM shop.orders ORDER BY amount IS NULL, discount IS NULL DESC, id
;
SELECT id FROM shop.orders ORDER BY amount USING >, id
;
SELECT status, count(*) AS n FROM shop.orders GROUP BY status ORDER BY n DESC, status
;
SELECT status FROM shop.orders GROUP BY status ORDER BY sum(amount) DESC NULLS LAST, status
;
SELECT o.id FROM shop.orders o LEFT JOIN crm.customers c ON c.id = o.customer_id ORDER BY c.name, o.id
;
SELECT note AS id FROM shop.orders ORDER BY id, shop.orders.id
;
SELECT x FROM (VALUES ('b'), ('B'), ('a'), ('A'), ('ä'), ('_'), ('1'), (' '), ('')) t (x) ORDER BY x
;
SELECT x FROM (VALUES ('a b'), ('ab'), ('a-b'), ('aB'), ('a_b'), ('a😀')) t (x) ORDER BY x DESC
;
SELECT x FROM (VALUES (1.5), (1.25), (NULL), (-1), (10)) t (x) ORDER BY x DESC
;
SELECT x FROM (VALUES ('NaN'::float8), ('Infinity'), ('-Infinity'), (0), (NULL)) t (x) ORDER BY x
;
SELECT x FROM (VALUES (interval '1 month'), ('31 days'), ('29 days'), ('1 day -1 hour')) t (x) ORDER BY x
;
SELECT a, b FROM (VALUES (1, 'x'), (1, 'a'), (NULL, 'q'), (0, NULL)) t (a, b) ORDER BY (a, b)
;
SELECT id FROM shop.orders ORDER BY 'x'::text, id
;
SELECT count(*) FROM shop.orders ORDER BY 1
;
SELECT t.id FROM (SELECT id FROM shop.orders ORDER BY id DESC) t ORDER BY t.id
;
VALUES (3, 'c'), (1, 'a'), (2, NULL) ORDER BY column1
;
VALUES (1, 'a'), (2, 'b')
;
SELECT array_agg(id ORDER BY amount DESC NULLS LAST, id) FROM shop.orders
