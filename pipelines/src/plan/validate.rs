//! What can be judged on one task or block alone.

use std::collections::BTreeSet;

use super::tree::{Placed, Tree, last};
use crate::decode::Step;
use crate::diagnostic::{Code, Diagnostic, Finding};
use crate::document::Document;
use crate::schedule;
use crate::spec::{
    ColumnOverride, Columns, ExtractTask, LoadTask, OnFailure, Param, ParamType, Rule, Schedule, Spec, Task, WriteMode,
};

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
    out.name(&[Step::from("name")], "the pipeline", &spec.name);
    for (name, param) in &spec.params {
        out.parameter(name, param);
    }
    if let Some(schedule) = &spec.schedule {
        out.schedule(schedule);
    }
    if spec.stream.is_some() {
        out.not_yet(&[Step::from("stream")], "streams");
    }
    if spec.tasks.is_empty() {
        let finding = Finding::error(Code::MissingField, "the pipeline has no tasks");
        out.add(&[Step::from("tasks")], finding);
    }
    for (path, placed) in &tree.tasks {
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
        self.diagnostics.push(self.document.at(steps, finding));
    }

    fn add_at_key(&mut self, steps: &[Step], finding: Finding) {
        self.diagnostics.push(self.document.at_key(steps, finding));
    }

    fn not_yet(&mut self, steps: &[Step], what: &str) {
        self.add_at_key(steps, Finding::error(Code::NotYet, format!("{what} can't be executed yet")));
    }

    fn name(&mut self, steps: &[Step], what: &str, name: &str) {
        let letters = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !letters || name.len() > MAX_NAME || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let finding = Finding::error(Code::BadName, format!("{what} can't be named '{name}'"));
            self.add_at_key(steps, finding.hint("names begin with a letter and hold letters, digits and underscores"));
        }
    }

    fn parameter(&mut self, name: &str, param: &Param) {
        let steps = [Step::from("params"), Step::from(name)];
        self.name(&steps, "a parameter", name);
        if super::CONTEXT_PARAMETERS.contains(&name) {
            let finding = Finding::error(Code::BadParameter, format!("'{name}' is taken by the run's own context"));
            self.add_at_key(&steps, finding);
        }
        if let Some(default) = &param.default
            && let Err(reason) = check_value(param.kind, default)
        {
            let [first, second] = steps;
            self.add(
                &[first, second, Step::from("default")],
                Finding::error(Code::BadParameter, format!("'{name}': {reason}")),
            );
        }
    }

    fn schedule(&mut self, block: &Schedule) {
        for (field, finding) in schedule::problems(block) {
            self.add(&[Step::from("schedule"), Step::from(field)], finding);
        }
    }

    fn task(&mut self, path: &str, placed: &Placed<'_>, connections: &BTreeSet<String>) {
        let Placed { task, steps, .. } = placed;
        self.name(steps, "a task", last(path));
        if connections.contains(last(path)) {
            let finding = Finding::error(Code::NameTaken, format!("'{}' is the name of a connection", last(path)));
            self.add_at_key(steps, finding.hint("rename the task"));
        }
        self.labels(&task.labels, steps);
        let kinds = kinds(task);
        if kinds.len() != 1 {
            let message = match kinds.as_slice() {
                [] => format!("task '{path}' has no kind"),
                several => format!("task '{path}' has {} kinds: {}", several.len(), several.join(", ")),
            };
            let hint = "a task has exactly one of extract, transform, check, load, pipeline, http, command, approve, notify, wait, group";
            self.add_at_key(steps, Finding::error(Code::TaskKind, message).hint(hint));
            return;
        }
        self.fields(path, placed, kinds[0]);
        let inside = |field: &str| -> Vec<Step> { steps.iter().cloned().chain([Step::from(field)]).collect() };
        if matches!(kinds[0], "pipeline" | "http" | "command" | "approve" | "notify") {
            self.not_yet(&inside(kinds[0]), &format!("{} tasks", kinds[0]));
        }
        if let Some(extract) = &task.extract {
            self.extract(extract, &inside("extract"));
        }
        if let Some(load) = &task.load {
            self.load(load, &inside("load"));
        }
        if let Some(check) = &task.check {
            let steps = inside("check");
            if check.on_failure == OnFailure::Quarantine {
                self.not_yet(&below(&steps, "on_failure"), "quarantine");
            }
            for (index, rule) in check.rules.iter().enumerate() {
                self.rule(
                    rule,
                    &steps.iter().cloned().chain([Step::from("rules"), Step::from(index)]).collect::<Vec<_>>(),
                );
            }
        }
    }

    /// Dataset tasks are lazy: a stage retries, not a task in it.
    fn fields(&mut self, path: &str, placed: &Placed<'_>, kind: &str) {
        let task = placed.task;
        let set = [
            ("when", task.when.is_some()),
            ("for_each", task.for_each.is_some()),
            ("retry", task.retry.is_some()),
            ("timeout", task.timeout.is_some()),
            ("priority", task.priority.is_some()),
        ];
        let is_dataset = matches!(kind, "extract" | "transform" | "check");
        for (field, _) in set.into_iter().filter(|(_, set)| *set) {
            let steps: Vec<Step> = placed.steps.iter().cloned().chain([Step::from(field)]).collect();
            if is_dataset {
                let finding =
                    Finding::error(Code::NotAllowed, format!("'{path}' is a dataset task and takes no '{field}'"));
                self.add_at_key(
                    &steps,
                    finding.hint(format!("put '{field}' on the load that reads it, or on a group around both")),
                );
            } else if matches!(field, "when" | "for_each") {
                self.not_yet(&steps, &format!("'{field}'"));
            }
        }
        if let Some(retry) = &task.retry
            && retry.attempts == 0
        {
            let steps: Vec<Step> =
                placed.steps.iter().cloned().chain([Step::from("retry"), Step::from("attempts")]).collect();
            self.add(&steps, Finding::error(Code::WrongType, "'attempts' counts the first one, so it is at least 1"));
        }
    }

    fn extract(&mut self, extract: &ExtractTask, steps: &[Step]) {
        let named =
            [extract.from.is_some(), extract.tables.is_some(), extract.connection.is_some() || extract.query.is_some()];
        let query_whole = extract.connection.is_some() == extract.query.is_some();
        if named.iter().filter(|named| **named).count() != 1 || !query_whole {
            let finding = Finding::error(Code::BadExtract, "an extract names one source");
            self.add_at_key(steps, finding.hint("give `from`, or `connection` and `query` together"));
        }
        let later = [
            ("tables", extract.tables.is_some()),
            ("exclude", !extract.exclude.is_empty()),
            ("cursor", extract.cursor.is_some()),
            ("lookback", extract.lookback.is_some()),
            ("cursor_nulls", extract.cursor_nulls.is_some()),
            ("on_value", extract.on_value.is_some()),
        ];
        for (field, _) in later.into_iter().filter(|(_, set)| *set) {
            self.not_yet(&below(steps, field), &format!("'{field}' of an extract"));
        }
        if let Some(Columns::Override(columns)) = &extract.columns {
            let masked =
                columns.iter().filter(|(_, rule)| matches!(rule, ColumnOverride::Full(rule) if rule.mask.is_some()));
            for (name, _) in masked {
                let steps: Vec<Step> = steps
                    .iter()
                    .cloned()
                    .chain([Step::from("columns"), Step::from(name.as_str()), Step::from("mask")])
                    .collect();
                self.not_yet(&steps, "masks");
            }
        }
    }

    fn load(&mut self, load: &LoadTask, steps: &[Step]) {
        let keyed = matches!(load.mode, WriteMode::Upsert | WriteMode::DeleteInsert | WriteMode::Scd2);
        if keyed {
            self.not_yet(&below(steps, "mode"), &format!("mode {}", load.mode));
            if load.keys.is_empty() {
                let finding = Finding::error(Code::BadLoad, format!("mode {} needs `keys`", load.mode));
                self.add_at_key(steps, finding.hint("name the columns that identify a row, e.g. keys: [id]"));
            }
        } else if !load.keys.is_empty() {
            let finding = Finding::error(Code::BadLoad, format!("mode {} takes no `keys`", load.mode));
            self.add_at_key(&below(steps, "keys"), finding.hint("remove them, or choose mode upsert"));
        }
        let later = [
            ("track", !load.track.is_empty()),
            ("order_by", load.order_by.is_some()),
            ("late", load.late.is_some()),
            ("max_delete", load.max_delete.is_some()),
            ("verify", load.verify.is_some()),
        ];
        for (field, _) in later.into_iter().filter(|(_, set)| *set) {
            self.not_yet(&below(steps, field), &format!("'{field}' of a load"));
        }
    }

    fn labels(&mut self, labels: &[String], steps: &[Step]) {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        for (position, label) in labels.iter().enumerate() {
            if label.is_empty() || label.len() > MAX_NAME || !label.chars().all(fits) {
                let finding = Finding::error(Code::BadName, format!("a label can't be named '{label}'"));
                let steps: Vec<Step> = below(steps, "labels").into_iter().chain([Step::from(position)]).collect();
                self.add(&steps, finding.hint("labels hold letters, digits, '-', '_' and '.'"));
            }
        }
    }

    fn rule(&mut self, rule: &Rule, steps: &[Step]) {
        let kinds = [
            rule.not_null.is_some(),
            rule.unique.is_some(),
            rule.accepted_values.is_some(),
            rule.range.is_some(),
            rule.sql.is_some(),
        ];
        if kinds.iter().filter(|set| **set).count() != 1 {
            let finding = Finding::error(Code::BadRule, "a rule has exactly one kind");
            self.add(steps, finding.hint("one of not_null, unique, accepted_values, range, sql"));
        } else if rule.range.is_some() {
            self.not_yet(&below(steps, "range"), "range rules");
        }
        if let Some(accepted) = &rule.accepted_values
            && accepted.values.iter().any(|value| value.is_null() || value.is_array() || value.is_object())
        {
            let finding = Finding::error(Code::BadRule, "accepted values are strings, numbers or booleans");
            self.add(&below(steps, "accepted_values"), finding);
        }
    }
}

fn below(steps: &[Step], field: &str) -> Vec<Step> {
    steps.iter().cloned().chain([Step::from(field)]).collect()
}

fn kinds(task: &Task) -> Vec<&'static str> {
    let all = [
        ("extract", task.extract.is_some()),
        ("transform", task.transform.is_some()),
        ("check", task.check.is_some()),
        ("load", task.load.is_some()),
        ("pipeline", task.pipeline.is_some()),
        ("http", task.http.is_some()),
        ("command", task.command.is_some()),
        ("approve", task.approve.is_some()),
        ("notify", task.notify.is_some()),
        ("wait", task.wait.is_some()),
        ("group", task.group.is_some()),
    ];
    all.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect()
}

/// Whether a parameter's value fits its type; the error says what was expected.
pub fn check_value(kind: ParamType, value: &serde_json::Value) -> Result<(), String> {
    let text = value.as_str();
    let (fits, expected) = match kind {
        ParamType::String => (text.is_some(), "text"),
        ParamType::Integer => (value.as_i64().is_some(), "a whole number"),
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
    if fits { Ok(()) } else { Err(format!("{value} is not {expected}")) }
}
