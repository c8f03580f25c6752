//! From a YAML tree to typed values, reporting every mistake of a file instead of the first.
//!
//! Serde stops at the first error. Here the error carries the path of the offending entry; the entry is taken out of the
//! tree and reading starts again, until it succeeds. What is left standing is checked further, so that one mistake does
//! not hide the others, and a field that is missing only because its value was taken out is not reported again.

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use crate::diagnostic::{Code, Finding};
use crate::yaml::{Entry, Node, Span, Value};

/// One step of a path into the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A mapping's key.
    Key(String),
    /// A list's index.
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// Reads a value, taking what can't be read out of `tree`. `None` only if the root itself can't be read.
pub fn decode<T: DeserializeOwned>(tree: &mut Node) -> (Option<T>, Vec<(Span, Finding)>) {
    let mut findings = Vec::new();
    let mut removed: Vec<Vec<Step>> = Vec::new();
    loop {
        let error = match T::deserialize(&*tree) {
            Ok(value) => return (Some(value), findings),
            Err(error) => error,
        };
        let mut path: Vec<Step> = error.path.iter().rev().cloned().collect();
        let missing = match &error.kind {
            Kind::Missing(field) => Some(path.iter().cloned().chain([Step::from(*field)]).collect::<Vec<_>>()),
            _ => None,
        };
        if !missing.is_some_and(|path| removed.contains(&path)) {
            findings.push(describe(tree, &path, &error));
        }
        if path.is_empty() || !remove(tree, &path) {
            return (None, findings);
        }
        // Items behind a removed one move up: forget what was removed from the same list, its names mean others now.
        if matches!(path.last(), Some(Step::Index(_))) {
            path.pop();
            removed.retain(|other| !other.starts_with(&path));
        } else {
            removed.push(path);
        }
    }
}

/// The node at a path.
pub fn find<'a>(tree: &'a Node, path: &[Step]) -> Option<&'a Node> {
    path.iter().try_fold(tree, |node, step| match (step, &node.value) {
        (Step::Key(key), Value::Mapping(entries)) => {
            entries.iter().find(|entry| entry.key == *key).map(|entry| &entry.node)
        }
        (Step::Index(index), Value::Sequence(items)) => items.get(*index),
        _ => None,
    })
}

/// Where the key at the end of a path stands; the value itself for a list's item.
pub fn find_key<'a>(tree: &'a Node, path: &[Step]) -> Option<&'a Span> {
    let (last, parent) = path.split_last()?;
    match (last, &find(tree, parent)?.value) {
        (Step::Key(key), Value::Mapping(entries)) => {
            entries.iter().find(|entry| entry.key == *key).map(|entry| &entry.key_span)
        }
        (Step::Index(index), Value::Sequence(items)) => items.get(*index).map(|node| &node.span),
        _ => None,
    }
}

fn remove(tree: &mut Node, path: &[Step]) -> bool {
    let Some((last, parents)) = path.split_last() else { return false };
    let mut node = tree;
    for step in parents {
        let next = match (step, &mut node.value) {
            (Step::Key(key), Value::Mapping(entries)) => {
                entries.iter_mut().find(|entry| entry.key == *key).map(|entry| &mut entry.node)
            }
            (Step::Index(index), Value::Sequence(items)) => items.get_mut(*index),
            _ => None,
        };
        let Some(next) = next else { return false };
        node = next;
    }
    match (last, &mut node.value) {
        (Step::Key(key), Value::Mapping(entries)) => {
            let before = entries.len();
            entries.retain(|entry| entry.key != *key);
            entries.len() < before
        }
        (Step::Index(index), Value::Sequence(items)) if *index < items.len() => {
            items.remove(*index);
            true
        }
        _ => false,
    }
}

fn describe(tree: &Node, path: &[Step], error: &DecodeError) -> (Span, Finding) {
    let whole = 0..0;
    let key_span = find_key(tree, path).unwrap_or(&whole).clone();
    let name = match path.last() {
        Some(Step::Key(key)) => key.as_str(),
        _ => "",
    };
    match &error.kind {
        Kind::Unknown(valid) => {
            let finding = Finding::error(Code::UnknownField, format!("there is no field '{name}' here"));
            (key_span, finding.nearest(name, valid.iter().copied()))
        }
        Kind::Missing(field) => {
            let place = if name.is_empty() { "the file".to_owned() } else { format!("'{name}'") };
            (key_span, Finding::error(Code::MissingField, format!("{place} needs the field '{field}'")))
        }
        Kind::Other(message) => {
            let span = find(tree, path).map_or(key_span, |node| node.span.clone());
            let message = if name.is_empty() { message.clone() } else { format!("'{name}': {message}") };
            (span, Finding::error(Code::WrongType, message))
        }
    }
}

/// An error with the path that leads to it, innermost step first.
#[derive(Debug)]
pub struct DecodeError {
    kind: Kind,
    path: Vec<Step>,
}

#[derive(Debug)]
enum Kind {
    Unknown(&'static [&'static str]),
    Missing(&'static str),
    Other(String),
}

