-- The end of a link, and the current month's partitions.
SET LOCAL lock_timeout = '10s';

-- Ends one plain success that at most one stage run depends on, as a link of a chain does, and hands that one over to the worker: what
-- store/src/queue/finish.sql does for a batch, whose answers it gives too. A statement for batches spends most of its time on a single end setting up
-- and tearing down what it needs for many; simple statements that follow each other, each for one row, take a third less (docs/adr/0007).
--
-- The run is locked first, as everywhere; what is read of its stage runs after that doesn't change until the transaction ends. `from_id` and `to_id` are
-- bounds of the ids of all that was made together with the stage run: by them the executor passes over other months. Answers with a single row 'many',
-- having changed nothing, if more than one stage run depends on this one; with none if the token isn't current.
CREATE FUNCTION finish_link(
    its_workspace uuid, its_run uuid, its_stage_run uuid, its_attempt uuid, its_token uuid, its_manifest json, its_host text,
    its_tasks text[], its_rows bigint[], its_bytes bigint[], its_rejected bigint[], its_busy_us bigint[],
    taker uuid, taker_queues text[], taker_plan_formats integer[], taker_host text, taker_only_run uuid, taker_labels text[],
    from_id uuid, to_id uuid)
RETURNS TABLE (
    what text, more boolean, token uuid, stage_run_id uuid, queue text, workspace_id uuid, run_id uuid, attempt_id uuid, number integer,
    stage text, load_id uuid, wake_at timestamptz, version_id uuid, params jsonb, interval_start timestamptz, interval_end timestamptz)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    run record;
    below uuid[];
    next record;
    starts boolean := false;
