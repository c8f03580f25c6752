//! `headwater conversations`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use headwater_operations::{ConversationReport, ConversationSummary, Step};

use super::compile::{show_not_understood, show_question, show_refusal};
use crate::context::Context;
use crate::output;

/// Characters of a question that a list shows.
const QUESTION: usize = 60;

#[derive(Debug, Subcommand)]
pub(crate) enum ConversationsCommand {
    /// List your conversations, that with the newest question first
    #[command(
        after_help = "Examples:\n  headwater conversations list\n  headwater conversations list --limit 5 --json"
    )]
    List {
        /// Number of conversations
        #[arg(long, default_value_t = 20)]
        limit: i64,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show the questions of a conversation, and how each was answered
    #[command(
        after_help = "Examples:\n  headwater conversations show last\n  headwater conversations show 0199c2c0-7d1e --json"
    )]
    Show {
        /// Conversation id, the beginning of one, or last
        conversation: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn conversations(context: &Context, command: ConversationsCommand) -> Result<ExitCode> {
    let (operations, actor) = (&context.operations, &context.actor);
    match command {
        ConversationsCommand::List { limit, json } => {
            let report = operations.conversations(actor, limit).await?;
            if json { output::json(&report)? } else { list(&report.conversations) }
        }
        ConversationsCommand::Show { conversation, json } => {
            let id = operations.find_conversation(actor, &conversation).await?;
            let report = operations.conversation(actor, id).await?;
            if json { output::json(&report)? } else { show(&report) }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(conversations: &[ConversationSummary]) {
    let rows = conversations.iter().map(|one| {
        let question: String = one.question.chars().take(QUESTION).collect();
        [one.conversation_id.to_string(), one.turns.to_string(), output::time(Some(one.last_at)), question]
    });
    output::table(&["conversation", "questions", "last", "first question"], rows);
}

fn show(report: &ConversationReport) {
    for turn in &report.turns {
        output::line(&format!("{}. {}", turn.turn, output::shown(&turn.question)));
        turn.steps.iter().for_each(|step| show_step(&step.step));
        match turn.steps.last().map(|step| &step.step) {
            Some(Step::Statement(_)) => output::line("   (not run)"),
            Some(step) if step.is_end() => {}
            _ => output::line("   (not ended)"),
        }
    }
}

fn show_step(step: &Step) {
    let say = |text: String| output::line(&format!("   {text}"));
    match step {
        Step::Asking { shown_tables, left_out_tables } => {
            say(format!(
                "asked a model, which saw {}; {left_out_tables} left out",
                output::plural(*shown_tables as u64, "table")
            ));
        }
        Step::Repairing { faults } => {
            faults.iter().for_each(|fault| say(format!("sent back: {}", output::shown(fault))))
        }
        Step::Statement(statement) => {
            statement.meaning.iter().for_each(|meaning| say(format!("understood as: {}", output::shown(meaning))));
            statement.sql.lines().for_each(|line| say(output::shown(line)));
            statement.assumptions.iter().for_each(|assumption| say(format!("assumed: {}", output::shown(assumption))));
        }
        Step::Question(question) => show_question(question),
        Step::Refusal(refusal) => show_refusal(refusal),
        Step::NotUnderstood(words) => show_not_understood(words),
        Step::Rows { rows, more, took_ms } => {
            let more = if *more { ", and there are more" } else { "" };
            say(format!("{}{more}, {took_ms} ms", output::plural(*rows, "row")));
        }
        Step::Failed { message, hint } => {
            say(format!("failed: {}", output::shown(message)));
            hint.iter().for_each(|hint| say(output::shown(hint)));
        }
        Step::Canceled => say("canceled".to_owned()),
    }
}
