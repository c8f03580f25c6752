//! The text of a file with its secrets masked. Each character stands where it stood, in lines, columns and bytes, so that
//! places in the text stay right.

use super::names::{MAX_NAME, is_reference};
use super::place::content;
use crate::diagnostic::nearest;
use crate::yaml::{Entry, Node, Span, Value};

/// Stand-ins for characters of one, two, three and four bytes.
const STAND_INS: [char; 4] = ['x', '\u{d7}', '\u{2022}', '\u{1f7b0}'];

/// Whether a field is, or is evidently meant to be, `connections`.
pub(crate) fn is_connections(key: &str) -> bool {
    nearest(key, ["connections"]).is_some()
}

/// The places of every setting of connections but their types.
pub(super) fn connections(source: &str, node: &Node, spans: &mut Vec<Span>) {
    let Value::Mapping(connections) = &node.value else { return all(source, node, spans) };
    for connection in connections {
        key(source, connection, spans);
        settings(source, &connection.node, spans);
    }
}

/// The places of every setting of a connection but its type.
pub(super) fn settings(source: &str, connection: &Node, spans: &mut Vec<Span>) {
    let Value::Mapping(settings) = &connection.value else { return all(source, connection, spans) };
    for setting in settings {
        key(source, setting, spans);
        let is_type = setting.key == "type" && matches!(setting.node.value, Value::Scalar { .. });
        if !is_type {
            all(source, &setting.node, spans);
        }
    }
}

/// The places of every scalar of a value.
pub(super) fn all(source: &str, node: &Node, spans: &mut Vec<Span>) {
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
    if !is_name(&entry.key) {
        spans.push(key_content(source, entry));
    }
}

/// Whether a key can be the name of a connection or a setting.
pub(super) fn is_name(key: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    key.len() <= MAX_NAME && key.chars().all(fits)
}

/// The inside of a key.
pub(super) fn key_content(source: &str, entry: &Entry) -> Span {
    let text = Value::Scalar { text: entry.key.clone(), plain: false };
    content(source, &Node { value: text, span: entry.key_span.clone() })
}

/// A text with some places masked.
pub(super) fn cover(text: &str, mut spans: Vec<Span>) -> String {
    spans.sort_by_key(|span| (span.start, span.end));
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for span in spans {
        let start = span.start.max(at);
        if start >= span.end {
            continue;
        }
        out.push_str(&text[at..start]);
        out.push_str(&covered(&text[start..span.end]));
        at = span.end;
    }
    out.push_str(&text[at..]);
    out
}

/// A text of which everything is masked.
pub(super) fn covered(text: &str) -> String {
    text.chars().map(stand_in).collect()
}

/// Whether a text is what masking leaves. Three letters may be a name.
pub(super) fn is_masked(text: &str) -> bool {
    text.chars().filter(|c| STAND_INS.contains(c)).count() > 3 && covered(text) == text
}

/// A character that says nothing and takes as many bytes.
fn stand_in(c: char) -> char {
    if c.is_ascii_whitespace() { c } else { STAND_INS[c.len_utf8() - 1] }
}
