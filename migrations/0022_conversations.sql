-- Questions in a row, and the steps of each answer. No row of a source and no secret is in them.
SET LOCAL lock_timeout = '8s';

CREATE TABLE conversations (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    id uuid NOT NULL DEFAULT uuid_v7(),
    -- Whose it is. Nobody else sees it.
    person text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    turns integer NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX conversations_of_person ON conversations (workspace_id, person, last_at);
-- For the chore that forgets old ones.
CREATE INDEX conversations_to_forget ON conversations (workspace_id, last_at);

-- A question with how it is read, e.g. the connections and the zone.
CREATE TABLE turns (
    workspace_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    number integer NOT NULL,
    question text NOT NULL,
    reading jsonb NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace_id, conversation_id, number),
    FOREIGN KEY (workspace_id, conversation_id) REFERENCES conversations (workspace_id, id) ON DELETE CASCADE
);

-- What happened since, in order. A turn whose last step ends it is over.
CREATE TABLE turn_steps (
    workspace_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    turn integer NOT NULL,
    number integer NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    document jsonb NOT NULL,
    PRIMARY KEY (workspace_id, conversation_id, turn, number),
    FOREIGN KEY (workspace_id, conversation_id, turn) REFERENCES turns (workspace_id, conversation_id, number) ON DELETE CASCADE
);

-- Deletes conversations in which nothing was asked since a time: at most so many. Returns how many were deleted.
CREATE FUNCTION forget_conversations(its_workspace uuid, before timestamptz, most integer) RETURNS integer
LANGUAGE sql
AS $$
    WITH gone AS (
        DELETE FROM conversations c
        WHERE c.workspace_id = its_workspace AND c.last_at < before AND c.id = ANY (ARRAY(
            SELECT o.id FROM conversations o WHERE o.workspace_id = its_workspace AND o.last_at < before ORDER BY o.last_at LIMIT most))
        RETURNING 1)
    SELECT count(*)::integer FROM gone
$$;
