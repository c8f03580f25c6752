//! Cases.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use headwater_assistant::RefusalReason;
use headwater_pipelines::decode::decode;
use headwater_pipelines::spec::{Moment, Range, Rule, Values, WriteMode};
use headwater_pipelines::yaml;
use serde::Deserialize;

/// What a sentence is said to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CaseKind {
    Compile,
    Ask,
}

/// What has to come of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Expects {
    Draft,
    Answer,
    Question,
    Refusal,
    NotYet,
}

/// A case as its file has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) kind: CaseKind,
    #[serde(rename = "about")]
    _about: String,
    pub(super) wordings: Vec<Wording>,
    #[serde(default)]
    pub(super) connections: Vec<String>,
    #[serde(default)]
    pub(super) lake_tables: BTreeMap<String, String>,
    pub(super) expects: Expects,
    pub(super) refusal: Option<RefusalReason>,
    #[serde(default)]
    pub(super) not_yet: Vec<String>,
    /// Features that the draft has to have, and may have: a weaker one is wrong.
    #[serde(default)]
    pub(super) needs: Vec<String>,
    pub(super) question: Option<Asking>,
    pub(super) now: Option<DateTime<Utc>>,
    timezone: Option<String>,
    target: Option<String>,
    mode: Option<WriteMode>,
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default)]
    keys: Vec<String>,
    targets: Option<Vec<Part>>,
    #[serde(default)]
    ordered: bool,
    top: Option<Top>,
    #[serde(default)]
    approximate: Vec<String>,
    gold: Option<String>,
    gold_second: Option<String>,
    pub(super) interval: Option<Interval>,
    pub(super) schedule: Option<ScheduleCase>,
    #[serde(default)]
    pub(super) checks: Vec<RuleCase>,
    #[serde(default)]
    pub(super) stops_on: Vec<String>,
    #[serde(default)]
    pub(super) follow_ups: Vec<FollowUp>,
    #[serde(default)]
    pub(super) sources: Vec<String>,
}

/// One way to say it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wording {
    pub(super) text: String,
    pub(super) language: String,
    #[serde(default)]
    pub(super) simple: bool,
}

/// What has to be asked, and what the person answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asking {
    pub(super) about: String,
    pub(super) answer: String,
}

/// Rows of a target, or of an answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    pub(super) target: Option<String>,
    pub(super) mode: Option<WriteMode>,
    #[serde(default)]
    pub(super) columns: Vec<String>,
    #[serde(default)]
    pub(super) keys: Vec<String>,
    #[serde(default)]
    pub(super) ordered: bool,
    pub(super) top: Option<Top>,
    #[serde(default)]
    pub(super) approximate: Vec<String>,
    pub(super) gold: Option<String>,
    pub(super) gold_second: Option<String>,
}

/// The first rows of gold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Top {
    pub(super) n: usize,
    pub(super) by: Vec<String>,
}

/// The data interval of a run.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Interval {
    pub(super) from: Moment,
    pub(super) to: Moment,
}

/// The schedule that a draft has to have.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum ScheduleCase {
    /// `none`.
    Word(String),
    /// `cron` with its zone, or `every`.
    Times(headwater_pipelines::spec::Schedule),
}

/// A rule that a draft has to have.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleCase {
    not_null: Option<Vec<String>>,
    unique: Option<Vec<String>>,
    accepted_values: Option<Values>,
    range: Option<Range>,
    sql: Option<String>,
    #[serde(default)]
    pub(super) on_failure: headwater_pipelines::spec::OnFailure,
}

/// A later turn of a conversation.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FollowUp {
    /// By language.
    pub(super) text: BTreeMap<String, String>,
    columns: Vec<String>,
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    ordered: bool,
    top: Option<Top>,
    #[serde(default)]
    approximate: Vec<String>,
    gold: String,
}

impl FollowUp {
    /// Its result.
    pub(super) fn part(&self) -> Part {
        let Self { columns, keys, ordered, top, approximate, gold, .. } = self.clone();
        let gold = Some(gold);
        Part { target: None, mode: None, columns, keys, ordered, top, approximate, gold, gold_second: None }
    }
}

impl RuleCase {
    /// The rule as a spec has it.
    pub(super) fn rule(&self) -> Rule {
        let Self { not_null, unique, accepted_values, range, sql, .. } = self.clone();
        Rule { name: None, not_null, unique, accepted_values, range, sql }
    }
}

