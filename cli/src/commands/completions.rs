//! `headwater completions`: a completion script for a shell.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, CommandFactory};

use crate::output;

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Shell for which to print the script
    shell: clap_complete::Shell,
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::args::Args::command(), "headwater", &mut script);
    output::document(String::from_utf8_lossy(&script).trim_end());
    Ok(ExitCode::SUCCESS)
}
