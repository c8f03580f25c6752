//! The fleet: workers, limits and pauses, and the runs that failed on it.

use std::time::Duration;

use headwater_store::{FailedRun, LimitRow, Scope, WorkerRow};
use schemars::JsonSchema;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{Action, Actor, Operations, Result};

/// How often ended runs are counted.
const LOOK: Duration = Duration::from_millis(500);

/// Runs counted in one transaction.
const BATCH: i64 = 200;

/// The document of `workers list`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WorkersReport {
    /// Registered workers, oldest first.
    pub workers: Vec<WorkerRow>,
}

/// The document of `limits list`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LimitsReport {
    /// Limits and pauses.
    pub limits: Vec<LimitRow>,
}

impl Operations {
    /// Registered workers.
    pub async fn workers(&self, actor: &Actor) -> Result<WorkersReport> {
        self.permit(actor, Action::ReadFleet)?;
        Ok(WorkersReport { workers: self.store.workers().await? })
    }

    /// Limits and pauses, with what runs under each.
    pub async fn limits(&self, actor: &Actor) -> Result<LimitsReport> {
        Ok(LimitsReport { limits: self.permit(actor, Action::ReadFleet)?.limits().await? })
    }

    /// Limits concurrent stages of a scope. What runs already goes on.
    pub async fn set_limit(&self, actor: &Actor, scope: &Scope, slots: u32) -> Result<()> {
        Ok(self.permit(actor, Action::ChangeFleet)?.set_limit(scope, slots).await?)
    }

    /// Removes a limit.
    pub async fn remove_limit(&self, actor: &Actor, scope: &Scope) -> Result<()> {
        Ok(self.permit(actor, Action::ChangeFleet)?.remove_limit(scope).await?)
    }

    /// Pauses a scope: nothing new of it starts.
    pub async fn pause(&self, actor: &Actor, scope: &Scope) -> Result<()> {
        Ok(self.permit(actor, Action::ChangeFleet)?.pause(scope).await?)
    }

    /// Ends a pause.
    pub async fn resume(&self, actor: &Actor, scope: &Scope) -> Result<()> {
        Ok(self.permit(actor, Action::ChangeFleet)?.resume(scope).await?)
    }

    /// Counts runs that end and reports each failure once, whichever process of the fleet it fell to.
    pub fn failure_watch(&self) -> FailureWatch {
        FailureWatch { operations: self.clone() }
    }
}

/// Counts runs that end and logs those that fail.
#[derive(Debug, Clone)]
pub struct FailureWatch {
    operations: Operations,
}

impl FailureWatch {
    /// Works until it is stopped, and looks once more then. Failures from before it started are counted and not logged: whoever watched
    /// those runs has seen them.
    pub async fn run(self, stop: CancellationToken) {
        let started = self.operations.store.now().await.unwrap_or_else(|_| chrono::Utc::now());
        let mut failing = false;
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            match self.operations.store.roll_up(BATCH).await {
                Ok(failed) => {
                    failing = false;
                    failed.iter().filter(|run| run.finished_at >= started).for_each(log_failure);
                }
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(%error, "ended runs are not counted; it is tried again");
                }
                Err(_) => {}
            }
        }
    }
}

fn log_failure(run: &FailedRun) {
    tracing::error!(
        run = %run.run_id,
        pipeline = run.pipeline,
        task = run.task.as_deref().unwrap_or(""),
        error = run.error.as_deref().unwrap_or("no cause was recorded"),
        "run failed"
    );
}
