//! `headwater questions`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::context::Context;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum QuestionsCommand {
    /// List questions whose statements somebody has checked
    #[command(after_help = "Examples:\n  headwater questions list\n  headwater questions list --json")]
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Add a question with the statement that answers it, or replace its statement
    #[command(
        after_help = "Examples:\n  headwater questions add \"How many orders are open?\" --sql \"SELECT count(*) FROM shop.public.orders WHERE status = 'open'\"\n  headwater questions add \"How many customers?\" --sql \"SELECT count(*) FROM shop.public.customers\""
    )]
    Add {
        /// The question; upper and lower case are the same
        question: String,
        /// One SELECT over tables named connection.path
        #[arg(long, value_name = "SQL")]
        sql: String,
    },
    /// Remove a question
    #[command(
        after_help = "Examples:\n  headwater questions remove \"How many orders are open?\"\n  headwater questions remove \"How many customers?\""
    )]
    Remove {
        /// The question
        question: String,
    },
}

pub(super) async fn questions(context: &Context, command: QuestionsCommand) -> Result<ExitCode> {
    let (operations, actor) = (&context.operations, &context.actor);
    match command {
        QuestionsCommand::List { json } => {
            let report = operations.questions(actor).await?;
            if json {
                output::json(&report)?;
            } else {
                let rows = report.questions.into_iter().map(|row| {
                    [row.question, row.sql, row.checked_by.unwrap_or_default(), output::time(Some(row.checked_at))]
                });
                output::table(&["question", "SQL", "checked by", "at"], rows);
            }
        }
        QuestionsCommand::Add { question, sql } => {
            operations.add_question(actor, &question, &sql).await?;
            output::line(&format!("\"{question}\" is answered by this statement from now on"));
        }
        QuestionsCommand::Remove { question } => {
            operations.remove_question(actor, &question).await?;
            output::line(&format!("\"{question}\" is no longer a verified question"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
