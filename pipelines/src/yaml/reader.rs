//! From the parser's events to the tree.

use std::collections::HashSet;

use serde_yaml::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span as YamlSpan, StrInput};

use super::{Document, Entry, Node, Span, Value, YamlError};
use crate::diagnostic::{Code, Finding};

/// Deeper nesting is refused, so that no input can exhaust the stack.
pub const MAX_DEPTH: usize = 128;

/// Larger files are refused: a spec describes data and holds none. 50,000 tasks have room.
pub const MAX_BYTES: usize = 8 << 20;

/// Lines of one comment. The parser's own limit is less than some people write above a spec.
const MAX_COMMENTS: usize = 100_000;

/// Ends reading.
struct Broken;

pub(super) fn read(source: &str) -> Document {
    if source.len() > MAX_BYTES {
        let message = format!("the file has {} bytes; a spec has at most {MAX_BYTES}", source.len());
        let error = YamlError { finding: Finding::error(Code::YamlSyntax, message), span: 0..0 };
        return Document { errors: vec![error], ..Document::default() };
    }
    let options = serde_yaml::granit_parser::options! { max_buffered_comment_events: MAX_COMMENTS };
    let parser = Parser::new_from_str_with_options(source, options);
    let mut reader = Reader { parser, source, anchor: None, out: Document::default() };
    match reader.document() {
        Ok(root) => {
            if let Some(anchor) = reader.anchor.take() {
                reader.refuse(anchor, Finding::error(Code::YamlFeature, "anchors are not used in specs"));
            }
            reader.out.root = root;
        }
        Err(Broken) => reader.out.root = None,
    }
    reader.out
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    source: &'a str,
    /// The first value with an anchor.
    anchor: Option<Span>,
    out: Document,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Option<Node>, Broken> {
        let mut root = None;
        while let Some((event, span)) = self.next()? {
            match event {
                Event::StreamStart | Event::StreamEnd | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event if root.is_none() => root = Some(self.node(event, span, 0)?),
                _ => return Err(self.broken(span, "a file holds one document; a second one starts here")),
            }
        }
        Ok(root)
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, YamlSpan)>, Broken> {
        loop {
            match self.parser.next_event() {
                None => return Ok(None),
                Some(Ok((Event::Comment(..), span))) => {
                    let span = self.span(span);
                    self.out.comments.push(span);
                }
                Some(Ok(pair)) => return Ok(Some(pair)),
                Some(Err(error)) => return Err(self.syntax(&error)),
            }
        }
    }

    fn expect(&mut self) -> Result<(Event<'a>, YamlSpan), Broken> {
        match self.next()? {
            Some(pair) => Ok(pair),
            None => {
                let end = self.source.len();
                Err(self.stop(end..end, "the file ends in the middle of a value"))
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: YamlSpan, depth: usize) -> Result<Node, Broken> {
        if depth > MAX_DEPTH {
            return Err(self.broken(span, &format!("values are nested more than {MAX_DEPTH} deep")));
        }
        self.properties(&event, span);
        let at = self.span(span);
        match event {
            Event::Scalar(text, style, ..) => {
                let plain = style == ScalarStyle::Plain;
                Ok(Node { value: Value::Scalar { text: text.into_owned(), plain }, span: at })
            }
            Event::SequenceStart(..) => self.sequence(at, depth),
            Event::MappingStart(..) => self.mapping(at, depth),
            Event::Alias(..) => Err(self.alias(at)),
            _ => Err(self.stop(at, "expected a value")),
        }
    }

    /// Tags and anchors stand in front of a value. Ignoring them would change what the author means.
    fn properties(&mut self, event: &Event<'a>, span: YamlSpan) {
        let (Event::Scalar(_, _, anchor, tag)
        | Event::SequenceStart(_, anchor, tag)
        | Event::MappingStart(_, anchor, tag)) = event
        else {
            return;
        };
        let at = self.span(span);
        if tag.is_some() {
            let at = span.tag_span().map_or(at.clone(), |tag| self.span(tag));
            let finding = Finding::error(Code::YamlFeature, "tags such as !!str are not used in specs");
            self.refuse(at, finding.hint("remove the tag; text that looks like a number needs quotes"));
        }
        if *anchor != 0 && self.anchor.is_none() {
            self.anchor = Some(at);
        }
    }

    fn sequence(&mut self, start: Span, depth: usize) -> Result<Node, Broken> {
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

    fn mapping(&mut self, start: Span, depth: usize) -> Result<Node, Broken> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut keys: HashSet<String> = HashSet::new();
        loop {
            let (event, span) = self.expect()?;
            self.properties(&event, span);
            let key_span = self.span(span);
            let key = match event {
                Event::MappingEnd => {
                    let span = start.start..key_span.end.max(start.end);
                    return Ok(Node { value: Value::Mapping(entries), span });
                }
                Event::Scalar(text, ..) => text.into_owned(),
                Event::Alias(..) => return Err(self.alias(key_span)),
                _ => return Err(self.stop(key_span, "a key must be a plain word or a string")),
            };
            let (event, span) = self.expect()?;
            let node = self.node(event, span, depth + 1)?;
            let is_new = keys.insert(key.clone());
            let entry = Entry { key, key_span, node };
            if is_new {
                entries.push(entry);
            } else {
                let message = format!("'{}' appears twice in the same mapping", entry.key);
                self.refuse(entry.key_span.clone(), Finding::error(Code::DuplicateKey, message));
                self.out.repeated.push(entry);
            }
        }
    }

    fn alias(&mut self, at: Span) -> Broken {
        let finding = Finding::error(Code::YamlFeature, "aliases and anchors are not used in specs");
        self.refuse(at, finding.hint("write the value out"));
        Broken
    }

    /// A syntax error, in our words where the parser's are not enough.
    fn syntax(&mut self, error: &ScanError) -> Broken {
        use serde_yaml::granit_parser::ErrorKind;
        let marker = error.marker();
        let start = marker.byte_offset().unwrap_or_else(|| self.offset(marker.line(), marker.col()));
        if matches!(error.kind(), ErrorKind::UnknownAnchor) {
            return self.alias(start..start);
        }
        if let Some(tab) = self.tab_before(start) {
            let finding = Finding::error(Code::YamlSyntax, "a tab is used as indentation; YAML indents with spaces");
            self.refuse(tab..tab + 1, finding.hint("replace the tabs at the start of the lines by spaces"));
            return Broken;
        }
        self.stop(start..start, &error.info())
    }

    /// A tab in the indentation of the line of an offset, or of the line before it, where parsers notice it late.
    fn tab_before(&self, offset: usize) -> Option<usize> {
        let offset = self.source.floor_char_boundary(offset.min(self.source.len()));
        let line_start = |at: usize| self.source[..at].rfind('\n').map_or(0, |at| at + 1);
        let this = line_start(offset);
        let before = if this == 0 { 0 } else { line_start(this - 1) };
        [before, this].into_iter().find_map(|start| {
            let line = self.source[start..].lines().next().unwrap_or_default();
            let indentation = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
            indentation.find('\t').map(|at| start + at)
        })
    }

    fn broken(&mut self, span: YamlSpan, message: &str) -> Broken {
        let at = self.span(span);
        self.stop(at, message)
    }

    fn stop(&mut self, at: Span, message: &str) -> Broken {
        self.refuse(at, Finding::error(Code::YamlSyntax, message));
        Broken
    }

    fn refuse(&mut self, span: Span, finding: Finding) {
        self.out.errors.push(YamlError { finding, span });
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
