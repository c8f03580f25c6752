//! A spec as YAML text that reads back equal, with comments for people.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::decode::is_plain_text;
use crate::path::TaskPath;
use crate::spec::Spec;

/// Values that fit into so many characters stand on one line.
const WIDTH: usize = 100;

/// Fields that hold names, each of which gets lines of its own.
const NAMED: [&str; 4] = ["tasks", "group", "params", "connections"];

/// Comments of a spec.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comments {
    /// Stands above everything.
    pub top: Option<String>,
    /// Stands above a task.
    pub tasks: BTreeMap<TaskPath, String>,
}

/// Writes a spec. Reading the text gives the same spec.
pub fn yaml(spec: &Spec, comments: &Comments) -> String {
    let mut writer = Writer { comments, out: String::new() };
    if let Some(top) = &comments.top {
        writer.comment(top, 0);
    }
    if let Ok(Value::Object(fields)) = serde_json::to_value(spec) {
        writer.mapping(&fields, 0, &Place::Root);
    }
    writer.out
}

/// Where in the spec a mapping stands, which says what its keys are.
enum Place {
    Root,
    /// Its keys are the tasks of a group, or of the root.
    Tasks(TaskPath),
    /// A task.
    Task(TaskPath),
    /// Its keys are names.
    Names,
    Inside,
}

impl Place {
    fn below(&self, key: &str) -> Self {
        match (self, key) {
            (Self::Root, "tasks") => Self::Tasks(TaskPath::root()),
            (Self::Task(path), "group") => Self::Tasks(path.clone()),
            (Self::Tasks(group), name) => Self::Task(group.child(name)),
            (Self::Root, key) if NAMED.contains(&key) => Self::Names,
            _ => Self::Inside,
        }
    }

    /// Whether its entries may share a line.
    fn may_be_short(&self) -> bool {
        matches!(self, Self::Task(_) | Self::Inside)
    }
}

struct Writer<'a> {
    comments: &'a Comments,
    out: String,
}

impl Writer<'_> {
    fn comment(&mut self, text: &str, indent: usize) {
        for line in text.lines() {
            let line: String = line.chars().map(|c| if is_printable(c) { c } else { ' ' }).collect();
            self.indent(indent);
            self.out.push_str(format!("# {line}").trim_end());
            self.out.push('\n');
        }
    }

    fn indent(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    fn mapping(&mut self, fields: &Map<String, Value>, indent: usize, place: &Place) {
        for (key, value) in fields {
            let below = place.below(key);
            if let Place::Task(path) = &below
                && let Some(comment) = self.comments.tasks.get(path)
            {
                self.comment(comment, indent);
            }
            self.indent(indent);
            self.out.push_str(&scalar(key));
            self.out.push(':');
            self.value(value, indent, &below);
        }
    }

    /// A value behind its key or dash, up to the end of its last line.
    fn value(&mut self, value: &Value, indent: usize, place: &Place) {
        let short = || flow(value).filter(|text| indent + text.len() <= WIDTH);
        match value {
            Value::String(text) if is_literal(text) => {
                self.out.push_str(if text.ends_with('\n') { " |\n" } else { " |-\n" });
                for line in text.lines() {
                    if !line.is_empty() {
                        self.indent(indent + 2);
                    }
                    self.out.push_str(line);
                    self.out.push('\n');
                }
            }
            Value::Object(fields) if !fields.is_empty() && (!self.may_be_short(place) || short().is_none()) => {
                self.out.push('\n');
                self.mapping(fields, indent + 2, place);
            }
            Value::Array(items) if !items.is_empty() && short().is_none() => {
                self.out.push('\n');
                for item in items {
                    self.indent(indent + 2);
                    self.out.push('-');
                    self.value(item, indent + 2, &Place::Inside);
                }
            }
            other => {
                let text = flow(other).unwrap_or_else(|| scalar_of(other));
                self.out.push(' ');
                self.out.push_str(&text);
                self.out.push('\n');
            }
        }
    }

    /// A group on one line has no room for the comments of its tasks.
    fn may_be_short(&self, place: &Place) -> bool {
        match place {
            Place::Task(path) => {
                let inside = format!("{path}.");
                place.may_be_short() && !self.comments.tasks.keys().any(|task| task.starts_with(&inside))
            }
            place => place.may_be_short(),
        }
    }
}

