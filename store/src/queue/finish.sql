-- Ends plain successes: frees leases, closes attempts, stage runs and task runs, counts runs and dependents down. What has nothing left before
-- it is handed over to the worker ($14 to $20) if it can take it and nothing else that it could take is ready; the rest goes into the queue. One
-- statement, so that a link of a chain costs one round trip. Answers with the tokens that were current, with what became ready, and with what was
-- handed over; `more` says whether something was ready before.
--
-- Tests for membership are written as tests and not as joins: a join of the batch with itself would be made pair by pair, since the planner
-- expects few rows of an array. Half of what a link costs is setting the plan up, so what an array can say by itself is not made a table: tokens
-- are random, and one that is in the batch belongs to its stage run; few stages materialise a dataset, and theirs are searched for.
--
-- Bounds are given beside ids: from $21 to $22 is everything that was made together with the stage runs, from $23 to $24 are the attempts. By them
-- the executor passes over all other months before it prepares to look into them; it can't do that by ids that the statement finds itself.
-- Without them a link of a chain takes half as long again in a year's history. The idle OR keeps the bounds from being what an index is
-- searched by, which would be a day's rows instead of one.
WITH held AS MATERIALIZED (
    -- The runs first, by id: the order of locks that every transaction keeps. Nothing is freed before all are held.
    SELECT r.id FROM runs r WHERE r.workspace_id = ANY ($12::uuid[]) AND r.id = ANY ($13::uuid[])
    ORDER BY r.id FOR NO KEY UPDATE),
freed AS (
    DELETE FROM leases
    WHERE stage_run_id = ANY ($1::uuid[]) AND token = ANY ($2::uuid[]) AND run_id = ANY (ARRAY(SELECT id FROM held))
    RETURNING workspace_id, stage_run_id, attempt_id, run_id, token),
attempted AS (
    UPDATE attempts a SET state = 'succeeded', finished_at = clock_timestamp() FROM freed f
    WHERE a.workspace_id = f.workspace_id AND a.id = f.attempt_id AND (a.id BETWEEN $23 AND $24 OR a.id = $23)),
staged AS (
    UPDATE stage_runs s SET state = 'succeeded', finished_at = clock_timestamp(), error = NULL, ending = NULL,
           manifest = ($4::text[])[array_position($3::uuid[], f.token)]::json
    FROM freed f
    WHERE s.workspace_id = f.workspace_id AND s.id = f.stage_run_id AND (s.id BETWEEN $21 AND $22 OR s.id = $21)),
counted AS (
    UPDATE task_runs t SET state = 'succeeded', rows = ($8::bigint[])[c.n], bytes = ($9::bigint[])[c.n],
           rejected = ($10::bigint[])[c.n], busy_us = ($11::bigint[])[c.n]
    FROM unnest($6::int[], $7::text[]) WITH ORDINALITY AS c (finish, task, n)
    WHERE t.stage_run_id = ($1::uuid[])[c.finish] AND t.task = c.task AND (t.id BETWEEN $21 AND $22 OR t.id = $21)
      AND (($2::uuid[])[c.finish] IN (SELECT token FROM freed)) IS TRUE),
totals AS (
    UPDATE runs r
    SET remaining = r.remaining - n.ended::int,
        host = COALESCE(r.host, n.host),
        state = CASE WHEN r.remaining > n.ended THEN r.state
                     WHEN r.cancel_requested_at IS NOT NULL THEN 'canceled'
                     WHEN r.failed_stages > 0 THEN 'failed' ELSE 'succeeded' END,
        finished_at = CASE WHEN r.remaining = n.ended THEN clock_timestamp() END
    FROM (SELECT f.workspace_id, f.run_id, count(*) AS ended,
                 max(($5::text[])[array_position($3::uuid[], f.token)]) AS host
          FROM freed f GROUP BY 1, 2) AS n
    WHERE r.workspace_id = n.workspace_id AND r.id = n.run_id
    RETURNING r.workspace_id, r.id, r.pinned_worker, r.host, r.version_id, r.params, r.interval_start, r.interval_end),
below AS (
    SELECT d.workspace_id, d.run_id, d.down_id, count(*) AS ups, count(*) OVER () <= $20 AS has_slots
    FROM freed f
    JOIN deps d ON d.workspace_id = f.workspace_id AND d.up_id = f.stage_run_id AND (d.up_id BETWEEN $21 AND $22 OR d.up_id = $21)
    GROUP BY 1, 2, 3),
