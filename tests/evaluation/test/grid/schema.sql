-- An energy supplier and grid operator: eleven tables in use among 1,989 look-alikes.
CREATE SCHEMA customer;
CREATE SCHEMA metering;
CREATE SCHEMA network;
CREATE SCHEMA billing;

CREATE TABLE customer.account (
  account_id integer PRIMARY KEY,
  holder text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('household', 'business', 'public')),
  city text,
  opened_on date NOT NULL,
  closed_on date
);
COMMENT ON TABLE customer.account IS 'Customer accounts';
COMMENT ON COLUMN customer.account.kind IS 'household, business or public';

CREATE TABLE network.substation (
  substation_id integer PRIMARY KEY,
  name text NOT NULL UNIQUE,
  region text NOT NULL CHECK (region IN ('north', 'south', 'coast')),
  capacity_kw numeric(10,1) NOT NULL
);
COMMENT ON COLUMN network.substation.region IS 'north, south or coast';

CREATE TABLE network.outage (
  outage_id bigint PRIMARY KEY,
  substation_id integer NOT NULL REFERENCES network.substation,
  began_at timestamptz NOT NULL,
  ended_at timestamptz,
  cause text,
  customers_affected integer
);
COMMENT ON TABLE network.outage IS 'Interruptions of supply';
COMMENT ON COLUMN network.outage.ended_at IS 'Empty while the interruption lasts';

CREATE TABLE metering.meter_point (
  meter_point_id integer PRIMARY KEY,
  account_id integer NOT NULL REFERENCES customer.account,
  substation_id integer NOT NULL REFERENCES network.substation,
  address text,
  postcode text
);

CREATE TABLE metering.meter (
  meter_id integer PRIMARY KEY,
  serial text NOT NULL UNIQUE,
  meter_point_id integer REFERENCES metering.meter_point,
  medium text NOT NULL CHECK (medium IN ('power', 'gas', 'heat')),
  installed_on date NOT NULL,
  removed_on date,
  smart boolean NOT NULL
);
COMMENT ON TABLE metering.meter IS 'Meters, in use, in stock and removed';
COMMENT ON COLUMN metering.meter.meter_point_id IS 'Empty while the meter is in stock';
COMMENT ON COLUMN metering.meter.medium IS 'power, gas or heat';

CREATE TABLE metering.reading_daily (
  meter_id integer NOT NULL REFERENCES metering.meter,
  day date NOT NULL,
  kwh numeric(12,3) NOT NULL,
  quality text NOT NULL CHECK (quality IN ('measured', 'estimated', 'replaced')),
  PRIMARY KEY (meter_id, day)
);
COMMENT ON TABLE metering.reading_daily IS 'Consumption of each meter and day, corrected for replaced values';
COMMENT ON COLUMN metering.reading_daily.quality IS 'measured, estimated or replaced';

CREATE TABLE metering.reading_quarter_hour (
  meter_id integer NOT NULL REFERENCES metering.meter,
  measured_at timestamptz NOT NULL,
  kwh numeric(10,4),
  PRIMARY KEY (meter_id, measured_at)
);
COMMENT ON TABLE metering.reading_quarter_hour IS 'Consumption of smart meters per quarter of an hour, as it arrived';

CREATE TABLE billing.tariff (
  tariff_code text PRIMARY KEY,
  name text NOT NULL,
  valid_from date,
  price_per_kwh numeric(8,5) NOT NULL,
  base_fee numeric(8,2) NOT NULL
);

CREATE TABLE billing.contract (
  contract_id integer PRIMARY KEY,
  account_id integer NOT NULL REFERENCES customer.account,
  tariff_code text NOT NULL REFERENCES billing.tariff,
  begins_on date NOT NULL,
  ends_on date
);
COMMENT ON COLUMN billing.contract.ends_on IS 'Empty for a contract without an end';

CREATE TABLE billing.invoice (
  invoice_id bigint PRIMARY KEY,
  contract_id integer NOT NULL REFERENCES billing.contract,
  period_start date NOT NULL,
  period_end date NOT NULL,
  net numeric(12,2) NOT NULL,
  vat numeric(12,2) NOT NULL,
  state text NOT NULL CHECK (state IN ('draft', 'sent', 'paid', 'cancelled')),
  sent_on date
);
COMMENT ON COLUMN billing.invoice.net IS 'Euro without tax';
COMMENT ON COLUMN billing.invoice.state IS 'draft, sent, paid or cancelled';

CREATE TABLE billing.payment (
  payment_id bigint PRIMARY KEY,
  invoice_id bigint REFERENCES billing.invoice,
  received_on date NOT NULL,
  amount numeric(12,2) NOT NULL,
  method text
);
COMMENT ON COLUMN billing.payment.invoice_id IS 'Empty until the payment is assigned';
COMMENT ON COLUMN billing.payment.amount IS 'Euro; negative for refunds';

-- The look-alikes, all of them empty: 1,200 closed months, 400 staging tables, 200 reports, 189 of an old system.
-- Their short varchar columns need no TOAST tables, so that one transaction can create them all with the default number of locks.
CREATE SCHEMA archive;
CREATE SCHEMA staging;
CREATE SCHEMA reporting;
CREATE SCHEMA legacy;
DO $$
DECLARE
  entities CONSTANT text[] := ARRAY['meter', 'meter_point', 'reading_daily', 'reading_hourly', 'contract', 'invoice', 'invoice_line', 'payment', 'tariff', 'account',
    'substation', 'outage', 'feeder', 'transformer', 'crew', 'work_order', 'complaint', 'credit_check', 'load_forecast', 'weather_station'];
  entity text;
  name text;
BEGIN
  FOREACH entity IN ARRAY entities LOOP
    FOR month IN 0..59 LOOP
      name := format('%s_%s', entity, to_char(date '2016-01-01' + month * interval '1 month', 'YYYY_MM'));
      EXECUTE format('CREATE TABLE archive.%I (%I bigint, period date, status varchar(20), amount numeric(12,2), kwh numeric(12,3), closed_at timestamptz)', name, entity || '_id');
      IF month % 6 = 0 THEN
        EXECUTE format('COMMENT ON TABLE archive.%I IS %L', name, 'Closed month, kept for the auditors');
      END IF;
    END LOOP;
    FOR load IN 1..20 LOOP
      EXECUTE format('CREATE TABLE staging.%I (%I bigint, payload varchar(200), received_at timestamptz, batch integer)', format('stg_%s_load_%s', entity, load), entity || '_id');
    END LOOP;
    FOR report IN 1..10 LOOP
      EXECUTE format('CREATE TABLE reporting.%I (period date, region varchar(20), total numeric(14,3), number_of_rows bigint)', format('rpt_%s_v%s', entity, report));
    END LOOP;
  END LOOP;
  FOR n IN 1..189 LOOP
    EXECUTE format('CREATE TABLE legacy.%I (mandt varchar(3), vertrag bigint, zaehler varchar(20), ab date, bis date, betrag numeric(13,2))', format('zisu_%s%s', chr(97 + n % 7), lpad(n::text, 4, '0')));
  END LOOP;
END
$$;
