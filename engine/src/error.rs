//! One error type for everything that moves data. Its kind says what the caller can do about it.

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;

/// What the caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The same attempt may succeed later: the network, a lock, a restarting server.
    Transient,
    /// A person has to change a spec, a connection, a privilege or a table.
    Config,
    /// A row or value does not fit; trying again changes nothing.
    Data,
    /// Another writer won in a way that needs the work to be planned again.
    Conflict,
    /// A source has shown a column that nobody knew of when the load was planned; it knows now.
    Unseen,
    /// A staged dataset that the stage reads is no longer there; a rerun makes it again.
    Gone,
    /// The run was canceled or its lease is gone.
    Canceled,
    /// A fault of ours.
    Bug,
}

impl ErrorKind {
    /// Whether the retry policy of a stage applies.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Transient | Self::Conflict | Self::Unseen)
    }
}

/// What happened, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    /// What the caller can do.
    pub kind: ErrorKind,
    /// Lower case, without a final stop; names connection, table, column and row where they are known. Never a secret.
    pub message: String,
    /// The next thing to try.
    pub hint: Option<String>,
    /// The path of the task at fault, where it is known.
    pub task: Option<String>,
    /// The option of a connection at fault, where it is known, e.g. `options.region`.
    pub setting: Option<String>,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Shorthand for the engine's results.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;

impl EngineError {
    /// An error of the given kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, task: None, setting: None, source: None }
    }

    /// See [`ErrorKind::Transient`].
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Transient, message)
    }

    /// See [`ErrorKind::Config`].
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// See [`ErrorKind::Data`].
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, message)
    }

    /// See [`ErrorKind::Canceled`].
    pub fn canceled(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Canceled, message)
    }

    /// See [`ErrorKind::Bug`].
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Bug, message)
    }

    /// Adds the next thing to try.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the task at fault, unless it is already named.
    #[must_use]
    pub fn in_task(mut self, task: &str) -> Self {
        self.task.get_or_insert_with(|| task.to_owned());
        self
    }

    /// Names the option of a connection at fault.
    #[must_use]
    pub fn at_setting(mut self, setting: impl Into<String>) -> Self {
        self.setting = Some(setting.into());
        self
    }

    /// An error to tell in a second place, without its cause.
    pub fn copy_of(error: &DataFusionError) -> Self {
        find_own(error).unwrap_or_else(|| Self::data(error.strip_backtrace()))
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// Our own errors travel through DataFusion as external errors and come out whole.
impl From<EngineError> for DataFusionError {
    fn from(error: EngineError) -> Self {
        DataFusionError::External(Box::new(error))
    }
}

impl From<DataFusionError> for EngineError {
    fn from(error: DataFusionError) -> Self {
        unwrap_own(error).unwrap_or_else(|error| {
            let kind = match error.find_root() {
                DataFusionError::ResourcesExhausted(_) => ErrorKind::Config,
                DataFusionError::Internal(_) => ErrorKind::Bug,
                DataFusionError::IoError(_) | DataFusionError::ObjectStore(_) => ErrorKind::Transient,
                _ => ErrorKind::Data,
            };
            let (message, hint) = match (value_error(&error), kind) {
                (Some((message, hint)), _) => (message, Some(hint)),
                (None, ErrorKind::Config) => (error.strip_backtrace(), Some(MORE_MEMORY)),
                (None, _) => (error.strip_backtrace(), None),
            };
            let error = EngineError::new(kind, message).caused_by(error);
            EngineError { hint: hint.map(str::to_owned), ..error }
        })
    }
}

/// What helps where memory is exhausted and nothing can spill.
const MORE_MEMORY: &str = "give the process more memory (memory_mb), or fewer slots, so that each stage has more of it";

/// What is wrong with a value that an expression met, and how a statement deals with it.
fn value_error(error: &DataFusionError) -> Option<(String, &'static str)> {
    let DataFusionError::ArrowError(error, _) = error.find_root() else { return None };
    let avoid = "TRY_CAST makes NULL of such a value; a WHERE before it leaves its row out";
    match error.as_ref() {
        ArrowError::CastError(message) | ArrowError::ParseError(message) => Some((message.clone(), avoid)),
        ArrowError::DivideByZero => {
            Some(("a row divides by zero".to_owned(), "write NULLIF(divisor, 0), which makes the result NULL"))
        }
        ArrowError::ArithmeticOverflow(message) => {
            Some((format!("a result is too large for its type: {message}"), "cast an operand to a wider type first"))
        }
        _ => None,
    }
}

/// Finds an [`EngineError`] under the wrappers that DataFusion puts around it.
fn unwrap_own(error: DataFusionError) -> std::result::Result<EngineError, DataFusionError> {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<EngineError>() {
            Ok(own) => Ok(*own),
            Err(inner) => match inner.downcast::<DataFusionError>() {
                Ok(nested) => unwrap_own(*nested),
                Err(inner) => Err(DataFusionError::External(inner)),
            },
        },
        DataFusionError::Context(context, inner) => {
            unwrap_own(*inner).map_err(|inner| DataFusionError::Context(context, Box::new(inner)))
        }
        DataFusionError::Diagnostic(diagnostic, inner) => {
            unwrap_own(*inner).map_err(|inner| DataFusionError::Diagnostic(diagnostic, Box::new(inner)))
        }
        DataFusionError::Shared(inner) => match std::sync::Arc::try_unwrap(inner) {
            Ok(inner) => unwrap_own(inner),
            Err(shared) => match find_own(&shared) {
                Some(own) => Ok(own),
                None => Err(DataFusionError::Shared(shared)),
            },
        },
        DataFusionError::ArrowError(inner, backtrace) => match *inner {
            ArrowError::ExternalError(inner) => unwrap_own(DataFusionError::External(inner)),
            inner => Err(DataFusionError::ArrowError(Box::new(inner), backtrace)),
        },
        // A reader of Parquet, for one, keeps it as a cause of causes.
        other => find_own(&other).ok_or(other),
    }
}

/// A copy of our error below one whose cause can't be taken.
fn find_own(error: &DataFusionError) -> Option<EngineError> {
    let mut current: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = current {
        if let Some(own) = error.downcast_ref::<EngineError>() {
            return Some(EngineError {
                kind: own.kind,
                message: own.message.clone(),
                hint: own.hint.clone(),
                setting: own.setting.clone(),
                task: own.task.clone(),
                source: None,
            });
        }
        current = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_an_expression_cannot_take_is_reported_without_wrappers_and_with_a_way_out() {
        let cast =
            DataFusionError::from(ArrowError::CastError("Cannot cast string 'x' to value of Int64 type".to_owned()));
        let error = EngineError::from(cast.context("projecting"));
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ErrorKind::Data, "Cannot cast string 'x' to value of Int64 type")
        );
        assert!(error.hint.is_some_and(|hint| hint.contains("TRY_CAST")));
        let error = EngineError::from(DataFusionError::from(ArrowError::DivideByZero));
        assert_eq!(error.message, "a row divides by zero");
    }
}
