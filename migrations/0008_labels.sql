-- Labels: what a worker must have, besides serving the queue, to take a stage.
SET LOCAL lock_timeout = '10s';
ALTER TABLE stage_runs ADD COLUMN labels text[] NOT NULL DEFAULT '{}';
ALTER TABLE ready ADD COLUMN labels text[] NOT NULL DEFAULT '{}';
ALTER TABLE workers ADD COLUMN labels text[] NOT NULL DEFAULT '{}';
