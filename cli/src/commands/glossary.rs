//! `headwater glossary`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use headwater_operations::SetTerm;

use crate::context::Context;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum GlossaryCommand {
    /// List terms and what they mean
    #[command(after_help = "Examples:\n  headwater glossary list\n  headwater glossary list --json")]
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Add a term or change what it means
    #[command(
        after_help = "Examples:\n  headwater glossary set client shop.public.customers\n  headwater glossary set revenue shop.public.orders --sql \"sum(amount) FILTER (WHERE status = 'paid')\""
    )]
    Set {
        /// Word or phrase; upper and lower case are the same
        term: String,
        /// The table that it is, or is about: connection.schema.table
        table: String,
        /// What it means in SQL over the table's columns
        #[arg(long, value_name = "SQL")]
        sql: Option<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Remove a term
    #[command(
        after_help = "Examples:\n  headwater glossary remove revenue\n  headwater glossary remove \"active client\""
    )]
    Remove {
        /// Word or phrase
        term: String,
    },
}

pub(super) async fn glossary(context: &Context, command: GlossaryCommand) -> Result<ExitCode> {
    let (operations, actor) = (&context.operations, &context.actor);
    match command {
        GlossaryCommand::List { json } => {
            let report = operations.glossary(actor).await?;
            if json {
                output::json(&report)?;
            } else {
                let rows = report.terms.into_iter().map(|row| {
                    let table = format!("{}.{}", row.term.connection, row.term.path.join("."));
                    [row.term.term, table, row.term.expression.unwrap_or_default()]
                });
                output::table(&["term", "table", "SQL"], rows);
            }
        }
        GlossaryCommand::Set { term, table, sql, json } => {
            let set = operations.set_term(actor, SetTerm { term, table, expression: sql }).await?;
            if json {
                output::json(&set)?;
            } else {
                let table = format!("{}.{}", set.connection, set.path.join("."));
                let means = set.expression.map_or_else(|| table.clone(), |sql| format!("{sql} of {table}"));
                output::line(&format!("{} means {means}", set.term));
            }
        }
        GlossaryCommand::Remove { term } => {
            operations.remove_term(actor, &term).await?;
            output::line(&format!("{term} is no longer in the glossary"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
