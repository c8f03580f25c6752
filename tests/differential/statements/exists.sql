SELECT id FROM shop.orders WHERE EXISTS (SELECT 1 FROM crm.orders WHERE crm.orders.id = shop.orders.id) ORDER BY id
;
SELECT id FROM shop.orders WHERE NOT EXISTS (SELECT 1 FROM crm.orders WHERE crm.orders.id = shop.orders.id) ORDER BY id
;
SELECT id FROM crm.orders WHERE EXISTS (SELECT 1 FROM shop.orders WHERE shop.orders.id = crm.orders.order_ref)
;
SELECT id FROM crm.orders WHERE NOT EXISTS (SELECT 1 FROM shop.orders WHERE shop.orders.id = crm.orders.order_ref)
;
SELECT crm.orders.id FROM crm.orders WHERE EXISTS (SELECT * FROM shop.orders WHERE shop.orders.customer_id = crm.orders.customer_id AND shop.orders.amount = crm.orders.amount)
;
SELECT id FROM shop.orders WHERE EXISTS (SELECT 1 FROM crm.orders WHERE order_ref = shop.orders.id AND status = shop.orders.status)
;
SELECT id FROM shop.orders WHERE EXISTS (SELECT 1 FROM crm.orders WHERE id = shop.orders.id AND amount <> shop.orders.amount)
;
SELECT id FROM shop.orders WHERE EXISTS (SELECT 1 FROM crm.orders WHERE order_ref = id)
;
SELECT id FROM shop.orders WHERE EXISTS (SELECT 1 FROM crm.orders AS orders WHERE orders.order_ref = shop.orders.id)
;
SELECT o.id FROM shop.orders o WHERE EXISTS (SELECT 1 FROM crm.orders WHERE crm.orders.order_ref = o.id) ORDER BY o.id
;
SELECT o.id FROM shop.orders o WHERE NOT EXISTS (SELECT 1 FROM crm.orders o2 WHERE o2.order_ref = o.id AND o2.status = 'paid') ORDER BY o.id
;
SELECT o.id FROM shop.orders o WHERE EXISTS (SELECT 1 FROM crm.orders o WHERE o.order_ref = 1)
;
SELECT id FROM shop.orders WHERE EXISTS (SELECT 1 FROM shop.orders WHERE id = 1)
;
SELECT id FROM shop.orders WHERE EXISTS (SELECT 1 FROM shop.orders i WHERE i.customer_id = shop.orders.customer_id AND i.id > shop.orders.id) ORDER BY id
;
SELECT a.id FROM shop.orders a WHERE NOT EXISTS (SELECT 1 FROM shop.orders b WHERE b.customer_id = a.customer_id AND b.id > a.id) ORDER BY a.id
;
SELECT id FROM crm.customers WHERE EXISTS (SELECT 1 FROM shop.orders WHERE customer_id = crm.customers.id)
;
SELECT id FROM crm.customers WHERE NOT EXISTS (SELECT 1 FROM shop.orders WHERE customer_id = crm.customers.id)
;
SELECT id FROM crm.customers WHERE NOT EXISTS (SELECT 1 FROM shop.orders WHERE shop.orders.customer_id = crm.customers.id) AND NOT EXISTS (SELECT 1 FROM crm.orders WHERE crm.orders.customer_id = crm.customers.id)
;
SELECT id FROM crm.customers WHERE EXISTS (SELECT 1 FROM shop.orders WHERE customer_id = customers.id) AND EXISTS (SELECT 1 FROM crm.orders WHERE customer_id = customers.id)
;
SELECT id FROM crm.customers WHERE EXISTS (SELECT 1 FROM shop.orders WHERE customer_id = customers.id) OR EXISTS (SELECT 1 FROM crm.contacts WHERE customer_id = customers.id AND kind = 'fax')
;
SELECT id FROM crm.customers WHERE EXISTS (SELECT 1 FROM shop.orders o WHERE o.customer_id = crm.customers.id AND EXISTS (SELECT 1 FROM shop.order_items i WHERE i.order_id = o.id AND i.quantity > 5))
;
SELECT id FROM crm.customers WHERE EXISTS (SELECT 1 FROM shop.orders WHERE shop.orders.customer_id = crm.customers.id AND NOT EXISTS (SELECT 1 FROM crm.orders WHERE crm.orders.order_ref = shop.orders.id AND crm.orders.customer_id = crm.customers.id))
;
SELECT c.id, EXISTS (SELECT 1 FROM shop.orders o WHERE o.customer_id = c.id) AS bought FROM crm.customers c ORDER BY c.id
;
SELECT c.id, NOT EXISTS (SELECT 1 FROM crm.contacts x WHERE x.customer_id = c.id AND x.value <> '') AS unreachable FROM crm.customers c
;
SELECT count(*) FROM shop.orders WHERE EXISTS (SELECT 1 FROM crm.customers WHERE id = shop.orders.customer_id AND country_code = shop.orders.country_code)
;
SELECT id FROM shop.orders WHERE EXISTS (SELECT NULL FROM crm.orders WHERE crm.orders.id = shop.orders.id)
;
SELECT id FROM shop.orders WHERE EXISTS (SELECT FROM crm.orders WHERE crm.orders.id = shop.orders.id)
;
SELECT id FROM shop.orders WHERE EXISTS (SELECT count(*) FROM crm.orders WHERE crm.orders.id = shop.orders.id)
;
SELECT id FROM shop.orders WHERE EXISTS (SELECT sum(amount) FROM crm.orders WHERE crm.orders.id = shop.orders.id GROUP BY status)
;
SELECT id FROM shop.orders WHERE EXISTS (SELECT 1 FROM crm.orders WHERE crm.orders.customer_id = shop.orders.customer_id HAVING count(*) > 1)
;
SELECT id FROM shop.orders WHERE EXISTS (SELECT 1 FROM crm.orders WHERE crm.orders.id = shop.orders.id LIMIT 0)
;
SELECT id FROM shop.orders WHERE EXISTS (SELECT 1 FROM crm.orders WHERE crm.orders.id = shop.orders.id LIMIT 1)
;
SELECT id FROM shop.orders WHERE EXISTS (SELECT 1 FROM crm.orders WHERE crm.orders.id = shop.orders.id OFFSET 1)
;
SELECT id FROM shop.orders WHERE EXISTS (SELECT order_ref FROM crm.orders WHERE order_ref = shop.orders.id UNION SELECT order_id FROM shop.events WHERE order_id = shop.orders.id AND kind = 'shipped')
;
SELECT id FROM shop.orders WHERE EXISTS (SELECT 1 FROM crm.orders WHERE crm.orders.amount > shop.orders.amount AND crm.orders.customer_id = shop.orders.customer_id)
;
SELECT id FROM shop.orders WHERE NOT EXISTS (SELECT 1 FROM crm.orders WHERE crm.orders.amount > shop.orders.amount)
;
SELECT id FROM shop.orders WHERE NOT (EXISTS (SELECT 1 FROM crm.orders WHERE crm.orders.id = shop.orders.id))
;
SELECT id FROM shop.orders WHERE EXISTS (SELECT 1 FROM crm.orders WHERE crm.orders.note = shop.orders.note OR crm.orders.amount = shop.orders.amount)
;
SELECT id FROM shop.orders WHERE EXISTS (SELECT 1 FROM crm.orders WHERE crm.orders.order_ref = shop.orders.id AND crm.orders.opened_on > shop.orders.ordered_on)
;
SELECT id FROM shop.orders WHERE EXISTS (SELECT 1 FROM crm.customers WHERE false)
;
SELECT id FROM shop.orders WHERE NOT EXISTS (SELECT 1 FROM crm.customers WHERE id < 0) AND id < 4
;
SELECT p.id FROM shop.products p WHERE EXISTS (SELECT 1 FROM shop.products c WHERE c.parent_id = p.id)
;
SELECT p.id FROM shop.products p WHERE NOT EXISTS (SELECT 1 FROM shop.order_items WHERE product_id = p.id) ORDER BY p.id
;
SELECT DISTINCT i.order_id FROM shop.order_items i WHERE NOT EXISTS (SELECT 1 FROM shop.order_items x WHERE x.order_id = i.order_id AND x.price < 10)
;
SELECT c.id FROM crm.customers c WHERE NOT EXISTS (SELECT 1 FROM crm.countries k WHERE k.code IN ('DE', 'FR') AND NOT EXISTS (SELECT 1 FROM shop.orders o WHERE o.customer_id = c.id AND o.country_code = k.code))
;
SELECT m."Id" FROM shop."Mixed" m WHERE EXISTS (SELECT 1 FROM shop."Mixed" n WHERE n."Id" <> m."Id" AND n."select" = m."select") ORDER BY m."Id"
;
SELECT "Id" FROM shop."Mixed" WHERE EXISTS (SELECT 1 FROM crm.customers WHERE crm.customers.id = shop."Mixed"."select" / 10 AND crm.customers.name <> shop."Mixed"."userName")
