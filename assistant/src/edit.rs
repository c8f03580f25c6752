//! Edits of a spec's text: only what changed is written anew; all other bytes, comments included, stay.

use headwater_pipelines::document::Document;
use headwater_pipelines::path::TaskPath;
use headwater_pipelines::spec::{Spec, Task};
use headwater_pipelines::write::{self, Comments};
use headwater_pipelines::yaml::{self, Entry, Node, Span};
use serde_json::{Map, Value};

/// The text with the changes from one spec to the other. `None` if the text is not that of the first spec, or can't be changed in parts.
pub(crate) fn patch(text: &str, before: &Spec, after: &Spec) -> Option<String> {
    let root = yaml::read(text).root?;
    let (old, new) = (serde_json::to_value(before).ok()?, serde_json::to_value(after).ok()?);
    let mut patch = Patch { text, edits: Vec::new(), after };
    patch.node(&root, &old, &new, &Place { names: Vec::new(), indent: 0, is_flow: false })?;
    let patched = patch.apply()?;
    let read = Document::read("patched.yaml", patched.clone());
    (read.diagnostics.is_empty() && read.spec.as_ref() == Some(after)).then_some(patched)
}

/// Where a node stands.
#[derive(Clone)]
struct Place {
    names: Vec<String>,
    /// Column of the entries of the mapping around it.
    indent: usize,
    /// Whether it is inside of brackets, on whose lines blocks can't stand.
    is_flow: bool,
}

impl Place {
    fn below(&self, key: &str, indent: usize, is_flow: bool) -> Self {
        let names = self.names.iter().cloned().chain([key.to_owned()]).collect();
        Self { names, indent, is_flow }
    }
}

struct Patch<'a> {
    text: &'a str,
    edits: Vec<(Span, String)>,
    after: &'a Spec,
}

