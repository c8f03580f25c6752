-- Live runs that look wrong at one moment. Each is looked at by itself, and so are the stages before a stage: both are asked for a first row, since
-- for a join or an EXISTS the planner may read all of history and look into that.
SELECT r.workspace_id, r.id
FROM runs r
LEFT JOIN LATERAL (
    SELECT true AS found
    FROM stage_runs s
    WHERE s.workspace_id = r.workspace_id AND s.run_id = r.id AND (
        (s.state = 'queued' AND NOT EXISTS (SELECT FROM ready q WHERE q.stage_run_id = s.id))
        OR (s.state = 'running' AND NOT EXISTS (SELECT FROM leases l WHERE l.stage_run_id = s.id))
        OR (s.state = 'waiting' AND NOT EXISTS (SELECT FROM wakes w WHERE w.stage_run_id = s.id))
        OR (s.state = 'pending' AND (
            SELECT true FROM deps d JOIN stage_runs u ON u.workspace_id = d.workspace_id AND u.id = d.up_id
            WHERE d.workspace_id = s.workspace_id AND d.run_id = s.run_id AND d.down_id = s.id AND u.state <> 'succeeded'
            LIMIT 1) IS NULL))
    LIMIT 1) AS wrong ON true
WHERE r.state IN ('queued', 'running') AND (r.remaining = 0 OR wrong.found)
