//! Types of the fields of JSON lines, from all their lines: one that holds every value exactly, or an error before anything is loaded.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use headwater_engine::Result;
use serde_json::value::RawValue;

use super::data::DataFile;
use super::json::{Line, Lines, Members};
use crate::values::{Digits, digits, is_double};

/// Objects and lists may be nested this deep.
pub(super) const MOST_DEEP: usize = 64;

/// Digits of the widest decimal.
const MOST_DIGITS: usize = 38;

/// What a field is, after the values seen so far.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// NULL in every line.
    Unknown,
    Boolean,
    /// Numbers: what the widest of them needs.
    Number(Number),
    Text,
    List(Box<Kind>),
    Object(Vec<(String, Kind)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Number {
    /// All are integers.
    whole: bool,
    /// All fit into 64 bits.
    small: bool,
    /// A double keeps the digits of each.
    double: bool,
}

/// The schema of all files, from all their lines. Fields of `free` may hold anything; they and those without a value have the type Null.
pub(super) fn schema(files: &[DataFile], free: &dyn Fn(&str) -> bool) -> Result<Schema> {
    let mut fields: Vec<(String, Kind)> = Vec::new();
    for file in files {
        let looked = Lines::open(file).and_then(|mut lines| lines.try_for_each(|line| look(&line?, &mut fields, free)));
        looked.map_err(|error| file.explained(error))?;
    }
    Ok(Schema::new(fields.into_iter().map(|(name, kind)| Field::new(name, kind.data_type(), true)).collect::<Vec<_>>()))
}

fn look(line: &Line, fields: &mut Vec<(String, Kind)>, free: &dyn Fn(&str) -> bool) -> Result<()> {
    for (index, (name, value)) in line.members()?.0.into_iter().enumerate() {
        let place = place(fields, index, &name);
        if free(&name) {
            continue;
        }
        let known = std::mem::replace(&mut fields[place].1, Kind::Unknown);
        fields[place].1 = known.and(value, 0).map_err(|what| {
            line.broken(&format!("field {name}: {what}"))
                .hint(format!("correct the line, or say how the field is read: `columns: {{ {name}: text }}`"))
        })?;
    }
    Ok(())
}

/// Where a field is, which most lines have in the same place. A new one is added.
fn place(fields: &mut Vec<(String, Kind)>, index: usize, name: &str) -> usize {
    if fields.get(index).is_some_and(|field| field.0 == name) {
        return index;
    }
    fields.iter().position(|field| field.0 == name).unwrap_or_else(|| {
        fields.push((name.to_owned(), Kind::Unknown));
        fields.len() - 1
    })
}

impl Kind {
    /// What the field is with one more value.
    fn and(self, value: &RawValue, depth: usize) -> Result<Self, String> {
        let text = value.get();
        if depth > MOST_DEEP {
            return Err(format!("objects and lists are nested more than {MOST_DEEP} deep"));
        }
        let syntax = |error: serde_json::Error| error.to_string();
        Ok(match (text.as_bytes().first(), self) {
            (Some(b'n'), known) => known,
            (Some(b't' | b'f'), Self::Unknown | Self::Boolean) => Self::Boolean,
            (Some(b'"'), Self::Unknown | Self::Text) => Self::Text,
            (Some(b'-' | b'0'..=b'9'), Self::Unknown) => Self::Number(Number::of(text)).checked(text)?,
            (Some(b'-' | b'0'..=b'9'), Self::Number(known)) => {
                Self::Number(known.and(Number::of(text))).checked(text)?
            }
            (Some(b'['), known @ (Self::Unknown | Self::List(_))) => {
                let items: Vec<&RawValue> = serde_json::from_str(text).map_err(syntax)?;
                let known = if let Self::List(item) = known { *item } else { Self::Unknown };
                let item = items.into_iter().try_fold(known, |known, item| known.and(item, depth + 1))?;
                Self::List(Box::new(item))
            }
            (Some(b'{'), known @ (Self::Unknown | Self::Object(_))) => {
                let mut fields = if let Self::Object(fields) = known { fields } else { Vec::new() };
                let Members(members) = serde_json::from_str(text).map_err(syntax)?;
                for (index, (name, value)) in members.into_iter().enumerate() {
                    let place = place(&mut fields, index, &name);
                    let known = std::mem::replace(&mut fields[place].1, Self::Unknown);
                    fields[place].1 = known.and(value, depth + 1).map_err(|what| format!("{name}: {what}"))?;
                }
                Self::Object(fields)
            }
            (_, known) => {
                return Err(format!("{} where lines before have {}", named(text), known.name()));
            }
        })
    }

    /// Numbers that no type holds together are refused.
    fn checked(self, text: &str) -> Result<Self, String> {
        match self {
            Self::Number(Number { whole: false, double: false, .. }) => Err(format!(
                "the number {text} is in a field that has fractions, and a double does not hold all digits of the field"
            )),
            Self::Number(Number { whole: true, small: false, .. })
                if text.trim_start_matches('-').len() > MOST_DIGITS =>
            {
                Err(format!("the number {text} has more than {MOST_DIGITS} digits"))
            }
            fine => Ok(fine),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "nothing",
            Self::Boolean => "a boolean",
            Self::Number(_) => "a number",
            Self::Text => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Unknown => DataType::Null,
            Self::Text => DataType::Utf8,
            Self::Boolean => DataType::Boolean,
            Self::Number(Number { whole: true, small: true, .. }) => DataType::Int64,
            Self::Number(Number { whole: true, .. }) => DataType::Decimal128(38, 0),
            Self::Number(_) => DataType::Float64,
            Self::List(item) => DataType::List(Arc::new(Field::new_list_field(item.data_type(), true))),
            Self::Object(fields) => {
                let field = |(name, kind): (String, Self)| Field::new(name, kind.data_type(), true);
                DataType::Struct(fields.into_iter().map(field).collect())
            }
        }
    }
}

/// What a value is, in words.
fn named(text: &str) -> &'static str {
    match text.as_bytes().first() {
        Some(b't' | b'f') => "a boolean",
        Some(b'"') => "a text",
        Some(b'[') => "a list",
        Some(b'{') => "an object",
        _ => "a number",
    }
}

