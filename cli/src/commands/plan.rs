//! `headwater plan`: stages, schemas of every edge, what loads would do, the difference from the approved version.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use headwater_operations::{Against, ChangeReport, PlanReport, PlannedSpec, PlansReport};
use serde_json::Value;

use super::files;
use crate::context::Context;
use crate::failure::show_problems;
use crate::output;

/// Names of tasks and stages that one cell of a table shows.
const NAMES: usize = 6;

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Spec file, or folder of spec files, planned together
    path: PathBuf,
    /// Check against the stored catalogs of the connections; no system is reached
    #[arg(long)]
    snapshot: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) async fn plan(context: &Context, args: &PlanArgs) -> Result<ExitCode> {
    let against = if args.snapshot { Against::Catalogs } else { Against::Systems };
    let planned = context.operations.plan(&context.actor, files::read_all(&args.path)?, against).await?;
    let valid = planned.iter().all(|spec| spec.valid);
    if args.json && args.path.is_dir() {
        output::json(&PlansReport { plans: planned.into_iter().map(|spec| spec.report).collect() })?;
    } else if args.json {
        planned.iter().try_for_each(|spec| output::json(&spec.report))?;
    } else {
        planned.iter().for_each(|spec| show_one(spec, args.path.is_dir()));
    }
    Ok(if valid { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn show_one(spec: &PlannedSpec, is_one_of_many: bool) {
    if is_one_of_many {
        output::line(&format!("{}:", spec.report.file));
    }
    show_problems(std::slice::from_ref(&spec.problems));
    show(&spec.report);
    if is_one_of_many {
        output::line("");
    }
}

fn show(report: &PlanReport) {
    let (Some(pipeline), Some(stages)) = (&report.pipeline, &report.stages) else { return };
    output::line(&format!("pipeline {pipeline}"));
    report.schedule_in_words.iter().for_each(|words| output::line(&format!("schedule: {words}")));
    let stages = stages.iter().map(|stage| {
        [
            stage.name.clone(),
            shortened(&stage.tasks),
            shortened(&stage.after),
            stage.queue.clone(),
            stage.retry.attempts.to_string(),
        ]
    });
    output::table(&["stage", "tasks, one streaming plan", "after", "queue", "attempts"], stages);
    for (task, columns) in &report.schemas {
        let columns = columns
            .iter()
            .map(|column| format!("{} {}{}", column.name, column.kind, if column.nullable { "" } else { " not null" }));
        output::line(&format!("{task}: {}", columns.collect::<Vec<_>>().join(", ")));
    }
    for (task, load) in &report.ddl {
        output::line(&format!("{task} → {}", load.target));
        load.ddl.iter().for_each(|statement| output::line(&format!("  {statement}")));
        load.notes.iter().for_each(|note| output::line(&format!("  note: {note}")));
    }
    for (connection, catalog) in &report.catalogs {
        output::line(&format!("{connection} as it was at {}", output::time(Some(catalog.seen_at))));
    }
    match report.diff.as_deref() {
        None => output::line("no version is approved yet"),
        Some([]) => output::line("no difference from the approved version"),
        Some(changes) => {
            output::line("differences from the approved version:");
            changes.iter().for_each(|change| output::line(&format!("  {}", describe(change))));
        }
    }
}

/// Names on a line that stays readable; `--json` has all of them.
fn shortened(names: &[String]) -> String {
    match names.split_at_checked(NAMES) {
        Some((first, rest)) if rest.len() > 1 => format!("{} and {} more", first.join(", "), rest.len()),
        _ => names.join(", "),
    }
}

/// One difference on a line.
pub(super) fn describe(change: &ChangeReport) -> String {
    let short = |value: &Option<Value>| value.as_ref().map(ToString::to_string).unwrap_or_default();
    match change.kind.as_str() {
        "added" => format!("+ {}: {}", change.path, short(&change.after)),
        "removed" => format!("- {}", change.path),
        _ => format!("~ {}: {} → {}", change.path, short(&change.before), short(&change.after)),
    }
}
