//! `headwater schedules`.

use std::process::ExitCode;

use anyhow::Result;
use chrono::FixedOffset;
use clap::Subcommand;
use headwater_operations::{PreviewReport, ScheduleReport};
use headwater_pipelines::duration;
use headwater_pipelines::spec::Moment;

use super::files;
use crate::context::Context;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum SchedulesCommand {
    /// List schedules
    #[command(after_help = "Examples:\n  headwater schedules list\n  headwater schedules list --json")]
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show the next fires of a pipeline or a spec
    #[command(
        after_help = "Examples:\n  headwater schedules preview orders\n  headwater schedules preview orders.yaml --from 2026-10-24 --count 3"
    )]
    Preview {
        /// Name of a pipeline, or a spec file
        target: String,
        /// Number of fires
        #[arg(long, default_value_t = 10)]
        count: usize,
        /// First date or time [default: now]
        #[arg(long, value_name = "TIME")]
        from: Option<Moment>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Pause a pipeline's schedule
    #[command(after_help = "Examples:\n  headwater schedules pause orders\n  headwater schedules resume orders")]
    Pause {
        /// Name of the pipeline
        pipeline: String,
    },
    /// Resume a pipeline's schedule
    #[command(after_help = "Examples:\n  headwater schedules resume orders\n  headwater schedules preview orders")]
    Resume {
        /// Name of the pipeline
        pipeline: String,
    },
}

pub(super) async fn schedules(context: &Context, command: SchedulesCommand) -> Result<ExitCode> {
    let (operations, actor) = (&context.operations, &context.actor);
    match command {
        SchedulesCommand::List { json } => {
            let report = operations.schedules(actor).await?;
            if json { output::json(&report)? } else { list(&report.schedules) }
        }
        SchedulesCommand::Preview { target, count, from, json } => {
            let report = operations.preview_schedule(actor, files::target(&target)?, from, count).await?;
            if json { output::json(&report)? } else { show_preview(&report) }
        }
        SchedulesCommand::Pause { pipeline } => {
            operations.pause_schedule(actor, &pipeline).await?;
            output::line(&format!("the schedule of {pipeline} is paused"));
        }
        SchedulesCommand::Resume { pipeline } => {
            operations.resume_schedule(actor, &pipeline).await?;
            output::line(&format!("the schedule of {pipeline} is active"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(schedules: &[ScheduleReport]) {
    let rows = schedules.iter().map(|report| {
        let row = &report.schedule;
        let (state, next) = match (row.paused, row.ended) {
            (true, _) => ("paused", "paused".to_owned()),
            (false, true) => ("ended", String::new()),
            (false, false) => ("active", output::time(row.next_fire_at)),
        };
        let last = match &row.last_skipped {
            Some(why) => format!("{}, skipped: {why}", output::time(row.last_fire_at)),
            None => output::time(row.last_fire_at),
        };
        [row.pipeline.clone(), report.schedule_in_words.clone(), state.to_owned(), last, next]
    });
    output::table(&["pipeline", "schedule", "state", "last fire", "next fire"], rows);
}

fn show_preview(report: &PreviewReport) {
    let paused = if report.paused { " (paused: none of these will fire)" } else { "" };
    output::line(&format!("{}{paused}", report.schedule_in_words));
    if report.fires.is_empty() {
        return output::line("no fire is left");
    }
    let mut offset = *report.from.offset();
    let rows = report.fires.iter().map(|fire| {
        let before = std::mem::replace(&mut offset, *fire.local_time.offset());
        let local = fire.local_time.format("%a %Y-%m-%d %H:%M:%S %:z").to_string();
        let mut row = vec![local, output::time(Some(fire.fire_time))];
        if report.jitter {
            row.push(output::time(Some(fire.starts_at)));
        }
        row.push(clock_change(before, offset));
        row
    });
    let zone = format!("fire in {}", report.timezone);
    let mut header = vec![zone.as_str(), "in UTC"];
    if report.jitter {
        header.push("run starts");
    }
    header.push("");
    output::table(&header, rows);
}

/// What the clock did between two fires.
fn clock_change(before: FixedOffset, after: FixedOffset) -> String {
    let seconds = after.local_minus_utc() - before.local_minus_utc();
    let by = duration::in_words(std::time::Duration::from_secs(seconds.unsigned_abs().into()));
    match seconds {
        0 => String::new(),
        1.. => format!("the clock went forward by {by}"),
        _ => format!("the clock went back by {by}"),
    }
}