impl Case {
    /// The targets of a draft, or the one result of a question.
    pub(super) fn parts(&self) -> Vec<Part> {
        self.targets.clone().unwrap_or_else(|| {
            let Self { target, mode, columns, keys, ordered, top, approximate, gold, gold_second, .. } = self.clone();
            vec![Part { target, mode, columns, keys, ordered, top, approximate, gold, gold_second }]
        })
    }

    /// The workspace's zone.
    pub(super) fn zone(&self) -> Tz {
        self.timezone.as_deref().and_then(|zone| zone.parse().ok()).unwrap_or(Tz::UTC)
    }

    pub(super) fn uses_lake(&self) -> bool {
        self.connections.iter().any(|name| name == "lake")
    }

    /// What would make judging it meaningless.
    fn fault(&self) -> Option<String> {
        if let Some(zone) = self.timezone.as_deref().filter(|zone| zone.parse::<Tz>().is_err()) {
            return Some(format!("there is no time zone '{zone}'"));
        }
        if (self.expects == Expects::Question) != self.question.is_some() {
            return Some("a case that expects a question, and no other, has a question".to_owned());
        }
        if let Some(ScheduleCase::Word(word)) = &self.schedule
            && word != "none"
        {
            return Some(format!("the schedule is '{word}'; expected none, every, or cron and timezone"));
        }
        let needs_gold = matches!(self.expects, Expects::Draft | Expects::Answer | Expects::Question);
        let lacks = |part: &Part| part.gold.is_none() || part.columns.is_empty();
        if needs_gold && self.parts().iter().any(lacks) {
            return Some("gold or its columns are missing".to_owned());
        }
        None
    }
}

pub(super) fn read_case(file: &Path) -> Result<Case> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))?;
    let mut document = yaml::read(&text);
    if let Some(error) = document.errors.first() {
        bail!("{}:{}: {}", file.display(), yaml::position(&text, error.span.start).0, error.finding.message);
    }
    let Some(tree) = &mut document.root else { bail!("{} is empty", file.display()) };
    let decoded = decode::<Case>(tree, &[]);
    if let Some(found) = decoded.findings.first() {
        bail!("{}:{}: {}", file.display(), yaml::position(&text, found.span.start).0, found.finding.message);
    }
    let Some(case) = decoded.value else { bail!("{} is not a case", file.display()) };
    match case.fault() {
        Some(fault) => bail!("{}: {fault}", file.display()),
        None => Ok(case),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const CASE: &str = "kind: compile
about: x
wordings:
  - { text: \"load a\", language: en, simple: true }
  - { text: \"lade a\", language: de }
connections: [shop, lake]
expects: draft
target: lake.a
mode: overwrite
columns: [id]
gold: |
  SELECT id FROM a
schedule: { cron: \"0 6 * * *\", timezone: Europe/Berlin }
checks: [ { unique: [id] }, { sql: \"id > 0\", on_failure: warn } ]
interval: { from: 2026-03-22T23:00:00Z, to: 2026-03-29T22:00:00Z }
sources: ['public.\"A\"']
";

    fn read(text: &str) -> Result<Case> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        std::fs::write(&file, text).unwrap();
        read_case(&file)
    }

    #[test]
    fn a_case_is_read_with_everything_in_it() {
        let case = read(CASE).unwrap();
        assert_eq!((case.wordings.len(), case.checks.len(), case.parts().len()), (2, 2, 1));
        assert!(case.wordings[0].simple && !case.wordings[1].simple && case.uses_lake());
        assert!(matches!(&case.schedule, Some(ScheduleCase::Times(times)) if times.timezone.is_some()));
        assert_eq!(case.sources, ["public.\"A\""]);
    }

    #[test]
    fn a_field_that_nobody_knows_is_reported_with_its_line() {
        let error = read(&CASE.replace("mode: overwrite", "mood: overwrite")).unwrap_err().to_string();
        assert!(error.contains("a.yaml:9:") && error.contains("mood"), "{error}");
    }

    #[test]
    fn a_case_that_could_not_be_judged_is_refused() {
        for (old, new) in [
            ("expects: draft", "expects: question"),
            ("gold: |\n  SELECT id FROM a\n", ""),
            ("schedule: { cron: \"0 6 * * *\", timezone: Europe/Berlin }", "schedule: never"),
            ("kind: compile", "kind: compile\ntimezone: Europe/Nowhere"),
        ] {
            assert!(read(&CASE.replace(old, new)).is_err(), "{new}");
        }
    }
}
