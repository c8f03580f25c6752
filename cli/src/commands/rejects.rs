//! `headwater rejects`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use headwater_operations::{RejectChoice, RejectFilter, RejectOrigin, RejectReport, RejectsReport};

use crate::context::Context;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum RejectsCommand {
    /// List rows and messages that loads have set aside, the newest first
    #[command(
        after_help = "Examples:\n  headwater rejects list\n  headwater rejects list --pipeline orders --limit 50 --json"
    )]
    List {
        /// Name of a pipeline [default: all]
        #[arg(long, value_name = "NAME")]
        pipeline: Option<String>,
        /// A run, or the beginning of its id [default: all]
        #[arg(long, value_name = "RUN")]
        run: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show why something was set aside, where it comes from, and what it is
    #[command(
        after_help = "Examples:\n  headwater rejects show 0193a1b2-0000-7000-8000-000000000001\n  headwater rejects show 0193a1b2-0000-70 --json"
    )]
    Show {
        /// Its id, or the beginning of it
        id: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Discard what somebody has dealt with: it is listed no more
    #[command(
        after_help = "Examples:\n  headwater rejects discard 0193a1b2-0000-7000-8000-000000000001\n  headwater rejects discard --pipeline orders"
    )]
    Discard {
        #[command(flatten)]
        chosen: Chosen,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

/// Which of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Chosen {
    /// Their ids, or the beginnings of them
    ids: Vec<String>,
    /// All of this pipeline
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
}

pub(super) async fn rejects(context: &Context, command: RejectsCommand) -> Result<ExitCode> {
    let (operations, actor) = (&context.operations, &context.actor);
    match command {
        RejectsCommand::List { pipeline, run, limit, json } => {
            let run = match run {
                Some(run) => Some(operations.find_run(actor, &run).await?),
                None => None,
            };
            let report = operations.rejects(actor, &RejectFilter { pipeline, run, limit }).await?;
            if json { output::json(&report)? } else { list(&report) }
        }
        RejectsCommand::Show { id, json } => {
            let report = operations.reject(actor, operations.find_reject(actor, &id).await?).await?;
            if json { output::json(&report)? } else { show(&report) }
        }
        RejectsCommand::Discard { chosen, json } => {
            let mut ids = Vec::new();
            for id in &chosen.ids {
                ids.push(operations.find_reject(actor, id).await?);
            }
            let choice = chosen.pipeline.map_or(RejectChoice::Ids(ids), RejectChoice::Pipeline);
            let report = operations.discard_rejects(actor, &choice).await?;
            if json {
                output::json(&report)?;
            } else {
                output::line(&format!("{} discarded", output::plural(report.discarded, "reject")));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(report: &RejectsReport) {
    let rows = report.rejects.iter().map(|row| {
        [
            row.id.to_string(),
            output::time(Some(row.created_at)),
            row.pipeline.clone(),
            row.task.clone(),
            origin(&row.origin),
            row.reason.clone(),
        ]
    });
    output::table(&["id", "set aside", "pipeline", "task", "from", "reason"], rows);
    let shown = u64::try_from(report.rejects.len()).unwrap_or(u64::MAX);
    let total = report.total.unsigned_abs();
    if total > shown {
        output::line(&format!("the newest {} of {}; --limit lists more", output::count(shown), output::count(total)));
    }
}

fn origin(origin: &RejectOrigin) -> String {
    match (origin.partition, origin.offset) {
        (Some(partition), Some(offset)) => format!("{}, partition {partition}, offset {offset}", origin.source),
        _ => origin.source.clone(),
    }
}

fn show(report: &RejectReport) {
    let row = &report.reject;
    output::line(&format!("reject {}: {}", row.id, row.state));
    output::line(&format!("  pipeline   {}, task {}", row.pipeline, row.task));
    output::line(&format!("  from       {}", origin(&row.origin)));
    output::line(&format!("  reason     {} ({})", row.reason, row.code));
    output::line(&format!(
        "  set aside  {} by run {}, load {}",
        output::time(Some(row.created_at)),
        row.run_id,
        row.load_id
    ));
    let what = if row.origin.offset.is_some() { "message" } else { "row" };
    let content = match (&report.content.text, &report.content.base64) {
        (Some(text), _) => text.clone(),
        (None, Some(base64)) => format!("{base64} (base64)"),
        (None, None) => "without a value".to_owned(),
    };
    output::line(&format!("  {what:<9}  {content}"));
    if report.content.truncated {
        output::line(&format!("             the {what} is longer: this is its beginning"));
    }
}
