-- Runs and their history. `stage_runs`, `attempts`, `task_runs`, `deps` and `logs` are partitioned by their time-ordered id, so that
-- old history is dropped by the partition. None has an index on a column that a transition changes: updates stay in their page.

CREATE TABLE runs (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT uuid_v7(),
    pipeline_id uuid NOT NULL,
    version_id uuid NOT NULL,
    state text NOT NULL
        CONSTRAINT runs_state CHECK (state IN ('pending', 'queued', 'running', 'succeeded', 'failed', 'canceled')),
    trigger text NOT NULL,
    params jsonb NOT NULL DEFAULT '{}',
    schedule_id uuid,
    fire_time timestamptz,
    interval_start timestamptz,
    interval_end timestamptz,
    rerun_of uuid,
    -- The one worker that may execute it: `headwater run` starts a worker for a single run.
    pinned_worker uuid,
    -- The one host that can read its staged datasets.
    host text,
    -- Stage runs that have not ended, and those that failed.
    remaining integer NOT NULL CHECK (remaining >= 0),
    failed_stages integer NOT NULL DEFAULT 0,
    cancel_requested_at timestamptz,
    error_message text,
    error_task text,
    error_hint text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at timestamptz,
    finished_at timestamptz,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, pipeline_id) REFERENCES pipelines (workspace_id, id),
    FOREIGN KEY (workspace_id, version_id) REFERENCES versions (workspace_id, id),
    FOREIGN KEY (workspace_id, schedule_id) REFERENCES schedules (workspace_id, id),
    FOREIGN KEY (workspace_id, rerun_of) REFERENCES runs (workspace_id, id),
    CONSTRAINT runs_end CHECK ((finished_at IS NOT NULL) = (state IN ('succeeded', 'failed', 'canceled'))),
    CONSTRAINT runs_end_complete CHECK (state NOT IN ('succeeded', 'failed', 'canceled') OR remaining = 0)
) WITH (fillfactor = 80);
CREATE INDEX runs_live ON runs (workspace_id, pipeline_id, id) WHERE state IN ('pending', 'queued', 'running');
CREATE INDEX runs_failed ON runs (workspace_id, id) WHERE state = 'failed';

CREATE TABLE stage_runs (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT uuid_v7(),
    run_id uuid NOT NULL,
    stage text NOT NULL,
    position integer NOT NULL,
    state text NOT NULL CONSTRAINT stage_runs_state
        CHECK (state IN ('pending', 'queued', 'running', 'waiting', 'succeeded', 'failed', 'canceled', 'skipped')),
    -- Upstream stage runs that have not succeeded yet.
    pending integer NOT NULL CHECK (pending >= 0),
    queue text NOT NULL,
    priority integer NOT NULL,
    retry jsonb NOT NULL,
    plan_format integer NOT NULL,
    -- Belongs to the stage run, and to its rerun from failure: the target's commit carries it.
    load_id uuid NOT NULL DEFAULT uuid_v7(),
    -- Number of the latest attempt; a rerun from failure goes on counting, since the target knows attempts by number.
    attempt integer NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,
    lost integer NOT NULL DEFAULT 0,
    run_at timestamptz,
    wake_at timestamptz,
    -- An attempt was lost after its intent: it might still commit.
    exposed boolean NOT NULL DEFAULT false,
    -- The state in which it must end once its load is fenced in the target.
    ending text CONSTRAINT stage_runs_ending CHECK (ending IN ('failed', 'canceled')),
    manifest json,
    error jsonb,
    reused_from uuid,
    started_at timestamptz,
    finished_at timestamptz,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, run_id) REFERENCES runs (workspace_id, id),
    CONSTRAINT stage_runs_waiting CHECK (state <> 'waiting' OR wake_at IS NOT NULL),
    CONSTRAINT stage_runs_end
        CHECK ((finished_at IS NOT NULL) = (state IN ('succeeded', 'failed', 'canceled', 'skipped')))
) PARTITION BY RANGE (id);
CREATE TABLE stage_runs_default PARTITION OF stage_runs DEFAULT WITH (fillfactor = 80);
CREATE INDEX stage_runs_of_run ON stage_runs (workspace_id, run_id);

CREATE TABLE deps (
    workspace_id uuid NOT NULL,
    run_id uuid NOT NULL,
    up_id uuid NOT NULL,
    down_id uuid NOT NULL,
    PRIMARY KEY (workspace_id, up_id, down_id),
    FOREIGN KEY (workspace_id, run_id) REFERENCES runs (workspace_id, id)
) PARTITION BY RANGE (up_id);
CREATE TABLE deps_default PARTITION OF deps DEFAULT;

