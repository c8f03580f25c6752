INSERT INTO erp.artgrp VALUES (10, 'Gehäuse'), (20, 'Laufräder'), (30, 'Dichtungen'), (40, 'Rohmaterial'), (50, 'Fertigpumpen'), (60, 'Sonderteile');
INSERT INTO erp.art
  SELECT 'A' || (1000 + i), (ARRAY['Gehäuse','Laufrad','Dichtung','Rundstahl','Pumpe'])[1 + i % 5] || ' ' || i, 10 * (1 + i % 5), (ARRAY['ST','ST','ST','KG','ST','M'])[1 + i % 6],
         CASE WHEN i % 7 > 0 THEN 0.25 * i END, i % 11 = 0, date '2019-03-01' + i * 23
  FROM generate_series(1, 90) i;
INSERT INTO erp.abt VALUES (1, 'Zerspanung', '4100'), (2, 'Montage', '4200'), (3, 'Gießerei', '4300'), (4, 'Qualität', NULL), (5, 'Einkauf', '6100');
INSERT INTO erp.ma
  SELECT 100 + i, (ARRAY['Schmidt','Öztürk','Weiß','Kowalski','Jäger'])[1 + i % 5], CASE WHEN i % 9 > 0 THEN (ARRAY['Uwe','Ayşe','Petra','Jan'])[1 + i % 4] END, 1 + i % 5, date '2008-01-01' + i * 97, CASE WHEN i % 8 = 0 THEN date '2025-01-31' + i * 9 END
  FROM generate_series(1, 48) i;
INSERT INTO erp.masch SELECT 'M' || lpad(i::text, 2, '0'), (ARRAY['Drehmaschine','Fräse','Presse','Ofen'])[1 + i % 4] || ' ' || i, 1 + i % 3, CASE WHEN i % 6 > 0 THEN 1998 + i END, CASE WHEN i IN (7, 15) THEN date '2025-11-30' + i END FROM generate_series(1, 18) i;
INSERT INTO erp.lief VALUES (1, 'Stahl Nord', 'Bremen', 'DE'), (2, 'Guss & Co', 'Linz', 'AT'), (3, 'Guarnizioni Srl', 'Bergamo', 'IT'), (4, 'Normteile Süd', NULL, 'DE'), (5, 'Neu GmbH', 'Ulm', NULL);
INSERT INTO erp.best
  SELECT 'B' || (7000 + i / 3), 1 + i % 3, 1 + (i / 3) % 5, 'A' || (1001 + (i * 13) % 90), date '2025-09-01' + i / 3, 5 + (i * 7) % 60, round(((5 + (i * 7) % 60) * (1.5 + i % 9))::numeric, 2), i % 7 <> 0
  FROM generate_series(0, 419) i;
INSERT INTO erp.fa
  SELECT 80000 + i, 'A' || (1001 + (i * 17) % 80), 10 * (1 + i % 12), (ARRAY['fertig','fertig','laufend','freigegeben','angelegt','storniert','fertig'])[1 + i % 7], CASE WHEN i % 6 > 0 THEN i % 4 END, 101 + (i * 5) % 40, 101 + (i * 11) % 40,
         date '2025-09-15' + i, CASE WHEN i % 7 IN (0, 1, 6) THEN date '2025-09-18' + i END
  FROM generate_series(1, 220) i;
INSERT INTO erp.rm
  SELECT i, 80001 + (i * 3) % 220, 'M' || lpad((1 + (i * 5) % 17)::text, 2, '0'), t, 10 + (i * 7) % 50, CASE WHEN i % 3 = 0 THEN 1 + (i * i) % 6 + (i * 5) % 17 / 3 ELSE 0 END, CASE WHEN i % 10 > 0 THEN 12 + (i % 33) * 1.25 END,
         CASE WHEN extract(hour FROM t AT TIME ZONE 'Europe/Berlin') BETWEEN 6 AND 13 THEN 'F' WHEN extract(hour FROM t AT TIME ZONE 'Europe/Berlin') BETWEEN 14 AND 21 THEN 'S' ELSE 'N' END
  FROM (SELECT i, timestamptz '2026-01-02 05:10Z' + i * interval '2 hours 49 min' AS t FROM generate_series(1, 1000) i) r;
INSERT INTO erp.stoer
  SELECT i, 'M' || lpad((1 + (i * 7) % 16)::text, 2, '0'), timestamptz '2025-10-05 03:30Z' + i * interval '37 hours', CASE WHEN i % 12 > 0 THEN timestamptz '2025-10-05 03:30Z' + i * interval '37 hours' + (1 + i % 9) * interval '25 min' END,
         CASE WHEN i % 8 > 0 THEN (ARRAY['mechanisch','elektrisch','Material'])[1 + (i / 2) % 3] END
  FROM generate_series(1, 140) i;
INSERT INTO erp.lag VALUES ('L1', 'Hochregal'), ('L2', 'Freifläche'), ('L3', 'Sperrlager'), ('L4', 'Außenlager Leer');
INSERT INTO erp.bestand SELECT 'L' || (1 + (i * 2) % 3), 'A' || (1001 + (i * 7) % 75), 'C' || (i % 4), 3 + (i * 11) % 120 FROM generate_series(1, 160) i ON CONFLICT DO NOTHING;
INSERT INTO erp.pruef
  SELECT i, 80001 + (i * 9) % 220, timestamptz '2025-12-01 07:00Z' + i * interval '8 hours 20 min', (ARRAY['Durchmesser','Rauheit','Dichtheit'])[1 + i % 3], 5 + (i % 60) * 0.0125, CASE WHEN i % 13 = 0 THEN 'niO' ELSE 'iO' END FROM generate_series(1, 400) i;
