-- Live runs that look wrong at one moment: a stage run without what its state promises, or a count of unfinished ones that doesn't fit. Each run is looked
-- at by itself, and so are the stages before a stage: both are aggregates of one run's rows, since for a join or an EXISTS the planner may read all of
-- history and look into that.
SELECT r.workspace_id, r.id
FROM runs r
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE s.state NOT IN ('succeeded', 'failed', 'canceled', 'skipped')) AS left_over,
           COALESCE(bool_or(CASE s.state
               WHEN 'queued' THEN NOT EXISTS (SELECT FROM ready q WHERE q.stage_run_id = s.id)
               WHEN 'running' THEN NOT EXISTS (SELECT FROM leases l WHERE l.stage_run_id = s.id)
               WHEN 'waiting' THEN NOT EXISTS (SELECT FROM wakes w WHERE w.stage_run_id = s.id)
               WHEN 'pending' THEN (
                   SELECT COALESCE(bool_and(u.state = 'succeeded') OR bool_or(u.state IN ('failed', 'canceled', 'skipped')), true)
                   FROM deps d JOIN stage_runs u ON u.workspace_id = d.workspace_id AND u.id = d.up_id
                   WHERE d.workspace_id = s.workspace_id AND d.run_id = s.run_id AND d.down_id = s.id)
               ELSE false END), false) AS wrong
    FROM stage_runs s
    WHERE s.workspace_id = r.workspace_id AND s.run_id = r.id) AS stages
WHERE r.state IN ('queued', 'running') AND (r.remaining = 0 OR r.remaining <> stages.left_over OR stages.wrong)
