//! Checkpoints: a batch of a stream is settled while its attempt goes on.

use std::time::Duration;

use uuid::Uuid;

use super::claim::LeaseKey;
use super::finish::LoadReceipt;
use super::open::interval;
use super::settle::Columns;
use crate::deadline::Tx;
use crate::state::TaskEnd;
use crate::{Result, Store, StoreError};

/// Batches of a stage run whose receipts are kept; its counters know of all.
const KEPT: i64 = 100;

/// How long a run follows its sources: the next one goes on, so that history is made of runs that end.
const TURN: Duration = Duration::from_secs(3_600);

/// A batch that was committed.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Its load.
    pub load: LoadReceipt,
    /// Rows that the target took.
    pub rows: i64,
    /// Rows and messages that were rejected.
    pub rejected: i64,
    /// Counters of the stage's tasks since the run began.
    pub tasks: Vec<TaskEnd>,
}

impl Store {
    /// Settles a batch: its load is committed, its cursors move, and whatever happens to the attempt from now on, the stage run goes on from there. Only the
    /// holder of the lease may. The same batch again changes nothing.
    pub async fn checkpoint(&self, lease: &LeaseKey, batch: Option<&Batch>, behind: i64) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        // The run first, as everywhere.
        let run = sqlx::query!(
            "SELECT pipeline_id FROM runs WHERE workspace_id = $1 AND id = $2 FOR NO KEY UPDATE",
            lease.workspace_id,
            lease.run_id
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or_else(StoreError::stale)?;
        let held = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM leases WHERE stage_run_id = $1 AND token = $2) AS "held!""#,
            lease.stage_run_id,
            lease.token
        )
        .fetch_one(&mut *tx)
        .await?;
        if !held {
            return Err(StoreError::stale());
        }
        sqlx::query!(
            "UPDATE cursors SET behind = $4, looked_at = clock_timestamp() WHERE workspace_id = $1 AND taken_by = $2 AND taken_token = $3",
            lease.workspace_id,
            lease.stage_run_id,
            lease.token,
            behind
        )
        .execute(&mut *tx)
        .await?;
        // What went wrong before is over. An attempt that might still commit can't, once a batch is there that it would have been.
        sqlx::query!(
            "UPDATE stage_runs SET failures = 0, lost = 0, exposed = exposed AND NOT $3, error = NULL
             WHERE workspace_id = $1 AND id = $2 AND (failures > 0 OR lost > 0 OR (exposed AND $3) OR error IS NOT NULL)",
            lease.workspace_id,
            lease.stage_run_id,
            batch.is_some()
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!(
            "UPDATE streams SET failures = 0, error = NULL, not_before = NULL
             WHERE workspace_id = $1 AND pipeline_id = $2 AND state = 'running' AND (failures > 0 OR error IS NOT NULL OR not_before IS NOT NULL)",
            lease.workspace_id,
            run.pipeline_id
        )
        .execute(&mut *tx)
        .await?;
        // The sessions of this batch can't commit any more, and there is one for each batch.
        sqlx::query!(
            "UPDATE attempts SET handles = '[]' WHERE workspace_id = $1 AND id = $2 AND handles <> '[]'",
            lease.workspace_id,
            lease.attempt_id
        )
        .execute(&mut *tx)
        .await?;
        if let Some(batch) = batch {
            settle(&mut tx, lease, run.pipeline_id, batch).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Whether a stream's run is to go on: the stream runs, this run is its present one and not canceled, no other stage of it has failed,
    /// nothing that it is under is paused, its version is the approved one, and its turn is not over.
    pub async fn goes_on(&self, lease: &LeaseKey) -> Result<bool> {
        Ok(sqlx::query_scalar!(
            r#"SELECT EXISTS (
                   SELECT FROM runs r
                   JOIN streams s ON s.workspace_id = r.workspace_id AND s.pipeline_id = r.pipeline_id AND s.run_id = r.id
                   JOIN pipelines p ON p.workspace_id = r.workspace_id AND p.id = r.pipeline_id
                   WHERE r.workspace_id = $1 AND r.id = $2 AND s.state = 'running' AND p.current_version_id = r.version_id
                     AND r.cancel_requested_at IS NULL AND r.failed_stages = 0 AND r.started_at > clock_timestamp() - $3::interval
                     AND NOT EXISTS (
                         SELECT FROM stage_run_limits v
                         WHERE v.workspace_id = r.workspace_id AND v.stage_run_id = $4 AND v.paused_at IS NOT NULL)) AS "goes_on!""#,
            lease.workspace_id,
            lease.run_id,
            interval(TURN)?,
            lease.stage_run_id
        )
        .fetch_one(self.durable())
        .await?)
    }
}

async fn settle(tx: &mut Tx, lease: &LeaseKey, pipeline_id: Uuid, batch: &Batch) -> Result<()> {
    let committed = sqlx::query!(
        "UPDATE loads SET state = 'committed', receipt = $4, attempt = $3, finished_at = clock_timestamp()
         WHERE workspace_id = $1 AND load_id = $2 AND state IN ('committing', 'failed')",
        lease.workspace_id,
        batch.load.load_id,
        batch.load.attempt,
        batch.load.receipt
    )
    .execute(&mut **tx)
    .await?;
    if committed.rows_affected() == 0 {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE streams SET batches = batches + 1, rows = rows + $3, rejected = rejected + $4, committed_at = clock_timestamp()
         WHERE workspace_id = $1 AND pipeline_id = $2",
        lease.workspace_id,
        pipeline_id,
        batch.rows,
        batch.rejected
    )
    .execute(&mut **tx)
    .await?;
    count(tx, lease, batch).await?;
    forget_old(tx, lease).await
}

async fn count(tx: &mut Tx, lease: &LeaseKey, batch: &Batch) -> Result<()> {
    let counts = Columns::of(batch.tasks.iter().map(|task| (1, task)));
    sqlx::query!(
        "UPDATE task_runs t SET rows = c.rows, bytes = c.bytes, rejected = c.rejected, busy_us = c.busy_us
         FROM unnest($3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]) AS c (task, rows, bytes, rejected, busy_us)
         WHERE t.workspace_id = $1 AND t.stage_run_id = $2 AND t.task = c.task AND t.state = 'pending'",
        lease.workspace_id,
        lease.stage_run_id,
        &counts.tasks,
        &counts.rows,
        &counts.bytes,
        &counts.rejected,
        &counts.busy_us
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A stream makes batches for ever: the cursors know what is loaded, and the last receipts are enough to look at.
async fn forget_old(tx: &mut Tx, lease: &LeaseKey) -> Result<()> {
    let old = sqlx::query_scalar!(
        "SELECT load_id FROM loads WHERE workspace_id = $1 AND run_id = $2 AND stage_run_id = $3 AND state = 'committed'
         ORDER BY created_at DESC OFFSET $4",
        lease.workspace_id,
        lease.run_id,
        lease.stage_run_id,
        KEPT
    )
    .fetch_all(&mut **tx)
    .await?;
    if old.is_empty() {
        return Ok(());
    }
    sqlx::query!("DELETE FROM intents WHERE workspace_id = $1 AND load_id = ANY ($2)", lease.workspace_id, &old)
        .execute(&mut **tx)
        .await?;
    sqlx::query!("DELETE FROM loads WHERE workspace_id = $1 AND load_id = ANY ($2)", lease.workspace_id, &old)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
