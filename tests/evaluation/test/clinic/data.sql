INSERT INTO clinic.departments VALUES
  (1, 'Cardiology', 2, '2009-03-02'), (2, 'Dermatology', 1, '2012-09-17'), (3, 'Orthopaedics', 3, '2009-03-02'),
  (4, 'Paediatrics', 1, '2015-01-12'), (5, 'Physiotherapy', 0, NULL), (6, 'Sleep Medicine', 3, '2026-02-02');
INSERT INTO clinic.practitioners
  SELECT i, (ARRAY['Aoife','Brian','Ciara','Declan','Eimear','Fionn','Grainne','Hugh'])[1 + i % 8] || ' ' || (ARRAY['Byrne','Doyle','Kelly','Murphy','Nolan'])[1 + i % 5],
         1 + i % 5, (ARRAY['doctor','nurse','physio'])[1 + i % 3], date '2011-02-01' + i * 131, i % 6 <> 0
  FROM generate_series(1, 24) i;
INSERT INTO clinic.insurers VALUES (1, 'Laya', 'L-10'), (2, 'VHI', 'V-2'), (3, 'Irish Life', NULL), (4, 'Garda Medical Aid', 'G-1');
INSERT INTO clinic.patients
  SELECT i, 'Patient ' || i, CASE WHEN i % 17 > 0 THEN date '1941-05-05' + i * 211 END,
         CASE WHEN i % 11 > 0 THEN (ARRAY['Dublin','Cork','Galway','Kerry','Mayo'])[1 + (i * i / 3) % 5] END,
         CASE WHEN i % 4 > 0 THEN 'p' || i || '@example.ie' END,
         timestamptz '2024-11-03 09:15Z' + i * interval '83 hours 7 min', CASE WHEN i % 5 > 0 THEN 1 + i % 3 END
  FROM generate_series(1, 140) i;
INSERT INTO clinic.rooms SELECT i, 'R' || (100 + i), 1 + (i * 2) % 5, 1 + i % 4 FROM generate_series(1, 12) i;
INSERT INTO clinic.appointments
  SELECT i, 1 + (i * 37) % 131, 1 + (i * 7) % 22, CASE WHEN i % 9 > 0 THEN 1 + i % 12 END,
         timestamptz '2025-09-25 08:05Z' + i * interval '9 hours 11 min',
         timestamptz '2025-10-01 08:00Z' + i * interval '9 hours 20 min',
         (ARRAY[15, 20, 30, 45])[1 + i % 4],
         CASE WHEN timestamptz '2025-10-01 08:00Z' + i * interval '9 hours 20 min' > '2026-04-02 06:00Z' THEN CASE WHEN i % 13 = 0 THEN 'cancelled' ELSE 'booked' END
              ELSE (ARRAY['attended','attended','attended','cancelled','no_show','attended','attended'])[1 + i % 7] END,
         CASE WHEN i % 3 > 0 THEN (ARRAY['check-up','follow-up','pain','rash'])[1 + i % 4] END
  FROM generate_series(1, 520) i;
INSERT INTO clinic.invoices
  SELECT i, a.patient_id, a.appointment_id, (a.starts_at AT TIME ZONE 'Europe/Dublin')::date + 3, (a.starts_at AT TIME ZONE 'Europe/Dublin')::date + 33,
         CASE WHEN i % 4 > 0 THEN (a.starts_at AT TIME ZONE 'Europe/Dublin')::date + 3 + (i % 41)::int END,
         CASE WHEN i % 6 = 0 THEN 'GBP' ELSE 'EUR' END, 45 + (i % 23) * 7.35
  FROM (SELECT row_number() OVER (ORDER BY appointment_id) AS i, * FROM clinic.appointments WHERE status = 'attended') a;
INSERT INTO clinic.prescriptions
  SELECT i, a.appointment_id, (ARRAY['Amoxicillin','Ibuprofen','Atorvastatin','Salbutamol','Cetirizine'])[1 + i % 5], 10 * (1 + i % 6), CASE WHEN i % 3 > 0 THEN i % 4 END
  FROM (SELECT row_number() OVER (ORDER BY appointment_id) AS i, * FROM clinic.appointments WHERE status = 'attended') a WHERE i % 2 = 0;
INSERT INTO clinic.lab_results
  SELECT i, 1 + (i * 29) % 140, timestamptz '2026-01-02 07:10Z' + i * interval '7 hours 13 min', (ARRAY['HBA1C','CRP','TSH'])[1 + i % 3],
         CASE WHEN i % 8 > 0 THEN (i % 50) * 0.3125 END, (ARRAY['mmol/mol','mg/L','mIU/L'])[1 + i % 3]
  FROM generate_series(1, 300) i;
