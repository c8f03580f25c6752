//! `headwater runs`.

mod explain;
mod report;

use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use headwater_operations::{LogRow, RerunMode, RunFilter, RunRow, RunsReport};
use uuid::Uuid;

use crate::context::{Context, staging};
use crate::failure::hinted;
use crate::output;

pub(super) use report::show as show_report;

/// Unfinished runs that are named when it is not clear which one is meant.
const NAMED: i64 = 10;

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List runs, newest first
    #[command(
        after_help = "Examples:\n  headwater runs list\n  headwater runs list --state failed --pipeline orders --limit 50"
    )]
    List {
        /// Number of runs
        #[arg(long, default_value_t = 20)]
        limit: i64,
        /// Only runs in this state; can be repeated
        #[arg(long)]
        state: Vec<String>,
        /// Only runs of this pipeline
        #[arg(long)]
        pipeline: Option<String>,
        /// Only runs older than this one
        #[arg(long, value_name = "RUN")]
        before: Option<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show a run's tasks, attempts and receipts
    #[command(after_help = "Examples:\n  headwater runs show\n  headwater runs show 0199c2c0-7d1e --json")]
    Show {
        /// Run id, or the beginning of one [default: the newest run]
        run: Option<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Print a run's log
    #[command(after_help = "Examples:\n  headwater runs logs\n  headwater runs logs 0199c2c0-7d1e --follow")]
    Logs {
        /// Run id, or the beginning of one [default: the newest run]
        run: Option<String>,
        /// Follow the log until the run has ended
        #[arg(long, short)]
        follow: bool,
        /// Print one JSON document a line
        #[arg(long)]
        json: bool,
    },
    /// Explain what a run, or one of its tasks, is waiting for
    #[command(after_help = "Examples:\n  headwater runs why\n  headwater runs why 0199c2c0-7d1e publish")]
    Why {
        /// Run id, or the beginning of one [default: the newest run]
        run: Option<String>,
        /// Task of the run
        task: Option<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Explain why a run failed, and what to do; with --fix make a draft of the change
    #[command(
        after_help = "Examples:\n  headwater runs explain\n  headwater runs explain 0199c2c0-7d1e --fix -o orders.yaml"
    )]
    Explain(explain::RunExplainArgs),
    /// Cancel a run
    #[command(after_help = "Examples:\n  headwater runs cancel 0199c2c0-7d1e\n  headwater runs cancel --newest")]
    Cancel {
        /// Run id, or the beginning of one; without it the command prompts
        run: Option<String>,
        /// Cancel the newest unfinished run, regardless of who started it
        #[arg(long, conflicts_with = "run")]
        newest: bool,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Rerun a finished run: its failed tasks, with the same load ids
    #[command(after_help = "Examples:\n  headwater runs rerun\n  headwater runs rerun 0199c2c0-7d1e --all")]
    Rerun {
        /// Run id, or the beginning of one [default: the newest run]
        run: Option<String>,
        /// Rerun all tasks, with new load ids: an append adds its rows a second time
        #[arg(long)]
        all: bool,
        /// Print one JSON document on standard output at the end
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn runs(context: &Context, command: RunsCommand) -> Result<ExitCode> {
    let (operations, actor) = (&context.operations, &context.actor);
    match command {
        RunsCommand::List { limit, state, pipeline, before, json } => {
            let before = match before {
                Some(before) => Some(operations.find_run(actor, &before).await?),
                None => None,
            };
            let filter = RunFilter { states: states(&state)?, pipeline, before, limit: Some(limit) };
            let report = operations.runs(actor, &filter).await?;
            if json { output::json(&report)? } else { list(&report.runs) }
        }
        RunsCommand::Show { run, json } => {
            let report = operations.run(actor, named(context, run).await?).await?;
            if json { output::json(&report)? } else { show_report(&report) }
        }
        RunsCommand::Logs { run, follow, json } => {
            let run = named(context, run).await?;
            let mut tail = operations.logs(actor, run, follow).await?;
            while let Some(line) = tail.next().await? {
                if json { output::json_line(&line)? } else { show_line(&line) }
            }
        }
        RunsCommand::Why { run, task, json } => {
            let is_named = run.is_some();
            let run = unfinished(context, run).await?;
            super::why::why(context, run, task.as_deref(), json).await?;
            if !is_named && !json {
                others(context, run).await?;
            }
        }
        RunsCommand::Explain(args) => return explain::explain(context, args).await,
        RunsCommand::Cancel { run, newest, json } => {
            let run = to_cancel(context, run, newest).await?;
            let report = operations.cancel(actor, run).await?;
            let pending = if report.state.is_final() { "" } else { "; it ends once its stages have stopped" };
            if json { output::json(&report)? } else { output::line(&format!("run {run} is {}{pending}", report.state)) }
        }
        RunsCommand::Rerun { run, all, json } => {
            let mode = if all { RerunMode::All } else { RerunMode::FromFailure };
            // A run that nobody could execute here for want of a staging area is not made.
            staging(&context.config)?;
            let started = operations.rerun(actor, named(context, run).await?, mode).await?;
            return super::run::see_through(context, started, json).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The run that a command names, or the newest one.
async fn named(context: &Context, run: Option<String>) -> Result<Uuid> {
    Ok(match run {
        Some(run) => context.operations.find_run(&context.actor, &run).await?,
        None => context.operations.newest_run(&context.actor).await?,
    })
}

/// The run that is named, or the newest one that waits for anything; if none does, the newest.
async fn unfinished(context: &Context, run: Option<String>) -> Result<Uuid> {
    if run.is_none()
        && let Some(run) = context.operations.unfinished_runs(&context.actor, 1).await?.runs.first()
    {
        return Ok(run.run_id);
    }
    named(context, run).await
}

/// Names what is unfinished beside a run that the command has chosen.
async fn others(context: &Context, chosen: Uuid) -> Result<()> {
    let RunsReport { runs } = context.operations.unfinished_runs(&context.actor, NAMED).await?;
    for RunRow { run_id, pipeline, state, .. } in runs.iter().filter(|run| run.run_id != chosen) {
        output::line(&format!("also {state}: {pipeline}; headwater runs why {run_id}"));
    }
    Ok(())
}

/// The run to cancel. Nobody's run is canceled because it happens to be the newest, unless that is what the command says.
async fn to_cancel(context: &Context, run: Option<String>, newest: bool) -> Result<Uuid> {
    if run.is_some() {
        return named(context, run).await;
    }
    let RunsReport { runs } = context.operations.unfinished_runs(&context.actor, NAMED).await?;
    let describe = |run: &RunRow| format!("{} of {} ({})", run.run_id, run.pipeline, run.state);
    match runs.as_slice() {
        [] => bail!("no run is unfinished"),
        [run, ..] if newest => Ok(run.run_id),
        [run] if std::io::stdin().is_terminal() => {
            if confirm(&format!("cancel run {}?", describe(run)))? {
                Ok(run.run_id)
            } else {
                bail!("nothing was canceled")
            }
        }
        several => {
            let list = several.iter().map(describe).collect::<Vec<_>>().join("\n");
            Err(hinted(format!("which run? unfinished are\n{list}"), "headwater runs cancel RUN, or --newest"))
        }
    }
}

/// Asks on the terminal.
pub(super) fn confirm(question: &str) -> Result<bool> {
    output::ask(&format!("{question} [y/N]")).context("the terminal can't be written")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("the answer can't be read")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn states(texts: &[String]) -> Result<Vec<headwater_operations::RunState>> {
    let parse = |text: &String| {
        text.parse().map_err(|_| {
            hinted(format!("'{text}' is not a state"), "pending, queued, running, succeeded, failed or canceled")
        })
    };
    texts.iter().map(parse).collect()
}

fn list(runs: &[RunRow]) {
    let rows = runs.iter().map(|run| {
        let took = run.started_at.zip(run.finished_at).map(|(start, end)| output::duration(end - start));
        [
            run.run_id.to_string(),
            format!("{} v{}", run.pipeline, run.version),
            run.state.to_string(),
            run.trigger.clone(),
            output::time(run.started_at),
            took.unwrap_or_default(),
        ]
    });
    output::table(&["run", "pipeline", "state", "trigger", "started", "took"], rows);
}

fn show_line(line: &LogRow) {
    let task = line.task.as_deref().unwrap_or(&line.stage);
    let message = output::shown(&line.message);
    output::line(&format!("{} {:5} {task}: {message}", line.at.format("%Y-%m-%dT%H:%M:%S%.3fZ"), line.level));
}
