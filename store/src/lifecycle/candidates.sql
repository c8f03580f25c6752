-- What a worker could claim of one kind and no limit or pause keeps back now, best rank first. Fences are kept back by nothing: what must end, ends.
WITH held AS (
    SELECT v.workspace_id, v.kind, v.name, count(*) AS held
    FROM leases l JOIN stage_run_limits v ON v.workspace_id = l.workspace_id AND v.stage_run_id = l.stage_run_id
    WHERE NOT l.fence GROUP BY 1, 2, 3)
SELECT q.stage_run_id FROM ready q
CROSS JOIN LATERAL admission(q.queue, q.plan_format, q.host, q.worker_id, q.labels, q.run_id, $1, $2, $3, $4, $5, $7)
WHERE q.light = $8 AND q.run_at <= clock_timestamp()
  AND (q.fence OR NOT EXISTS (
      SELECT FROM stage_run_limits v
      LEFT JOIN held h ON h.workspace_id = v.workspace_id AND h.kind = v.kind AND h.name = v.name
      WHERE v.workspace_id = q.workspace_id AND v.stage_run_id = q.stage_run_id
        AND (v.paused_at IS NOT NULL OR COALESCE(h.held, 0) >= v.slots)))
ORDER BY q.rank LIMIT $6
