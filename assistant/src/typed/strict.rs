//! One rule makes schemas that both OpenAI's and Anthropic's strict modes take: every field is required, nothing else is allowed, what may be absent
//! is `null`, a map is a list of names and values, and nothing refers to anything else.
//!
//! [`to_model`] and [`from_model`] turn values between the two forms, along the schema before the rule.

use serde_json::{Map, Value, json};

use super::fault::Fault;

/// Reads schemas along their references.
#[derive(Debug, Clone, Copy)]
pub(super) struct Definitions<'a>(pub(super) &'a Map<String, Value>);

impl<'a> Definitions<'a> {
    /// The schema itself, behind its references.
    fn settle(self, mut schema: &'a Value) -> &'a Value {
        while let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/")) {
            match self.0.get(name) {
                Some(defined) => schema = defined,
                None => break,
            }
        }
        schema
    }
}

/// What a schema describes.
enum Shape<'a> {
    Fields { fields: &'a Map<String, Value>, required: Vec<&'a str> },
    Entries(&'a Value),
    Items(&'a Value),
    Either(Vec<&'a Value>),
    Words(Vec<&'a Value>),
    Any,
    Plain,
}

fn shape<'a>(schema: &'a Value, of: Definitions<'a>) -> Shape<'a> {
    if let Some(choices) = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array()) {
        let settled: Vec<&Value> = choices.iter().map(|choice| of.settle(choice)).collect();
        return match settled.iter().all(|choice| choice["const"].is_string() && choice["type"] == "string") {
            true => Shape::Words(settled),
            false => Shape::Either(choices.iter().collect()),
        };
    }
    if schema["properties"].is_object() {
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let fields = schema["properties"].as_object();
        return fields.map_or(Shape::Plain, |fields| Shape::Fields { fields, required });
    }
    if schema["additionalProperties"].is_object() || schema["additionalProperties"] == true {
        return Shape::Entries(&schema["additionalProperties"]);
    }
    if !schema["items"].is_null() {
        return Shape::Items(&schema["items"]);
    }
    match schema.get("type").or_else(|| schema.get("enum")).or_else(|| schema.get("const")) {
        None => Shape::Any,
        Some(_) => Shape::Plain,
    }
}

/// The same schema in the strict subset.
pub(super) fn strict(schema: &Value, of: Definitions<'_>) -> Value {
    let settled = of.settle(schema);
    let mut made = match shape(settled, of) {
        Shape::Fields { fields, required } => {
            let field = |(name, field): (&String, &Value)| {
                let made = strict(field, of);
                let may_lack = !required.contains(&name.as_str()) && !is_list(of.settle(field)) && !has_default(field);
                (name.clone(), if may_lack { or_null(made) } else { made })
            };
            let fields: Map<String, Value> = fields.iter().map(field).collect();
            object(fields)
        }
        Shape::Entries(value) => {
            let entry = Map::from_iter([
                ("name".to_owned(), json!({ "type": "string" })),
                ("value".to_owned(), strict(value, of)),
            ]);
            json!({ "type": "array", "items": object(entry) })
        }
        Shape::Items(items) => json!({ "type": "array", "items": strict(items, of) }),
        Shape::Either(choices) => either(choices.into_iter().map(|choice| strict(choice, of)).collect()),
        Shape::Words(choices) => {
            let words: Vec<&Value> = choices.iter().map(|choice| &choice["const"]).collect();
            let meanings: Vec<String> = choices.iter().filter_map(|choice| meaning(choice)).collect();
            json!({ "type": "string", "enum": words, "description": meanings.join(" ") })
        }
        Shape::Any => either(["string", "number", "boolean"].map(|kind| json!({ "type": kind })).to_vec()),
        Shape::Plain => plain(settled),
    };
    let description = schema.get("description").or_else(|| settled.get("description"));
    if let (Some(fields), Some(description)) = (made.as_object_mut(), description)
        && !fields.contains_key("anyOf")
    {
        let more = fields.get("description").and_then(Value::as_str).unwrap_or_default();
        let text = format!("{} {more}", description.as_str().unwrap_or_default());
        fields.insert("description".to_owned(), text.trim().replace('\n', " ").into());
    }
    if is_nullable(settled) { or_null(made) } else { made }
}

fn meaning(choice: &Value) -> Option<String> {
    Some(format!("{}: {}", choice["const"].as_str()?, choice["description"].as_str()?))
}

/// An object with these fields and no others.
pub(super) fn object(fields: Map<String, Value>) -> Value {
    let required: Vec<&String> = fields.keys().collect();
    json!({ "type": "object", "required": required, "properties": fields, "additionalProperties": false })
}

/// One of these, without choices inside of choices.
pub(super) fn either(choices: Vec<Value>) -> Value {
    let mut flat: Vec<Value> = Vec::new();
    for choice in choices {
        let parts = match choice["anyOf"].as_array() {
            Some(inner) => inner.clone(),
            None => vec![choice],
        };
        for part in parts {
            if !flat.contains(&part) {
                flat.push(part);
            }
        }
    }
    match flat.len() {
        1 => flat.remove(0),
        _ => json!({ "anyOf": flat }),
    }
}

fn or_null(schema: Value) -> Value {
    either(vec![schema, json!({ "type": "null" })])
}

/// A text, number, boolean, or one fixed value.
fn plain(schema: &Value) -> Value {
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null").cloned().unwrap_or(Value::Null),
        kind => kind.clone(),
    };
    let mut made = Map::from_iter([("type".to_owned(), kind)]);
    for key in ["enum", "const"] {
        if let Some(value) = schema.get(key) {
            made.insert(key.to_owned(), value.clone());
        }
    }
    Value::Object(made)
}

fn is_nullable(schema: &Value) -> bool {
    schema["type"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "null"))
}

