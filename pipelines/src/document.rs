//! A spec as a file: its text, its typed form and the place of every value.

use indexmap::IndexMap;
use serde::Deserialize;

use crate::decode::{self, Decoded, Lost, Step};
use crate::diagnostic::{Code, Diagnostic, Finding, Source, nearest, tidy};
use crate::path::TaskPath;
use crate::plan::tables::{Expansion, Made, TableSet};
use crate::secrets;
use crate::spec::{ConnectionSpec, Spec, Task};
use crate::write::{self, Comments};
use crate::yaml::{self, Node, Span, Value};

mod foreign;

/// The fields of a spec's root.
const FIELDS: [&str; 7] = ["name", "description", "params", "schedule", "connections", "stream", "tasks"];

/// A file that was read.
#[derive(Debug, Clone)]
pub struct Document {
    /// Name and text. The settings of connections are masked, and secrets elsewhere, so that neither diagnostics nor versions
    /// can hold a secret; every character stands where it stood.
    pub source: Source,
    /// The typed form of everything that could be read; `None` if the file is beyond that or holds connections alone.
    pub spec: Option<Spec>,
    /// What was wrong with it.
    pub diagnostics: Vec<Diagnostic>,
    /// The connections of a file that holds nothing else.
    connections: Option<IndexMap<String, ConnectionSpec>>,
    tree: Option<Node>,
    lost: Lost,
    /// Tasks that nobody wrote, and what they were made of.
    expansion: Expansion,
    /// Secrets outside of connections, which are errors: what else is wrong with these values follows from that.
    secrets: Vec<secrets::Place>,
}

/// A file that holds connections alone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConnectionsFile {
    connections: IndexMap<String, ConnectionSpec>,
}

impl Document {
    /// Reads a file. Mistakes end up in `diagnostics`, all of them.
    pub fn read(name: impl Into<String>, text: impl Into<String>) -> Self {
        let (name, text): (String, String) = (name.into(), text.into());
        let mut yaml = yaml::read(&text);
        if let Some(finding) = foreign::not_a_spec(&name, &text, &yaml) {
            return Self::refused(name, finding);
        }
        let hidden = secrets::hide(&text, &mut yaml);
        let mut document = Self::unread(Source { name, text: hidden.text });
        let errors = yaml.errors.into_iter().map(|error| document.source.at(error.span, error.finding)).collect();
        document.diagnostics = errors;
        if let Some(mut tree) = yaml.root {
            document.decode(&mut tree);
            secrets::blank(&mut tree);
            document.tree = Some(tree);
            document.report(hidden.found);
        }
        tidy(&mut document.diagnostics);
        document
    }

