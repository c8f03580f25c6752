//! Columns of JSON Schemas, and objects that have one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::HashMap;

use arrow::array::Array;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use headwater_engine::EngineError;
use serde_json::json;

use super::*;
use crate::kafka::json::Reading;
use crate::kafka::schemas;

fn schema(id: i32, text: &Value) -> Arc<Schema> {
    Arc::new(Schema::parse(id, &text.to_string(), &[]).unwrap())
}

/// The columns of a schema, in words.
fn columns(schema: &Schema) -> Vec<String> {
    let word = |shape: Option<Shape>| match shape {
        None => "null".to_owned(),
        Some(shape) => serde_json::to_value(shape).unwrap().as_str().unwrap_or("decimal").to_owned(),
    };
    schema.fields.iter().map(|(name, shape)| format!("{name} {}", word(*shape))).collect()
}

fn properties(properties: Value) -> Vec<String> {
    columns(&schema(1, &json!({ "type": "object", "properties": properties })))
}

#[test]
fn a_property_has_the_column_of_its_type() {
    assert_eq!(
        properties(json!({
            "i": { "type": "integer" }, "n": { "type": "number" }, "s": { "type": "string" }, "b": { "type": "boolean" },
            "t": { "type": "string", "format": "date-time" }, "d": { "type": "string", "format": "date" },
            "u": { "type": "string", "format": "uuid" }, "o": { "type": "object" }, "a": { "type": "array" }, "z": { "type": "null" },
            "any": {}, "yes": true
        })),
        [
            "i long",
            "n double",
            "s text",
            "b boolean",
            "t timestamptz",
            "d date",
            "u text",
            "o json",
            "a json",
            "z null",
            "any json",
            "yes json"
        ]
    );
    assert_eq!(
        properties(json!({
            "i": { "type": ["null", "integer"] }, "n": { "type": ["integer", "number"] }, "m": { "type": ["string", "integer"] },
            "one": { "oneOf": [{ "type": "null" }, { "type": "string", "format": "date" }] },
            "any": { "anyOf": [{ "type": "integer" }, { "type": "number" }, { "type": "null" }] },
            "all": { "allOf": [{ "description": "x" }, { "type": "integer" }, { "minimum": 0 }] },
            "e": { "enum": ["a", "b", null] }, "c": { "const": 5 }, "mixed": { "enum": ["a", 1] }
        })),
        ["i long", "n double", "m json", "one date", "any double", "all long", "e text", "c long", "mixed json"]
    );
}

#[test]
fn a_schema_is_made_of_others() {
    let whole = json!({
        "$id": "http://shop/order.json", "$ref": "#/definitions/Order",
        "definitions": {
            "Order": { "type": "object", "properties": {
                "id": { "$ref": "#/definitions/Key" }, "day": { "$ref": "common.json#/$defs/Day" }, "next": { "$ref": "#" },
                "odd": { "$ref": "#/definitions/a%20b~1c" }
            }, "allOf": [{ "properties": { "note": { "type": "string" }, "id": { "type": "integer" } } }],
            "oneOf": [{ "properties": { "v": { "type": "integer" } } }, { "properties": { "v": { "type": "string" } } }] },
            "Key": { "type": "integer" }, "a b/c": { "type": "boolean" }
        }
    });
    let common =
        json!({ "$defs": { "Day": { "$ref": "#/$defs/Real" }, "Real": { "type": "string", "format": "date" } } });
    let common = Named { name: "common.json".to_owned(), text: common.to_string() };
    let found = Schema::parse(1, &whole.to_string(), &[common]).unwrap();
    assert_eq!(columns(&found), ["id long", "day date", "next json", "odd boolean", "note text", "v json"]);
    // Without the reference the field is any value, but a root that is not there is no schema.
    let found = Schema::parse(1, &whole.to_string(), &[]).unwrap();
    assert_eq!(columns(&found)[1], "day json");
    for (text, part) in [
        (json!({ "$ref": "gone.json" }), "it refers to gone.json, which is neither in it nor among its references"),
        (json!({ "type": "string" }), "it is not of type object"),
        (json!({ "$ref": "#" }), "refer to each other too often"),
    ] {
        let error = Schema::parse(1, &text.to_string(), &[]).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    assert!(Schema::parse(1, "{", &[]).unwrap_err().contains("it is not JSON"));
    // Each refers to the next one twice.
    let mut tower = serde_json::Map::new();
    for floor in 0..40 {
        let next = json!({ "$ref": format!("#/$defs/f{}", floor + 1) });
        tower.insert(format!("f{floor}"), json!({ "oneOf": [next, next] }));
    }
    let text = json!({ "properties": { "a": { "$ref": "#/$defs/f0" } }, "$defs": tower });
    assert!(Schema::parse(1, &text.to_string(), &[]).unwrap_err().contains("too often"));
}

/// Schemas by their ids.
#[derive(Debug)]
struct Given(HashMap<i32, Arc<Schema>>);

impl Schemas for Given {
    fn schema(&self, id: i32) -> Result<schemas::Schema, EngineError> {
        let found = self.0.get(&id).cloned().ok_or_else(|| EngineError::config(format!("no schema {id}")))?;
        Ok(schemas::Schema::Json(found))
    }
}

fn message(id: i32, value: &str) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], value.as_bytes()].concat()
}

