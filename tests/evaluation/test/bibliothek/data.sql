INSERT INTO zweigstellen VALUES (1, 'Zentralbibliothek', 'Mitte', '1974-05-02'), (2, 'Südstadt', 'Süd', '1988-09-01'), (3, 'Am Hafen', 'Nord', NULL), (4, 'Westend', 'West', '2003-04-14'), (5, 'Fahrbibliothek', 'Mitte', '2019-10-07');
INSERT INTO verlage SELECT i, 'Verlag ' || (ARRAY['Ahorn','Birke','Eiche','Fichte','Linde','Ulme'])[i], (ARRAY['Berlin','München','Zürich'])[1 + i % 3] FROM generate_series(1, 6) i;
INSERT INTO autoren SELECT i, (ARRAY['Müller','Weiß','Özdemir','Bäcker','Strauß','Jäger','Groß','Löwe'])[1 + i % 8], CASE WHEN i % 9 > 0 THEN (ARRAY['Anna','Jörg','Zoë','Max'])[1 + i % 4] END, CASE WHEN i % 5 > 0 THEN 1930 + i END FROM generate_series(1, 40) i;
INSERT INTO titel
  SELECT i, 'Titel ' || i, CASE WHEN i % 12 > 0 THEN 1 + (i * 7) % 38 END, CASE WHEN i % 10 > 0 THEN 1 + i % 5 END, CASE WHEN i % 15 > 0 THEN 1995 + (i * 3) % 31 END,
         (ARRAY['Roman','Sachbuch','Kinderbuch','Comic','Roman'])[1 + i % 5], (ARRAY['de','de','en','tr','de','fr'])[1 + i % 6]
  FROM generate_series(1, 150) i;
INSERT INTO exemplare
  SELECT i, 1 + (i * 29) % 131, 1 + (i * i / 7) % 5, date '2018-01-08' + (i * 7) % 2980, CASE WHEN i % 7 > 0 THEN 6.5 + (i % 37) * 0.85 END, (ARRAY['neu','gut','gut','abgenutzt','gut','ausgesondert'])[1 + i % 6]
  FROM generate_series(1, 320) i;
INSERT INTO leser
  SELECT i, 'Leserin ' || i, (ARRAY['50667','50668','50733','50823','51063'])[1 + (i * 3) % 5], CASE WHEN i % 13 > 0 THEN date '1950-02-11' + i * 173 END, date '2023-06-01' + i * 6, i % 14 = 0
  FROM generate_series(1, 160) i;
INSERT INTO ausleihen
  SELECT i, 1 + (i * 13) % 300, 1 + (i * i) % 149, 1 + (i * i / 7) % 5, CASE WHEN i % 5 > 0 THEN 1 + (i * i / 11) % 5 END,
         timestamptz '2025-11-03 09:20Z' + i * interval '7 hours 40 min', (timestamptz '2025-11-03 09:20Z' + i * interval '7 hours 40 min')::date + 28,
         CASE WHEN i % 5 > 0 THEN timestamptz '2025-11-03 09:20Z' + i * interval '7 hours 40 min' + (i % 45) * interval '22 hours' END, i % 4
  FROM generate_series(1, 560) i;
INSERT INTO gebuehren
  SELECT i, 1 + (i * 19) % 149, CASE WHEN i % 3 = 0 THEN i END, (ARRAY['Jahresbeitrag','Mahnung','Mahnung','Ersatz'])[1 + i % 4], (ARRAY[20.00, 1.50, 3.00, 17.90])[1 + i % 4] + (i % 3), date '2025-12-01' + i, i % 3 > 0
  FROM generate_series(1, 240) i;
INSERT INTO vormerkungen SELECT i, 1 + (i * 23) % 150, 1 + (i * 5) % 160, timestamptz '2026-01-05 08:00Z' + i * interval '19 hours', i % 3 = 0 FROM generate_series(1, 120) i;
INSERT INTO veranstaltungen
  SELECT i, 1 + i % 4, (ARRAY['Vorlesestunde','Lesung','Spieleabend','Schreibwerkstatt'])[1 + (i / 4) % 4], timestamptz '2026-01-09 16:00Z' + i * interval '37 hours', CASE WHEN i % 6 > 0 THEN 5 + (i * 7) % 48 END, (ARRAY[0, 8.50, 0, 12.00])[1 + (i / 3) % 4]
  FROM generate_series(1, 90) i;
