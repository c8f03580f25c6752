//! Waking stage runs whose time has come.

use std::time::Duration;

use uuid::Uuid;

use super::open::open;
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
        let woken = sqlx::query_scalar!(
            r#"WITH due AS (
                   DELETE FROM wakes WHERE run_id = ANY ($1) AND wake_at <= clock_timestamp()
                   RETURNING workspace_id, stage_run_id)
               UPDATE stage_runs s SET state = 'queued' FROM due
               WHERE s.workspace_id = due.workspace_id AND s.id = due.stage_run_id AND s.state = 'waiting'
               RETURNING s.id"#,
            &runs
        )
        .fetch_all(&mut *tx)
        .await?;
        let queues = open(&mut *tx, &woken, Duration::ZERO, false).await?;
        tx.commit().await?;
        let woken = queues.len() as u64;
        self.inner.notifier.ready(queues);
        Ok(woken)
    }
}
