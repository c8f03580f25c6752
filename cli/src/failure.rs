//! How a command fails: what happened, what to do, the exit code.

use std::fmt;
use std::process::ExitCode;

use headwater_operations::{OperationError, Problems};
use headwater_pipelines::diagnostic::Severity;

use crate::{output, words};

/// An error that has been shown already; only the exit code is left.
#[derive(Debug)]
pub(crate) struct Shown;

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("already reported")
    }
}

impl std::error::Error for Shown {}

/// Something the user can correct, with what to do about it.
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

/// Prints an error with its hint on standard error. A reader that closed its pipe ends the command quietly, as other tools do.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if output::pipe_is_closed() {
        return ExitCode::from(output::PIPE_CLOSED);
    }
    let problems = operation(error).map(|error| error.problems.as_ref()).unwrap_or_default();
    if !problems.is_empty() {
        show_problems(problems);
    } else if error.downcast_ref::<Shown>().is_none() {
        output::error_of("error: ", &error.to_string());
        let mut said = error.to_string();
        for cause in error.chain().skip(1).take(3) {
            let text = cause.to_string();
            if !said.contains(&text) {
                output::error_of("  caused by: ", &text);
                said.push_str(&text);
            }
        }
        show_hints(error);
    }
    ExitCode::from(1)
}

/// Prints what is wrong with each file, and counts it.
pub(crate) fn show_problems(problems: &[Problems]) {
    let count = |severity: Severity| problems.iter().map(|file| file.count(severity)).sum::<usize>();
    problems.iter().filter(|file| !file.diagnostics.is_empty()).for_each(output::findings);
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if errors + warnings > 0 {
        output::error_line(&format!("{}, {}", output::plural(errors, "error"), output::plural(warnings, "warning")));
    }
}

fn operation(error: &anyhow::Error) -> Option<&OperationError> {
    error.chain().find_map(|cause| cause.downcast_ref::<OperationError>())
}

/// What to do, in words, and the command that does it.
fn show_hints(error: &anyhow::Error) {
    let hinted = error.chain().find_map(|cause| cause.downcast_ref::<Hinted>());
    let (hint, suggest) = match operation(error) {
        Some(error) => (error.hint.as_ref(), error.suggest.as_ref()),
        None => (hinted.map(|error| &error.hint), None),
    };
    hint.iter().for_each(|hint| output::error_of("  hint: ", hint));
    suggest.iter().for_each(|suggest| output::error_of("  try: ", &words::suggestion(suggest)));
}
