//! `headwater apply`: specs become their pipelines' approved versions, all of them or none.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use headwater_operations::{Applied, ApplyReport, ConnectionChange, PipelineChange};

use super::files;
use super::plan;
use crate::context::Context;
use crate::failure::{hinted, show_problems};
use crate::{output, waiting};

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// Spec file, or folder of spec files, applied as one change
    path: PathBuf,
    /// Apply one file only if it, the schemas that it reads and the policy of its connections have this hash
    #[arg(long, value_name = "HASH")]
    approved: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) async fn apply(context: &Context, args: &ApplyArgs) -> Result<ExitCode> {
    let (operations, actor) = (&context.operations, &context.actor);
    let proposal = match &args.approved {
        Some(_) if args.path.is_dir() => {
            return Err(hinted("--approved is the hash of one file", "apply the files of the folder one by one"));
        }
        Some(hash) => {
            let proposed = operations.propose_approved(actor, files::read(&args.path)?, hash);
            waiting::shown(context, "planning", proposed).await?
        }
        None => waiting::shown(context, "planning", operations.propose(actor, files::read_all(&args.path)?)).await?,
    };
    show_problems(&proposal.warnings);
    if !args.json {
        show_proposal(&proposal.report);
    }
    let report = operations.apply(actor, &proposal).await?;
    if args.json {
        output::json(&report)?;
    } else {
        show_result(&report);
    }
    Ok(ExitCode::SUCCESS)
}

fn show_proposal(report: &ApplyReport) {
    report.connections.iter().for_each(|change| output::line(&connection(change)));
    for change in &report.pipelines {
        output::line(&pipeline(change));
        plan::differences(&change.diff).iter().for_each(|change| output::line(&format!("  {change}")));
    }
}

fn connection(change: &ConnectionChange) -> String {
    let what = match change.change {
        Applied::Added => "will be added",
        Applied::Changed => "will be replaced",
        Applied::Unchanged => "stays as it is",
    };
    let variables = match change.variables.as_slice() {
        [] => String::new(),
        names => format!("; it resolves {}", names.join(", ")),
    };
    let users = match change.users.as_slice() {
        [] => String::new(),
        names => format!("; approved pipelines use it: {}", names.join(", ")),
    };
    format!("connection {} {what}{variables}{users}", change.connection)
}

fn pipeline(change: &PipelineChange) -> String {
    let what = match (change.change, change.before) {
        (Applied::Unchanged, Some(version)) => format!("stays at version {version}"),
        (_, Some(version)) => format!("will replace version {version}"),
        (_, None) => "will be approved for the first time".to_owned(),
    };
    format!("pipeline {} ({}) {what}", change.pipeline, change.file)
}

fn show_result(report: &ApplyReport) {
    for change in report.connections.iter().filter(|change| change.change != Applied::Unchanged) {
        output::line(&format!("connection {} is stored, its secrets encrypted", change.connection));
    }
    for change in &report.pipelines {
        let version = change.version.unwrap_or_default();
        let when = change.schedule_in_words.as_deref().unwrap_or("no schedule");
        output::line(&format!("pipeline {} is at version {version} ({when})", change.pipeline));
        change.draft_id.iter().for_each(|draft| output::line(&format!("draft {draft} is approved with it")));
    }
    if report.pipelines.iter().any(|change| change.schedule_in_words.is_some()) {
        output::line(
            "schedules fire and streams run while `headwater up`, or `headwater serve` with a scheduler, is running",
        );
    }
}
