//! Loads: handles, intents, and what earlier attempts intended.

use serde_json::Value;
use uuid::Uuid;

use crate::backfills::{SliceKeys, take_keys};
use crate::cursors::{self, MovedCursor};
use crate::deadline::Tx;
use crate::lifecycle::LeaseKey;
use crate::rejects::{self, NewReject};
use crate::{Result, Store, StoreError, Workspace};

/// An intent that is to be persisted.
#[derive(Debug, Clone)]
pub struct IntentRow {
    /// The load.
    pub load_id: Uuid,
    /// The attempt that is about to commit.
    pub attempt: i32,
    /// Path of the load task.
    pub task: String,
    /// The intent as the engine wrote it.
    pub intent: Value,
    /// Cursors that the load moves.
    pub cursors: Vec<MovedCursor>,
    /// Keys whose rows it replaces, if no other slice of its backfill may have them.
    pub slice: Option<SliceKeys>,
    /// What it sets aside instead of loading it.
    pub rejects: Vec<NewReject>,
}

impl Store {
    /// Persists what a successor needs to end this attempt's session in a target. Only the holder of the lease may.
    pub async fn record_handle(&self, lease: &LeaseKey, handle: &Value) -> Result<()> {
        let updated = sqlx::query!(
            r#"UPDATE attempts a SET handles = a.handles || jsonb_build_array($3::jsonb)
               FROM leases l
               WHERE l.stage_run_id = $1 AND l.token = $2 AND a.workspace_id = l.workspace_id AND a.id = l.attempt_id"#,
            lease.stage_run_id,
            lease.token,
            handle
        )
        .execute(self.durable())
        .await?;
        if updated.rows_affected() == 0 { Err(StoreError::stale()) } else { Ok(()) }
    }

    /// The point of no return. Under the run's lock, which a cancel takes too: either the cancel came first and the intent is
    /// refused, or the intent came first and the load may commit. False, with nothing changed, if a cursor of the load has moved since it was read.
    /// Rejects of the load are written with it, and seen once it is committed.
    pub async fn intend(&self, lease: &LeaseKey, intent: &IntentRow) -> Result<bool> {
        let mut tx = self.durable().begin().await?;
        check_may_commit(&mut tx, lease).await?;
        let intended = sqlx::query!(
            r#"INSERT INTO loads AS l (workspace_id, load_id, run_id, stage_run_id, task, state, attempt, intent)
               VALUES ($1, $2, $3, $4, $5, 'committing', $6, $7)
               ON CONFLICT (workspace_id, load_id) DO UPDATE
               SET run_id = $3, stage_run_id = $4, state = 'committing', attempt = $6, intent = $7, finished_at = NULL
               WHERE l.state IN ('committing', 'failed') AND NOT l.fenced"#,
            lease.workspace_id,
            intent.load_id,
            lease.run_id,
            lease.stage_run_id,
            intent.task,
            intent.attempt,
            intent.intent
        )
        .execute(&mut *tx)
        .await?;
        if intended.rows_affected() == 0 {
            // Committed, or taken by a fence: nothing of this attempt may reach the target any more.
            return Err(StoreError::stale());
        }
        for cursor in &intent.cursors {
            if !cursors::expect_move(&mut tx, lease, intent.load_id, *cursor).await? {
                return Ok(false);
            }
        }
        if let Some(slice) = &intent.slice {
            take_keys(&mut tx, lease, slice).await?;
        }
        sqlx::query!(
            r#"INSERT INTO intents (workspace_id, load_id, attempt, intent) VALUES ($1, $2, $3, $4)
               ON CONFLICT (workspace_id, load_id, attempt) DO UPDATE SET intent = EXCLUDED.intent"#,
            lease.workspace_id,
            intent.load_id,
            intent.attempt,
            intent.intent
        )
        .execute(&mut *tx)
        .await?;
        rejects::put(&mut tx, lease, intent).await?;
        tx.commit().await?;
        Ok(true)
    }
}

impl Workspace {
    /// What an attempt intended: the truth about its load, once the target says that it won.
    pub async fn recorded_intent(&self, load_id: Uuid, attempt: i32) -> Result<Option<Value>> {
        Ok(sqlx::query_scalar!(
            "SELECT intent FROM intents WHERE workspace_id = $1 AND load_id = $2 AND attempt = $3",
            self.id(),
            load_id,
            attempt
        )
        .fetch_optional(self.durable())
        .await?)
    }
}

async fn check_may_commit(tx: &mut Tx, lease: &LeaseKey) -> Result<()> {
    let canceled = sqlx::query_scalar!(
        r#"SELECT cancel_requested_at IS NOT NULL AS "canceled!" FROM runs
           WHERE workspace_id = $1 AND id = $2 FOR NO KEY UPDATE"#,
        lease.workspace_id,
        lease.run_id
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or_else(StoreError::stale)?;
    // A statement of its own, after the lock: its snapshot sees what the lock's former holder did to the lease.
    let held = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM leases WHERE stage_run_id = $1 AND token = $2) AS "held!""#,
        lease.stage_run_id,
        lease.token
    )
    .fetch_one(&mut **tx)
    .await?;
    match (held, canceled) {
        (false, _) => Err(StoreError::stale()),
        (true, true) => Err(StoreError::canceled()),
        (true, false) => Ok(()),
    }
}
