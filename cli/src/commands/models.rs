//! `headwater models`.

use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use chrono::{TimeDelta, Utc};
use clap::Subcommand;
use headwater_assistant::gateway::{KeyStatus, ModelStatus, Step};

use crate::context::Context;
use crate::failure::hinted;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List the models of headwater.toml
    #[command(after_help = "Examples:\n  headwater models list\n  headwater models list --json")]
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Ask a model for next to nothing, to see whether it answers
    #[command(after_help = "Examples:\n  headwater models check\n  headwater models check fast --json")]
    Check {
        /// Its name in headwater.toml [default: the assistant's]
        name: Option<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show what models were used for and what they cost
    #[command(after_help = "Examples:\n  headwater models usage\n  headwater models usage --days 7 --json")]
    Usage {
        /// Days to look back
        #[arg(long, default_value_t = 30)]
        days: u32,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Store the key of a model's provider, sealed; it is read from standard input
    #[command(after_help = "Examples:\n  headwater models add fast\n  headwater models add fast < key.txt")]
    Add {
        /// The model's name in headwater.toml
        name: String,
    },
    /// Remove the stored key of a model's provider
    #[command(after_help = "Examples:\n  headwater models remove fast\n  headwater models remove local")]
    Remove {
        /// The model's name in headwater.toml
        name: String,
    },
}

pub(super) async fn models(context: &Context, command: ModelsCommand) -> Result<ExitCode> {
    let (operations, actor) = (&context.operations, &context.actor);
    match command {
        ModelsCommand::List { json } => list(context, json).await?,
        ModelsCommand::Check { name, json } => check(context, name, json).await?,
        ModelsCommand::Usage { days, json } => usage(context, days, json).await?,
        ModelsCommand::Add { name } => {
            if !context.config.models.contains_key(&name) {
                return Err(no_model(context, &name));
            }
            operations.set_model_key(actor, &name, read_key(&name)?.trim()).await?;
            output::line(&format!("the key of model {name} is stored, sealed"));
        }
        ModelsCommand::Remove { name } => {
            operations.remove_model_key(actor, &name).await?;
            output::line(&format!("the key of model {name} is removed"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn no_model(context: &Context, name: &str) -> anyhow::Error {
    let known: Vec<&str> = context.config.models.keys().map(String::as_str).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    hinted(
        format!("there is no model '{}' in the settings; known: {known}", output::shown(name)),
        format!("add [models.{}] to headwater.toml (docs/models.md)", output::shown(name)),
    )
}

/// From the terminal without an echo, or from what is piped in.
fn read_key(name: &str) -> Result<String> {
    if std::io::stdin().is_terminal() {
        return rpassword::prompt_password(format!("key of model {name}: ")).context("the key can't be read");
    }
    let mut text = String::new();
    std::io::stdin().take(8_192).read_to_string(&mut text).context("the key can't be read")?;
    Ok(text)
}

async fn list(context: &Context, json: bool) -> Result<()> {
    let models = match context.gateway().await? {
        Some(gateway) => gateway.list(),
        None => Vec::new(),
    };
    if json {
        return output::json(&models);
    }
    if models.is_empty() {
        output::error_line("no model is configured: sentences are read by the offline grammar");
        output::error_line("  try: add a [models.NAME] section to headwater.toml (docs/models.md)");
        return Ok(());
    }
    output::table(&["model", "provider", "name there", "key", "fallbacks", "used"], models.iter().map(row));
    Ok(())
}

fn row(model: &ModelStatus) -> [String; 6] {
    let key = match &model.key {
        KeyStatus::None => "none".to_owned(),
        KeyStatus::Missing(variable) => format!("{variable} is not set"),
        KeyStatus::Set => "set".to_owned(),
        KeyStatus::Refused => "refused".to_owned(),
    };
    let used = if model.is_default { "by the assistant" } else { "" };
    [
        model.name.clone(),
        model.provider.name().to_owned(),
        output::shown(&model.model),
        key,
        model.fallbacks.join(", "),
        used.to_owned(),
    ]
}

async fn check(context: &Context, name: Option<String>, json: bool) -> Result<()> {
    let name = match name.or_else(|| context.config.assistant.model.clone()) {
        Some(name) if context.config.models.contains_key(&name) => name,
        Some(name) => return Err(no_model(context, &name)),
        None => {
            return Err(hinted(
                "no model is configured",
                "add a [models.NAME] section to headwater.toml (docs/models.md)",
            ));
        }
    };
    let checked = context.assistant().await?.check_model(&context.actor, &name).await?;
    if json {
        return output::json(&checked);
    }
    let cost = checked.cost.map_or_else(|| "unknown cost".to_owned(), |cost| cost.to_string());
    let how = match checked.step {
        Step::Strict => "documents by strict schema",
        Step::Tool => "documents by a tool call",
        Step::Object => "JSON objects without a schema",
        Step::Text => "plain text, from which documents are taken",
    };
    output::line(&format!("{name} answers: {} ms, {cost}, {how}", checked.latency_ms));
    Ok(())
}

async fn usage(context: &Context, days: u32, json: bool) -> Result<()> {
    let report = context.operations.model_usage(&context.actor, Utc::now() - TimeDelta::days(i64::from(days))).await?;
    if json {
        return output::json(&report);
    }
    let rows = report.usage.iter().map(|usage| {
        let unpriced = match usage.unpriced_calls {
            0 => String::new(),
            calls => format!(" and {calls} of unknown cost"),
        };
        [
            usage.day.to_string(),
            usage.person.clone(),
            usage.model.clone(),
            usage.calls.to_string(),
            usage.input_tokens.to_string(),
            usage.output_tokens.to_string(),
            format!("{}{unpriced}", dollars(usage.cost_nanos)),
        ]
    });
    output::table(&["day", "person", "model", "calls", "tokens in", "tokens out", "cost"], rows);
    Ok(())
}

/// Billionths of a dollar as dollars.
fn dollars(nanos: i64) -> String {
    format!("${}.{:06}", nanos / 1_000_000_000, (nanos % 1_000_000_000) / 1_000)
}
