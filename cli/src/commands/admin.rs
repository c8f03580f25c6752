//! `headwater admin`.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use headwater_operations::{DoctorReport, Level, OperationError, examine};
use headwater_store::Beside;
use headwater_store::embedded::upgrade;

use crate::config::Config;
use crate::context::{Context, Opening};
use crate::failure::hinted;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Migrate the control plane's schema
    #[command(
        after_help = "Examples:\n  headwater admin migrate\n  headwater admin migrate --database-url postgres://hw@db/headwater"
    )]
    Migrate {
        /// Create the schema even in a database that contains other tables
        #[arg(long)]
        shared_database: bool,
    },
    /// Check the control plane and report problems
    #[command(after_help = "Examples:\n  headwater admin doctor\n  headwater admin doctor --json")]
    Doctor {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Move the embedded Postgres to a newer major version; the old cluster is kept
    #[command(after_help = "Examples:\n  headwater admin upgrade-db\n  headwater admin upgrade-db --to 17")]
    UpgradeDb {
        /// The major version; the newest installed one unless given
        #[arg(long, value_name = "MAJOR")]
        to: Option<u32>,
    },
    /// Open psql on the control plane, or on another database of the embedded server
    #[command(
        after_help = "Examples:\n  headwater admin psql\n  headwater admin psql --database demo_source -- -c '\\dt'"
    )]
    Psql {
        /// Another database of the embedded server; created if it does not exist
        #[arg(long)]
        database: Option<String>,
        /// Arguments of psql
        #[arg(last = true)]
        arguments: Vec<String>,
    },
}

pub(super) async fn admin(config: Config, command: AdminCommand) -> Result<ExitCode> {
    match command {
        AdminCommand::Migrate { shared_database } => {
            let beside = if shared_database { Beside::Others } else { Beside::Nothing };
            Context::open(config, Opening::Migrate(beside)).await?.close().await?;
            output::line("the control plane's schema is up to date");
            Ok(ExitCode::SUCCESS)
        }
        AdminCommand::Doctor { json } => doctor(config, json).await,
        AdminCommand::UpgradeDb { to } => upgrade_db(config, to).await,
        AdminCommand::Psql { database, arguments } => {
            let context = Context::open(config, Opening::Use).await?;
            let done = psql(&context, database.as_deref(), &arguments).await;
            context.close().await?;
            done
        }
    }
}

async fn upgrade_db(config: Config, to: Option<u32>) -> Result<ExitCode> {
    let config = config.with_control_plane().await?;
    if config.database_url.is_some() {
        return Err(hinted(
            "the control plane is on a Postgres server of its own",
            "upgrade that server; this command is for the embedded Postgres of a data directory",
        ));
    }
    match upgrade(&config.data_dir, config.pg_user.as_deref(), to).await.map_err(OperationError::from)? {
        Some(done) => {
            output::line(&format!("the embedded Postgres moved from version {} to {}", done.from, done.to));
            output::line(&format!(
                "the old cluster is kept in {}; delete it once everything works",
                done.kept.display()
            ));
        }
        None => output::line("the embedded Postgres has that version already"),
    }
    Ok(ExitCode::SUCCESS)
}

async fn doctor(config: Config, json: bool) -> Result<ExitCode> {
    let config = config.with_control_plane().await?;
    let report = if config.database_url.is_some() {
        let context = Context::open(config, Opening::Use).await.context("the control plane can't be used")?;
        let report = context.operations.doctor(&context.actor).await;
        context.close().await?;
        report?
    } else {
        examine(&config.data_dir, config.pg_user.as_deref()).await?
    };
    if json {
        output::json(&report)?;
    } else {
        show(&report);
    }
    Ok(if report.healthy { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn show(report: &DoctorReport) {
    if let Some(workers) = report.workers {
        output::line(&format!("ok    the control plane answers; {} registered", output::plural(workers, "worker")));
    }
    report.report.iter().for_each(|report| output::line(&format!("data directory {}", report.data_dir.display())));
    for finding in report.findings() {
        let level = match finding.level {
            Level::Ok => "ok   ",
            Level::Warn => "warn ",
            Level::Error => "error",
        };
        output::line(&format!("{level} {}", finding.what));
        finding.hint.iter().for_each(|hint| output::line(&format!("      hint: {hint}")));
    }
}

async fn psql(context: &Context, database: Option<&str>, arguments: &[String]) -> Result<ExitCode> {
    let url = match (context.embedded(), database) {
        (Some(embedded), Some(database)) => {
            embedded.ensure_database(database).await.map_err(OperationError::from)?;
            embedded.url_of(database)
        }
        (Some(embedded), None) => embedded.url(),
        (None, Some(_)) => {
            return Err(hinted("--database names a database of the embedded server", "leave out --database-url"));
        }
        (None, None) => context.config.database_url.clone().unwrap_or_default(),
    };
    let (url, password) = without_password(&url);
    let status = tokio::process::Command::new("psql")
        .arg(url)
        .args(arguments)
        // The control plane's own schema first; other databases have none of that name.
        .env("PGOPTIONS", "-c search_path=headwater,public")
        .envs(password.map(|password| ("PGPASSWORD", password)))
        .kill_on_drop(true)
        .status()
        .await
        .context("psql could not be started; is the Postgres client installed?")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::from(1), ExitCode::from))
}

/// The password travels in the environment: an argument could be read in the process list.
fn without_password(text: &str) -> (String, Option<String>) {
    let Ok(mut url) = url::Url::parse(text) else { return (text.to_owned(), None) };
    let password =
        url.password().map(|password| percent_encoding::percent_decode_str(password).decode_utf8_lossy().into_owned());
    if password.is_some() && url.set_password(None).is_err() {
        return (text.to_owned(), None);
    }
    (url.into(), password)
}
