//! `headwater cursors`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use headwater_operations::{CursorRow, CursorsReport};

use crate::context::Context;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum CursorsCommand {
    /// List how far loads have read their sources
    #[command(after_help = "Examples:\n  headwater cursors list\n  headwater cursors list orders --json")]
    List {
        /// Name of a pipeline [default: all]
        pipeline: Option<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show the positions of a pipeline in full
    #[command(after_help = "Examples:\n  headwater cursors show orders\n  headwater cursors show orders --json")]
    Show {
        /// Name of the pipeline
        pipeline: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Let the next load read everything again, in its own mode
    #[command(
        after_help = "Examples:\n  headwater cursors reset orders\n  headwater cursors reset orders --source shop.public.orders --keep-value"
    )]
    Reset {
        /// Name of the pipeline
        pipeline: String,
        /// Only cursors of this table, as the spec names it [default: all]
        #[arg(long, value_name = "TABLE")]
        source: Option<String>,
        /// Go on from the value of the cursor, less its lookback, whoever wrote the rows: for a source that was restored or rewritten
        #[arg(long)]
        keep_value: bool,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn cursors(context: &Context, command: CursorsCommand) -> Result<ExitCode> {
    let (operations, actor) = (&context.operations, &context.actor);
    match command {
        CursorsCommand::List { pipeline, json } => {
            let report = operations.cursors(actor, pipeline.as_deref()).await?;
            if json { output::json(&report)? } else { list(&report) }
        }
        CursorsCommand::Show { pipeline, json } => {
            let report = operations.cursors(actor, Some(&pipeline)).await?;
            if json { output::json(&report)? } else { report.cursors.iter().for_each(show) }
        }
        CursorsCommand::Reset { pipeline, source, keep_value, json } => {
            let report = operations.reset_cursors(actor, &pipeline, source.as_deref(), keep_value).await?;
            if json {
                output::json(&report)?;
                return Ok(ExitCode::SUCCESS);
            }
            let next = if report.keeps_value { "goes on from the value" } else { "reads everything" };
            output::line(&format!("cursors of {pipeline} reset: {}; the next run {next}", report.cursors));
            for target in &report.appended_again {
                output::line(&format!(
                    "warning: it appends to {target}, which holds those rows already; `headwater run {pipeline} --full-refresh` replaces them"
                ));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn position(row: &CursorRow) -> String {
    let position = row.position.clone().unwrap_or_else(|| "the beginning".to_owned());
    if row.refresh { "the beginning, and replaces the target".to_owned() } else { position }
}

fn list(report: &CursorsReport) {
    let rows = report.cursors.iter().map(|row| {
        [row.pipeline.clone(), row.source.clone(), row.target.clone(), position(row), output::time(row.moved_at)]
    });
    output::table(&["pipeline", "source", "target", "goes on from", "moved"], rows);
}

fn show(row: &CursorRow) {
    let moved = row.moved_by.map(|run| format!("{} by run {run}", output::time(row.moved_at)));
    output::line(&format!("{} into {}", row.source, row.target));
    output::line(&format!("  goes on from  {}", position(row)));
    output::line(&format!("  moved         {}", moved.unwrap_or_else(|| "never".to_owned())));
    if row.params.as_object().is_some_and(|params| !params.is_empty()) {
        output::line(&format!("  parameters    {}", row.params));
    }
    if let Some(run) = row.read_by {
        output::line(&format!("  read now by   run {run}"));
    }
    if let Some(details) = &row.details {
        output::line(&format!("  in full       {details}"));
    }
}
