//! `headwater run`: start a run and see it through.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use headwater_operations::{Place, Rehearse, RunState, StartRun, Started};
use headwater_pipelines::spec::Moment;

use super::{files, rehearse, runs};
use crate::args::parse_pair;
use crate::context::{Context, staging};
use crate::{output, waiting, watch};

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Spec file, or name of an approved pipeline
    target: String,
    /// Value of a parameter, NAME=VALUE; can be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parse_pair)]
    params: Vec<(String, String)>,
    /// Data interval, FROM..TO, as dates or RFC 3339 times; TO is exclusive
    #[arg(long, value_name = "FROM..TO", value_parser = parse_interval)]
    interval: Option<(Moment, Moment)>,
    /// Print one JSON document on standard output at the end
    #[arg(long)]
    json: bool,
    /// Execute in this process even if a worker serves the queue
    #[arg(long, conflicts_with = "remote")]
    local: bool,
    /// Leave the run to workers, even if there is none yet
    #[arg(long)]
    remote: bool,
    /// Read everything behind cursors again, and replace all rows of the targets that take it
    #[arg(long)]
    full_refresh: bool,
    /// Start a run only if none was started with this key before; otherwise watch that one
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Try it on a sample of the rows: sources are read, nothing is loaded, no run is made. Without --interval on the rows of yesterday
    #[arg(long, conflicts_with_all = ["local", "remote", "idempotency_key", "full_refresh"])]
    dry_run: bool,
}

pub(super) async fn run(context: &Context, args: RunArgs) -> Result<ExitCode> {
    if args.dry_run {
        let asked = Rehearse { target: files::target(&args.target)?, params: args.params, interval: args.interval };
        return rehearse::rehearse(context, asked, args.json).await;
    }
    // A run that nobody could execute here for want of a staging area is not made.
    staging(&context.config)?;
    let start = StartRun {
        target: files::target(&args.target)?,
        params: args.params,
        interval: args.interval,
        place: match (args.local, args.remote) {
            (true, _) => Place::Here,
            (_, true) => Place::Workers,
            (false, false) => Place::Anywhere,
        },
        full_refresh: args.full_refresh,
        idempotency_key: args.idempotency_key,
    };
    let started = waiting::shown(context, "planning", context.operations.start(&context.actor, start)).await?;
    see_through(context, started, args.json).await
}

/// Watches a run to its end, and prints what it did.
pub(super) async fn see_through(context: &Context, started: Started, json: bool) -> Result<ExitCode> {
    let report = watch::until_end(context, started).await?;
    if json {
        output::json(&report)?;
    } else {
        runs::show_report(&report);
    }
    Ok(if report.run.state == RunState::Succeeded { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Reads FROM..TO.
fn parse_interval(text: &str) -> Result<(Moment, Moment), String> {
    let (from, to) = text.split_once("..").ok_or("expected FROM..TO, e.g. 2026-11-01..2026-11-02")?;
    let moment = |text: &str| text.parse::<Moment>();
    Ok((moment(from)?, moment(to)?))
}
