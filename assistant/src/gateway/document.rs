//! From an answer's text to a document, and whether the document follows its schema.

use serde_json::{Map, Value};

/// Deeper schemas than any provider takes.
const DEEPEST: usize = 64;

/// Where a document differs from its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// JSON pointer; empty for the whole document.
    pub(super) at: String,
    pub(super) problem: String,
}

/// The document that a text is.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    // The parser's message names line and column, and quotes nothing.
    serde_json::from_str(text.trim()).map_err(|error| error.to_string())
}

/// The one object in a text, whatever stands around it. What a model thinks aloud in front of its answer doesn't count.
pub(super) fn extract(text: &str) -> Result<Value, String> {
    let mut rest = text.rsplit_once("</think>").map_or(text, |(_, answer)| answer);
    let mut found = None;
    while let Some(start) = rest.find('{') {
        rest = &rest[start..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Map<String, Value>>();
        match values.next() {
            Some(Ok(object)) => {
                if found.replace(object).is_some() {
                    return Err("it holds more than one JSON object".to_owned());
                }
                rest = &rest[values.byte_offset()..];
            }
            _ => rest = &rest[1..],
        }
    }
    found.map(Value::Object).ok_or_else(|| "it holds no JSON object".to_owned())
}

/// Compares a document with a schema of the subset that providers take.
pub(super) fn follows(document: &Value, schema: &Value) -> Result<(), Mismatch> {
    Follow { root: schema }.value(document, schema, "", 0)
}

struct Follow<'a> {
    root: &'a Value,
}

impl Follow<'_> {
    fn value(&self, value: &Value, schema: &Value, at: &str, depth: usize) -> Result<(), Mismatch> {
        if depth > DEEPEST {
            return Err(mismatch(at, "is nested too deeply".to_owned()));
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let target = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            return target.map_or(Ok(()), |target| self.value(value, target, at, depth + 1));
        }
        if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
            return self.any(value, choices, at, depth);
        }
        if schema.get("const").is_some_and(|only| only != value) {
            return Err(mismatch(at, format!("must be {}", schema["const"])));
        }
        if let Some(allowed) = schema.get("enum").and_then(Value::as_array).filter(|all| !all.contains(value)) {
            return Err(mismatch(at, format!("is none of the {} allowed values", allowed.len())));
        }
        if let Some(expected) = schema.get("type").filter(|expected| !has_type(value, expected)) {
            return Err(mismatch(at, format!("must be of type {expected}")));
        }
        match value {
            Value::Object(fields) => self.object(fields, schema, at, depth),
            Value::Array(items) => {
                let Some(schema) = schema.get("items") else { return Ok(()) };
                items
                    .iter()
                    .enumerate()
                    .try_for_each(|(n, item)| self.value(item, schema, &format!("{at}/{n}"), depth + 1))
            }
            _ => Ok(()),
        }
    }

    /// One choice has to fit. The report is of the choice that a constant points to, or else of none.
    fn any(&self, value: &Value, choices: &[Value], at: &str, depth: usize) -> Result<(), Mismatch> {
        let mut nearest: Option<Mismatch> = None;
        for choice in choices {
            match self.value(value, choice, at, depth + 1) {
                Ok(()) => return Ok(()),
                Err(found)
                    if found.problem.starts_with("must be")
                        && found.at.rsplit_once('/').is_none_or(|(up, _)| up == at) => {}
                Err(found) => nearest = nearest.or(Some(found)),
            }
        }
        Err(nearest.unwrap_or_else(|| mismatch(at, format!("fits none of {} choices", choices.len()))))
    }

    fn object(&self, fields: &Map<String, Value>, schema: &Value, at: &str, depth: usize) -> Result<(), Mismatch> {
        let none = Map::new();
        let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
        // Constants first: in a union they say which choice is meant, so that the report is about that one.
        for (name, value) in fields {
            let only = known.get(name).and_then(|schema| schema.get("const")).filter(|only| *only != value);
            if let Some(only) = only {
                return Err(mismatch(&format!("{at}/{}", step(name)), format!("must be {only}")));
            }
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        for name in required {
            if !fields.contains_key(name) {
                return Err(mismatch(at, format!("lacks the field '{name}'")));
            }
        }
        let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        for (name, value) in fields {
            match known.get(name) {
                Some(schema) => self.value(value, schema, &format!("{at}/{}", step(name)), depth + 1)?,
                None if is_closed => return Err(mismatch(at, "has a field that the schema doesn't have".to_owned())),
                None => {}
            }
        }
        Ok(())
    }
}

