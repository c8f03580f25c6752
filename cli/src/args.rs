//! The command line. Every help ends with two examples that run.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use headwater_pipelines::spec::Moment;

mod connections;
mod fleet;
mod runs;

pub(crate) use connections::ConnectionsCommand;
pub(crate) use fleet::{LimitsCommand, WorkersCommand};
pub(crate) use runs::{RunArgs, RunsCommand};

/// Pipelines that can be trusted: planned before they run, committed once.
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
    /// Control plane's Postgres [default: DATABASE_URL if Headwater's schema is there, else an embedded one]
    #[arg(long, global = true, env = "HEADWATER_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// Where the embedded Postgres, the master key and staged data live
    #[arg(long, global = true, env = "HEADWATER_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// User that the embedded Postgres runs as when started by root
    #[arg(long, global = true, env = "HEADWATER_PG_USER", value_name = "USER")]
    pub(crate) pg_user: Option<String>,
    /// Settings file [default: ./headwater.toml if it is there]
    #[arg(long, global = true, env = "HEADWATER_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Form of the log lines on standard error (RUST_LOG chooses which)
    #[arg(long, global = true, env = "HEADWATER_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run server, scheduler and worker in one process
    #[command(after_help = "Examples:\n  headwater up\n  headwater up --port 7700 --slots 4")]
    Up(ServeArgs),
    /// Run the named roles
    #[command(
        after_help = "Examples:\n  headwater serve --roles scheduler,worker\n  headwater serve --roles worker --queues default,big --labels gpu,eu"
    )]
    Serve {
        /// What this process does
        #[arg(long, value_enum, value_delimiter = ',', required = true)]
        roles: Vec<Role>,
        #[command(flatten)]
        serve: ServeArgs,
    },
    /// Validate a spec, check it against the real schemas, show stages and DDL
    #[command(after_help = "Examples:\n  headwater plan orders.yaml\n  headwater plan orders.yaml --json")]
    Plan {
        /// The spec
        file: PathBuf,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Approve specs as their pipelines' next versions
    #[command(after_help = "Examples:\n  headwater apply orders.yaml\n  headwater apply pipelines/")]
    Apply {
        /// A spec, or a folder of specs
        path: PathBuf,
    },
    /// Run a spec or an approved pipeline and wait for it
    #[command(after_help = "Examples:\n  headwater run orders.yaml\n  headwater run orders --param country=DE --json")]
    Run(RunArgs),
    /// Write a commented spec that copies tables
    #[command(
        after_help = "Examples:\n  headwater new --from shop.public.* --into lake > shop.yaml\n  headwater new --from shop.public.orders --into lake --name orders"
    )]
    New {
        /// Tables to copy: connection.path, with * as a wildcard
        #[arg(long, value_name = "TABLES")]
        from: String,
        /// Connection to copy into
        #[arg(long, value_name = "CONNECTION")]
        into: String,
        /// Name of the pipeline
        #[arg(long)]
        name: Option<String>,
    },
    /// Look at runs, cancel them, run them again
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Look at schedules and pause them
    #[command(subcommand)]
    Schedules(SchedulesCommand),
    /// Look at the workers
    #[command(subcommand)]
    Workers(WorkersCommand),
    /// Limit what runs at a time
    #[command(subcommand)]
    Limits(LimitsCommand),
    /// Let nothing new of a pipeline, a queue or a connection start
    #[command(after_help = "Examples:\n  headwater pause queue:default\n  headwater pause pipeline:orders")]
    Pause {
        /// pipeline:NAME, queue:NAME, connection:NAME or workspace
        #[arg(value_parser = fleet::parse_scope)]
        scope: headwater_store::Scope,
    },
    /// End a pause
    #[command(after_help = "Examples:\n  headwater resume queue:default\n  headwater resume pipeline:orders")]
    Resume {
        /// pipeline:NAME, queue:NAME, connection:NAME or workspace
        #[arg(value_parser = fleet::parse_scope)]
        scope: headwater_store::Scope,
    },
    /// Add and look at connections
    #[command(subcommand)]
    Connections(ConnectionsCommand),
    /// Run one read-only SELECT across connections
    #[command(
        after_help = "Examples:\n  headwater sql \"SELECT count(*) FROM lake.orders\"\n  headwater sql \"SELECT * FROM shop.public.orders\" --format csv"
    )]
    Sql {
        /// The statement; tables are named connection.path
        query: String,
        /// Form of the result
        #[arg(long, value_enum, default_value_t = SqlFormat::Table)]
        format: SqlFormat,
        /// Write to a file instead of standard output
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Rows to print [default: 200 as a table, all otherwise]
        #[arg(long)]
        limit: Option<usize>,
        /// The same as --format json
        #[arg(long, conflicts_with = "format")]
        json: bool,
    },
    /// Print the JSON Schema of specs
    #[command(
        after_help = "Examples:\n  headwater schema > pipeline.schema.json\n  headwater schema --connector postgres"
    )]
    Schema {
        /// Print the settings of this connector instead
        #[arg(long)]
        connector: Option<String>,
    },
    /// Explain a diagnostic's code
    #[command(after_help = "Examples:\n  headwater explain unknown_column\n  headwater explain --list")]
    Explain {
        /// The code in brackets
        code: Option<String>,
        /// List all codes
        #[arg(long, conflicts_with = "code")]
        list: bool,
    },
    /// Print a completion script for a shell
    #[command(
        after_help = "Examples:\n  headwater completions bash > /etc/bash_completion.d/headwater\n  headwater completions zsh"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Look after the control plane
    #[command(subcommand)]
    Admin(AdminCommand),
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// HTTP: health, readiness, metrics.
    Server,
    /// Fires schedules, reaps and reconciles.
    Scheduler,
    /// Executes stages.
    Worker,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ServeArgs {
    /// Address of the server
    #[arg(long, env = "HEADWATER_BIND", value_name = "ADDRESS")]
    pub(crate) bind: Option<std::net::IpAddr>,
    /// Port of the server [default: 7700]
    #[arg(long, env = "HEADWATER_PORT")]
    pub(crate) port: Option<u16>,
    /// Stages that move data at a time [default: one for each core, as far as the memory goes]
    #[arg(long, env = "HEADWATER_SLOTS")]
    pub(crate) slots: Option<usize>,
    /// Queues to serve [default: default]
    #[arg(long, env = "HEADWATER_QUEUES", value_delimiter = ',')]
    pub(crate) queues: Vec<String>,
    /// Labels that this worker has: it alone takes stages that ask for them
    #[arg(long, env = "HEADWATER_LABELS", value_delimiter = ',')]
    pub(crate) labels: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SchedulesCommand {
    /// List schedules
    #[command(after_help = "Examples:\n  headwater schedules list\n  headwater schedules list --json")]
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show when a pipeline or spec file would run next
    #[command(
        after_help = "Examples:\n  headwater schedules preview orders\n  headwater schedules preview orders.yaml --from 2026-10-24 --count 3"
    )]
    Preview {
        /// Name of a pipeline, or a spec file
        target: String,
        /// How many fires
        #[arg(long, default_value_t = 10)]
        count: usize,
        /// From this date or instant on [default: now]
        #[arg(long, value_name = "TIME")]
        from: Option<Moment>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Stop a pipeline's schedule
    #[command(after_help = "Examples:\n  headwater schedules pause orders\n  headwater schedules resume orders")]
    Pause {
        /// Name of the pipeline
        pipeline: String,
    },
    /// Start a pipeline's schedule again
    #[command(after_help = "Examples:\n  headwater schedules resume orders\n  headwater schedules preview orders")]
    Resume {
        /// Name of the pipeline
        pipeline: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Bring the control plane's schema up to date
    #[command(
        after_help = "Examples:\n  headwater admin migrate\n  headwater admin migrate --database-url postgres://hw@db/headwater"
    )]
    Migrate {
        /// Make the schema in a database that holds other tables, too
        #[arg(long)]
        shared_database: bool,
    },
    /// Say what is there and what is wrong with it
    #[command(after_help = "Examples:\n  headwater admin doctor\n  headwater admin doctor --json")]
    Doctor {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Open psql on the control plane, or on another database of the embedded server
    #[command(
        after_help = "Examples:\n  headwater admin psql\n  headwater admin psql --database demo_source -- -c '\\dt'"
    )]
    Psql {
        /// Another database of the embedded server; made if it is not there
        #[arg(long)]
        database: Option<String>,
        /// Arguments for psql
        #[arg(last = true)]
        arguments: Vec<String>,
    },
}

/// Form of a query's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SqlFormat {
    /// For people.
    Table,
    /// With a header.
    Csv,
    /// One document with columns and rows.
    Json,
    /// A file; needs --output.
    Parquet,
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