CREATE TABLE attempts (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT uuid_v7(),
    run_id uuid NOT NULL,
    stage_run_id uuid NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    -- A fence takes the load id in the target so that no late attempt can commit it.
    kind text NOT NULL DEFAULT 'run' CHECK (kind IN ('run', 'fence')),
    worker_id uuid NOT NULL,
    state text NOT NULL CONSTRAINT attempts_state
        CHECK (state IN ('running', 'waiting', 'succeeded', 'failed', 'canceled', 'lost')),
    -- What a successor needs to end this attempt's sessions in targets, oldest first.
    handles jsonb NOT NULL DEFAULT '[]',
    error jsonb,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, stage_run_id) REFERENCES stage_runs (workspace_id, id),
    CONSTRAINT attempts_end CHECK ((finished_at IS NOT NULL) = (state <> 'running'))
) PARTITION BY RANGE (id);
CREATE TABLE attempts_default PARTITION OF attempts DEFAULT WITH (fillfactor = 80);
CREATE INDEX attempts_of_stage_run ON attempts (workspace_id, stage_run_id);

-- One per task of a stage run. Only ends are written: until then a task is where its stage run is.
CREATE TABLE task_runs (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT uuid_v7(),
    run_id uuid NOT NULL,
    stage_run_id uuid NOT NULL,
    task text NOT NULL,
    kind text NOT NULL,
    position integer NOT NULL,
    state text NOT NULL DEFAULT 'pending' CONSTRAINT task_runs_state
        CHECK (state IN ('pending', 'succeeded', 'failed', 'canceled', 'skipped')),
    rows bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    busy_us bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, stage_run_id) REFERENCES stage_runs (workspace_id, id)
) PARTITION BY RANGE (id);
CREATE TABLE task_runs_default PARTITION OF task_runs DEFAULT WITH (fillfactor = 80);
CREATE INDEX task_runs_of_run ON task_runs (workspace_id, run_id);
CREATE INDEX task_runs_of_stage_run ON task_runs (workspace_id, stage_run_id);

-- What a load did, or is about to do. Unique for ever, so not partitioned.
CREATE TABLE loads (
    workspace_id uuid NOT NULL,
    load_id uuid NOT NULL,
    run_id uuid NOT NULL,
    stage_run_id uuid NOT NULL,
    task text NOT NULL,
    state text NOT NULL
        CONSTRAINT loads_state CHECK (state IN ('committing', 'committed', 'superseded', 'failed')),
    attempt integer NOT NULL,
    -- The id is taken in the target by an empty commit: it can never load again.
    fenced boolean NOT NULL DEFAULT false,
    intent jsonb NOT NULL,
    receipt jsonb,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    PRIMARY KEY (workspace_id, load_id),
    FOREIGN KEY (workspace_id, run_id) REFERENCES runs (workspace_id, id),
    CONSTRAINT loads_proof CHECK (state <> 'committed' OR receipt IS NOT NULL)
) WITH (fillfactor = 80);

-- Every attempt's intent: the target says which attempt won, and that one's intent is the truth.
CREATE TABLE intents (
    workspace_id uuid NOT NULL,
    load_id uuid NOT NULL,
    attempt integer NOT NULL,
    intent jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace_id, load_id, attempt),
    FOREIGN KEY (workspace_id, load_id) REFERENCES loads (workspace_id, load_id)
);

CREATE TABLE fires (
    workspace_id uuid NOT NULL,
    schedule_id uuid NOT NULL,
    generation integer NOT NULL,
    fire_at timestamptz NOT NULL,
    outcome text NOT NULL CONSTRAINT fires_outcome CHECK (outcome IN ('fired', 'skipped', 'coalesced')),
    reason text,
    run_id uuid,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace_id, schedule_id, fire_at),
    FOREIGN KEY (workspace_id, schedule_id) REFERENCES schedules (workspace_id, id),
    FOREIGN KEY (workspace_id, run_id) REFERENCES runs (workspace_id, id),
    CONSTRAINT fires_run CHECK ((outcome = 'fired') = (run_id IS NOT NULL))
);

-- Written in bulk and never changed; a foreign key would cost a look-up for every line.
CREATE TABLE logs (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT uuid_v7(),
    run_id uuid NOT NULL,
    stage_run_id uuid NOT NULL,
    attempt_id uuid NOT NULL,
    level text NOT NULL CHECK (level IN ('info', 'warn', 'error')),
    task text,
    message text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, id)
) PARTITION BY RANGE (id);
CREATE TABLE logs_default PARTITION OF logs DEFAULT;
CREATE INDEX logs_of_run ON logs (workspace_id, run_id, id);
