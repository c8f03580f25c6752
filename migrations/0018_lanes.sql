-- Lanes: rows of `ready` that the same limits and pauses apply to. A claim decides once for a lane and not for each row whether it is kept back.
SET LOCAL lock_timeout = '8s';

-- Everything that a limit or a pause can name, and what a worker has to have. Should two lanes have one number, they wait for each other; how many may run is
-- counted by the limits themselves.
CREATE FUNCTION lane_of(
    its_workspace uuid, its_pipeline uuid, its_queue text, its_connections text[], its_labels text[], its_plan_format integer, its_host text)
RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT hash_record_extended(ROW(its_workspace, its_pipeline, its_queue, its_connections, its_labels, its_plan_format, its_host), 0) $$;

-- Fences are in lane 0: nothing keeps them back.
ALTER TABLE ready ADD COLUMN lane bigint;
CREATE INDEX ready_lane ON ready (light, lane, rank);
UPDATE ready q
SET lane = CASE WHEN q.fence THEN 0 ELSE lane_of(s.workspace_id, r.pipeline_id, s.queue, s.connections, s.labels, s.plan_format, q.host) END
FROM stage_runs s JOIN runs r ON r.workspace_id = s.workspace_id AND r.id = s.run_id
WHERE s.id = q.stage_run_id;
-- A row without its stage run can't be claimed.
DELETE FROM ready WHERE lane IS NULL;
ALTER TABLE ready ALTER COLUMN lane SET NOT NULL;

-- As before, with the lane.
CREATE OR REPLACE FUNCTION open_stage_runs(ids uuid[], from_id uuid, to_id uuid, delay interval, its_fence boolean)
RETURNS TABLE (stage_run_id uuid, queue text)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    INSERT INTO ready AS q (workspace_id, stage_run_id, run_id, queue, rank, run_at, plan_format, worker_id, host, labels, light, fence, lane)
    SELECT s.workspace_id, s.id, s.run_id, s.queue, rank_of(clock_timestamp() + delay, s.priority), clock_timestamp() + delay, s.plan_format,
           r.pinned_worker, r.host, s.labels, s.light AND NOT its_fence, its_fence,
           CASE WHEN its_fence THEN 0 ELSE lane_of(s.workspace_id, r.pipeline_id, s.queue, s.connections, s.labels, s.plan_format, r.host) END
    FROM stage_runs s JOIN runs r ON r.workspace_id = s.workspace_id AND r.id = s.run_id
    WHERE s.id = ANY (ids) AND (s.id BETWEEN from_id AND to_id OR s.id = from_id)
    RETURNING q.stage_run_id, q.queue;
END $$;

-- Everything that a limit or a pause can name and a stage run belongs to. Its run and pipeline are looked up by their keys for each row: left to itself, the
-- planner may read all runs of the workspace for one.
CREATE VIEW stage_run_scopes AS
SELECT s.workspace_id, s.id AS stage_run_id, scope.kind, scope.name
FROM stage_runs s
CROSS JOIN LATERAL (
    SELECT p.name FROM runs r JOIN pipelines p ON p.workspace_id = r.workspace_id AND p.id = r.pipeline_id
    WHERE r.workspace_id = s.workspace_id AND r.id = s.run_id LIMIT 1) AS pipeline
CROSS JOIN LATERAL (
    VALUES ('workspace', ''), ('pipeline', pipeline.name), ('queue', s.queue)
    UNION ALL
    SELECT 'connection', c.name FROM unnest(s.connections) AS c (name)) AS scope (kind, name);

-- Every limit that a stage run is under, as before.
CREATE OR REPLACE VIEW stage_run_limits AS
SELECT v.workspace_id, v.stage_run_id, l.kind, l.name, l.slots, l.paused_at
FROM stage_run_scopes v JOIN limits l ON l.workspace_id = v.workspace_id AND l.kind = v.kind AND l.name = v.name;

-- Limits and pauses with the attempts that run under each and how many more may start. Fences are not counted: what must end, ends.
CREATE VIEW limits_in_use AS
SELECT m.workspace_id, m.kind, m.name, m.slots, m.paused_at, COALESCE(h.held, 0) AS held,
       CASE WHEN m.paused_at IS NULL THEN m.slots - COALESCE(h.held, 0) ELSE 0 END AS room
FROM limits m
LEFT JOIN (
    SELECT v.workspace_id, v.kind, v.name, count(*) AS held
    FROM leases l JOIN stage_run_limits v ON v.workspace_id = l.workspace_id AND v.stage_run_id = l.stage_run_id
    WHERE NOT l.fence GROUP BY 1, 2, 3) AS h
    ON h.workspace_id = m.workspace_id AND h.kind = m.kind AND h.name = m.name;
