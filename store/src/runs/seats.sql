-- For each row of a run in the queue, the workers that may take it: those that serve it, those of them that it is not kept from by its worker, and those that
-- it is not kept from by its host either, with their slots of its kind. A worker that was silent for $3 milliseconds is not counted on.
WITH seats AS MATERIALIZED (
    SELECT w.*, x.silent, NOT x.silent AND NOT w.draining AS live, b.busy, b.light_busy
    FROM workers w
    CROSS JOIN LATERAL (SELECT clock_timestamp() - w.beat_at > $3 * interval '1 millisecond' AS silent) AS x
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE NOT s.light OR l.fence) AS busy, count(*) FILTER (WHERE s.light AND NOT l.fence) AS light_busy
        FROM leases l JOIN stage_runs s ON s.workspace_id = l.workspace_id AND s.id = l.stage_run_id
        WHERE l.worker_id = w.id) AS b)
SELECT q.stage_run_id AS "stage_run_id!", count(*) FILTER (WHERE w.live) AS "live!", count(*) FILTER (WHERE NOT w.live AND NOT w.silent) AS "draining!",
       count(*) FILTER (WHERE w.silent) AS "silent!", count(*) FILTER (WHERE w.live AND its_worker) AS "of_its_worker!",
       count(*) FILTER (WHERE w.live AND able) AS "able!",
       COALESCE(sum(k.slots) FILTER (WHERE w.live AND able), 0)::bigint AS "slots!",
       COALESCE(sum(greatest(k.slots - k.busy, 0)) FILTER (WHERE w.live AND able), 0)::bigint AS "free!"
FROM ready q
CROSS JOIN seats w
CROSS JOIN LATERAL (
    SELECT CASE WHEN q.light THEN w.light_slots ELSE w.slots END AS slots, CASE WHEN q.light THEN w.light_busy ELSE w.busy END AS busy) AS k
CROSS JOIN LATERAL admission(q.queue, q.plan_format, NULL, NULL, q.labels, q.run_id,
                             w.id, w.queues, w.plan_formats, w.host, w.only_run, w.labels) AS served
LEFT JOIN LATERAL admission(q.queue, q.plan_format, NULL, q.worker_id, q.labels, q.run_id,
                            w.id, w.queues, w.plan_formats, w.host, w.only_run, w.labels) AS its_worker ON true
LEFT JOIN LATERAL admission(q.queue, q.plan_format, q.host, q.worker_id, q.labels, q.run_id,
                            w.id, w.queues, w.plan_formats, w.host, w.only_run, w.labels) AS able ON true
WHERE q.workspace_id = $1 AND q.stage_run_id = ANY (ARRAY(SELECT id FROM stage_runs WHERE workspace_id = $1 AND run_id = $2))
GROUP BY q.stage_run_id
