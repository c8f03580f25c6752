-- Makes a run: the run, a stage run for each stage, what they wait for, a task run for each task; what is open and waits for nothing goes into
-- the queue. One statement, so that a trigger costs one round trip. Stages are named by their position, tasks by the position of their stage.
WITH made AS (
    INSERT INTO runs (workspace_id, pipeline_id, version_id, state, trigger, params, schedule_id, fire_time,
                      interval_start, interval_end, rerun_of, pinned_worker, remaining)
    SELECT $1, v.pipeline_id, v.id, $3::text, $4, $5, $6, $7, $8, $9, $10, $11, cardinality($14::text[])
    FROM versions v WHERE v.workspace_id = $1 AND v.id = $2
    RETURNING id),
-- An array is a look-up by position; a join would be made pair by pair, since the planner expects few rows of an array.
ids AS MATERIALIZED (
    SELECT array_agg(uuid_v7()) AS ids FROM generate_series(1, cardinality($14::text[]))),
staged AS (
    INSERT INTO stage_runs (workspace_id, id, run_id, stage, position, state, pending, queue, priority, retry, plan_format, connections, labels)
    SELECT $1, (SELECT ids FROM ids)[s.n], made.id, s.name, s.n - 1, CASE WHEN $13 AND s.pending = 0 THEN 'queued' ELSE 'pending' END,
           s.pending, s.queue, s.priority, s.retry, $12, string_to_array(s.connections, ','), string_to_array(s.labels, ',')
    FROM made, unnest($14::text[], $15::int[], $16::text[], $17::int[], $18::jsonb[], $19::text[], $20::text[])
         WITH ORDINALITY AS s (name, pending, queue, priority, retry, connections, labels, n)),
linked AS (
    INSERT INTO deps (workspace_id, run_id, up_id, down_id)
    SELECT $1, made.id, (SELECT ids FROM ids)[d.up + 1], (SELECT ids FROM ids)[d.down + 1]
    FROM made, unnest($21::int[], $22::int[]) AS d (up, down)),
tasked AS (
    INSERT INTO task_runs (workspace_id, run_id, stage_run_id, task, kind, position)
    SELECT $1, made.id, (SELECT ids FROM ids)[t.stage + 1], t.task, t.kind, t.position
    FROM made, unnest($23::int[], $24::text[], $25::text[], $26::int[]) AS t (stage, task, kind, position)),
opened AS (
    INSERT INTO ready (workspace_id, stage_run_id, run_id, queue, rank, run_at, plan_format, worker_id, labels)
    SELECT $1, (SELECT ids FROM ids)[s.n], made.id, s.queue, clock_timestamp() - s.priority * interval '1 minute', clock_timestamp(),
           $12, $11, string_to_array(s.labels, ',')
    FROM made, unnest($15::int[], $16::text[], $17::int[], $20::text[]) WITH ORDINALITY AS s (pending, queue, priority, labels, n)
    WHERE $13 AND s.pending = 0
    RETURNING queue)
SELECT made.id AS "id!", ARRAY(SELECT DISTINCT queue FROM opened) AS "queues!: Vec<String>" FROM made
