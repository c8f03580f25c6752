//! Writes JSON as Postgres does.

use std::fmt::Write as _;

use super::numbers;
use super::value::Value;

/// A text in double quotes.
pub(super) fn quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// The text of a value.
pub(super) fn text(value: &Value) -> String {
    let mut out = String::new();
    written(value, &mut out);
    out
}

/// A value as `->>` gives it: a text as it is, and nothing for null.
pub(super) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Text(text) => Some(text.clone()),
        other => Some(text(other)),
    }
}

fn written(value: &Value, out: &mut String) {
    match value {
        Value::Array(elements) => {
            out.push('[');
            for (place, element) in elements.iter().enumerate() {
                out.push_str(if place == 0 { "" } else { ", " });
                written(element, out);
            }
            out.push(']');
        }
        Value::Object(pairs) => {
            out.push('{');
            for (place, (key, value)) in pairs.iter().enumerate() {
                out.push_str(if place == 0 { "" } else { ", " });
                quoted(key, out);
                out.push_str(": ");
                written(value, out);
            }
            out.push('}');
        }
        scalar => one(scalar, out),
    }
}

fn one(value: &Value, out: &mut String) {
    match value {
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(number),
        Value::Text(text) => quoted(text, out),
        _ => out.push_str("null"),
    }
}

/// `jsonb_pretty`: a line for each member, four blanks for each level.
pub(super) fn pretty(value: &Value) -> String {
    let mut out = String::new();
    lines(value, 0, &mut out);
    out
}

fn line(level: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', 4 * level));
}

fn lines(value: &Value, level: usize, out: &mut String) {
    let comma = |place: usize| if place == 0 { "" } else { "," };
    match value {
        Value::Array(elements) => {
            out.push('[');
            for (place, element) in elements.iter().enumerate() {
                out.push_str(comma(place));
                line(level + 1, out);
                lines(element, level + 1, out);
            }
            line(level, out);
            out.push(']');
        }
        Value::Object(pairs) => {
            out.push('{');
            for (place, (key, value)) in pairs.iter().enumerate() {
                out.push_str(comma(place));
                line(level + 1, out);
                quoted(key, out);
                out.push_str(": ");
                lines(value, level + 1, out);
            }
            line(level, out);
            out.push('}');
        }
        scalar => one(scalar, out),
    }
}

/// A text that is equal for equal values: numbers are without zeros at their end.
pub(super) fn key(value: Value) -> String {
    fn bare(value: Value) -> Value {
        match value {
            Value::Number(number) => Value::Number(numbers::bare(&number).to_owned()),
            Value::Array(elements) => Value::Array(elements.into_iter().map(bare).collect()),
            Value::Object(pairs) => Value::Object(pairs.into_iter().map(|(key, value)| (key, bare(value))).collect()),
            other => other,
        }
    }
    text(&bare(value))
}
