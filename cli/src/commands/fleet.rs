//! `headwater workers`, `limits`, `pause` and `resume`.

use std::process::ExitCode;

use anyhow::Result;
use headwater_store::{LimitRow, Scope, WorkerRow};
use serde_json::json;

use crate::args::{LimitsCommand, WorkersCommand};
use crate::context::Context;
use crate::output;

/// A worker beats twice a second; one that was silent for longer is shown as such.
const SILENT_MS: i64 = 5_000;

pub(super) async fn workers(context: &Context, command: WorkersCommand) -> Result<ExitCode> {
    let WorkersCommand::List { json } = command;
    let workers = context.store.workers().await?;
    if json {
        output::json(&json!({ "workers": workers }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = workers.iter().map(|worker| {
        [
            worker.id.to_string(),
            worker.host.clone(),
            worker.queues.join(", "),
            worker.labels.join(", "),
            format!("{} of {}", worker.busy, worker.slots),
            state(worker),
            output::time(Some(worker.started_at)),
        ]
    });
    output::table(&["worker", "host", "queues", "labels", "busy", "state", "started"], rows);
    Ok(ExitCode::SUCCESS)
}

fn state(worker: &WorkerRow) -> String {
    match (worker.silent_ms > SILENT_MS, worker.draining, worker.only_run) {
        (true, _, _) => format!("silent for {}", output::duration(chrono::TimeDelta::milliseconds(worker.silent_ms))),
        (false, true, _) => "draining".to_owned(),
        (false, false, Some(run)) => format!("for run {run} alone"),
        (false, false, None) => "active".to_owned(),
    }
}

pub(super) async fn limits(context: &Context, command: LimitsCommand) -> Result<ExitCode> {
    match command {
        LimitsCommand::List { json } => list(&context.workspace.limits().await?, json)?,
        LimitsCommand::Set { scope, slots } => {
            context.workspace.set_limit(&scope, slots).await?;
            output::line(&format!("{scope}: at most {slots} at a time"));
        }
        LimitsCommand::Remove { scope } => {
            context.workspace.remove_limit(&scope).await?;
            output::line(&format!("{scope}: no limit"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn pause(context: &Context, scope: &Scope) -> Result<ExitCode> {
    context.workspace.pause(scope).await?;
    output::line(&format!("{scope} is paused: what runs goes on, nothing new starts"));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn resume(context: &Context, scope: &Scope) -> Result<ExitCode> {
    context.workspace.resume(scope).await?;
    output::line(&format!("{scope} goes on"));
    Ok(ExitCode::SUCCESS)
}

fn list(limits: &[LimitRow], as_json: bool) -> Result<()> {
    if as_json {
        return output::json(&json!({ "limits": limits }));
    }
    let rows = limits.iter().map(|limit| {
        [
            limit.scope.to_string(),
            limit.slots.map_or_else(String::new, |slots| slots.to_string()),
            limit.held.to_string(),
            output::time(limit.paused_at),
        ]
    });
    output::table(&["scope", "at most", "running", "paused since"], rows);
    Ok(())
}
