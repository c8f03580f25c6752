//! `headwater schema`: the JSON Schema of specs, of a connector's settings, or of what a model fills in.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::output;

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Print the settings of this connector instead
    #[arg(long)]
    connector: Option<String>,
    /// Print what a model fills in instead: a typed plan, in the subset that strict modes take
    #[arg(long, conflicts_with = "connector")]
    model: bool,
}

pub(super) fn schema(args: &SchemaArgs) -> Result<ExitCode> {
    let schema = match &args.connector {
        _ if args.model => headwater_assistant::model_schema(),
        None => headwater_operations::spec_schema(),
        Some(name) => headwater_operations::describe_connector(&headwater_connectors::registry(), name)?,
    };
    output::json(&schema)?;
    Ok(ExitCode::SUCCESS)
}
