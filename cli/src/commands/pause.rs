//! `headwater pause` and `headwater resume`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use headwater_operations::{OperationError, Scope};

use crate::context::Context;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// pipeline:NAME, queue:NAME, connection:NAME or workspace
    #[arg(value_parser = parse_scope)]
    scope: Scope,
}

pub(super) async fn pause(context: &Context, args: &PauseArgs) -> Result<ExitCode> {
    context.operations.pause(&context.actor, &args.scope).await?;
    output::line(&format!("{} is paused: running stages continue, nothing new starts", args.scope));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn resume(context: &Context, args: &PauseArgs) -> Result<ExitCode> {
    context.operations.resume(&context.actor, &args.scope).await?;
    output::line(&format!("{} is resumed", args.scope));
    Ok(ExitCode::SUCCESS)
}

/// Reads a scope; the error shows how one is written.
pub(super) fn parse_scope(text: &str) -> Result<Scope, String> {
    text.parse().map_err(|error| {
        let error = OperationError::from(error);
        match error.hint {
            Some(hint) => format!("{}: {hint}", error.message),
            None => error.message,
        }
    })
}
