//! A spec as a file: its text, its typed form and the place of every value.

use crate::decode::{self, Step};
use crate::diagnostic::{Code, Diagnostic, Finding, Source, tidy};
use crate::spec::Spec;
use crate::yaml::{self, Node, Span};

/// A spec that was read from text.
#[derive(Debug, Clone)]
pub struct Document {
    /// Name and text.
    pub source: Source,
    /// The typed form of everything that could be read; `None` if the file is beyond that.
    pub spec: Option<Spec>,
    /// What was wrong with it.
    pub diagnostics: Vec<Diagnostic>,
    tree: Option<Node>,
}

impl Document {
    /// Reads a spec. Mistakes end up in `diagnostics`, all of them.
    pub fn read(name: impl Into<String>, text: impl Into<String>) -> Self {
        let source = Source { name: name.into(), text: text.into() };
        let (tree, errors) = yaml::read(&source.text);
        let mut diagnostics: Vec<Diagnostic> = errors
            .into_iter()
            .map(|error| {
                let code = if error.duplicate { Code::DuplicateKey } else { Code::YamlSyntax };
                source.at(error.span, Finding::error(code, error.message))
            })
            .collect();
        let Some(mut tree) = tree else {
            if diagnostics.is_empty() {
                let finding = Finding::error(Code::MissingField, "the file is empty")
                    .hint("a spec needs at least `name` and `tasks`");
                diagnostics.push(source.at(0..0, finding));
            }
            return Self { source, spec: None, diagnostics, tree: None };
        };
        let (spec, findings) = decode::decode(&mut tree);
        diagnostics.extend(findings.into_iter().map(|(span, finding)| source.at(span, finding)));
        tidy(&mut diagnostics);
        Self { source, spec, diagnostics, tree: Some(tree) }
    }

    /// Gives a finding the place of the value at a path, or of the nearest parent that is there.
    pub fn at(&self, path: &[Step], finding: Finding) -> Diagnostic {
        self.source.at(self.span(path), finding)
    }

    /// Gives a finding the place of the key at the end of a path.
    pub fn at_key(&self, path: &[Step], finding: Finding) -> Diagnostic {
        let span = self.tree.as_ref().and_then(|tree| decode::find_key(tree, path)).cloned();
        self.source.at(span.unwrap_or_else(|| self.span(path)), finding)
    }

    /// Gives a finding a place inside the text of the scalar at a path: line and column from 1, as SQL parsers count.
    pub fn at_text(&self, path: &[Step], line: u64, column: u64, length: usize, finding: Finding) -> Diagnostic {
        let Some(node) = self.tree.as_ref().and_then(|tree| decode::find(tree, path)) else {
            return self.at(path, finding);
        };
        let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let start = yaml::locate_in_scalar(&self.source.text, node, number(line), number(column));
        let end = self.source.text.ceil_char_boundary((start + length).min(self.source.text.len()));
        self.source.at(start..end.max(start), finding)
    }

    fn span(&self, path: &[Step]) -> Span {
        let Some(tree) = &self.tree else { return 0..0 };
        (0..=path.len())
            .rev()
            .find_map(|length| decode::find(tree, &path[..length]))
            .map_or(0..0, |node| node.span.clone())
    }
}
