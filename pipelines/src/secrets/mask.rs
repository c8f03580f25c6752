//! The text of a file with the settings of its connections masked. Each character stands where it stood, in lines, columns
//! and bytes, so that places in the text stay right.

use super::{content, is_reference};
use crate::diagnostic::nearest;
use crate::yaml::{Document, Entry, Node, Span, Value};

/// Longer keys are none of a connector's.
const MAX_KEY: usize = 64;

/// Whether a field of the root is, or is evidently meant to be, `connections`.
pub(crate) fn is_connections(key: &str) -> bool {
    nearest(key, ["connections"]).is_some()
}

/// Masks every setting of a connection but its type. A file whose syntax is broken is masked line by line.
pub(crate) fn mask(source: &str, yaml: &Document) -> String {
    let mut spans = Vec::new();
    match &yaml.root {
        Some(Node { value: Value::Mapping(entries), .. }) => {
            for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| is_connections(&entry.key)) {
                connections(source, &entry.node, &mut spans);
                let end = entries.get(index + 1).map_or(source.len(), |next| next.key_span.start);
                let inside = |span: &&Span| span.start >= entry.key_span.start && span.start < end;
                spans.extend(yaml.comments.iter().filter(inside).map(|span| span.start + 1..span.end));
                let repeated = yaml.repeated.iter().filter(|other| inside(&&other.key_span));
                repeated.for_each(|other| all(source, &other.node, &mut spans));
            }
            let repeated = yaml.repeated.iter().filter(|entry| is_connections(&entry.key));
            repeated.for_each(|entry| all(source, &entry.node, &mut spans));
        }
        _ => lines(source, &mut spans),
    }
    masked(source, spans)
}

fn connections(source: &str, node: &Node, spans: &mut Vec<Span>) {
    let Value::Mapping(connections) = &node.value else { return all(source, node, spans) };
    for connection in connections {
        key(source, connection, spans);
        let Value::Mapping(settings) = &connection.node.value else {
            all(source, &connection.node, spans);
            continue;
        };
        for setting in settings {
            key(source, setting, spans);
            let is_type = setting.key == "type" && matches!(setting.node.value, Value::Scalar { .. });
            if !is_type {
                all(source, &setting.node, spans);
            }
        }
    }
}

/// Every scalar of a value.
fn all(source: &str, node: &Node, spans: &mut Vec<Span>) {
    match &node.value {
        Value::Scalar { text, .. } if is_reference(text) => {}
        Value::Scalar { .. } => spans.push(content(source, node)),
        Value::Sequence(items) => items.iter().for_each(|item| all(source, item, spans)),
        Value::Mapping(entries) => {
            for entry in entries {
                key(source, entry, spans);
                all(source, &entry.node, spans);
            }
        }
    }
}

/// A key that is none, such as a URL that was set between braces.
fn key(source: &str, entry: &Entry, spans: &mut Vec<Span>) {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    if entry.key.len() > MAX_KEY || !entry.key.chars().all(fits) {
        let text = Value::Scalar { text: entry.key.clone(), plain: false };
        spans.push(content(source, &Node { value: text, span: entry.key_span.clone() }));
    }
}

/// Without a tree: in the lines of `connections` everything behind a colon, and elsewhere the passwords of URLs.
fn lines(source: &str, spans: &mut Vec<Span>) {
    let mut inside = false;
    let mut start = 0;
    for line in source.split_inclusive('\n') {
        let begins = line.starts_with(|c: char| !c.is_whitespace() && !matches!(c, '#' | '-' | '}' | ']'));
        if begins {
            let key = line.split([':', ' ']).next().unwrap_or_default().trim_matches(['"', '\'', '{']);
            inside = is_connections(key);
        }
        let from = match (inside, begins) {
            (true, true) => line.find(':').map(|at| at + 1),
            (true, false) => line.find([':', '#', '-']).map_or(Some(0), |at| Some(at + 1)),
            (false, _) => None,
        };
        match from {
            Some(from) => spans.push(start + from..start + line.len()),
            None => spans.extend(url_passwords(line).map(|span| start + span.start..start + span.end)),
        }
        start += line.len();
    }
}

fn url_passwords(line: &str) -> impl Iterator<Item = Span> {
    line.match_indices("://").filter_map(|(at, mark)| {
        let start = at + mark.len();
        let rest = &line[start..];
        let rest = &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())];
        let user = &rest[..rest.rfind('@')?];
        let colon = user.find(':')?;
        (!is_reference(&user[colon + 1..])).then(|| start + colon + 1..start + user.len())
    })
}

fn masked(source: &str, mut spans: Vec<Span>) -> String {
    spans.sort_by_key(|span| (span.start, span.end));
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    for span in spans {
        let start = span.start.max(at);
        if start >= span.end {
            continue;
        }
        out.push_str(&source[at..start]);
        out.extend(source[start..span.end].chars().map(stand_in));
        at = span.end;
    }
    out.push_str(&source[at..]);
    out
}

/// A character that says nothing and takes as many bytes.
fn stand_in(c: char) -> char {
    match c {
        c if c.is_ascii_whitespace() => c,
        c => match c.len_utf8() {
            1 => 'x',
            2 => '\u{d7}',
            3 => '\u{2022}',
            _ => '\u{1f7b0}',
        },
    }
}
