//! Arguments of `run` and `runs`.

use clap::{Args as ClapArgs, Subcommand};
use uuid::Uuid;

#[derive(Debug, ClapArgs)]
pub(crate) struct RunArgs {
    /// A spec file, or the name of an approved pipeline
    pub(crate) target: String,
    /// A parameter's value, NAME=VALUE; can be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parse_param)]
    pub(crate) params: Vec<(String, String)>,
    /// End with one JSON document on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// Execute in this process even if a worker serves the queue
    #[arg(long, conflicts_with = "remote")]
    pub(crate) local: bool,
    /// Leave it to the workers, even if none is there yet
    #[arg(long)]
    pub(crate) remote: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List runs, newest first
    #[command(
        after_help = "Examples:\n  headwater runs list\n  headwater runs list --state failed --pipeline orders --limit 50"
    )]
    List {
        /// At most so many
        #[arg(long, default_value_t = 20)]
        limit: i64,
        /// Only this state; can be repeated
        #[arg(long)]
        state: Vec<String>,
        /// Only this pipeline
        #[arg(long)]
        pipeline: Option<String>,
        /// Only runs older than this one
        #[arg(long, value_name = "RUN")]
        before: Option<Uuid>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show a run's tasks, attempts and receipts
    #[command(
        after_help = "Examples:\n  headwater runs show\n  headwater runs show 0199c2c0-7d1e-7cc0-8000-000000000001 --json"
    )]
    Show {
        /// The run [default: the newest]
        run: Option<Uuid>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Print a run's log
    #[command(
        after_help = "Examples:\n  headwater runs logs\n  headwater runs logs 0199c2c0-7d1e-7cc0-8000-000000000001 --follow"
    )]
    Logs {
        /// The run [default: the newest]
        run: Option<Uuid>,
        /// Go on until the run has ended
        #[arg(long, short)]
        follow: bool,
    },
    /// Say what keeps a run, or one of its tasks, from going on
    #[command(
        after_help = "Examples:\n  headwater runs why\n  headwater runs why 0199c2c0-7d1e-7cc0-8000-000000000001 publish"
    )]
    Why {
        /// The run [default: the newest]
        run: Option<Uuid>,
        /// One of its tasks
        task: Option<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Ask a run to end
    #[command(
        after_help = "Examples:\n  headwater runs cancel\n  headwater runs cancel 0199c2c0-7d1e-7cc0-8000-000000000001"
    )]
    Cancel {
        /// The run [default: the newest]
        run: Option<Uuid>,
    },
    /// Run a finished run again: what failed, as the same loads
    #[command(
        after_help = "Examples:\n  headwater runs rerun\n  headwater runs rerun 0199c2c0-7d1e-7cc0-8000-000000000001 --all"
    )]
    Rerun {
        /// The run [default: the newest]
        run: Option<Uuid>,
        /// Everything again, as new loads: an append adds its rows a second time
        #[arg(long)]
        all: bool,
        /// End with one JSON document on standard output
        #[arg(long)]
        json: bool,
    },
}

/// Reads NAME=VALUE.
pub(super) fn parse_param(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("'{text}' is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}