/// A value on one line; `None` if it holds text of several lines, which is easier to read on its own.
fn flow(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if is_literal(text) => None,
        Value::Array(items) => {
            let items = items.iter().map(flow).collect::<Option<Vec<_>>>()?;
            Some(format!("[{}]", items.join(", ")))
        }
        Value::Object(fields) if fields.is_empty() => Some("{}".to_owned()),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| Some(format!("{}: {}", scalar(key), flow(value)?)));
            let fields = fields.collect::<Option<Vec<_>>>()?;
            Some(format!("{{ {} }}", fields.join(", ")))
        }
        other => Some(scalar_of(other)),
    }
}

fn scalar_of(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// Text of several lines that a literal block keeps as it is.
fn is_literal(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.contains('\n')
        && !body.ends_with('\n')
        && !body.starts_with([' ', '\t', '\n'])
        && body.lines().all(|line| !line.trim().is_empty() || line.is_empty())
        && body.chars().all(|c| c == '\n' || is_printable(c))
}

fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
        && !matches!(c, '\u{2028}' | '\u{2029}')
}

/// Text as it is where YAML reads it as the same text in any place, else in double quotes.
fn scalar(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-' | '(' | ')');
    let is_duration = text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_alphanumeric());
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(fits);
    let is_phrase = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| fits(c) || matches!(c, ' ' | '*' | '=' | '<' | '>' | '+' | '$' | ';'))
        && !text.ends_with(' ');
    if (is_word || is_phrase || is_duration) && is_plain_text(text) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if is_printable(c) => out.push(c),
            c => out.push_str(&format!("\\U{:08X}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::document::Document;

    const SPEC: &str = r#"name: x
description: "a: b"
params: { since: { type: date, default: '1995-01-01' }, n: { type: integer } }
tasks:
  g: { group: { a: { extract: { from: shop.public.orders } } } }
  b:
    transform: "SELECT *\n  FROM g.a\nWHERE x = $n\n"
  c: { check: { input: b, rules: [ { not_null: [id] }, { sql: "amount >= 0 and note <> 'a very long text that does not fit'", name: positive } ] } }
  l: { load: { input: c, into: 'drop."a b.csv"', mode: append }, timeout: 90s, needs: [g.a] }
"#;

    #[test]
    fn a_spec_is_written_as_people_write_it_and_reads_back_equal() {
        let spec = Document::read("x.yaml", SPEC).spec.unwrap();
        let comments = Comments {
            top: Some("Made from a prompt.\nSecond line".to_owned()),
            tasks: BTreeMap::from([("b".into(), "Joins".to_owned()), ("g.a".into(), "Reads".to_owned())]),
        };
        let text = yaml(&spec, &comments);
        insta::assert_snapshot!(text);
        let back = Document::read("x.yaml", text);
        assert_eq!(back.diagnostics, []);
        assert_eq!(back.spec.unwrap(), spec);
    }

    #[test]
    fn a_comment_can_not_become_part_of_the_spec() {
        let spec = Document::read("x.yaml", "name: x\ntasks: { w: { wait: 1s } }\n").spec.unwrap();
        let comments =
            Comments { top: Some("one\ntasks: {}\r\n\u{7}bell\u{85}name: y".to_owned()), tasks: BTreeMap::new() };
        let back = Document::read("x.yaml", yaml(&spec, &comments));
        assert_eq!((back.diagnostics.len(), back.spec.unwrap()), (0, spec));
    }
}
