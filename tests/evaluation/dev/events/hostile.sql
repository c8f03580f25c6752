INSERT INTO app.plans VALUES ('F', 'Free', 0), ('f', 'free', NULL), ('S', 'Starter', -1), ('T', '', 2147483647);
INSERT INTO app.accounts VALUES
  (1, 'Acorn', 'US', '2024-12-31 23:59:59.999999Z', NULL), (2, 'acorn', 'us', '2025-01-01 00:00Z', NULL), (3, 'Acorn', NULL, '2025-01-01 05:00Z', '2026-03-08 06:59Z'), (4, '', '', '2026-03-08 07:00Z', NULL), (5, 'No Subs; --', 'US', '2026-03-01 04:59Z', '2026-03-01 05:00Z'), (6, ' Acorn', NULL, '2026-03-01 05:00Z', NULL);
INSERT INTO app."Users" VALUES
  (1, 1, 'Ann', 'a@example.org', 'owner', false, NULL), (2, 1, 'ann', 'A@example.org', 'admin', false, '2026-03-08 06:59Z'), (3, 2, NULL, 'b@example.org', 'owner', true, '2026-03-08 07:00Z'), (4, 3, '', '', 'owner', false, NULL), (5, 3, 'Ann', 'a@example.org', 'member', false, '2026-01-01 04:59:59Z'), (6, 6, 'O"Hara', 'o@example.org', 'owner', false, NULL);
INSERT INTO app.subs VALUES (1, 1, 'F', NULL, '2025-01-01', NULL), (2, 1, 'F', 0, '2025-01-01', '2024-12-31'), (3, 1, 'f', -2, '2026-02-28', NULL), (4, 2, 'S', 3, '2024-02-29', '2026-02-28'), (5, 3, 'S', 4, '2026-03-31', NULL), (6, 4, 'T', NULL, '2026-03-31', NULL);
INSERT INTO app.inv VALUES
  (1, 1, '2026-02-28', 'USD', 0, NULL, NULL), (2, 1, '2026-03-01', 'EUR', -10.50, 0, NULL), (3, 2, '2026-03-31', 'usd', 9999999999.99, NULL, NULL), (4, 3, '2026-03-31', 'USD', 5.00, 1.00, '2026-03-08 07:00Z'),
  (5, 3, '2026-03-31', 'USD', 5.00, 1.00, NULL), (6, 6, '2026-01-01', 'EUR', 0.01, NULL, NULL), (7, 4, '2025-12-31', '', 1, NULL, NULL), (8, 4, '2025-12-31', 'EUR', 1, NULL, '1999-12-31 00:00Z');
INSERT INTO app.tickets VALUES (1, '', 'open', NULL, 1, 2, '2026-03-08 06:59Z'), (2, 'x', 'Open', 0, 3, 3, '2026-03-08 07:00Z'), (3, 'x', ' open ', -1, 4, 1, '2026-01-01 05:00Z'), (4, 'x', 'solved', 9, 5, 1, '2026-01-01 04:59:59.999999Z');
INSERT INTO "Metering"."Features" VALUES ('api', 'API calls', 'call', true), ('API', 'API calls', 'call', false), ('export', 'Exports', 'GB', true), ('store', 'exports', 'gb', true), ('none', 'Unused', '', false);
-- Borders of days, months and of summer time in New York (2026-03-08 07:00Z); late events; a user who moved between accounts.
INSERT INTO "Metering"."UsageEvents" VALUES
  (1, 1, 1, 'api', '2026-03-08 04:59:59.999999Z', '2026-03-08 05:00Z', 1), (2, 1, 1, 'api', '2026-03-08 05:00Z', '2026-03-09 05:00Z', 0), (3, 1, NULL, 'API', '2026-03-08 06:59:59Z', '2026-03-08 06:59:59Z', -2.5), (4, 2, NULL, 'export', '2026-03-08 07:00Z', '2026-03-08 07:00Z', 999999999.999),
  (5, 2, 3, 'store', '2026-03-09 03:59:59.999999Z', '2026-03-09 04:00Z', 0.001), (6, 2, 3, 'store', '2026-03-09 04:00Z', '2026-03-09 04:00Z', 1), (7, 3, 4, 'api', '2026-03-09 04:30Z', '2026-03-09 04:30Z', 1), (8, 3, 5, 'api', '2026-03-07 05:00Z', '2026-03-10 00:00Z', 1),
  (9, 3, 4, 'api', '2026-03-07 04:59:59Z', '2026-03-07 05:00Z', 7), (10, 6, 4, 'export', '2026-01-01 05:00Z', '2026-01-01 05:00Z', 7), (11, 6, 4, 'export', '2026-01-01 04:59:59.999999Z', '2026-01-01 05:10Z', 7), (12, 1, 1, 'api', '2026-02-01 04:59Z', '2026-02-01 05:00Z', 1),
  (13, 1, 2, 'api', '2026-02-01 05:00Z', '2026-02-01 05:00Z', 1), (14, 1, 2, 'api', '2026-02-01 05:00Z', '2026-02-01 05:00Z', 1), (15, 1, NULL, 'api', '2026-04-15 12:00Z', '2026-04-15 12:00Z', 1), (16, 4, 1, 'API', '2026-05-01 03:59Z', '2026-05-01 04:00Z', 3), (17, 4, 1, 'API', '2026-03-08 12:00Z', '2026-03-08 12:00Z', 3);
INSERT INTO "Metering"."UsageEvents_2024" VALUES (1, 1, 'api', '2026-03-08 12:00Z', NULL);
INSERT INTO "Metering".quota VALUES (1, 'api', NULL), (1, 'API', 0), (2, 'store', -1);