BEGIN
    PERFORM FROM runs r WHERE r.id = its_run AND r.workspace_id = its_workspace FOR NO KEY UPDATE;
    SELECT array_agg(d.down_id) INTO below FROM deps d WHERE d.up_id = its_stage_run AND d.workspace_id = its_workspace;
    IF cardinality(below) > 1 THEN
        what := 'many';
        more := false;
        RETURN NEXT;
        RETURN;
    END IF;
    DELETE FROM leases l WHERE l.stage_run_id = its_stage_run AND l.token = its_token;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE attempts a SET state = 'succeeded', finished_at = clock_timestamp()
    WHERE a.id = its_attempt AND a.workspace_id = its_workspace;
    FOR n IN 1..cardinality(its_tasks) LOOP
        UPDATE task_runs t
        SET state = 'succeeded', rows = its_rows[n], bytes = its_bytes[n], rejected = its_rejected[n], busy_us = its_busy_us[n]
        WHERE t.stage_run_id = its_stage_run AND t.workspace_id = its_workspace AND t.task = its_tasks[n]
          AND (t.id BETWEEN from_id AND to_id OR t.id = from_id);
    END LOOP;
    UPDATE runs r
    SET remaining = r.remaining - 1, host = COALESCE(r.host, its_host),
        state = CASE WHEN r.remaining > 1 THEN r.state WHEN r.cancel_requested_at IS NOT NULL THEN 'canceled'
                     WHEN r.failed_stages > 0 THEN 'failed' ELSE 'succeeded' END,
        finished_at = CASE WHEN r.remaining = 1 THEN clock_timestamp() END
    WHERE r.id = its_run AND r.workspace_id = its_workspace
    RETURNING r.pinned_worker, r.host, r.version_id, r.params, r.interval_start, r.interval_end INTO run;

    SELECT s.id, s.stage, s.queue, s.priority, s.plan_format, s.labels, s.load_id, s.wake_at, s.attempt + 1 AS number, s.pending - 1 AS pending
    INTO next FROM stage_runs s WHERE s.id = below[1] AND s.workspace_id = its_workspace AND s.state = 'pending';
    IF taker IS NOT NULL THEN
        -- In the order of the index: rows that were claimed a moment ago are passed over there more quickly than in the table.
        PERFORM FROM ready q
        WHERE q.queue = ANY (taker_queues) AND q.run_at <= clock_timestamp() AND q.plan_format = ANY (taker_plan_formats)
          AND (q.host IS NULL OR q.host = taker_host) AND (q.worker_id IS NULL OR q.worker_id = taker)
          AND q.labels <@ taker_labels AND (taker_only_run IS NULL OR q.run_id = taker_only_run)
        ORDER BY q.rank LIMIT 1;
        more := FOUND;
        starts := next.pending = 0 AND NOT more AND NOT EXISTS (SELECT FROM limits)
            AND next.queue = ANY (taker_queues) AND next.plan_format = ANY (taker_plan_formats) AND (run.host IS NULL OR run.host = taker_host)
            AND (run.pinned_worker IS NULL OR run.pinned_worker = taker) AND next.labels <@ taker_labels
            AND (taker_only_run IS NULL OR taker_only_run = its_run);
    END IF;
    -- Both at once: what has ended and, if there is one, what comes next.
    UPDATE stage_runs s
    SET state = CASE WHEN s.id = its_stage_run THEN 'succeeded' WHEN s.pending > 1 THEN s.state WHEN starts THEN 'running' ELSE 'queued' END,
        pending = CASE WHEN s.id = its_stage_run THEN s.pending ELSE s.pending - 1 END,
        attempt = CASE WHEN s.id <> its_stage_run AND starts THEN s.attempt + 1 ELSE s.attempt END,
        started_at = CASE WHEN s.id <> its_stage_run AND starts THEN clock_timestamp() ELSE s.started_at END,
        finished_at = CASE WHEN s.id = its_stage_run THEN clock_timestamp() END,
        manifest = CASE WHEN s.id = its_stage_run THEN its_manifest END,
        error = NULL, ending = NULL
    WHERE s.id IN (its_stage_run, next.id) AND s.workspace_id = its_workspace;

    what := 'ended';
    more := COALESCE(more, false);
    token := its_token;
    RETURN NEXT;
    stage_run_id := next.id;
    queue := next.queue;
    IF starts THEN
        what := 'handed over';
        token := gen_random_uuid();
        attempt_id := uuid_v7();
        INSERT INTO leases (workspace_id, stage_run_id, run_id, attempt_id, number, token, worker_id)
        VALUES (its_workspace, next.id, its_run, attempt_id, next.number, token, taker);
        INSERT INTO attempts (workspace_id, id, run_id, stage_run_id, number, worker_id, state)
        VALUES (its_workspace, attempt_id, its_run, next.id, next.number, taker, 'running');
        workspace_id := its_workspace;
        run_id := its_run;
        number := next.number;
        stage := next.stage;
        load_id := next.load_id;
        wake_at := next.wake_at;
        version_id := run.version_id;
        params := run.params;
        interval_start := run.interval_start;
        interval_end := run.interval_end;
        RETURN NEXT;
    ELSIF next.pending = 0 THEN
        what := 'opened';
        INSERT INTO ready (workspace_id, stage_run_id, run_id, queue, rank, run_at, plan_format, worker_id, host, labels)
        VALUES (its_workspace, next.id, its_run, next.queue, clock_timestamp() - next.priority * interval '1 minute', clock_timestamp(),
                next.plan_format, run.pinned_worker, run.host, next.labels);
        RETURN NEXT;
    END IF;
END $$;

-- Makes the partitions of the current month, while nothing of it is in a default partition, and of the given number of months after it. With those of the
-- current month the default partitions stay empty from the first run on: a row in one of them is held against the bounds of all months whenever it
-- changes, and all of its rows are read, with history locked, for each month that is made. Answers with how many were made.
CREATE OR REPLACE FUNCTION prepare_history(months integer) RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    start timestamp;
    history text;
    part text;
    filled boolean;
    made integer := 0;
BEGIN
    -- One at a time: two chores that make the same partition would collide.
    PERFORM pg_advisory_xact_lock(hashtext('headwater history'));
    FOR month IN 0..months LOOP
        start := date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC') + month * interval '1 month';
        FOREACH history IN ARRAY ARRAY['stage_runs', 'deps', 'attempts', 'task_runs', 'logs'] LOOP
            part := history || '_' || to_char(start, 'YYYYMM');
            CONTINUE WHEN to_regclass(part) IS NOT NULL;
            EXECUTE format('SELECT EXISTS (SELECT FROM %I)', history || '_default') INTO filled;
            CONTINUE WHEN month = 0 AND filled;
            IF made = 0 THEN
                PERFORM lock_history();
            END IF;
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L) WITH (fillfactor = %s)',
                           part, history, first_id(start AT TIME ZONE 'UTC'),
                           first_id((start + interval '1 month') AT TIME ZONE 'UTC'), history_fillfactor(history));
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;
DO $$ BEGIN PERFORM prepare_history(0); END $$;
