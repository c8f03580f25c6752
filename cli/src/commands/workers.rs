//! `headwater workers`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use headwater_operations::WorkerRow;

use crate::context::Context;
use crate::output;

/// A worker beats twice a second; one that was silent for longer is shown as such.
const SILENT_MS: i64 = 5_000;

#[derive(Debug, Subcommand)]
pub(crate) enum WorkersCommand {
    /// List registered workers, their queues and how busy they are
    #[command(after_help = "Examples:\n  headwater workers list\n  headwater workers list --json")]
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn workers(context: &Context, command: WorkersCommand) -> Result<ExitCode> {
    let WorkersCommand::List { json } = command;
    let report = context.operations.workers(&context.actor).await?;
    if json {
        output::json(&report)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = report.workers.iter().map(|worker| {
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
