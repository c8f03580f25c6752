//! Commands that need no control plane: schema, explain, completions.

use std::process::ExitCode;

use anyhow::Result;
use clap::CommandFactory;
use headwater_pipelines::diagnostic::{Code, nearest_hint};

use crate::failure::hinted;
use crate::output;

pub(super) fn schema(connector: Option<&str>) -> Result<ExitCode> {
    let schema = match connector {
        None => headwater_pipelines::schema::spec_schema(),
        Some(name) => headwater_connectors::registry().get(name)?.settings_schema(),
    };
    output::json(&schema)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn explain(code: Option<&str>, list: bool) -> Result<ExitCode> {
    if list {
        output::table(&["code", "meaning"], Code::ALL.iter().map(|code| [code.to_string(), code.title().to_owned()]));
        return Ok(ExitCode::SUCCESS);
    }
    let name = code.ok_or_else(|| hinted("which code?", "headwater explain --list"))?;
    let code = Code::parse(name).ok_or_else(|| {
        let hint = nearest_hint(name, Code::ALL.iter().map(|code| code.as_str())).unwrap_or_default();
        hinted(format!("there is no code '{name}'"), format!("{hint} (headwater explain --list)"))
    })?;
    output::line(&format!("{}: {}\n\n{}", code, code.title(), code.explanation()));
    Ok(ExitCode::SUCCESS)
}

pub(super) fn completions(shell: clap_complete::Shell) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::args::Args::command(), "headwater", &mut script);
    output::line(String::from_utf8_lossy(&script).trim_end());
    Ok(ExitCode::SUCCESS)
}
