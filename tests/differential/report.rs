//! The files of the corpus, and what a comparison found.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use headwater_pipelines::sql;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/differential")
}

pub(crate) fn text(name: &str) -> String {
    let path = corpus().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn files(folder: &str) -> Vec<String> {
    let found = std::fs::read_dir(corpus().join(folder)).unwrap();
    let mut names: Vec<String> = found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let only = std::env::var("DIFFERENTIAL").unwrap_or_default();
    names.retain(|name| only.is_empty() || only.split(',').any(|only| name.starts_with(only)));
    names.sort();
    names
}

/// What is written down as a difference: each of these lines must differ.
pub(crate) fn differences() -> BTreeSet<String> {
    let content = text("differences.sql");
    content.lines().filter(|line| !line.starts_with("--") && !line.trim().is_empty()).map(str::to_owned).collect()
}

/// Why the engine gave no rows.
pub(crate) enum Failure {
    Plan(String),
    Run(String),
}

pub(crate) fn told(findings: &[sql::SqlFinding]) -> String {
    findings.iter().map(|finding| finding.finding.message.clone()).collect::<Vec<_>>().join("; ")
}

/// A number without zeros that say nothing.
pub(crate) fn digits(text: &str) -> String {
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// What a file's lines came to.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) same: usize,
    pub(crate) wrong: Vec<String>,
    pub(crate) lax: Vec<String>,
    pub(crate) refused: Vec<String>,
    pub(crate) limits: Vec<String>,
    pub(crate) types: Vec<String>,
}

impl Report {
    pub(crate) fn add(&mut self, other: Self) {
        self.same += other.same;
        self.wrong.extend(other.wrong);
        self.lax.extend(other.lax);
        self.refused.extend(other.refused);
        self.limits.extend(other.limits);
        self.types.extend(other.types);
    }
}

/// Fails with all that differs, or if more is refused than before: a number that only falls.
pub(crate) fn conclude(all: &BTreeMap<String, Report>, variable: &str, most_refused: usize) {
    let mut told = String::new();
    for (name, report) in all {
        let kinds = [
            ("WRONG", &report.wrong),
            ("LAX", &report.lax),
            ("TYPE", &report.types),
            ("LIMIT", &report.limits),
            ("REFUSED", &report.refused),
        ];
        for (what, lines) in kinds {
            lines.iter().for_each(|line| {
                let _ = writeln!(told, "{name} {what} {line}");
            });
        }
    }
    for (name, report) in all {
        let _ = writeln!(
            told,
            "{name}: {} same, {} wrong, {} lax, {} of another type, {} beyond a limit, {} refused",
            report.same,
            report.wrong.len(),
            report.lax.len(),
            report.types.len(),
            report.limits.len(),
            report.refused.len()
        );
    }
    if let Ok(path) = std::env::var(variable) {
        std::fs::write(path, &told).unwrap();
    }
    let differs = |report: &Report| !report.wrong.is_empty() || !report.lax.is_empty() || !report.types.is_empty();
    let failures: Vec<&str> =
        told.lines().filter(|line| [" WRONG ", " LAX ", " TYPE "].iter().any(|what| line.contains(what))).collect();
    assert!(!all.values().any(differs), "{}", failures.join("\n"));
    let refused: usize = all.values().map(|report| report.refused.len() + report.limits.len()).sum();
    assert!(refused <= most_refused, "{refused} are refused, {most_refused} may be\n{told}");
}
