-- A group of outpatient clinics in Ireland: appointments, invoices, laboratory.
CREATE SCHEMA clinic;

CREATE TABLE clinic.departments (
  department_id integer PRIMARY KEY,
  name text NOT NULL UNIQUE,
  floor integer,
  opened_on date
);
COMMENT ON TABLE clinic.departments IS 'Departments of the clinic';

CREATE TABLE clinic.practitioners (
  practitioner_id integer PRIMARY KEY,
  full_name text NOT NULL,
  department_id integer NOT NULL REFERENCES clinic.departments,
  role text NOT NULL CHECK (role IN ('doctor', 'nurse', 'physio')),
  hired_on date NOT NULL,
  active boolean NOT NULL
);
COMMENT ON TABLE clinic.practitioners IS 'Doctors, nurses and physiotherapists who see patients';
COMMENT ON COLUMN clinic.practitioners.role IS 'doctor, nurse or physio';
COMMENT ON COLUMN clinic.practitioners.active IS 'false once the person has left';

CREATE TABLE clinic.insurers (
  insurer_id integer PRIMARY KEY,
  name text NOT NULL UNIQUE,
  plan_code text
);

CREATE TABLE clinic.patients (
  patient_id integer PRIMARY KEY,
  full_name text NOT NULL,
  born_on date,
  county text,
  email text,
  registered_at timestamptz NOT NULL,
  insurer_id integer REFERENCES clinic.insurers
);
COMMENT ON COLUMN clinic.patients.county IS 'County of residence, free text';
COMMENT ON COLUMN clinic.patients.insurer_id IS 'Empty: the patient pays directly';

CREATE TABLE clinic.rooms (
  room_id integer PRIMARY KEY,
  label text NOT NULL UNIQUE,
  department_id integer NOT NULL REFERENCES clinic.departments,
  seats integer
);
COMMENT ON COLUMN clinic.rooms.department_id IS 'The department that owns the room; others may use it';

CREATE TABLE clinic.appointments (
  appointment_id bigint PRIMARY KEY,
  patient_id integer NOT NULL REFERENCES clinic.patients,
  practitioner_id integer NOT NULL REFERENCES clinic.practitioners,
  room_id integer REFERENCES clinic.rooms,
  booked_at timestamptz NOT NULL,
  starts_at timestamptz NOT NULL,
  minutes integer NOT NULL,
  status text NOT NULL CHECK (status IN ('booked', 'attended', 'cancelled', 'no_show')),
  reason text
);
COMMENT ON TABLE clinic.appointments IS 'One row for each appointment of a patient with a practitioner';
COMMENT ON COLUMN clinic.appointments.booked_at IS 'When the patient made the appointment';
COMMENT ON COLUMN clinic.appointments.starts_at IS 'When the appointment begins';
COMMENT ON COLUMN clinic.appointments.minutes IS 'Planned length';
COMMENT ON COLUMN clinic.appointments.status IS 'booked, attended, cancelled or no_show';

CREATE TABLE clinic.invoices (
  invoice_id bigint PRIMARY KEY,
  patient_id integer NOT NULL REFERENCES clinic.patients,
  appointment_id bigint REFERENCES clinic.appointments,
  issued_on date NOT NULL,
  due_on date NOT NULL,
  paid_on date,
  currency text NOT NULL CHECK (currency IN ('EUR', 'GBP')),
  amount numeric(10,2) NOT NULL
);
COMMENT ON COLUMN clinic.invoices.paid_on IS 'Empty while the invoice is unpaid';
COMMENT ON COLUMN clinic.invoices.currency IS 'EUR or GBP (patients from Northern Ireland)';
COMMENT ON COLUMN clinic.invoices.amount IS 'In the invoice''s currency; negative for credit notes';

CREATE TABLE clinic.prescriptions (
  prescription_id bigint PRIMARY KEY,
  appointment_id bigint NOT NULL REFERENCES clinic.appointments,
  drug text NOT NULL,
  quantity integer NOT NULL,
  repeats integer
);

CREATE TABLE clinic.lab_results (
  result_id bigint PRIMARY KEY,
  patient_id integer NOT NULL REFERENCES clinic.patients,
  taken_at timestamptz NOT NULL,
  test_code text NOT NULL,
  value numeric(12,4),
  unit text
);
COMMENT ON COLUMN clinic.lab_results.value IS 'Empty while the laboratory is working on it';
