//! Runs as readers see them.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::state::{AttemptState, RunState, StageRunState};

/// Which runs a list shows.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Only these states; all if empty.
    pub states: Vec<RunState>,
    /// Only this pipeline.
    pub pipeline: Option<String>,
    /// Only runs older than this one: the last of the page before.
    pub before: Option<Uuid>,
    /// At most so many; 20 if absent.
    pub limit: Option<i64>,
}

/// One line of a list of runs.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RunSummary {
    /// The run.
    pub run_id: Uuid,
    /// Name of the pipeline.
    pub pipeline: String,
    /// Number of the version.
    pub version: i32,
    /// Where it is.
    pub state: RunState,
    /// Why it exists.
    pub trigger: String,
    /// The schedule's nominal time.
    pub fire_time: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When its first stage was claimed.
    pub started_at: Option<DateTime<Utc>>,
    /// When its last stage ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Whether somebody asked for it to end.
    pub cancel_requested: bool,
    /// Why it failed.
    pub error: Option<String>,
    /// The task at fault.
    pub error_task: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Everything about one run.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RunDetail {
    /// The run itself.
    #[serde(flatten)]
    pub run: RunSummary,
    /// What it executes.
    pub version_id: Uuid,
    /// Values of the parameters.
    pub params: Value,
    /// Start of the data interval.
    pub interval_start: Option<DateTime<Utc>>,
    /// End of the data interval, exclusive.
    pub interval_end: Option<DateTime<Utc>>,
    /// The run that it does again.
    pub rerun_of: Option<Uuid>,
    /// Its stage runs in topological order.
    pub stage_runs: Vec<StageRunRow>,
    /// Its task runs in the order of the spec; groups have none.
    pub tasks: Vec<TaskRunRow>,
    /// All attempts, oldest first.
    pub attempts: Vec<AttemptRow>,
    /// The receipts of its committed loads.
    pub receipts: Vec<Value>,
}

/// A stage run.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StageRunRow {
    /// Its id.
    pub id: Uuid,
    /// Name of the stage.
    pub stage: String,
    /// Where it is.
    pub state: StageRunState,
    /// The routing lane.
    pub queue: String,
    /// Its load.
    pub load_id: Uuid,
    /// Number of the latest attempt.
    pub attempt: i32,
    /// When the next attempt may start, if it is queued for later.
    pub run_at: Option<DateTime<Utc>>,
    /// When it wakes, if it waits.
    pub wake_at: Option<DateTime<Utc>>,
    /// The stage run of an earlier run whose result it took over.
    pub reused_from: Option<Uuid>,
    /// When its first attempt started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// `{message, task, hint}` of its last failure.
    pub error: Option<Value>,
}

/// A task run. While its stage run goes on, state and counters are those of the latest heartbeat.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TaskRunRow {
    /// Path of the task.
    pub path: String,
    /// extract, transform, check, load, wait.
    pub kind: String,
    /// Where it is.
    pub state: String,
    /// Its stage run.
    pub stage_run_id: Uuid,
    /// Rows that left it.
    pub rows: i64,
    /// Their bytes.
    pub bytes: i64,
    /// Rows and messages that were set aside.
    pub rejected: i64,
    /// Time spent producing them, in microseconds.
    pub busy_us: i64,
    /// Attempts of its stage in this run.
    pub attempts: i64,
    /// When its stage started.
    pub started_at: Option<DateTime<Utc>>,
    /// When its stage ended.
    pub finished_at: Option<DateTime<Utc>>,
}

impl RunDetail {
    /// The stage of a task run, if several stages execute its task.
    pub fn shared_stage(&self, task: &TaskRunRow) -> Option<&str> {
        let is_other = |other: &TaskRunRow| other.path == task.path && other.stage_run_id != task.stage_run_id;
        let stage = self.stage_runs.iter().find(|stage| stage.id == task.stage_run_id);
        stage.filter(|_| self.tasks.iter().any(is_other)).map(|stage| stage.stage.as_str())
    }
}

/// An attempt.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AttemptRow {
    /// Its id.
    pub id: Uuid,
    /// Its stage run.
    pub stage_run_id: Uuid,
    /// Name of the stage.
    pub stage: String,
    /// Counts from 1 within the load.
    pub number: i32,
    /// `run`, or `fence` for the taking of a load id in its target.
    pub kind: String,
    /// The worker's incarnation.
    pub worker_id: Uuid,
    /// Where it is.
    pub state: AttemptState,
    /// When it was claimed.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// `{message, task, hint}`.
    pub error: Option<Value>,
}

impl AttemptRow {
    /// Why it ended without success, if it did.
    pub fn cause(&self) -> Option<String> {
        let message = self.error.as_ref().and_then(|error| error.get("message")).and_then(Value::as_str);
        match (message, self.state) {
            (Some(message), _) => Some(message.to_owned()),
            (None, AttemptState::Lost) => Some(format!("worker {} went silent", self.worker_id)),
            (None, AttemptState::Canceled) => Some("it was told to stop".to_owned()),
            (None, _) => None,
        }
    }
}
