//! Runs as documents.

use chrono::{DateTime, Utc};
use headwater_engine::receipt::Receipt;
use headwater_store::{AttemptRow, RunDetail, RunSummary};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::RunState;

/// The document of `runs list`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RunsReport {
    /// Runs, newest first.
    pub runs: Vec<RunRow>,
}

/// One line of a list of runs.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RunRow {
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
    /// When its first stage was claimed.
    pub started_at: Option<DateTime<Utc>>,
    /// When its last stage ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// The document of `run` and `runs show`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RunReport {
    /// The run itself.
    #[serde(flatten)]
    pub run: RunRow,
    /// The run that it does again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerun_of: Option<Uuid>,
    /// Start of the data interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_start: Option<DateTime<Utc>>,
    /// End of the data interval, exclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_end: Option<DateTime<Utc>>,
    /// Its tasks in the order of the spec.
    pub tasks: Vec<TaskReport>,
    /// The receipts of its committed loads.
    pub receipts: Vec<Receipt>,
    /// All attempts, oldest first.
    pub attempts: Vec<AttemptRow>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<RunError>,
}

/// One task of a run.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TaskReport {
    /// Its path.
    pub path: String,
    /// extract, transform, check, load, wait.
    pub kind: String,
    /// Where it is.
    pub state: String,
    /// Rows that its stage's sources gave; of loads with a receipt only.
    pub rows_read: Option<u64>,
    /// Rows that left it.
    pub rows_written: i64,
    /// Rows that violated a rule.
    pub rows_rejected: i64,
    /// Their bytes.
    pub bytes: i64,
    /// How long its stage took, in milliseconds.
    pub duration_ms: Option<i64>,
    /// Attempts of its stage in this run.
    pub attempts: i64,
}

/// Why a run failed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RunError {
    /// What happened.
    pub message: String,
    /// The task at fault.
    pub task: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl From<RunSummary> for RunRow {
    fn from(run: RunSummary) -> Self {
        Self {
            run_id: run.run_id,
            pipeline: run.pipeline,
            version: run.version,
            state: run.state,
            trigger: run.trigger,
            fire_time: run.fire_time,
            started_at: run.started_at,
            finished_at: run.finished_at,
        }
    }
}

impl RunReport {
    pub(crate) fn of(mut detail: RunDetail) -> Self {
        let receipts: Vec<Receipt> =
            detail.receipts.into_iter().filter_map(|receipt| serde_json::from_value(receipt).ok()).collect();
        let tasks = detail.tasks.into_iter().map(|task| {
            let receipt = receipts.iter().find(|receipt| receipt.task == task.path);
            let took = task.started_at.zip(task.finished_at).map(|(start, end)| (end - start).num_milliseconds());
            TaskReport {
                rows_read: receipt.map(|receipt| receipt.rows_read),
                path: task.path,
                kind: task.kind,
                state: task.state,
                rows_written: task.rows,
                rows_rejected: task.rejected,
                bytes: task.bytes,
                duration_ms: took,
                attempts: task.attempts,
            }
        });
        let tasks = tasks.collect();
        let error = detail.run.error.take().map(|message| RunError {
            message,
            task: detail.run.error_task.take(),
            hint: detail.run.hint.take(),
        });
        Self {
            run: RunRow::from(detail.run),
            rerun_of: detail.rerun_of,
            interval_start: detail.interval_start,
            interval_end: detail.interval_end,
            tasks,
            receipts,
            attempts: detail.attempts,
            error,
        }
    }
}
