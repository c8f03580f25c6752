//! What is wrong with a spec, where, and how to correct it: one type for structure, names, SQL and schemas.

use std::fmt;

use serde::Serialize;

use crate::path::TaskPath;
use crate::yaml::{self, Span};

mod codes;
mod nearest;
mod render;
mod shown;

pub use codes::Code;
pub use nearest::{nearest, nearest_hint};
pub use shown::{acts, shown, shown_lines};

/// Tables that a message names.
const NAMED: usize = 3;

/// How severe a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The pipeline can't run.
    Error,
    /// The pipeline can run, and a person should look.
    Warning,
}

/// A place in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Bytes from the start of the file.
    pub offset: usize,
}

/// A change of the source that corrects a mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replacement {
    /// The first character that is replaced.
    pub start: Position,
    /// The first character that is kept again.
    pub end: Position,
    /// What takes their place.
    pub text: String,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnostic {
    /// What kind of finding; `headwater explain CODE` says more.
    pub code: Code,
    /// How severe it is.
    pub severity: Severity,
    /// What is wrong, lower case, without a final stop.
    pub message: String,
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How to correct it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where the faulty text starts.
    pub start: Position,
    /// Where it ends, exclusive.
    pub end: Position,
    /// The task it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskPath>,
    /// Changes of the source that follow the hint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replacements: Vec<Replacement>,
    /// Set for tasks that were made of one that was written: the message begins with the tables.
    #[serde(skip)]
    of_tables: Option<Box<OfTables>>,
}

/// One finding about several tables of one extract.
#[derive(Debug, Clone, PartialEq)]
struct OfTables {
    tables: Vec<String>,
    /// The message without them.
    message: String,
}

impl Diagnostic {
    /// The same about one table of several that one text stands for.
    pub(crate) fn of_table(mut self, table: &str) -> Self {
        self.of_tables = Some(Box::new(OfTables { tables: vec![table.to_owned()], message: self.message.clone() }));
        self.name_tables();
        self
    }

    /// What is wrong, without the tables that it is about.
    fn plain_message(&self) -> &str {
        self.of_tables.as_ref().map_or(&self.message, |of| &of.message)
    }

    /// Takes up the same finding about another table; of any other finding nothing.
    fn absorb(&mut self, other: &Self) -> bool {
        if (self.start.offset, self.code, self.plain_message())
            != (other.start.offset, other.code, other.plain_message())
        {
            return false;
        }
        match (&mut self.of_tables, &other.of_tables) {
            (Some(own), Some(more)) => {
                for table in &more.tables {
                    if !own.tables.contains(table) {
                        own.tables.push(table.clone());
                    }
                }
                self.name_tables();
            }
            (None, None) => {}
            _ => return false,
        }
        true
    }

    fn name_tables(&mut self) {
        let Some(of) = &self.of_tables else { return };
        let names = of.tables.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        self.message = match of.tables.len() {
            1 => format!("table {names}: {}", of.message),
            all if all <= NAMED => format!("tables {names}: {}", of.message),
            all => format!("tables {names} and {} more: {}", all - NAMED, of.message),
        };
    }

    /// The faulty text, in bytes of the source.
    pub fn span(&self) -> Span {
        self.start.offset..self.end.offset
    }
}

/// A finding without its place; [`Source::at`] gives it one.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What kind of finding.
    pub code: Code,
    /// How severe it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// How to correct it.
    pub hint: Option<String>,
    /// A word of the source and the word that is probably meant. Boxed: few findings have one, and results carry findings.
    pub correction: Option<Box<Correction>>,
}

/// A word of the source and the word that is probably meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// The word as written.
    pub wrong: String,
    /// The word that is probably meant.
    pub right: String,
}

impl Finding {
    /// An error.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, message: message.into(), hint: None, correction: None }
    }

    /// A warning.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Adds how to correct it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the nearest of the valid names, or lists them when none is near.
    #[must_use]
    pub fn nearest<'a>(mut self, wrong: &str, valid: impl IntoIterator<Item = &'a str>) -> Self {
        let valid: Vec<&str> = valid.into_iter().take(nearest::COMPARED).collect();
        let right = nearest(wrong, valid.iter().copied());
        if let Some(right) = right {
            self.correction = Some(Box::new(Correction { wrong: wrong.to_owned(), right: right.to_owned() }));
        }
        match nearest::hint(right, valid) {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }
}

