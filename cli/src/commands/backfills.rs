//! `headwater backfill` and `headwater backfills`.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use clap::{Args, Subcommand};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use headwater_operations::{
    BackfillPlan, BackfillReport, BackfillRow, BackfillState, RunEvent, RunReport, SliceRow, StartBackfill,
};
use headwater_pipelines::schedule::Step;
use headwater_pipelines::spec::Moment;
use uuid::Uuid;

use crate::args::parse_pair;
use crate::context::{Context, staging};
use crate::output;

/// How often a backfill is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Slices that are printed of a plan from each end.
const SHOWN: usize = 5;

#[derive(Debug, Args)]
pub(crate) struct BackfillArgs {
    /// Name of an approved pipeline
    pipeline: String,
    /// Where the first slice begins: a date or an RFC 3339 time
    #[arg(long, value_name = "TIME")]
    from: Moment,
    /// Where the last slice ends, exclusive
    #[arg(long, value_name = "TIME")]
    to: Moment,
    /// How long a slice is, e.g. 6h, 1d, 1w, 1mo [default: the times of the pipeline's cron, or else 1d]
    #[arg(long, value_name = "LENGTH")]
    every: Option<Step>,
    /// Zone in which days begin [default: that of the schedule, or else UTC]
    #[arg(long, value_name = "ZONE")]
    timezone: Option<Tz>,
    /// How many slices run at a time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    parallel: u32,
    /// Value of a parameter, NAME=VALUE; can be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parse_pair)]
    params: Vec<(String, String)>,
    /// Show the slices and what they would replace, and start nothing
    #[arg(long)]
    dry_run: bool,
    /// Leave it to schedulers and workers, even if there are none yet
    #[arg(long, conflicts_with = "dry_run")]
    detach: bool,
    /// Print one JSON document on standard output at the end
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackfillsCommand {
    /// List backfills
    #[command(after_help = "Examples:\n  headwater backfills list\n  headwater backfills list orders --json")]
    List {
        /// Name of a pipeline [default: all]
        pipeline: Option<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show a pipeline's newest backfill and its slices
    #[command(after_help = "Examples:\n  headwater backfills show orders\n  headwater backfills show orders --json")]
    Show {
        /// Name of the pipeline
        pipeline: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Start no new slices. Those that run go on
    #[command(after_help = "Examples:\n  headwater backfills pause orders\n  headwater backfills resume orders")]
    Pause {
        /// Name of the pipeline
        pipeline: String,
    },
    /// Go on, with the slices that failed or were canceled
    #[command(
        after_help = "Examples:\n  headwater backfills resume orders\n  headwater backfills resume orders --detach"
    )]
    Resume {
        /// Name of the pipeline
        pipeline: String,
        /// Leave it to schedulers and workers, even if there are none yet
        #[arg(long)]
        detach: bool,
        /// Print one JSON document on standard output at the end
        #[arg(long)]
        json: bool,
    },
    /// End it, and cancel its runs
    #[command(after_help = "Examples:\n  headwater backfills cancel orders\n  headwater backfills show orders")]
    Cancel {
        /// Name of the pipeline
        pipeline: String,
    },
}

pub(super) async fn backfill(context: &Context, args: BackfillArgs) -> Result<ExitCode> {
    let start = StartBackfill {
        pipeline: args.pipeline,
        from: args.from,
        to: args.to,
        every: args.every,
        timezone: args.timezone,
        parallel: args.parallel,
        params: args.params,
    };
    let (operations, actor) = (&context.operations, &context.actor);
    if args.dry_run {
        let plan = operations.plan_backfill(actor, &start).await?;
        if args.json {
            output::json(&plan)?
        } else {
            show_plan(&plan)
        }
        return Ok(ExitCode::SUCCESS);
    }
    let plan = operations.plan_backfill(actor, &start).await?;
    plan.notes.iter().for_each(|note| output::error_line(&format!("note: {note}")));
    staging(&context.config)?;
    let id = operations.start_backfill(actor, &start).await?;
    let slices = output::plural(plan.slices.len() as u64, "slice");
    output::error_line(&format!(
        "backfill {id} of {} v{}: {slices}, {} at a time",
        plan.pipeline, plan.version, plan.parallel
    ));
    see_through(context, id, &start.pipeline, args.detach, args.json).await
}

pub(super) async fn backfills(context: &Context, command: BackfillsCommand) -> Result<ExitCode> {
    let (operations, actor) = (&context.operations, &context.actor);
    match command {
        BackfillsCommand::List { pipeline, json } => {
            let report = operations.backfills(actor, pipeline.as_deref()).await?;
            if json { output::json(&report)? } else { list(&report.backfills) }
        }
        BackfillsCommand::Show { pipeline, json } => {
            let report = operations.backfill(actor, &pipeline).await?;
            if json { output::json(&report)? } else { show(&report) }
        }
        BackfillsCommand::Pause { pipeline } => {
            let row = operations.pause_backfill(actor, &pipeline).await?;
            output::line(&format!("{}; no new slice starts", progress(&row)));
        }
        BackfillsCommand::Cancel { pipeline } => {
            let row = operations.cancel_backfill(actor, &pipeline).await?;
            output::line(&format!("{}; take it up again: headwater backfills resume {pipeline}", progress(&row)));
        }
        BackfillsCommand::Resume { pipeline, detach, json } => {
            staging(&context.config)?;
            let row = operations.resume_backfill(actor, &pipeline).await?;
            return see_through(context, row.backfill_id, &pipeline, detach, json).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Follows a backfill until it has ended, unless it is left to others.
async fn see_through(context: &Context, id: Uuid, pipeline: &str, detach: bool, json: bool) -> Result<ExitCode> {
    let (operations, actor) = (&context.operations, &context.actor);
    if detach {
        operations.advance_backfill(actor, id).await?;
    } else {
        let mut following = Box::pin(follow(context, id, pipeline));
        tokio::select! {
            followed = &mut following => followed?,
            () = super::interrupted() => {
                output::error_line(&format!("canceling; take it up again: headwater backfills resume {pipeline}"));
                // What is followed may be in the middle of a transaction, and runs that are executed here end first.
                let (canceled, followed) = tokio::join!(operations.cancel_backfill(actor, pipeline), following);
                canceled?;
                followed?;
            }
        }
    }
    let report = operations.backfill(actor, pipeline).await?;
    if json {
        output::json(&report)?;
    } else {
        output::line(&progress(&report.backfill));
    }
    let is_well = detach || report.backfill.state == BackfillState::Succeeded;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Starts slices and watches their runs. Each is executed in this process if no worker serves its queues.
async fn follow(context: &Context, id: Uuid, pipeline: &str) -> Result<()> {
    let (operations, actor) = (&context.operations, &context.actor);
    let slices = operations.backfill(actor, pipeline).await?.slice_runs;
    let mut watches = FuturesUnordered::new();
    let mut seen: BTreeSet<Uuid> = BTreeSet::new();
    loop {
        let report = operations.advance_backfill(actor, id).await?;
        for slice in report.slice_runs {
            if let Some(run) = slice.run_id.filter(|run| seen.insert(*run)) {
                let number = 1 + slices.partition_point(|other| other.from < slice.from);
                watches.push(async move { watch(context, run).await.map(|report| (number, slice, report)) });
            }
        }
        if report.backfill.state != BackfillState::Running && watches.is_empty() {
            return Ok(());
        }
        tokio::select! {
            Some(ended) = watches.next() => {
                let (number, slice, run) = ended?;
                tell(number, slices.len(), &slice, &run);
            }
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Watches a slice's run to its end.
async fn watch(context: &Context, run: Uuid) -> Result<RunReport> {
    let started = context.operations.attach(&context.actor, run).await?;
    let mut watch = context.operations.watch(&context.actor, started, &context.executor)?;
    let mut report = None;
    while let Some(event) = watch.next().await? {
        if let RunEvent::Ended(ended) = event {
            report = Some(*ended);
        }
    }
    watch.close().await;
    report.ok_or_else(|| anyhow::anyhow!("run {run} is no longer watched"))
}

fn tell(number: usize, total: usize, slice: &SliceRow, run: &RunReport) {
    let rows: u64 = run.receipts.iter().map(|receipt| receipt.rows_written).sum();
    let rows = output::plural(rows, "row");
    let interval = interval(slice.from, slice.to);
    output::error_line(&format!("slice {number} of {total}, {interval}: {}, {rows}", run.run.state));
    if let Some(error) = &run.error {
        output::error_of("  ", &error.message);
        output::error_line(&format!("  headwater runs show {}", run.run.run_id));
    }
}

fn interval(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    format!("{} to {}", output::time(Some(from)), output::time(Some(to)))
}

fn progress(row: &BackfillRow) -> String {
    let BackfillRow { pipeline, state, slices, succeeded, failed, running, .. } = row;
    let mut text = format!("backfill of {pipeline} {state}: {succeeded} of {slices} slices loaded");
    for (count, what) in [(failed, "failed or canceled"), (running, "running")] {
        if *count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text
}

fn show_plan(plan: &BackfillPlan) {
    let BackfillPlan { pipeline, version, parallel, targets, notes, slices } = plan;
    output::line(&format!(
        "{pipeline} v{version}: {}, {parallel} at a time",
        output::plural(slices.len() as u64, "slice")
    ));
    output::line(&format!("replaces rows of {}", targets.join(", ")));
    notes.iter().for_each(|note| output::line(&format!("note: {note}")));
    for (at, slice) in slices.iter().enumerate() {
        if at < SHOWN || at + SHOWN >= slices.len() {
            output::line(&format!("  {}", interval(slice.from, slice.to)));
        } else if at == SHOWN {
            output::line(&format!("  … {} more", slices.len() - 2 * SHOWN));
        }
    }
}

fn list(rows: &[BackfillRow]) {
    let rows = rows.iter().map(|row| {
        let BackfillRow { slices, succeeded, failed, .. } = row;
        let slices = format!("{succeeded} of {slices}");
        [
            row.pipeline.clone(),
            row.state.to_string(),
            interval(row.from, row.to),
            slices,
            failed.to_string(),
            output::time(Some(row.created_at)),
        ]
    });
    output::table(&["pipeline", "state", "interval", "slices loaded", "failed", "started"], rows);
}

fn show(report: &BackfillReport) {
    output::line(&progress(&report.backfill));
    let rows = report.slice_runs.iter().map(|slice| {
        [
            interval(slice.from, slice.to),
            slice.state.clone(),
            slice.run_id.map(|run| run.to_string()).unwrap_or_default(),
        ]
    });
    output::table(&["slice", "state", "run"], rows);
}
