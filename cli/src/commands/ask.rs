//! `headwater ask`: a question becomes one SELECT, which is shown and run.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use headwater_assistant::AskReport;

use super::compile::{ReadingArgs, show_not_understood, show_question, show_refusal};
use super::sql::{self, SqlFormat};
use crate::context::Context;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    /// The question
    question: String,
    /// Connections that it is about [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    on: Vec<String>,
    #[command(flatten)]
    reading: ReadingArgs,
    /// Show the statement and do not run it
    #[arg(long)]
    dry_run: bool,
    /// Format of the rows
    #[arg(long, value_enum, default_value = "table")]
    format: SqlFormat,
    /// Rows to print [default: 200 as a table, all otherwise]
    #[arg(long)]
    limit: Option<usize>,
}

pub(super) async fn ask(context: &Context, args: AskArgs) -> Result<ExitCode> {
    let assistant = context.assistant().await?;
    let report = assistant.ask(&context.actor, &args.reading.asked(args.question, args.on)).await?;
    let statement = match report {
        AskReport::Statement(statement) => statement,
        other => {
            if args.format == SqlFormat::Json {
                output::json(&other)?;
            }
            match &other {
                AskReport::Question(question) => show_question(question),
                AskReport::Refusal(refusal) => show_refusal(refusal),
                AskReport::NotUnderstood(words) => show_not_understood(words),
                AskReport::Statement(_) => {}
            }
            return Ok(ExitCode::from(1));
        }
    };
    output::error_line(&statement.sql);
    statement
        .assumptions
        .iter()
        .for_each(|assumption| output::error_line(&format!("assumed: {}", output::shown(assumption))));
    for (connection, catalog) in &statement.catalogs {
        output::error_line(&format!("{connection} as it was at {}", output::time(Some(catalog.seen_at))));
    }
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    sql::run(context, &statement.sql, args.format, args.limit).await
}
