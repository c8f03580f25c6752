-- Where loads go on: how far each of them has read its source.
SET LOCAL lock_timeout = '8s';

CREATE TABLE cursors (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT uuid_v7(),
    pipeline_id uuid NOT NULL,
    -- What is read and where it goes, as the spec names it: tasks can be renamed.
    source text NOT NULL,
    column_name text NOT NULL,
    target text NOT NULL,
    -- Values of the parameters on which the rows depend, as JSON with sorted names.
    params text NOT NULL,
    -- How often it has moved. The target remembers the same number.
    generation bigint NOT NULL DEFAULT 0,
    -- In the connector's own words; NULL means that everything is read.
    position jsonb,
    -- The same for people.
    shown text,
    -- The next load replaces what its target holds.
    refresh boolean NOT NULL DEFAULT false,
    -- The attempt that reads with it, as long as it has its lease.
    taken_by uuid,
    taken_token uuid,
    -- The load that moves it if it commits.
    pending_load uuid,
    moved_at timestamptz,
    moved_by uuid,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, pipeline_id) REFERENCES pipelines (workspace_id, id),
    CONSTRAINT cursors_position CHECK ((position IS NULL) = (shown IS NULL))
) WITH (fillfactor = 80);
-- A query may be longer than an entry of an index.
CREATE UNIQUE INDEX cursors_of_pipeline ON cursors (workspace_id, pipeline_id, md5(source), column_name, target, md5(params));

-- A load that is committed has moved its cursors: in the same statement, whoever finds out that the target holds it. The attempt is the one whose rows are there.
CREATE FUNCTION move_cursors() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE cursors c
    SET generation = (m.move ->> 'to_generation')::bigint, position = m.move -> 'position', shown = m.move ->> 'shown', refresh = false,
        pending_load = NULL, moved_at = clock_timestamp(), moved_by = NEW.run_id
    FROM intents i, jsonb_array_elements(i.intent -> 'cursors') AS m (move)
    WHERE i.workspace_id = NEW.workspace_id AND i.load_id = NEW.load_id AND i.attempt = NEW.attempt
      AND c.workspace_id = NEW.workspace_id AND c.id = (m.move ->> 'id')::uuid AND c.generation = (m.move ->> 'generation')::bigint;
    RETURN NULL;
END $$;
CREATE TRIGGER loads_move_cursors AFTER UPDATE OF state ON loads FOR EACH ROW
    WHEN (NEW.state = 'committed' AND OLD.state <> 'committed' AND NEW.intent ? 'cursors') EXECUTE FUNCTION move_cursors();
