//! One error type: what happened, what to do about it, and the operation that would help.

use std::fmt::Display;

use headwater_engine::{EngineError, ErrorKind as EngineErrorKind};
use headwater_pipelines::diagnostic::{Diagnostic, Severity, Source};
use headwater_store::{StoreError, StoreErrorKind, Suggest};

/// What a face can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// There is no such thing.
    NotFound,
    /// The request can't be carried out as it stands; a person has to change something.
    Invalid,
    /// The actor lacks the permission.
    Forbidden,
    /// Trying later may succeed.
    Unavailable,
    /// The request was canceled.
    Canceled,
    /// A fault of ours.
    Bug,
}

/// What happened and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct OperationError {
    /// What a face can do.
    pub kind: ErrorKind,
    /// Lower case, without a final stop. Never a secret.
    pub message: String,
    /// The next thing to try, in words.
    pub hint: Option<String>,
    /// The operation that would help.
    pub suggest: Option<Suggest>,
    /// Mistakes in specs or statements, if that is what is wrong.
    pub problems: Box<[Problems]>,
    /// Whether the system asks for a password that nobody gave.
    pub needs_password: bool,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Shorthand for the results of operations.
pub type Result<T, E = OperationError> = std::result::Result<T, E>;

/// What is wrong with one file or statement, with its text.
#[derive(Debug, Clone)]
pub struct Problems {
    /// Name and text.
    pub source: Source,
    /// Findings in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

impl Problems {
    /// How many of them are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()
    }

    /// Text with excerpts, for people.
    pub fn render(&self, color: bool, width: usize) -> String {
        self.source.render(&self.diagnostics, color, width)
    }
}

impl OperationError {
    /// An error of the given kind.
    pub fn new(kind: ErrorKind, message: impl Display) -> Self {
        Self {
            kind,
            message: message.to_string(),
            hint: None,
            suggest: None,
            problems: Box::default(),
            needs_password: false,
            source: None,
        }
    }

    /// See [`ErrorKind::Invalid`].
    pub fn invalid(message: impl Display) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// See [`ErrorKind::NotFound`].
    pub fn not_found(message: impl Display) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// See [`ErrorKind::Bug`].
    pub fn bug(message: impl Display) -> Self {
        Self::new(ErrorKind::Bug, message)
    }

    /// Mistakes in specs or statements.
    pub fn problems(problems: Vec<Problems>) -> Self {
        let errors: usize = problems.iter().map(|file| file.count(Severity::Error)).sum();
        let noun = if errors == 1 { "mistake" } else { "mistakes" };
        Self { problems: problems.into(), ..Self::invalid(format!("{errors} {noun}")) }
    }

    /// Adds the next thing to try.
    #[must_use]
    pub fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Names the operation that would help.
    #[must_use]
    pub fn suggest(mut self, suggest: Suggest) -> Self {
        self.suggest = Some(suggest);
        self
    }
}

impl From<StoreError> for OperationError {
    fn from(error: StoreError) -> Self {
        let kind = match error.kind {
            StoreErrorKind::Unavailable => ErrorKind::Unavailable,
            StoreErrorKind::NotFound => ErrorKind::NotFound,
            StoreErrorKind::Invalid => ErrorKind::Invalid,
            StoreErrorKind::Canceled | StoreErrorKind::Stale => ErrorKind::Canceled,
            StoreErrorKind::Bug => ErrorKind::Bug,
        };
        Self {
            hint: error.hint.clone(),
            suggest: error.suggest.clone(),
            source: error.source,
            ..Self::new(kind, error.message)
        }
    }
}

impl From<EngineError> for OperationError {
    fn from(error: EngineError) -> Self {
        let kind = match error.kind {
            EngineErrorKind::Transient => ErrorKind::Unavailable,
            EngineErrorKind::Config
            | EngineErrorKind::Data
            | EngineErrorKind::Conflict
            | EngineErrorKind::Unseen
            | EngineErrorKind::Gone => ErrorKind::Invalid,
            EngineErrorKind::Canceled => ErrorKind::Canceled,
            EngineErrorKind::Bug => ErrorKind::Bug,
        };
        let needs_password = error.message.contains("password");
        Self { hint: error.hint, needs_password, source: error.source, ..Self::new(kind, error.message) }
    }
}

impl From<serde_json::Error> for OperationError {
    fn from(error: serde_json::Error) -> Self {
        Self { source: Some(Box::new(error)), ..Self::bug("a document can't be written") }
    }
}
