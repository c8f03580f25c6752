-- The small hot tables: rows live for moments, so vacuum must look at them often. They have no foreign keys: each row is
-- made from a row of history in the same transaction and dies long before it.

-- What may be claimed. `rank` is the time it became ready minus a minute for each point of priority: a higher priority goes
-- first, and whatever waits long enough overtakes it.
CREATE TABLE ready (
    workspace_id uuid NOT NULL,
    stage_run_id uuid PRIMARY KEY,
    run_id uuid NOT NULL,
    queue text NOT NULL,
    rank timestamptz NOT NULL,
    run_at timestamptz NOT NULL,
    plan_format integer NOT NULL,
    worker_id uuid,
    host text,
    fence boolean NOT NULL DEFAULT false
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX ready_rank ON ready (rank);
CREATE INDEX ready_run ON ready (run_id);

-- Who executes what. Every answer needs the random token; whoever comes with another one is refused.
CREATE TABLE leases (
    workspace_id uuid NOT NULL,
    stage_run_id uuid PRIMARY KEY,
    run_id uuid NOT NULL,
    attempt_id uuid NOT NULL,
    number integer NOT NULL,
    token uuid NOT NULL,
    worker_id uuid NOT NULL,
    fence boolean NOT NULL DEFAULT false,
    progress jsonb,
    claimed_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX leases_worker ON leases (worker_id);
CREATE INDEX leases_run ON leases (run_id);

-- Stage runs that wait for time to pass.
CREATE TABLE wakes (
    workspace_id uuid NOT NULL,
    stage_run_id uuid PRIMARY KEY,
    run_id uuid NOT NULL,
    wake_at timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX wakes_due ON wakes (wake_at);

-- One row for each incarnation of a worker: a restart is a new worker.
CREATE TABLE workers (
    id uuid PRIMARY KEY,
    host text NOT NULL,
    queues text[] NOT NULL,
    slots integer NOT NULL CHECK (slots > 0),
    plan_formats integer[] NOT NULL,
    staging text,
    -- Set for a worker that executes a single run.
    only_run uuid,
    beat bigint NOT NULL DEFAULT 0,
    draining boolean NOT NULL DEFAULT false,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    beat_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 500);
