//! Waking stage runs whose time has come.

use uuid::Uuid;

use crate::{Result, Store};

/// Stage runs woken in one transaction.
const BATCH: i64 = 500;

impl Store {
    /// Puts every stage run whose wake time has passed into the queue. Runs are locked first, as everywhere, so that a cancel and a
    /// wake can't cross. Answers with the number woken.
    pub async fn wake_due(&self) -> Result<u64> {
        let mut tx = self.durable().begin().await?;
        let runs: Vec<Uuid> = sqlx::query_scalar!(
            r#"SELECT id FROM runs
               WHERE (workspace_id, id) IN (
                   SELECT workspace_id, run_id FROM wakes WHERE wake_at <= clock_timestamp() ORDER BY wake_at LIMIT $1)
               ORDER BY id FOR NO KEY UPDATE"#,
            BATCH
        )
        .fetch_all(&mut *tx)
        .await?;
        if runs.is_empty() {
            return Ok(0);
        }
        let queues = sqlx::query_scalar!(
            r#"WITH due AS (
                   DELETE FROM wakes WHERE run_id = ANY ($1) AND wake_at <= clock_timestamp()
                   RETURNING workspace_id, stage_run_id),
               woken AS (
                   UPDATE stage_runs s SET state = 'queued' FROM due
                   WHERE s.workspace_id = due.workspace_id AND s.id = due.stage_run_id AND s.state = 'waiting'
                   RETURNING s.workspace_id, s.id, s.run_id, s.queue, s.priority, s.plan_format, s.labels)
               INSERT INTO ready (workspace_id, stage_run_id, run_id, queue, rank, run_at, plan_format, worker_id, host, labels)
               SELECT w.workspace_id, w.id, w.run_id, w.queue, clock_timestamp() - w.priority * interval '1 minute',
                      clock_timestamp(), w.plan_format, r.pinned_worker, r.host, w.labels
               FROM woken w JOIN runs r ON r.workspace_id = w.workspace_id AND r.id = w.run_id
               RETURNING queue"#,
            &runs
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        let woken = queues.len() as u64;
        self.inner.notifier.ready(queues);
        Ok(woken)
    }
}
