//! Secrets outside of `connections:`. They are masked in the tree before it is read any further, so that no message, plan or
//! stored spec can hold them, and reported, so that nothing runs with a masked value.

use std::collections::HashSet;

use aho_corasick::AhoCorasick;

use super::is_task;
use super::mask::{self, cover, covered, is_connections, is_masked, key_content};
use super::names::{is_literal, is_secret_key, is_secret_setting};
use super::place::in_source;
use super::text::{Secret, Sort, secrets};
use crate::decode::Step;
use crate::diagnostic::nearest;
use crate::document::split_task;
use crate::yaml::{Entry, Node, Span, Value};

/// More places are masked and not reported.
const MAX_FOUND: usize = 100;

/// Shorter passwords of connections are not looked for elsewhere.
const MIN_REPEATED: usize = 8;

/// Fields of a param or of a column, which have a `type` too and are no settings of a connection.
const TYPED: [&str; 4] = ["type", "default", "description", "mask"];

/// Types of params, which no connector is named like.
const TYPES: [&str; 6] = ["string", "integer", "number", "boolean", "date", "timestamp"];

/// A secret outside of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Leads to the value.
    pub(crate) steps: Vec<Step>,
    /// Where the secret stands.
    pub(crate) span: Span,
    /// Where the value stands.
    pub(crate) value: Span,
    /// What is known of it.
    pub(crate) sight: Sight,
}

/// What is known of a secret.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sight {
    /// Whether the pipeline means the same without it.
    pub(crate) is_idle: bool,
    /// Whether it was masked where the text comes from.
    pub(crate) is_masked: bool,
}

