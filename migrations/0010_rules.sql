-- What a value may be is a rule of its type. Postgres reads and compiles the CHECKs of a table anew for every statement that writes it, which
-- took an eighth of a link of a chain; those of a type it keeps for the session. On the tables that change with every stage run, what
-- is left as a CHECK are the rules between columns, one for each table (ADR 5).
--
-- NOT VALID: the CHECKs that these rules replace held for all rows that there are, and nothing has to be read again.
SET LOCAL lock_timeout = '10s';

CREATE DOMAIN run_state AS text;
CREATE DOMAIN stage_run_state AS text;
CREATE DOMAIN stage_run_ending AS text;
CREATE DOMAIN attempt_state AS text;
CREATE DOMAIN attempt_kind AS text;
CREATE DOMAIN attempt_number AS integer;
CREATE DOMAIN task_run_state AS text;
-- How much is left to wait for.
CREATE DOMAIN countdown AS integer;

-- A type without rules can be taken on without writing the rows again.
ALTER TABLE runs
    DROP CONSTRAINT runs_state, DROP CONSTRAINT runs_end, DROP CONSTRAINT runs_end_complete, DROP CONSTRAINT runs_remaining_check,
    ALTER state TYPE run_state, ALTER remaining TYPE countdown,
    ADD CONSTRAINT runs_end CHECK (
        CASE WHEN state IN ('succeeded', 'failed', 'canceled') THEN finished_at IS NOT NULL AND remaining = 0
             ELSE finished_at IS NULL END) NOT VALID;
ALTER TABLE stage_runs
    DROP CONSTRAINT stage_runs_state, DROP CONSTRAINT stage_runs_end, DROP CONSTRAINT stage_runs_waiting,
    DROP CONSTRAINT stage_runs_ending, DROP CONSTRAINT stage_runs_pending_check,
    ALTER state TYPE stage_run_state, ALTER ending TYPE stage_run_ending, ALTER pending TYPE countdown,
    ADD CONSTRAINT stage_runs_end CHECK (
        CASE WHEN state IN ('succeeded', 'failed', 'canceled', 'skipped') THEN finished_at IS NOT NULL
             ELSE finished_at IS NULL AND (state <> 'waiting' OR wake_at IS NOT NULL) END) NOT VALID;
ALTER TABLE attempts
    DROP CONSTRAINT attempts_state, DROP CONSTRAINT attempts_end, DROP CONSTRAINT attempts_kind_check, DROP CONSTRAINT attempts_number_check,
    ALTER state TYPE attempt_state, ALTER kind TYPE attempt_kind, ALTER number TYPE attempt_number,
    ADD CONSTRAINT attempts_end CHECK ((finished_at IS NOT NULL) = (state <> 'running')) NOT VALID;
ALTER TABLE task_runs DROP CONSTRAINT task_runs_state, ALTER state TYPE task_run_state;

ALTER DOMAIN run_state ADD CONSTRAINT runs_state
    CHECK (VALUE IN ('pending', 'queued', 'running', 'succeeded', 'failed', 'canceled')) NOT VALID;
ALTER DOMAIN stage_run_state ADD CONSTRAINT stage_runs_state
    CHECK (VALUE IN ('pending', 'queued', 'running', 'waiting', 'succeeded', 'failed', 'canceled', 'skipped')) NOT VALID;
ALTER DOMAIN stage_run_ending ADD CONSTRAINT stage_runs_ending CHECK (VALUE IN ('failed', 'canceled')) NOT VALID;
ALTER DOMAIN attempt_state ADD CONSTRAINT attempts_state
    CHECK (VALUE IN ('running', 'waiting', 'succeeded', 'failed', 'canceled', 'lost')) NOT VALID;
ALTER DOMAIN attempt_kind ADD CONSTRAINT attempts_kind CHECK (VALUE IN ('run', 'fence')) NOT VALID;
ALTER DOMAIN attempt_number ADD CONSTRAINT attempts_number CHECK (VALUE > 0) NOT VALID;
ALTER DOMAIN task_run_state ADD CONSTRAINT task_runs_state
    CHECK (VALUE IN ('pending', 'succeeded', 'failed', 'canceled', 'skipped')) NOT VALID;
ALTER DOMAIN countdown ADD CONSTRAINT countdown_ends CHECK (VALUE >= 0) NOT VALID;

-- Two indexes fewer for every stage run to go through. A task run is looked for by its stage run, never by its id alone; what a run has in the queue
-- is found by its stage runs.
ALTER TABLE task_runs DROP CONSTRAINT task_runs_pkey, ADD PRIMARY KEY (stage_run_id, id, workspace_id);
DROP INDEX task_runs_of_stage_run, ready_run;
