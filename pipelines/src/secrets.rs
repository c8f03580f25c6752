//! Secrets in files: masked wherever the text of a file is shown or kept, and found where they are written out.
//!
//! A pipeline is run from its plan and never from the text that is kept. So the text may be masked freely, but nothing may
//! be planned from a masked value: outside of `connections:` a secret is an error, unless it stands where the pipeline means
//! the same without it.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value as Json;

use crate::decode::Step;
use crate::diagnostic::{Code, Diagnostic, Finding, nearest};
use crate::document::Document;
use crate::kind::{Kind, Setting};
use crate::spec::ConnectionSpec;
use crate::yaml::{self, Node, Span, Value};

mod lines;
mod mask;
mod names;
mod place;
mod said;
mod shapes;
mod statement;
mod stored;
mod text;
mod tree;

pub use said::SaidSecrets;
pub(crate) use stored::hide_in_spec;
pub(crate) use tree::Place;

use mask::{is_connections, is_masked};
use names::{is_reference, is_secret_setting};
use text::Sort;

/// Secrets that the connections of a file write out instead of naming a variable. `apply` refuses them; a single run may have
/// them, because its settings are sealed and go with it. The values themselves are never part of a finding.
pub fn literal_secrets(document: &Document) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> =
        document.connections().flat_map(|(name, connection)| secrets_of(document, name, connection)).collect();
    found.sort_by_key(|diagnostic| diagnostic.start);
    found
}

/// Names of the connections of a file, each with whether it writes out a secret.
pub fn connections_with_secrets(document: &Document) -> BTreeMap<String, bool> {
    let connections = document.connections();
    connections.map(|(name, settings)| (name.clone(), !secrets_of(document, name, settings).is_empty())).collect()
}

fn secrets_of(document: &Document, name: &str, connection: &ConnectionSpec) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (setting, value) in &connection.settings {
        let steps = [Step::from("connections"), Step::from(name), Step::from(setting.as_str())];
        look(document, name, &steps, value, is_secret_setting(setting), &mut found);
    }
    found
}

fn look(document: &Document, name: &str, steps: &[Step], value: &Json, secret: bool, found: &mut Vec<Diagnostic>) {
    match value {
        Json::Object(fields) => {
            for (field, value) in fields {
                let steps = [steps, &[Step::from(field.as_str())]].concat();
                look(document, name, &steps, value, secret || is_secret_setting(field), found);
            }
        }
        Json::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                let steps = [steps, &[Step::from(index)]].concat();
                look(document, name, &steps, value, secret, found);
            }
        }
        // A masked setting is reported where the file is read.
        Json::String(text) if is_masked(text) => {}
        Json::String(text) if secret && !text.is_empty() && !is_reference(text) => {
            found.push(document.at(steps, literal(name, steps)));
        }
        Json::String(text) if !secret && holds_secret(text) => found.push(document.at(steps, literal(name, steps))),
        Json::Number(_) if secret => found.push(document.at(steps, literal(name, steps))),
        _ => {}
    }
}

fn literal(name: &str, steps: &[Step]) -> Finding {
    let fields = steps.iter().filter_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::Index(_) => None,
    });
    let field = fields.skip(2).collect::<Vec<_>>().join(".");
    let message = format!("'{field}' of connection '{name}' holds a secret that is written out");
    let variable: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    Finding::error(Code::LiteralSecret, message).hint(format!(
        "write ${{{variable}_PASSWORD}} in its place and set that variable where the connection is opened"
    ))
}

/// Whether a URL or a list of `name=value` pairs holds a secret that is written out.
fn holds_secret(text: &str) -> bool {
    if let Some((_, rest)) = text.split_once("://") {
        let (authority, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        // A password may hold a slash though it should not. What follows the colon is a port then, or that password.
        let path = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
        let is_port = |text: &str| text.split('/').next().is_some_and(|port| port.bytes().all(|c| c.is_ascii_digit()));
        let in_path = || user_of(path).filter(|(_, password)| !is_port(password));
        let password = user_of(authority).or_else(in_path).map(|(_, password)| password);
        let literal = password.is_some_and(|password| !password.is_empty() && !is_reference(password));
        return literal || pairs(behind, &['?', '&', '#', ';']);
    }
    pairs(text, &[' ', '\t', '\n', ';', '&'])
}

/// User and password in front of the `@` of a URL.
fn user_of(text: &str) -> Option<(&str, &str)> {
    text.rsplit_once('@').and_then(|(user, _)| user.split_once(':'))
}

fn pairs(text: &str, separators: &[char]) -> bool {
    text.split(separators).filter_map(|pair| pair.split_once('=')).any(|(name, value)| {
        let value = value.trim().trim_matches(['\'', '"']);
        is_secret_setting(name.trim()) && !value.is_empty() && !is_reference(value)
    })
}

/// Shorter secrets are not looked for in comments: they are ordinary words too.
const MIN_WORD: usize = 4;

/// A file without its secrets.
pub(crate) struct Hidden {
    /// Its text; each character stands where it stood.
    pub(crate) text: String,
    /// Secrets outside of its connections.
    pub(crate) found: Vec<Place>,
}

/// Masks every secret of a file: all settings of connections, and elsewhere what is evidently one. Outside of the connections
/// the tree is masked too. A file whose syntax is broken is masked line by line.
pub(crate) fn hide(source: &str, yaml: &mut yaml::Document) -> Hidden {
    // Of all errors of syntax this one alone repeats a word of the source.
    for error in yaml.errors.iter_mut().filter(|error| error.finding.code == Code::DuplicateKey) {
        let found = text::secrets(&error.finding.message, Sort::Comment);
        error.finding.message =
            mask::cover(&error.finding.message, found.into_iter().map(|secret| secret.span).collect());
    }
    let Some(Node { value: Value::Mapping(entries), .. }) = &mut yaml.root else {
        return Hidden { text: mask::cover(source, lines::lines(source)), found: Vec::new() };
    };
    let mut walk = tree::Walk::new(source);
    for entry in entries.iter().chain(&yaml.repeated).filter(|entry| is_connections(&entry.key)) {
        mask::connections(source, &entry.node, &mut walk.spans);
        tree::words_of(&entry.node, false, &mut walk.words);
    }
    for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| is_connections(&entry.key)) {
        let end = entries.get(index + 1).map_or(source.len(), |next| next.key_span.start);
        walk.regions.push(lead(source, entry.key_span.start)..end);
    }
    walk.know();
    walk.root(entries);
    walk.connections(entries);
    walk.regions.sort_by_key(|region| region.end);
    for entry in &mut yaml.repeated {
        if inside(&walk.regions, &entry.key_span) {
            mask::all(source, &entry.node, &mut walk.spans);
        } else {
            walk.repeated(entry);
        }
    }
    for comment in &yaml.comments {
        comment_spans(source, comment, &walk.regions, &walk.words, &mut walk.spans);
    }
    Hidden { text: mask::cover(source, walk.spans), found: walk.found }
}

