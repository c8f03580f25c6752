-- What a worker could claim and no limit or pause keeps back now, best rank first. Fences are kept back by nothing: what must end, ends.
WITH held AS (
    SELECT v.workspace_id, v.kind, v.name, count(*) AS held
    FROM leases l JOIN stage_run_limits v ON v.workspace_id = l.workspace_id AND v.stage_run_id = l.stage_run_id
    WHERE NOT l.fence GROUP BY 1, 2, 3)
SELECT q.stage_run_id FROM ready q
WHERE q.queue = ANY ($2) AND q.run_at <= clock_timestamp() AND q.plan_format = ANY ($3)
  AND (q.host IS NULL OR q.host = $4) AND (q.worker_id IS NULL OR q.worker_id = $1)
  AND q.labels <@ $7 AND ($5::uuid IS NULL OR q.run_id = $5)
  AND (q.fence OR NOT EXISTS (
      SELECT FROM stage_run_limits v
      LEFT JOIN held h ON h.workspace_id = v.workspace_id AND h.kind = v.kind AND h.name = v.name
      WHERE v.workspace_id = q.workspace_id AND v.stage_run_id = q.stage_run_id
        AND (v.paused_at IS NOT NULL OR COALESCE(h.held, 0) >= v.slots)))
ORDER BY q.rank LIMIT $6
