-- Statements that are bounded by the work that there is, and not by history; rows that can't be read are set aside.
SET LOCAL lock_timeout = '8s';

-- A schedule that this build can't read, or whose run it can't make, doesn't keep the others waiting.
ALTER TABLE schedules
    ADD COLUMN problem text,
    ADD COLUMN set_aside_until timestamptz,
    -- When it was approved, changed or resumed: times after that are its own, whether or not a scheduler was alive.
    ADD COLUMN since timestamptz NOT NULL DEFAULT clock_timestamp();

-- How long this worker may be silent: the reaper goes by the worker's own setting.
ALTER TABLE workers ADD COLUMN lease_time_ms bigint NOT NULL DEFAULT 30000 CONSTRAINT workers_lease_time CHECK (lease_time_ms > 0);

-- What an attempt waits for before it begins, as its worker's heartbeats say.
ALTER TABLE leases ADD COLUMN waits_for text;

-- The few loads that a target has not answered yet. The reconciler looks at them every few seconds.
CREATE INDEX loads_committing ON loads (load_id) WHERE state = 'committing';

-- Fires that made no run are forgotten by their age.
CREATE INDEX fires_without_run ON fires (created_at) WHERE run_id IS NULL;

-- Keys by which a request that is repeated finds the run that it made the first time.
CREATE TABLE idempotency_keys (
    workspace_id uuid NOT NULL,
    key text NOT NULL CONSTRAINT idempotency_keys_key CHECK (octet_length(key) BETWEEN 1 AND 255),
    -- SHA-256 of what was asked for: the same key with another request is refused.
    request bytea NOT NULL CONSTRAINT idempotency_keys_request CHECK (octet_length(request) = 32),
    run_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace_id, key),
    FOREIGN KEY (workspace_id, run_id) REFERENCES runs (workspace_id, id)
);
CREATE INDEX idempotency_keys_of_run ON idempotency_keys (run_id);

-- Forgets everything about at most so many runs of a workspace that ended before a time, oldest first, among those with an id above the given one. A run
-- that a younger one does again stays as long as that one: they share their loads. Returns the last id that was looked at, or NULL if none was left,
-- so that the next batch begins there and nothing is looked at twice.
DROP FUNCTION forget_runs(timestamptz, integer);
CREATE FUNCTION forget_runs(its_workspace uuid, before timestamptz, above uuid, most integer, OUT last uuid, OUT forgotten integer)
LANGUAGE plpgsql
AS $$
DECLARE
    looked_at uuid[];
    old uuid[];
    stages uuid[];
    lowest uuid;
BEGIN
    looked_at := ARRAY(
        SELECT r.id FROM runs r WHERE r.workspace_id = its_workspace AND r.id > above AND r.id < first_id(before) ORDER BY r.id LIMIT most);
    last := looked_at[cardinality(looked_at)];
    old := ARRAY(
        SELECT r.id FROM runs r
        WHERE r.workspace_id = its_workspace AND r.id = ANY (looked_at) AND r.state IN ('succeeded', 'failed', 'canceled') AND r.finished_at < before
          AND NOT EXISTS (SELECT FROM runs y WHERE y.workspace_id = r.workspace_id AND y.rerun_of = r.id
                          AND (y.finished_at IS NULL OR y.finished_at >= before))
        ORDER BY r.id FOR UPDATE SKIP LOCKED);
    forgotten := cardinality(old);
    IF forgotten = 0 THEN
        RETURN;
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
    DELETE FROM idempotency_keys WHERE run_id = ANY (old);
    UPDATE runs SET rerun_of = NULL WHERE rerun_of = ANY (old);
    DELETE FROM runs WHERE id = ANY (old);
END $$;

-- Forgets at most so many fires that made no run and were recorded before a time. Returns how many there were.
CREATE FUNCTION forget_fires(before timestamptz, most integer) RETURNS integer
LANGUAGE sql
AS $$
    WITH old AS (
        SELECT workspace_id, schedule_id, fire_at FROM fires WHERE run_id IS NULL AND created_at < before ORDER BY created_at LIMIT most),
    gone AS (
        DELETE FROM fires f USING old
        WHERE f.workspace_id = old.workspace_id AND f.schedule_id = old.schedule_id AND f.fire_at = old.fire_at RETURNING 1)
    SELECT count(*)::integer FROM gone
$$;