impl Patch<'_> {
    fn apply(mut self) -> Option<String> {
        self.edits.sort_by_key(|(span, _)| (span.start, span.end));
        let mut out = String::with_capacity(self.text.len());
        let mut copied = 0;
        for (span, with) in self.edits {
            out.push_str(self.text.get(copied..span.start)?);
            out.push_str(&with);
            copied = span.end;
        }
        out.push_str(self.text.get(copied..)?);
        Some(out)
    }

    fn node(&mut self, node: &Node, old: &Value, new: &Value, place: &Place) -> Option<()> {
        if old == new {
            return Some(());
        }
        match (&node.value, old, new) {
            (yaml::Value::Mapping(entries), Value::Object(old), Value::Object(new)) if !entries.is_empty() => {
                self.mapping(node, entries, (old, new), place)
            }
            _ => {
                let text = self.value(new, place);
                self.edits.push((self.start(node)..self.end(node), text));
                Some(())
            }
        }
    }

    fn mapping(
        &mut self,
        node: &Node,
        entries: &[Entry],
        (old, new): (&Map<String, Value>, &Map<String, Value>),
        place: &Place,
    ) -> Option<()> {
        let is_flow = place.is_flow || self.text[node.span.start..].starts_with('{');
        let indent = if is_flow { place.indent } else { self.column(entries[0].key_span.start) };
        let gone: Vec<&Entry> =
            entries.iter().filter(|entry| old.contains_key(&entry.key) && !new.contains_key(&entry.key)).collect();
        // Nothing of it stays, e.g. of a task that has another kind now.
        if gone.len() == entries.len() {
            let text = self.value(&Value::Object(new.clone()), place);
            self.edits.push((self.start(node)..self.end(node), text));
            return Some(());
        }
        for (key, value) in new.iter().filter(|(key, value)| old.get(*key) != Some(value)) {
            let below = place.below(key, indent, is_flow);
            match entries.iter().find(|entry| entry.key == *key) {
                Some(entry) => self.node(&entry.node, old.get(key).unwrap_or(&Value::Null), value, &below)?,
                None => {
                    let stays = |entry: &&Entry| !gone.iter().any(|other| other.key == entry.key);
                    // Behind the field that comes before it in a spec, so that a task stays inside of its group.
                    let before = |entry: &&Entry| new.keys().take_while(|other| *other != key).any(|k| *k == entry.key);
                    let place = entries.iter().rev().find(|entry| stays(entry) && before(entry));
                    let last = place.or_else(|| entries.iter().rev().find(stays))?;
                    self.insert(last, key, value, &below);
                }
            }
        }
        self.remove(&gone, entries, is_flow);
        Some(())
    }

    fn insert(&mut self, last: &Entry, key: &str, value: &Value, place: &Place) {
        let end = self.end(&last.node);
        let text = match self.task(place) {
            _ if place.is_flow => format!(", {}: {}", word(key), self.value(value, place)),
            Some(task) => format!("\n{}", whole(key, &task, place.indent)),
            None => format!("\n{}{}: {}", " ".repeat(place.indent), word(key), self.value(value, place)),
        };
        // Behind a comment on the same line.
        let at = if place.is_flow { end } else { end + self.text[end..].find('\n').unwrap_or(self.text.len() - end) };
        self.edits.push((at..at, text));
    }

    /// Takes entries away: on one line with the commas between them, as a block each with its line and the comments above it.
    fn remove(&mut self, gone: &[&Entry], entries: &[Entry], is_flow: bool) {
        let is_gone = |entry: &Entry| gone.iter().any(|other| other.key == entry.key);
        for run in entries.chunk_by(|one, next| is_gone(one) == is_gone(next)).filter(|run| is_gone(&run[0])) {
            let (start, end) = (run[0].key_span.start, self.end(&run[run.len() - 1].node));
            if !is_flow {
                run.iter().for_each(|entry| self.remove_line(entry));
                continue;
            }
            let next = entries.iter().find(|other| other.key_span.start > end);
            let before = entries.iter().rev().find(|other| other.key_span.start < start);
            let span = match (next, before) {
                (Some(next), _) => start..next.key_span.start,
                (None, Some(before)) => self.end(&before.node)..end,
                (None, None) => start..end,
            };
            self.edits.push((span, String::new()));
        }
    }

    /// The line break before goes and not the one behind, so that what is put behind the last line is not part of what goes.
    fn remove_line(&mut self, entry: &Entry) {
        let start = self.with_comments(self.line_start(entry.key_span.start));
        let end = self.end(&entry.node);
        let end = self.text[end..].find('\n').map_or(self.text.len(), |at| end + at);
        let span = if start == 0 { 0..(end + 1).min(self.text.len()) } else { start - 1..end };
        self.edits.push((span, String::new()));
    }

    /// A value where it stands: text of several lines as a block, everything else on one line.
    fn value(&self, value: &Value, place: &Place) -> String {
        if let (Some(task), false) = (self.task(place), place.is_flow) {
            let text = whole("x", &task, place.indent);
            return text.trim_start().strip_prefix("x:").unwrap_or_default().trim_start_matches(' ').to_owned();
        }
        match value {
            Value::String(text) if !place.is_flow && text.trim_end().contains('\n') => block(text, place.indent + 2),
            other => flow(other),
        }
    }

    /// The task that stands at a place, if a task does.
    fn task(&self, place: &Place) -> Option<Task> {
        let names: Vec<&str> = place.names.iter().map(String::as_str).collect();
        let (first, rest) = names.split_first()?;
        if *first != "tasks" {
            return None;
        }
        let mut tasks = &self.after.tasks;
        let mut rest = rest.iter();
        loop {
            let task = tasks.get(*rest.next()?)?;
            match rest.next() {
                None => return Some(task.clone()),
                Some(&"group") => tasks = task.group.as_ref()?,
                Some(_) => return None,
            }
        }
    }

    /// The start of a value: of a block its sign, which stands before its text.
    fn start(&self, node: &Node) -> usize {
        let at = node.span.start;
        match &node.value {
            yaml::Value::Scalar { plain: false, .. } if !self.text[at..].starts_with(['|', '>', '"', '\'']) => {
                self.text[..at].rfind(['|', '>']).unwrap_or(at)
            }
            _ => at,
        }
    }

    /// The end of a value without the blank lines and comments behind it.
    fn end(&self, node: &Node) -> usize {
        let start = self.start(node);
        let is_flow = self.text[start..].starts_with(['{', '[']);
        match &node.value {
            yaml::Value::Mapping(entries) if !is_flow && !entries.is_empty() => {
                entries.last().map_or(node.span.end, |entry| self.end(&entry.node))
            }
            yaml::Value::Sequence(items) if !is_flow && !items.is_empty() => {
                items.last().map_or(node.span.end, |item| self.end(item))
            }
            yaml::Value::Scalar { .. } if self.text[start..].starts_with(['|', '>']) => {
                start + block_length(&self.text[start..])
            }
            _ => node.span.start + self.text[node.span.clone()].trim_end().len(),
        }
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |line| line + 1)
    }

    fn column(&self, at: usize) -> usize {
        at - self.line_start(at)
    }

    /// The start of the comments right above a line, which are about what stands there.
    fn with_comments(&self, mut line: usize) -> usize {
        while line > 0 {
            let above = self.line_start(line - 1);
            if !self.text[above..line].trim_start().starts_with('#') {
                break;
            }
            line = above;
        }
        line
    }
}

