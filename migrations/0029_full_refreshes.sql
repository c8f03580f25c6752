-- A full refresh belongs to a run and its reruns: one that fails leaves the cursors where they were, and the next run of another kind goes on from there.
ALTER TABLE runs ADD COLUMN full_refresh boolean NOT NULL DEFAULT false;