/// A walk over a tree.
pub(super) struct Walk<'a> {
    source: &'a str,
    steps: Vec<Step>,
    /// Whether findings are of use: those in what is refused anyway are not.
    is_reporting: bool,
    /// What to mask.
    pub(super) spans: Vec<Span>,
    /// What to report.
    pub(super) found: Vec<Place>,
    /// Connections at places where none belong.
    pub(super) regions: Vec<Span>,
    /// The secrets themselves, which comments may repeat.
    pub(super) words: HashSet<String>,
    /// Secrets of the file's connections, which other fields may repeat.
    known: Option<AhoCorasick>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self {
            source,
            steps: Vec::new(),
            is_reporting: true,
            spans: Vec::new(),
            found: Vec::new(),
            regions: Vec::new(),
            words: HashSet::new(),
            known: None,
        }
    }

    /// The fields of the root, without its connections.
    pub(super) fn root(&mut self, entries: &mut [Entry]) {
        entries.iter_mut().filter(|entry| !is_connections(&entry.key)).for_each(|entry| self.entry(entry));
    }

    /// What is kept of connections: their names, and those of their connectors and settings.
    pub(super) fn connections(&mut self, entries: &mut [Entry]) {
        for root in entries.iter_mut().filter(|entry| is_connections(&entry.key)) {
            self.steps.push(Step::from(root.key.as_str()));
            if let Value::Mapping(connections) = &mut root.node.value {
                connections.iter_mut().for_each(|connection| self.kept(connection));
            }
            self.steps.pop();
        }
    }

    fn kept(&mut self, entry: &mut Entry) {
        self.key(entry);
        match &mut entry.node.value {
            Value::Mapping(fields) => fields.iter_mut().for_each(|field| self.kept(field)),
            Value::Scalar { .. } if self.steps.len() == 3 && entry.key == "type" => {
                self.scalar(&mut entry.node, Sort::Setting);
            }
            // A text that was shown or kept has nothing to connect with.
            Value::Scalar { text, .. } if is_masked(text) => {
                self.report(
                    entry.node.span.clone(),
                    entry.node.span.clone(),
                    Sight { is_idle: false, is_masked: true },
                );
            }
            _ => {}
        }
        self.steps.pop();
    }

    /// An entry that is refused because of its key, at an unknown place.
    pub(super) fn repeated(&mut self, entry: &mut Entry) {
        self.is_reporting = false;
        self.entry(entry);
        self.is_reporting = true;
    }

    fn entry(&mut self, entry: &mut Entry) {
        let parent_is_columns = matches!(self.steps.last(), Some(Step::Key(key)) if key == "columns");
        self.key(entry);
        if holds_connections(entry) {
            mask::connections(self.source, &entry.node, &mut self.spans);
            self.misplaced(entry);
            conceal(&mut entry.node);
        } else if is_connection(&entry.node) && !self.is_free() {
            mask::settings(self.source, &entry.node, &mut self.spans);
            self.misplaced(entry);
            if let Value::Mapping(settings) = &mut entry.node.value {
                // Something else may be meant, whose type is judged further.
                settings
                    .iter_mut()
                    .filter(|setting| setting.key != "type")
                    .for_each(|setting| conceal(&mut setting.node));
            }
            self.node(&mut entry.node, Sort::Setting);
        } else if is_secret_key(&entry.key) && !parent_is_columns {
            self.secret(&mut entry.node);
        } else {
            let has_form = !parent_is_columns && !self.is_free();
            let sort = if has_form { sort_of(&entry.key) } else { Sort::Setting };
            self.node(&mut entry.node, sort);
        }
        self.steps.pop();
    }

    /// Goes into an entry, masking its key.
    fn key(&mut self, entry: &mut Entry) {
        let found = secrets(&entry.key, Sort::Setting);
        if found.is_empty() {
            return self.steps.push(Step::from(entry.key.as_str()));
        }
        let span = key_content(self.source, entry);
        entry.key = cover(&entry.key, found.into_iter().map(|secret| secret.span).collect());
        self.steps.push(Step::from(entry.key.as_str()));
        self.report(span.clone(), entry.key_span.clone(), Sight::default());
        self.spans.push(span);
    }

    /// Settings at a place where none belong. Most such places are refused as unknown fields.
    fn misplaced(&mut self, entry: &Entry) {
        words_of(&entry.node, false, &mut self.words);
        self.regions.push(entry.key_span.start..entry.node.span.end);
        self.report(entry.key_span.clone(), entry.key_span.clone(), Sight::default());
    }

    /// Whether the value at this place has no form of ours, so that the names of fields in it mean nothing.
    fn is_free(&self) -> bool {
        let (_, rest) = split_task(&self.steps);
        let mut keys = rest.iter().map(|step| match step {
            Step::Key(key) => key.as_str(),
            Step::Index(_) => "",
        });
        match (keys.next(), keys.next()) {
            (Some("stream"), _) => rest.len() == self.steps.len(),
            (Some("for_each"), _) => true,
            (Some(kind), Some(field)) => {
                matches!((kind, field), ("pipeline", "params") | ("http", "headers" | "body") | ("command", "env"))
            }
            _ => false,
        }
    }

    fn node(&mut self, node: &mut Node, sort: Sort) {
        match &mut node.value {
            Value::Scalar { .. } => self.scalar(node, sort),
            Value::Sequence(items) => self.items(items, |walk, item| walk.node(item, sort)),
            Value::Mapping(entries) => entries.iter_mut().for_each(|entry| self.entry(entry)),
        }
    }

    fn items(&mut self, items: &mut [Node], each: impl Fn(&mut Self, &mut Node)) {
        for (index, item) in items.iter_mut().enumerate() {
            self.steps.push(Step::from(index));
            each(self, item);
            self.steps.pop();
        }
    }

    /// A value whose key says that it is secret, unless it is a task or a parameter of that name.
    fn secret(&mut self, node: &mut Node) {
        let is_param = matches!(self.steps.as_slice(), [Step::Key(params), _] if params == "params");
        match &mut node.value {
            Value::Scalar { text, plain } => {
                let is_word = *plain && matches!(text.as_str(), "~" | "null" | "true" | "false");
                if !is_word && is_literal(text) {
                    let whole = Secret { span: 0..text.len(), is_idle: false };
                    self.hide(node, vec![whole]);
                }
            }
            Value::Sequence(items) => self.items(items, Self::secret),
            Value::Mapping(entries) if is_param || is_task(keys(entries)) => {
                for entry in entries {
                    if is_param && entry.key == "default" {
                        self.steps.push(Step::from("default"));
                        self.secret(&mut entry.node);
                        self.steps.pop();
                    } else {
                        self.entry(entry);
                    }
                }
            }
            Value::Mapping(entries) => {
                for entry in entries {
                    self.steps.push(Step::from(entry.key.as_str()));
                    self.secret(&mut entry.node);
                    self.steps.pop();
                }
            }
        }
    }

    fn scalar(&mut self, node: &mut Node, sort: Sort) {
        let Value::Scalar { text, .. } = &node.value else { return };
        let mut found = secrets(text, sort);
        // A name may be a password too.
        if let (Some(known), Sort::Statement | Sort::Prose) = (&self.known, sort) {
            let is_idle = sort == Sort::Prose;
            found.extend(known.find_iter(text).map(|again| Secret { span: again.range(), is_idle }));
        }
        if !found.is_empty() {
            self.hide(node, found);
        }
    }

    /// Looks for the secrets that are known so far in statements and descriptions too. Short ones, and words, may mean something else.
    pub(super) fn know(&mut self) {
        let is_telling = |word: &&String| word.len() >= MIN_REPEATED && !word.chars().all(char::is_alphabetic);
        let telling: Vec<&String> = self.words.iter().filter(is_telling).collect();
        self.known = (!telling.is_empty()).then(|| AhoCorasick::new(telling).ok()).flatten();
    }

    /// Masks parts of a scalar, in the tree and in the source, and reports the first of each sort.
    fn hide(&mut self, node: &mut Node, found: Vec<Secret>) {
        for is_idle in [false, true] {
            let of_sort = found.iter().filter(|secret| secret.is_idle == is_idle);
            let spans: Vec<Span> = of_sort.map(|secret| secret.span.clone()).collect();
            let placed = in_source(self.source, node, &spans);
            if let Some(first) = placed.iter().min_by_key(|span| span.start) {
                let is_masked = placed.iter().all(|span| is_masked(&self.source[span.clone()]));
                self.report(first.clone(), node.span.clone(), Sight { is_idle, is_masked });
            }
            self.spans.extend(placed);
        }
        if let Value::Scalar { text, .. } = &mut node.value {
            self.words.extend(found.iter().map(|secret| text[secret.span.clone()].to_owned()));
            *text = cover(text, found.into_iter().map(|secret| secret.span).collect());
        }
    }

    /// What was masked already and means nothing needs no report.
    fn report(&mut self, span: Span, value: Span, sight: Sight) {
        let count = self.found.iter().filter(|place| place.sight.is_idle == sight.is_idle).take(MAX_FOUND).count();
        if self.is_reporting && count < MAX_FOUND && !(sight.is_idle && sight.is_masked) {
            self.found.push(Place { steps: self.steps.clone(), span, value, sight });
        }
    }
}

