-- $2 runs of version $1 that have succeeded, each with a stage run, a task run and an attempt.
WITH made AS (
    INSERT INTO runs (workspace_id, pipeline_id, version_id, state, trigger, remaining, started_at, finished_at)
    SELECT v.workspace_id, v.pipeline_id, v.id, 'succeeded', 'manual', 0, clock_timestamp(), clock_timestamp()
    FROM versions v, generate_series(1, $2)
    WHERE v.id = $1
    RETURNING workspace_id, id),
staged AS (
    INSERT INTO stage_runs (workspace_id, run_id, stage, position, state, pending, queue, priority, retry, plan_format, attempt,
                            started_at, finished_at)
    SELECT workspace_id, id, 't0', 0, 'succeeded', 0, 'default', 0, '{}', 1, 1, clock_timestamp(), clock_timestamp() FROM made
    RETURNING workspace_id, id, run_id),
tasked AS (
    INSERT INTO task_runs (workspace_id, run_id, stage_run_id, task, kind, position, state)
    SELECT workspace_id, run_id, id, 't0', 'wait', 0, 'succeeded' FROM staged)
INSERT INTO attempts (workspace_id, run_id, stage_run_id, number, worker_id, state, finished_at)
SELECT workspace_id, run_id, id, 1, gen_random_uuid(), 'succeeded', clock_timestamp() FROM staged
