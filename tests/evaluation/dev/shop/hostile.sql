-- Names that differ in case and blanks, customers who share everything but the id, empty countries.
INSERT INTO public.customers VALUES
  (1, 'a@example.com', 'Anna', 'Meyer', 'DE', true, '2025-12-31 22:59:59.999999Z'), (2, 'A@example.com', 'Anna', 'Meyer', 'de', true, '2025-12-31 23:00Z'), (3, 'b@example.com', NULL, '', '', false, '2026-03-31 21:59:59Z'),
  (4, 'b@example.com', '', 'O''Neil; x', NULL, true, '2026-03-31 22:00Z'), (5, 'e@example.com', 'Eva', 'Alone', NULL, true, '2026-02-28 23:30Z'), (6, 'f@example.com', 'Finn', 'Huber', ' DE', false, '2026-01-01 00:00Z'), (7, 'g@example.com', 'Gil', 'Huber', 'DE', true, '2026-01-31 23:00Z');
INSERT INTO public.addresses VALUES (1, 1, 'Ring 1', '01067', 'Graz'), (2, 1, 'Ring 2', '00000', 'graz'), (3, 2, '', '', ''), (4, 3, 'Way', '1', 'Köln '), (5, 4, 'Way', '1', 'Köln'), (6, 6, 'Quai', '9', 'Graz');
INSERT INTO public.brands VALUES (1, 'Alto', NULL), (2, 'alto', ''), (3, 'Unused', NULL);
INSERT INTO public.categories VALUES (1, 'Kitchen', NULL), (2, 'kitchen', 1), (3, 'Knives', 1), (4, 'Knives', 2), (5, 'Empty', NULL);
INSERT INTO public.products VALUES
  (1, 'A-1', 'Pan', 1, 1, 0.00, NULL, true), (2, 'a-1', 'Pan', 2, NULL, 10.00, 0, true), (3, 'A-2', 'pan', 3, 2, 10.00, 500, false), (4, 'A-3', '', 4, NULL, 99999999.99, 1, true),
  (5, 'A-4', 'Never Sold', 4, 1, 5.00, 1, true), (6, 'A-5', ' Pan ', 3, 2, 0.01, 1, false), (7, '', 'Never Sold', 3, NULL, 5.00, NULL, true);
INSERT INTO public.coupons VALUES (1, 'X', 0, NULL), (2, 'x', 100, '2026-03-29'), (3, '', -5, '2025-10-26');
-- Borders of months, of the year and of summer time in Berlin (2025-10-26 01:00Z, 2026-03-29 01:00Z).
INSERT INTO public.orders VALUES
  (1, 'O-1', 1, 1, 2, NULL, '2025-12-31 22:59:59.999999Z', 'cancelled', 10.00), (2, 'O-1', 1, 1, 1, 1, '2025-12-31 23:00Z', 'paid', 0.00), (3, 'o-1', 2, 3, 3, 2, '2026-03-29 00:59Z', 'paid', -5.00), (4, '', 3, 4, 5, NULL, '2026-03-29 01:00Z', 'shipped', 99999999.99),
  (5, 'O-5', 3, 4, 1, NULL, '2025-01-01 00:00Z', 'cancelled', 20.00), (6, 'O-6', 4, 5, 5, 1, '2024-12-31 23:00Z', 'cancelled', 20.00), (7, 'O-7', 6, 6, 6, 3, '2025-10-26 00:30Z', 'returned', 7.77), (8, 'O-8', 6, 6, 4, NULL, '2025-10-26 01:30Z', 'paid', 7.77),
  (9, 'O-9', 1, 2, 6, NULL, '2025-06-30 22:00Z', 'cancelled', 1.00), (10, 'O-10', 2, 3, 4, 2, '2026-04-30 22:00Z', 'new', 3.00), (11, 'O-11', 6, 6, 6, NULL, '2024-12-31 22:59:59.999999Z', 'cancelled', 3.00), (12, 'O-12', 7, 1, 1, NULL, '2026-03-31 22:00Z', 'paid', 3.00);
INSERT INTO public.order_items VALUES (1, 1, 1, 2, 0.00), (1, 2, 1, 2, 0.00), (2, 1, 2, 4, 10.00), (3, 1, 3, 1, 10.00), (3, 2, 4, 3, 1.00), (4, 1, 4, 0, 99999999.99), (5, 1, 2, -1, 10.00), (6, 1, 6, 5, 0.01), (7, 1, 3, 0, 1.11), (8, 1, 6, 2, 1.11);
INSERT INTO public.payments VALUES
  (1, 2, 'card', 'captured', 0.00, '2025-10-25 21:59:59.999999Z'), (2, 3, 'Card', 'captured', -5.00, '2025-10-25 22:00Z'), (3, 4, 'wallet', 'failed', 99999999.99, '2025-10-26 00:30Z'), (4, 4, 'wallet', 'captured', 99999999.99, '2025-10-26 01:30Z'),
  (5, 7, '', 'refunded', 7.77, '2025-10-26 22:59:59.999999Z'), (6, 8, 'card', 'captured', 7.77, '2025-10-26 23:00Z'), (7, 8, 'card ', 'captured', 7.77, '2026-03-31 21:59:59.999999Z'), (8, 3, 'card', 'captured', 1.00, '2026-03-31 22:00Z'),
  (9, 3, 'card', 'failed', 1.00, '2026-04-30 21:59:59Z'), (10, 12, 'invoice', 'captured', 3.00, '2026-04-30 22:00Z'), (11, 12, 'invoice', 'captured', 3.00, '2026-04-01 00:30Z');
INSERT INTO public.carriers VALUES (1, 'Swift'), (2, 'swift'), (3, ''), (4, 'Idle');
INSERT INTO public.shipments VALUES (1, 4, 1, '2026-03-29 00:59Z', NULL, NULL), (2, 4, 2, '2026-03-29 01:00Z', '2026-03-29 01:00Z', 0), (3, 7, 1, '2025-10-26 00:30Z', '2025-10-26 01:30Z', -1.5), (4, 7, 3, '2026-03-31 22:00Z', NULL, 2.125), (5, 7, 1, '2026-03-31 22:00Z', NULL, 2.125);
INSERT INTO public.reviews VALUES
  (1, 1, 1, 5, NULL, '2026-03-29 00:59Z'), (2, 1, 1, 5, '', '2026-03-29 01:00Z'), (3, 2, 2, NULL, 'x', '2026-01-01 00:00Z'), (4, 2, 3, 0, 'zero', '2026-01-01 00:00Z'), (5, 3, 4, 6, NULL, '2026-01-01 00:00Z'), (6, 4, 5, NULL, NULL, '2026-01-01 00:00Z'), (7, 6, 5, 1, 'x', '2025-12-31 23:00Z');
INSERT INTO public.warehouses VALUES (1, 'Nord'), (2, 'nord'), (3, 'Void');
INSERT INTO public.stock_levels VALUES (1, 1, 0, NULL), (1, 2, -3, '2026-03-29'), (2, 1, 7, '2026-03-29'), (2, 4, 7, NULL), (1, 6, 2147483647, '2025-12-31');
