//! `headwater compile`: a sentence becomes a draft.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use clap::Args;
use headwater_assistant::{Asked, CompileReport, DraftReport, NotUnderstood, Question, Refusal, Requirement};
use headwater_operations::{Editing, ErrorKind, FireReport, Rehearse, SpecFile, Target, draft_body, draft_file};

use super::plan;
use super::rehearse;
use crate::context::Context;
use crate::failure::{hinted, show_problems};
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct CompileArgs {
    /// What the pipeline should do, in words
    sentence: String,
    /// Write the draft to a file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Change this pipeline, draft or file instead of making a new one; needs a model
    #[arg(long, value_name = "PIPELINE|DRAFT|FILE")]
    on: Option<String>,
    /// With --on: the only tasks that may change, by their paths
    #[arg(long = "task", value_name = "PATH", requires = "on")]
    tasks: Vec<String>,
    /// Connections that it is about [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    connections: Vec<String>,
    #[command(flatten)]
    reading: ReadingArgs,
    /// Try the draft on a sample of the rows as well: sources are read, nothing is loaded
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// How sentences and questions are read.
#[derive(Debug, Args)]
pub(crate) struct ReadingArgs {
    /// Time zone of days and of times without a zone [default: UTC, or that of the question before]
    #[arg(long, value_name = "ZONE")]
    timezone: Option<Tz>,
    /// The moment that today, this month and the like are counted from, e.g. 2026-03-31T22:30:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    as_of: Option<DateTime<Utc>>,
    /// The model of headwater.toml that reads it [default: the assistant's; the offline grammar if there is none]
    #[arg(long, value_name = "NAME", conflicts_with = "offline")]
    model: Option<String>,
    /// Read it by the offline grammar, whatever models there are (docs/offline-grammar.md)
    #[arg(long)]
    offline: bool,
}

impl ReadingArgs {
    pub(super) fn asked(self, text: String, on: Vec<String>) -> Asked {
        let now = self.as_of.unwrap_or_else(Utc::now);
        Asked { text, on, zone: self.timezone, now, model: self.model, offline: self.offline, edit: None }
    }
}

pub(super) async fn compile(context: &Context, args: CompileArgs) -> Result<ExitCode> {
    let assistant = context.assistant().await?;
    let edit = match &args.on {
        Some(name) => Some(editing(context, name, args.tasks).await?),
        None => None,
    };
    let asked = Asked { edit, ..args.reading.asked(args.sentence, args.connections) };
    let report = assistant.compile(&context.actor, &asked).await?;
    let code = finish(&report, args.output.as_deref(), args.json)?;
    match report {
        CompileReport::Draft(draft) if args.dry_run && draft.valid => {
            let file = SpecFile { name: "draft.yaml".to_owned(), bytes: draft.text.into_bytes() };
            let asked = Rehearse { target: Target::Spec(file), params: Vec::new(), interval: None };
            rehearse::rehearse(context, asked, args.json).await
        }
        _ => Ok(code),
    }
}

/// What `--on` names: a file, else an approved pipeline, else a draft.
async fn editing(context: &Context, name: &str, tasks: Vec<String>) -> Result<Editing> {
    let (operations, actor) = (&context.operations, &context.actor);
    if Path::new(name).is_file() {
        let text = std::fs::read_to_string(name).with_context(|| format!("{name} can't be read"))?;
        return Ok(Editing { draft: None, text: draft_body(&text).into_owned(), tasks, facts: Vec::new() });
    }
    match operations.pipeline(actor, name, None).await {
        Ok(report) => return Ok(Editing { draft: None, text: report.spec_text, tasks, facts: Vec::new() }),
        Err(error) if error.kind == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let hint = "headwater pipelines list, headwater drafts list";
    let nothing = || hinted(format!("'{}' is no file, pipeline or draft", output::shown(name)), hint);
    let draft = operations.find_draft(actor, name).await.map_err(|_| nothing())?;
    let text = operations.draft(actor, draft).await?.text.ok_or_else(nothing)?;
    Ok(Editing { draft: Some(draft), text, tasks, facts: Vec::new() })
}

/// Writes or prints a draft, and shows what became of the sentence.
pub(super) fn finish(report: &CompileReport, output: Option<&Path>, json: bool) -> Result<ExitCode> {
    if json {
        output::json(report)?;
    }
    let code = match report {
        CompileReport::Draft(draft) if draft.valid => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    };
    if let CompileReport::Draft(draft) = report {
        let text = draft_file(draft.draft_id, &draft.text);
        match output {
            Some(path) => std::fs::write(path, text).with_context(|| format!("{} can't be written", path.display()))?,
            None if !json => output::document(text.trim_end()),
            None => {}
        }
    }
    if !json {
        match report {
            CompileReport::Draft(draft) => show(draft),
            CompileReport::Question(asked) => {
                show_question(&asked.question);
                output::error_line(&format!("answer with `headwater drafts answer {} NUMBER`", asked.draft_id));
            }
            CompileReport::Refusal(refusal) => show_refusal(refusal),
            CompileReport::NotYet { feature, quote } => {
                output::error_line(&format!(
                    "not yet: a sentence can't ask for {feature} yet, as '{}' does",
                    output::shown(quote)
                ));
            }
            CompileReport::NotUnderstood(words) => show_not_understood(words),
        }
    }
    Ok(code)
}

fn show(draft: &DraftReport) {
    show_problems(std::slice::from_ref(&draft.problems));
    show_gaps(&draft.not_understood, &draft.unmet);
    show_requirements(&draft.requirements, &draft.assumptions);
    draft.plan.schedule_in_words.iter().for_each(|words| output::error_line(&format!("schedule: {words}")));
    show_fires(&draft.next_fires);
    if let Some(changes) = draft.plan.diff.as_deref().filter(|changes| !changes.is_empty()) {
        output::error_line("differences from the approved version:");
        plan::differences(changes)
            .iter()
            .for_each(|change| output::error_line(&format!("  {}", output::shown(change))));
    }
    output::error_line(&format!("draft {}, hash {}", draft.draft_id, draft.hash));
    output::error_line(&format!(
        "nothing runs until you approve it: headwater drafts approve {} --hash {}",
        draft.draft_id, draft.hash
    ));
}

/// What a draft lacks.
pub(super) fn show_gaps(not_understood: &[String], unmet: &[String]) {
    not_understood
        .iter()
        .for_each(|words| output::error_line(&format!("not understood: \"{}\"", output::shown(words))));
    unmet.iter().for_each(|wish| output::error_line(&format!("unmet: {}", output::shown(wish))));
}

/// What each part of a sentence became, and what was taken for granted.
pub(super) fn show_requirements(requirements: &[Requirement], assumptions: &[String]) {
    for requirement in requirements {
        let task = requirement.task.as_ref().map(|task| format!(" (task {task})")).unwrap_or_default();
        output::error_line(&format!(
            "\"{}\"{task}: {}",
            output::shown(&requirement.quote),
            output::shown(&requirement.meaning)
        ));
    }
    assumptions.iter().for_each(|assumption| output::error_line(&format!("assumed: {}", output::shown(assumption))));
}

/// The next fires, on the clock of the schedule's zone.
pub(super) fn show_fires(fires: &[FireReport]) {
    if !fires.is_empty() {
        let times: Vec<String> =
            fires.iter().map(|fire| fire.local_time.format("%a %Y-%m-%d %H:%M %:z").to_string()).collect();
        output::error_line(&format!("next runs: {}", times.join(", ")));
    }
}

pub(super) fn show_question(question: &Question) {
    output::error_line(&format!("question: {}", output::shown(&question.text)));
    for (index, choice) in question.choices.iter().enumerate() {
        let text = output::shown(&choice.text);
        output::error_line(&format!("  {}. {text}", index + 1));
        output::error_line(&format!("    say: {}", output::shown(&choice.sentence)));
    }
}

pub(super) fn show_refusal(refusal: &Refusal) {
    output::error_line(&format!("refused: {}", output::shown(&refusal.message)));
}

pub(super) fn show_not_understood(words: &NotUnderstood) {
    let quote =
        if words.quote.is_empty() { "the end".to_owned() } else { format!("'{}'", output::shown(&words.quote)) };
    output::error_line(&format!("not understood: {quote}; expected {}", output::shown(&words.expected)));
    if !words.candidates.is_empty() {
        output::error_line(&format!("  near: {}", output::shown(&words.candidates.join(", "))));
    }
    if words.expected.starts_with("a table") || words.expected.contains("target") {
        output::error_line(
            "  tables and targets are those of the stored catalogs: headwater connections list, headwater connections catalog NAME --refresh",
        );
    }
    output::error_line("  docs/offline-grammar.md says which sentences are understood, such as:");
    output::error_line("    count orders per country of the customer where status is paid");
    output::error_line("    load orders into lake.orders, overwrite, every day at 6:00 in Europe/Berlin");
}
