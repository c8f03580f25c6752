-- Departments without practitioners, a practitioner without appointments, patients who share a name.
INSERT INTO clinic.departments VALUES (1, 'Cardiology', NULL, NULL), (2, 'cardiology', 1, '2012-09-17'), (3, ' Orthopaedics ', 3, '2009-03-02'), (4, 'Empty', 1, '2015-01-12'), (5, 'Physiotherapy', 0, '2026-03-29');
INSERT INTO clinic.practitioners VALUES
  (1, 'Aoife Byrne', 1, 'doctor', '2020-02-29', true), (2, 'Aoife Byrne', 2, 'doctor', '2020-03-01', true), (3, 'aoife byrne', 1, 'nurse', '2021-01-01', false),
  (4, '', 3, 'physio', '2025-12-31', true), (5, 'Never Seen', 5, 'physio', '2026-01-01', true), (6, 'Tie One', 3, 'doctor', '2019-05-05', true), (7, 'Tie Two', 3, 'doctor', '2019-05-05', true);
INSERT INTO clinic.insurers VALUES (1, 'Laya', ''), (2, 'laya', NULL), (3, ' VHI', 'V-2');
INSERT INTO clinic.patients VALUES
  (1, 'Mary Kelly', '1980-02-29', 'Galway', 'm@example.ie', '2025-12-31 23:59:59.999999Z', 1), (2, 'Mary Kelly', NULL, 'galway', NULL, '2026-01-01 00:00Z', 1),
  (3, 'Sean', '2026-03-29', ' Galway ', '', '2025-03-30 00:59Z', NULL), (4, '', '1999-12-31', '', 'x@example.ie', '2025-03-30 01:00Z', 2),
  (5, 'Nobody', NULL, NULL, NULL, '2026-02-28 23:30Z', NULL), (6, 'O''Brien; Pat', '1970-01-01', 'Galway', 'o@example.ie', '2025-06-30 23:30Z', 3), (7, 'Una', '1970-01-01', 'Cork', NULL, '2025-01-01 00:00Z', 3);
INSERT INTO clinic.rooms VALUES (1, 'R101', 1, NULL), (2, 'r101', 3, 0), (3, 'R102 ', 4, 2);
-- Borders of months, of the year and of summer time in Dublin (2026-03-29 01:00Z).
INSERT INTO clinic.appointments VALUES
  (1, 1, 1, 1, '2026-01-01 00:00Z', '2026-02-28 23:59:59.999999Z', 30, 'attended', NULL), (2, 1, 1, 2, '2026-02-01 00:00Z', '2026-03-01 00:00Z', 30, 'attended', ''),
  (3, 2, 1, NULL, '2026-03-01 00:00Z', '2026-03-29 00:59Z', 15, 'cancelled', 'check-up'), (4, 2, 2, 1, '2026-03-01 00:00Z', '2026-03-29 01:00Z', 0, 'cancelled', 'Check-up'),
  (5, 3, 2, 1, '2026-03-31 22:59Z', '2026-03-31 22:59:59Z', 20, 'cancelled', ' check-up '), (6, 3, 4, 3, '2026-03-31 23:00Z', '2026-03-31 23:00Z', 20, 'cancelled', 'check-up'),
  (7, 4, 6, 2, '2025-12-31 23:59Z', '2025-12-31 23:59Z', 45, 'no_show', NULL), (8, 4, 7, 2, '2026-01-01 00:00Z', '2026-01-01 00:00Z', 45, 'no_show', NULL),
  (9, 4, 6, 1, '2026-01-05 10:00Z', '2026-01-12 10:00Z', 20, 'no_show', 'x'), (10, 1, 7, 1, '2026-01-05 10:00Z', '2026-01-12 10:00Z', 20, 'no_show', 'x'),
  (11, 1, 1, 1, '2026-01-05 10:00Z', '2026-02-02 00:00Z', 20, 'no_show', 'x'), (12, 6, 3, NULL, '2026-03-15 10:00Z', '2026-03-31 23:30Z', 20, 'no_show', 'x'),
  (13, 6, 3, 1, '2026-03-15 10:00Z', '2026-02-01 00:00Z', 60, 'attended', 'x'), (14, 1, 4, 1, '2026-03-15 10:00Z', '2026-02-14 12:00Z', 5, 'attended', 'x'),
  (15, 6, 1, 1, '2026-03-15 10:00Z', '2026-02-14 12:00Z', 5, 'attended', 'x'), (16, 6, 2, 1, '2026-03-15 10:00Z', '2026-04-06 00:00Z', 5, 'booked', NULL),
  (17, 1, 2, 1, '2026-03-15 10:00Z', '2026-03-29 23:00Z', 5, 'booked', NULL), (18, 1, 2, 1, '2026-03-15 10:00Z', '2026-03-29 22:59Z', 5, 'booked', NULL),
  (19, 1, 2, 1, '2026-03-15 10:00Z', '2026-04-05 22:59:59Z', 5, 'booked', NULL), (20, 1, 2, 1, '2026-03-15 10:00Z', '2026-04-05 23:00Z', 5, 'booked', NULL),
  (21, 1, 2, 1, '2026-03-15 10:00Z', '2026-03-29 23:30Z', 5, 'booked', NULL), (22, 3, 2, 1, '2026-03-15 10:00Z', '2026-03-31 23:15Z', 5, 'attended', NULL);
INSERT INTO clinic.invoices VALUES
  (1, 1, 1, '2026-02-28', '2026-03-30', '2026-03-01', 'EUR', 0.00), (2, 1, NULL, '2026-03-01', '2026-03-31', NULL, 'EUR', -20.50), (3, 1, 2, '2026-03-31', '2026-04-30', NULL, 'GBP', 99999999.99),
  (4, 2, 2, '2026-03-31', '2026-04-30', '2026-04-30', 'EUR', 10.10), (5, 2, 2, '2026-03-31', '2026-04-30', '2026-04-30', 'EUR', 10.10), (6, 6, NULL, '2026-04-01', '2026-05-01', NULL, 'GBP', 0.01),
  (7, 6, 13, '2025-03-15', '2025-04-14', NULL, 'EUR', 75.00), (8, 4, NULL, '2026-03-15', '2026-03-15', '2026-03-14', 'EUR', 500.00);
INSERT INTO clinic.prescriptions VALUES (1, 1, 'Ibuprofen', 10, NULL), (2, 1, 'Ibuprofen', 10, 0), (3, 2, 'ibuprofen', -10, 2), (4, 13, ' Ibuprofen ', 0, 1), (5, 14, '', 7, 3), (6, 2, 'Cetirizine', 20, 1), (7, 2, 'Amoxicillin', 20, 1);
INSERT INTO clinic.lab_results VALUES
  (1, 1, '2026-03-29 00:59Z', 'CRP', NULL, 'mg/L'), (2, 1, '2026-03-29 01:00Z', 'CRP', 0, 'mg/L'), (3, 2, '2026-03-29 01:00Z', 'crp', -1.5, ''), (4, 3, '2026-02-28 23:59:59.999999Z', 'TSH', 2.0005, NULL),
  (5, 3, '2026-03-01 00:00Z', 'CRP', 2.0005, 'mg/L'), (6, 4, '2026-03-01 00:00Z', 'CRP', 7.25, 'mg/dL'), (7, 7, '2026-04-01 00:00Z', 'TSH', NULL, NULL), (8, 1, '2026-03-29 23:30Z', 'CRP', 1, 'mg/L');
