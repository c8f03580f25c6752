INSERT INTO clinic.departments VALUES (90, 'Neurology', 4, '2026-04-20');
UPDATE clinic.departments SET floor = 9 WHERE department_id = 1;
INSERT INTO clinic.patients VALUES (9001, 'New Patient', '1990-07-01', 'Sligo', NULL, '2026-05-02 10:00Z', NULL), (9002, 'Newer Patient', NULL, NULL, 'n@example.ie', '2026-05-03 10:00Z', 1);
UPDATE clinic.patients SET county = 'Wicklow' WHERE patient_id IN (1, 5);
INSERT INTO clinic.appointments VALUES
  (9001, 9001, 1, NULL, '2026-05-02 10:05Z', '2026-05-04 08:00Z', 30, 'booked', 'first visit'), (9002, 1, 2, 1, '2026-05-02 11:00Z', '2026-05-04 09:00Z', 15, 'cancelled', NULL);
UPDATE clinic.appointments SET status = 'cancelled' WHERE appointment_id = 16;
DELETE FROM clinic.prescriptions WHERE prescription_id = 2;
INSERT INTO clinic.invoices VALUES (9001, 1, NULL, '2026-04-15', '2026-05-15', NULL, 'EUR', 61.20);
UPDATE clinic.invoices SET paid_on = '2026-05-01' WHERE invoice_id = 7;
DELETE FROM clinic.invoices WHERE invoice_id = 6;
INSERT INTO clinic.lab_results VALUES (9001, 1, '2026-05-02 12:00Z', 'TSH', 3.5, 'mIU/L');
