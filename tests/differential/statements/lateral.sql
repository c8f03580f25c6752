SELECT c.id, l.id AS order_id, l.amount FROM crm.customers c CROSS JOIN LATERAL (SELECT o.id, o.amount FROM shop.orders o WHERE o.customer_id = c.id ORDER BY o.amount DESC NULLS LAST, o.id LIMIT 2) l ORDER BY c.id, l.amount DESC NULLS LAST, l.id
;
SELECT c.id, l.id FROM crm.customers c LEFT JOIN LATERAL (SELECT id FROM shop.orders WHERE customer_id = c.id ORDER BY ordered_on, id LIMIT 1) l ON true ORDER BY c.id
;
SELECT c.id, l.n, l.total FROM crm.customers c, LATERAL (SELECT count(*) AS n, sum(amount) AS total FROM shop.orders o WHERE o.customer_id = c.id) l ORDER BY c.id
;
SELECT c.id, l.id FROM crm.customers c JOIN LATERAL (SELECT o.id FROM shop.orders o WHERE o.customer_id = c.id ORDER BY o.id OFFSET 1 LIMIT 1) l ON true
;
SELECT c.id, l.id FROM crm.customers c LEFT JOIN LATERAL (SELECT o.id FROM shop.orders o WHERE o.customer_id = c.id ORDER BY o.id DESC FETCH FIRST 1 ROW ONLY) l ON l.id > 10 ORDER BY c.id
;
SELECT shop.orders.id, l.id FROM shop.orders LEFT JOIN LATERAL (SELECT crm.orders.id FROM crm.orders WHERE crm.orders.customer_id = shop.orders.customer_id ORDER BY crm.orders.id LIMIT 1) l ON true ORDER BY shop.orders.id
;
SELECT shop.orders.id, l.* FROM shop.orders, LATERAL (SELECT crm.orders.id AS cid, crm.orders.amount - shop.orders.amount AS off FROM crm.orders WHERE crm.orders.order_ref = shop.orders.id) l ORDER BY 1, 2
;
SELECT o.id, l.doubled FROM shop.orders o CROSS JOIN LATERAL (SELECT o.amount * 2 AS doubled) l WHERE o.id < 6 ORDER BY o.id
;
SELECT o.id, a.x, b.y FROM shop.orders o CROSS JOIN LATERAL (SELECT o.amount + 1 AS x) a CROSS JOIN LATERAL (SELECT a.x * 2 AS y) b WHERE o.id <= 5
;
SELECT o.id, t.x FROM shop.orders o CROSS JOIN LATERAL (VALUES (o.amount), (o.discount), (o.priority)) AS t (x) WHERE o.id < 4
;
SELECT o.id, t.k, t.x FROM shop.orders o, LATERAL (VALUES ('status', o.status), ('note', o.note)) AS t (k, x) WHERE o.id BETWEEN 2 AND 4 ORDER BY o.id, t.k
;
SELECT p.id, u.tag FROM shop.products p, unnest(p.tags) AS u (tag) ORDER BY p.id, u.tag
;
SELECT p.id, u.tag FROM shop.products p LEFT JOIN LATERAL unnest(p.tags) AS u (tag) ON true ORDER BY p.id, u.tag
;
SELECT p.id, u.tag, u.pos FROM shop.products p CROSS JOIN LATERAL unnest(p.tags) WITH ORDINALITY AS u (tag, pos) ORDER BY p.id, u.pos
;
SELECT p.id, count(u.tag), count(*) FROM shop.products p LEFT JOIN LATERAL unnest(p.tags) AS u (tag) ON u.tag LIKE '%o%' GROUP BY p.id ORDER BY p.id
;
SELECT i.order_id, i.line, g.n FROM shop.order_items i CROSS JOIN LATERAL generate_series(1, i.quantity) AS g (n) WHERE i.quantity <= 3 ORDER BY 1, 2, 3
;
SELECT o.id, s.part FROM shop.orders o, LATERAL string_to_table(o.note, ' ') AS s (part) ORDER BY o.id, s.part
;
SELECT o.id, r.m[1] AS word FROM shop.orders o, LATERAL regexp_matches(o.note, '[a-z]+', 'g') AS r (m) ORDER BY o.id, word
;
SELECT e.id, k.key, k.value FROM shop.events e CROSS JOIN LATERAL jsonb_each_text(CASE WHEN jsonb_typeof(e.payload::jsonb) = 'object' THEN e.payload::jsonb END) AS k (key, value) ORDER BY e.id, k.key
;
SELECT c.id, l.kind FROM crm.customers c LEFT JOIN LATERAL (SELECT DISTINCT x.kind FROM crm.contacts x WHERE x.customer_id = c.id AND x.kind IS NOT NULL) l ON true ORDER BY c.id, l.kind
;
SELECT c.id, l.r FROM crm.customers c JOIN LATERAL (SELECT row_number() OVER (ORDER BY o.amount DESC NULLS LAST, o.id) AS r, o.id FROM shop.orders o WHERE o.customer_id = c.id) l ON l.r = 2 ORDER BY c.id
;
SELECT c.id, l.id, m.kind FROM crm.customers c CROSS JOIN LATERAL (SELECT o.id FROM shop.orders o WHERE o.customer_id = c.id ORDER BY o.id LIMIT 2) l LEFT JOIN LATERAL (SELECT e.kind FROM shop.events e WHERE e.order_id = l.id ORDER BY e.id DESC LIMIT 1) m ON true ORDER BY c.id, l.id
;
SELECT c.id, l.total FROM crm.customers c LEFT JOIN LATERAL (SELECT sum(o.amount) AS total FROM shop.orders o WHERE o.customer_id = c.id HAVING count(*) > 1) l ON true ORDER BY c.id
;
SELECT c.id, l.o FROM crm.customers c LEFT JOIN LATERAL (SELECT o.id AS o FROM shop.orders o WHERE o.customer_id = c.id UNION ALL SELECT x.id FROM crm.orders x WHERE x.customer_id = c.id) l ON true ORDER BY c.id, l.o
;
SELECT k.code, l.name FROM crm.countries k LEFT JOIN LATERAL (SELECT name FROM crm.customers WHERE country_code = k.code ORDER BY score DESC NULLS LAST, id LIMIT 1) l ON true ORDER BY k.code
;
SELECT c.id, l.* FROM crm.customers c CROSS JOIN LATERAL (SELECT o.id AS oid, o.amount FROM shop.orders o WHERE o.customer_id = c.id ORDER BY o.amount DESC NULLS LAST, o.id LIMIT 2) l ORDER BY c.id, l.amount DESC NULLS LAST, l.oid
;
SELECT c.id, l.b FROM crm.customers c LEFT JOIN LATERAL (SELECT o.id, o.id + 1 FROM shop.orders o WHERE c.id = o.customer_id AND o.status = 'paid' ORDER BY o.id DESC OFFSET 1 LIMIT 1) AS l (a, b) ON l.a > 5 ORDER BY c.id
;
SELECT c.id, l.id FROM crm.customers c, LATERAL (SELECT o.id FROM shop.orders o WHERE o.customer_id = c.id ORDER BY 1 LIMIT 1) l ORDER BY c.id
;
SELECT c.id, l.id FROM crm.customers c, LATERAL (SELECT o.id FROM shop.orders o WHERE o.customer_id = c.id ORDER BY id DESC FETCH FIRST ROW ONLY) l ORDER BY c.id
;
SELECT c.id, l.id FROM crm.customers c, LATERAL (SELECT o.id AS id FROM shop.orders o WHERE o.customer_id = c.id ORDER BY id DESC FETCH FIRST ROW ONLY) l LEFT JOIN crm.orders z ON z.order_ref = l.id ORDER BY c.id
;
SELECT c.id, l.id, z.id FROM crm.customers c LEFT JOIN LATERAL (SELECT o.id AS id FROM shop.orders o WHERE o.customer_id = c.id + 1 AND o.status = c.name ORDER BY id DESC LIMIT 1) l ON true LEFT JOIN crm.orders z ON z.order_ref = l.id ORDER BY c.id
;
SELECT c.id, l.id, m.kind FROM crm.customers c CROSS JOIN LATERAL (SELECT o.id FROM shop.orders o WHERE o.customer_id = c.id ORDER BY o.id LIMIT 2) l LEFT JOIN LATERAL (SELECT e.kind FROM shop.events e WHERE e.order_id = l.id ORDER BY e.id DESC LIMIT 1) m ON true ORDER BY c.id, l.id
;
SELECT k.code, l.name FROM crm.countries k LEFT JOIN LATERAL (SELECT q.name FROM crm.customers q WHERE q.country_code = k.code ORDER BY q.score DESC NULLS LAST, q.id LIMIT 1) l ON true ORDER BY k.code
;
SELECT c.id, l.n FROM crm.customers c LEFT JOIN LATERAL (SELECT i.line AS n FROM shop.orders o JOIN shop.order_items i ON i.order_id = o.id WHERE o.customer_id = c.id ORDER BY o.id DESC, i.line DESC LIMIT 3) l ON l.n = 1 ORDER BY c.id
;
SELECT c.id, l.n FROM crm.customers c LEFT JOIN LATERAL (SELECT o.id AS n FROM shop.orders o WHERE o.customer_id = c.id ORDER BY o.id LIMIT 0) l ON true ORDER BY c.id
