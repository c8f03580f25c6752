SELECT status, count(*) FROM shop.orders GROUP BY status ORDER BY status NULLS FIRST
;
SELECT status, count(*), count(amount), sum(amount), min(amount), max(amount), avg(amount) FROM shop.orders GROUP BY status
;
SELECT customer_id, status, sum(amount) FROM shop.orders GROUP BY customer_id, status ORDER BY 1, 2
;
SELECT lower(status) AS s, count(*) FROM shop.orders GROUP BY lower(status) ORDER BY s
;
SELECT lower(status) AS s, count(*) FROM shop.orders GROUP BY s ORDER BY count(*) DESC, s
;
SELECT lower(status), count(*) FROM shop.orders GROUP BY 1 ORDER BY 2 DESC, 1
;
SELECT lower(status) AS status, count(*) FROM shop.orders GROUP BY status ORDER BY 1, 2
;
SELECT upper(note) AS note, count(*) FROM shop.orders GROUP BY note ORDER BY 1, 2
;
SELECT extract(year FROM ordered_on) AS y, extract(month FROM ordered_on) AS m, sum(amount) FROM shop.orders GROUP BY y, m ORDER BY y, m
;
SELECT date_trunc('quarter', ordered_on)::date AS q, count(*) FROM shop.orders GROUP BY q ORDER BY q
;
SELECT (placed_at AT TIME ZONE 'Europe/Berlin')::date AS local_day, count(*) FROM shop.orders GROUP BY 1 ORDER BY 1
;
SELECT country_code, count(*) FROM shop.orders GROUP BY country_code HAVING count(*) > 2 ORDER BY 1
;
SELECT country_code FROM shop.orders GROUP BY country_code HAVING sum(amount) > 500 AND min(amount) >= 0
;
SELECT country_code FROM shop.orders GROUP BY country_code HAVING bool_and(amount IS NOT NULL)
;
SELECT count(*) FROM shop.orders HAVING count(*) > 100
;
SELECT count(*) FROM shop.orders HAVING count(*) > 10
;
SELECT 1 FROM shop.orders HAVING true
;
SELECT sum(amount) FROM shop.orders WHERE false
;
SELECT sum(amount), count(*), max(note) FROM shop.orders WHERE id > 1000
;
SELECT status, sum(amount) FROM shop.orders WHERE id > 1000 GROUP BY status
;
SELECT count(*) FROM shop.orders WHERE id > 1000 GROUP BY ()
;
SELECT id, status, count(*) FROM shop.orders GROUP BY id ORDER BY id
;
SELECT shop.orders.id, shop.orders.note, count(shop.order_items.line) FROM shop.orders LEFT JOIN shop.order_items ON shop.order_items.order_id = shop.orders.id GROUP BY shop.orders.id ORDER BY shop.orders.id
;
SELECT status, country_code, sum(amount) FROM shop.orders GROUP BY ROLLUP (status, country_code) ORDER BY grouping(status), status, grouping(country_code), country_code
;
SELECT status, country_code, count(*), grouping(status), grouping(country_code), grouping(status, country_code) FROM shop.orders GROUP BY CUBE (status, country_code)
;
SELECT status, priority, sum(amount) FROM shop.orders GROUP BY GROUPING SETS ((status), (priority), ())
;
SELECT status, priority, count(*) FROM shop.orders GROUP BY GROUPING SETS ((status, priority), (status), ()) ORDER BY grouping(status, priority), status, priority
;
SELECT status, country_code, count(*) FROM shop.orders GROUP BY status, ROLLUP (country_code)
;
SELECT status, country_code, priority, count(*) FROM shop.orders GROUP BY ROLLUP (status), CUBE (country_code, priority)
;
SELECT status, country_code, count(*) FROM shop.orders GROUP BY DISTINCT ROLLUP (status, country_code), ROLLUP (status)
;
SELECT status, country_code, priority, count(*) FROM shop.orders GROUP BY ROLLUP (status, (country_code, priority))
;
SELECT coalesce(status, 'all') AS s, count(*) FROM shop.orders GROUP BY ROLLUP (status) ORDER BY 2, 1
;
SELECT CASE WHEN grouping(status) = 1 THEN 'total' ELSE coalesce(status, 'none') END AS s, sum(amount) FROM shop.orders GROUP BY ROLLUP (status) ORDER BY s
;
SELECT status, sum(amount) FROM shop.orders GROUP BY ROLLUP (status) HAVING grouping(status) = 0 AND sum(amount) > 100
;
SELECT sum(amount), grouping(status) FROM shop.orders WHERE false GROUP BY ROLLUP (status)
;
SELECT count(*) FROM shop.orders WHERE false GROUP BY GROUPING SETS ((), ())
;
SELECT extract(year FROM ordered_on) AS y, status, count(*) FROM shop.orders GROUP BY CUBE (1, 2)
;
SELECT country_code, count(*) FILTER (WHERE status = 'paid') AS paid, count(*) FILTER (WHERE status = 'open') AS open, sum(amount) FILTER (WHERE amount > 100) AS big FROM shop.orders GROUP BY country_code ORDER BY country_code
;
SELECT country_code, string_agg(status, ',' ORDER BY id) FROM shop.orders GROUP BY country_code ORDER BY 1
;
SELECT country_code, array_agg(DISTINCT status ORDER BY status) FROM shop.orders GROUP BY country_code ORDER BY 1
;
SELECT customer_id, array_agg(amount ORDER BY amount DESC NULLS LAST, id) FROM shop.orders GROUP BY customer_id ORDER BY 1
;
SELECT country_code, count(DISTINCT customer_id), count(DISTINCT status), count(DISTINCT (customer_id, status)) FROM shop.orders GROUP BY country_code
;
SELECT priority, percentile_cont(0.5) WITHIN GROUP (ORDER BY amount), percentile_disc(0.5) WITHIN GROUP (ORDER BY amount), mode() WITHIN GROUP (ORDER BY status) FROM shop.orders GROUP BY priority
;
SELECT value + 0 AS value, count(*) FROM shop.events GROUP BY value ORDER BY events.value
;
SELECT tags, count(*) FROM shop.products GROUP BY tags ORDER BY tags
;
SELECT category, sum(weight), avg(price), max(name) FROM shop.products GROUP BY category ORDER BY category
;
SELECT count(*) AS n, customer_id IS NULL AS anonymous FROM shop.orders GROUP BY anonymous ORDER BY anonymous
;
SELECT 'all' AS label, count(*) FROM shop.orders GROUP BY label
;
SELECT amount > 100 AS big, bool_or(status = 'open'), every(discount < 0.5) FROM shop.orders GROUP BY 1 ORDER BY 1
;
SELECT c.region, c.name, sum(o.amount) FROM shop.orders o JOIN crm.countries c ON c.code = o.country_code GROUP BY ROLLUP (c.region, c.name) ORDER BY grouping(c.region), c.region, grouping(c.name), c.name
;
SELECT crm.orders.status, shop.orders.status, count(*) FROM shop.orders JOIN crm.orders ON crm.orders.order_ref = shop.orders.id GROUP BY crm.orders.status, shop.orders.status
;
SELECT orders.status, sum(orders.amount) FROM shop.orders GROUP BY shop.orders.status ORDER BY orders.status
;
SELECT status AS x, status || '!' AS y, count(*) + 1 FROM shop.orders GROUP BY status ORDER BY 3, 1
;
SELECT (amount / 100)::int AS bucket, count(*), min(id) FROM shop.orders GROUP BY bucket ORDER BY bucket
;
SELECT max(total) FROM (SELECT sum(amount) AS total FROM shop.orders GROUP BY customer_id) t
;
SELECT amount, count(*) FROM (SELECT amount FROM shop.orders UNION ALL SELECT amount FROM crm.orders) u GROUP BY amount HAVING count(*) > 1 ORDER BY amount
;
SELECT count(*), sum(i.quantity * p.price) FROM shop.order_items i JOIN shop.products p ON p.id = i.product_id GROUP BY p.category HAVING p.category IS NOT NULL ORDER BY p.category
;
SELECT 1 AS one, count(*) FROM shop.orders GROUP BY id % 2 = 0 ORDER BY 2, 1
;
SELECT status, round(sum(amount)) AS amount FROM shop.orders GROUP BY status, amount HAVING amount > 100.5 ORDER BY 1, 2
;
SELECT amount::int AS amount FROM shop.orders GROUP BY amount HAVING amount > 100.5 ORDER BY 1
;
SELECT amount::int FROM shop.orders GROUP BY amount HAVING amount > 100.5 ORDER BY 1
;
SELECT lower(status), count(*), count(DISTINCT customer_id), sum(amount) + 1, sum(amount)::numeric(20, 2) FROM shop.orders GROUP BY lower(status) ORDER BY 1
;
SELECT lower, count FROM (SELECT lower(status), count(*) FROM shop.orders GROUP BY 1) s ORDER BY 1