fn is_list(schema: &Value) -> bool {
    !schema["items"].is_null() && !is_nullable(schema)
}

fn has_default(schema: &Value) -> bool {
    schema.get("default").is_some_and(|default| !default.is_null())
}

/// A value as the strict form of its schema has it.
pub(super) fn to_model(value: &Value, schema: &Value, of: Definitions<'_>) -> Value {
    let settled = of.settle(schema);
    match (shape(settled, of), value) {
        (Shape::Fields { fields, .. }, Value::Object(given)) => {
            let field = |(name, schema): (&String, &Value)| {
                let absent = if is_list(of.settle(schema)) { json!([]) } else { Value::Null };
                (name.clone(), given.get(name).map_or(absent, |value| to_model(value, schema, of)))
            };
            Value::Object(fields.iter().map(field).collect())
        }
        (Shape::Entries(schema), Value::Object(given)) => {
            let entry =
                |(name, value): (&String, &Value)| json!({ "name": name, "value": to_model(value, schema, of) });
            Value::Array(given.iter().map(entry).collect())
        }
        (Shape::Items(schema), Value::Array(items)) => {
            Value::Array(items.iter().map(|item| to_model(item, schema, of)).collect())
        }
        (Shape::Either(choices), value) => {
            let fitting = choices.into_iter().find(|choice| takes(value, of.settle(choice), of));
            fitting.map_or_else(|| value.clone(), |choice| to_model(value, choice, of))
        }
        _ => value.clone(),
    }
}

/// A value of the strict form as its schema had it: nothing that is absent, and maps as maps.
pub(super) fn from_model(value: &Value, schema: &Value, of: Definitions<'_>, at: &str) -> Result<Value, Fault> {
    let settled = of.settle(schema);
    match (shape(settled, of), value) {
        (Shape::Fields { fields, required }, Value::Object(given)) => {
            let mut made = Map::new();
            for (name, value) in given {
                let at = format!("{at}.{name}");
                let Some(field) = fields.get(name) else {
                    return Err(Fault::structure(&at, "there is no such field").candidates(fields.keys()));
                };
                let is_absent = value.is_null() || (value == &json!([]) && !required.contains(&name.as_str()));
                if !is_absent {
                    made.insert(name.clone(), from_model(value, field, of, &at)?);
                }
            }
            Ok(Value::Object(made))
        }
        (Shape::Entries(schema), Value::Array(entries)) => {
            let mut made = Map::new();
            for entry in entries {
                let Some(name) = entry["name"].as_str() else {
                    return Err(Fault::structure(at, "expected a list of names and values"));
                };
                let value = from_model(&entry["value"], schema, of, &format!("{at}.{name}"))?;
                if made.insert(name.to_owned(), value).is_some() {
                    return Err(Fault::structure(at, &format!("'{name}' is given twice")));
                }
            }
            Ok(Value::Object(made))
        }
        (Shape::Items(schema), Value::Array(items)) => {
            let item = |(place, item): (usize, &Value)| from_model(item, schema, of, &format!("{at}[{place}]"));
            items.iter().enumerate().map(item).collect::<Result<Vec<_>, _>>().map(Value::Array)
        }
        (Shape::Either(choices), value) => {
            let made = choices.into_iter().filter_map(|choice| {
                let made = from_model(value, choice, of, at).ok()?;
                takes(&made, of.settle(choice), of).then_some(made)
            });
            made.into_iter()
                .next()
                .ok_or_else(|| Fault::structure(at, "the value has none of the forms that it can have"))
        }
        (Shape::Words(choices), value) if !choices.iter().any(|choice| choice["const"] == *value) => {
            let words = choices.iter().filter_map(|choice| choice["const"].as_str());
            Err(Fault::structure(at, &format!("{value} is none of the values that it can have")).candidates(words))
        }
        (Shape::Plain | Shape::Any | Shape::Words(_), value) => Ok(value.clone()),
        (_, value) => Err(Fault::structure(at, &format!("unexpected {}", kind_of(value)))),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

/// Whether a value can be one of a schema, as far as choices have to be told apart.
fn takes(value: &Value, schema: &Value, of: Definitions<'_>) -> bool {
    match (shape(schema, of), value) {
        (Shape::Fields { fields, required }, Value::Object(given)) => {
            let fits = |(name, value): (&String, &Value)| {
                fields.get(name).is_some_and(|field| takes(value, of.settle(field), of))
            };
            given.iter().all(fits) && required.iter().all(|name| given.contains_key(*name))
        }
        (Shape::Entries(schema), Value::Object(given)) => {
            given.values().all(|value| takes(value, of.settle(schema), of))
        }
        (Shape::Items(schema), Value::Array(items)) => items.iter().all(|item| takes(item, of.settle(schema), of)),
        (Shape::Either(choices), value) => choices.iter().any(|choice| takes(value, of.settle(choice), of)),
        (Shape::Words(choices), value) => choices.iter().any(|choice| choice["const"] == *value),
        (Shape::Any, _) => true,
        (Shape::Plain, value) => match &schema["const"] {
            Value::Null => has_kind(value, &schema["type"]),
            constant => constant == value,
        },
        _ => false,
    }
}

fn has_kind(value: &Value, kind: &Value) -> bool {
    match kind {
        Value::Array(kinds) => kinds.iter().any(|kind| has_kind(value, kind)),
        Value::String(kind) => match kind.as_str() {
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => true,
        },
        _ => true,
    }
}
