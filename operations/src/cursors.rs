//! Cursors: how far loads have read their sources, and how they start over.

use headwater_pipelines::plan::{Plan, Work};
use headwater_pipelines::spec::WriteMode;
use headwater_store::{CursorReset, CursorRow, Workspace};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{Action, Actor, OperationError, Operations, Result};

/// The document of `cursors list` and `cursors show`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CursorsReport {
    /// Cursors by pipeline and target.
    pub cursors: Vec<CursorRow>,
}

/// The document of `cursors reset`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CursorsResetReport {
    /// The pipeline.
    pub pipeline: String,
    /// How many of its cursors were reset.
    pub cursors: u64,
    /// Whether the next load goes on from the value instead of reading everything.
    pub keeps_value: bool,
    /// Targets to which the next load appends rows that they hold already.
    pub appended_again: Vec<String>,
}

impl Operations {
    /// Cursors, all or those of a pipeline.
    pub async fn cursors(&self, actor: &Actor, pipeline: Option<&str>) -> Result<CursorsReport> {
        let workspace = self.permit(actor, Action::ReadCursors)?;
        let cursors = workspace.cursors(pipeline).await?;
        if let (Some(pipeline), true) = (pipeline, cursors.is_empty()) {
            // Says so if there is no such pipeline.
            workspace.current_version(pipeline).await?;
        }
        Ok(CursorsReport { cursors })
    }

    /// Lets cursors of a pipeline start over: the next load reads everything, or goes on from the value without asking who wrote the rows.
    pub async fn reset_cursors(
        &self,
        actor: &Actor,
        pipeline: &str,
        source: Option<&str>,
        keep_value: bool,
    ) -> Result<CursorsResetReport> {
        let workspace = self.permit(actor, Action::ResetCursors)?;
        let rows = workspace.cursors(Some(pipeline)).await?;
        let chosen: Vec<&CursorRow> =
            rows.iter().filter(|row| source.is_none_or(|source| row.source == source)).collect();
        if chosen.is_empty() {
            let version = workspace.current_version(pipeline).await?;
            let sources: Vec<&str> = rows.iter().map(|row| row.source.as_str()).collect();
            let error = OperationError::not_found(match source {
                Some(source) => format!("{} has no cursor of {source}", version.pipeline),
                None => format!("{} has no cursor yet", version.pipeline),
            });
            return Err(match sources.is_empty() {
                true => error.hint("a cursor is made by the first run of an extract that has one"),
                false => error.hint(format!("its cursors read {}", sources.join(", "))),
            });
        }
        let appended = appended(&workspace, pipeline).await?;
        let appended: Vec<String> =
            appended.into_iter().filter(|target| chosen.iter().any(|row| row.target == *target)).collect();
        if let (Some(target), true) = (appended.first(), keep_value) {
            return Err(OperationError::invalid(format!(
                "{target} is appended to: rows that were read before would be there twice"
            ))
            .hint(format!("load everything again: headwater run {pipeline} --full-refresh")));
        }
        let reset = if keep_value { CursorReset::KeepValue } else { CursorReset::Start };
        let cursors = workspace.reset_cursors(pipeline, source, reset).await?;
        let appended_again = if keep_value { Vec::new() } else { appended };
        Ok(CursorsResetReport { pipeline: pipeline.to_owned(), cursors, keeps_value: keep_value, appended_again })
    }
}

/// Whether the loads of a pipeline can read everything and replace what their targets hold.
pub(crate) async fn may_refresh(workspace: &Workspace, plan: &Plan) -> Result<()> {
    let pipeline = &plan.pipeline;
    if !plan.has_cursors() {
        return Err(OperationError::invalid(format!("{pipeline} has no cursor: each run reads everything"))
            .hint(match keeps_rows(plan) {
                true => "run it without --full-refresh; what its targets hold besides is replaced if their rows are deleted first, or by mode overwrite",
                false => "run it without --full-refresh",
            }));
    }
    let rows = workspace.cursors(Some(pipeline)).await?;
    for row in &rows {
        let others = rows.iter().any(|other| other.target == row.target && other.params != row.params);
        let loads = plan
            .tasks
            .values()
            .filter(|task| matches!(&task.work, Work::Load { into, .. } if into.to_string() == row.target));
        if others || loads.count() > 1 {
            return Err(OperationError::invalid(format!("{} holds rows of several loads of {pipeline}, and a full refresh of one would remove those of the others", row.target))
                .hint(format!("delete what is to go and let the cursors start over: headwater cursors reset {pipeline}")));
        }
    }
    Ok(())
}

/// Whether a load leaves rows in its target that do not come.
fn keeps_rows(plan: &Plan) -> bool {
    plan.tasks.values().any(|task| matches!(&task.work, Work::Load { mode, .. } if *mode != WriteMode::Overwrite))
}

/// Targets to which the approved version of a pipeline appends.
async fn appended(workspace: &Workspace, pipeline: &str) -> Result<Vec<String>> {
    let Ok(version) = workspace.current_version(pipeline).await else { return Ok(Vec::new()) };
    let targets = version.plan.tasks.values().filter_map(|task| match &task.work {
        Work::Load { into, mode: WriteMode::Append, .. } => Some(into.to_string()),
        _ => None,
    });
    Ok(targets.collect())
}
