-- Rejects: rows and messages that a load has set aside instead of loading them.
SET LOCAL lock_timeout = '8s';

CREATE TABLE rejects (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT uuid_v7(),
    pipeline_id uuid NOT NULL,
    -- Runs and loads are forgotten on their own.
    run_id uuid NOT NULL,
    load_id uuid NOT NULL,
    -- The attempt that has read it. The target says which attempt's rows it holds.
    attempt integer NOT NULL,
    -- The check or the extract that has set it aside.
    task text NOT NULL,
    -- The dataset that was checked, or the topic with partition and offset.
    origin jsonb NOT NULL,
    code text NOT NULL,
    reason text NOT NULL,
    -- The row as JSON, or the value of the message as it came; NULL for a message without a value.
    content bytea,
    -- The content is longer than what is kept of it.
    truncated boolean NOT NULL,
    state text NOT NULL DEFAULT 'pending',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    discarded_at timestamptz,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, pipeline_id) REFERENCES pipelines (workspace_id, id),
    CONSTRAINT rejects_state CHECK (state IN ('pending', 'kept', 'discarded')),
    CONSTRAINT rejects_discarded CHECK ((state = 'discarded') = (discarded_at IS NOT NULL))
);
CREATE INDEX rejects_of_pipeline ON rejects (workspace_id, pipeline_id, id) WHERE state = 'kept';
CREATE INDEX rejects_of_load ON rejects (workspace_id, load_id);

-- A load that is committed keeps its rejects: in the same statement, whoever finds out that the target holds it. The attempt is the one whose rows are there.
CREATE FUNCTION keep_rejects() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM rejects WHERE workspace_id = NEW.workspace_id AND load_id = NEW.load_id AND attempt <> NEW.attempt;
    UPDATE rejects SET state = 'kept' WHERE workspace_id = NEW.workspace_id AND load_id = NEW.load_id AND state = 'pending';
    RETURN NULL;
END $$;
CREATE TRIGGER loads_keep_rejects AFTER UPDATE OF state ON loads FOR EACH ROW
    WHEN (NEW.state = 'committed' AND OLD.state <> 'committed' AND (NEW.receipt ->> 'rows_rejected') <> '0') EXECUTE FUNCTION keep_rejects();

-- Forgets rejects that were set aside before a time, the oldest first. Returns how many.
CREATE FUNCTION forget_rejects(its_workspace uuid, before timestamptz, most integer) RETURNS integer LANGUAGE sql AS $$
    WITH old AS (
        SELECT id FROM rejects WHERE workspace_id = its_workspace AND id < first_id(before) ORDER BY id LIMIT most FOR UPDATE SKIP LOCKED),
    gone AS (
        DELETE FROM rejects r USING old WHERE r.workspace_id = its_workspace AND r.id = old.id RETURNING r.id)
    SELECT count(*)::integer FROM gone
$$;

-- Rows and messages that its loads have set aside since it was made.
ALTER TABLE streams ADD COLUMN rejected bigint NOT NULL DEFAULT 0;
