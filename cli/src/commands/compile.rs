//! `headwater compile`: a sentence becomes a draft.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use clap::Args;
use headwater_assistant::{Asked, Assistant, CompileReport, DraftReport, NotUnderstood, Question, Refusal};

use crate::context::Context;
use crate::failure::show_problems;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct CompileArgs {
    /// What the pipeline should do, in words (docs/offline-grammar.md)
    sentence: String,
    /// Write the draft to a file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    reading: ReadingArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// How sentences and questions are read.
#[derive(Debug, Args)]
pub(crate) struct ReadingArgs {
    /// Connections that it is about [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    on: Vec<String>,
    /// Time zone of days and of times without a zone
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    timezone: Tz,
    /// The moment that today, this month and the like are counted from, e.g. 2026-03-31T22:30:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    as_of: Option<DateTime<Utc>>,
}

impl ReadingArgs {
    pub(super) fn asked(self, text: String) -> Asked {
        Asked { text, on: self.on, zone: self.timezone, now: self.as_of.unwrap_or_else(Utc::now) }
    }
}

pub(super) async fn compile(context: &Context, args: CompileArgs) -> Result<ExitCode> {
    let assistant = Assistant::new(context.operations.clone());
    let report = assistant.compile(&context.actor, &args.reading.asked(args.sentence)).await?;
    if args.json {
        output::json(&report)?;
    }
    let code = match &report {
        CompileReport::Draft(draft) if draft.valid => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    };
    if let CompileReport::Draft(draft) = &report {
        match &args.output {
            Some(path) => {
                std::fs::write(path, &draft.text).with_context(|| format!("{} can't be written", path.display()))?;
            }
            None if !args.json => output::line(draft.text.trim_end()),
            None => {}
        }
    }
    if !args.json {
        match &report {
            CompileReport::Draft(draft) => show(draft, args.output.as_deref()),
            CompileReport::Question(question) => show_question(question),
            CompileReport::Refusal(refusal) => show_refusal(refusal),
            CompileReport::NotYet { feature, quote } => {
                output::error_line(&format!(
                    "not yet: {feature} does not execute yet, which '{}' asks for",
                    output::shown(quote)
                ));
            }
            CompileReport::NotUnderstood(words) => show_not_understood(words),
        }
    }
    Ok(code)
}

fn show(draft: &DraftReport, path: Option<&std::path::Path>) {
    show_problems(std::slice::from_ref(&draft.problems));
    for requirement in &draft.requirements {
        let task = requirement.task.as_ref().map(|task| format!(" (task {task})")).unwrap_or_default();
        output::error_line(&format!(
            "\"{}\"{task}: {}",
            output::shown(&requirement.quote),
            output::shown(&requirement.meaning)
        ));
    }
    draft
        .assumptions
        .iter()
        .for_each(|assumption| output::error_line(&format!("assumed: {}", output::shown(assumption))));
    draft.plan.schedule_in_words.iter().for_each(|words| output::error_line(&format!("schedule: {words}")));
    let file = path.map_or_else(|| "FILE".to_owned(), |path| path.display().to_string());
    output::error_line(&format!("this is a draft: nothing runs until you approve it with `headwater apply {file}`"));
}

pub(super) fn show_question(question: &Question) {
    output::error_line(&format!("question: {}", output::shown(&question.text)));
    for choice in &question.choices {
        output::error_line(&format!("  {}\n    say: {}", output::shown(&choice.text), output::shown(&choice.sentence)));
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
    output::error_line("  docs/offline-grammar.md says which sentences are understood, such as:");
    output::error_line("    count orders per country of the customer where status is paid");
    output::error_line("    load orders into lake.orders, overwrite, every day at 6:00 in Europe/Berlin");
}
