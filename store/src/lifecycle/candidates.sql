-- What a worker could claim of one kind and no limit or pause keeps back now, best rank first: among the first $9 rows of the queue, or among all if $9 is 0.
-- One row of a lane decides for all of them whether this worker serves them and whether one of the full limits and pauses ($10 to $12) keeps them back;
-- lane 0 has the fences, which nothing keeps back. The best $6 rows are in the $6 lanes whose first row has the best rank.
WITH RECURSIVE head AS MATERIALIZED (
    SELECT lane, rank, workspace_id, stage_run_id, queue, plan_format, host, labels FROM ready WHERE light = $8 ORDER BY rank LIMIT $9),
lanes AS (
    (SELECT lane, rank, workspace_id, stage_run_id, queue, plan_format, host, labels FROM ready
     WHERE light = $8 AND $9 = 0 ORDER BY lane, rank LIMIT 1)
    UNION ALL
    SELECT following.* FROM lanes l CROSS JOIN LATERAL (
        SELECT q.lane, q.rank, q.workspace_id, q.stage_run_id, q.queue, q.plan_format, q.host, q.labels FROM ready q
        WHERE q.light = $8 AND q.lane > l.lane ORDER BY q.lane, q.rank LIMIT 1) AS following),
samples AS (
    (SELECT DISTINCT ON (lane) * FROM head) UNION ALL SELECT * FROM lanes),
best AS MATERIALIZED (
    SELECT s.lane FROM samples s
    LEFT JOIN LATERAL admission(s.queue, s.plan_format, s.host, NULL, s.labels, $5, $1, $2, $3, $4, $5, $7) AS served ON true
    CROSS JOIN LATERAL (
        SELECT q.rank FROM ready q
        CROSS JOIN LATERAL admission(q.queue, q.plan_format, q.host, q.worker_id, q.labels, q.run_id, $1, $2, $3, $4, $5, $7)
        WHERE q.light = $8 AND q.lane = s.lane AND q.run_at <= clock_timestamp() ORDER BY q.rank LIMIT 1) AS best_row
    WHERE CASE WHEN s.lane = 0 THEN true WHEN served IS NULL THEN false ELSE NOT EXISTS (
        SELECT FROM stage_run_scopes v WHERE v.workspace_id = s.workspace_id AND v.stage_run_id = s.stage_run_id
          -- Not as a join, so that the list is hashed once and not read for each lane.
          AND ((v.workspace_id, v.kind, v.name) IN (SELECT * FROM unnest($10::uuid[], $11::text[], $12::text[]))) IS TRUE) END
    ORDER BY best_row.rank LIMIT $6)
SELECT c.stage_run_id AS "stage_run_id!" FROM best b CROSS JOIN LATERAL (
    SELECT q.stage_run_id, q.rank FROM ready q
    CROSS JOIN LATERAL admission(q.queue, q.plan_format, q.host, q.worker_id, q.labels, q.run_id, $1, $2, $3, $4, $5, $7)
    WHERE q.light = $8 AND q.lane = b.lane AND q.run_at <= clock_timestamp()
      -- Behind the head, a row of another lane may be better.
      AND q.rank <= (SELECT COALESCE(max(rank), 'infinity') FROM head)
    ORDER BY q.rank LIMIT $6) AS c
ORDER BY c.rank LIMIT $6
