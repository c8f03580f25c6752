-- migrations/0019_one_end.sql has the function. A hand-over ends no run, so its commit does not wait for the disk (docs/adr/0020).
SELECT what AS "what!", more AS "more!", token, stage_run_id, queue, workspace_id, run_id, attempt_id, number, stage, light, load_id, wake_at,
       version_id, params, interval_start, interval_end
FROM end_success($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)
WHERE CASE what WHEN 'handed over' THEN set_config('synchronous_commit', 'off', true) = 'off' ELSE true END
