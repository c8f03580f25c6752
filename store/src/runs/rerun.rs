//! Running a finished run again.

use uuid::Uuid;

use super::{RunDraft, Trigger, insert_run, queue_unblocked};
use crate::deadline::Tx;
use crate::state::RunState;
use crate::{Result, StoreError, Workspace};

/// How much of a run is done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RerunMode {
    /// What succeeded is taken over; what did not keeps its load id, so that rows that are in the target after all are not loaded twice.
    FromFailure,
    /// Everything, as new loads.
    All,
}

impl Workspace {
    /// Makes a new run of the same version, parameters and interval as a finished one.
    pub async fn rerun(&self, run_id: Uuid, mode: RerunMode, pinned_worker: Option<Uuid>) -> Result<Uuid> {
        let old = sqlx::query!(
            "SELECT version_id, state, params, interval_start, interval_end FROM runs WHERE workspace_id = $1 AND id = $2",
            self.id,
            run_id
        )
        .fetch_optional(self.durable())
        .await?
        .ok_or_else(|| StoreError::not_found(format!("there is no run {run_id}")))?;
        let state: RunState = old.state.parse()?;
        if !state.is_final() {
            return Err(StoreError::invalid(format!("run {run_id} is {state}: only a finished run can be run again"))
                .hint(format!("wait for it, or cancel it with `headwater runs cancel {run_id}`")));
        }
        if mode == RerunMode::FromFailure && state == RunState::Succeeded {
            return Err(StoreError::invalid(format!("run {run_id} succeeded: nothing of it is left to do"))
                .hint(format!("`headwater runs rerun {run_id} --all` does everything again, as new loads")));
        }
        let plan = self.plan(old.version_id).await?;
        let draft = RunDraft {
            version_id: old.version_id,
            plan: &plan,
            params: old.params,
            trigger: Trigger::Rerun,
            interval: old.interval_start.zip(old.interval_end),
            pinned_worker,
            schedule: None,
            rerun_of: Some(run_id),
            held: false,
        };
        let mut tx = self.durable().begin().await?;
        let (new_id, _) = insert_run(&mut *tx, self.id, &draft).await?;
        if mode == RerunMode::FromFailure {
            take_over(&mut tx, self.id, run_id, new_id).await?;
        }
        let queues = queue_unblocked(&mut tx, self.id, new_id).await?;
        tx.commit().await?;
        self.store.inner.notifier.ready(queues);
        Ok(new_id)
    }
}

/// Carries over what the old run achieved: successes, load ids, and the numbers of attempts, which go on counting because the
/// target knows attempts by number.
async fn take_over(tx: &mut Tx, workspace_id: Uuid, old_id: Uuid, new_id: Uuid) -> Result<()> {
    sqlx::query!(
        r#"UPDATE stage_runs n
           SET attempt = o.attempt,
               load_id = CASE WHEN l.fenced THEN n.load_id ELSE o.load_id END,
               state = CASE WHEN o.state = 'succeeded' THEN 'succeeded' ELSE n.state END,
               reused_from = CASE WHEN o.state = 'succeeded' THEN o.id END,
               manifest = o.manifest,
               started_at = CASE WHEN o.state = 'succeeded' THEN o.started_at END,
               finished_at = CASE WHEN o.state = 'succeeded' THEN o.finished_at END
           FROM stage_runs o LEFT JOIN loads l ON l.workspace_id = o.workspace_id AND l.load_id = o.load_id
           WHERE n.workspace_id = $1 AND n.run_id = $3 AND o.workspace_id = $1 AND o.run_id = $2 AND o.stage = n.stage"#,
        workspace_id,
        old_id,
        new_id
    )
    .execute(&mut **tx)
    .await?;
    let reused: i64 = sqlx::query_scalar!(
        r#"WITH reused AS (
               SELECT id, reused_from FROM stage_runs WHERE workspace_id = $1 AND run_id = $2 AND state = 'succeeded'),
           tasks AS (
               UPDATE task_runs n SET state = o.state, rows = o.rows, bytes = o.bytes, rejected = o.rejected, busy_us = o.busy_us
               FROM reused JOIN task_runs o ON o.workspace_id = $1 AND o.stage_run_id = reused.reused_from
               WHERE n.workspace_id = $1 AND n.stage_run_id = reused.id AND n.task = o.task),
           blocked AS (
               SELECT d.down_id, count(*) AS ups FROM reused JOIN deps d ON d.workspace_id = $1 AND d.up_id = reused.id
               GROUP BY d.down_id),
           downs AS (
               UPDATE stage_runs s SET pending = s.pending - blocked.ups::int FROM blocked
               WHERE s.workspace_id = $1 AND s.id = blocked.down_id)
           SELECT count(*) AS "count!" FROM reused"#,
        workspace_id,
        new_id
    )
    .fetch_one(&mut **tx)
    .await?;
    sqlx::query!(
        "UPDATE runs n SET remaining = n.remaining - $4, host = o.host FROM runs o
         WHERE n.workspace_id = $1 AND n.id = $3 AND o.workspace_id = $1 AND o.id = $2",
        workspace_id,
        old_id,
        new_id,
        i32::try_from(reused).unwrap_or(i32::MAX)
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
