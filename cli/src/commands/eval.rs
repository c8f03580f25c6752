//! `headwater eval`: how often sentences become what they say.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use headwater_assistant::gateway::Recording;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::evaluation::{
    Evaluation, EvaluationReport, FailureReport, Gate, Outcome, Score, Suite, SuiteFilter, evaluate,
};
use crate::output;

/// The exit code of a command that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// Folder of schemas with their cases, or of one schema
    dir: PathBuf,
    /// The model of headwater.toml that reads the sentences [default: the assistant's; the offline grammar if there is none]
    #[arg(long, value_name = "NAME", conflicts_with = "offline")]
    model: Option<String>,
    /// Let the offline grammar read them, whatever models there are
    #[arg(long)]
    offline: bool,
    /// Try these schemas alone
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    schema: Vec<String>,
    /// Try this case alone
    #[arg(long, value_name = "NAME")]
    case: Option<String>,
    /// Try simple wordings alone: those that a careful controlled English should take
    #[arg(long)]
    simple: bool,
    /// Keep the model's answers in this folder
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["replay", "offline"])]
    record: Option<PathBuf>,
    /// Take the model's answers from this folder; no model is called
    #[arg(long, value_name = "FOLDER", conflicts_with = "offline")]
    replay: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// List the wordings that are not right, and why
    #[arg(long)]
    failures: bool,
}

pub(super) async fn eval(config: Config, args: EvalArgs) -> Result<ExitCode> {
    let filter = SuiteFilter { schemas: args.schema, case: args.case, simple: args.simple };
    let suite = Suite::read(&args.dir, &filter)?;
    let recording = match (args.record, args.replay) {
        (Some(folder), _) => Recording::Record(folder),
        (None, Some(folder)) => Recording::Replay(folder),
        (None, None) => Recording::Off,
    };
    let evaluation = Evaluation {
        suite,
        config,
        model: args.model,
        offline: args.offline,
        simple_alone: args.simple,
        failures: args.failures,
        recording,
    };
    // From here on Ctrl-C no longer ends the process: the temporary installation is removed first.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    let Some(report) = evaluate(evaluation, stop).await? else { return Ok(ExitCode::from(INTERRUPTED)) };
    if args.json {
        output::json(&report)?;
    } else {
        show(&report);
    }
    Ok(if report.missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn show(report: &EvaluationReport) {
    report.failures.iter().for_each(show_failure);
    let mut columns = vec![("all", &report.all), ("simple", &report.simple)];
    columns.extend(report.schemas.iter().map(|(name, score)| (name.as_str(), score)));
    if report.simple_alone {
        columns.remove(0);
    }
    let header: Vec<&str> = std::iter::once("").chain(columns.iter().map(|(name, _)| *name)).collect();
    let scores: Vec<&Score> = columns.iter().map(|(_, score)| *score).collect();
    let row = |what: &str, of: &dyn Fn(&Score) -> String| {
        std::iter::once(what.to_owned()).chain(scores.iter().map(|score| of(score))).collect::<Vec<_>>()
    };
    let mut rows = vec![row("wordings", &|score| score.wordings.to_string())];
    for outcome in Outcome::ALL {
        rows.push(row(outcome.as_str(), &|score| rate(score.count(outcome), score.wordings)));
    }
    let gates: std::collections::BTreeSet<Gate> = report.all.gates.keys().copied().collect();
    for gate in gates {
        let of = |score: &Score| score.gates.get(&gate).map_or_else(String::new, |gate| rate(gate.passed, gate.of));
        rows.push(row(gate.as_str(), &of));
    }
    output::table(&header, rows);
    show_rest(report);
}

fn show_failure(failure: &FailureReport) {
    let FailureReport { schema, case, wording, simple, outcome, reason } = failure;
    let simple = if *simple { ", simple" } else { "" };
    let reason = reason.as_deref().map(|reason| format!(": {}", output::shown(reason))).unwrap_or_default();
    output::line(&format!("{schema}/{case}, wording {wording}{simple}: {}{reason}", outcome.as_str()));
}

fn show_rest(report: &EvaluationReport) {
    let reader =
        report.model.as_deref().map_or_else(|| "the offline grammar".to_owned(), |model| format!("model {model}"));
    let took = chrono::TimeDelta::milliseconds(i64::try_from(report.took_ms).unwrap_or(i64::MAX));
    output::line(&format!(
        "{} of {}, read by {reader}; median time to an outcome {} ms; everything took {}",
        output::plural(report.all.wordings, "wording"),
        output::plural(report.cases, "case"),
        report.effort.median_ms,
        output::duration(took)
    ));
    let effort = &report.effort;
    if let Some(rounds) = effort.rounds {
        let tokens = effort.tokens.map_or_else(|| "unknown".to_owned(), output::count);
        let cost = effort.cost_nanos.map_or_else(|| "unknown".to_owned(), dollars);
        output::line(&format!("drafts and answers: {rounds:.2} rounds on average, {tokens} tokens, cost {cost}"));
    }
    let later = &report.follow_ups;
    if later.wordings + report.follow_ups_not_tried > 0 {
        output::line(&format!(
            "{}: {} right, {} silently wrong; {} not tried, since the question before had no right answer",
            output::plural(later.wordings, "follow-up"),
            later.count(Outcome::Right),
            later.count(Outcome::SilentWrong),
            report.follow_ups_not_tried
        ));
    }
    if report.remarks > 0 {
        output::line(&format!(
            "{} refused for another reason than the case names",
            output::plural(report.remarks, "wording")
        ));
    }
    for missed in &report.missed {
        output::error_line(&format!(
            "missed: {} {:.1} %, wanted {:.0} %",
            missed.what,
            missed.share * 100.0,
            missed.wanted * 100.0
        ));
    }
}

/// `7/10 70 %`.
fn rate(some: usize, all: usize) -> String {
    match (some * 100 + all / 2).checked_div(all) {
        Some(percent) => format!("{some}/{all} {percent} %"),
        None => String::new(),
    }
}

/// `$0.012`.
fn dollars(nanos: u64) -> String {
    format!("${}.{:03}", nanos / 1_000_000_000, nanos % 1_000_000_000 / 1_000_000)
}
