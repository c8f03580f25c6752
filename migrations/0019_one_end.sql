-- The end of one success, as most ends are: a link of a chain, a load of its own.

-- Does what `end_successes` (0015) does, for one end that at most one stage run waits for, and gives the same answers. Statements for many rows spend most of
-- their time on a single one setting up what only many need; here each is for one row (docs/adr/0010). Answers with a single row 'many', and changes nothing,
-- if several stage runs wait for this one; with no row if the token isn't current.
--
-- `tasks` and `load_ids` have an element for each task and each load; `from_id` and `to_id` are bounds of the ids of all that was made together with the stage
-- run: by them the executor passes over other months.
CREATE FUNCTION end_success(
    its_workspace uuid, its_run uuid, its_stage_run uuid, its_attempt uuid, its_token uuid, its_manifest text, its_host text,
    tasks text[], rows_of bigint[], bytes_of bigint[], rejected_of bigint[], busy_us_of bigint[],
    load_ids uuid[], load_attempts integer[], receipts text[],
    taker uuid, taker_queues text[], taker_plan_formats integer[], taker_host text, taker_only_run uuid, taker_labels text[],
    data_slots integer, light_slots integer, from_id uuid, to_id uuid)
RETURNS TABLE (
    what text, more boolean, token uuid, stage_run_id uuid, queue text, workspace_id uuid, run_id uuid, attempt_id uuid, number integer,
    stage text, light boolean, load_id uuid, wake_at timestamptz, version_id uuid, params jsonb, interval_start timestamptz, interval_end timestamptz)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    below uuid[];
    next record;
    run record;
    more_data boolean;
    more_light boolean;
    starts boolean := false;
BEGIN
    -- The run first, as everywhere: what is read of its stage runs after that does not change until the transaction ends.
    PERFORM FROM runs r WHERE r.id = its_run AND r.workspace_id = its_workspace FOR NO KEY UPDATE;
    below := ARRAY(SELECT d.down_id FROM deps d WHERE d.up_id = its_stage_run AND d.workspace_id = its_workspace);
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
    FOR n IN 1..cardinality(tasks) LOOP
        UPDATE task_runs t
        SET state = 'succeeded', rows = rows_of[n], bytes = bytes_of[n], rejected = rejected_of[n], busy_us = busy_us_of[n]
        WHERE t.stage_run_id = its_stage_run AND t.workspace_id = its_workspace AND t.task = tasks[n]
          AND (t.id BETWEEN from_id AND to_id OR t.id = from_id);
    END LOOP;
    FOR n IN 1..cardinality(load_ids) LOOP
        UPDATE loads l
        SET state = 'committed', receipt = receipts[n]::jsonb, attempt = load_attempts[n], finished_at = clock_timestamp()
        WHERE l.workspace_id = its_workspace AND l.load_id = load_ids[n] AND l.state IN ('committing', 'failed');
    END LOOP;
    IF its_manifest IS NOT NULL THEN
        INSERT INTO staged_runs (workspace_id, run_id, host) VALUES (its_workspace, its_run, its_host) ON CONFLICT DO NOTHING;
    END IF;
    UPDATE runs r
    SET remaining = r.remaining - 1, host = COALESCE(r.host, its_host),
        state = run_state_after(r.state, r.remaining - 1, r.failed_stages, r.cancel_requested_at),
        finished_at = CASE WHEN r.remaining = 1 THEN clock_timestamp() END
    WHERE r.id = its_run AND r.workspace_id = its_workspace
    RETURNING r.pinned_worker, r.host, r.version_id, r.params, r.interval_start, r.interval_end INTO run;

    SELECT s.id, s.stage, s.queue, s.plan_format, s.labels, s.light, s.load_id, s.wake_at, s.attempt + 1 AS number, s.pending - 1 AS pending
    INTO next FROM stage_runs s WHERE s.id = below[1] AND s.workspace_id = its_workspace AND s.state = 'pending';
    IF taker IS NOT NULL THEN
        SELECT data_slots > 0 AND (
                   SELECT true FROM ready q
                   CROSS JOIN LATERAL admission(q.queue, q.plan_format, q.host, q.worker_id, q.labels, q.run_id,
                                                taker, taker_queues, taker_plan_formats, taker_host, taker_only_run, taker_labels)
                   WHERE NOT q.light AND q.run_at <= clock_timestamp() ORDER BY q.rank LIMIT 1) IS NOT NULL,
               light_slots > 0 AND (
                   SELECT true FROM ready q
                   CROSS JOIN LATERAL admission(q.queue, q.plan_format, q.host, q.worker_id, q.labels, q.run_id,
                                                taker, taker_queues, taker_plan_formats, taker_host, taker_only_run, taker_labels)
                   WHERE q.light AND q.run_at <= clock_timestamp() ORDER BY q.rank LIMIT 1) IS NOT NULL
        INTO more_data, more_light;
        IF next.pending = 0 AND (CASE WHEN next.light THEN light_slots > 0 AND NOT more_light ELSE data_slots > 0 AND NOT more_data END) THEN
            PERFORM FROM admission(next.queue, next.plan_format, run.host, run.pinned_worker, next.labels, its_run,
                                   taker, taker_queues, taker_plan_formats, taker_host, taker_only_run, taker_labels)
            WHERE NOT EXISTS (SELECT FROM limits);
            starts := FOUND;
        END IF;
    END IF;
    -- What has ended and what comes next at once.
    UPDATE stage_runs s
    SET state = CASE WHEN s.id = its_stage_run THEN 'succeeded' WHEN s.pending > 1 THEN s.state WHEN starts THEN 'running' ELSE 'queued' END,
        pending = CASE WHEN s.id = its_stage_run THEN s.pending ELSE s.pending - 1 END,
        attempt = CASE WHEN s.id <> its_stage_run AND starts THEN s.attempt + 1 ELSE s.attempt END,
        started_at = CASE WHEN s.id <> its_stage_run AND starts THEN clock_timestamp() ELSE s.started_at END,
        finished_at = CASE WHEN s.id = its_stage_run THEN clock_timestamp() END,
        manifest = CASE WHEN s.id = its_stage_run THEN its_manifest::json END,
        error = NULL, ending = NULL
    WHERE s.id IN (its_stage_run, next.id) AND s.workspace_id = its_workspace;

    what := 'ended';
    more := COALESCE(more_data OR more_light, false);
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
        light := next.light;
        load_id := next.load_id;
        wake_at := next.wake_at;
        version_id := run.version_id;
        params := run.params;
        interval_start := run.interval_start;
        interval_end := run.interval_end;
        RETURN NEXT;
    ELSIF next.pending = 0 THEN
        what := 'opened';
        PERFORM FROM open_stage_runs(ARRAY[next.id], from_id, to_id, interval '0', false);
        RETURN NEXT;
    END IF;
END $$;
