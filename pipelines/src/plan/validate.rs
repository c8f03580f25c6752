//! Checks that need one task or block alone.

use std::collections::BTreeSet;

use super::tree::{Placed, Tree};
use crate::decode::Step;
use crate::diagnostic::{Code, Diagnostic, Finding};
use crate::document::Document;
use crate::kind::{Kind, Setting};
use crate::path::TaskPath;
use crate::schedule;
use crate::spec::{Param, ParamType, Schedule, Spec, Stream};
use crate::yaml::Value;

mod blocks;
mod deletes;
mod history;

/// Longest name; Postgres' own limit for identifiers.
const MAX_NAME: usize = 63;

/// Every finding of the spec that needs no names resolved.
pub(super) fn validate(
    document: &Document,
    spec: &Spec,
    tree: &Tree<'_>,
    connections: &BTreeSet<String>,
) -> Vec<Diagnostic> {
    let mut out = Findings { document, diagnostics: Vec::new() };
    let name = [Step::from("name")];
    if !document.lost().at(&name) {
        out.name(&name, "the pipeline", &spec.name);
    }
    for (name, param) in &spec.params {
        let alone = spec.schedule.as_ref().map(|_| "schedule").or(spec.stream.as_ref().map(|_| "stream"));
        out.parameter(name, param, alone);
    }
    if let Some(schedule) = &spec.schedule {
        out.schedule(schedule);
    }
    if let Some(stream) = &spec.stream {
        out.stream(spec, stream);
    }
    out.not_empty(&[Step::from("tasks")], "task names");
    for (path, placed) in &tree.tasks {
        if out.diagnostics.len() > super::MAX_FINDINGS {
            break;
        }
        out.task(path, placed, connections);
    }
    out.diagnostics
}

struct Findings<'a> {
    document: &'a Document,
    diagnostics: Vec<Diagnostic>,
}

