//! Making the runs of backfills, as many as may run at a time. Any number of processes do it: the row of the backfill is locked.

use serde_json::Value;
use uuid::Uuid;

use super::put_state;
use crate::deadline::Tx;
use crate::runs::{RunDraft, Trigger, insert_run};
use crate::state::{BackfillEvent, BackfillState};
use crate::{Result, Store, StoreError, Workspace};

impl Store {
    /// Looks at every backfill that runs. Answers with the number of runs that were made. One that can't be advanced does not stop the others.
    pub async fn advance_backfills(&self) -> Result<u64> {
        let running = sqlx::query!("SELECT workspace_id, id FROM backfills WHERE state = 'running' ORDER BY id")
            .fetch_all(self.durable())
            .await?;
        let (mut made, mut problem) = (0, None);
        for row in running {
            match self.workspace(row.workspace_id).advance_backfill(row.id).await {
                Ok(runs) => made += runs,
                Err(error) => problem = Some(error),
            }
        }
        problem.map_or(Ok(made), Err)
    }
}

/// What is under way of a backfill.
struct Progress {
    under_way: i64,
    waiting: bool,
    failed: bool,
}

impl Workspace {
    /// Notes which slices have ended, starts those whose turn it is, and ends the backfill behind the last one. Answers with the number of runs that
    /// were made; none if another process is at it.
    pub async fn advance_backfill(&self, id: Uuid) -> Result<u64> {
        let mut tx = self.durable().begin().await?;
        let row = sqlx::query!(
            r#"SELECT b.pipeline_id, b.version_id, b.params, b.parallel, b.state, v.plan::text AS "plan!"
               FROM backfills b JOIN versions v ON v.workspace_id = b.workspace_id AND v.id = b.version_id
               WHERE b.workspace_id = $1 AND b.id = $2 AND b.state = 'running' FOR UPDATE OF b SKIP LOCKED"#,
            self.id(),
            id
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else { return Ok(0) };
        note_ends(&mut tx, self.id(), id).await?;
        let progress = progress(&mut tx, self.id(), id).await?;
        let state: BackfillState = row.state.parse()?;
        let event = match &progress {
            Progress { under_way: 1.., .. } => None,
            Progress { failed: true, .. } => Some(BackfillEvent::Fail),
            Progress { waiting: false, .. } => Some(BackfillEvent::Succeed),
            Progress { .. } => None,
        };
        if let Some(event) = event {
            let next = state.next(event).ok_or_else(|| StoreError::bug(format!("a backfill that is {state} ended")))?;
            put_state(&mut tx, self.id(), id, next).await?;
            tx.commit().await?;
            return Ok(0);
        }
        let free = i64::from(row.parallel) - progress.under_way;
        if progress.failed || !progress.waiting || free <= 0 {
            tx.commit().await?;
            return Ok(0);
        }
        let plan: headwater_pipelines::plan::Plan = serde_json::from_str(&row.plan)?;
        let start = Start { pipeline_id: row.pipeline_id, version_id: row.version_id, params: row.params, plan };
        let queues = self.start_slices(&mut tx, id, &start, free).await?;
        tx.commit().await?;
        let made = queues.len() as u64;
        self.store.inner.notifier.ready(queues.into_iter().flatten());
        Ok(made)
    }

    /// Starts the next slices, but for those whose interval another run of the pipeline is loading: of two loads of one slice the one that read first
    /// might commit last.
    async fn start_slices(&self, tx: &mut Tx, id: Uuid, start: &Start, free: i64) -> Result<Vec<Vec<String>>> {
        let next = sqlx::query!(
            r#"SELECT s.starts_at, s.ends_at FROM backfill_slices s
               WHERE s.workspace_id = $1 AND s.backfill_id = $2 AND s.run_id IS NULL AND NOT EXISTS (
                   SELECT FROM runs r WHERE r.workspace_id = $1 AND r.pipeline_id = $3 AND r.state IN ('pending', 'queued', 'running')
                     AND r.interval_start < s.ends_at AND r.interval_end > s.starts_at)
               ORDER BY s.starts_at LIMIT $4"#,
            self.id(),
            id,
            start.pipeline_id,
            free
        )
        .fetch_all(&mut **tx)
        .await?;
        let mut queues = Vec::new();
        for slice in next {
            let draft = RunDraft {
                version_id: start.version_id,
                plan: &start.plan,
                params: start.params.clone(),
                trigger: Trigger::Backfill,
                interval: Some((slice.starts_at, slice.ends_at)),
                pinned_worker: None,
                schedule: None,
                rerun_of: None,
                held: false,
                started: None,
            };
            let (run, ready) = insert_run(&mut **tx, self.id(), &draft).await?;
            sqlx::query!(
                "WITH run AS (UPDATE runs SET backfill_id = $2 WHERE workspace_id = $1 AND id = $4)
                 UPDATE backfill_slices SET run_id = $4 WHERE workspace_id = $1 AND backfill_id = $2 AND starts_at = $3",
                self.id(),
                id,
                slice.starts_at,
                run
            )
            .execute(&mut **tx)
            .await?;
            queues.push(ready);
        }
        Ok(queues)
    }
}

/// What the runs of a backfill have in common.
struct Start {
    pipeline_id: Uuid,
    version_id: Uuid,
    params: Value,
    plan: headwater_pipelines::plan::Plan,
}

/// Notes how slices ended whose runs are over. A run that was forgotten meanwhile is nobody's success.
pub(super) async fn note_ends(tx: &mut Tx, workspace_id: Uuid, id: Uuid) -> Result<()> {
    sqlx::query!(
        "UPDATE backfill_slices s SET ended = e.state
         FROM (SELECT o.starts_at, CASE WHEN r.id IS NULL THEN 'failed' ELSE r.state END AS state
               FROM backfill_slices o LEFT JOIN runs r ON r.workspace_id = o.workspace_id AND r.id = o.run_id
               WHERE o.workspace_id = $1 AND o.backfill_id = $2 AND o.run_id IS NOT NULL AND o.ended IS NULL) e
         WHERE s.workspace_id = $1 AND s.backfill_id = $2 AND s.starts_at = e.starts_at
           AND e.state IN ('succeeded', 'failed', 'canceled')",
        workspace_id,
        id
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn progress(tx: &mut Tx, workspace_id: Uuid, id: Uuid) -> Result<Progress> {
    let row = sqlx::query!(
        r#"SELECT (SELECT count(*) FROM backfill_slices WHERE workspace_id = $1 AND backfill_id = $2 AND run_id IS NOT NULL AND ended IS NULL)
                      AS "under_way!",
                  EXISTS (SELECT FROM backfill_slices WHERE workspace_id = $1 AND backfill_id = $2 AND run_id IS NULL) AS "waiting!",
                  EXISTS (SELECT FROM backfill_slices WHERE workspace_id = $1 AND backfill_id = $2 AND ended IN ('failed', 'canceled'))
                      AS "failed!""#,
        workspace_id,
        id
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(Progress { under_way: row.under_way, waiting: row.waiting, failed: row.failed })
}
