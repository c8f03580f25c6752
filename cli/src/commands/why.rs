//! `headwater runs why`: what keeps a run from going on.

use std::process::ExitCode;

use anyhow::Result;
use chrono::{DateTime, Utc};
use headwater_store::{Cause, Why};
use serde_json::json;
use uuid::Uuid;

use crate::context::Context;
use crate::failure::hinted;
use crate::output;

pub(super) async fn why(context: &Context, run: Uuid, task: Option<&str>, as_json: bool) -> Result<ExitCode> {
    let detail = context.workspace.show_run(run).await?;
    if let Some(task) = task.filter(|task| !detail.tasks.iter().any(|row| row.path == **task)) {
        let names: Vec<&str> = detail.tasks.iter().map(|row| row.path.as_str()).collect();
        return Err(hinted(format!("run {run} has no task '{task}'"), format!("its tasks are {}", names.join(", "))));
    }
    let answers = context.workspace.why(run, task).await?;
    if as_json {
        output::json(&json!({ "run_id": run, "state": detail.run.state, "stages": answers }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if answers.is_empty() {
        let what = task.map_or_else(|| format!("run {run}"), |task| format!("task {task}"));
        output::line(&format!("{what} waits for nothing: the run is {}", detail.run.state));
    }
    for answer in &answers {
        output::line(&format!("{} ({}): {}", name(answer), answer.state, text(answer)));
    }
    Ok(ExitCode::SUCCESS)
}

fn name(answer: &Why) -> String {
    if answer.tasks.len() > 1 {
        format!("{} [{}]", answer.stage, answer.tasks.join(", "))
    } else {
        answer.stage.clone()
    }
}

fn text(answer: &Why) -> String {
    let causes: Vec<String> = answer.causes.iter().map(cause).collect();
    if causes.is_empty() { "it is changing at this moment; ask again".to_owned() } else { causes.join("; ") }
}

fn cause(cause: &Cause) -> String {
    match cause {
        Cause::Held { behind } => format!("the run waits until run {behind} has ended (overlap: queue)"),
        Cause::Dependency { stage, state } => format!("{stage} comes first and is {state}"),
        Cause::Wakes { at } => format!("it waits until {}", exact(*at)),
        Cause::Backoff { until, after } => {
            let after = after.as_ref().map(|after| format!(", after: {after}")).unwrap_or_default();
            format!("it is tried again at {}{after}", exact(*until))
        }
        Cause::Paused { scope, since } => {
            format!("{scope} is paused since {}; headwater resume {scope}", exact(*since))
        }
        Cause::Limit { scope, slots, holders } => {
            format!("{scope} lets {slots} run at a time: {}", holders.join(", "))
        }
        Cause::StagedElsewhere { host } => {
            format!("its staged data is on host {host}, where no live worker serves its queue")
        }
        Cause::NoWorker { queue, labels, draining, silent } => {
            let labels = labels.join(",");
            let with = if labels.is_empty() { String::new() } else { format!(" with labels {labels}") };
            match (draining, silent) {
                (0, 0) => {
                    let flag = if labels.is_empty() { String::new() } else { format!(" --labels {labels}") };
                    let lane = if queue == "default" { String::new() } else { format!(" --queues {queue}") };
                    format!("no worker serves queue {queue}{with}; headwater serve --roles worker{lane}{flag}")
                }
                _ => format!("no live worker serves queue {queue}{with} ({draining} draining, {silent} silent)"),
            }
        }
        Cause::Pinned { worker } => {
            format!(
                "only worker {worker} may execute it, and that one is away; it is freed once the worker is given up"
            )
        }
        Cause::Waits { what } => format!("waits for {what}"),
        Cause::NoSlot { slots } => format!("all {slots} slots of its workers are busy"),
        Cause::Ready { since } => format!("nothing; it is ready since {} and claimed next", exact(*since)),
        Cause::Running { worker, host, silent_ms, fence } => {
            let doing =
                if *fence { "takes its load's id in the target, so that nothing can commit it" } else { "runs" };
            let host = host.as_deref().unwrap_or("an unknown host");
            let beat = silent_ms.map(|ms| format!(", heard of {ms} ms ago")).unwrap_or_default();
            format!("it {doing} on worker {worker}, {host}{beat}")
        }
    }
}

fn exact(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S%.3fZ").to_string()
}
