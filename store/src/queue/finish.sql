-- Ends plain successes: frees leases, closes attempts, stage runs and task runs, counts runs and dependents down, and puts what has
-- nothing left before it into the queue. Answers with the tokens that were current and with what became ready.
-- Tests for membership are written as tests and not as joins: a join of the batch with itself would be made pair by pair, since the planner
-- expects few rows of an array, and a test is one look-up in a table of hashes.
WITH freed AS (
    DELETE FROM leases
    WHERE stage_run_id = ANY ($1)
      AND ((stage_run_id, token) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))) IS TRUE
    RETURNING workspace_id, stage_run_id, attempt_id, run_id, token),
-- Few stages materialise a dataset.
sealed AS (
    SELECT * FROM unnest($3::uuid[], $4::text[], $5::text[]) AS m (stage_run_id, manifest, host)),
attempted AS (
    UPDATE attempts a SET state = 'succeeded', finished_at = clock_timestamp() FROM freed f
    WHERE a.workspace_id = f.workspace_id AND a.id = f.attempt_id),
staged AS (
    UPDATE stage_runs s SET state = 'succeeded', finished_at = clock_timestamp(), error = NULL, ending = NULL,
           manifest = (SELECT m.manifest::json FROM sealed m WHERE m.stage_run_id = f.stage_run_id)
    FROM freed f WHERE s.workspace_id = f.workspace_id AND s.id = f.stage_run_id),
counted AS (
    UPDATE task_runs t SET state = 'succeeded', rows = c.rows, bytes = c.bytes, rejected = c.rejected, busy_us = c.busy_us
    FROM unnest($6::uuid[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])
         AS c (stage_run_id, task, rows, bytes, rejected, busy_us)
    WHERE t.stage_run_id = c.stage_run_id AND t.task = c.task
      AND ((t.workspace_id, t.stage_run_id) IN (SELECT workspace_id, stage_run_id FROM freed)) IS TRUE),
totals AS (
    UPDATE runs r
    SET remaining = r.remaining - n.ended::int,
        host = COALESCE(r.host, n.host),
        state = CASE WHEN r.remaining > n.ended THEN r.state
                     WHEN r.cancel_requested_at IS NOT NULL THEN 'canceled'
                     WHEN r.failed_stages > 0 THEN 'failed' ELSE 'succeeded' END,
        finished_at = CASE WHEN r.remaining = n.ended THEN clock_timestamp() END
    FROM (SELECT f.workspace_id, f.run_id, count(*) AS ended,
                 max((SELECT m.host FROM sealed m WHERE m.stage_run_id = f.stage_run_id)) AS host
          FROM freed f GROUP BY 1, 2) AS n
    WHERE r.workspace_id = n.workspace_id AND r.id = n.run_id
    RETURNING r.workspace_id, r.id, r.pinned_worker, r.host),
below AS (
    SELECT d.workspace_id, d.run_id, d.down_id, count(*) AS ups
    FROM freed f JOIN deps d ON d.workspace_id = f.workspace_id AND d.up_id = f.stage_run_id GROUP BY 1, 2, 3),
counted_down AS (
    UPDATE stage_runs s
    SET pending = s.pending - below.ups::int,
        state = CASE WHEN s.pending = below.ups THEN 'queued' ELSE s.state END
    FROM below WHERE s.workspace_id = below.workspace_id AND s.id = below.down_id AND s.state = 'pending'
    RETURNING s.workspace_id, s.id, s.run_id, s.queue, s.priority, s.plan_format, s.pending),
opened AS (
    INSERT INTO ready (workspace_id, stage_run_id, run_id, queue, rank, run_at, plan_format, worker_id, host)
    SELECT c.workspace_id, c.id, c.run_id, c.queue, clock_timestamp() - c.priority * interval '1 minute',
           clock_timestamp(), c.plan_format, t.pinned_worker, t.host
    FROM counted_down c JOIN totals t ON t.workspace_id = c.workspace_id AND t.id = c.run_id
    WHERE c.pending = 0
    RETURNING stage_run_id, queue)
SELECT token AS "token?", NULL::uuid AS "opened?", NULL::text AS "queue?" FROM freed
UNION ALL SELECT NULL, stage_run_id, queue FROM opened
