-- Backfills: intervals of the past that are filled in, slice by slice.
SET LOCAL lock_timeout = '8s';

CREATE TABLE backfills (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT uuid_v7(),
    pipeline_id uuid NOT NULL,
    -- All slices run the version that was approved when it was started.
    version_id uuid NOT NULL,
    params jsonb NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    -- Slices at a time.
    parallel integer NOT NULL,
    state text NOT NULL DEFAULT 'running',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by text,
    ended_at timestamptz,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, pipeline_id) REFERENCES pipelines (workspace_id, id),
    FOREIGN KEY (workspace_id, version_id) REFERENCES versions (workspace_id, id),
    CONSTRAINT backfills_state CHECK (state IN ('running', 'paused', 'succeeded', 'failed', 'canceled')),
    CONSTRAINT backfills_parallel CHECK (parallel > 0),
    CONSTRAINT backfills_interval CHECK (starts_at < ends_at),
    CONSTRAINT backfills_ended CHECK ((ended_at IS NULL) = (state IN ('running', 'paused')))
);
-- Slices of two backfills of one pipeline might be the same.
CREATE UNIQUE INDEX backfills_under_way ON backfills (workspace_id, pipeline_id) WHERE state IN ('running', 'paused');

CREATE TABLE backfill_slices (
    workspace_id uuid NOT NULL,
    backfill_id uuid NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    -- Its run; NULL until it is its turn. Runs are forgotten on their own.
    run_id uuid,
    -- How the run ended, once that was seen.
    ended text,
    PRIMARY KEY (workspace_id, backfill_id, starts_at),
    FOREIGN KEY (workspace_id, backfill_id) REFERENCES backfills (workspace_id, id) ON DELETE CASCADE,
    CONSTRAINT backfill_slices_ended CHECK (ended IN ('succeeded', 'failed', 'canceled')),
    CONSTRAINT backfill_slices_run CHECK (ended IS NULL OR run_id IS NOT NULL)
);
-- A look at a backfill costs what is under way and what comes next, however many slices there are.
CREATE INDEX backfill_slices_waiting ON backfill_slices (workspace_id, backfill_id, starts_at) WHERE run_id IS NULL;
CREATE INDEX backfill_slices_under_way ON backfill_slices (workspace_id, backfill_id) WHERE run_id IS NOT NULL AND ended IS NULL;
CREATE INDEX backfill_slices_failed ON backfill_slices (workspace_id, backfill_id) WHERE ended IN ('failed', 'canceled');

CREATE FUNCTION forget_backfills(its_workspace uuid, before timestamptz, most integer) RETURNS integer
LANGUAGE sql
AS $$
    WITH gone AS (
        DELETE FROM backfills b
        WHERE b.workspace_id = its_workspace AND b.id = ANY (ARRAY(
            SELECT o.id FROM backfills o WHERE o.workspace_id = its_workspace AND o.ended_at < before ORDER BY o.id LIMIT most))
        RETURNING 1)
    SELECT count(*)::integer FROM gone
$$;
