//! `headwater runs why`: what a run is waiting for.

use anyhow::Result;
use chrono::{DateTime, Utc};
use headwater_operations::{Cause, Why};
use uuid::Uuid;

use crate::context::Context;
use crate::output;

pub(super) async fn why(context: &Context, run: Uuid, task: Option<&str>, json: bool) -> Result<()> {
    let report = context.operations.why(&context.actor, run, task).await?;
    if json {
        return output::json(&report);
    }
    if report.stages.is_empty() {
        let what = task.map_or_else(|| format!("run {run}"), |task| format!("task {task}"));
        output::line(&format!("{what} waits for nothing: the run is {}", report.state));
    }
    for answer in &report.stages {
        output::line(&line(answer));
    }
    Ok(())
}

/// A stage and everything that it waits for.
pub(super) fn line(answer: &Why) -> String {
    format!("{} ({}): {}", name(answer), answer.state, text(answer))
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
    if causes.is_empty() { "its state is changing; ask again".to_owned() } else { causes.join("; ") }
}

fn cause(cause: &Cause) -> String {
    match cause {
        Cause::Held { behind } => format!("the run waits until run {behind} has ended (overlap: queue)"),
        Cause::Dependency { stage, state } => format!("{stage} comes first and is {state}"),
        Cause::Wakes { at } => format!("it waits until {}", exact(*at)),
        Cause::Backoff { until, after } => {
            let after = after.as_ref().map(|after| format!(", after: {after}")).unwrap_or_default();
            format!("its next attempt starts at {}{after}", exact(*until))
        }
        Cause::Paused { scope, since } => {
            format!("{scope} is paused since {}; headwater resume {scope}", exact(*since))
        }
        Cause::Limit { scope, slots, holders } => {
            format!("{scope} is limited to {slots} at a time: {}", holders.join(", "))
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
                "only worker {worker} may execute it, and that one is away; any worker may once it is declared lost"
            )
        }
        Cause::Waits { what } => format!("waits for {what}"),
        Cause::NoSlot { slots } => format!("all {slots} slots of its workers are busy"),
        Cause::Ready { since } => format!("nothing: ready since {}, claimed next", exact(*since)),
        Cause::Running { worker, host, silent_ms, fence } => {
            let doing = if *fence {
                "takes its load's id in the target, so that nothing can commit it any more"
            } else {
                "runs"
            };
            let host = host.as_deref().unwrap_or("an unknown host");
            let beat = silent_ms.map(|ms| format!(", last heartbeat {ms} ms ago")).unwrap_or_default();
            format!("it {doing} on worker {worker}, {host}{beat}")
        }
    }
}

fn exact(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S%.3fZ").to_string()
}
