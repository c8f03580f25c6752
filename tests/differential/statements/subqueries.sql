SELECT id FROM shop.orders WHERE customer_id IN (SELECT id FROM crm.customers WHERE vip) ORDER BY id
;
SELECT id FROM shop.orders WHERE customer_id NOT IN (SELECT id FROM crm.customers WHERE vip)
;
SELECT id FROM shop.orders WHERE customer_id NOT IN (SELECT parent_id FROM crm.customers)
;
SELECT id FROM shop.orders WHERE customer_id NOT IN (SELECT parent_id FROM crm.customers WHERE parent_id IS NOT NULL)
;
SELECT id FROM shop.orders WHERE id IN (SELECT order_ref FROM crm.orders)
;
SELECT id FROM shop.orders WHERE id NOT IN (SELECT order_ref FROM crm.orders)
;
SELECT id FROM shop.orders WHERE id NOT IN (SELECT order_ref FROM crm.orders WHERE order_ref IS NOT NULL)
;
SELECT id FROM shop.orders WHERE customer_id NOT IN (SELECT id FROM crm.customers WHERE false)
;
SELECT id, id IN (SELECT order_ref FROM crm.orders) AS found FROM shop.orders ORDER BY id
;
SELECT id, customer_id NOT IN (SELECT customer_id FROM crm.orders WHERE customer_id IS NOT NULL) AS missing FROM shop.orders
;
SELECT shop.orders.id FROM shop.orders WHERE shop.orders.id IN (SELECT crm.orders.order_ref FROM crm.orders WHERE crm.orders.customer_id = shop.orders.customer_id)
;
SELECT id FROM shop.orders WHERE status IN (SELECT status FROM crm.orders WHERE crm.orders.id = shop.orders.id)
;
SELECT id FROM shop.orders WHERE amount IN (SELECT amount FROM crm.orders WHERE customer_id = shop.orders.customer_id)
;
SELECT id FROM shop.orders WHERE amount NOT IN (SELECT amount FROM crm.orders WHERE crm.orders.customer_id = shop.orders.customer_id)
;
SELECT id FROM shop.orders WHERE (customer_id, status) IN (SELECT customer_id, status FROM crm.orders)
;
SELECT id FROM shop.orders WHERE (customer_id, status) NOT IN (SELECT customer_id, status FROM crm.orders WHERE customer_id IS NOT NULL AND status IS NOT NULL)
;
SELECT id FROM shop.orders WHERE (id, customer_id) IN (SELECT order_ref, customer_id FROM crm.orders WHERE status = 'paid')
;
SELECT id FROM shop.orders WHERE (customer_id, ordered_on) IN (SELECT customer_id, max(ordered_on) FROM shop.orders GROUP BY customer_id)
;
SELECT id FROM shop.orders WHERE (country_code, priority) IN (('DE', 1), ('US', 2), ('XX', 1))
;
SELECT id, (SELECT name FROM crm.customers WHERE crm.customers.id = shop.orders.customer_id) AS name FROM shop.orders ORDER BY id
;
SELECT id, (SELECT count(*) FROM crm.orders WHERE crm.orders.order_ref = shop.orders.id) AS n FROM shop.orders ORDER BY id
;
SELECT id, (SELECT sum(amount) FROM crm.orders WHERE order_ref = shop.orders.id) AS total FROM shop.orders ORDER BY id
;
SELECT shop.orders.id, (SELECT max(crm.orders.id) FROM crm.orders WHERE crm.orders.customer_id = shop.orders.customer_id) FROM shop.orders
;
SELECT o.id, (SELECT c.name FROM crm.customers c WHERE c.id = o.customer_id) FROM shop.orders o WHERE o.amount > (SELECT avg(amount) FROM shop.orders) ORDER BY o.id
;
SELECT id FROM shop.orders WHERE amount = (SELECT max(amount) FROM shop.orders)
;
SELECT o.id FROM shop.orders o WHERE amount = (SELECT max(amount) FROM shop.orders WHERE customer_id = o.customer_id) ORDER BY o.id
;
SELECT o.id FROM shop.orders o WHERE amount > (SELECT avg(i.amount) FROM shop.orders i WHERE i.country_code = o.country_code)
;
SELECT id, (SELECT count(*) FROM shop.orders WHERE status = 'paid') AS paid FROM crm.customers WHERE id < 3
;
SELECT id, (SELECT id FROM crm.orders WHERE false) AS none FROM shop.orders WHERE id < 4
;
SELECT (SELECT id FROM shop.orders) AS too_many
;
SELECT o.id, (SELECT i.line FROM shop.order_items i WHERE i.order_id = o.id) FROM shop.orders o
;
SELECT id FROM crm.customers WHERE id = (SELECT customer_id FROM shop.orders WHERE id = 1)
;
SELECT id FROM crm.customers WHERE score > ALL (SELECT score FROM crm.customers WHERE vip = false AND score IS NOT NULL)
;
SELECT id FROM crm.customers WHERE score > ALL (SELECT score FROM crm.customers WHERE vip = false)
;
SELECT id FROM crm.customers WHERE score >= ALL (SELECT score FROM crm.customers WHERE false)
;
SELECT id FROM crm.customers WHERE score < ANY (SELECT score FROM crm.customers WHERE vip)
;
SELECT id FROM crm.customers WHERE score = ANY (SELECT score FROM crm.customers WHERE vip) ORDER BY id
;
SELECT id FROM crm.customers WHERE score <> ALL (SELECT score FROM crm.customers WHERE vip)
;
SELECT id FROM crm.customers WHERE id <> ANY (SELECT parent_id FROM crm.customers)
;
SELECT id FROM crm.customers WHERE id = SOME (SELECT customer_id FROM shop.orders WHERE amount > 300)
;
SELECT id, score > ANY (SELECT score FROM crm.customers WHERE vip) AS more FROM crm.customers ORDER BY id
;
SELECT id, score <= ALL (SELECT score FROM crm.customers c WHERE c.country_code = crm.customers.country_code) AS lowest FROM crm.customers ORDER BY id
;
SELECT o.id FROM shop.orders o WHERE o.amount > ALL (SELECT i.amount FROM shop.orders i WHERE i.customer_id = o.customer_id AND i.id <> o.id)
;
SELECT o.id FROM shop.orders o WHERE o.amount >= ANY (SELECT c.amount FROM crm.orders c WHERE c.customer_id = o.customer_id)
;
SELECT name FROM crm.countries WHERE code = ANY (ARRAY(SELECT country_code FROM crm.customers))
;
SELECT id, ARRAY(SELECT line FROM shop.order_items WHERE order_id = shop.orders.id ORDER BY line) AS lines FROM shop.orders ORDER BY id
;
SELECT c.id, ARRAY(SELECT o.id FROM shop.orders o WHERE o.customer_id = c.id ORDER BY o.amount DESC NULLS LAST, o.id) FROM crm.customers c
;
SELECT x.country_code, x.n FROM (SELECT country_code, count(*) AS n FROM shop.orders GROUP BY country_code) x WHERE x.n > 2
;
SELECT avg(n) FROM (SELECT customer_id, count(*) AS n FROM shop.orders GROUP BY customer_id) AS per_customer
;
SELECT max(total) FROM (SELECT sum(quantity * price) AS total FROM shop.order_items GROUP BY order_id) t
;
SELECT a.x, b.y FROM (SELECT id AS x FROM shop.orders WHERE id < 3) a, (SELECT id AS y FROM crm.orders WHERE id < 3) b
;
SELECT t.a, t.b FROM (SELECT id, status FROM shop.orders WHERE id <= 5) AS t (a, b) ORDER BY t.a
;
SELECT CASE WHEN EXISTS (SELECT 1 FROM crm.orders WHERE crm.orders.order_ref = shop.orders.id) THEN 'both' ELSE 'shop' END AS place, count(*) FROM shop.orders GROUP BY 1
;
SELECT id FROM shop.orders WHERE coalesce((SELECT score FROM crm.customers WHERE id = shop.orders.customer_id), 0) > 60
;
SELECT id FROM shop.orders ORDER BY (SELECT name FROM crm.customers c WHERE c.id = shop.orders.customer_id) NULLS FIRST, id
;
SELECT customer_id, sum(amount) FROM shop.orders GROUP BY customer_id HAVING sum(amount) > (SELECT avg(credit) FROM crm.customers) ORDER BY 1
;
SELECT customer_id, sum(amount), (SELECT name FROM crm.customers c WHERE c.id = shop.orders.customer_id) FROM shop.orders GROUP BY customer_id ORDER BY customer_id
;
SELECT c.id, (SELECT count(*) FROM shop.orders o WHERE o.customer_id = c.id AND o.amount > (SELECT avg(amount) FROM shop.orders)) AS big FROM crm.customers c ORDER BY c.id
;
SELECT c.id, (SELECT sum(i.quantity) FROM shop.orders o JOIN shop.order_items i ON i.order_id = o.id WHERE o.customer_id = c.id) AS pieces FROM crm.customers c ORDER BY c.id
;
SELECT id, (SELECT string_agg(x.value, ',' ORDER BY x.id) FROM crm.contacts x WHERE x.customer_id = crm.customers.id) FROM crm.customers ORDER BY id
;
SELECT c.id, (SELECT o.id FROM shop.orders o WHERE o.customer_id = c.id ORDER BY o.ordered_on DESC NULLS LAST, o.id DESC LIMIT 1) AS latest FROM crm.customers c ORDER BY c.id
;
SELECT c.id, (SELECT count(*) FILTER (WHERE o.status = 'paid') FROM shop.orders o WHERE o.customer_id = c.id) FROM crm.customers c
;
SELECT c.id, (SELECT max(o.amount) - min(o.amount) FROM shop.orders o WHERE o.customer_id = c.id) AS spread FROM crm.customers c ORDER BY spread DESC NULLS LAST, c.id
;
SELECT c.id, (SELECT sum(c.score + o.priority) FROM shop.orders o WHERE o.customer_id = c.id) FROM crm.customers c
;
SELECT id FROM crm.customers WHERE (SELECT count(*) FROM shop.orders WHERE customer_id = crm.customers.id) = 0
;
SELECT id FROM crm.customers WHERE (SELECT bool_or(status = 'open') FROM shop.orders WHERE customer_id = crm.customers.id)
;
SELECT (SELECT count(*) FROM shop.orders) + (SELECT count(*) FROM crm.orders) AS n
;
SELECT (SELECT min(ordered_on) FROM shop.orders), (SELECT max(opened_on) FROM crm.orders)
;
SELECT id FROM shop.orders WHERE (SELECT true)
;
SELECT id FROM shop.orders WHERE (amount, id) = (SELECT amount, id FROM shop.orders WHERE id = 8)
;
SELECT id FROM shop.orders WHERE customer_id IN (SELECT customer_id FROM shop.orders GROUP BY customer_id HAVING count(*) > 2) ORDER BY id
;
SELECT id FROM shop.orders WHERE id IN (SELECT order_id FROM shop.order_items WHERE product_id IN (SELECT id FROM shop.products WHERE category = 'light'))
;
SELECT id FROM shop.orders WHERE id IN (SELECT i.order_id FROM shop.order_items i WHERE i.quantity > 5 UNION SELECT e.order_id FROM shop.events e WHERE e.kind = 'shipped') ORDER BY id
;
SELECT p.id FROM shop.products p WHERE p.price > (SELECT avg(price) FROM shop.products WHERE category = p.category)
;
SELECT p.id, p.price - (SELECT avg(q.price) FROM shop.products q WHERE q.category IS NOT DISTINCT FROM p.category) AS off FROM shop.products p ORDER BY p.id
;
SELECT p.id, (SELECT count(*) FROM shop.products q WHERE q.price > p.price) + 1 AS place FROM shop.products p ORDER BY place, p.id
;
SELECT o.id, o.customer_id IN (SELECT c.customer_id FROM crm.orders c) FROM shop.orders o
;
SELECT o.id, o.customer_id NOT IN (SELECT c.customer_id FROM crm.orders c) FROM shop.orders o
;
SELECT o.id, o.customer_id NOT IN (SELECT c.customer_id FROM crm.orders c WHERE c.customer_id IS NOT NULL) FROM shop.orders o
;
SELECT o.id, o.customer_id IN (SELECT c.customer_id FROM crm.orders c WHERE false), o.customer_id NOT IN (SELECT c.customer_id FROM crm.orders c WHERE false) FROM shop.orders o
;
SELECT o.id, o.customer_id IN (SELECT c.customer_id FROM crm.orders c WHERE c.order_ref = o.id) FROM shop.orders o
;
SELECT o.id, o.status NOT IN (SELECT c.status FROM crm.orders c WHERE c.customer_id = o.customer_id) FROM shop.orders o
;
SELECT o.id, o.status IN (SELECT c.status FROM crm.orders c UNION ALL SELECT 'x') FROM shop.orders o
;
SELECT o.id, CASE WHEN o.amount IN (SELECT c.amount FROM crm.orders c ORDER BY c.id LIMIT 5) THEN 1 ELSE 2 END FROM shop.orders o
;
SELECT o.id, EXISTS (SELECT 1 FROM crm.orders c WHERE c.order_ref = o.id GROUP BY c.status) FROM shop.orders o
;
SELECT o.id, EXISTS (SELECT count(*) FROM crm.orders c WHERE c.order_ref = o.id) FROM shop.orders o
;
SELECT o.id, EXISTS (SELECT DISTINCT c.status FROM crm.orders c WHERE c.order_ref = o.id ORDER BY c.status) FROM shop.orders o
;
SELECT o.id, NOT EXISTS (SELECT 1 FROM crm.orders c WHERE c.order_ref = o.id UNION SELECT 2 FROM crm.orders c WHERE c.customer_id = o.customer_id) FROM shop.orders o
;
SELECT o.id FROM shop.orders o WHERE (o.customer_id, o.status) IN (SELECT c.customer_id, c.status FROM crm.orders c)
;
SELECT o.id FROM shop.orders o WHERE (o.customer_id, o.status) NOT IN (SELECT c.customer_id, c.status FROM crm.orders c)
;
SELECT o.id FROM shop.orders o WHERE (o.customer_id, o.status) NOT IN (SELECT c.customer_id, c.status FROM crm.orders c WHERE c.id < 3)
;
SELECT o.id FROM shop.orders o WHERE NOT (o.customer_id, o.status) IN (SELECT c.customer_id, c.status FROM crm.orders c WHERE c.id < 3) OR o.id = 7
;
SELECT o.id FROM shop.orders o WHERE (o.customer_id, o.status) IN (SELECT c.customer_id, c.status FROM crm.orders c WHERE c.amount = o.amount)
;
SELECT o.id FROM shop.orders o WHERE (o.customer_id, o.status) NOT IN (SELECT c.customer_id, c.status FROM crm.orders c WHERE c.order_ref = o.id)
;
SELECT o.id FROM shop.orders o WHERE o.amount NOT IN (SELECT c.amount FROM crm.orders c WHERE c.customer_id = o.customer_id)
;
SELECT o.id FROM shop.orders o WHERE o.amount NOT IN (SELECT c.amount FROM crm.orders c WHERE c.customer_id = o.customer_id) OR o.status = 'open'
;
SELECT o.id FROM shop.orders o WHERE o.amount NOT IN (SELECT c.amount FROM crm.orders c) OR o.status = 'open'
;
SELECT o.id FROM shop.orders o WHERE o.amount NOT IN (SELECT c.amount FROM crm.orders c WHERE c.id < 4) OR o.status = 'open'
;
SELECT o.id FROM shop.orders o WHERE NOT (o.amount IN (SELECT c.amount FROM crm.orders c WHERE c.id < 4)) OR o.status = 'open'
;
SELECT o.id FROM shop.orders o WHERE (o.customer_id IN (SELECT c.customer_id FROM crm.orders c WHERE c.id = 4)) IS NULL
;
SELECT o.id FROM shop.orders o WHERE (o.customer_id IN (SELECT c.customer_id FROM crm.orders c WHERE c.id in (4,6))) IS NOT TRUE
;
SELECT o.id FROM shop.orders o WHERE NOT (o.customer_id IN (SELECT c.customer_id FROM crm.orders c WHERE c.id in (4,6)) AND o.id < 5)
;
SELECT o.id, (SELECT c.name FROM crm.customers c WHERE c.id = o.customer_id) FROM shop.orders o
;
SELECT o.id, (SELECT c.amount FROM crm.orders c WHERE c.customer_id = o.customer_id) FROM shop.orders o
;
SELECT o.id, (SELECT c.amount FROM crm.orders c WHERE c.customer_id = o.customer_id) FROM shop.orders o WHERE o.id IN (5, 17)
;
SELECT o.id, CASE WHEN o.id IN (5, 17) THEN (SELECT c.amount FROM crm.orders c WHERE c.customer_id = o.customer_id) END FROM shop.orders o
;
SELECT o.id, (SELECT c.amount FROM crm.orders c WHERE c.customer_id = o.customer_id ORDER BY c.amount DESC NULLS LAST, c.id LIMIT 1) FROM shop.orders o
;
SELECT o.id, (SELECT c.amount FROM crm.orders c WHERE c.customer_id = o.customer_id ORDER BY c.amount DESC, c.id FETCH FIRST ROW ONLY) FROM shop.orders o
;
SELECT o.id, (SELECT c.amount AS a FROM crm.orders c WHERE c.customer_id = o.customer_id ORDER BY a, c.id LIMIT 1) FROM shop.orders o
;
SELECT o.id, (SELECT c.amount * 2 AS amount FROM crm.orders c WHERE c.customer_id = o.customer_id ORDER BY amount DESC NULLS LAST LIMIT 1) FROM shop.orders o
;
SELECT o.id, (SELECT c.customer_id FROM crm.orders c WHERE c.order_ref = o.id GROUP BY c.customer_id) FROM shop.orders o
;
SELECT o.id, ARRAY(SELECT c.amount FROM crm.orders c WHERE c.customer_id = o.customer_id ORDER BY c.amount DESC, c.id) FROM shop.orders o
;
SELECT o.id, ARRAY(SELECT DISTINCT c.amount FROM crm.orders c WHERE c.customer_id = o.customer_id ORDER BY c.amount DESC) FROM shop.orders o
;
SELECT ARRAY(SELECT id FROM crm.orders WHERE false), ARRAY(SELECT id FROM crm.orders ORDER BY id LIMIT 2), ARRAY(SELECT count(*) FROM crm.orders)
;
SELECT o.id, o.amount > ANY (SELECT c.amount FROM crm.orders c WHERE c.customer_id = o.customer_id), o.amount > ALL (SELECT c.amount FROM crm.orders c WHERE c.customer_id = o.customer_id), o.amount <> ALL (SELECT c.amount FROM crm.orders c), o.amount = ANY (SELECT c.amount FROM crm.orders c WHERE false) FROM shop.orders o
;
SELECT o.id FROM shop.orders o WHERE (o.amount, o.id) = (SELECT i.amount, i.id FROM shop.orders i WHERE i.id = 8)
;
SELECT o.id FROM shop.orders o WHERE (o.amount, o.id) <= (SELECT i.amount, i.id FROM shop.orders i WHERE i.id = 8)
;
SELECT o.id FROM shop.orders o WHERE (o.amount, o.id) = (SELECT i.amount, i.id FROM shop.orders i)
;
SELECT o.id FROM shop.orders o WHERE coalesce((SELECT c.score FROM crm.customers c WHERE c.id = o.customer_id), 0) > 60 ORDER BY o.id
;
SELECT o.customer_id, sum(o.amount), (SELECT c.name FROM crm.customers c WHERE c.id = o.customer_id) FROM shop.orders o GROUP BY o.customer_id ORDER BY o.customer_id
;
SELECT o.customer_id, sum(o.amount) FROM shop.orders o GROUP BY o.customer_id HAVING sum(o.amount) IN (SELECT amount FROM crm.orders) ORDER BY o.customer_id
;
SELECT o.customer_id, sum(o.amount) IN (SELECT amount FROM crm.orders) FROM shop.orders o GROUP BY o.customer_id ORDER BY o.customer_id
;
SELECT id, id IN (SELECT order_ref FROM crm.orders) AS found FROM shop.orders ORDER BY id
;
SELECT o.id, EXISTS (SELECT 1 FROM crm.orders c WHERE c.order_ref = o.id AND EXISTS (SELECT 1 FROM crm.customers k WHERE k.id = c.customer_id)) FROM shop.orders o
;
SELECT o.id, (SELECT array_agg(EXISTS (SELECT 1 FROM crm.customers k WHERE k.id = c.customer_id)) FROM crm.orders c WHERE c.order_ref = o.id) FROM shop.orders o