impl DecodeError {
    fn within(mut self, step: impl Into<Step>) -> Self {
        self.path.push(step.into());
        self
    }
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kind {
            Kind::Unknown(_) => f.write_str("unknown field"),
            Kind::Missing(field) => write!(f, "missing field {field}"),
            Kind::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self { kind: Kind::Other(message.to_string()), path: Vec::new() }
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self { kind: Kind::Unknown(expected), path: Vec::new() }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { kind: Kind::Missing(field), path: Vec::new() }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let hint = crate::diagnostic::nearest_hint(variant, expected.iter().copied()).unwrap_or_default();
        Self::custom(format!("'{variant}' is not one of {}; {hint}", expected.join(", ")))
    }
}

/// A plain scalar's meaning in YAML's core schema.
enum Plain<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(&'a str),
}

fn plain(text: &str) -> Plain<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Null,
        "true" | "True" | "TRUE" => return Plain::Bool(true),
        "false" | "False" | "FALSE" => return Plain::Bool(false),
        _ => {}
    }
    if let Ok(number) = text.parse() {
        return Plain::Integer(number);
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
        && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E'));
    match text.parse() {
        Ok(number) if numeric => Plain::Float(number),
        _ => Plain::Text(text),
    }
}

impl<'de> de::Deserializer<'de> for &'de Node {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.value {
            Value::Scalar { text, plain: true } => match plain(text) {
                Plain::Null => visitor.visit_unit(),
                Plain::Bool(value) => visitor.visit_bool(value),
                Plain::Integer(value) => visitor.visit_i64(value),
                Plain::Float(value) => visitor.visit_f64(value),
                Plain::Text(text) => visitor.visit_borrowed_str(text),
            },
            Value::Scalar { text, .. } => visitor.visit_borrowed_str(text),
            Value::Sequence(items) => visitor.visit_seq(Items { items: items.iter().enumerate() }),
            Value::Mapping(entries) => visitor.visit_map(Entries { entries: entries.iter(), current: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.value {
            Value::Scalar { text, plain: true } if matches!(plain(text), Plain::Null) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match &self.value {
            Value::Scalar { text, .. } => visitor.visit_enum(UnitVariant(text)),
            _ => Err(de::Error::custom("expected a word")),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Items<'de> {
    items: std::iter::Enumerate<std::slice::Iter<'de, Node>>,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DecodeError> {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        seed.deserialize(node).map(Some).map_err(|error| error.within(index))
    }
}

struct Entries<'de> {
    entries: std::slice::Iter<'de, Entry>,
    current: Option<&'de Entry>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        self.current = self.entries.next();
        let Some(entry) = self.current else { return Ok(None) };
        let key: StrDeserializer<'_, DecodeError> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.within(entry.key.as_str()))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        let entry = self.current.ok_or_else(|| <DecodeError as de::Error>::custom("a value without a key"))?;
        seed.deserialize(&entry.node).map_err(|error| error.within(entry.key.as_str()))
    }
}

struct UnitVariant<'de>(&'de str);

impl<'de> EnumAccess<'de> for UnitVariant<'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), DecodeError> {
        let name: StrDeserializer<'_, DecodeError> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for UnitVariant<'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, DecodeError> {
        Err(de::Error::custom("expected a word"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, DecodeError> {
        Err(de::Error::custom("expected a word"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, DecodeError> {
        Err(de::Error::custom("expected a word"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
    use super::*;
    use crate::spec::Spec;

    fn read(text: &str) -> (Option<Spec>, Vec<String>) {
        let mut tree = crate::yaml::read(text).0.unwrap();
        let (spec, findings) = decode(&mut tree);
        let place = |span: &Span| crate::yaml::position(text, span.start);
        (
            spec,
            findings
                .iter()
                .map(|(span, finding)| format!("{:?} {} {}", place(span), finding.code, finding.message))
                .collect(),
        )
    }

    #[test]
    fn every_mistake_of_a_file_is_told_at_its_place() {
        let (spec, findings) = read(
            "name: [x]\nparam: {}\ntasks:\n  a: { extract: { from: 5, colums: [a] } }\n  b: { wait: soon, wiat: 1s }\n  c: { load: { input: a, mode: apend } }\n",
        );
        assert_eq!(
            findings,
            [
                "(1, 7) wrong_type 'name': invalid type: sequence, expected a string",
                "(2, 1) unknown_field there is no field 'param' here",
                "(4, 25) wrong_type 'from': invalid type: integer `5`, expected a string",
                "(4, 28) unknown_field there is no field 'colums' here",
                "(5, 14) wrong_type 'wait': 'soon' is not a duration; expected a number with a unit, such as 250ms, 10s, 15m, 2h or 7d",
                "(5, 20) unknown_field there is no field 'wiat' here",
                "(6, 32) wrong_type 'mode': 'apend' is not one of append, overwrite, upsert, delete_insert, scd2; did you mean 'append'?",
                "(6, 8) missing_field 'load' needs the field 'into'",
            ]
        );
        assert!(spec.is_none(), "a file without a usable name has no spec");
    }

    #[test]
    fn what_is_right_survives_the_mistakes_beside_it() {
        let (spec, findings) =
            read("name: x\ntasks:\n  a: { extract: { from: s.t, oops: 1 } }\n  b: { transform: SELECT 1 }\n");
        assert_eq!(findings.len(), 1);
        let spec = spec.unwrap();
        assert_eq!(spec.tasks["a"].extract.as_ref().unwrap().from.as_deref(), Some("s.t"));
        assert_eq!(spec.tasks["b"].transform.as_deref(), Some("SELECT 1"));
    }
}
