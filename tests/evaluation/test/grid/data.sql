INSERT INTO customer.account
  SELECT i, 'Holder ' || i, (ARRAY['household','household','business','public'])[1 + i % 4], CASE WHEN i % 12 > 0 THEN (ARRAY['Cádiz','Huelva','Sevilla'])[1 + (i * i) % 3] END, date '2019-02-01' + i * 17, CASE WHEN i % 9 = 0 THEN date '2025-06-01' + i END
  FROM generate_series(1, 120) i;
INSERT INTO network.substation SELECT i, (ARRAY['Alba','Brisa','Cumbre','Duna','Encina','Faro','Garza'])[i], (ARRAY['north','south','coast'])[1 + i % 3], 4000 + i * 850.5 FROM generate_series(1, 7) i;
INSERT INTO network.outage
  SELECT i, 1 + (i * 5) % 6, timestamptz '2025-12-20 03:10Z' + i * interval '29 hours 35 min', CASE WHEN i % 15 > 0 THEN timestamptz '2025-12-20 03:10Z' + i * interval '29 hours 35 min' + (i % 20 + 1) * interval '17 min' END,
         CASE WHEN i % 4 > 0 THEN (ARRAY['storm','digger','fault'])[1 + i % 3] END, CASE WHEN i % 7 > 0 THEN (i * 53) % 900 END
  FROM generate_series(1, 110) i;
INSERT INTO metering.meter_point SELECT i, 1 + (i * 7) % 113, 1 + (i / 5) % 6, CASE WHEN i % 10 > 0 THEN 'Calle ' || i END, (ARRAY['11001','21001','41001'])[1 + i % 3] FROM generate_series(1, 130) i;
INSERT INTO metering.meter
  SELECT i, 'SN' || (700000 + i), CASE WHEN i % 11 > 0 THEN 1 + (i * 3) % 125 END, (ARRAY['power','power','gas','heat'])[1 + i % 4], date '2020-01-15' + i * 13, CASE WHEN i % 17 = 0 THEN date '2026-01-10' + i % 60 END, i % 2 = 0
  FROM generate_series(1, 140) i;
INSERT INTO metering.reading_daily
  SELECT m, date '2026-02-20' + d, ((m * 7 + d * 3) % 40) * 0.625 + 0.5, (ARRAY['measured','measured','measured','estimated','replaced'])[1 + (m + d) % 5] FROM generate_series(1, 30) m, generate_series(0, 44) d WHERE (m * d) % 13 <> 5;
INSERT INTO metering.reading_quarter_hour
  SELECT m, timestamptz '2026-03-28 20:00Z' + q * interval '15 min', CASE WHEN (m + q) % 9 > 0 THEN ((m + q) % 16) * 0.0625 END FROM generate_series(2, 12, 2) m, generate_series(0, 140) q;
INSERT INTO billing.tariff SELECT 'T' || i, 'Tarifa ' || (ARRAY['Sol','Luna','Viento','Mar','Plana'])[i], CASE WHEN i <> 2 THEN date '2024-01-01' + i * 60 END, 0.15 + i * 0.01375, 5 + i * 1.25 FROM generate_series(1, 5) i;
INSERT INTO billing.contract SELECT i, 1 + (i * 19) % 111, 'T' || (1 + (i * 3) % 4), date '2024-01-01' + i * 5, CASE WHEN i % 6 = 0 THEN date '2025-12-31' + i % 40 END FROM generate_series(1, 125) i;
INSERT INTO billing.invoice
  SELECT i, 1 + (i * 7) % 122, date '2026-01-01' + interval '1 month' * (i % 4), date '2026-01-31' + interval '1 month' * (i % 4), 40 + (i * 17) % 190 + 0.35, round((40 + (i * 17) % 190 + 0.35) * 0.21, 2),
         (ARRAY['paid','sent','paid','draft','cancelled'])[1 + i % 5], CASE WHEN i % 5 <> 3 THEN date '2026-02-03' + (i % 4) * 30 END
  FROM generate_series(1, 360) i;
INSERT INTO billing.payment SELECT i, CASE WHEN i % 8 > 0 THEN 1 + (i * 11) % 350 END, date '2026-02-05' + i % 80, 30 + (i * 23) % 200 + 0.10, CASE WHEN i % 6 > 0 THEN (ARRAY['transfer','debit','card'])[1 + i % 3] END FROM generate_series(1, 220) i;
