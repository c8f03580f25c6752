//! The command line: options of every command, and the commands. Each command's own arguments stand beside the code that uses them.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, ValueEnum};

use crate::commands::Command;

/// Data pipelines that are checked before they run and commit each load once.
#[derive(Debug, Parser)]
#[command(name = "headwater", version, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "Examples:\n  headwater run pipelines/examples/wait.yaml\n  headwater runs list")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Global {
    /// Postgres of the control plane [default: DATABASE_URL if it contains Headwater's schema, otherwise embedded]
    #[arg(long, global = true, env = "HEADWATER_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// Folder of the embedded Postgres, the master key and staged data
    #[arg(long, global = true, env = "HEADWATER_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// User that the embedded Postgres runs as when root starts it
    #[arg(long, global = true, env = "HEADWATER_PG_USER", value_name = "USER")]
    pub(crate) pg_user: Option<String>,
    /// Settings file [default: headwater.toml in the user's configuration folder, otherwise in /etc/headwater]
    #[arg(long, global = true, env = "HEADWATER_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Environment variable that connections in a file may resolve: NAME or PREFIX*; can be repeated
    #[arg(
        long = "allow-variable",
        global = true,
        env = "HEADWATER_ALLOWED_VARIABLES",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    pub(crate) allowed_variables: Vec<String>,
    /// Format of log lines on standard error; RUST_LOG selects them
    #[arg(long, global = true, env = "HEADWATER_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Reads NAME=VALUE.
pub(crate) fn parse_pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn every_help_ends_with_two_examples() {
        fn walk(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            if command.get_subcommands().next().is_none() {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert_eq!(help.lines().filter(|line| line.starts_with("  headwater ")).count(), 2, "{path}");
            }
            command.get_subcommands().for_each(|child| walk(child, &path));
        }
        walk(&super::Args::command(), "");
    }
}
