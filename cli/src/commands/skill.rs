//! `headwater skill`: what an agent has to know to write specs, as a skill file.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::CommandFactory as _;
use headwater_pipelines::kind::{Kind, Role};
use serde_json::Value;

use crate::args::Args;
use crate::output;

/// The text, with places for what is generated.
const TEXT: &str = include_str!("skill.md");

/// A spec that a test runs.
const EXAMPLE: &str = include_str!("../../../pipelines/examples/revenue.yaml");

/// Specs of loads by keys, which a test plans.
const INCREMENTAL: &str = include_str!("skill_incremental.yaml");
const STREAM: &str = include_str!("skill_stream.yaml");

pub(super) fn skill() -> Result<ExitCode> {
    output::document(text().trim_end());
    Ok(ExitCode::SUCCESS)
}

fn text() -> String {
    let schema = headwater_operations::spec_schema();
    let executing = headwater_assistant::executing_schema();
    let kinds = |role: Role| {
        let kinds = Kind::ALL.into_iter().filter(|kind| kind.role() == role && kind.executes());
        kinds.map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(", ")
    };
    let modes = executing["$defs"]["WriteMode"]["oneOf"].as_array().into_iter().flatten();
    let modes: Vec<String> = modes.filter_map(|mode| Some(format!("`{}`", mode["const"].as_str()?))).collect();
    TEXT.replace("{{datasets}}", &kinds(Role::Dataset))
        .replace("{{actions}}", &kinds(Role::Action))
        .replace("{{modes}}", &modes.join(", "))
        .replace("{{fields}}", &fields(&schema))
        .replace("{{example}}", EXAMPLE)
        .replace("{{incremental}}", INCREMENTAL)
        .replace("{{stream}}", STREAM)
        .replace("{{commands}}", &commands())
}

/// The fields of the blocks of a spec, each with what its documentation says.
fn fields(schema: &Value) -> String {
    let mut out = String::new();
    let mut block = |title: &str, of: &Value| {
        let _ = writeln!(out, "### {title}\n");
        for (name, field) in of["properties"].as_object().into_iter().flatten() {
            let text = field["description"].as_str().unwrap_or_default().replace('\n', " ");
            let _ = writeln!(out, "- `{name}`: {text}");
        }
        out.push('\n');
    };
    block("Pipeline", schema);
    for (title, name) in [
        ("Task", "Task"),
        ("extract", "ExtractTask"),
        ("check", "CheckTask"),
        ("A rule of a check", "Rule"),
        ("load", "LoadTask"),
        ("A scan of keys", "KeyScan"),
        ("schedule", "Schedule"),
        ("stream", "Stream"),
        ("retry", "Retry"),
        ("A parameter", "Param"),
    ] {
        block(title, &schema["$defs"][name]);
    }
    out.trim_end().to_owned()
}

fn commands() -> String {
    let command = Args::command();
    let line = |command: &clap::Command| {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let inner: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        let inner = if inner.is_empty() { String::new() } else { format!(" {}", inner.join("|")) };
        format!("- `headwater {}{inner}`: {about}", command.get_name())
    };
    command.get_subcommands().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use headwater_pipelines::document::Document;
    use headwater_pipelines::plan::plan;

    use super::*;

    #[test]
    fn every_place_of_the_text_is_filled_and_every_field_is_there() {
        let text = text();
        assert!(!text.contains("{{"), "{text}");
        for name in [
            "`extract`",
            "`not_null`",
            "`partition_by`",
            "`cron`",
            "`insert_new`",
            "`lookback`",
            "`rows`",
            "headwater plan",
        ] {
            assert!(text.contains(name), "{name}");
        }
    }

    #[test]
    fn every_example_plans_without_a_finding() {
        let connections = ["kafka", "lake", "reports", "shop", "tpch"].map(str::to_owned).into();
        for example in [EXAMPLE, INCREMENTAL, STREAM] {
            let document = Document::read("example.yaml", example);
            let planned = plan(&document, &connections);
            let found: Vec<_> = document.diagnostics.iter().chain(&planned.diagnostics).collect();
            assert!(found.is_empty(), "{found:#?}");
        }
    }
}
