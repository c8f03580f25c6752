//! `headwater explain`: what a diagnostic's code means.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use headwater_pipelines::diagnostic::{Code, nearest_hint};

use crate::failure::hinted;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Code of the diagnostic, as printed before its message
    code: Option<String>,
    /// List all codes
    #[arg(long, conflicts_with = "code")]
    list: bool,
}

pub(super) fn explain(args: &ExplainArgs) -> Result<ExitCode> {
    if args.list {
        output::table(&["code", "meaning"], Code::ALL.iter().map(|code| [code.to_string(), code.title().to_owned()]));
        return Ok(ExitCode::SUCCESS);
    }
    let name = args.code.as_deref().ok_or_else(|| hinted("no code is given", "headwater explain --list"))?;
    let code = Code::parse(name).ok_or_else(|| {
        let hint = nearest_hint(name, Code::ALL.iter().map(|code| code.as_str())).unwrap_or_default();
        hinted(format!("there is no code '{name}'"), format!("{hint} (headwater explain --list)"))
    })?;
    output::lines(&format!("{}: {}\n\n{}", code, code.title(), code.explanation()));
    Ok(ExitCode::SUCCESS)
}