impl Findings<'_> {
    fn add(&mut self, steps: &[Step], finding: Finding) {
        // Finding the place is what takes time in a file of mistakes.
        if self.diagnostics.len() <= super::MAX_FINDINGS {
            self.diagnostics.push(self.document.at(steps, finding));
        }
    }

    fn add_at_key(&mut self, steps: &[Step], finding: Finding) {
        if self.diagnostics.len() <= super::MAX_FINDINGS {
            self.diagnostics.push(self.document.at_key(steps, finding));
        }
    }

    fn not_yet(&mut self, steps: &[Step], what: &str) {
        self.add_at_key(steps, Finding::error(Code::NotYet, format!("{what} can't be executed yet")));
    }

    fn name(&mut self, steps: &[Step], what: &str, name: &str) {
        let letters = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !letters || name.len() > MAX_NAME || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let finding = Finding::error(Code::BadName, format!("{what} can't be named '{name}'"));
            let finding = finding.hint("names begin with a letter and hold letters, digits and underscores");
            match steps {
                // The root's name is a value, all others are keys.
                [_] => self.add(steps, finding),
                _ => self.add_at_key(steps, finding),
            }
        }
    }

    /// Reports a list or mapping that is written and empty. What could not be read is not empty.
    fn not_empty(&mut self, steps: &[Step], expected: &str) -> bool {
        let is_empty = match self.document.node(steps).map(|node| &node.value) {
            Some(Value::Sequence(items)) => items.is_empty(),
            Some(Value::Mapping(entries)) => entries.is_empty(),
            _ => false,
        };
        let is_empty = is_empty && !self.document.lost().within(steps);
        if is_empty && let Some(Step::Key(field)) = steps.last() {
            let finding = Finding::error(Code::BadValue, format!("`{field}` is empty: expected {expected}"));
            self.add(steps, finding);
        }
        !is_empty
    }

    /// `alone` is what starts runs without giving them values.
    fn parameter(&mut self, name: &str, param: &Param, alone: Option<&str>) {
        let steps = [Step::from("params"), Step::from(name)];
        self.name(&steps, "a parameter", name);
        if super::CONTEXT_PARAMETERS.contains(&name) {
            let finding =
                Finding::error(Code::BadParameter, format!("'{name}' is the name of a value of the run itself"));
            self.add_at_key(&steps, finding.hint("rename the parameter"));
        }
        let default = below(&steps, "default");
        match &param.default {
            Some(value) => {
                if let Err(reason) = check_value(param.kind, value) {
                    self.add(&default, Finding::error(Code::BadParameter, format!("'{name}': {reason}")));
                }
            }
            None => {
                if let Some(alone) = alone.filter(|_| !self.document.lost().within(&steps)) {
                    let message = format!("parameter '{name}' has no default, and the {alone} gives it no value");
                    let finding = Finding::error(Code::BadParameter, message);
                    self.add_at_key(&steps, finding.hint(format!("add a `default`, or remove the {alone}")));
                }
            }
        }
    }

    fn schedule(&mut self, block: &Schedule) {
        let steps = [Step::from("schedule")];
        let lost = self.document.lost();
        for (field, finding) in schedule::problems(block) {
            // How fields fit together can't be judged without those that could not be read.
            let alone = matches!(field, "cron" | "every") && self.document.node(&below(&steps, field)).is_some();
            let judged = match field {
                "jitter" => !["cron", "every", "timezone"].iter().any(|with| lost.within(&below(&steps, with))),
                _ => !lost.within(&steps),
            };
            if alone || judged {
                self.add(&below(&steps, field), finding);
            }
        }
    }

    fn stream(&mut self, spec: &Spec, block: &Stream) {
        let steps = [Step::from("stream")];
        for (field, finding) in super::stream::problems(spec, block) {
            match field {
                "" => self.add_at_key(&steps, finding),
                field => self.add(&below(&steps, field), finding),
            }
        }
    }

    fn task(&mut self, path: &TaskPath, placed: &Placed<'_>, connections: &BTreeSet<String>) {
        let Placed { task, steps, .. } = placed;
        let name = match steps.last() {
            Some(Step::Key(name)) => name.as_str(),
            _ => path.name(),
        };
        self.name(steps, "a task", name);
        if connections.contains(name) {
            let finding = Finding::error(Code::NameTaken, format!("'{name}' is the name of a connection"));
            self.add_at_key(steps, finding.hint("rename the task"));
        }
        self.lanes(task.queue.as_deref(), &task.labels, steps);
        let kind = match Kind::of(task).as_slice() {
            [kind] => *kind,
            // Its kind is probably what could not be read.
            [] if self.document.lost().within(steps) => return,
            kinds => return self.kinds(path, steps, kinds),
        };
        self.settings(path, placed, kind);
        if !kind.executes() {
            self.not_yet(&below(steps, kind.as_str()), &format!("{kind} tasks"));
        }
        self.block(placed, kind);
    }

    fn kinds(&mut self, path: &TaskPath, steps: &[Step], kinds: &[Kind]) {
        let is_written = |kind: &Kind| self.document.node(&below(steps, kind.as_str())).is_some();
        if kinds.is_empty()
            && let Some(kind) = Kind::ALL.into_iter().find(is_written)
        {
            let expected = match kind {
                Kind::Group => "task names",
                Kind::Transform => "a SELECT",
                Kind::Wait => "a duration",
                _ => "its fields",
            };
            let finding = Finding::error(Code::BadValue, format!("`{kind}` is empty: expected {expected}"));
            return self.add_at_key(&below(steps, kind.as_str()), finding);
        }
        let message = if kinds.is_empty() {
            format!("task '{path}' has no kind")
        } else {
            let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
            format!("task '{path}' has {} kinds: {}", kinds.len(), names.join(", "))
        };
        let hint = format!("a task has exactly one of {}", Kind::names());
        self.add_at_key(steps, Finding::error(Code::TaskKind, message).hint(hint));
    }

    fn settings(&mut self, path: &TaskPath, placed: &Placed<'_>, kind: Kind) {
        let task = placed.task;
        for setting in Setting::ALL.into_iter().filter(|setting| setting.is_set(task)) {
            let steps = placed.inside(&[setting.as_str()]);
            if !kind.takes(setting) {
                let message = format!("'{path}' is a dataset task and does not accept '{setting}'");
                let hint = format!("put '{setting}' on the load that reads it, or on a group around both");
                self.add_at_key(&steps, Finding::error(Code::NotAllowed, message).hint(hint));
            } else if !setting.executes() {
                self.not_yet(&steps, &format!("'{setting}'"));
            }
        }
        if task.retry.as_ref().is_some_and(|retry| retry.attempts == 0) {
            let message = "'attempts' counts the first one, so it is at least 1";
            self.add(&placed.inside(&["retry", "attempts"]), Finding::error(Code::BadValue, message));
        }
        if task.timeout.is_some_and(|timeout| timeout.is_zero()) {
            let message = "with a timeout of 0s every attempt fails; expected at least 1ms";
            let finding = Finding::error(Code::BadValue, message).hint("remove `timeout` to set no limit");
            self.add(&placed.inside(&["timeout"]), finding);
        }
    }

    /// Queues and labels: several are written with commas elsewhere, so their names hold none.
    fn lanes(&mut self, queue: Option<&str>, labels: &[String], steps: &[Step]) {
        let fits = |name: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(allowed)
        };
        let hint = |what: &str| format!("{what} hold letters, digits, '-', '_' and '.'");
        if let Some(queue) = queue.filter(|queue| !fits(queue)) {
            let finding = Finding::error(Code::BadName, format!("a queue can't be named '{queue}'"));
            self.add(&below(steps, "queue"), finding.hint(hint("queues")));
        }
        for (position, label) in labels.iter().enumerate().filter(|(_, label)| !fits(label)) {
            let finding = Finding::error(Code::BadName, format!("a label can't be named '{label}'"));
            let steps: Vec<Step> = below(steps, "labels").into_iter().chain([Step::from(position)]).collect();
            self.add(&steps, finding.hint(hint("labels")));
        }
    }
}

fn below(steps: &[Step], field: &str) -> Vec<Step> {
    steps.iter().cloned().chain([Step::from(field)]).collect()
}

/// Whether a parameter's value fits its type; the error says what was expected.
pub fn check_value(kind: ParamType, value: &serde_json::Value) -> Result<(), String> {
    let text = value.as_str();
    let (fits, expected) = match kind {
        ParamType::String => (text.is_some(), "text"),
        ParamType::Integer => (value.as_i64().is_some(), "a whole number of 64 bits"),
        ParamType::Number => (value.as_f64().is_some(), "a number"),
        ParamType::Boolean => (value.is_boolean(), "true or false"),
        ParamType::Date => {
            (text.is_some_and(|text| text.parse::<chrono::NaiveDate>().is_ok()), "a date such as 2026-01-31")
        }
        ParamType::Timestamp => (
            text.is_some_and(|text| chrono::DateTime::parse_from_rfc3339(text).is_ok()),
            "a time such as 2026-01-31T06:00:00Z",
        ),
    };
    if fits { Ok(()) } else { Err(format!("expected {expected}, found {value}")) }
}
