INSERT INTO public.customers
  SELECT i, 'c' || i || '@example.com', CASE WHEN i % 7 > 0 THEN (ARRAY['Anna','Bruno','Chloé','Daan','Ewa'])[1 + i % 5] END, (ARRAY['Meyer','Rossi','Dupont','Jansen','Nowak','Huber'])[1 + i % 6],
         CASE WHEN i % 13 > 0 THEN (ARRAY['DE','AT','FR','NL','PL'])[1 + (i * i / 2) % 5] END, i % 3 = 0, timestamptz '2025-01-04 07:40Z' + i * interval '71 hours 13 min'
  FROM generate_series(1, 160) i;
INSERT INTO public.addresses SELECT i, i, 'Street ' || i, lpad((i * 613 % 99999)::text, 5, '0'), (ARRAY['Köln','Wien','Lyon','Utrecht','Gdańsk','Graz'])[1 + i % 6] FROM generate_series(1, 160) i;
INSERT INTO public.addresses SELECT 1000 + i, i, 'Office ' || i, lpad((i * 271 % 99999)::text, 5, '0'), (ARRAY['Bonn','Linz','Paris','Graz'])[1 + i % 4] FROM generate_series(3, 160, 3) i;
INSERT INTO public.brands VALUES (1, 'Alto', 'https://alto.example'), (2, 'Borea', NULL), (3, 'Cardo', 'https://cardo.example'), (4, 'Dune', NULL);
INSERT INTO public.categories VALUES (1, 'Kitchen', NULL), (2, 'Garden', NULL), (3, 'Cookware', 1), (4, 'Knives', 1), (5, 'Tools', 2), (6, 'Seeds', 2), (7, 'Gift cards', NULL);
INSERT INTO public.products
  SELECT i, 'KX-' || lpad(i::text, 4, '0'), (ARRAY['Pan','Pot','Peeler','Rake','Spade','Basil'])[1 + i % 6] || ' ' || i, 3 + i % 4, CASE WHEN i % 8 > 0 THEN 1 + i % 3 END, 4.5 + (i * 17) % 90, CASE WHEN i % 5 > 0 THEN 120 * i END, i % 9 <> 0
  FROM generate_series(1, 60) i;
INSERT INTO public.coupons VALUES (1, 'SPRING10', 10, '2026-04-30'), (2, 'HELLO5', 5, NULL), (3, 'GARDEN15', 15, '2025-09-30');
INSERT INTO public.orders
  SELECT i, 'O-' || (20000 + i), c, c, CASE WHEN c % 3 = 0 THEN 1000 + c ELSE c END, CASE WHEN i % 6 = 0 THEN 1 + i % 3 END, timestamptz '2025-08-01 06:20Z' + i * interval '11 hours 7 min',
         (ARRAY['shipped','paid','shipped','cancelled','shipped','new','returned','paid'])[1 + i % 8], 0
  FROM (SELECT i, 1 + (i * 53) % 150 AS c FROM generate_series(1, 600) i) o;
INSERT INTO public.order_items
  SELECT o.id, l, p.id, 1 + (o.id + l) % 4, p.price FROM public.orders o, generate_series(1, 3) l JOIN public.products p ON true WHERE l <= 1 + o.id % 3 AND p.id = 1 + (o.id * 7 + l * 11) % 56;
UPDATE public.orders SET total = 4.95 + (SELECT sum(quantity * unit_price) FROM public.order_items i WHERE i.order_id = orders.id);
INSERT INTO public.payments
  SELECT row_number() OVER (ORDER BY id), id, (ARRAY['card','wallet','invoice','card'])[1 + id % 4], CASE WHEN status = 'returned' THEN 'refunded' WHEN id % 17 = 0 THEN 'failed' ELSE 'captured' END, total, ordered_at + (id % 5) * interval '3 hours'
  FROM public.orders WHERE status IN ('paid', 'shipped', 'returned');
INSERT INTO public.carriers VALUES (1, 'Swift'), (2, 'ParcelCo'), (3, 'Vélo'), (4, 'Harbour Freightline');
INSERT INTO public.shipments
  SELECT row_number() OVER (ORDER BY id), id, 1 + id % 3, ordered_at + interval '1 day', CASE WHEN id % 8 > 0 THEN ordered_at + (2 + id % 5) * interval '1 day' END, CASE WHEN id % 10 > 0 THEN 0.4 + (id % 30) * 0.125 END
  FROM public.orders WHERE status IN ('shipped', 'returned');
INSERT INTO public.reviews
  SELECT i, 1 + (i * 7) % 50, 1 + (i * 31) % 160, CASE WHEN i % 9 > 0 THEN 1 + (i * i + i / 7) % 5 END, CASE WHEN i % 4 > 0 THEN 'text ' || i END, timestamptz '2025-09-01 10:00Z' + i * interval '29 hours' FROM generate_series(1, 190) i;
INSERT INTO public.warehouses VALUES (1, 'Nord'), (2, 'Süd'), (3, 'Reserve');
INSERT INTO public.stock_levels SELECT w, p, (p * 13 + w * 7) % 80, date '2026-03-01' + p % 20 FROM generate_series(1, 2) w, generate_series(1, 60) p WHERE (p + w) % 5 > 0;
