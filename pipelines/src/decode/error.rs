//! What serde finds wrong, with its place and in words for people.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::Step;
use crate::diagnostic::{Code, Finding, nearest};

/// Longer values are not repeated in messages.
const SHOWN: usize = 40;

/// An error with the path that leads to it, innermost step first.
#[derive(Debug)]
pub struct DecodeError {
    pub(super) kind: Mistake,
    pub(super) path: Vec<Step>,
}

/// What is wrong with a value.
#[derive(Debug)]
pub(super) enum Mistake {
    /// A field that is not among these.
    Unknown(&'static [&'static str]),
    /// A field is not there.
    Missing(&'static str),
    /// A value of the wrong type.
    Type { expected: String, found: Found },
    /// A word that is not among these.
    Word { found: String, valid: &'static [&'static str] },
    /// A number that would change.
    Inexact(&'static str),
    /// Anything else.
    Other(String),
}

/// What stands where something else was expected.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    /// A scalar as it is shown, and whether quotes would make it text.
    Scalar {
        shown: String,
        kind: &'static str,
    },
    List,
    Mapping,
}

impl DecodeError {
    fn new(kind: Mistake) -> Self {
        Self { kind, path: Vec::new() }
    }

    pub(super) fn within(mut self, step: impl Into<Step>) -> Self {
        self.path.push(step.into());
        self
    }

    pub(super) fn inexact(reason: &'static str) -> Self {
        Self::new(Mistake::Inexact(reason))
    }

    pub(super) fn not_a_word(found: Unexpected<'_>) -> Self {
        Self::new(Mistake::Type { expected: "a word".to_owned(), found: found_words(found) })
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Mistake::Unknown(_) => f.write_str("unknown field"),
            Mistake::Missing(field) => write!(f, "missing field {field}"),
            Mistake::Type { expected, .. } => write!(f, "expected {expected}"),
            Mistake::Word { valid, .. } => write!(f, "expected one of {}", valid.join(", ")),
            Mistake::Inexact(reason) => f.write_str(reason),
            Mistake::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Mistake::Other(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Mistake::Type { expected: expected_words(&expected.to_string()), found: found_words(found) })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = expected.to_string();
        let expected = range_words(&expected).map_or_else(|| expected_words(&expected), str::to_owned);
        Self::new(Mistake::Type { expected, found: found_words(found) })
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Mistake::Unknown(expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Mistake::Missing(field))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Mistake::Word { found: variant.to_owned(), valid: expected })
    }
}

/// Serde's expectations in the words of specs.
fn expected_words(expected: &str) -> String {
    let words = match expected {
        "a string" | "a borrowed string" => "text",
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a map" => "a mapping",
        "a sequence" => "a list",
        "struct Task" => "a task such as { wait: 10s }",
        "struct Spec" => "the fields of a spec such as `name` and `tasks`",
        other if other.starts_with("struct ") || other.starts_with("internally tagged") => "a mapping of fields",
        other => other,
    };
    words.to_owned()
}

/// Numbers have the right type and too large or too small a value.
fn range_words(expected: &str) -> Option<&'static str> {
    Some(match expected {
        "u32" => "a whole number from 0 to 4294967295",
        "i32" => "a whole number from -2147483648 to 2147483647",
        "u64" | "usize" => "a whole number of at least 0",
        "i64" => "a whole number of at most 9223372036854775807",
        _ => return None,
    })
}

fn found_words(found: Unexpected<'_>) -> Found {
    let scalar = |shown: String, kind: &'static str| Found::Scalar { shown, kind };
    match found {
        Unexpected::Unit | Unexpected::Option => Found::Nothing,
        Unexpected::Seq => Found::List,
        Unexpected::Map => Found::Mapping,
        Unexpected::Bool(value) => scalar(value.to_string(), "true or false"),
        Unexpected::Unsigned(number) => scalar(number.to_string(), "a number"),
        Unexpected::Signed(number) => scalar(number.to_string(), "a number"),
        Unexpected::Float(number) => scalar(number.to_string(), "a number"),
        Unexpected::Str(text) => scalar(shortened(text), "text"),
        other => scalar(other.to_string(), "something else"),
    }
}

fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("'{shown}'")
}

impl DecodeError {
    /// What is wrong, for people. Values of connections may be secrets and are never shown.
    pub(super) fn finding(&self, path: &[Step]) -> Finding {
        let name = name_of(path);
        let is_secret = path.first() == Some(&Step::from("connections"));
        match &self.kind {
            Mistake::Unknown(valid) => {
                let wrong = match path.last() {
                    Some(Step::Key(key)) => key.as_str(),
                    _ => "",
                };
                let finding = Finding::error(Code::UnknownField, format!("there is no field '{wrong}' here"));
                finding.nearest(wrong, valid.iter().copied())
            }
            Mistake::Missing(field) => Finding::error(Code::MissingField, format!("{name} needs the field '{field}'")),
            Mistake::Type { expected, found } => mistyped(path, &name, expected, found, is_secret),
            Mistake::Word { found, valid } => {
                let message = format!("{name}: expected one of {}, found {}", valid.join(", "), shortened(found));
                let finding = Finding::error(Code::WrongType, message);
                match nearest(found, valid.iter().copied()) {
                    Some(_) => finding.nearest(found, valid.iter().copied()),
                    None => finding,
                }
            }
            Mistake::Inexact(reason) => Finding::error(Code::WrongType, format!("{name}: {reason}"))
                .hint("put it in quotes if it is text; round it if it is a number"),
            Mistake::Other(message) => Finding::error(Code::WrongType, format!("{name}: {message}")),
        }
    }
}

fn mistyped(path: &[Step], name: &str, expected: &str, found: &Found, is_secret: bool) -> Finding {
    let expected = match path.last() {
        Some(Step::Key(key)) if expected == "a mapping" => match key.as_str() {
            "tasks" | "group" => "task names",
            "connections" => "connection names",
            "params" => "parameter names",
            _ => expected,
        },
        _ => expected,
    };
    let found_word = match found {
        Found::Nothing => {
            let name = name.replace('\'', "`");
            return Finding::error(Code::WrongType, format!("{name} is empty: expected {expected}"));
        }
        Found::Scalar { kind, .. } if is_secret => (*kind).to_owned(),
        Found::Scalar { shown, .. } => shown.clone(),
        Found::List => "a list".to_owned(),
        Found::Mapping => "a mapping".to_owned(),
    };
    let finding = Finding::error(Code::WrongType, format!("{name}: expected {expected}, found {found_word}"));
    match found {
        Found::Scalar { kind: "a number" | "true or false", .. } if expected == "text" => {
            finding.hint("put it in quotes if it is text")
        }
        _ => finding,
    }
}

/// The value at a path, as messages call it.
fn name_of(path: &[Step]) -> String {
    match path {
        [.., Step::Key(key)] => format!("'{key}'"),
        [.., Step::Key(key), Step::Index(index)] => format!("item {} of '{key}'", index + 1),
        [.., Step::Index(index)] => format!("item {}", index + 1),
        [] => "the file".to_owned(),
    }
}