/// A file's name and text, which give findings their places.
#[derive(Debug, Clone)]
pub struct Source {
    /// Name of the file as the user gave it.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// Gives a finding its place.
    pub fn at(&self, span: Span, finding: Finding) -> Diagnostic {
        let Finding { code, severity, message, hint, correction } = finding;
        let start = self.position(span.start);
        let end = self.position_from(start, span.end);
        let replacements =
            correction.and_then(|correction| self.replacement(start, &span, *correction)).into_iter().collect();
        Diagnostic {
            code,
            severity,
            message,
            file: self.name.clone(),
            line: start.line,
            column: start.column,
            hint,
            start,
            end,
            task: None,
            replacements,
            of_tables: None,
        }
    }

    fn position(&self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset.min(self.text.len()));
        let (line, column) = yaml::position(&self.text, offset);
        Position { line, column, offset }
    }

    /// A place at or behind another one, without reading all that stands before.
    fn position_from(&self, start: Position, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset.min(self.text.len()));
        let Some(between) = self.text.get(start.offset..offset) else { return start };
        let (line, column) = yaml::position(between, between.len());
        let column = if line == 1 { start.column + column - 1 } else { column };
        Position { line: start.line + line - 1, column, offset }
    }

    /// The change that puts the right word in the place of the wrong one, if the source shows the word as such.
    fn replacement(&self, first: Position, span: &Span, correction: Correction) -> Option<Replacement> {
        let plain = |c: char| c.is_alphanumeric() || c == '_';
        let Correction { wrong, right } = correction;
        // A word with other characters might need quotes, in YAML or in SQL.
        if wrong.is_empty() || !right.chars().all(|c| plain(c) || c == '-' || c == '/') {
            return None;
        }
        let text = self.text.get(span.clone())?;
        let at = text.match_indices(wrong.as_str()).map(|(at, _)| at).find(|at| {
            let before = text[..*at].chars().next_back();
            let behind = text[at + wrong.len()..].chars().next();
            !before.is_some_and(plain) && !behind.is_some_and(plain)
        })?;
        let start = self.position_from(first, span.start + at);
        Some(Replacement { start, end: self.position_from(start, start.offset + wrong.len()), text: right })
    }
}

/// Sorts by place and drops repetitions, so that output is stable and a mistake is reported once; one that several tables of an extract share becomes one that names
/// them.
pub fn tidy(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics
        .sort_by(|a, b| (a.start.offset, a.code, a.plain_message()).cmp(&(b.start.offset, b.code, b.plain_message())));
    diagnostics.dedup_by(|later, first| first.absorb(later));
}

/// Whether any of them prevents the pipeline from running.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {} [{}]", self.file, self.line, self.column, self.message, self.code)?;
        self.hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn source(text: &str) -> Source {
        Source { name: "f.yaml".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_diagnostic_says_where_the_faulty_text_ends_and_what_replaces_it() {
        let finding = Finding::error(Code::UnknownConnection, "no connection 'shp'").nearest("shp", ["shop", "lake"]);
        let told = source("ä: 1\nfrom: shp.orders\n").at(12..22, finding);
        let json = serde_json::to_value(&told).unwrap();
        assert_eq!(json["start"], serde_json::json!({ "line": 2, "column": 7, "offset": 12 }));
        assert_eq!(json["end"], serde_json::json!({ "line": 2, "column": 17, "offset": 22 }));
        assert_eq!(
            json["replacements"],
            serde_json::json!([{
                "start": { "line": 2, "column": 7, "offset": 12 },
                "end": { "line": 2, "column": 10, "offset": 15 },
                "text": "shop"
            }])
        );
    }

    #[test]
    fn a_word_inside_another_word_is_not_replaced() {
        let finding = Finding::error(Code::UnknownName, "no task 'ord'").nearest("ord", ["orb"]);
        assert!(source("SELECT orders").at(0..13, finding).replacements.is_empty());
    }
}
