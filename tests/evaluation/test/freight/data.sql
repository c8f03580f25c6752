INSERT INTO "Ops"."Customer"
  SELECT i, 'Firma ' || i || CASE WHEN i % 6 = 0 THEN ' & Söhne' ELSE '' END, CASE WHEN i % 5 > 0 THEN 'Hafenstraße ' || i END, (ARRAY['20457 Hamburg','28195 Bremen','1012 Amsterdam'])[1 + i % 3],
         (ARRAY['retail','industry','public'])[1 + (i * 2) % 3], i % 7 = 0 FROM generate_series(1, 45) i;
INSERT INTO "Ops"."Depot" SELECT i, (ARRAY['Hamburg','Bremen','Köln','Amsterdam','Antwerp','Lille'])[i], (ARRAY['DE','DE','DE','NL','BE','FR'])[i], CASE WHEN i <> 4 THEN 10 - i END FROM generate_series(1, 6) i;
INSERT INTO "Ops"."Order"
  SELECT i, 1 + (i * 11) % 43, 1 + (i * i / 3) % 5, 1 + (i * 3 + 1) % 5, timestamptz '2025-12-01 06:30Z' + i * interval '8 hours 25 min', CASE WHEN i % 8 > 0 THEN (timestamptz '2025-12-01 06:30Z' + i * interval '8 hours 25 min')::date + 5 END,
         CASE WHEN i > 380 THEN (ARRAY['open','in transit'])[1 + i % 2] ELSE (ARRAY['delivered','delivered','delivered','lost','delivered'])[1 + (i / 3) % 5] END,
         (ARRAY['A','B','C'])[1 + (i * i / 5) % 3], 1 + i % 4, 12.5 + (i * 37) % 900 + (i % 8) * 0.125, CASE WHEN i % 10 > 0 THEN 80 + (i * 13) % 340 + 0.45 END
  FROM generate_series(1, 420) i;
INSERT INTO "Ops"."order lines"
  SELECT o, l, CASE WHEN (o + l) % 9 > 0 THEN (ARRAY['pallet','crate','drum','coil'])[1 + (o * l) % 4] END, 1 + (o * 3 + l) % 7, CASE WHEN (o + l) % 6 > 0 THEN 4.25 + (o % 20) END
  FROM generate_series(1, 420) o, generate_series(1, 2) l WHERE o % 10 > 0;
INSERT INTO "Ops"."user" SELECT i, (ARRAY['Ayşe','Björn','Claire','Dirk'])[1 + i % 4] || ' ' || (ARRAY['de Vries','Schäfer','Yılmaz'])[1 + i % 3], date '2012-03-01' + i * 97, md5('driver' || i) FROM generate_series(1, 18) i;
INSERT INTO "Ops"."Tour" SELECT 'T-' || to_char(i, 'FM0000'), CASE WHEN i % 6 > 0 THEN 1 + (i * 5) % 16 END, date '2026-01-02' + (i * 2) / 3, 90 + (i * 29) % 610 + 0.5, CASE WHEN i % 9 > 0 THEN 70 + (i * 17) % 420 + 0.25 END FROM generate_series(1, 180) i;
INSERT INTO "Ops"."Tour Stops" SELECT 'T-' || to_char(t, 'FM0000'), s, CASE WHEN (t + s) % 7 > 0 THEN 1 + (t * 2 + s) % 400 END, CASE WHEN (t * s) % 11 > 0 THEN timestamptz '2026-01-02 05:00Z' + t * interval '16 hours' + s * interval '2 hours' END FROM generate_series(1, 180) t, generate_series(1, 3) s;
INSERT INTO "Ops"."damage; reports" SELECT i, 1 + (i * 31) % 410, date '2026-01-05' + i * 2, (ARRAY[150.00, 89.90, 1240.50])[1 + i % 3] + i, i % 3 = 0 FROM generate_series(1, 60) i;
INSERT INTO "Ops"."Robert'); DROP TABLE Students;--" SELECT i, 'row ' || i FROM generate_series(1, 12) i;
INSERT INTO "Löhne & Co"."Überstunden" SELECT i, 1 + i % 15, date '2026-01-01' + interval '1 month' * (i % 4), (i % 9) * 1.25 FROM generate_series(1, 60) i;
