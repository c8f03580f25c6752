-- Staged datasets are kept for as long as a rerun may read them, and an installation recognises its own among others' in one store.
SET LOCAL lock_timeout = '8s';

-- Who this installation is: staged files are under its id, so that two installations can share a bucket.
CREATE TABLE installation (
    the_one boolean PRIMARY KEY DEFAULT true CONSTRAINT installation_is_one CHECK (the_one),
    id uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO installation DEFAULT VALUES;

-- What a migration leaves to Rust and has not been done yet (store/src/schema/steps.rs).
CREATE TABLE upgrade_steps (name text PRIMARY KEY);
INSERT INTO upgrade_steps VALUES ('mask_versions');

-- The run whose end decides about the files: the newest rerun that took them over, or the run itself.
ALTER TABLE staged_runs ADD COLUMN held_by uuid;
-- Files are missing, so that a rerun must not read the others either.
ALTER TABLE staged_runs ADD COLUMN lost boolean NOT NULL DEFAULT false;
-- Files are being removed since this time; set before the first goes, so that no rerun takes over what is half there.
ALTER TABLE staged_runs ADD COLUMN clearing_since timestamptz;
CREATE INDEX staged_runs_holder ON staged_runs ((COALESCE(held_by, run_id)));

-- What earlier versions staged and never removed.
INSERT INTO staged_runs (workspace_id, run_id, host)
SELECT workspace_id, run_id, max(manifest ->> 'host') FROM stage_runs WHERE manifest IS NOT NULL AND reused_from IS NULL GROUP BY 1, 2
ON CONFLICT DO NOTHING;
WITH RECURSIVE chain AS (
    SELECT run_id, run_id AS holder FROM staged_runs
    UNION
    SELECT c.run_id, r.id FROM chain c JOIN runs r ON r.rerun_of = c.holder AND NOT COALESCE(r.rerun_all, false))
UPDATE staged_runs s SET held_by = (SELECT holder FROM chain c WHERE c.run_id = s.run_id ORDER BY holder DESC LIMIT 1);

-- As before, but that a run stays as long as the last of its reruns: a rerun of a rerun shares the loads of the first run, too.
CREATE OR REPLACE FUNCTION forget_runs(its_workspace uuid, before timestamptz, above uuid, most integer, OUT last uuid, OUT forgotten integer)
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
          AND NOT EXISTS (
              WITH RECURSIVE younger AS (
                  SELECT y.id, y.finished_at FROM runs y WHERE y.workspace_id = its_workspace AND y.rerun_of = r.id
                  UNION
                  SELECT z.id, z.finished_at FROM younger y JOIN runs z ON z.workspace_id = its_workspace AND z.rerun_of = y.id)
              SELECT FROM younger WHERE finished_at IS NULL OR finished_at >= before)
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
