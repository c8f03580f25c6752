//! `headwater streams`.

use std::process::ExitCode;

use anyhow::Result;
use chrono::{DateTime, Utc};
use clap::Subcommand;
use headwater_operations::{Cause, RunState, StreamEntry, StreamReport, StreamRow, StreamState, StreamsReport};

use super::why;
use crate::context::Context;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum StreamsCommand {
    /// List pipelines that run until stopped
    #[command(after_help = "Examples:\n  headwater streams list\n  headwater streams list --json")]
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show where a stream is, and how far its loads have read
    #[command(after_help = "Examples:\n  headwater streams show events\n  headwater streams show events --json")]
    Show {
        /// Name of the pipeline
        pipeline: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Let a stream end behind its present batch
    #[command(after_help = "Examples:\n  headwater streams pause events\n  headwater streams resume events")]
    Pause {
        /// Name of the pipeline
        pipeline: String,
    },
    /// Let a stream go on from where its loads are
    #[command(after_help = "Examples:\n  headwater streams resume events\n  headwater streams show events")]
    Resume {
        /// Name of the pipeline
        pipeline: String,
    },
}

pub(super) async fn streams(context: &Context, command: StreamsCommand) -> Result<ExitCode> {
    let (operations, actor) = (&context.operations, &context.actor);
    match command {
        StreamsCommand::List { json } => {
            let report = operations.streams(actor).await?;
            if json { output::json(&report)? } else { list(&report) }
        }
        StreamsCommand::Show { pipeline, json } => {
            let report = operations.stream(actor, &pipeline).await?;
            if json { output::json(&report)? } else { show(&report) }
        }
        StreamsCommand::Pause { pipeline } => {
            operations.pause_stream(actor, &pipeline).await?;
            output::line(&format!("stream {pipeline} ends behind its present batch"));
        }
        StreamsCommand::Resume { pipeline } => {
            operations.resume_stream(actor, &pipeline).await?;
            output::line(&format!(
                "stream {pipeline} goes on while `headwater up`, or `headwater serve` with a scheduler, is running"
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(report: &StreamsReport) {
    let rows = report.streams.iter().map(|entry| {
        let row = &entry.stream;
        [
            row.pipeline.clone(),
            hindrance(entry).map_or_else(|| row.state.to_string(), |what| format!("{}: {what}", row.state)),
            output::time(Some(row.since)),
            output::count(row.batches.unsigned_abs()),
            output::count(row.rows.unsigned_abs()),
            output::count(row.rejected.unsigned_abs()),
            behind(row),
            output::time(row.committed_at),
        ]
    });
    output::table(&["pipeline", "state", "since", "commits", "rows", "rejected", "behind", "last commit"], rows);
}

/// What keeps a stream from loading that is to run, in a word or two.
fn hindrance(entry: &StreamEntry) -> Option<&'static str> {
    let row = &entry.stream;
    if row.state != StreamState::Running {
        return None;
    }
    if is_between_runs(row) {
        return Some(if next_try(row).is_some() { "tries again" } else { "no scheduler" });
    }
    let mut causes = entry.waits.iter().flat_map(|stage| &stage.causes);
    causes.next().map(|cause| match cause {
        Cause::Backoff { .. } => "tries again",
        Cause::NoWorker { .. } | Cause::Pinned { .. } => "no worker",
        Cause::Running { .. } => "worker is silent",
        Cause::Paused { .. } => "held by a pause",
        Cause::Limit { .. } | Cause::NoSlot { .. } => "no place",
        _ => "starts",
    })
}

/// Whether its last run has ended and the next one is not made.
fn is_between_runs(row: &StreamRow) -> bool {
    row.state == StreamState::Running && row.run_state.is_none_or(RunState::is_final)
}

/// When its next run starts, if that is still to come.
fn next_try(row: &StreamRow) -> Option<DateTime<Utc>> {
    row.not_before.filter(|time| *time > Utc::now())
}

/// Rows that are there and not loaded, as the last look found.
fn behind(row: &StreamRow) -> String {
    row.behind.map(|rows| output::count(rows.unsigned_abs())).unwrap_or_default()
}

fn show(report: &StreamReport) {
    let row = &report.entry.stream;
    output::line(&format!("stream {}: {} since {}", row.pipeline, row.state, output::time(Some(row.since))));
    if let Some(run) = row.run_id {
        output::line(&format!("  run           {run}"));
    }
    let (batches, rows) = (output::plural(row.batches.unsigned_abs(), "commit"), row.rows.unsigned_abs());
    output::line(&format!("  committed     {batches}, {}", output::plural(rows, "row")));
    if row.rejected > 0 {
        let list = format!("headwater rejects list --pipeline {}", row.pipeline);
        output::line(&format!("  rejected      {}; see {list}", output::count(row.rejected.unsigned_abs())));
    }
    if row.committed_at.is_some() {
        output::line(&format!("  last commit   {}", output::time(row.committed_at)));
    }
    if row.behind.is_some() {
        output::line(&format!("  behind        {}", behind(row)));
    }
    if let Some(error) = &row.error {
        output::line(&format!("  last failure  {}", output::shown(error)));
    }
    if is_between_runs(row) {
        match next_try(row) {
            Some(time) => output::line(&format!("  next try      {}", output::time(Some(time)))),
            None => output::line(
                "  waits         for a scheduler to make its next run: headwater up, or headwater serve --roles scheduler",
            ),
        }
    }
    for stage in &report.entry.waits {
        output::line(&format!("  waits         {}", why::line(stage)));
    }
    for cursor in &report.cursors {
        let position = cursor.position.as_deref().unwrap_or("the beginning");
        let (source, target) = (&cursor.source, &cursor.target);
        output::line(&format!(
            "  {source} into {target}: {} {}",
            output::shown(position),
            output::time(cursor.moved_at)
        ));
    }
}
