-- What connections can read, as it was when somebody or something looked: one row for each state that was seen, numbered from 1.
SET LOCAL lock_timeout = '8s';

CREATE TABLE catalog_snapshots (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT uuid_v7(),
    connection_id uuid NOT NULL,
    number integer NOT NULL CONSTRAINT catalog_snapshots_number CHECK (number > 0),
    -- SHA-256 of all but the estimated rows: the same state again is the same snapshot, seen later.
    hash bytea NOT NULL CONSTRAINT catalog_snapshots_hash CHECK (octet_length(hash) = 32),
    catalog json NOT NULL,
    -- `connections.updated_at` of the settings that it was read with: what other settings reach is another catalog.
    settings_of timestamptz NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, connection_id, number),
    FOREIGN KEY (workspace_id, connection_id) REFERENCES connections (workspace_id, id) ON DELETE CASCADE
);

-- When the chore that refreshes catalogs took a connection last, whether it could be reached or not.
ALTER TABLE connections ADD COLUMN catalog_tried_at timestamptz;
