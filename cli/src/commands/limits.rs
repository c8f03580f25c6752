//! `headwater limits`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use headwater_operations::{LimitRow, Scope};

use super::pause::parse_scope;
use crate::context::Context;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum LimitsCommand {
    /// List limits and pauses, and their current use
    #[command(after_help = "Examples:\n  headwater limits list\n  headwater limits list --json")]
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Limit concurrent stages
    #[command(
        after_help = "Examples:\n  headwater limits set connection:shop 4\n  headwater limits set pipeline:orders 1"
    )]
    Set {
        /// pipeline:NAME, queue:NAME, connection:NAME or workspace
        #[arg(value_parser = parse_scope)]
        scope: Scope,
        /// Maximum number of concurrent stages
        slots: u32,
    },
    /// Remove a limit
    #[command(after_help = "Examples:\n  headwater limits remove connection:shop\n  headwater limits remove workspace")]
    Remove {
        /// pipeline:NAME, queue:NAME, connection:NAME or workspace
        #[arg(value_parser = parse_scope)]
        scope: Scope,
    },
}

pub(super) async fn limits(context: &Context, command: LimitsCommand) -> Result<ExitCode> {
    let (operations, actor) = (&context.operations, &context.actor);
    match command {
        LimitsCommand::List { json } => {
            let report = operations.limits(actor).await?;
            if json { output::json(&report)? } else { list(&report.limits) }
        }
        LimitsCommand::Set { scope, slots } => {
            operations.set_limit(actor, &scope, slots).await?;
            output::line(&format!("{scope}: at most {} at a time", output::plural(slots, "stage")));
        }
        LimitsCommand::Remove { scope } => {
            operations.remove_limit(actor, &scope).await?;
            output::line(&format!("{scope}: no limit"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(limits: &[LimitRow]) {
    let rows = limits.iter().map(|limit| {
        [
            limit.scope.to_string(),
            limit.slots.map_or_else(String::new, |slots| slots.to_string()),
            limit.held.to_string(),
            output::time(limit.paused_at),
        ]
    });
    output::table(&["scope", "at most", "running", "paused since"], rows);
}
