//! What a worker hands to the engine for one attempt, and what comes back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use headwater_pipelines::plan::{Plan, TaskPath};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::control::TaskCounts;
use crate::error::EngineError;
use crate::receipt::Receipt;
use crate::staging::StagingArea;

/// One attempt of one stage.
#[derive(Debug, Clone)]
pub struct StageJob {
    /// The version's plan.
    pub plan: Arc<Plan>,
    /// Name of the stage to run.
    pub stage: String,
    /// The run it belongs to.
    pub run: RunContext,
    /// Identity of the stage's load: belongs to (stage run, load task, item).
    pub load_id: Uuid,
    /// Number of this attempt, from 1.
    pub attempt: i32,
    /// Token of this attempt: staged files live under it, so that attempts never share a path.
    pub token: Uuid,
    /// What earlier attempts counted of the batches that they settled, by task.
    pub counted: BTreeMap<String, TaskCounts>,
    /// Handles that earlier attempts of the stage run recorded, oldest first.
    pub predecessors: Vec<Value>,
    /// Settings of every connection of the plan, by name, secrets decrypted and `${…}` not yet resolved.
    pub connections: BTreeMap<String, ConnectionSettings>,
    /// Where shared datasets are staged.
    pub staging: StagingArea,
    /// Manifests of the stage's staged inputs.
    pub manifests: BTreeMap<TaskPath, Manifest>,
    /// When a waiting stage run was due to wake; set on the attempt that follows the wait.
    pub woken_at: Option<DateTime<Utc>>,
}

/// Run context that SQL sees as `$run_id`, `$interval_start`, `$interval_end`, and parameters as `$name`.
#[derive(Debug, Clone, PartialEq)]
pub struct RunContext {
    /// The run.
    pub run_id: Uuid,
    /// The stage run.
    pub stage_run_id: Uuid,
    /// Start of the data interval.
    pub interval_start: Option<DateTime<Utc>>,
    /// End of the data interval, exclusive.
    pub interval_end: Option<DateTime<Utc>>,
    /// It fills in its data interval: extracts with a cursor read the rows of the interval, and no cursor moves.
    pub backfill: bool,
    /// It follows its sources: a load commits batch after batch until the control plane ends it.
    pub follows: bool,
    /// Values of the parameters, checked against their types.
    pub params: BTreeMap<String, Value>,
}

/// A connection as the store keeps it, decrypted.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectionSettings {
    /// Name of the connector.
    pub connector: String,
    /// Its settings, secrets included.
    pub settings: Value,
}

/// Secrets never reach logs, so the settings are left out.
impl std::fmt::Debug for ConnectionSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionSettings").field("connector", &self.connector).finish_non_exhaustive()
    }
}

/// The sealed list of files of a materialised dataset. Readers open what it names and nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The dataset's task.
    pub task: TaskPath,
    /// Absolute URLs of Parquet files, in order.
    pub files: Vec<ManifestFile>,
    /// The dataset's schema as JSON, for the case that there are no files.
    pub schema: Value,
    /// Host that can read the files, when they are on a local disk.
    pub host: Option<String>,
}

/// One file of a manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Where it is.
    pub url: String,
    /// Its rows.
    pub rows: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

/// What an attempt came to.
#[derive(Debug)]
pub struct StageReport {
    /// How it ended.
    pub outcome: StageOutcome,
    /// Final counters of every task of the stage.
    pub tasks: BTreeMap<String, TaskCounts>,
    /// One receipt for a stage whose head is a load.
    pub receipts: Vec<Receipt>,
    /// Set for a stage whose head is a dataset.
    pub manifest: Option<Manifest>,
}

/// How an attempt ended.
#[derive(Debug)]
pub enum StageOutcome {
    /// Everything is committed.
    Succeeded,
    /// Nothing of this attempt is visible in a target. The error names the task at fault.
    Failed(EngineError),
    /// It stopped because it was asked to; nothing of it is visible.
    Canceled,
    /// The stage waits for time to pass and holds no slot meanwhile.
    Waiting(Duration),
}
