INSERT INTO app.plans VALUES ('F', 'Free', 0), ('S', 'Starter', 900), ('T', 'Team', 2400), ('E', 'Enterprise', NULL);
INSERT INTO app.accounts
  SELECT i, (ARRAY['Acorn','Birch','Cedar','Dogwood','Elm'])[1 + i % 5] || ' ' || i, CASE WHEN i % 9 > 0 THEN (ARRAY['US','CA','GB','DE','BR'])[1 + (i * i / 2) % 5] END,
         timestamptz '2024-06-01 13:00Z' + i * interval '8 days 5 hours', CASE WHEN i % 12 = 0 THEN timestamptz '2026-02-01 17:00Z' + i * interval '9 hours' END
  FROM generate_series(1, 72) i;
INSERT INTO app."Users"
  SELECT i, 1 + (i * 17) % 70, CASE WHEN i % 14 > 0 THEN 'User ' || i END, 'u' || i || '@example.org', (ARRAY['member','member','admin','member','owner'])[1 + i % 5], i % 4 = 0, CASE WHEN i % 10 > 0 THEN timestamptz '2026-01-05 15:00Z' + i * interval '11 hours' END
  FROM generate_series(1, 210) i;
INSERT INTO app.subs
  SELECT i, 1 + (i * 7) % 66, (ARRAY['F','S','T','S','E'])[1 + i % 5], CASE WHEN i % 11 > 0 THEN 1 + (i * 13) % 40 END, date '2025-01-01' + i * 5, CASE WHEN i % 4 = 0 THEN date '2025-06-30' + i * 5 END FROM generate_series(1, 84) i;
INSERT INTO app.inv
  SELECT i, 1 + (i * 11) % 66, date '2025-07-01' + i, CASE WHEN i % 3 = 0 THEN 'EUR' ELSE 'USD' END, 90 + (i % 37) * 12.5, CASE WHEN i % 5 > 0 THEN round((90 + (i % 37) * 12.5) * 0.19, 2) END,
         CASE WHEN (i * 5 + i / 7) % 6 > 0 THEN (date '2025-07-01' + i + i % 30)::timestamp AT TIME ZONE 'UTC' + interval '14 hours' END
  FROM generate_series(1, 290) i;
INSERT INTO app.tickets
  SELECT 5000 + i, 'Problem ' || i, (ARRAY['open','pending','solved','solved'])[1 + i % 4], CASE WHEN i % 5 > 0 THEN 1 + i % 4 END, 1 + (i * 19) % 210, (ARRAY[70, 140, 210])[1 + i % 3], timestamptz '2025-11-01 14:00Z' + i * interval '31 hours'
  FROM generate_series(1, 120) i;
INSERT INTO "Metering"."Features" VALUES ('api', 'API calls', 'call', true), ('export', 'Exports', 'GB', true), ('search', 'Search', 'call', false), ('store', 'Storage', 'GB', true), ('video', 'Video meetings', 'minute', true), ('beta', 'Beta lab', 'call', false);
INSERT INTO "Metering"."UsageEvents"
  SELECT i, 1 + (i * 29) % 60, CASE WHEN i % 5 > 0 THEN 1 + (i * i) % (140 + i / 25) END, (ARRAY['api','export','search','store','video'])[1 + (i / 2 + i / 61) % 5], t, t + (i % 7) * interval '50 minutes', 1 + (i % 40) * 0.25
  FROM (SELECT i, timestamptz '2025-12-20 04:10Z' + i * interval '97 minutes' AS t FROM generate_series(1, 1700) i) e;
INSERT INTO "Metering"."UsageEvents_2024" SELECT i, 1 + i % 20, 'api', timestamptz '2024-09-01 00:00Z' + i * interval '50 hours', i FROM generate_series(1, 40) i;
INSERT INTO "Metering".quota SELECT a, f, CASE WHEN a % 4 > 0 THEN 100 * a END FROM generate_series(1, 60) a, unnest(ARRAY['api','store']) f;
