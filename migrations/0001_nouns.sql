-- The nouns of the control plane: what people make and keep. docs/state_machine.md has the states; README.md the rules of this folder.

-- Ids are time-ordered (UUIDv7) and made on the database's clock, so that one clock orders everything. The 12 bits after
-- the millisecond hold its fraction, which keeps ids of one millisecond in order too.
CREATE FUNCTION uuid_v7() RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$
    SELECT encode(
        int8send((us / 1000) << 16 | 28672 | ((us % 1000) * 4096 / 1000))
        || substring(uuid_send(gen_random_uuid()) FROM 9 FOR 8), 'hex')::uuid
    FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS us) AS clock
$$;

-- Which binaries may run on this database: those whose own number is not below the floor.
CREATE TABLE compat_floor (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    floor integer NOT NULL
);
INSERT INTO compat_floor (floor) VALUES (1);

CREATE TABLE workspaces (
    id uuid PRIMARY KEY DEFAULT uuid_v7(),
    name text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO workspaces (id, name) VALUES ('00000000-0000-7000-8000-000000000001', 'default');

CREATE TABLE pipelines (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    id uuid NOT NULL DEFAULT uuid_v7(),
    name text NOT NULL,
    current_version_id uuid,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name)
);

-- Immutable. Spec and plan are `json`, not `jsonb`, because the order of their keys means something.
CREATE TABLE versions (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT uuid_v7(),
    pipeline_id uuid NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    spec_text text NOT NULL,
    spec json NOT NULL,
    plan json NOT NULL,
    plan_format integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, pipeline_id, number),
    UNIQUE (workspace_id, pipeline_id, hash),
    FOREIGN KEY (workspace_id, pipeline_id) REFERENCES pipelines (workspace_id, id)
);
ALTER TABLE pipelines
    ADD FOREIGN KEY (workspace_id, current_version_id) REFERENCES versions (workspace_id, id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are immutable', TG_TABLE_NAME;
END $$;
CREATE TRIGGER versions_are_immutable BEFORE UPDATE ON versions FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE connections (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    id uuid NOT NULL DEFAULT uuid_v7(),
    name text NOT NULL,
    connector text NOT NULL,
    -- Fit to be shown: every secret replaced.
    shown jsonb NOT NULL,
    -- nonce, ciphertext and tag of the whole settings (AES-256-GCM).
    sealed bytea NOT NULL CHECK (octet_length(sealed) > 28),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name)
);

CREATE TABLE schedules (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT uuid_v7(),
    pipeline_id uuid NOT NULL,
    spec json NOT NULL,
    -- Bumped by every edit: a fire planned before it is refused.
    generation integer NOT NULL DEFAULT 1,
    anchor timestamptz NOT NULL DEFAULT clock_timestamp(),
    paused_at timestamptz,
    -- Set when the pipeline's current version has no schedule any more.
    retired_at timestamptz,
    last_fire_at timestamptz,
    next_fire_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, pipeline_id),
    FOREIGN KEY (workspace_id, pipeline_id) REFERENCES pipelines (workspace_id, id)
);
CREATE INDEX schedules_due ON schedules (next_fire_at) WHERE paused_at IS NULL AND retired_at IS NULL;
