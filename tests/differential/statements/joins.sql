SELECT shop.orders.id, crm.orders.id FROM shop.orders JOIN crm.orders ON crm.orders.id = shop.orders.id
;
SELECT shop.orders.id AS a, crm.orders.id AS b FROM shop.orders JOIN crm.orders ON crm.orders.order_ref = shop.orders.id ORDER BY a, b
;
SELECT shop.orders.status, crm.orders.status FROM shop.orders LEFT JOIN crm.orders ON shop.orders.id = crm.orders.order_ref AND crm.orders.status = 'paid' WHERE shop.orders.amount > 50
;
SELECT o.id, c.name FROM shop.orders o JOIN crm.customers c ON c.id = o.customer_id ORDER BY o.id
;
SELECT orders.id, customers.name FROM shop.orders JOIN crm.customers ON customers.id = orders.customer_id
;
SELECT orders.id, crm.customers.name FROM shop.orders LEFT JOIN crm.customers ON crm.customers.id = orders.customer_id ORDER BY orders.id
;
SELECT c.id, o.id FROM shop.orders o RIGHT JOIN crm.customers c ON c.id = o.customer_id
;
SELECT s.id AS sid, c.id AS cid, s.amount, c.amount FROM shop.orders s FULL JOIN crm.orders c ON s.id = c.id ORDER BY s.id NULLS LAST, c.id
;
SELECT coalesce(s.id, c.id) AS id, s.status, c.status FROM shop.orders s FULL OUTER JOIN crm.orders c ON s.id = c.id WHERE s.id IS NULL OR c.id IS NULL
;
SELECT s.id, c.id FROM shop.orders s FULL JOIN crm.orders c ON s.amount = c.amount AND s.customer_id = c.customer_id
;
SELECT id, s.amount AS shop_amount, c.amount AS crm_amount FROM shop.orders s JOIN crm.orders c USING (id) ORDER BY id
;
SELECT * FROM shop.orders s JOIN crm.orders c USING (id, customer_id) ORDER BY id
;
SELECT id, customer_id FROM shop.orders FULL JOIN crm.orders USING (id, customer_id) ORDER BY id, customer_id
;
SELECT id, s.id AS sid, c.id AS cid FROM shop.orders s FULL JOIN crm.orders c USING (id) ORDER BY id
;
SELECT id FROM shop.orders s LEFT JOIN crm.orders c USING (id) WHERE c.id IS NULL ORDER BY id
;
SELECT id, s.id IS NULL AS only_crm FROM shop.orders s RIGHT JOIN crm.orders c USING (id) ORDER BY id
;
SELECT j.id FROM shop.orders s JOIN crm.orders c USING (id) AS j ORDER BY j.id
;
SELECT * FROM crm.countries NATURAL JOIN (SELECT DISTINCT country_code AS code FROM crm.customers) u ORDER BY code
;
SELECT count(*) FROM shop.orders NATURAL JOIN crm.orders
;
SELECT customer_id, status, amount FROM shop.orders NATURAL FULL JOIN crm.orders ORDER BY id, customer_id NULLS FIRST, status NULLS FIRST, amount NULLS FIRST
;
SELECT c.name, k.name AS country FROM crm.customers c LEFT JOIN crm.countries k ON k.code = c.country_code ORDER BY c.id
;
SELECT k.code, count(c.id) AS n FROM crm.countries k LEFT JOIN crm.customers c ON c.country_code = k.code GROUP BY k.code ORDER BY k.code
;
SELECT k.name, o.id FROM crm.countries k JOIN shop.orders o ON o.country_code = k.code AND o.amount > 100 ORDER BY o.id
;
SELECT a.id, b.id FROM crm.customers a JOIN crm.customers b ON b.parent_id = a.id ORDER BY a.id, b.id
;
SELECT a.name, b.name AS parent, g.name AS grandparent FROM crm.customers a LEFT JOIN crm.customers b ON b.id = a.parent_id LEFT JOIN crm.customers g ON g.id = b.parent_id ORDER BY a.id
;
SELECT a.id, b.id FROM shop.orders a JOIN shop.orders b ON a.amount = b.amount AND a.id < b.id ORDER BY 1, 2
;
SELECT a.id, b.id FROM shop.orders a JOIN shop.orders b ON a.ordered_on = b.ordered_on AND a.id <> b.id
;
SELECT p.name, q.name FROM shop.products p JOIN shop.products q ON lower(p.name) = lower(q.name) AND p.id < q.id
;
SELECT p.id, c.code FROM shop.products p CROSS JOIN crm.countries c WHERE p.id < 3 AND c.code IN ('DE', 'FR')
;
SELECT p.id, c.code FROM shop.products p, crm.countries c WHERE p.price < 1 AND c.population IS NULL
;
SELECT o.id, i.line, p.name, i.quantity * i.price AS total FROM shop.orders o JOIN shop.order_items i ON i.order_id = o.id LEFT JOIN shop.products p ON p.id = i.product_id ORDER BY o.id, i.line
;
SELECT o.id, sum(i.quantity * i.price) AS items, o.amount FROM shop.orders o LEFT JOIN shop.order_items i ON i.order_id = o.id GROUP BY o.id, o.amount HAVING sum(i.quantity * i.price) IS DISTINCT FROM o.amount ORDER BY o.id
;
SELECT i.order_id, i.line FROM shop.order_items i LEFT JOIN shop.orders o ON o.id = i.order_id WHERE o.id IS NULL
;
SELECT i.order_id, i.product_id FROM shop.order_items i LEFT JOIN shop.products p ON i.product_id = p.id WHERE p.id IS NULL ORDER BY 1, 2
;
SELECT o.id, p.id FROM shop.orders o JOIN shop.products p ON o.amount BETWEEN p.price AND p.price * 2 ORDER BY o.id, p.id
;
SELECT o.id, e.id FROM shop.orders o JOIN shop.events e ON e.order_id = o.id AND e.at >= o.placed_at AT TIME ZONE 'UTC' ORDER BY o.id, e.id
;
SELECT o.id, e.kind FROM shop.orders o LEFT JOIN shop.events e ON e.order_id = o.id AND e.kind = 'paid' WHERE o.id < 10 ORDER BY o.id, e.id
;
SELECT o.id, e.kind FROM shop.orders o LEFT JOIN shop.events e ON e.order_id = o.id WHERE e.kind = 'paid' ORDER BY o.id, e.id
;
SELECT o.id FROM shop.orders o LEFT JOIN shop.events e ON e.order_id = o.id AND o.amount > 200 WHERE o.id <= 8
;
SELECT c.id, x.value FROM crm.customers c LEFT JOIN (crm.contacts x JOIN crm.countries k ON k.code = x.country_code) ON x.customer_id = c.id ORDER BY c.id, x.id
;
SELECT c.id, x.id, k.code FROM (crm.customers c LEFT JOIN crm.contacts x ON x.customer_id = c.id) LEFT JOIN crm.countries k ON k.code = x.country_code ORDER BY 1, 2
;
SELECT c.name, j.value FROM crm.customers c JOIN (SELECT customer_id, value FROM crm.contacts WHERE kind = 'mail') AS j ON j.customer_id = c.id ORDER BY 1, 2
;
SELECT x.a, x.b FROM (shop.orders s JOIN crm.orders c ON c.order_ref = s.id) AS x (a, b) ORDER BY x.a
;
SELECT s.note, c.note FROM shop.orders s JOIN crm.orders c ON s.note = c.note
;
SELECT s.id, c.id FROM shop.orders s JOIN crm.orders c ON s.note IS NOT DISTINCT FROM c.note ORDER BY s.id, c.id
;
SELECT a.id, b.id FROM crm.customers a JOIN crm.customers b ON a.score = b.score AND a.id < b.id
;
SELECT a.id FROM crm.customers a JOIN crm.customers b ON a.credit > b.credit AND b.vip WHERE a.vip IS NOT TRUE
;
SELECT o.id, k.name FROM shop.orders o LEFT JOIN crm.countries k ON o.country_code = k.code AND k.region = 'Europe' ORDER BY o.id
;
SELECT count(*), count(k.code), count(DISTINCT k.code) FROM shop.orders o LEFT JOIN crm.countries k ON o.country_code = k.code
;
SELECT o.id FROM shop.orders o JOIN crm.customers c ON true WHERE c.id = 1 AND o.id < 3
;
SELECT o.id, c.id FROM shop.orders o LEFT JOIN crm.customers c ON false WHERE o.id < 3
;
SELECT o.id, c.id FROM shop.orders o FULL JOIN crm.customers c ON false WHERE coalesce(o.id, c.id) < 3
;
SELECT o.id FROM shop.orders o JOIN crm.customers c ON o.customer_id = c.id AND (c.vip OR o.amount > 500) ORDER BY o.id
;
SELECT o.id, c.name FROM shop.orders o JOIN crm.customers c ON o.customer_id = c.id + 0.0 WHERE o.id < 5
;
SELECT s.id, c.id FROM shop.orders s JOIN crm.orders c ON s.amount = c.amount ORDER BY s.id, c.id
;
SELECT shop.orders.*, crm.customers.name FROM shop.orders JOIN crm.customers ON crm.customers.id = shop.orders.customer_id WHERE shop.orders.id < 4 ORDER BY shop.orders.id
;
SELECT crm.orders.* FROM shop.orders JOIN crm.orders ON crm.orders.order_ref = shop.orders.id WHERE shop.orders.status <> crm.orders.status
;
SELECT * FROM shop.orders s JOIN crm.orders c ON c.id = s.id WHERE s.id = 1
;
SELECT a.*, b.note AS other FROM crm.orders a JOIN shop.orders b ON b.id = a.order_ref ORDER BY a.id
;
SELECT DISTINCT shop.orders.status FROM shop.orders, crm.orders WHERE shop.orders.id = crm.orders.order_ref AND crm.orders.status IS NOT NULL
;
SELECT p.id, coalesce(sum(i.quantity), 0) AS sold FROM shop.products p LEFT JOIN shop.order_items i ON i.product_id = p.id GROUP BY p.id ORDER BY sold DESC, p.id
;
SELECT c.name, o.total FROM crm.customers c LEFT JOIN (SELECT customer_id, sum(amount) AS total FROM shop.orders GROUP BY customer_id) o ON o.customer_id = c.id ORDER BY c.id
;
SELECT id, s.status FROM shop.orders s JOIN crm.orders c USING (id) WHERE id > 3 AND id + 1 < 100 ORDER BY id
;
SELECT customer_id, count(*), max(s.id) FROM shop.orders s JOIN crm.orders c USING (customer_id) GROUP BY customer_id ORDER BY customer_id
;
