//! Canceling a run.

use uuid::Uuid;

use crate::deadline::Tx;
use crate::state::RunState;
use crate::{Result, StoreError, Workspace};

impl Workspace {
    /// Asks for a run to end. What no worker holds ends now; what a worker holds goes on until the worker answers or is lost;
    /// a load that might still commit is fenced in its target first. Answers with the run's state afterwards; a run that had
    /// already ended stays as it is.
    pub async fn cancel_run(&self, run_id: Uuid) -> Result<RunState> {
        let mut tx = self.durable().begin().await?;
        let state = cancel_in(&mut tx, self.id, run_id).await?;
        self.record(&mut tx, "runs.cancel", &run_id.to_string(), &()).await?;
        tx.commit().await?;
        self.store.inner.notifier.canceled(run_id);
        Ok(state)
    }
}

/// The body of a cancel, for transactions that cancel and do something else.
pub(crate) async fn cancel_in(tx: &mut Tx, workspace_id: Uuid, run_id: Uuid) -> Result<RunState> {
    let state: RunState = sqlx::query_scalar!(
        "SELECT state FROM runs WHERE workspace_id = $1 AND id = $2 FOR NO KEY UPDATE",
        workspace_id,
        run_id
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or_else(|| StoreError::not_found(format!("there is no run {run_id}")))?
    .parse()?;
    if state.is_final() {
        return Ok(state);
    }
    sqlx::query!(
        "UPDATE runs SET cancel_requested_at = COALESCE(cancel_requested_at, clock_timestamp())
         WHERE workspace_id = $1 AND id = $2",
        workspace_id,
        run_id
    )
    .execute(&mut **tx)
    .await?;
    crate::streams::pause_canceled(tx, workspace_id, run_id).await?;
    fence_exposed(tx, workspace_id, run_id).await?;
    let ended = end_unleased(tx, workspace_id, run_id).await?;
    crate::lifecycle::count_ended(tx, workspace_id, run_id, ended, None).await
}

/// Stage runs in the queue whose load might still commit turn into work for a fence, which is in the lane that nothing keeps back.
async fn fence_exposed(tx: &mut Tx, workspace_id: Uuid, run_id: Uuid) -> Result<()> {
    sqlx::query!(
        r#"WITH taken AS (
               SELECT q.stage_run_id FROM stage_runs s JOIN ready q ON q.stage_run_id = s.id
               WHERE s.workspace_id = $1 AND s.run_id = $2 AND s.exposed AND NOT q.fence
               FOR UPDATE OF q SKIP LOCKED),
           turned AS (
               UPDATE ready SET fence = true, lane = 0, run_at = clock_timestamp() FROM taken
               WHERE ready.stage_run_id = taken.stage_run_id)
           UPDATE stage_runs SET ending = 'canceled' FROM taken
           WHERE stage_runs.workspace_id = $1 AND stage_runs.id = taken.stage_run_id"#,
        workspace_id,
        run_id
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Ends what no worker holds. A row of `ready` that is locked is being claimed at this moment: its worker will be told.
async fn end_unleased(tx: &mut Tx, workspace_id: Uuid, run_id: Uuid) -> Result<i64> {
    let ended = sqlx::query_scalar!(
        r#"WITH unclaimed AS (
               DELETE FROM ready WHERE stage_run_id = ANY (ARRAY(
                   SELECT stage_run_id FROM ready
                   WHERE stage_run_id = ANY (ARRAY(SELECT id FROM stage_runs WHERE workspace_id = $1 AND run_id = $2)) AND NOT fence
                   FOR UPDATE SKIP LOCKED))
               RETURNING stage_run_id),
           asleep AS (DELETE FROM wakes WHERE workspace_id = $1 AND run_id = $2 RETURNING stage_run_id),
           ended AS (
               UPDATE stage_runs SET state = 'canceled', finished_at = clock_timestamp()
               WHERE workspace_id = $1 AND run_id = $2
                 AND (state = 'pending' OR id IN (SELECT stage_run_id FROM unclaimed UNION ALL SELECT stage_run_id FROM asleep))
               RETURNING id),
           tasks AS (
               UPDATE task_runs SET state = 'canceled' FROM ended
               WHERE task_runs.workspace_id = $1 AND task_runs.stage_run_id = ended.id AND task_runs.state = 'pending')
           SELECT count(*) AS "count!" FROM ended"#,
        workspace_id,
        run_id
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(ended)
}
