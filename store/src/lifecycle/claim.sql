-- A claim: of each kind, the best-ranked rows of `ready` that this worker can take become leases and attempts. Rows that another claimer holds are
-- passed over. Where limits are set, the rows they admit are chosen before and come as $7; without them, nothing is claimed here. Whether there are limits
-- is a condition of its own, so that it is asked for once and, if there are, no row is looked at.
WITH chosen AS (
    DELETE FROM ready WHERE stage_run_id = ANY (ARRAY(
        SELECT q.stage_run_id FROM ready q
        CROSS JOIN LATERAL admission(q.queue, q.plan_format, q.host, q.worker_id, q.labels, q.run_id, $1, $2, $3, $4, $5, $8)
        WHERE NOT q.light AND q.run_at <= clock_timestamp() AND $7::uuid[] IS NULL AND NOT EXISTS (SELECT FROM limits)
        ORDER BY q.rank LIMIT $6 FOR UPDATE OF q SKIP LOCKED)
    || ARRAY(
        SELECT q.stage_run_id FROM ready q
        CROSS JOIN LATERAL admission(q.queue, q.plan_format, q.host, q.worker_id, q.labels, q.run_id, $1, $2, $3, $4, $5, $8)
        WHERE q.light AND q.run_at <= clock_timestamp() AND $7::uuid[] IS NULL AND NOT EXISTS (SELECT FROM limits)
        ORDER BY q.rank LIMIT $9 FOR UPDATE OF q SKIP LOCKED)
    || ARRAY(
        SELECT q.stage_run_id FROM ready q
        CROSS JOIN LATERAL admission(q.queue, q.plan_format, q.host, q.worker_id, q.labels, q.run_id, $1, $2, $3, $4, $5, $8)
        WHERE q.stage_run_id = ANY ($7) AND q.run_at <= clock_timestamp() FOR UPDATE OF q SKIP LOCKED))
    RETURNING workspace_id, stage_run_id, run_id, fence, light),
starting AS (
    SELECT r.workspace_id, r.id FROM runs r
    WHERE r.started_at IS NULL AND (r.workspace_id, r.id) IN (SELECT workspace_id, run_id FROM chosen)
    ORDER BY r.id FOR NO KEY UPDATE),
started AS (
    UPDATE runs SET state = 'running', started_at = clock_timestamp() FROM starting
    WHERE runs.workspace_id = starting.workspace_id AND runs.id = starting.id),
taken AS (
    UPDATE stage_runs s
    SET state = 'running', attempt = s.attempt + 1, run_at = NULL,
        started_at = COALESCE(s.started_at, clock_timestamp())
    FROM chosen c WHERE s.workspace_id = c.workspace_id AND s.id = c.stage_run_id
    RETURNING s.workspace_id, s.id, s.run_id, s.stage, s.queue, s.load_id, s.attempt, s.wake_at, c.fence, c.light),
made AS MATERIALIZED (
    SELECT taken.*, uuid_v7() AS attempt_id, gen_random_uuid() AS token FROM taken),
leased AS (
    INSERT INTO leases (workspace_id, stage_run_id, run_id, attempt_id, number, token, worker_id, fence)
    SELECT workspace_id, id, run_id, attempt_id, attempt, token, $1, fence FROM made),
attempted AS (
    INSERT INTO attempts (workspace_id, id, run_id, stage_run_id, number, kind, worker_id, state)
    SELECT workspace_id, attempt_id, run_id, id, attempt, CASE WHEN fence THEN 'fence' ELSE 'run' END, $1, 'running'
    FROM made)
SELECT m.workspace_id AS "workspace_id!", m.run_id AS "run_id!", m.id AS "stage_run_id!", m.attempt_id AS "attempt_id!",
       m.attempt AS "number!", m.token AS "token!", m.fence AS "fence!", m.stage AS "stage!", m.queue AS "queue!", m.light AS "light!",
       m.load_id AS "load_id!", m.wake_at, r.version_id, r.params, r.interval_start, r.interval_end
FROM made m JOIN runs r ON r.workspace_id = m.workspace_id AND r.id = m.run_id
