//! Secrets in the settings of connections: masked wherever the text of a file is shown or kept, and found where they are
//! written out.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::decode::Step;
use crate::diagnostic::{Code, Diagnostic, Finding};
use crate::document::Document;
use crate::spec::ConnectionSpec;
use crate::yaml::{Node, Span, Value};

mod mask;

pub(crate) use mask::mask;

/// Parts of the names of settings that hold secrets.
const SECRET_NAMES: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "credential",
    "private_key",
    "access_key",
    "account_key",
    "api_key",
    "apikey",
    "signature",
    "sas_",
];

/// Settings whose names look like a secret's and that name something public: a user, a file.
const PUBLIC_ENDINGS: [&str; 5] = ["_id", "_file", "_path", "_url", "_type"];

/// Secrets that a file writes out instead of naming a variable. `apply` refuses them; a single run may have them, because
/// its settings are sealed and go with it. The values themselves are never part of a finding.
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
        look(document, name, &steps, value, is_secret_name(setting), &mut found);
    }
    found
}

fn look(document: &Document, name: &str, steps: &[Step], value: &Json, secret: bool, found: &mut Vec<Diagnostic>) {
    match value {
        Json::Object(fields) => {
            for (field, value) in fields {
                let steps = [steps, &[Step::from(field.as_str())]].concat();
                look(document, name, &steps, value, secret || is_secret_name(field), found);
            }
        }
        Json::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                let steps = [steps, &[Step::from(index)]].concat();
                look(document, name, &steps, value, secret, found);
            }
        }
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

fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase().replace('-', "_");
    let public = PUBLIC_ENDINGS.iter().any(|ending| name.ends_with(ending));
    let secret = SECRET_NAMES.iter().any(|part| name.contains(part)) || matches!(name.as_str(), "key" | "sig" | "sas");
    secret && !public
}

/// Whether a text consists of references such as `${NAME}` and nothing else.
pub(crate) fn is_reference(text: &str) -> bool {
    let mut rest = text.trim();
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let Some((name, behind)) = rest.strip_prefix("${").and_then(|rest| rest.split_once('}')) else { return false };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return false;
        }
        rest = behind;
    }
    true
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
        is_secret_name(name.trim()) && !value.is_empty() && !is_reference(value)
    })
}

/// Takes the values of connections out of a tree, whose places are still needed.
pub(crate) fn blank(tree: &mut Node) {
    let Value::Mapping(entries) = &mut tree.value else { return };
    for entry in entries.iter_mut().filter(|entry| mask::is_connections(&entry.key)) {
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

/// The inside of a scalar in the source: without its quotes. The place of a block of lines is that of its first line.
fn content(source: &str, node: &Node) -> Span {
    let is_plain = matches!(node.value, Value::Scalar { plain: true, .. });
    let raw = &source[node.span.clone()];
    match raw.chars().next().filter(|c| !is_plain && matches!(c, '"' | '\'')) {
        Some(quote) => {
            let inside = &raw[1..];
            let length = inside.trim_end().strip_suffix(quote).map_or(inside.len(), str::len);
            node.span.start + 1..node.span.start + 1 + length
        }
        None => node.span.clone(),
    }
}

#[cfg(test)]
mod tests;
