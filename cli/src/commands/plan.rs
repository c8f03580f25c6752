//! `headwater plan`: stages, schemas of every edge, what loads would do, the difference from the approved version.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use headwater_engine::check::TargetPlan;
use headwater_pipelines::diff::{Change, ChangeKind, diff};
use headwater_pipelines::plan::Plan;
use headwater_pipelines::schedule::in_words;
use headwater_pipelines::spec::Spec;
use headwater_store::StoreErrorKind;
use serde_json::{Value, json};

use crate::context::Context;
use crate::output;
use crate::sources::Source;

pub(super) async fn plan(context: &Context, file: &Path, as_json: bool) -> Result<ExitCode> {
    let source = Source::load(context, file).await?;
    let changes = changes(context, &source).await?;
    if as_json {
        output::json(&document(&source, changes.as_deref()))?;
    } else {
        source.show_diagnostics();
        if let Some(plan) = &source.planned.plan {
            show(plan, &source, changes.as_deref());
        }
    }
    Ok(if source.has_errors() { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// Differences from the approved version; `None` when there is none.
async fn changes(context: &Context, source: &Source) -> Result<Option<Vec<Change>>> {
    let Some(spec) = &source.document.spec else { return Ok(None) };
    match context.workspace.current_version(&spec.name).await {
        Ok(version) => Ok(serde_json::from_value::<Spec>(version.spec).ok().map(|before| diff(&before, spec))),
        Err(error) if error.kind == StoreErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn document(source: &Source, changes: Option<&[Change]>) -> Value {
    let schemas: serde_json::Map<String, Value> = source
        .checked
        .schemas
        .iter()
        .map(|(task, schema)| {
            let fields = schema.fields().iter().map(|field| {
                json!({ "name": field.name(), "type": field.data_type().to_string(), "nullable": field.is_nullable() })
            });
            (task.to_string(), fields.collect())
        })
        .collect();
    json!({
        "diagnostics": source.checked.diagnostics,
        "stages": source.planned.plan.as_ref().map(|plan| &plan.stages),
        "schemas": schemas,
        "ddl": source.checked.loads,
        "diff": changes,
        "schedule_in_words": schedule(source),
    })
}

fn schedule(source: &Source) -> Option<String> {
    source.document.spec.as_ref()?.schedule.as_ref().map(in_words)
}

fn show(plan: &Plan, source: &Source, changes: Option<&[Change]>) {
    output::line(&format!("pipeline {}", plan.pipeline));
    schedule(source).iter().for_each(|words| output::line(&format!("schedule: {words}")));
    let stages = plan.stages.iter().map(|stage| {
        [
            stage.name.clone(),
            stage.tasks.join(", "),
            stage.after.join(", "),
            stage.queue.clone(),
            stage.retry.attempts.to_string(),
        ]
    });
    output::table(&["stage", "tasks, one streaming plan", "after", "queue", "attempts"], stages);
    for (task, schema) in &source.checked.schemas {
        let columns: Vec<String> = schema
            .fields()
            .iter()
            .map(|field| {
                format!("{} {}{}", field.name(), field.data_type(), if field.is_nullable() { "" } else { " not null" })
            })
            .collect();
        output::line(&format!("{task}: {}", columns.join(", ")));
    }
    for (task, TargetPlan { target, plan }) in &source.checked.loads {
        output::line(&format!("{task} → {target}"));
        plan.ddl.iter().for_each(|statement| output::line(&format!("  {statement}")));
        plan.notes.iter().for_each(|note| output::line(&format!("  note: {note}")));
    }
    match changes {
        None => output::line("no version is approved yet"),
        Some([]) => output::line("no difference from the approved version"),
        Some(changes) => {
            output::line("differences from the approved version:");
            changes.iter().for_each(|change| output::line(&format!("  {}", describe(change))));
        }
    }
}

fn describe(change: &Change) -> String {
    let short = |value: &Option<Value>| value.as_ref().map(ToString::to_string).unwrap_or_default();
    match change.kind {
        ChangeKind::Added => format!("+ {}: {}", change.path, short(&change.after)),
        ChangeKind::Removed => format!("- {}", change.path),
        ChangeKind::Changed => format!("~ {}: {} → {}", change.path, short(&change.before), short(&change.after)),
    }
}
