//! YAML as a tree in which every key and value knows its place in the source.

mod reader;

pub use reader::{MAX_BYTES, MAX_DEPTH};

use crate::diagnostic::Finding;

/// A range of bytes of the source.
pub type Span = std::ops::Range<usize>;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub span: Span,
}

/// A YAML value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A scalar; `plain` ones may stand for null, booleans and numbers.
    Scalar {
        /// The text, escapes and folding resolved.
        text: String,
        /// Whether it was written without quotes or block indicators.
        plain: bool,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// A mapping, in the order of the source.
    Mapping(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub node: Node,
}

/// A mistake in the YAML itself.
#[derive(Debug, Clone, PartialEq)]
pub struct YamlError {
    /// What is wrong.
    pub finding: Finding,
    /// Where.
    pub span: Span,
}

/// What reading gave.
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// The tree, unless the syntax is broken or there is none.
    pub root: Option<Node>,
    /// Everything that is wrong. Not all of it ends reading: of a repeated key the first value is kept, tags are ignored.
    pub errors: Vec<YamlError>,
    /// Where comments stand, `#` included.
    pub comments: Vec<Span>,
    /// Entries whose key their mapping has already.
    pub repeated: Vec<Entry>,
}

/// Reads one document. Takes time in proportion to the source, whatever it holds.
pub fn read(source: &str) -> Document {
    reader::read(source)
}

/// Where the character at a line and column (both from 1, in characters) of a scalar's text stands in the source.
///
/// Indentation, folding, quotes and escapes make source and text differ, so the two are walked side by side.
pub fn locate_in_scalar(source: &str, node: &Node, line: usize, column: usize) -> usize {
    let Value::Scalar { text, .. } = &node.value else { return node.span.start };
    let target: usize =
        text.split_inclusive('\n').take(line.saturating_sub(1)).map(|line| line.chars().count()).sum::<usize>()
            + column.saturating_sub(1);
    let mut raw = skip_introduction(source, node);
    for (index, wanted) in text.chars().enumerate() {
        let Some(offset) = seek(source, raw, node.span.end, wanted) else { return node.span.start };
        if index == target {
            return offset;
        }
        raw = offset + source[offset..].chars().next().map_or(1, char::len_utf8);
    }
    raw.min(node.span.end)
}

/// The first byte of a scalar's content: behind a block indicator's line, behind an opening quote.
fn skip_introduction(source: &str, node: &Node) -> usize {
    let raw = &source[node.span.clone()];
    match raw.chars().next() {
        Some('|' | '>') => node.span.start + raw.find('\n').map_or(raw.len(), |at| at + 1),
        Some('"' | '\'') => node.span.start + 1,
        _ => node.span.start,
    }
}

/// The next place at or behind `from` that stands for `wanted`.
fn seek(source: &str, from: usize, end: usize, wanted: char) -> Option<usize> {
    for (offset, found) in source.get(from..end)?.char_indices() {
        let matches = found == wanted || (wanted.is_whitespace() && found.is_whitespace());
        if matches {
            return Some(from + offset);
        }
        if !found.is_whitespace() && found != '\\' && found != '\'' {
            // An escape such as \u00e9: the place of its first character will do.
            return Some(from + offset);
        }
    }
    None
}

