//! `headwater runs explain`: why a run failed, and what to do.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use headwater_operations::{Advice, ExplainReport, ExplainedFailure, Suggest};

use super::named;
use crate::commands::compile::{ReadingArgs, finish};
use crate::context::Context;
use crate::{output, words};

#[derive(Debug, Args)]
pub(crate) struct RunExplainArgs {
    /// Run id, or the beginning of one [default: the newest run]
    run: Option<String>,
    /// Make a draft of the pipeline that does not fail in this way; needs a model
    #[arg(long)]
    fix: bool,
    /// With --fix: write the draft to a file instead of standard output
    #[arg(long, short, value_name = "FILE", requires = "fix")]
    output: Option<PathBuf>,
    #[command(flatten)]
    reading: ReadingArgs,
    /// Print one JSON document; with --fix that of the draft
    #[arg(long)]
    json: bool,
}

pub(super) async fn explain(context: &Context, args: RunExplainArgs) -> Result<ExitCode> {
    let run = named(context, args.run).await?;
    let report = context.operations.explain_run(&context.actor, run).await?;
    if args.fix {
        let assistant = context.assistant().await?;
        let asked = args.reading.asked(String::new(), Vec::new());
        let draft = assistant.fix(&context.actor, &report, asked).await?;
        return finish(&draft, args.output.as_deref(), args.json);
    }
    if args.json {
        output::json(&report)?
    } else {
        show(&report)
    }
    Ok(ExitCode::SUCCESS)
}

fn show(report: &ExplainReport) {
    let run = &report.run;
    output::line(&format!("run {} of {} version {} is {}", run.run_id, run.pipeline, run.version, run.state));
    report.failures.iter().for_each(show_failure);
    if !report.not_run.is_empty() {
        output::line(&format!("did not run after that: {}", report.not_run.join(", ")));
    }
    for loaded in &report.loaded {
        let rows = output::plural(loaded.rows, "row");
        output::line(&format!("committed, and kept by a rerun: {rows} in {}", output::shown(&loaded.target)));
    }
    for found in &report.findings {
        output::line(&format!(
            "planned now, its spec has an error: line {}: {}: {}",
            found.start.line,
            found.code,
            output::shown(&found.message)
        ));
        found.hint.iter().for_each(|hint| output::line(&format!("  {}", output::shown(hint))));
    }
    if let Some(message) = &report.not_planned {
        output::line(&format!("it can't be planned now: {}", output::shown(message)));
    }
    report.advice.iter().for_each(|advice| output::line(&format!("next: {}", in_words(advice, report))));
}

fn show_failure(failure: &ExplainedFailure) {
    let task = failure.task.as_ref().map(|task| format!("task {task} ")).unwrap_or_default();
    let attempts = output::plural(failure.attempts as u64, "attempt");
    output::line(&format!("{task}failed after {attempts}: {}", output::shown(&failure.message)));
    output::line(&format!("  {}", failure.kind.in_words()));
    failure.hint.iter().for_each(|hint| output::line(&format!("  {}", output::shown(hint))));
}

fn in_words(advice: &Advice, report: &ExplainReport) -> String {
    let run = report.run.run_id;
    match advice {
        Advice::Rerun => format!("run what failed again: {}", words::suggestion(&Suggest::Rerun { run, all: false })),
        Advice::RunNewer { version } => {
            format!("version {version} is approved by now: headwater run {}", report.run.pipeline)
        }
        Advice::ChangeSpec => {
            format!("correct the spec, or let a model propose it: headwater runs explain {run} --fix")
        }
        Advice::ChangeRows => {
            format!("correct the rows, or let the spec deal with them: headwater runs explain {run} --fix")
        }
        Advice::FollowHint => "do what the failure asks for".to_owned(),
        Advice::Report => "report this as a fault of Headwater, with the output of `headwater runs logs`".to_owned(),
        Advice::Nothing => "nothing: it did not fail".to_owned(),
    }
}