/// The length of a block of text without what is less indented behind it: blank lines and comments.
fn block_length(body: &str) -> usize {
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let mut lines = body.split_inclusive('\n');
    let mut length = lines.next().map_or(0, str::len);
    let mut own = None;
    let mut end = length;
    for line in lines {
        length += line.len();
        if line.trim().is_empty() {
            continue;
        }
        if indent(line) < *own.get_or_insert(indent(line)) {
            break;
        }
        end = length;
    }
    body[..end].trim_end_matches(['\n', '\r']).len()
}

/// A task as the writer of specs has it.
fn whole(name: &str, task: &Task, indent: usize) -> String {
    let spec = Spec {
        name: "x".to_owned(),
        description: None,
        params: indexmap::IndexMap::new(),
        schedule: None,
        connections: indexmap::IndexMap::new(),
        stream: None,
        tasks: indexmap::IndexMap::from([(name.to_owned(), task.clone())]),
    };
    let written = write::yaml(&spec, &Comments::default());
    let lines = written.lines().skip_while(|line| *line != "tasks:").skip(1);
    let shifted = lines.map(|line| match line.strip_prefix("  ") {
        Some(rest) if !line.trim().is_empty() => format!("{}{rest}", " ".repeat(indent)),
        _ => String::new(),
    });
    shifted.collect::<Vec<_>>().join("\n")
}

fn block(text: &str, indent: usize) -> String {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let is_plain = !body.starts_with([' ', '\n', '\t'])
        && !body.ends_with('\n')
        && body.chars().all(|c| c == '\n' || (!c.is_control() && c != '\u{85}' && c != '\u{2028}' && c != '\u{2029}'));
    if !is_plain {
        return flow(&Value::String(text.to_owned()));
    }
    let pad = " ".repeat(indent);
    let lines = body.lines().map(|line| if line.is_empty() { String::new() } else { format!("{pad}{line}") });
    let sign = if text.ends_with('\n') { "|" } else { "|-" };
    format!("{sign}\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// A value on one line.
fn flow(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| format!("{}: {}", word(key), flow(value)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::String(text) => word(text),
        other => other.to_string(),
    }
}

/// Words that YAML reads as something else than text, in some version of it.
const NOT_TEXT: [&str; 10] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan"];

/// Text as it is where it is a word that stands for nothing else, else in double quotes.
fn word(text: &str) -> String {
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
        && !NOT_TEXT.contains(&text.to_lowercase().as_str());
    if is_word { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}

/// The tasks that differ between two specs, with `schedule` and the like for what is no task's.
pub(crate) fn touched(before: &Spec, after: &Spec) -> Vec<TaskPath> {
    let mut touched: Vec<TaskPath> = Vec::new();
    for change in headwater_pipelines::diff::diff(before, after) {
        let parts: Vec<&str> = change.path.split('.').collect();
        let path = match parts.split_first() {
            Some((&"tasks", rest)) => {
                let mut path = TaskPath::root();
                let mut rest = rest.iter().peekable();
                while let Some(name) = rest.next() {
                    path = path.child(name);
                    if rest.next_if(|next| **next == "group").is_none() {
                        break;
                    }
                }
                path
            }
            _ => TaskPath::from(parts.first().copied().unwrap_or_default()),
        };
        if !touched.contains(&path) {
            touched.push(path);
        }
    }
    touched
}

#[cfg(test)]
mod tests;
