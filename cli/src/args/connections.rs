//! Arguments of `connections`.

use clap::Subcommand;

use super::runs::parse_param;

#[derive(Debug, Subcommand)]
pub(crate) enum ConnectionsCommand {
    /// Add a connection, or replace it, and check it
    #[command(
        after_help = "Examples:\n  headwater connections add lake delta file:///srv/lake\n  headwater connections add shop postgres://app@db.example.com/shop"
    )]
    Add {
        /// Name that specs use
        name: String,
        /// LOCATION, or CONNECTOR LOCATION; the connector may be left out when the location's scheme names it
        #[arg(value_name = "CONNECTOR LOCATION", num_args = 0..=2)]
        what: Vec<String>,
        /// A further setting of the connector, KEY=VALUE; can be repeated
        #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_param)]
        settings: Vec<(String, String)>,
        /// Read the location from standard input, so that it appears in no process list
        #[arg(long)]
        url_stdin: bool,
        /// Store it even if the check fails
        #[arg(long)]
        no_check: bool,
    },
    /// List connections
    #[command(after_help = "Examples:\n  headwater connections list\n  headwater connections list --json")]
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Check that a connection can be used
    #[command(after_help = "Examples:\n  headwater connections check shop\n  headwater connections check lake")]
    Check {
        /// Its name
        name: String,
    },
    /// List what a connection can read
    #[command(
        after_help = "Examples:\n  headwater connections catalog shop\n  headwater connections catalog shop --columns"
    )]
    Catalog {
        /// Its name
        name: String,
        /// Columns too
        #[arg(long)]
        columns: bool,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Forget a connection
    #[command(after_help = "Examples:\n  headwater connections remove old_shop\n  headwater connections list")]
    Remove {
        /// Its name
        name: String,
    },
}
