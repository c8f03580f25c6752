//! `headwater runs`.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Result;
use headwater_store::{LogRow, RerunMode, RunDetail, RunFilter, RunSummary};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::args::RunsCommand;
use crate::context::Context;
use crate::failure::hinted;
use crate::output;

/// Log lines fetched at a time.
const LOG_PAGE: i64 = 500;

/// How often new lines are looked for; longer than the pause between a worker's batches.
const LOG_LOOK: std::time::Duration = std::time::Duration::from_millis(1_500);

/// Lines written this long before the last one may still turn up.
const LOG_OVERLAP: std::time::Duration = std::time::Duration::from_secs(10);

pub(super) async fn runs(context: &Context, command: RunsCommand) -> Result<ExitCode> {
    match command {
        RunsCommand::List { limit, state, pipeline, before, json } => {
            let parse = |text: &String| {
                text.parse().map_err(|_| {
                    hinted(
                        format!("'{text}' is not a state"),
                        "pending, queued, running, succeeded, failed or canceled",
                    )
                })
            };
            let states = state.iter().map(parse).collect::<Result<Vec<_>>>()?;
            let filter = RunFilter { states, pipeline, before, limit: Some(limit) };
            list(&context.workspace.list_runs(&filter).await?, json)
        }
        RunsCommand::Show { run, json } => {
            let detail = context.workspace.show_run(context.run_or_newest(run).await?).await?;
            if json {
                output::json(&document(&detail))?;
            } else {
                show_detail(&detail);
            }
            Ok(ExitCode::SUCCESS)
        }
        RunsCommand::Logs { run, follow } => logs(context, context.run_or_newest(run).await?, follow).await,
        RunsCommand::Why { run, task, json } => {
            super::why::why(context, context.run_or_newest(run).await?, task.as_deref(), json).await
        }
        RunsCommand::Cancel { run } => {
            let run = context.run_or_newest(run).await?;
            let state = context.workspace.cancel_run(run).await?;
            output::line(&format!(
                "run {run} is {state}{}",
                if state.is_final() { "" } else { " and was asked to end" }
            ));
            Ok(ExitCode::SUCCESS)
        }
        RunsCommand::Rerun { run, all, json } => {
            let mode = if all { RerunMode::All } else { RerunMode::FromFailure };
            super::run::rerun(context, context.run_or_newest(run).await?, mode, json).await
        }
    }
}

fn list(runs: &[RunSummary], as_json: bool) -> Result<ExitCode> {
    if as_json {
        let runs: Vec<Value> = runs.iter().map(summary).collect();
        output::json(&json!({ "runs": runs }))?;
        return Ok(ExitCode::SUCCESS);
    }
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
    Ok(ExitCode::SUCCESS)
}