waiting AS MATERIALIZED (
    -- In the order of the index: rows that were claimed a moment ago are passed over there more quickly than in the table.
    SELECT (SELECT true FROM ready
            WHERE queue = ANY ($15) AND run_at <= clock_timestamp() AND plan_format = ANY ($16)
              AND (host IS NULL OR host = $17) AND (worker_id IS NULL OR worker_id = $14)
              AND labels <@ $19 AND ($18::uuid IS NULL OR run_id = $18)
            ORDER BY rank LIMIT 1) IS NOT NULL AS more),
next AS MATERIALIZED (
    SELECT b.*, t.pinned_worker, t.host, t.version_id, t.params, t.interval_start, t.interval_end,
           b.has_slots AND NOT (SELECT more FROM waiting) AND NOT EXISTS (SELECT FROM limits)
           AND s.queue = ANY ($15) AND s.plan_format = ANY ($16) AND (t.host IS NULL OR t.host = $17)
           AND (t.pinned_worker IS NULL OR t.pinned_worker = $14) AND s.labels <@ $19
           AND ($18::uuid IS NULL OR b.run_id = $18) AS fits
    FROM below b
    JOIN totals t ON t.workspace_id = b.workspace_id AND t.id = b.run_id
    JOIN stage_runs s ON s.workspace_id = b.workspace_id AND s.id = b.down_id AND (s.id BETWEEN $21 AND $22 OR s.id = $21)),
counted_down AS (
    UPDATE stage_runs s
    SET pending = s.pending - n.ups::int,
        state = CASE WHEN s.pending > n.ups THEN s.state WHEN n.fits THEN 'running' ELSE 'queued' END,
        attempt = CASE WHEN s.pending = n.ups AND n.fits THEN s.attempt + 1 ELSE s.attempt END,
        started_at = CASE WHEN s.pending = n.ups AND n.fits THEN clock_timestamp() ELSE s.started_at END
    FROM next n
    WHERE s.workspace_id = n.workspace_id AND s.id = n.down_id AND (s.id BETWEEN $21 AND $22 OR s.id = $21)
      AND s.state = 'pending'
    RETURNING s.workspace_id, s.id, s.run_id, s.stage, s.queue, s.priority, s.plan_format, s.labels, s.load_id, s.attempt,
              s.wake_at, s.state, n.pinned_worker, n.host, n.version_id, n.params, n.interval_start, n.interval_end),
opened AS (
    INSERT INTO ready (workspace_id, stage_run_id, run_id, queue, rank, run_at, plan_format, worker_id, host, labels)
    SELECT workspace_id, id, run_id, queue, clock_timestamp() - priority * interval '1 minute', clock_timestamp(), plan_format,
           pinned_worker, host, labels
    FROM counted_down WHERE state = 'queued'
    RETURNING stage_run_id, queue),
made AS MATERIALIZED (
    SELECT c.*, uuid_v7() AS attempt_id, gen_random_uuid() AS token FROM counted_down c WHERE c.state = 'running'),
leased AS (
    INSERT INTO leases (workspace_id, stage_run_id, run_id, attempt_id, number, token, worker_id)
    SELECT workspace_id, id, run_id, attempt_id, attempt, token, $14 FROM made),
begun AS (
    INSERT INTO attempts (workspace_id, id, run_id, stage_run_id, number, worker_id, state)
    SELECT workspace_id, attempt_id, run_id, id, attempt, $14, 'running' FROM made)
SELECT 'ended' AS "what!", (SELECT more FROM waiting) AS "more!", token AS "token?", NULL::uuid AS "stage_run_id?", NULL::text AS "queue?",
       NULL::uuid AS "workspace_id?", NULL::uuid AS "run_id?", NULL::uuid AS "attempt_id?", NULL::int AS "number?",
       NULL::text AS "stage?", NULL::uuid AS "load_id?", NULL::timestamptz AS "wake_at?", NULL::uuid AS "version_id?",
       NULL::jsonb AS "params?", NULL::timestamptz AS "interval_start?", NULL::timestamptz AS "interval_end?"
FROM freed
UNION ALL
SELECT 'opened', false, NULL, stage_run_id, queue, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM opened
UNION ALL
SELECT 'handed over', false, token, id, queue, workspace_id, run_id, attempt_id, attempt, stage, load_id, wake_at, version_id, params,
       interval_start, interval_end
FROM made
