-- A software product: accounts, users, subscriptions, invoices, metered usage. Two schemas by two teams, each with its own style of names.
CREATE SCHEMA app;
CREATE SCHEMA "Metering";

CREATE TABLE app.plans (
  plan_cd text PRIMARY KEY,
  "planName" text NOT NULL,
  monthly_cents integer
);
COMMENT ON TABLE app.plans IS 'Price plans';
COMMENT ON COLUMN app.plans.monthly_cents IS 'List price per seat and month in US cents; empty: by agreement';

CREATE TABLE app.accounts (
  account_id integer PRIMARY KEY,
  name text NOT NULL,
  ctry_cd text,
  created_at timestamptz NOT NULL,
  churned_at timestamptz
);
COMMENT ON TABLE app.accounts IS 'Customers of ours, companies';
COMMENT ON COLUMN app.accounts.ctry_cd IS 'Country code of the account, empty if unknown';
COMMENT ON COLUMN app.accounts.churned_at IS 'When the account left; empty while it is with us';

CREATE TABLE app."Users" (
  "UserId" integer PRIMARY KEY,
  "AccountId" integer NOT NULL REFERENCES app.accounts,
  "DisplayName" text,
  "Email" text NOT NULL,
  "Role" text NOT NULL CHECK ("Role" IN ('owner', 'admin', 'member')),
  is_sso boolean NOT NULL,
  "LastSeenAt" timestamptz
);
COMMENT ON TABLE app."Users" IS 'People who sign in; each belongs to one account';
COMMENT ON COLUMN app."Users".is_sso IS 'Signs in by single sign-on';

CREATE TABLE app.subs (
  sub_id bigint PRIMARY KEY,
  acct_id integer NOT NULL REFERENCES app.accounts,
  plan_cd text NOT NULL REFERENCES app.plans,
  seats integer,
  strt_dt date NOT NULL,
  end_dt date
);
COMMENT ON TABLE app.subs IS 'Subscriptions of accounts to plans';
COMMENT ON COLUMN app.subs.acct_id IS 'Account';
COMMENT ON COLUMN app.subs.strt_dt IS 'First day';
COMMENT ON COLUMN app.subs.end_dt IS 'Last day; empty: runs on';

CREATE TABLE app.inv (
  inv_id bigint PRIMARY KEY,
  acct_id integer NOT NULL REFERENCES app.accounts,
  inv_dt date NOT NULL,
  ccy text NOT NULL,
  amt_net numeric(12,2) NOT NULL,
  amt_tax numeric(12,2),
  pd_at timestamptz
);
COMMENT ON TABLE app.inv IS 'Invoices';
COMMENT ON COLUMN app.inv.inv_dt IS 'Invoice date';
COMMENT ON COLUMN app.inv.ccy IS 'Currency of the amounts, USD or EUR';
COMMENT ON COLUMN app.inv.amt_net IS 'Net amount, without tax';
COMMENT ON COLUMN app.inv.pd_at IS 'When it was paid; empty while it is unpaid';

CREATE TABLE app.tickets (
  ticket_no bigint PRIMARY KEY,
  subject text NOT NULL,
  state text NOT NULL,
  prio integer,
  opened_by integer NOT NULL REFERENCES app."Users",
  assigned_to integer NOT NULL REFERENCES app."Users",
  opened_at timestamptz NOT NULL
);
COMMENT ON TABLE app.tickets IS 'Support tickets; our own staff are users of account 1';

CREATE TABLE "Metering"."Features" (
  "FeatureKey" text PRIMARY KEY,
  "Title" text NOT NULL,
  unit text NOT NULL,
  "IsBillable" boolean NOT NULL
);
COMMENT ON COLUMN "Metering"."Features".unit IS 'What qty counts: call, GB or minute';

CREATE TABLE "Metering"."UsageEvents" (
  "EventId" bigint PRIMARY KEY,
  "AccountId" integer NOT NULL REFERENCES app.accounts,
  "UserId" integer REFERENCES app."Users",
  "FeatureKey" text NOT NULL REFERENCES "Metering"."Features",
  "OccurredAt" timestamptz NOT NULL,
  "ReceivedAt" timestamptz NOT NULL,
  qty numeric(12,3) NOT NULL
);
COMMENT ON TABLE "Metering"."UsageEvents" IS 'Usage events, one row for each metered use of a feature';
COMMENT ON COLUMN "Metering"."UsageEvents"."UserId" IS 'Empty: an automation, not a person';
COMMENT ON COLUMN "Metering"."UsageEvents"."OccurredAt" IS 'When the feature was used; bills go by this time';
COMMENT ON COLUMN "Metering"."UsageEvents"."ReceivedAt" IS 'When the event reached us, hours later at times';
COMMENT ON COLUMN "Metering"."UsageEvents".qty IS 'In the unit of the feature';

CREATE TABLE "Metering"."UsageEvents_2024" (
  "EventId" bigint PRIMARY KEY,
  "AccountId" integer NOT NULL,
  "FeatureKey" text NOT NULL,
  "OccurredAt" timestamptz NOT NULL,
  qty numeric(12,3)
);
COMMENT ON TABLE "Metering"."UsageEvents_2024" IS 'Frozen archive of 2024, incomplete, only for auditors';

CREATE TABLE "Metering".quota (
  acct_id integer NOT NULL REFERENCES app.accounts,
  feat_key text NOT NULL REFERENCES "Metering"."Features",
  lim numeric(12,3),
  PRIMARY KEY (acct_id, feat_key)
);
COMMENT ON TABLE "Metering".quota IS 'Monthly limit of an account for a feature; empty: no limit';
