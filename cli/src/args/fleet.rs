//! Arguments of `workers`, `limits`, `pause` and `resume`.

use clap::Subcommand;
use headwater_store::Scope;

#[derive(Debug, Subcommand)]
pub(crate) enum WorkersCommand {
    /// List live workers, their queues and how busy they are
    #[command(after_help = "Examples:\n  headwater workers list\n  headwater workers list --json")]
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum LimitsCommand {
    /// List limits and pauses, and what runs under them
    #[command(after_help = "Examples:\n  headwater limits list\n  headwater limits list --json")]
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Let at most so many stages run at a time
    #[command(
        after_help = "Examples:\n  headwater limits set connection:shop 4\n  headwater limits set pipeline:orders 1"
    )]
    Set {
        /// pipeline:NAME, queue:NAME, connection:NAME or workspace
        #[arg(value_parser = parse_scope)]
        scope: Scope,
        /// Stages at a time
        slots: u32,
    },
    /// Take a limit away
    #[command(after_help = "Examples:\n  headwater limits remove connection:shop\n  headwater limits remove workspace")]
    Remove {
        /// pipeline:NAME, queue:NAME, connection:NAME or workspace
        #[arg(value_parser = parse_scope)]
        scope: Scope,
    },
}

/// Reads a scope; the error says how it is written.
pub(super) fn parse_scope(text: &str) -> Result<Scope, String> {
    text.parse().map_err(|error: headwater_store::StoreError| match error.hint {
        Some(hint) => format!("{}: {hint}", error.message),
        None => error.message,
    })
}
