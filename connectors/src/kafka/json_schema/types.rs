//! The properties of a JSON Schema as columns (drafts 4 to 2020-12, as far as they say what type a value has).

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::kafka::schemas::shape::Shape;

/// Schemas that are looked at for one: they refer to each other, so that there could be more of them than there is time for.
const MOST_STEPS: usize = 100_000;

/// References that lead to each other.
const MOST_DEPTH: usize = 50;

/// A schema, and the document that it stands in.
#[derive(Debug, Clone, Copy)]
struct Part<'a> {
    document: &'a Value,
    value: &'a Value,
}

impl<'a> Part<'a> {
    fn with(self, value: &'a Value) -> Self {
        Self { value, ..self }
    }

    fn object(self) -> Option<&'a Map<String, Value>> {
        self.value.as_object()
    }

    /// The schemas in a list.
    fn all(self, keyword: &str) -> impl Iterator<Item = Self> {
        let list = self.value.get(keyword).and_then(Value::as_array);
        list.into_iter().flatten().map(move |value| self.with(value))
    }
}

/// The properties of a schema's objects, with the columns for them. Schemas that it refers to are known by their names.
pub(super) fn fields(schema: &Value, others: &HashMap<String, Value>) -> Result<Vec<(String, Option<Shape>)>, String> {
    let mut types = Types { others, steps: MOST_STEPS, fields: Vec::new(), places: HashMap::new() };
    types.object(Part { document: schema, value: schema }, 0)?;
    Ok(types.fields)
}

struct Types<'a> {
    others: &'a HashMap<String, Value>,
    /// How many are left.
    steps: usize,
    fields: Vec<(String, Option<Shape>)>,
    places: HashMap<String, usize>,
}

impl<'a> Types<'a> {
    fn step(&mut self, depth: usize) -> Result<(), String> {
        let left = self.steps.checked_sub(1).filter(|_| depth <= MOST_DEPTH);
        self.steps = left.ok_or("its parts refer to each other too often")?;
        Ok(())
    }

    /// Adds the properties of an object's schema.
    fn object(&mut self, part: Part<'a>, depth: usize) -> Result<(), String> {
        self.step(depth)?;
        let Some(object) = part.object() else { return Ok(()) };
        let kind = object.get("type");
        let is_object = kind.is_none_or(|kind| names(kind).any(|name| name == "object"));
        if !is_object && depth == 0 {
            return Err("it is not of type object, whose properties would be columns".to_owned());
        }
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            let target = self.find(part, reference).ok_or_else(|| {
                let name: String = reference.chars().take(100).collect();
                format!("it refers to {name}, which is neither in it nor among its references")
            })?;
            self.object(target, depth + 1)?;
        }
        for (name, property) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let shape = self.shape(part.with(property), depth + 1)?;
            self.add(name, shape);
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            for inner in part.all(keyword) {
                self.object(inner, depth + 1)?;
            }
        }
        for inner in ["then", "else"].into_iter().filter_map(|keyword| object.get(keyword)) {
            self.object(part.with(inner), depth + 1)?;
        }
        Ok(())
    }

    fn add(&mut self, name: &str, shape: Option<Shape>) {
        match self.places.get(name).and_then(|place| self.fields.get_mut(*place)) {
            Some((_, known)) => *known = both(*known, shape),
            None => {
                self.places.insert(name.to_owned(), self.fields.len());
                self.fields.push((name.to_owned(), shape));
            }
        }
    }

    /// The column for a schema's values; nothing if all of them are NULL.
    fn shape(&mut self, part: Part<'a>, depth: usize) -> Result<Option<Shape>, String> {
        self.step(depth)?;
        // `true` says nothing, and `false` that there is none.
        let Some(object) = part.object() else { return Ok(Some(Shape::Json)) };
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            return match self.find(part, reference) {
                Some(target) => self.shape(target, depth + 1),
                None => Ok(Some(Shape::Json)),
            };
        }
        if let Some(kind) = object.get("type") {
            let format = object.get("format").and_then(Value::as_str);
            let shapes = names(kind).map(|name| of_name(name, format));
            return Ok(shapes.fold(None, both));
        }
        if let Some(value) = object.get("const") {
            return Ok(of_value(value));
        }
        if let Some(values) = object.get("enum").and_then(Value::as_array) {
            return Ok(values.iter().map(of_value).fold(None, both));
        }
        let choices: Vec<Part<'a>> = part.all("oneOf").chain(part.all("anyOf")).collect();
        if !choices.is_empty() {
            let mut shape = None;
            for choice in choices {
                shape = both(shape, self.shape(choice, depth + 1)?);
            }
            return Ok(shape);
        }
        // Each of them narrows what the others say: those that say nothing about the type are left out.
        let mut found: Option<Option<Shape>> = None;
        for inner in part.all("allOf") {
            let shape = self.shape(inner, depth + 1)?;
            found = match (found, shape) {
                (known, Some(Shape::Json)) => known,
                (None, shape) => Some(shape),
                (Some(known), shape) => Some(both(known, shape)),
            };
        }
        Ok(found.unwrap_or(Some(Shape::Json)))
    }

    /// What a `$ref` refers to: a part of its own document, or one of another schema.
    fn find(&self, part: Part<'a>, reference: &str) -> Option<Part<'a>> {
        let (name, pointer) = reference.split_once('#').unwrap_or((reference, ""));
        let own = part.document.get("$id").or_else(|| part.document.get("id")).and_then(Value::as_str);
        let document = match name {
            "" => part.document,
            name if own.is_some_and(|own| own.trim_end_matches('#') == name) => part.document,
            name => self.others.get(name).or_else(|| self.others.get(reference))?,
        };
        // Names of definitions may be escaped as in addresses.
        let pointer = percent_encoding::percent_decode_str(pointer).decode_utf8().ok()?;
        Some(Part { document, value: document.pointer(&pointer)? })
    }
}

/// The column for both. Nothing is NULL alone, which each of them holds.
fn both(one: Option<Shape>, other: Option<Shape>) -> Option<Shape> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.and(other)),
        (one, other) => one.or(other),
    }
}

/// The names of a type, or of several.
fn names(kind: &Value) -> impl Iterator<Item = &str> {
    let several = kind.as_array().into_iter().flatten();
    kind.as_str().into_iter().chain(several.filter_map(Value::as_str))
}

fn of_name(name: &str, format: Option<&str>) -> Option<Shape> {
    match (name, format) {
        ("null", _) => None,
        ("boolean", _) => Some(Shape::Boolean),
        ("integer", _) => Some(Shape::Long),
        ("number", _) => Some(Shape::Double),
        ("string", Some("date-time")) => Some(Shape::Timestamptz),
        ("string", Some("date")) => Some(Shape::Date),
        ("string", _) => Some(Shape::Text),
        _ => Some(Shape::Json),
    }
}

fn of_value(value: &Value) -> Option<Shape> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some(Shape::Boolean),
        Value::Number(number) if number.is_i64() => Some(Shape::Long),
        Value::Number(_) => Some(Shape::Double),
        Value::String(_) => Some(Shape::Text),
        Value::Array(_) | Value::Object(_) => Some(Shape::Json),
    }
}