    /// Reads the bytes of a file, which may be anything.
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        let name = name.into();
        match foreign::text(&name, bytes) {
            Ok(text) => Self::read(name, text),
            Err(finding) => Self::refused(name, finding),
        }
    }

    /// A spec that was made and not read, as the text of a file.
    pub fn from_spec(name: impl Into<String>, spec: &Spec, comments: &Comments) -> Self {
        Self::read(name, write::yaml(spec, comments))
    }

    /// A file whose text says nothing to us, and may be secret: none of it is kept.
    fn refused(name: String, finding: Finding) -> Self {
        let mut document = Self::unread(Source { name, text: String::new() });
        document.diagnostics.push(document.source.at(0..0, finding));
        document
    }

    fn unread(source: Source) -> Self {
        Self {
            source,
            spec: None,
            diagnostics: Vec::new(),
            connections: None,
            tree: None,
            lost: Lost::default(),
            expansion: Expansion::default(),
            secrets: Vec::new(),
        }
    }

    /// Reports secrets outside of connections. What could not be read is reported as that.
    fn report(&mut self, found: Vec<secrets::Place>) {
        for place in found {
            let around = (1..=place.steps.len()).any(|length| self.lost.at(&place.steps[..length]));
            if !around && !self.lost.within(&place.steps) {
                let diagnostic = self.placed(&place.steps, place.span.clone(), secrets::misplaced(&place));
                self.diagnostics.push(diagnostic);
                self.secrets.push(place);
            }
        }
    }

    /// Whether a finding is about a value that is wrong because of a secret in it.
    pub(crate) fn follows_from_secret(&self, found: &Diagnostic) -> bool {
        let holds = |outer: &Span, inner: &Span| outer.start <= inner.start && inner.end <= outer.end;
        let span = found.span();
        let at =
            |place: &secrets::Place| !place.sight.is_idle && holds(&place.value, &span) && holds(&span, &place.span);
        found.code != Code::LiteralSecret && self.secrets.iter().any(at)
    }

    fn decode(&mut self, tree: &mut Node) {
        if foreign::holds_only_connections(tree) {
            let Decoded { value, findings, lost } = decode::decode::<ConnectionsFile>(tree, &[]);
            self.connections = value.map(|file| file.connections);
            self.found(findings, lost);
            return;
        }
        let fallbacks =
            [("name", Value::Scalar { text: String::new(), plain: false }), ("tasks", Value::Mapping(Vec::new()))];
        let Decoded { value, findings, lost } = decode::decode(tree, &fallbacks);
        self.spec = value;
        self.found(findings, lost);
    }

    fn found(&mut self, findings: Vec<decode::Found>, lost: Lost) {
        for found in findings {
            let diagnostic = self.placed(&found.path, found.span, found.finding);
            self.diagnostics.push(diagnostic);
        }
        self.lost = lost;
    }

    /// The connections of a file that holds connections and no pipeline. `apply` takes such a file; nothing runs in it.
    pub fn connections_alone(&self) -> Option<&IndexMap<String, ConnectionSpec>> {
        self.connections.as_ref()
    }

    /// The connections that the file brings, whatever else it holds.
    pub fn connections(&self) -> impl Iterator<Item = (&String, &ConnectionSpec)> {
        self.connections.iter().chain(self.spec.as_ref().map(|spec| &spec.connections)).flatten()
    }

    /// The text that a version keeps: without any setting of a connection.
    pub fn stored_text(&self) -> &str {
        &self.source.text
    }

    /// The spec that a version keeps: with one task for each table where it was expanded, and of connections with name and type.
    pub fn stored_spec(&self) -> Option<Spec> {
        self.spec.as_ref().map(Spec::without_settings)
    }

    /// What could not be read: neither there nor missing.
    pub(crate) fn lost(&self) -> &Lost {
        &self.lost
    }

    /// The extracts of several tables that were expanded, in the order of the spec.
    pub fn table_sets(&self) -> &[TableSet] {
        &self.expansion.sets
    }

    /// The document with other tasks in the place of what was written.
    pub(crate) fn expanded(mut self, made: Made) -> Self {
        for (steps, finding) in made.findings {
            let diagnostic = self.at(&steps, finding);
            self.diagnostics.push(diagnostic);
        }
        if let Some(spec) = &mut self.spec {
            for (steps, task) in made.tasks {
                if let Some((tasks, name)) = tasks_around(spec, &steps) {
                    tasks.insert(name.to_owned(), task);
                }
            }
            for steps in &made.lost {
                if let Some((tasks, name)) = tasks_around(spec, steps) {
                    tasks.shift_remove(name);
                }
            }
        }
        self.lost.extend(made.lost);
        self.expansion = made.expansion;
        tidy(&mut self.diagnostics);
        self
    }

    /// The node at a path.
    pub(crate) fn node(&self, path: &[Step]) -> Option<&Node> {
        self.tree.as_ref().and_then(|tree| decode::find(tree, &self.expansion.written(path)))
    }

    /// Gives a finding the place of the value at a path, or of the nearest parent that is there.
    pub fn at(&self, path: &[Step], finding: Finding) -> Diagnostic {
        self.placed(path, self.span(path), finding)
    }

    /// Gives a finding the place of the key at the end of a path.
    pub fn at_key(&self, path: &[Step], finding: Finding) -> Diagnostic {
        let written = self.expansion.written(path);
        let span = self.tree.as_ref().and_then(|tree| decode::find_key(tree, &written)).cloned();
        self.placed(path, span.unwrap_or_else(|| self.span(path)), finding)
    }

    /// Gives a finding a place inside the text of the scalar at a path: line and column from 1, as SQL parsers count.
    pub fn at_text(&self, path: &[Step], line: u64, column: u64, length: usize, finding: Finding) -> Diagnostic {
        let Some(node) = self.node(path) else { return self.at(path, finding) };
        let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let start = yaml::locate_in_scalar(&self.source.text, node, number(line), number(column));
        let end = self.source.text.ceil_char_boundary((start + length).min(self.source.text.len()));
        self.placed(path, start..end.max(start), finding)
    }

    fn placed(&self, path: &[Step], span: Span, finding: Finding) -> Diagnostic {
        let mut placed = match self.expansion.origin(path) {
            // The text is that of many tables: what corrects one is wrong for others.
            Some(origin) => self.source.at(span, Finding { correction: None, ..finding }).of_table(&origin.table),
            None => self.source.at(span, finding),
        };
        placed.task = task_of(path);
        placed
    }

    fn span(&self, path: &[Step]) -> Span {
        let Some(tree) = &self.tree else { return 0..0 };
        let path = &self.expansion.written(path);
        (0..=path.len())
            .rev()
            .find_map(|length| decode::find(tree, &path[..length]))
            .map_or(0..0, |node| node.span.clone())
    }
}

/// The tasks among which a task of a path in the document stands, and its name.
fn tasks_around<'a, 's>(spec: &'a mut Spec, steps: &'s [Step]) -> Option<(&'a mut IndexMap<String, Task>, &'s str)> {
    let mut tasks = &mut spec.tasks;
    let mut rest = steps.strip_prefix(&[Step::from("tasks")])?;
    while let [Step::Key(name), Step::Key(holder), behind @ ..] = rest {
        if holder != "group" {
            return None;
        }
        tasks = tasks.get_mut(name)?.group.as_mut()?;
        rest = behind;
    }
    match rest {
        [Step::Key(name)] => Some((tasks, name)),
        _ => None,
    }
}

/// The task that a path of the document leads into.
fn task_of(path: &[Step]) -> Option<TaskPath> {
    let (task, _) = split_task(path);
    (!task.is_root()).then_some(task)
}

/// The innermost task on a path of the document, and the rest of the path inside that task.
pub(crate) fn split_task(path: &[Step]) -> (TaskPath, &[Step]) {
    let mut task = TaskPath::root();
    let mut rest = path;
    while let [Step::Key(holder), Step::Key(name), behind @ ..] = rest
        && holder == if task.is_root() { "tasks" } else { "group" }
    {
        task = task.child(name);
        rest = behind;
    }
    (task, rest)
}

/// Whether a word is a field of a spec's root.
pub(crate) fn is_root_field(word: &str) -> bool {
    FIELDS.contains(&word)
}

/// Whether a field of the root is, or is evidently meant to be, a field of a spec.
fn is_field(key: &str) -> bool {
    FIELDS.contains(&key) || nearest(key, FIELDS).is_some()
}

#[cfg(test)]
mod tests;
