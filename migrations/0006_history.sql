-- History by months: every statement locks all partitions of its tables, so there must be few. They are made ahead by a chore; what
-- falls outside of all of them goes into the default partitions.

-- By run: for forgetting it, and for what is asked about one run. None of these columns is changed by a transition.
SET LOCAL lock_timeout = '10s';
CREATE INDEX deps_of_run ON deps (workspace_id, run_id);
CREATE INDEX loads_of_run ON loads (workspace_id, run_id);
CREATE INDEX fires_of_run ON fires (workspace_id, run_id) WHERE run_id IS NOT NULL;
CREATE INDEX runs_reruns ON runs (workspace_id, rerun_of) WHERE rerun_of IS NOT NULL;

-- The smallest id of a time: ids begin with 48 bits of milliseconds.
CREATE FUNCTION first_id(at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Locks all of history, or fails soon: whoever waits for it gives up before the deadlock detector would end somebody else's work.
CREATE FUNCTION lock_history() RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM set_config('lock_timeout', '100ms', true);
    LOCK TABLE runs, stage_runs, deps, attempts, task_runs, logs IN ACCESS EXCLUSIVE MODE;
END $$;

-- Makes the partitions of the given number of months after the current one. Answers with how many were made.
CREATE FUNCTION prepare_history(months integer) RETURNS integer
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
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                           part, history, first_id(start AT TIME ZONE 'UTC'),
                           first_id((start + interval '1 month') AT TIME ZONE 'UTC'));
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

-- Forgets everything about at most so many runs that ended before a time, oldest first. Answers with how many there were. A run that a
-- younger one does again stays as long as that one: they share their loads.
CREATE FUNCTION forget_runs(before timestamptz, most integer) RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    old uuid[];
    stages uuid[];
    lowest uuid;
BEGIN
    old := ARRAY(
        SELECT r.id FROM runs r
        WHERE r.id < first_id(before) AND r.state IN ('succeeded', 'failed', 'canceled') AND r.finished_at < before
          AND NOT EXISTS (SELECT FROM runs y WHERE y.workspace_id = r.workspace_id AND y.rerun_of = r.id
                          AND (y.finished_at IS NULL OR y.finished_at >= before))
        ORDER BY r.id LIMIT most FOR UPDATE SKIP LOCKED);
    IF cardinality(old) = 0 THEN
        RETURN 0;
    END IF;
    -- Everything of a run is younger than the run, which lets whole partitions be passed over.
    lowest := old[1];
    stages := ARRAY(SELECT id FROM stage_runs WHERE run_id = ANY (old) AND id >= lowest);
    DELETE FROM logs WHERE run_id = ANY (old) AND id >= lowest;
    DELETE FROM attempts WHERE stage_run_id = ANY (stages) AND id >= lowest;
    DELETE FROM task_runs WHERE run_id = ANY (old) AND id >= lowest;
    DELETE FROM deps WHERE run_id = ANY (old) AND up_id >= lowest;
    DELETE FROM intents i USING loads l WHERE l.workspace_id = i.workspace_id AND l.load_id = i.load_id AND l.run_id = ANY (old);
    DELETE FROM loads WHERE run_id = ANY (old);
    DELETE FROM stage_runs WHERE id = ANY (stages);
    DELETE FROM fires WHERE run_id = ANY (old);
    UPDATE runs SET rerun_of = NULL WHERE rerun_of = ANY (old);
    DELETE FROM runs WHERE id = ANY (old);
    RETURN cardinality(old);
END $$;

-- Drops the partitions of months that are over and empty. Answers with how many were dropped.
CREATE FUNCTION drop_empty_history() RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    part record;
    filled boolean;
    dropped integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('headwater history'));
    FOR part IN
        SELECT c.relname AS name, p.relname AS history
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
        WHERE p.relname IN ('stage_runs', 'deps', 'attempts', 'task_runs', 'logs') AND p.relnamespace = 'public'::regnamespace
          AND c.relname ~ '_[0-9]{6}$'
          AND to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month' < clock_timestamp() AT TIME ZONE 'UTC'
        -- What refers to stage runs goes first.
        ORDER BY p.relname = 'stage_runs', c.relname
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I)', part.name) INTO filled;
        CONTINUE WHEN filled;
        IF dropped = 0 THEN
            PERFORM lock_history();
            -- Nobody can have filled it meanwhile: its month is over.
        END IF;
        EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', part.history, part.name);
        EXECUTE format('DROP TABLE %I', part.name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;
