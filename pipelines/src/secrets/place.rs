//! Places in the text of a scalar as places in the source.

use crate::yaml::{Node, Span, Value};

/// The inside of a scalar in the source: without its quotes. The place of a block of lines is that of its first line.
pub(super) fn content(source: &str, node: &Node) -> Span {
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

/// Where some places of a scalar's text stand in the source: all of the scalar if escapes make that uncertain.
pub(super) fn in_source(source: &str, node: &Node, spans: &[Span]) -> Vec<Span> {
    let Value::Scalar { text, .. } = &node.value else { return Vec::new() };
    let whole = content(source, node);
    let doubled = source[node.span.clone()].starts_with('\'') && whole.start > node.span.start;
    match aligned(text, &source[whole.clone()], doubled) {
        Some(offsets) => {
            let at = |offset: usize| whole.start + offsets[offset];
            spans.iter().filter(|span| !span.is_empty()).map(|span| at(span.start)..at(span.end)).collect()
        }
        None => vec![whole],
    }
}

/// For each byte of a text, and for its end, the byte of the source that stands for it. Indentation and folding lie between.
fn aligned(text: &str, raw: &str, doubled: bool) -> Option<Vec<usize>> {
    let mut offsets = Vec::with_capacity(text.len() + 1);
    let mut from = 0;
    for wanted in text.chars() {
        loop {
            let found = raw[from..].chars().next();
            match found {
                Some(found) if found == wanted => {
                    offsets.extend((0..found.len_utf8()).map(|byte| from + byte));
                    from += found.len_utf8();
                    if doubled && found == '\'' && raw[from..].starts_with('\'') {
                        from += 1;
                    }
                    break;
                }
                Some(found) if found.is_whitespace() => from += found.len_utf8(),
                // A line break that folding made a space, or the one at the end.
                _ if wanted.is_whitespace() => {
                    offsets.extend((0..wanted.len_utf8()).map(|_| from));
                    break;
                }
                _ => return None,
            }
        }
    }
    offsets.push(from);
    Some(offsets)
}
