-- Streams: pipelines that run until they are stopped, and follow their sources.
SET LOCAL lock_timeout = '8s';

CREATE TABLE streams (
    workspace_id uuid NOT NULL,
    pipeline_id uuid NOT NULL,
    state text NOT NULL DEFAULT 'running',
    -- Its present run, or its last one. Runs are forgotten on their own.
    run_id uuid,
    -- When the state was entered.
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Runs that failed since the last commit; the next one waits the longer the more there are.
    failures integer NOT NULL DEFAULT 0,
    not_before timestamptz,
    -- Why it does not run, or why its last run failed.
    error text,
    -- What its loads have committed since it was made.
    batches bigint NOT NULL DEFAULT 0,
    rows bigint NOT NULL DEFAULT 0,
    committed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace_id, pipeline_id),
    FOREIGN KEY (workspace_id, pipeline_id) REFERENCES pipelines (workspace_id, id),
    CONSTRAINT streams_state CHECK (state IN ('running', 'paused', 'failed'))
) WITH (fillfactor = 70);

-- Rows that a load of a stream has left for its next batches, about, and when it looked.
ALTER TABLE cursors ADD COLUMN behind bigint, ADD COLUMN looked_at timestamptz;