/// Prints the log; following, until the run has ended and its last line is printed.
async fn logs(context: &Context, run: Uuid, follow: bool) -> Result<ExitCode> {
    let mut tail = Tail::default();
    loop {
        // Asked before the lines are read, so that none is missed.
        let ended = context.workspace.run(run).await?.state.is_final();
        tail.print(context, run).await?;
        if !follow {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(LOG_LOOK).await;
        if ended {
            // Workers write lines in batches: the last one may come after the end.
            tail.print(context, run).await?;
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// How far a log was printed. Ids are made when lines are written and seen when that is committed, so a line may turn up behind
/// one that was printed: each look begins a little before the last one's end and passes over what was printed.
#[derive(Default)]
struct Tail {
    printed: BTreeSet<Uuid>,
}

impl Tail {
    async fn print(&mut self, context: &Context, run: Uuid) -> Result<()> {
        let mut after = self.printed.first().copied();
        loop {
            let lines = context.workspace.logs(run, after, LOG_PAGE).await?;
            let Some(last) = lines.last() else { break };
            after = Some(last.id);
            lines.iter().filter(|line| self.printed.insert(line.id)).for_each(print_line);
        }
        if let Some(last) = self.printed.last().copied() {
            self.printed = self.printed.split_off(&before(last, LOG_OVERLAP));
        }
        Ok(())
    }
}

/// An id that was made so much earlier: the first 48 bits of an id are milliseconds.
fn before(id: Uuid, time: std::time::Duration) -> Uuid {
    let ms = (id.as_u128() >> 80).saturating_sub(time.as_millis());
    Uuid::from_u128(ms << 80)
}

fn print_line(line: &LogRow) {
    let task = line.task.as_deref().unwrap_or(&line.stage);
    output::line(&format!("{} {:5} {task}: {}", line.at.format("%Y-%m-%dT%H:%M:%S%.3fZ"), line.level, line.message));
}

fn summary(run: &RunSummary) -> Value {
    json!({
        "run_id": run.run_id,
        "pipeline": run.pipeline,
        "version": run.version,
        "state": run.state,
        "trigger": run.trigger,
        "fire_time": run.fire_time,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
    })
}

/// The document of `run --json` and `runs show --json`.
pub(super) fn document(detail: &RunDetail) -> Value {
    let read = |path: &str| {
        let receipt = detail.receipts.iter().find(|receipt| receipt["task"] == path);
        receipt.map_or(Value::Null, |receipt| receipt["rows_read"].clone())
    };
    let tasks: Vec<Value> = detail
        .tasks
        .iter()
        .map(|task| {
            let took = task.started_at.zip(task.finished_at).map(|(start, end)| (end - start).num_milliseconds());
            json!({
                "path": task.path,
                "kind": task.kind,
                "state": task.state,
                "rows_read": read(&task.path),
                "rows_written": task.rows,
                "rows_rejected": task.rejected,
                "bytes": task.bytes,
                "duration_ms": took,
                "attempts": task.attempts,
            })
        })
        .collect();
    let mut document = summary(&detail.run);
    if let Some(fields) = document.as_object_mut() {
        fields.insert("tasks".to_owned(), tasks.into());
        fields.insert("receipts".to_owned(), detail.receipts.clone().into());
        fields.insert("attempts".to_owned(), serde_json::to_value(&detail.attempts).unwrap_or_default());
        if let Some(message) = &detail.run.error {
            let error = json!({ "message": message, "task": detail.run.error_task, "hint": detail.run.hint });
            fields.insert("error".to_owned(), error);
        }
    }
    document
}

/// A run for people: tasks, receipts, and for a failure its cause and the next command.
pub(super) fn show_detail(detail: &RunDetail) {
    let run = &detail.run;
    let took = run.started_at.zip(run.finished_at).map(|(start, end)| format!(" in {}", output::duration(end - start)));
    output::line(&format!(
        "run {} of {} v{}: {}{}",
        run.run_id,
        run.pipeline,
        run.version,
        run.state,
        took.unwrap_or_default()
    ));
    let tasks = detail.tasks.iter().map(|task| {
        let took = task.started_at.zip(task.finished_at).map(|(start, end)| output::duration(end - start));
        [
            task.path.clone(),
            task.kind.clone(),
            task.state.clone(),
            output::count(task.rows.unsigned_abs()),
            output::count(task.rejected.unsigned_abs()),
            output::bytes(task.bytes.unsigned_abs()),
            took.unwrap_or_default(),
            task.attempts.to_string(),
        ]
    });
    output::table(&["task", "kind", "state", "rows", "rejected", "memory bytes", "took", "attempts"], tasks);
    for receipt in &detail.receipts {
        output::line(&receipt_line(receipt));
    }
    if let Some(message) = &run.error {
        output::line(&format!("\n{}: {message}", run.error_task.as_deref().unwrap_or("run")));
        run.hint.iter().for_each(|hint| output::line(&format!("  try: {hint}")));
        output::line(&format!("  then: headwater runs rerun {}", run.run_id));
        output::line(&format!("  log:  headwater runs logs {}", run.run_id));
    }
}

fn receipt_line(receipt: &Value) -> String {
    let number = |field: &str| output::count(receipt[field].as_u64().unwrap_or_default());
    let version = receipt["version"].as_str().map(|version| format!(", version {version}")).unwrap_or_default();
    let adopted = if receipt["adopted"] == true { ", adopted" } else { "" };
    format!(
        "receipt {} → {} ({}): read {}, wrote {}, rejected {}, {}, {} files{version}, peak {}{adopted}, load {}",
        receipt["task"].as_str().unwrap_or_default(),
        receipt["target"].as_str().unwrap_or_default(),
        receipt["mode"].as_str().unwrap_or_default(),
        number("rows_read"),
        number("rows_written"),
        number("rows_rejected"),
        output::bytes(receipt["bytes"].as_u64().unwrap_or_default()),
        number("files"),
        output::bytes(receipt["peak_memory"].as_u64().unwrap_or_default()),
        receipt["load_id"].as_str().unwrap_or_default(),
    )
}
