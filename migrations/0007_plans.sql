-- Plans that stay right. A statement's plan is made once for each session, often while its tables are empty, and then every index looks
-- equally good: one that begins with the workspace would have been read from end to end for each row. So each index on a table that
-- grows begins with the column that is looked for, and leaves the planner no wrong choice.
SET LOCAL lock_timeout = '10s';

-- Attempts and task runs are made in the transaction that makes or takes their stage run; asking for it again once for each row, and locking
-- it, took a sixth of all the work (ADR 5). Like log lines they have no foreign key to it.
ALTER TABLE attempts DROP CONSTRAINT attempts_workspace_id_stage_run_id_fkey, DROP CONSTRAINT attempts_pkey;
ALTER TABLE task_runs DROP CONSTRAINT task_runs_workspace_id_stage_run_id_fkey, DROP CONSTRAINT task_runs_pkey;
ALTER TABLE stage_runs DROP CONSTRAINT stage_runs_pkey;
ALTER TABLE deps DROP CONSTRAINT deps_pkey;
ALTER TABLE logs DROP CONSTRAINT logs_pkey;
ALTER TABLE stage_runs ADD PRIMARY KEY (id, workspace_id);
ALTER TABLE deps ADD PRIMARY KEY (up_id, down_id, workspace_id);
ALTER TABLE logs ADD PRIMARY KEY (id, workspace_id);
ALTER TABLE attempts ADD PRIMARY KEY (id, workspace_id);
ALTER TABLE task_runs ADD PRIMARY KEY (id, workspace_id);

DROP INDEX stage_runs_of_run, attempts_of_stage_run, task_runs_of_run, task_runs_of_stage_run, logs_of_run, deps_of_run,
    loads_of_run, fires_of_run, runs_reruns, runs_live, leases_run;
CREATE INDEX stage_runs_of_run ON stage_runs (run_id);
CREATE INDEX attempts_of_stage_run ON attempts (stage_run_id);
CREATE INDEX task_runs_of_run ON task_runs (run_id);
CREATE INDEX task_runs_of_stage_run ON task_runs (stage_run_id);
CREATE INDEX logs_of_run ON logs (run_id, id);
CREATE INDEX deps_of_run ON deps (run_id);
CREATE INDEX loads_of_run ON loads (run_id);
CREATE INDEX fires_of_run ON fires (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX runs_reruns ON runs (rerun_of) WHERE rerun_of IS NOT NULL;
CREATE INDEX runs_live ON runs (pipeline_id, id) WHERE state IN ('pending', 'queued', 'running');
-- For the list of one pipeline's runs.
CREATE INDEX runs_of_pipeline ON runs (pipeline_id, id);

-- Room in each page for the versions of its rows, made moments after it was filled: updates that stay in their page touch no index.
-- A stage run is updated twice or three times, an attempt and a task run once.
CREATE FUNCTION history_fillfactor(history text) RETURNS integer
LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE history WHEN 'stage_runs' THEN 40 WHEN 'attempts' THEN 50 WHEN 'task_runs' THEN 50 ELSE 100 END
$$;
DO $$
DECLARE
    part record;
BEGIN
    FOR part IN
        SELECT c.oid::regclass AS name, p.relname AS history
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
        WHERE p.relkind = 'p' AND p.relname IN ('stage_runs', 'attempts', 'task_runs') AND p.relnamespace = 'public'::regnamespace
    LOOP
        EXECUTE format('ALTER TABLE %s SET (fillfactor = %s)', part.name, history_fillfactor(part.history));
    END LOOP;
END $$;

-- Makes the partitions of the given number of months after the current one, as before, and with that room. Answers with how many were made.
CREATE OR REPLACE FUNCTION prepare_history(months integer) RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    start timestamp;
    history text;
    part text;
    made integer := 0;
BEGIN
    -- One at a time: two chores that make the same partition would collide.
    PERFORM pg_advisory_xact_lock(hashtext('headwater history'));
    FOR month IN 1..months LOOP
        start := date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC') + month * interval '1 month';
        FOREACH history IN ARRAY ARRAY['stage_runs', 'deps', 'attempts', 'task_runs', 'logs'] LOOP
            part := history || '_' || to_char(start, 'YYYYMM');
            CONTINUE WHEN to_regclass(part) IS NOT NULL;
            IF made = 0 THEN
                PERFORM lock_history();
            END IF;
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L) WITH (fillfactor = %s)',
                           part, history, first_id(start AT TIME ZONE 'UTC'),
                           first_id((start + interval '1 month') AT TIME ZONE 'UTC'), history_fillfactor(history));
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

-- The same ids as before, as one expression that is put into the statement in place of the call: a row of each kind of history needs one.
-- 512/125 makes 4096ths of a millisecond of microseconds; the version goes between the 48 bits of the millisecond and the 12 of its fraction.
CREATE OR REPLACE FUNCTION uuid_v7() RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$
    SELECT (overlay(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 512 / 125), 15, '0') PLACING '7' FROM 13 FOR 0)
            || right(gen_random_uuid()::text, 17))::uuid
$$;
