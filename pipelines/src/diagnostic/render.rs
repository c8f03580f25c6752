//! Diagnostics for a terminal, each with the lines it refers to.

use std::fmt;

use super::shown::inert;
use super::{Diagnostic, Severity, Source, shown, shown_lines};

impl Source {
    /// Renders diagnostics for a terminal. Of escape sequences it holds colours alone, and those are its own.
    pub fn render(&self, diagnostics: &[Diagnostic], color: bool, width: usize) -> String {
        let theme = if color { miette::GraphicalTheme::unicode() } else { miette::GraphicalTheme::unicode_nocolor() };
        let handler =
            miette::GraphicalReportHandler::new_themed(theme).with_width(width).with_context_lines(1).with_links(false);
        let named = miette::NamedSource::new(shown(&self.name), inert(&self.text)).with_language("YAML");
        let mut out = String::new();
        for diagnostic in diagnostics {
            let report = Report { diagnostic, source: &named, is_bare: self.text.is_empty() };
            // Writing into a String can't fail.
            let _ = handler.render_report(&mut out, &report);
        }
        out
    }
}

/// The form that miette renders.
#[derive(Debug)]
struct Report<'a> {
    diagnostic: &'a Diagnostic,
    source: &'a miette::NamedSource<String>,
    is_bare: bool,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.diagnostic.message))
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
        self.diagnostic.hint.as_ref().map(|hint| Box::new(shown_lines(hint)) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        // Of some files no text is kept.
        (!self.is_bare).then_some(self.source as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        if self.is_bare {
            return None;
        }
        let span = self.diagnostic.span();
        let label = miette::LabeledSpan::new_with_span(None, (span.start, span.len().max(1)));
        Some(Box::new(std::iter::once(label)))
    }
}