fn decoder(follows: bool) -> Decoder {
    let first = schema(1, &json!({ "properties": { "id": { "type": "integer" }, "n": { "type": "number" } } }));
    let second = json!({ "properties": { "id": { "type": "integer" }, "note": { "type": "string" } } });
    let third = json!({ "properties": { "id": { "type": "string" } } });
    let wanted = |name: &str, data_type| Wanted { name: name.to_owned(), data_type, reading: Reading::Guessed };
    let wanted = [wanted("id", DataType::Int64), wanted("n", DataType::Float64)];
    let known = follows.then(|| Arc::new([b"id".to_vec(), b"n".to_vec()].into()));
    let given = [(1, first), (2, schema(2, &second)), (3, schema(3, &third))].into();
    Decoder::new(&wanted, known, Rules { follows, latest: None }, Arc::new(Given(given))).unwrap()
}

#[test]
fn objects_are_read_into_the_columns_of_their_schema() {
    let mut decoder = decoder(true);
    decoder.push(&message(1, "{\"id\":7,\"more\":[1],\"n\":0.5}")).unwrap();
    decoder.push_nulls();
    for (value, part) in [
        ("{\"id\":1.5}", "field id: the number has a fraction"),
        ("{\"id\":1,\"n\":\"x\"}", "field n: a number is expected here (byte 17)"),
        ("{\"n\":0.12345678901234567890}", "field n: a double does not hold all digits"),
        ("[1]", "the message is not a JSON object (byte 5)"),
        ("", "the message is empty"),
        ("{\"id\":1", "byte 12"),
    ] {
        let error = decoder.push(&message(1, value)).unwrap_err().to_string();
        assert!(error.contains(part), "{value}: {error}");
    }
    assert!(decoder.push(b"{\"id\":1}").unwrap_err().to_string().contains("does not begin with a zero"));
    assert!(matches!(decoder.push(&message(9, "{}")).unwrap_err(), Refusal::Schema(_)));
    let arrays = decoder.take().unwrap();
    let options = FormatOptions::default().with_null("NULL");
    let shown = |array: &ArrayRef| {
        let format = ArrayFormatter::try_new(array, &options).unwrap();
        (0..array.len()).map(|row| format.value(row).to_string()).collect::<Vec<_>>()
    };
    assert_eq!(arrays.iter().map(shown).collect::<Vec<_>>(), [["7", "NULL"], ["0.5", "NULL"]]);
}

#[test]
fn a_schema_that_needs_other_columns_is_noticed_by_those_who_follow() {
    for (id, field) in [(2, "note"), (3, "id")] {
        let error = decoder(true).push(&message(id, "{}")).unwrap_err();
        assert!(matches!(&error, Refusal::Unseen { field: found, .. } if found == field), "{error}");
        // Otherwise values decide.
        decoder(false).push(&message(id, "{\"id\":1}")).unwrap();
    }
    assert!(decoder(false).push(&message(3, "{\"id\":\"x\"}")).unwrap_err().to_string().contains("field id: "));
}
