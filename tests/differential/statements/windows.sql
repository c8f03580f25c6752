SELECT id, row_number() OVER (PARTITION BY customer_id ORDER BY ordered_on, id) FROM shop.orders ORDER BY id
;
SELECT id, rank() OVER w, dense_rank() OVER w FROM shop.orders WINDOW w AS (ORDER BY amount DESC NULLS LAST) ORDER BY id
;
SELECT id, sum(amount) OVER w, avg(amount) OVER w, count(*) OVER w FROM shop.orders WINDOW w AS (PARTITION BY country_code ORDER BY id) ORDER BY id
;
SELECT id, sum(amount) OVER (w ORDER BY id), max(amount) OVER w FROM shop.orders WINDOW w AS (PARTITION BY customer_id) ORDER BY id
;
SELECT id, sum(amount) OVER a, sum(amount) OVER b FROM shop.orders WINDOW a AS (PARTITION BY status), b AS (a ORDER BY id ROWS 1 PRECEDING) ORDER BY id
;
SELECT status, count(*) AS n, rank() OVER (ORDER BY count(*) DESC) FROM shop.orders GROUP BY status ORDER BY status
;
SELECT status, sum(amount) AS total, sum(sum(amount)) OVER () AS everything FROM shop.orders GROUP BY status
;
SELECT country_code, sum(amount), round(100 * sum(amount) / sum(sum(amount)) OVER (), 2) AS share FROM shop.orders GROUP BY country_code ORDER BY country_code
;
SELECT date_trunc('month', ordered_on)::date AS m, sum(amount), sum(sum(amount)) OVER (ORDER BY date_trunc('month', ordered_on)) FROM shop.orders GROUP BY date_trunc('month', ordered_on) ORDER BY 1
;
SELECT customer_id, count(*), lag(count(*)) OVER (ORDER BY customer_id) FROM shop.orders GROUP BY customer_id ORDER BY 1
;
SELECT * FROM (SELECT id, amount, row_number() OVER (PARTITION BY status ORDER BY amount DESC NULLS LAST, id) AS r FROM shop.orders) t WHERE r <= 2 ORDER BY id
;
SELECT id, amount - lag(amount) OVER (PARTITION BY customer_id ORDER BY id) AS step FROM shop.orders ORDER BY id
;
SELECT DISTINCT customer_id, max(amount) OVER (PARTITION BY customer_id) FROM shop.orders ORDER BY 1
;
SELECT DISTINCT rank() OVER (ORDER BY status) FROM shop.orders
;
SELECT id FROM shop.orders ORDER BY row_number() OVER (ORDER BY amount DESC NULLS LAST, id) LIMIT 5
;
SELECT id, row_number() OVER (ORDER BY id DESC) FROM shop.orders ORDER BY id LIMIT 3
;
SELECT o.id, c.name, count(*) OVER (PARTITION BY c.id) FROM shop.orders o LEFT JOIN crm.customers c ON c.id = o.customer_id ORDER BY o.id
;
SELECT shop.orders.id, rank() OVER (PARTITION BY crm.orders.status ORDER BY shop.orders.amount) FROM shop.orders JOIN crm.orders ON crm.orders.order_ref = shop.orders.id ORDER BY shop.orders.id, crm.orders.id
;
SELECT id, first_value(id) OVER w, last_value(id) OVER w, nth_value(id, 2) OVER w FROM shop.events WINDOW w AS (PARTITION BY order_id ORDER BY at, id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) ORDER BY id
;
SELECT id, at - lag(at) OVER (PARTITION BY order_id ORDER BY at, id) AS waited FROM shop.events ORDER BY id
;
SELECT id, count(*) OVER (ORDER BY at RANGE BETWEEN '7 days' PRECEDING AND CURRENT ROW) FROM shop.events WHERE at IS NOT NULL ORDER BY id
;
SELECT id, sum(amount) OVER (ORDER BY ordered_on RANGE BETWEEN interval '1 month' PRECEDING AND CURRENT ROW) FROM shop.orders ORDER BY id
;
SELECT id, array_agg(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW) FROM crm.orders ORDER BY id
;
SELECT id, sum(id) OVER (ORDER BY priority GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM shop.orders ORDER BY id
;
SELECT id, ntile(4) OVER (ORDER BY amount NULLS FIRST, id), percent_rank() OVER (ORDER BY amount NULLS FIRST), cume_dist() OVER (ORDER BY amount NULLS FIRST) FROM shop.orders ORDER BY id
;
SELECT id, lead(status, 1, 'end') OVER (ORDER BY id), lag(status, 2) OVER (ORDER BY id) FROM crm.orders ORDER BY id
;
SELECT id, count(*) FILTER (WHERE status = 'paid') OVER (PARTITION BY customer_id ORDER BY id) FROM shop.orders ORDER BY id
;
SELECT category, name, price, price / sum(price) OVER (PARTITION BY category) FROM shop.products WHERE price > 0 ORDER BY id
;
SELECT id, row_number() OVER () > 0 FROM shop.products ORDER BY id
;
SELECT customer_id, ordered_on - (row_number() OVER (PARTITION BY customer_id ORDER BY ordered_on, id))::int AS island FROM shop.orders WHERE ordered_on IS NOT NULL ORDER BY customer_id, ordered_on, id
;
SELECT country_code, status, sum(amount), rank() OVER (PARTITION BY country_code ORDER BY sum(amount) DESC NULLS LAST, status) FROM shop.orders GROUP BY country_code, status ORDER BY country_code, 4
;
SELECT id FROM (SELECT id, sum(amount) OVER (ORDER BY id) AS running FROM shop.orders) t WHERE running > 1000 ORDER BY id LIMIT 1
;
SELECT status, grouping(status), sum(count(*)) OVER (ORDER BY grouping(status), status) FROM shop.orders GROUP BY ROLLUP (status) ORDER BY grouping(status), status
