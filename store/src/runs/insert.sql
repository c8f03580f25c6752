-- A run, and the row of the audit if somebody started it, in one statement. migrations/0015_lifecycle.sql has the function.
WITH made AS MATERIALIZED (
    SELECT id, queues
    FROM make_run($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)),
recorded AS (
    INSERT INTO audit (workspace_id, actor, face, action, subject, detail)
    SELECT $1, $28, $29, 'runs.start', id::text, $30 FROM made WHERE $28::text IS NOT NULL AND id IS NOT NULL)
SELECT id, queues AS "queues!: Vec<String>" FROM made
