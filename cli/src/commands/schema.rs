//! `headwater schema`: the JSON Schema of specs, or of a connector's settings.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::output;

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Print the settings of this connector instead
    #[arg(long)]
    connector: Option<String>,
}

pub(super) fn schema(args: &SchemaArgs) -> Result<ExitCode> {
    let schema = match &args.connector {
        None => headwater_operations::spec_schema(),
        Some(name) => headwater_operations::describe_connector(&headwater_connectors::registry(), name)?,
    };
    output::json(&schema)?;
    Ok(ExitCode::SUCCESS)
}