/// Where the lines of comments above a key begin.
fn lead(source: &str, key: usize) -> usize {
    let mut start = source[..key].rfind('\n').map_or(0, |at| at + 1);
    while start > 0 {
        let before = source[..start - 1].rfind('\n').map_or(0, |at| at + 1);
        if !source[before..start].trim_start().starts_with('#') {
            break;
        }
        start = before;
    }
    start
}

/// Whether a place is inside of one of some regions, which are sorted and do not overlap.
fn inside(regions: &[Span], place: &Span) -> bool {
    let index = regions.partition_point(|region| region.end <= place.start);
    regions.get(index).is_some_and(|region| region.start <= place.start)
}

/// What to mask of a comment: all of it at connections; elsewhere what is evidently a secret, and what one of the file is.
fn comment_spans(source: &str, comment: &Span, regions: &[Span], words: &HashSet<String>, spans: &mut Vec<Span>) {
    let start = comment.start + 1;
    if inside(regions, comment) {
        return spans.push(start..comment.end);
    }
    let text = &source[start..comment.end];
    spans.extend(
        text::secrets(text, Sort::Comment).into_iter().map(|found| start + found.span.start..start + found.span.end),
    );
    let mut at = start;
    for word in text.split_inclusive(char::is_whitespace) {
        let length = word.trim_end().len();
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        if [word.trim_end(), bare].iter().any(|word| word.len() >= MIN_WORD && words.contains(*word)) {
            spans.push(at..at + length);
        }
        at += word.len();
    }
}

/// Whether a mapping with these keys is evidently meant to be a task.
fn is_task<'a>(mut keys: impl Iterator<Item = &'a str>) -> bool {
    let fields = Kind::ALL.map(Kind::as_str).into_iter().chain(Setting::ALL.map(Setting::as_str));
    keys.any(|key| nearest(key, fields.clone()).is_some())
}

/// What is reported of a secret outside of a connection.
pub(crate) fn misplaced(place: &Place) -> Finding {
    let field = place.steps.iter().rev().find_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::Index(_) => None,
    });
    let field = field.unwrap_or_default();
    if place.sight.is_masked {
        return Finding::error(Code::LiteralSecret, format!("'{field}' has been masked: its value is not in this text"))
            .hint("a text that is shown or kept has no secrets and no settings of connections; write the value again, or ${NAME}");
    }
    let message = format!("'{field}' holds a secret that is written out");
    if place.sight.is_idle {
        return Finding::warning(Code::LiteralSecret, message)
            .hint("it is masked where the text is shown or kept; remove it");
    }
    let hint = "put it into a connection, where ${NAME} stands for a variable, and write the connection's name here";
    match field {
        // There the value may be none: a pattern, a literal of the data.
        "transform" | "query" | "sql" | "when" | "deleted_when" => Finding::error(Code::LiteralSecret, message)
            .hint(format!("{hint}; if it is none, write it in two parts: 'token=' || 'x'")),
        _ => Finding::error(Code::LiteralSecret, message).hint(hint),
    }
}

/// Takes the values of connections out of a tree, whose places are still needed.
pub(crate) fn blank(tree: &mut Node) {
    let Value::Mapping(entries) = &mut tree.value else { return };
    for entry in entries.iter_mut().filter(|entry| is_connections(&entry.key)) {
        blank_all(&mut entry.node);
    }
}

fn blank_all(node: &mut Node) {
    match &mut node.value {
        Value::Scalar { text, .. } => text.clear(),
        Value::Sequence(items) => items.iter_mut().for_each(blank_all),
        Value::Mapping(entries) => entries.iter_mut().for_each(|entry| blank_all(&mut entry.node)),
    }
}

#[cfg(test)]
mod tests;
