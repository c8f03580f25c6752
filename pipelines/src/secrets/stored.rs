//! Secrets in specs that were stored: earlier builds kept descriptions and statements as they were written.

use serde_json::Value;

use super::is_task;
use super::mask::{cover, covered};
use super::names::{is_literal, is_secret_key};
use super::text::{Sort, secrets};
use super::tree::sort_of;

/// Masks every secret of a spec in its stored form.
pub(crate) fn hide_in_spec(spec: &mut Value) {
    hide(spec, "", Sort::Setting);
}

fn hide(value: &mut Value, key: &str, sort: Sort) {
    match value {
        Value::String(text) => {
            let found = secrets(text, sort);
            if !found.is_empty() {
                *text = cover(text, found.into_iter().map(|secret| secret.span).collect());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, key, sort)),
        Value::Object(fields) => {
            for (field, value) in fields {
                if is_secret_key(field) && key != "columns" {
                    hide_all(value, key == "params");
                } else {
                    hide(value, field, sort_of(field));
                }
            }
        }
        _ => {}
    }
}

/// Masks the value of a secret name, unless it is a task or a parameter of that name.
fn hide_all(value: &mut Value, is_param: bool) {
    match value {
        Value::String(text) if is_literal(text) => *text = covered(text),
        Value::Array(items) => items.iter_mut().for_each(|item| hide_all(item, false)),
        Value::Object(fields) if is_param || is_task(fields.keys().map(String::as_str)) => {
            for (field, value) in fields {
                match field.as_str() {
                    "default" if is_param => hide_all(value, false),
                    field => hide(value, field, sort_of(field)),
                }
            }
        }
        Value::Object(fields) => fields.values_mut().for_each(|value| hide_all(value, false)),
        _ => {}
    }
}
