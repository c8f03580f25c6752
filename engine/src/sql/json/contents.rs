//! What a document contains.

use std::cmp::Ordering;

use super::value::{Value, within};

/// `left @> right`
pub(super) fn contains(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => right.iter().all(|wanted| holds(left, wanted)),
        (Value::Object(left), Value::Object(right)) if left.len() < right.len() => false,
        (whole @ Value::Object(_), Value::Object(right)) => {
            right.iter().all(|(key, wanted)| whole.get(key).is_some_and(|found| is_within(found, wanted)))
        }
        // A document that is a scalar is an array of one, which an array may contain.
        (Value::Array(left), scalar) if !scalar.is_container() => holds(left, scalar),
        (left, right) if !left.is_container() && !right.is_container() => within(left, right) == Ordering::Equal,
        _ => false,
    }
}

/// Whether a value of an object contains the one that is wanted.
fn is_within(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Array(_), Value::Array(_)) | (Value::Object(_), Value::Object(_)) => contains(found, wanted),
        _ => within(found, wanted) == Ordering::Equal,
    }
}

fn holds(elements: &[Value], wanted: &Value) -> bool {
    elements.iter().any(|found| is_within(found, wanted))
}

/// `jsonb ? key`: a key of an object, a text of an array, or the text that the document is.
pub(super) fn has(value: &Value, key: &str) -> bool {
    match value {
        Value::Object(_) => value.get(key).is_some(),
        Value::Array(elements) => elements.iter().any(|element| matches!(element, Value::Text(text) if text == key)),
        Value::Text(text) => text == key,
        _ => false,
    }
}
