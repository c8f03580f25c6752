//! How a command fails: what happened, what to do, the exit code.

use std::fmt;
use std::process::ExitCode;

use headwater_engine::EngineError;
use headwater_store::StoreError;

/// An error that has been shown already; only the exit code is left.
#[derive(Debug)]
pub(crate) struct Shown;

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("already reported")
    }
}

impl std::error::Error for Shown {}

/// Something the user can mend, with what to do about it.
#[derive(Debug)]
pub(crate) struct Hinted {
    message: String,
    hint: String,
}

/// An error with what to do about it.
pub(crate) fn hinted(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Hinted { message: message.into(), hint: hint.into() })
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Hinted {}

/// Prints an error with its hint on standard error.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if error.downcast_ref::<Shown>().is_none() {
        crate::output::error_line(&format!("error: {error}"));
        for cause in error.chain().skip(1).take(3) {
            let text = cause.to_string();
            if !error.to_string().contains(&text) {
                crate::output::error_line(&format!("  caused by: {text}"));
            }
        }
        if let Some(hint) = hint(error) {
            crate::output::error_line(&format!("  try: {hint}"));
        }
    }
    ExitCode::from(1)
}

fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<EngineError>() {
            return error.hint.clone();
        }
        if let Some(error) = cause.downcast_ref::<StoreError>() {
            return error.hint.clone();
        }
        cause.downcast_ref::<Hinted>().map(|error| error.hint.clone())
    })
}