impl Number {
    fn of(text: &str) -> Self {
        let whole =
            digits(text).is_some_and(|Digits { fraction, exponent, .. }| fraction.is_empty() && exponent.is_none());
        // An integer that is `-0` is kept as a double.
        let whole = whole && text != "-0";
        Self { whole, small: text.parse::<i64>().is_ok(), double: is_double(text) }
    }

    fn and(self, other: Self) -> Self {
        Self { whole: self.whole && other.whole, small: self.small && other.small, double: self.double && other.double }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    fn of(lines: &str) -> Result<Vec<DataType>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        std::fs::write(&path, lines).unwrap();
        let schema = schema(&[DataFile::Local(path)], &|name| name == "typed")?;
        Ok(schema.fields().iter().map(|field| field.data_type().clone()).collect())
    }

    #[test]
    fn a_number_has_the_type_that_holds_the_digits_of_every_line() {
        assert_eq!(of("{\"v\":9007199254740993}\n{\"v\":-1}").unwrap(), [DataType::Int64]);
        assert_eq!(of("{\"v\":1}\n{\"v\":18446744073709551615}").unwrap(), [DataType::Decimal128(38, 0)]);
        assert_eq!(of("{\"v\":1}\n{\"v\":0.1}").unwrap(), [DataType::Float64]);
        assert_eq!(of("{\"v\":[1,null]}\n{\"v\":[]}").unwrap(), of("{\"v\":[2]}").unwrap());
    }

    #[test]
    fn numbers_that_would_be_rounded_are_refused_with_line_and_field() {
        for lines in [
            "{\"v\":0.5}\n{\"v\":9007199254740993}",
            "{\"v\":9007199254740993}\n{\"v\":0.5}",
            "{\"v\":1}\n{\"v\":123456789012345678901234567890.12}",
            "{\"v\":1}\n{\"v\":123456789012345678901234567890123456789012345678901234567890}",
            "{\"v\":1}\n{\"v\":1e400}",
        ] {
            let error = of(lines).unwrap_err();
            assert!(error.message.contains("line 2: field v: the number"), "{lines}: {error}");
            assert!(error.hint.unwrap().contains("columns: { v: text }"));
        }
    }

    #[test]
    fn types_that_do_not_agree_are_refused_with_line_and_field_unless_the_field_is_typed() {
        let error = of("{\"v\":null}\n{\"v\":1}\n{\"v\":\"x\"}").unwrap_err();
        assert!(error.message.contains("line 3: field v: a text where lines before have a number"), "{error}");
        let error = of("{\"v\":{\"a\":1}}\n{\"v\":{\"a\":[1]}}").unwrap_err();
        assert!(error.message.contains("line 2: field v: a: a list where"), "{error}");
        assert_eq!(of("{\"typed\":1}\n{\"typed\":\"x\"}").unwrap(), [DataType::Null]);
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
        let deep = format!("{{\"v\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
        assert!(of(&deep).unwrap_err().message.contains("nested more than"));
    }

    #[test]
    fn a_name_that_is_there_twice_is_refused() {
        assert!(of("{\"a\":1,\"\\u0061\":2}").unwrap_err().message.contains("line 1: the field 'a' is there twice"));
        let many: Vec<String> = (0..40).map(|index| format!("\"k{}\":1", index % 39)).collect();
        assert!(of(&format!("{{{}}}", many.join(","))).unwrap_err().message.contains("'k0' is there twice"));
    }
}
