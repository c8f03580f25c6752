//! `headwater new`: a commented spec to start from, plannable as it is.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::context::Context;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// Tables to copy: connection.path, with * as a wildcard
    #[arg(long, value_name = "TABLES")]
    from: String,
    /// Connection to copy into
    #[arg(long, value_name = "CONNECTION")]
    into: String,
    /// Name of the pipeline
    #[arg(long)]
    name: Option<String>,
}

pub(super) async fn new(context: &Context, args: NewArgs) -> Result<ExitCode> {
    let spec = context.operations.scaffold(&context.actor, &args.from, &args.into, args.name).await?;
    output::document(spec.trim_end());
    Ok(ExitCode::SUCCESS)
}