/// What the text of a field is.
pub(super) fn sort_of(key: &str) -> Sort {
    match key {
        "description" => Sort::Prose,
        "transform" | "query" | "sql" | "when" | "deleted_when" => Sort::Statement,
        // A misspelled field is read as the one that is meant.
        _ if nearest(key, ["transform"]).is_some() => Sort::Statement,
        _ => Sort::Setting,
    }
}

/// Whether a field is evidently meant to be `connections` and holds some: it may be the name of a task or a column too.
fn holds_connections(entry: &Entry) -> bool {
    let Value::Mapping(entries) = &entry.node.value else { return false };
    let is_mapping = |entry: &Entry| matches!(entry.node.value, Value::Mapping(_));
    is_connections(&entry.key) && entries.iter().any(is_mapping) && !is_task(keys(entries))
}

/// Whether a mapping has the form of a connection.
fn is_connection(node: &Node) -> bool {
    let Value::Mapping(entries) = &node.value else { return false };
    let is_connector = |entry: &Entry| {
        entry.key == "type"
            && matches!(&entry.node.value, Value::Scalar { text, .. } if !TYPES.contains(&text.as_str()))
    };
    entries.iter().any(is_connector) && entries.iter().any(|entry| nearest(&entry.key, TYPED).is_none())
}

fn keys(entries: &[Entry]) -> impl Iterator<Item = &str> {
    entries.iter().map(|entry| entry.key.as_str())
}

/// Masks every scalar of a value.
fn conceal(node: &mut Node) {
    match &mut node.value {
        Value::Scalar { text, .. } => *text = covered(text),
        Value::Sequence(items) => items.iter_mut().for_each(conceal),
        Value::Mapping(entries) => {
            for entry in entries {
                if !mask::is_name(&entry.key) {
                    entry.key = covered(&entry.key);
                }
                conceal(&mut entry.node);
            }
        }
    }
}

/// The secrets of a connection's settings.
pub(super) fn words_of(node: &Node, is_secret: bool, words: &mut HashSet<String>) {
    match &node.value {
        Value::Scalar { text, .. } if is_secret && is_literal(text) => drop(words.insert(text.trim().to_owned())),
        Value::Scalar { text, .. } => {
            words.extend(secrets(text, Sort::Setting).into_iter().map(|secret| text[secret.span].to_owned()));
        }
        Value::Sequence(items) => items.iter().for_each(|item| words_of(item, is_secret, words)),
        Value::Mapping(entries) => {
            for entry in entries {
                words_of(&entry.node, is_secret || is_secret_setting(&entry.key), words);
            }
        }
    }
}
