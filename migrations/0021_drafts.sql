-- Drafts that wait for a person, and what calls of models were made, cost and may cost.
SET LOCAL lock_timeout = '8s';

-- What a sentence became: a spec that a person may approve, or a question to them. No secret is in it.
CREATE TABLE drafts (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    id uuid NOT NULL DEFAULT uuid_v7(),
    state text NOT NULL CONSTRAINT drafts_state CHECK (state IN ('question', 'open', 'approved', 'discarded')),
    created_by text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The person's words.
    prompt text NOT NULL,
    -- The draft that it changes, or the question that it answers. That one may have been deleted since.
    base_id uuid,
    -- These five are NULL for a question.
    pipeline text,
    spec_text text,
    -- What an approval is bound to, and the SHA-256 of it.
    basis jsonb,
    hash bytea CONSTRAINT drafts_hash CHECK (octet_length(hash) = 32),
    -- Number of the pipeline's approved version when the draft was made.
    based_on integer,
    -- Requirements, assumptions, a question and its choices.
    document jsonb NOT NULL,
    -- The catalogs that it was made on: number and hash by connection.
    snapshots jsonb NOT NULL,
    -- How it was made. Without a model the first two are NULL; NULL tokens and costs are unknown, or there were none.
    model text,
    prompt_version text,
    rounds integer NOT NULL,
    tokens bigint,
    cost_nanos bigint,
    took_ms bigint NOT NULL,
    approved_by text,
    approved_at timestamptz,
    version_id uuid,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, version_id) REFERENCES versions (workspace_id, id),
    CONSTRAINT drafts_spec CHECK (num_nulls(pipeline, spec_text, basis, hash) IN (0, 4)),
    CONSTRAINT drafts_question CHECK (state = 'discarded' OR (state = 'question') = (spec_text IS NULL)),
    CONSTRAINT drafts_approved CHECK ((state = 'approved') = (version_id IS NOT NULL) AND (version_id IS NULL) = (approved_at IS NULL))
);
-- For the chore that forgets what nobody approved.
CREATE INDEX drafts_to_forget ON drafts (workspace_id, state, created_at) WHERE state <> 'approved';

-- Deletes discarded drafts, and open drafts and questions that were made before a time: at most so many. Returns how many were deleted.
CREATE FUNCTION forget_drafts(its_workspace uuid, before timestamptz, most integer) RETURNS integer
LANGUAGE sql
AS $$
    WITH old AS (
        (SELECT d.id FROM drafts d WHERE d.workspace_id = its_workspace AND d.state = 'discarded' ORDER BY d.created_at LIMIT most)
        UNION ALL
        (SELECT d.id FROM drafts d WHERE d.workspace_id = its_workspace AND d.state = 'open' AND d.created_at < before
         ORDER BY d.created_at LIMIT most)
        UNION ALL
        (SELECT d.id FROM drafts d WHERE d.workspace_id = its_workspace AND d.state = 'question' AND d.created_at < before
         ORDER BY d.created_at LIMIT most)
        LIMIT most),
    gone AS (
        -- One that is approved meanwhile stays.
        DELETE FROM drafts d WHERE d.workspace_id = its_workspace AND d.id = ANY (ARRAY(SELECT id FROM old)) AND d.state <> 'approved' RETURNING 1)
    SELECT count(*)::integer FROM gone
$$;

-- One row for each call of a model. Secrets are in none of its columns.
CREATE TABLE model_calls (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    id uuid NOT NULL DEFAULT uuid_v7(),
    at timestamptz NOT NULL,
    person text NOT NULL,
    -- The feature that called: compile, ask, explain.
    why text NOT NULL,
    -- The name that the configuration gives it, and the provider's own.
    model text NOT NULL,
    provider_model text,
    prompt_version text,
    -- NULL: the provider did not say.
    input_tokens bigint,
    cached_tokens bigint,
    output_tokens bigint,
    reasoning_tokens bigint,
    -- NULL: the price is unknown.
    cost_nanos bigint,
    latency_ms bigint NOT NULL,
    first_token_ms bigint,
    -- Whether a cache answered, and which.
    cache text NOT NULL,
    outcome text NOT NULL,
    request_hash bytea NOT NULL,
    -- NULL: there was no answer.
    answer_hash bytea,
    -- Only if the workspace says so.
    request_text text,
    answer_text text,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX model_calls_of_time ON model_calls (workspace_id, at);

-- Deletes calls that were made before a time: at most so many. Returns how many were deleted.
CREATE FUNCTION forget_model_calls(its_workspace uuid, before timestamptz, most integer) RETURNS integer
LANGUAGE sql
AS $$
    WITH gone AS (
        DELETE FROM model_calls c
        WHERE c.workspace_id = its_workspace AND c.id = ANY (ARRAY(
            SELECT o.id FROM model_calls o WHERE o.workspace_id = its_workspace AND o.at < before ORDER BY o.at LIMIT most))
        RETURNING 1)
    SELECT count(*)::integer FROM gone
$$;

-- What processes have taken of a person's budget of a day. A process leases a part ahead of its calls and gives back what is left.
CREATE TABLE model_budgets (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    person text NOT NULL,
    day date NOT NULL,
    leased_nanos bigint NOT NULL CONSTRAINT model_budgets_leased CHECK (leased_nanos >= 0),
    PRIMARY KEY (workspace_id, person, day)
);

-- Keys of providers, sealed as the secrets of connections are.
CREATE TABLE model_keys (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    name text NOT NULL CONSTRAINT model_keys_name CHECK (name <> '' AND length(name) <= 100),
    sealed bytea NOT NULL CHECK (octet_length(sealed) > 28),
    changed_by text,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace_id, name)
);
