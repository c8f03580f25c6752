//! Which runs have staged datasets, and until when. The files are the workers' to remove; this decides which.
//!
//! A run's files are held by the run itself, or by the newest rerun that took them over. They go once the holder has succeeded, has ended otherwise
//! for longer than a rerun may take, or is forgotten.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use headwater_pipelines::plan::{Plan, Stage};
use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

use crate::deadline::Tx;
use crate::{Result, Store, StoreError};

/// Runs whose files are removed at a time.
const BATCH: i64 = 100;

/// A removal that was begun so many seconds ago and has not ended is begun again, by any worker.
const AGAIN_S: f64 = 60.0;

impl Store {
    /// Who this installation is among those that stage in one place.
    pub async fn installation_id(&self) -> Result<Uuid> {
        Ok(sqlx::query_scalar!("SELECT id FROM installation").fetch_one(self.durable()).await?)
    }

    /// Claims runs whose staged datasets nobody needs any more, for removal by this host. From here on no rerun takes them over.
    pub async fn claim_staged_to_clear(&self, host: &str, rerun_window: Duration) -> Result<Vec<Uuid>> {
        let window = PgInterval::try_from(rerun_window).map_err(|error| {
            StoreError::invalid(format!("a rerun window of {rerun_window:?} is no interval")).caused_by(error)
        })?;
        let mut tx = self.relaxed().begin().await?;
        // Locked first and judged afterwards: a rerun that took the files over meanwhile is seen.
        let candidates = sqlx::query_scalar!(
            r#"SELECT s.run_id FROM staged_runs s
               LEFT JOIN runs r ON r.workspace_id = s.workspace_id AND r.id = COALESCE(s.held_by, s.run_id)
               WHERE (s.host IS NULL OR s.host = $1)
                 AND (s.clearing_since IS NULL OR s.clearing_since < clock_timestamp() - $4 * interval '1 second')
                 AND (r.id IS NULL OR r.state = 'succeeded' OR r.finished_at < clock_timestamp() - $2::interval)
               ORDER BY s.clearing_since NULLS FIRST, s.run_id LIMIT $3
               FOR UPDATE OF s SKIP LOCKED"#,
            host,
            window,
            BATCH,
            AGAIN_S
        )
        .fetch_all(&mut *tx)
        .await?;
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let claimed = sqlx::query_scalar!(
            r#"UPDATE staged_runs s SET clearing_since = clock_timestamp()
               WHERE s.run_id = ANY ($1) AND NOT EXISTS (
                   SELECT FROM runs r WHERE r.workspace_id = s.workspace_id AND r.id = COALESCE(s.held_by, s.run_id)
                     AND r.state <> 'succeeded' AND (r.finished_at IS NULL OR r.finished_at >= clock_timestamp() - $2::interval))
               RETURNING s.run_id"#,
            &candidates,
            window
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(claimed)
    }

    /// The staged datasets of this run are gone.
    pub async fn staged_cleared(&self, run_id: Uuid) -> Result<()> {
        sqlx::query!("DELETE FROM staged_runs WHERE run_id = $1", run_id).execute(self.relaxed()).await?;
        Ok(())
    }

    /// Those of the runs whose files are strays: they are over, and nothing of theirs is kept. A run that this database does not know may be another's:
    /// a copy of the control plane has the same id.
    pub async fn staged_strays(&self, runs: &[Uuid]) -> Result<Vec<Uuid>> {
        Ok(sqlx::query_scalar!(
            r#"SELECT r.id FROM runs r
               WHERE r.id = ANY ($1) AND r.workspace_id = ANY (ARRAY(SELECT id FROM workspaces))
                 AND r.state IN ('succeeded', 'failed', 'canceled')
                 AND NOT EXISTS (SELECT FROM staged_runs s WHERE s.run_id = r.id)"#,
            runs
        )
        .fetch_all(self.relaxed())
        .await?)
    }
}

/// Files that the run reads are missing: its reruns must make all of its datasets again.
pub(crate) async fn mark_lost(tx: &mut Tx, run_id: Uuid) -> Result<()> {
    sqlx::query!("UPDATE staged_runs SET lost = true WHERE COALESCE(held_by, run_id) = $1", run_id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Makes a rerun the holder of what the old run holds. Answers false, having changed nothing, if any of it is gone or going.
async fn hold(tx: &mut Tx, old_id: Uuid, new_id: Uuid) -> Result<bool> {
    let usable = sqlx::query_scalar!(
        "SELECT NOT lost AND clearing_since IS NULL FROM staged_runs WHERE COALESCE(held_by, run_id) = $1 ORDER BY run_id FOR UPDATE",
        old_id
    )
    .fetch_all(&mut **tx)
    .await?;
    if usable.is_empty() || usable.iter().any(|usable| *usable != Some(true)) {
        return Ok(false);
    }
    sqlx::query!("UPDATE staged_runs SET held_by = $2 WHERE COALESCE(held_by, run_id) = $1", old_id, new_id)
        .execute(&mut **tx)
        .await?;
    Ok(true)
}

/// The stages of the old run that succeeded and have to run again all the same in its rerun: they made datasets that are gone, and something reads them.
pub(crate) async fn gone_for_rerun(
    tx: &mut Tx,
    plan: &Plan,
    workspace_id: Uuid,
    old_id: Uuid,
    new_id: Uuid,
) -> Result<Vec<String>> {
    if plan.stages.iter().all(|stage| stage.staged_inputs.is_empty()) {
        return Ok(Vec::new());
    }
    let succeeded = sqlx::query_scalar!(
        "SELECT stage FROM stage_runs WHERE workspace_id = $1 AND run_id = $2 AND state = 'succeeded'",
        workspace_id,
        old_id
    )
    .fetch_all(&mut **tx)
    .await?;
    let succeeded: HashSet<String> = succeeded.into_iter().collect();
    let again = if hold(tx, old_id, new_id).await? { BTreeSet::new() } else { producers(plan, &succeeded) };
    Ok(again.into_iter().map(str::to_owned).collect())
}

/// The succeeded producers of all that has to run: of what did not succeed, and of these producers themselves.
fn producers<'a>(plan: &'a Plan, succeeded: &HashSet<String>) -> BTreeSet<&'a str> {
    let stages: HashMap<&str, &Stage> = plan.stages.iter().map(|stage| (stage.name.as_str(), stage)).collect();
    let mut running: Vec<&Stage> = plan.stages.iter().filter(|stage| !succeeded.contains(&stage.name)).collect();
    let mut again = BTreeSet::new();
    while let Some(stage) = running.pop() {
        for input in &stage.staged_inputs {
            if let Some(producer) = stages.get(input.as_str())
                && succeeded.contains(&producer.name)
                && again.insert(producer.name.as_str())
            {
                running.push(producer);
            }
        }
    }
    again
}
