-- Backfills: which runs are theirs, and the keys that loads of their slices replace.
SET LOCAL lock_timeout = '8s';

-- The backfill whose slice a run loads, as its first run did: a rerun stays one after that run is forgotten. Backfills are forgotten on their own.
ALTER TABLE runs ADD COLUMN backfill_id uuid;

-- A load by delete_insert replaces all rows of a key, so that a key of two slices would lose the rows of one of them. Written with the intent of a load.
CREATE TABLE backfill_keys (
    workspace_id uuid NOT NULL,
    backfill_id uuid NOT NULL,
    -- The table, as the spec names it.
    target text NOT NULL,
    -- A hash of the key.
    key uuid NOT NULL,
    -- Where the slice begins that holds it.
    starts_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, backfill_id, target, key),
    FOREIGN KEY (workspace_id, backfill_id) REFERENCES backfills (workspace_id, id) ON DELETE CASCADE
);
