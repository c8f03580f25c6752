//! `headwater pipelines`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use headwater_operations::{PipelineReport, PipelineRow, VersionsReport};
use headwater_pipelines::schedule::in_words;

use crate::context::Context;
use crate::fold::shortened;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum PipelinesCommand {
    /// List approved pipelines with their latest runs
    #[command(after_help = "Examples:\n  headwater pipelines list\n  headwater pipelines list --json")]
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Print the spec of a pipeline's approved version, or of another version
    #[command(
        after_help = "Examples:\n  headwater pipelines show orders\n  headwater pipelines show orders --version 3"
    )]
    Show {
        /// Name of the pipeline
        name: String,
        /// Number of the version [default: the approved one]
        #[arg(long)]
        version: Option<i32>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// List a pipeline's versions, newest first
    #[command(
        after_help = "Examples:\n  headwater pipelines versions orders\n  headwater pipelines versions orders --json"
    )]
    Versions {
        /// Name of the pipeline
        name: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Withdraw a pipeline's approval and its schedule; keeps its versions and runs
    #[command(after_help = "Examples:\n  headwater pipelines remove orders\n  headwater pipelines list")]
    Remove {
        /// Name of the pipeline
        name: String,
    },
}

pub(super) async fn pipelines(context: &Context, command: PipelinesCommand) -> Result<ExitCode> {
    let (operations, actor) = (&context.operations, &context.actor);
    match command {
        PipelinesCommand::List { json } => {
            let report = operations.pipelines(actor).await?;
            if json { output::json(&report)? } else { list(&report.pipelines) }
        }
        PipelinesCommand::Show { name, version, json } => {
            let report = operations.pipeline(actor, &name, version).await?;
            if json { output::json(&report)? } else { show(&report) }
        }
        PipelinesCommand::Versions { name, json } => {
            let report = operations.versions(actor, &name).await?;
            if json { output::json(&report)? } else { show_versions(&report) }
        }
        PipelinesCommand::Remove { name } => {
            operations.remove_pipeline(actor, &name).await?;
            output::line(&format!("pipeline {name} is no longer approved; its versions and runs stay"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(pipelines: &[PipelineRow]) {
    let rows = pipelines.iter().map(|row| {
        let next = if row.paused { "paused".to_owned() } else { output::time(row.next_fire_at) };
        [
            row.pipeline.clone(),
            format!("v{}", row.version),
            row.schedule.as_ref().map(in_words).unwrap_or_default(),
            next,
            row.latest_state.map(|state| state.to_string()).unwrap_or_default(),
            row.latest_run.map(|run| run.to_string()).unwrap_or_default(),
        ]
    });
    output::table(&["pipeline", "version", "schedule", "next fire", "latest run", ""], rows);
}

fn show(report: &PipelineReport) {
    let approved = if report.current { "approved" } else { "not approved" };
    let stored = output::time(Some(report.created_at));
    // Standard output is the text alone, which can be applied again.
    output::error_line(&format!("{} v{}, {approved}, stored {stored}", report.pipeline, report.version));
    if !report.new_tables.is_empty() {
        let tables = output::plural(report.new_tables.len(), "table");
        let names = shortened(&report.new_tables);
        output::error_line(&format!("{tables} more match its patterns now, and `apply` takes them: {names}"));
    }
    output::document(report.spec_text.trim_end());
}

fn show_versions(report: &VersionsReport) {
    let rows = report.versions.iter().map(|version| {
        [
            format!("v{}", version.number),
            if version.current { "approved".to_owned() } else { String::new() },
            output::time(Some(version.created_at)),
            version.hash.chars().take(12).collect(),
        ]
    });
    output::table(&["version", "", "stored", "content"], rows);
}
