-- Limits on what runs at a time, and pauses, which are limits of nothing.

-- The connections that a stage reads or writes, for limits on them.
ALTER TABLE stage_runs ADD COLUMN connections text[] NOT NULL DEFAULT '{}';

-- One row is the lock under which leases are counted: two claimers that each count 4 of 5 would make 6.
CREATE TABLE limits (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    kind text NOT NULL CONSTRAINT limits_kind CHECK (kind IN ('workspace', 'pipeline', 'queue', 'connection')),
    -- Of the pipeline, queue or connection; empty for the workspace.
    name text NOT NULL,
    -- Attempts at a time; absent if there is only a pause.
    slots integer CONSTRAINT limits_slots CHECK (slots > 0),
    paused_at timestamptz,
    PRIMARY KEY (workspace_id, kind, name),
    CONSTRAINT limits_name CHECK ((name = '') = (kind = 'workspace')),
    CONSTRAINT limits_purpose CHECK (slots IS NOT NULL OR paused_at IS NOT NULL)
);

-- Every limit that a stage run is under.
CREATE VIEW stage_run_limits AS
SELECT s.workspace_id, s.id AS stage_run_id, l.kind, l.name, l.slots, l.paused_at
FROM stage_runs s
JOIN runs r ON r.workspace_id = s.workspace_id AND r.id = s.run_id
JOIN pipelines p ON p.workspace_id = r.workspace_id AND p.id = r.pipeline_id
JOIN limits l ON l.workspace_id = s.workspace_id
    AND CASE l.kind
            WHEN 'workspace' THEN true
            WHEN 'pipeline' THEN l.name = p.name
            WHEN 'queue' THEN l.name = s.queue
            ELSE l.name = ANY (s.connections)
        END;