/// Line and column (both from 1, column in characters) of a byte offset.
pub fn position(source: &str, offset: usize) -> (usize, usize) {
    let before = &source[..source.floor_char_boundary(offset.min(source.len()))];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
    use super::*;

    fn value<'a>(node: &'a Node, key: &str) -> &'a Node {
        let Value::Mapping(entries) = &node.value else { panic!("not a mapping") };
        &entries.iter().find(|entry| entry.key == key).unwrap().node
    }

    #[test]
    fn places_in_scalars_of_every_style_lead_back_to_the_source() {
        let source = "plain: a bad word\nquoted: \"a \\\"bad\\\" word\"\nliteral: |\n  first\n    a bad word\nfolded: >\n  first\n  a bad word\n";
        let Document { root, errors, .. } = read(source);
        assert!(errors.is_empty(), "{errors:?}");
        let tree = root.unwrap();
        for (key, line, column) in [("plain", 1, 3), ("literal", 2, 5), ("folded", 1, 9), ("quoted", 1, 4)] {
            let offset = locate_in_scalar(source, value(&tree, key), line, column);
            assert!(
                source[offset..].starts_with("bad") || source[offset..].starts_with("\"bad"),
                "{key}: {:?}",
                &source[offset..]
            );
        }
    }

    #[test]
    fn a_repeated_key_is_reported_where_it_stands_and_reading_goes_on() {
        let Document { root, errors, .. } = read("a: 1\nb: 2\na: 3\n");
        assert!(root.is_some());
        assert_eq!(errors.len(), 1);
        assert_eq!(position("a: 1\nb: 2\na: 3\n", errors[0].span.start), (3, 1));
    }

    #[test]
    fn broken_syntax_is_reported_with_its_place() {
        let source = "a: [1, 2\nb: }";
        let Document { root, errors, .. } = read(source);
        assert!(root.is_none());
        assert_eq!(position(source, errors[0].span.start).0, 2, "{errors:?}");
    }

    fn told(source: &str) -> Vec<String> {
        let place = |error: &YamlError| position(source, error.span.start);
        read(source).errors.iter().map(|e| format!("{:?} {}", place(e), e.finding.message)).collect()
    }

    #[test]
    fn a_tab_in_the_indentation_is_reported_as_what_it_is() {
        let tab = |place: &str| vec![format!("{place} a tab is used as indentation; YAML indents with spaces")];
        assert_eq!(told("name: x\ntasks:\n\ta: { wait: 1s }\n"), tab("(3, 1)"));
        assert_eq!(told("name: x\ntasks:\n  a:\n \t wait: 1s\n"), tab("(4, 2)"));
        assert_eq!(told("a: |\n  SELECT\n  \t1\n"), Vec::<String>::new(), "SQL may hold tabs");
    }

    #[test]
    fn tags_anchors_and_aliases_are_refused_and_not_ignored() {
        assert_eq!(told("a: !!str 5\n"), ["(1, 4) tags such as !!str are not used in specs"]);
        assert_eq!(told("a: !secret [x]\n"), ["(1, 4) tags such as !!str are not used in specs"]);
        assert_eq!(told("a: &x 5\nb: 6\n"), ["(1, 7) anchors are not used in specs"]);
        assert_eq!(told("a: &x 5\nb: *x\n"), ["(2, 4) aliases and anchors are not used in specs"]);
        assert_eq!(told("a: 1\nb: *y\n"), ["(2, 4) aliases and anchors are not used in specs"]);
    }

    #[test]
    fn hostile_documents_of_a_megabyte_are_refused_or_read() {
        let mut bomb = "a0: &a0 [x, x]\n".to_owned();
        (1..40).for_each(|n| bomb += &format!("a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1));
        let keys: String = (0..80_000).map(|n| format!("key{n}: 1\n")).collect();
        let indented: String = (0..1_400).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
        let refused = [
            "[".repeat(1 << 20),
            "{a: ".repeat(1 << 18),
            "- ".repeat(1 << 19),
            "? ".repeat(1 << 19),
            "'".repeat((1 << 20) + 1),
            "x".repeat(MAX_BYTES + 1),
            bomb,
            indented,
        ];
        for document in refused {
            let Document { root, errors, .. } = read(&document);
            assert!(root.is_none() && errors.len() == 1, "{errors:?}: {}…", &document[..20]);
        }
        for document in [format!("[{}]", "[],".repeat(1 << 18)), "a: ".to_owned() + &"x ".repeat(1 << 19), keys] {
            let Document { root, errors, .. } = read(&document);
            assert!(root.is_some() && errors.is_empty(), "{errors:?}: {}…", &document[..20]);
        }
    }
}
