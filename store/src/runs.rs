//! Runs: creating them.

mod cancel;
mod history;
mod insert;
mod own;
mod rerun;
mod rows;
mod why;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

pub(crate) use cancel::cancel_in;
pub(crate) use insert::{RunDraft, insert_run};
pub use own::Once;
pub use rerun::RerunMode;
pub use rows::{AttemptRow, RunDetail, RunFilter, RunSummary, StageRunRow, TaskRunRow};
pub use why::{Cause, Why};

use crate::deadline::Tx;
use crate::{Result, Workspace};

/// Why a run exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A person started it.
    Manual,
    /// A schedule fired.
    Schedule,
    /// A person ran an earlier run again.
    Rerun,
    /// It fills in an interval of the past.
    Backfill,
    /// It follows its sources.
    Stream,
}

impl Trigger {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Schedule => "schedule",
            Self::Rerun => "rerun",
            Self::Backfill => "backfill",
            Self::Stream => "stream",
        }
    }
}

/// A run that is to be made.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// What it executes.
    pub version_id: Uuid,
    /// Values of the parameters, checked against their types.
    pub params: Map<String, Value>,
    /// Why it exists.
    pub trigger: Trigger,
    /// The data interval, half-open.
    pub interval: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// The only worker that may execute it.
    pub pinned_worker: Option<Uuid>,
}

/// The answer to a request for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MadeRun {
    /// The run.
    pub run_id: Uuid,
    /// Whether it was there already: the same was asked for before.
    pub existing: bool,
}

impl Workspace {
    /// Makes a run with its stage runs, dependencies and task runs, and puts what depends on nothing into the queue.
    pub async fn create_run(&self, run: &NewRun) -> Result<Uuid> {
        Ok(self.start_run(run, None, None, false).await?.run_id)
    }
}

/// Puts every pending stage run of a released run that depends on nothing into the queue, and names the queues.
pub(crate) async fn queue_unblocked(tx: &mut Tx, workspace_id: Uuid, run_id: Uuid) -> Result<Vec<String>> {
    let unblocked = sqlx::query_scalar!(
        "UPDATE stage_runs SET state = 'queued' WHERE workspace_id = $1 AND run_id = $2 AND state = 'pending' AND pending = 0 RETURNING id",
        workspace_id,
        run_id
    )
    .fetch_all(&mut **tx)
    .await?;
    crate::lifecycle::open(&mut **tx, &unblocked, Duration::ZERO, false).await
}
