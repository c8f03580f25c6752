//! YAML as a tree in which every key and value knows its place in the source.

use serde_yaml::granit_parser::{Event, Parser, ScalarStyle, Span as YamlSpan};

/// A range of bytes of the source.
pub type Span = std::ops::Range<usize>;

/// Deeper nesting is refused, so that no input can exhaust the stack.
const MAX_DEPTH: usize = 128;

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
    pub message: String,
    /// Where.
    pub span: Span,
    /// Whether it is a repeated key, which does not end reading.
    pub duplicate: bool,
}

/// Reads one document. The tree is there unless the syntax is broken; repeated keys are reported and the first one kept.
pub fn read(source: &str) -> (Option<Node>, Vec<YamlError>) {
    let mut reader = Reader { parser: Parser::new_from_str(source), source, errors: Vec::new() };
    match reader.document() {
        Ok(node) => (node, reader.errors),
        Err(error) => {
            reader.errors.push(error);
            (None, reader.errors)
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, serde_yaml::granit_parser::StrInput<'a>>,
    source: &'a str,
    errors: Vec<YamlError>,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Option<Node>, YamlError> {
        let mut root = None;
        while let Some((event, span)) = self.next()? {
            match event {
                Event::StreamStart | Event::StreamEnd | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event if root.is_none() => root = Some(self.node(event, span, 0)?),
                _ => return Err(self.error("a file holds one document; a second one starts here", self.span(span))),
            }
        }
        Ok(root)
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, YamlSpan)>, YamlError> {
        loop {
            match self.parser.next_event() {
                None => return Ok(None),
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(pair)) => return Ok(Some(pair)),
                Some(Err(error)) => {
                    let start = self.offset(error.marker().line(), error.marker().col());
                    return Err(self.error(&error.info(), start..start));
                }
            }
        }
    }

    fn expect(&mut self) -> Result<(Event<'a>, YamlSpan), YamlError> {
        let end = self.source.len();
        self.next()?.ok_or_else(|| self.error("the file ends in the middle of a value", end..end))
    }

    fn node(&mut self, event: Event<'a>, span: YamlSpan, depth: usize) -> Result<Node, YamlError> {
        let at = self.span(span);
        if depth > MAX_DEPTH {
            return Err(self.error(&format!("values are nested more than {MAX_DEPTH} deep"), at));
        }
        match event {
            Event::Scalar(text, style, ..) => {
                let plain = style == ScalarStyle::Plain;
                Ok(Node { value: Value::Scalar { text: text.into_owned(), plain }, span: at })
            }
            Event::SequenceStart(..) => self.sequence(at, depth),
            Event::MappingStart(..) => self.mapping(at, depth),
            Event::Alias(..) => Err(self.error("aliases are not used in specs; write the value out", at)),
            _ => Err(self.error("expected a value", at)),
        }
    }

    fn sequence(&mut self, start: Span, depth: usize) -> Result<Node, YamlError> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.expect()?;
            if matches!(event, Event::SequenceEnd) {
                let span = start.start..self.span(span).end.max(start.end);
                return Ok(Node { value: Value::Sequence(items), span });
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn mapping(&mut self, start: Span, depth: usize) -> Result<Node, YamlError> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, span) = self.expect()?;
            let key_span = self.span(span);
            let key = match event {
                Event::MappingEnd => {
                    let span = start.start..key_span.end.max(start.end);
                    return Ok(Node { value: Value::Mapping(entries), span });
                }
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(self.error("a key must be a plain word or a string", key_span)),
            };
            let (event, span) = self.expect()?;
            let node = self.node(event, span, depth + 1)?;
            if entries.iter().any(|entry| entry.key == key) {
                let message = format!("'{key}' appears twice in the same mapping");
                self.errors.push(YamlError { message, span: key_span, duplicate: true });
            } else {
                entries.push(Entry { key, key_span, node });
            }
        }
    }

    fn error(&self, message: &str, span: Span) -> YamlError {
        YamlError { message: message.to_owned(), span, duplicate: false }
    }

    fn span(&self, span: YamlSpan) -> Span {
        let start = span.start.byte_offset().unwrap_or_else(|| self.offset(span.start.line(), span.start.col()));
        let end = span.end.byte_offset().unwrap_or_else(|| self.offset(span.end.line(), span.end.col()));
        start..end.max(start)
    }

    /// Byte offset of a line (from 1) and a column (in characters, from 0).
    fn offset(&self, line: usize, column: usize) -> usize {
        let start: usize = self.source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let rest = &self.source[start..];
        start + rest.char_indices().nth(column).map_or(rest.len(), |(offset, _)| offset)
    }
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
        let (tree, errors) = read(source);
        assert!(errors.is_empty(), "{errors:?}");
        let tree = tree.unwrap();
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
        let (tree, errors) = read("a: 1\nb: 2\na: 3\n");
        assert!(tree.is_some());
        assert_eq!(errors.len(), 1);
        assert_eq!(position("a: 1\nb: 2\na: 3\n", errors[0].span.start), (3, 1));
    }

    #[test]
    fn broken_syntax_is_reported_with_its_place() {
        let source = "a: [1, 2\nb: }";
        let (tree, errors) = read(source);
        assert!(tree.is_none());
        assert_eq!(position(source, errors[0].span.start).0, 2, "{errors:?}");
    }
}
