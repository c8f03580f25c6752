//! `--dry-run`: what a pipeline would do, on a sample of its rows.

use std::process::ExitCode;

use anyhow::{Result, bail};
use headwater_operations::{RehearsalReport, Rehearse, RehearsedTaskReport};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::output;

/// Characters of a value that are shown.
const VALUE: usize = 40;

pub(super) async fn rehearse(context: &Context, asked: Rehearse, json: bool) -> Result<ExitCode> {
    let cancel = CancellationToken::new();
    let report = tokio::select! {
        report = context.operations.rehearse(&context.actor, asked, &cancel) => report?,
        _ = tokio::signal::ctrl_c() => {
            cancel.cancel();
            bail!("interrupted");
        }
    };
    if json {
        output::json(&report)?
    } else {
        show(&report)
    }
    Ok(ExitCode::SUCCESS)
}

fn show(report: &RehearsalReport) {
    output::line(&format!("dry run of {} on a sample; nothing is loaded", report.pipeline));
    if let (Some(start), Some(end)) = (report.interval_start, report.interval_end) {
        output::line(&format!("data interval {} to {}", output::time(Some(start)), output::time(Some(end))));
    }
    report.tasks.iter().for_each(show_task);
}

fn show_task(task: &RehearsedTaskReport) {
    let more = if task.has_more { " of a sample; there are more" } else { "" };
    let target = task.target.as_ref().map(|target| format!(" into {}", output::shown(target))).unwrap_or_default();
    output::line(&format!("{} ({}{target}): {}{more}", task.task, task.kind, output::plural(task.rows, "row")));
    for rule in &task.violations {
        output::line(&format!("  {} violate {}", output::plural(rule.rows, "row"), output::shown(&rule.rule)));
    }
    if let Some(key) = &task.key {
        let columns = output::shown(&key.columns.join(", "));
        output::line(&match key.repeated {
            0 => format!("  {columns} tells its rows apart"),
            repeated => {
                format!("  {} repeat the {columns} of another: a join multiplies them", output::plural(repeated, "row"))
            }
        });
    }
    // A load writes the rows of its input, which are shown there.
    if task.kind != "load" && !task.first_rows.is_empty() {
        let header: Vec<&str> = task.columns.iter().map(|column| column.name.as_str()).collect();
        output::table(&header, task.first_rows.iter().map(|row| row.values().map(value).collect::<Vec<_>>()));
    }
}

fn value(value: &Value) -> String {
    let text = match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.chars().count() > VALUE {
        true => text.chars().take(VALUE - 1).chain(['…']).collect(),
        false => text,
    }
}