/// A field's name in a JSON pointer; a model may have invented it, so it is bounded.
fn step(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(60).collect::<String>().replace('~', "~0").replace('/', "~1")
}

fn has_type(value: &Value, expected: &Value) -> bool {
    if let Value::Array(choices) = expected {
        return choices.iter().any(|choice| has_type(value, choice));
    }
    match expected.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        Some("number") => value.is_number(),
        Some("integer") => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        _ => true,
    }
}

fn mismatch(at: &str, problem: String) -> Mismatch {
    Mismatch { at: at.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_one_object_of_a_text_is_found_and_two_are_refused() {
        let document = json!({"a": {"b": [1]}});
        for text in [
            "{\"a\":{\"b\":[1]}}",
            "Here you are:\n```json\n{\"a\":{\"b\":[1]}}\n```\nAnything {else}?",
            "<think>maybe {\"a\":2}</think>{\"a\":{\"b\":[1]}}",
        ] {
            assert_eq!(extract(text).unwrap(), document, "{text}");
        }
        for text in ["", "none", "{\"a\":1} {\"a\":2}", "{\"a\":1", "[1]"] {
            assert!(extract(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_document_has_to_be_the_whole_text() {
        assert!(parse(" {\"a\":1}\n").is_ok());
        for text in ["", "{\"a\":1} more", "{\"a\":1}{}", "{'a':1}", "{\"a\":1,}"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    fn schema() -> Value {
        json!({
            "type": "object", "additionalProperties": false, "required": ["kind", "n", "list"],
            "properties": {
                "kind": {"enum": ["a", "b"]},
                "n": {"type": ["integer", "null"]},
                "list": {"type": "array", "items": {"anyOf": [
                    {"$ref": "#/$defs/one"},
                    {"type": "object", "additionalProperties": false, "required": ["is"], "properties": {"is": {"const": "two"}}}
                ]}}
            },
            "$defs": {"one": {"type": "object", "additionalProperties": false, "required": ["is", "x"],
                "properties": {"is": {"const": "one"}, "x": {"type": "string"}}}}
        })
    }

    #[test]
    fn a_document_that_follows_its_schema_passes() {
        let document = json!({"kind": "a", "n": null, "list": [{"is": "one", "x": ""}, {"is": "two"}]});
        assert_eq!(follows(&document, &schema()), Ok(()));
    }

    #[test]
    fn a_difference_is_reported_with_its_place() {
        for (document, at, problem) in [
            (json!([]), "", "must be of type \"object\""),
            (json!({"kind": "a", "n": 1}), "", "lacks the field 'list'"),
            (json!({"kind": "c", "n": 1, "list": []}), "/kind", "is none of the 2 allowed values"),
            (json!({"kind": "a", "n": 1.5, "list": []}), "/n", "must be of type [\"integer\",\"null\"]"),
            (json!({"kind": "a", "n": 1, "list": [], "m": 1}), "", "has a field that the schema doesn't have"),
            (json!({"kind": "a", "n": 1, "list": [{"is": "three"}]}), "/list/0", "fits none of 2 choices"),
            (
                json!({"kind": "a", "n": 1, "list": [{"is": "two", "x": 1}]}),
                "/list/0",
                "has a field that the schema doesn't have",
            ),
        ] {
            let expected = Mismatch { at: at.to_owned(), problem: problem.to_owned() };
            assert_eq!(follows(&document, &schema()), Err(expected), "{document}");
        }
    }
}
