//! Runs: started, watched, run again, canceled, explained.

mod explain;
mod logs;
mod rehearse;
mod report;
mod start;
mod watch;

use headwater_store::{StoreErrorKind, Suggest, Why};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::{Action, Actor, OperationError, Operations, Result, RunState};

pub use explain::{Advice, ExplainReport, ExplainedFailure, FailureKind, LoadedTarget};
pub use headwater_store::RunFilter;
pub use logs::LogTail;
pub use rehearse::{KeyReport, RehearsalReport, Rehearse, RehearsedTaskReport, RuleViolations};
pub use report::{RunError, RunReport, RunRow, RunsReport, TaskReport};
pub use start::{Origin, Place, Site, StartRun, Started, Target};
pub(crate) use start::{bind, zone_of};
pub use watch::{RunEvent, TaskProgress, Watch, task_label};

/// The document of `runs why`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WhyReport {
    /// The run.
    pub run_id: Uuid,
    /// Where it is.
    pub state: RunState,
    /// What each of its unfinished stages waits for.
    pub stages: Vec<Why>,
}

/// The document of `runs cancel`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CancelReport {
    /// The run.
    pub run_id: Uuid,
    /// Where it is: it ends once its stages have stopped.
    pub state: RunState,
}

impl Operations {
    /// Runs, newest first.
    pub async fn runs(&self, actor: &Actor, filter: &RunFilter) -> Result<RunsReport> {
        let runs = self.permit(actor, Action::ReadRuns)?.list_runs(filter).await?;
        Ok(RunsReport { runs: runs.into_iter().map(RunRow::from).collect() })
    }

    /// Everything about one run.
    pub async fn run(&self, actor: &Actor, run: Uuid) -> Result<RunReport> {
        self.permit(actor, Action::ReadRuns)?;
        self.report(run).await
    }

    /// The run whose id begins like this.
    pub async fn find_run(&self, actor: &Actor, beginning: &str) -> Result<Uuid> {
        Ok(self.permit(actor, Action::ReadRuns)?.find_run(beginning).await?)
    }

    /// The newest run.
    pub async fn newest_run(&self, actor: &Actor) -> Result<Uuid> {
        let filter = RunFilter { limit: Some(1), ..RunFilter::default() };
        let newest = self.permit(actor, Action::ReadRuns)?.list_runs(&filter).await?;
        let newest =
            newest.first().ok_or_else(|| OperationError::not_found("there are no runs yet").suggest(Suggest::Run))?;
        Ok(newest.run_id)
    }

    /// Runs that have not ended, newest first.
    pub async fn unfinished_runs(&self, actor: &Actor, limit: i64) -> Result<RunsReport> {
        let states = RunState::ALL.iter().copied().filter(|state| !state.is_final()).collect();
        self.runs(actor, &RunFilter { states, limit: Some(limit), ..RunFilter::default() }).await
    }

    /// What each unfinished stage of a run waits for, or only the stages of one task.
    pub async fn why(&self, actor: &Actor, run: Uuid, task: Option<&str>) -> Result<WhyReport> {
        let workspace = self.permit(actor, Action::ReadRuns)?;
        let detail = workspace.show_run(run).await?;
        if let Some(task) = task.filter(|task| !detail.tasks.iter().any(|row| row.path == **task)) {
            let names: Vec<&str> = detail.tasks.iter().map(|row| row.path.as_str()).collect();
            let hint = headwater_pipelines::diagnostic::nearest_hint(task, names);
            let error = OperationError::not_found(format!("run {run} has no task '{task}'"));
            return Err(match hint {
                Some(hint) => error.hint(hint),
                None => error,
            });
        }
        Ok(WhyReport { run_id: run, state: detail.run.state, stages: workspace.why(run, task).await? })
    }

    /// Asks a run to end. One that had already ended stays as it is.
    pub async fn cancel(&self, actor: &Actor, run: Uuid) -> Result<CancelReport> {
        match self.permit(actor, Action::CancelRun)?.cancel_run(run).await {
            Err(error) if error.kind == StoreErrorKind::NotFound => {
                Err(OperationError::from(error).suggest(Suggest::ListRuns))
            }
            answer => Ok(CancelReport { run_id: run, state: answer? }),
        }
    }
}
