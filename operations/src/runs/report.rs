//! Runs as documents.

use chrono::{DateTime, Utc};
use headwater_engine::receipt::Receipt;
use headwater_store::state::StageRunState;
use headwater_store::{AttemptRow, RunDetail, RunSummary, StoreErrorKind, WarningRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Operations, Result, RunState};

/// Warnings that a report shows; the log has all of them.
const MOST_WARNINGS: i64 = 50;

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
    /// Why it failed: its first failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<RunError>,
    /// The failures of further stages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub further_errors: Vec<RunError>,
    /// What somebody should look at though it failed nothing: rules that only warn, for one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<WarningRow>,
    /// Number of the pipeline's approved version, if that is a newer one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newer_version: Option<i32>,
}

/// One task of a run.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TaskReport {
    /// Its path.
    pub path: String,
    /// The stage that executes it, if several do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// extract, transform, check, load, wait.
    pub kind: String,
    /// Where it is.
    pub state: String,
    /// Rows that its stage's sources gave; of loads with a receipt only.
    pub rows_read: Option<u64>,
    /// Rows that left it.
    pub rows_written: i64,
    /// Rows and messages that were set aside.
    pub rows_rejected: i64,
    /// Their bytes.
    pub bytes: i64,
    /// How long its stage took, in milliseconds.
    pub duration_ms: Option<i64>,
    /// Attempts of its stage in this run.
    pub attempts: i64,
}

/// Why a run, or a stage of it, failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    fn of(mut detail: RunDetail, warnings: Vec<WarningRow>, newer_version: Option<i32>) -> Self {
        let receipts: Vec<Receipt> = std::mem::take(&mut detail.receipts)
            .into_iter()
            .filter_map(|receipt| serde_json::from_value(receipt).ok())
            .collect();
        let stages: Vec<Option<String>> =
            detail.tasks.iter().map(|task| detail.shared_stage(task).map(str::to_owned)).collect();
        let tasks = detail.tasks.into_iter().zip(stages).map(|(task, stage)| {
            let receipt = receipts.iter().find(|receipt| receipt.task == task.path);
            let took = task.started_at.zip(task.finished_at).map(|(start, end)| (end - start).num_milliseconds());
            TaskReport {
                rows_read: receipt.map(|receipt| receipt.rows_read),
                path: task.path,
                stage,
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
        let failed = detail.stage_runs.into_iter().filter(|stage| stage.state == StageRunState::Failed);
        let failed = failed.filter_map(|stage| serde_json::from_value(stage.error?).ok());
        let further_errors = failed.filter(|further| error.as_ref() != Some(further)).collect();
        Self {
            run: RunRow::from(detail.run),
            rerun_of: detail.rerun_of,
            interval_start: detail.interval_start,
            interval_end: detail.interval_end,
            tasks,
            receipts,
            attempts: detail.attempts,
            error,
            further_errors,
            warnings,
            newer_version,
        }
    }
}

impl Operations {
    /// Everything about one run.
    pub(super) async fn report(&self, run: Uuid) -> Result<RunReport> {
        let detail = self.workspace.show_run(run).await?;
        let warnings = self.workspace.warnings(run, MOST_WARNINGS).await?;
        let newer = match self.workspace.current_version(&detail.run.pipeline).await {
            Ok(approved) => Some(approved.number).filter(|number| *number > detail.run.version),
            Err(error) if error.kind == StoreErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        Ok(RunReport::of(detail, warnings, newer))
    }
}
