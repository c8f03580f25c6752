-- What people of a workspace call things, questions whose statements somebody has checked, and samples of values behind masks.
SET LOCAL lock_timeout = '8s';

CREATE TABLE glossary (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    term text NOT NULL CONSTRAINT glossary_term CHECK (term <> '' AND length(term) <= 200),
    connection_id uuid NOT NULL,
    -- The table below the connection.
    path text[] NOT NULL CONSTRAINT glossary_path CHECK (cardinality(path) > 0),
    -- SQL over columns of the table; a column by its name is one. Without it the term is the table.
    expression text,
    changed_by text,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (workspace_id, connection_id) REFERENCES connections (workspace_id, id) ON DELETE CASCADE
);
-- A term is found whatever its case.
CREATE UNIQUE INDEX glossary_of_term ON glossary (workspace_id, lower(term));

CREATE TABLE verified_questions (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    question text NOT NULL CONSTRAINT verified_questions_question CHECK (question <> '' AND length(question) <= 2000),
    -- One SELECT over tables named connection.path.
    sql text NOT NULL,
    checked_by text,
    checked_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX verified_questions_of_question ON verified_questions (workspace_id, lower(question));

-- What may be shown of a connection's values, and since when: what was sampled under other rules is not stored.
ALTER TABLE connections
    ADD COLUMN samples text NOT NULL DEFAULT 'none' CONSTRAINT connections_samples CHECK (samples IN ('none', 'values', 'rows')),
    ADD COLUMN samples_ruled_at timestamptz NOT NULL DEFAULT 'epoch';

-- Columns whose values nobody sees as they are.
CREATE TABLE column_masks (
    workspace_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    path text[] NOT NULL,
    column_name text NOT NULL,
    mask text NOT NULL CONSTRAINT column_masks_mask CHECK (mask IN ('hash', 'partial', 'redact', 'round', 'null')),
    PRIMARY KEY (workspace_id, connection_id, path, column_name),
    FOREIGN KEY (workspace_id, connection_id) REFERENCES connections (workspace_id, id) ON DELETE CASCADE
);

CREATE TABLE table_samples (
    workspace_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    path text[] NOT NULL,
    samples json NOT NULL,
    -- `connections.updated_at` of the settings that it was read with.
    settings_of timestamptz NOT NULL,
    read_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace_id, connection_id, path),
    FOREIGN KEY (workspace_id, connection_id) REFERENCES connections (workspace_id, id) ON DELETE CASCADE
);
