-- What people ask for: who asked, connections of a single run, reruns that are found again, and counts of what has ended.
SET LOCAL lock_timeout = '10s';

-- One row for each change that somebody asked for, written in the transaction of the change. Nothing in it is secret.
CREATE TABLE audit (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    id uuid NOT NULL DEFAULT uuid_v7(),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    -- How the actor reached Headwater.
    face text NOT NULL CONSTRAINT audit_face CHECK (face IN ('command_line', 'http', 'mcp', 'assistant')),
    action text NOT NULL,
    subject text NOT NULL,
    detail jsonb NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_is_never_emptied BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Names of the environment's variables that a connection may resolve: those that it referenced when somebody stored it. NULL in rows
-- that are older than this column: they resolve what they reference.
ALTER TABLE connections ADD COLUMN variables text[];

-- Connections that a run brought along. They serve its attempts and its reruns, and go with it.
CREATE TABLE run_connections (
    workspace_id uuid NOT NULL,
    run_id uuid NOT NULL,
    name text NOT NULL,
    connector text NOT NULL,
    -- The run that brought them and that the seal is bound to; a rerun takes them over as they are.
    sealed_for uuid NOT NULL,
    sealed bytea NOT NULL CHECK (octet_length(sealed) > 28),
    PRIMARY KEY (workspace_id, run_id, name),
    FOREIGN KEY (workspace_id, run_id) REFERENCES runs (workspace_id, id) ON DELETE CASCADE
);

-- Of a rerun: whether everything was done again, or only what had not succeeded.
ALTER TABLE runs ADD COLUMN rerun_all boolean;

-- Runs that have ended and are not counted yet. Whoever deletes a row counts the run and reports its failure, once.
CREATE TABLE ended_runs (
    workspace_id uuid NOT NULL,
    run_id uuid PRIMARY KEY
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);

CREATE FUNCTION note_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ended_runs (workspace_id, run_id) VALUES (NEW.workspace_id, NEW.id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
-- The condition is evaluated without calling the function, so an update that ends nothing costs next to nothing.
CREATE TRIGGER runs_note_end AFTER UPDATE OF state ON runs FOR EACH ROW
    WHEN (NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL) EXECUTE FUNCTION note_end();

-- What has ended, by kind and state: a few rows that metrics read instead of history.
CREATE TABLE rollups (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    kind text NOT NULL CONSTRAINT rollups_kind CHECK (kind IN ('run', 'stage_run', 'load')),
    state text NOT NULL,
    count bigint NOT NULL,
    seconds double precision NOT NULL,
    -- How many took at most 0.01, 0.1, 1, 10, 60, 600 and 3600 seconds.
    buckets bigint[] NOT NULL CONSTRAINT rollups_buckets CHECK (cardinality(buckets) = 7),
    PRIMARY KEY (workspace_id, kind, state)
) WITH (fillfactor = 50);
