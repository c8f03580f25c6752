-- One door for each change of state: one insert into `ready`, one admission, one rule of how a run ends, one end of successes.
SET LOCAL lock_timeout = '8s';

-- Light stages only wait or ask: they move no data and need no slot of those that do. A worker runs hundreds of them beside its data.
ALTER TABLE stage_runs ADD COLUMN light boolean NOT NULL DEFAULT false;
ALTER TABLE ready ADD COLUMN light boolean NOT NULL DEFAULT false;
ALTER TABLE workers ADD COLUMN light_slots integer NOT NULL DEFAULT 0 CONSTRAINT workers_light_slots CHECK (light_slots >= 0);
DROP INDEX ready_rank;
CREATE INDEX ready_rank ON ready (light, rank);

-- Runs that have staged datasets, until those are removed. `host` is set if only that host can do it.
CREATE TABLE staged_runs (
    workspace_id uuid NOT NULL,
    run_id uuid PRIMARY KEY,
    host text,
    staged_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The order of the queue: the time that a stage run became ready minus a minute for each point of priority. A higher priority goes first, and whatever
-- waits long enough overtakes it.
CREATE FUNCTION rank_of(at timestamptz, priority integer) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT at - priority * interval '1 minute' $$;

-- The state of a run of which so many stage runs are left.
CREATE FUNCTION run_state_after(state text, left_over integer, failed_stages integer, cancel_requested_at timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN left_over > 0 THEN state WHEN cancel_requested_at IS NOT NULL THEN 'canceled'
                WHEN failed_stages > 0 THEN 'failed' ELSE 'succeeded' END
$$;

-- Whether a worker may take a stage run: one row if it may, none if not. Postgres puts it into the statement in place of the call. Limits and pauses come
-- on top (store/src/lifecycle/limited.rs).
CREATE FUNCTION admission(
    its_queue text, its_plan_format integer, its_host text, its_worker uuid, its_labels text[], its_run uuid,
    taker uuid, taker_queues text[], taker_plan_formats integer[], taker_host text, taker_only_run uuid, taker_labels text[])
RETURNS SETOF boolean
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
AS $$
    SELECT true
    WHERE its_queue = ANY (taker_queues) AND its_plan_format = ANY (taker_plan_formats)
      AND (its_host IS NULL OR its_host = taker_host) AND (its_worker IS NULL OR its_worker = taker)
      AND its_labels <@ taker_labels AND (taker_only_run IS NULL OR its_run = taker_only_run)
$$;

-- Puts stage runs into the queue: the only statement that does. All of them were made between the two ids (the executor passes over other months by them).
CREATE FUNCTION open_stage_runs(ids uuid[], from_id uuid, to_id uuid, delay interval, its_fence boolean)
RETURNS TABLE (stage_run_id uuid, queue text)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    INSERT INTO ready AS q (workspace_id, stage_run_id, run_id, queue, rank, run_at, plan_format, worker_id, host, labels, light, fence)
    SELECT s.workspace_id, s.id, s.run_id, s.queue, rank_of(clock_timestamp() + delay, s.priority), clock_timestamp() + delay, s.plan_format,
           r.pinned_worker, r.host, s.labels, s.light AND NOT its_fence, its_fence
    FROM stage_runs s JOIN runs r ON r.workspace_id = s.workspace_id AND r.id = s.run_id
    WHERE s.id = ANY (ids) AND (s.id BETWEEN from_id AND to_id OR s.id = from_id)
    RETURNING q.stage_run_id, q.queue;
END $$;

-- Ends attempts that succeeded: frees leases, closes attempts, stage runs, task runs and loads, and counts runs and dependents down. What has nothing left
-- before it is handed over to the worker if that may take it, has a slot for it, and nothing else that it could take is ready; the rest goes into the
-- queue. Statements that follow each other, of which each keeps its plan; one that has nothing to do is left out.
--
-- Arrays that begin with `its_` have an element for each end; `counted` and `loaded` say which end a task or a load belongs to. `from_id` and `to_id` are
-- bounds of the ids of all that was made together with the stage runs, `first_attempt` and `last_attempt` those of the attempts: by them the executor
-- passes over other months (docs/adr/0005). The idle OR keeps a bound from being what an index is searched by.
--
-- Returns the tokens that were current ('ended', with whether something that the worker could take was ready before), what became ready ('opened'), and
-- what was handed over.
CREATE FUNCTION end_successes(
    its_workspaces uuid[], its_runs uuid[], its_stage_runs uuid[], its_attempts uuid[], its_tokens uuid[], its_manifests text[], its_hosts text[],
    counted integer[], tasks text[], rows_of bigint[], bytes_of bigint[], rejected_of bigint[], busy_us_of bigint[],
    loaded integer[], load_ids uuid[], load_attempts integer[], receipts text[],
    taker uuid, taker_queues text[], taker_plan_formats integer[], taker_host text, taker_only_run uuid, taker_labels text[],
    data_slots integer, light_slots integer, from_id uuid, to_id uuid, first_attempt uuid, last_attempt uuid)
RETURNS TABLE (
    what text, more boolean, token uuid, stage_run_id uuid, queue text, workspace_id uuid, run_id uuid, attempt_id uuid, number integer,
    stage text, light boolean, load_id uuid, wake_at timestamptz, version_id uuid, params jsonb, interval_start timestamptz, interval_end timestamptz)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    current uuid[];
    ended uuid[];
    holders uuid[] := its_stage_runs;
    downs uuid[];
    opening uuid[];
    fitting uuid[] := '{}';
    more_data boolean := false;
    more_light boolean := false;
BEGIN
    -- The runs first, by id: the order of locks that every transaction keeps. Nothing is freed before all are held.
    PERFORM FROM runs r WHERE r.workspace_id = ANY (its_workspaces) AND r.id = ANY (its_runs) ORDER BY r.id FOR NO KEY UPDATE;
    -- Tokens are random: one that is among them belongs to its stage run.
    WITH gone AS (
        DELETE FROM leases l WHERE l.stage_run_id = ANY (its_stage_runs) AND l.token = ANY (its_tokens) RETURNING l.token, l.stage_run_id)
    SELECT array_agg(g.token), array_agg(g.stage_run_id) INTO current, ended FROM gone g;
    IF current IS NULL THEN
        RETURN;
    END IF;
    IF cardinality(current) < cardinality(its_tokens) THEN
        -- Ends with a stale token leave nothing.
        its_attempts := ARRAY(SELECT its_attempts[n] FROM generate_subscripts(its_tokens, 1) AS n WHERE its_tokens[n] = ANY (current));
        holders := ARRAY(SELECT CASE WHEN its_tokens[n] = ANY (current) THEN its_stage_runs[n] END FROM generate_subscripts(its_tokens, 1) AS n ORDER BY n);
    END IF;
    UPDATE attempts a SET state = 'succeeded', finished_at = clock_timestamp()
    WHERE a.id = ANY (its_attempts) AND (a.id BETWEEN first_attempt AND last_attempt OR a.id = first_attempt);
    UPDATE task_runs t
    SET state = 'succeeded', rows = rows_of[c.n], bytes = bytes_of[c.n], rejected = rejected_of[c.n], busy_us = busy_us_of[c.n]
    FROM unnest(counted, tasks) WITH ORDINALITY AS c (finish, task, n)
    WHERE t.stage_run_id = its_stage_runs[c.finish] AND t.task = c.task AND (t.id BETWEEN from_id AND to_id OR t.id = from_id)
      AND its_tokens[c.finish] = ANY (current);
    IF cardinality(load_ids) > 0 THEN
        UPDATE loads l
        SET state = 'committed', receipt = receipts[c.n]::jsonb, attempt = load_attempts[c.n], finished_at = clock_timestamp()
        FROM unnest(loaded, load_ids) WITH ORDINALITY AS c (finish, load_id, n)
        WHERE l.workspace_id = its_workspaces[c.finish] AND l.load_id = c.load_id AND l.state IN ('committing', 'failed')
          AND its_tokens[c.finish] = ANY (current);
    END IF;
    IF array_length(array_remove(its_manifests, NULL), 1) > 0 THEN
        INSERT INTO staged_runs (workspace_id, run_id, host)
        SELECT DISTINCT ON (x.run_id) x.workspace_id, x.run_id, x.host
        FROM unnest(its_workspaces, its_runs, its_tokens, its_manifests, its_hosts) AS x (workspace_id, run_id, token, manifest, host)
        WHERE x.manifest IS NOT NULL AND x.token = ANY (current)
        ON CONFLICT DO NOTHING;
    END IF;
    UPDATE runs r
    SET remaining = r.remaining - e.ended, host = COALESCE(r.host, e.host),
        state = run_state_after(r.state, r.remaining - e.ended, r.failed_stages, r.cancel_requested_at),
        finished_at = CASE WHEN r.remaining = e.ended THEN clock_timestamp() END
    FROM (SELECT x.workspace_id, x.run_id, count(*)::integer AS ended, max(x.host) AS host
          FROM unnest(its_workspaces, its_runs, its_tokens, its_hosts) AS x (workspace_id, run_id, token, host)
          WHERE x.token = ANY (current) GROUP BY 1, 2) AS e
    WHERE r.workspace_id = e.workspace_id AND r.id = e.run_id;

    SELECT array_agg(d.down_id) INTO downs FROM deps d WHERE d.up_id = ANY (ended) AND (d.up_id BETWEEN from_id AND to_id OR d.up_id = from_id);
    IF downs IS NOT NULL THEN
        opening := ARRAY(
            SELECT s.id FROM (SELECT id, count(*) AS ups FROM unnest(downs) AS id GROUP BY 1) AS d
            JOIN stage_runs s ON s.id = d.id AND (s.id BETWEEN from_id AND to_id OR s.id = from_id)
            WHERE s.state = 'pending' AND s.pending = d.ups);
    END IF;
    IF taker IS NOT NULL THEN
        -- In the order of the index: rows that were claimed a moment ago are passed over there more quickly than in the table.
        IF data_slots > 0 THEN
            PERFORM FROM ready q
            CROSS JOIN LATERAL admission(q.queue, q.plan_format, q.host, q.worker_id, q.labels, q.run_id,
                                         taker, taker_queues, taker_plan_formats, taker_host, taker_only_run, taker_labels)
            WHERE NOT q.light AND q.run_at <= clock_timestamp() ORDER BY q.rank LIMIT 1;
            more_data := FOUND;
        END IF;
        IF light_slots > 0 THEN
            PERFORM FROM ready q
            CROSS JOIN LATERAL admission(q.queue, q.plan_format, q.host, q.worker_id, q.labels, q.run_id,
                                         taker, taker_queues, taker_plan_formats, taker_host, taker_only_run, taker_labels)
            WHERE q.light AND q.run_at <= clock_timestamp() ORDER BY q.rank LIMIT 1;
            more_light := FOUND;
        END IF;
        IF cardinality(opening) > 0 AND NOT EXISTS (SELECT FROM limits) THEN
            -- All of a kind, or none: what doesn't fit goes by rank.
            fitting := ARRAY(
                SELECT x.id FROM (
                    SELECT s.id, s.light, count(*) OVER (PARTITION BY s.light) AS peers
                    FROM stage_runs s JOIN runs r ON r.workspace_id = s.workspace_id AND r.id = s.run_id
                    CROSS JOIN LATERAL admission(s.queue, s.plan_format, r.host, r.pinned_worker, s.labels, s.run_id,
                                                 taker, taker_queues, taker_plan_formats, taker_host, taker_only_run, taker_labels)
                    WHERE s.id = ANY (opening) AND (s.id BETWEEN from_id AND to_id OR s.id = from_id)) AS x
                WHERE CASE WHEN x.light THEN x.peers <= light_slots AND NOT more_light ELSE x.peers <= data_slots AND NOT more_data END);
        END IF;
    END IF;

    -- What has ended and what comes next at once.
    UPDATE stage_runs s
    SET state = CASE WHEN d.ups = 0 THEN 'succeeded' WHEN s.pending > d.ups THEN s.state WHEN s.id = ANY (fitting) THEN 'running' ELSE 'queued' END,
        pending = s.pending - d.ups,
        attempt = CASE WHEN s.id = ANY (fitting) THEN s.attempt + 1 ELSE s.attempt END,
        started_at = CASE WHEN s.id = ANY (fitting) THEN clock_timestamp() ELSE s.started_at END,
        finished_at = CASE WHEN d.ups = 0 THEN clock_timestamp() END,
        manifest = CASE WHEN d.ups = 0 THEN its_manifests[array_position(holders, s.id)]::json END,
        error = NULL, ending = NULL
    FROM (SELECT id, 0 AS ups FROM unnest(ended) AS id UNION ALL SELECT id, count(*)::integer FROM unnest(downs) AS id GROUP BY 1) AS d
    WHERE s.id = d.id AND (s.id BETWEEN from_id AND to_id OR s.id = from_id) AND (d.ups = 0 OR s.state = 'pending');

    more := more_data OR more_light;
    what := 'ended';
    FOREACH token IN ARRAY current LOOP
        RETURN NEXT;
    END LOOP;
    IF cardinality(fitting) > 0 THEN
        RETURN QUERY
        WITH made AS MATERIALIZED (
            SELECT s.*, uuid_v7() AS attempt_id, gen_random_uuid() AS token FROM stage_runs s
            WHERE s.id = ANY (fitting) AND (s.id BETWEEN from_id AND to_id OR s.id = from_id)),
        leased AS (
            INSERT INTO leases (workspace_id, stage_run_id, run_id, attempt_id, number, token, worker_id)
            SELECT m.workspace_id, m.id, m.run_id, m.attempt_id, m.attempt, m.token, taker FROM made m),
        begun AS (
            INSERT INTO attempts (workspace_id, id, run_id, stage_run_id, number, worker_id, state)
            SELECT m.workspace_id, m.attempt_id, m.run_id, m.id, m.attempt, taker, 'running' FROM made m)
        SELECT 'handed over', false, m.token, m.id, m.queue, m.workspace_id, m.run_id, m.attempt_id, m.attempt, m.stage, m.light, m.load_id, m.wake_at,
               r.version_id, r.params, r.interval_start, r.interval_end
        FROM made m JOIN runs r ON r.workspace_id = m.workspace_id AND r.id = m.run_id;
    END IF;
    IF cardinality(opening) > cardinality(fitting) THEN
        what := 'opened';
        token := NULL;
        FOR stage_run_id, queue IN
            SELECT o.stage_run_id, o.queue
            FROM open_stage_runs(ARRAY(SELECT id FROM unnest(opening) AS id WHERE id <> ALL (fitting)), from_id, to_id, interval '0', false) AS o
        LOOP
            RETURN NEXT;
        END LOOP;
    END IF;
END $$;
DROP FUNCTION finish_link(uuid, uuid, uuid, uuid, uuid, json, text, text[], bigint[], bigint[], bigint[], bigint[], uuid, text[], integer[], text, uuid,
                          text[], uuid, uuid);

-- Makes a run: the run, a stage run for each stage, what they wait for, a task run for each task; unless it is held, what waits for nothing goes into the
-- queue. Stages are named by their position, tasks by the position of their stage. Returns its id and the queues that have work.
CREATE FUNCTION make_run(
    its_workspace uuid, its_version uuid, its_state text, its_trigger text, its_params jsonb, its_schedule uuid, its_fire_time timestamptz,
    its_interval_start timestamptz, its_interval_end timestamptz, its_original uuid, its_worker uuid, its_plan_format integer, opens boolean,
    stages text[], waits_for integer[], queues_of text[], priorities integer[], retries jsonb[], connections_of text[], labels_of text[], lights boolean[],
    ups integer[], downs integer[], homes integer[], tasks text[], kinds text[], positions integer[],
    OUT id uuid, OUT queues text[])
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    ids uuid[];
    run uuid;
BEGIN
    INSERT INTO runs AS r (workspace_id, pipeline_id, version_id, state, trigger, params, schedule_id, fire_time,
                           interval_start, interval_end, rerun_of, pinned_worker, remaining)
    SELECT its_workspace, v.pipeline_id, v.id, its_state, its_trigger, its_params, its_schedule, its_fire_time, its_interval_start, its_interval_end,
           its_original, its_worker, cardinality(stages)
    FROM versions v WHERE v.workspace_id = its_workspace AND v.id = its_version
    RETURNING r.id INTO run;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    ids := ARRAY(SELECT uuid_v7() FROM generate_series(1, cardinality(stages)));
    INSERT INTO stage_runs (workspace_id, id, run_id, stage, position, state, pending, queue, priority, retry, plan_format, connections, labels, light)
    SELECT its_workspace, ids[s.n], run, s.name, s.n - 1, CASE WHEN opens AND s.pending = 0 THEN 'queued' ELSE 'pending' END,
           s.pending, s.queue, s.priority, s.retry, its_plan_format, string_to_array(s.connections, ','), string_to_array(s.labels, ','), s.light
    FROM unnest(stages, waits_for, queues_of, priorities, retries, connections_of, labels_of, lights)
         WITH ORDINALITY AS s (name, pending, queue, priority, retry, connections, labels, light, n);
    INSERT INTO deps (workspace_id, run_id, up_id, down_id)
    SELECT its_workspace, run, ids[d.up + 1], ids[d.down + 1] FROM unnest(ups, downs) AS d (up, down);
    INSERT INTO task_runs (workspace_id, run_id, stage_run_id, task, kind, position)
    SELECT its_workspace, run, ids[t.stage + 1], t.task, t.kind, t.position FROM unnest(homes, tasks, kinds, positions) AS t (stage, task, kind, position);
    id := run;
    IF opens THEN
        queues := ARRAY(
            SELECT DISTINCT o.queue
            FROM open_stage_runs(ARRAY(SELECT ids[n] FROM generate_subscripts(waits_for, 1) AS n WHERE waits_for[n] = 0),
                                 first_id(clock_timestamp() - interval '1 day'), first_id(clock_timestamp() + interval '1 day'),
                                 interval '0', false) AS o);
    ELSE
        queues := '{}';
    END IF;
END $$;
