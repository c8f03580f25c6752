//! What is wrong with a spec, where, and what to do: one type for structure, names, SQL and schemas.

use std::fmt;

use serde::Serialize;

use crate::yaml::{self, Span};

mod codes;

pub use codes::Code;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The pipeline can't run.
    Error,
    /// It can; a person should look.
    Warning,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnostic {
    /// What kind of finding; `headwater explain CODE` says more.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, lower case, without a final stop.
    pub message: String,
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where it stands, in bytes of the source.
    #[serde(skip)]
    pub span: Span,
}

/// A finding without its place; [`Source::at`] gives it one.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What kind of finding.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Finding {
    /// An error.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, message: message.into(), hint: None }
    }

    /// A warning.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the nearest of the valid names, or lists them when none is near.
    #[must_use]
    pub fn nearest<'a>(self, wrong: &str, valid: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest_hint(wrong, valid) {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }
}

/// A spec's name and text, which give findings their places.
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
        let (line, column) = yaml::position(&self.text, span.start);
        let Finding { code, severity, message, hint } = finding;
        Diagnostic { code, severity, message, file: self.name.clone(), line, column, hint, span }
    }

    /// Renders diagnostics for a terminal, each with the lines it speaks of.
    pub fn render(&self, diagnostics: &[Diagnostic], color: bool, width: usize) -> String {
        let theme = if color { miette::GraphicalTheme::unicode() } else { miette::GraphicalTheme::unicode_nocolor() };
        let handler =
            miette::GraphicalReportHandler::new_themed(theme).with_width(width).with_context_lines(1).with_links(false);
        let named = miette::NamedSource::new(&self.name, self.text.clone()).with_language("YAML");
        let mut out = String::new();
        for diagnostic in diagnostics {
            let report = Report { diagnostic, source: &named };
            // Writing into a String can't fail.
            let _ = handler.render_report(&mut out, &report);
        }
        out
    }
}

/// Sorts by place and drops repetitions, so that output is stable and a mistake is told once.
pub fn tidy(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by(|a, b| (a.span.start, a.code, &a.message).cmp(&(b.span.start, b.code, &b.message)));
    diagnostics.dedup_by(|a, b| a.span.start == b.span.start && a.code == b.code && a.message == b.message);
}

/// Whether any of them stops the pipeline.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

/// "did you mean …" or, failing that, the list of valid names.
pub fn nearest_hint<'a>(wrong: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<String> {
    /// More names than this are not listed.
    const LISTED: usize = 12;
    let mut names: Vec<&str> = valid.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    let lower = wrong.to_lowercase();
    let near = names
        .iter()
        .map(|name| (strsim::jaro_winkler(&lower, &name.to_lowercase()), *name))
        .filter(|(score, _)| *score >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((_, name)) => Some(format!("did you mean '{name}'?")),
        None if names.is_empty() => None,
        None if names.len() <= LISTED => Some(format!("valid names are {}", names.join(", "))),
        None => Some(format!("valid names are {} and {} more", names[..LISTED].join(", "), names.len() - LISTED)),
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {} [{}]", self.file, self.line, self.column, self.message, self.code)?;
        self.hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
    }
}

/// The form miette renders.
#[derive(Debug)]
struct Report<'a> {
    diagnostic: &'a Diagnostic,
    source: &'a miette::NamedSource<String>,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.diagnostic.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.diagnostic.hint.as_ref().map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        let span = &self.diagnostic.span;
        let label = miette::LabeledSpan::new_with_span(None, (span.start, span.len().max(1)));
        Some(Box::new(std::iter::once(label)))
    }
}
