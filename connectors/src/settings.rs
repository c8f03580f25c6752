//! What every connector does with its settings.

use headwater_engine::connector::ConnectorSpec;
use headwater_engine::{EngineError, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads a connection's settings; unknown fields are errors. Messages name the option and never its value, which may be a secret.
pub(crate) fn read<T: DeserializeOwned>(name: &str, spec: &ConnectorSpec, settings: &Value) -> Result<T> {
    serde_path_to_error::deserialize(settings).map_err(|error| {
        EngineError::config(format!("connection '{name}': {}", problem(&error, settings)))
            .hint(format!("a {} connection looks like this:\n{}", spec.name, spec.example))
            .at_setting(option(&error))
    })
}

/// The option at fault: where reading stopped, or the field there that nobody knows.
fn option(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let path = error.path().to_string();
    let text = error.inner().to_string();
    let unknown = text.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
    match (path.as_str(), unknown) {
        (".", None) => String::new(),
        (".", Some(field)) => field.to_owned(),
        (path, Some(field)) if !path.ends_with(field) => format!("{path}.{field}"),
        (path, _) => path.to_owned(),
    }
}

/// What is wrong with which option.
fn problem(error: &serde_path_to_error::Error<serde_json::Error>, settings: &Value) -> String {
    let text = error.inner().to_string();
    // These two name options, which are not secret.
    if text.starts_with("unknown field") || text.starts_with("missing field") {
        return text.replace("unknown field", "there is no option").replace("missing field", "it lacks the option");
    }
    let path = error.path().to_string();
    let found = settings.pointer(&format!("/{}", path.replace('.', "/"))).map_or("something else", kind);
    let expected = text.rsplit_once(", expected ").map_or("another value", |(_, expected)| expected);
    let expected = if expected == "a string" { "text" } else { expected };
    if path == "." {
        return format!("expected {expected}, found {found}");
    }
    format!("option '{path}' is {found}: expected {expected}")
}

/// What a value is, without saying which.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// The settings with every secret replaced, wherever it stands.
pub(crate) fn redact(settings: &Value, secrets: &[String]) -> Value {
    match settings {
        Value::String(text) => {
            Value::String(secrets.iter().fold(text.clone(), |text, secret| text.replace(secret.as_str(), "***")))
        }
        Value::Array(items) => items.iter().map(|item| redact(item, secrets)).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.clone(), redact(value, secrets))).collect())
        }
        other => other.clone(),
    }
}

/// Values of options whose names say that they are secret.
pub(crate) fn secret_options(settings: &Value) -> Vec<String> {
    const MARKS: [&str; 6] = ["secret", "password", "token", "key", "sas", "service_account"];
    let options = settings.get("options").and_then(Value::as_object).into_iter().flatten();
    options
        .filter(|(name, _)| MARKS.iter().any(|mark| name.to_lowercase().contains(mark)))
        .filter_map(|(_, value)| value.as_str().map(str::to_owned))
        .filter(|value| !value.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use serde_json::json;

    /// What every connector says about settings that hold a secret in the wrong place.
    fn refusals(settings: &serde_json::Value) -> Vec<String> {
        let registry = crate::registry();
        let refused = registry.iter().map(|connector| connector.open("pw", settings).expect_err("these are wrong"));
        refused
            .map(|error| format!("{error} {:?}", error.hint.as_ref().map(|hint| hint.replace(".example", ""))))
            .collect()
    }

    #[test]
    fn no_connector_repeats_a_value_that_it_refuses() {
        for settings in [
            json!({ "url": "postgres://u@h/d", "location": "file:///srv", "password": 12_345_678, "options": 12_345_678 }),
            json!({ "url": "postgres://u@h/d?sslpassword=12345678", "location": "s3://key:12345678@b/x" }),
            json!({ "url": "postgres://u@h/d?nonsense=12345678", "location": "12345678" }),
            json!({ "url": "postgres://u:12345678/x@h/d", "location": "ftp://u:12345678@h" }),
            json!({ "url": "postgres://u@h/d?sslmode=12345678", "location": { "a": "12345678" } }),
            json!({ "url": "postgres://u@h:12345678/d", "location": "file:///srv", "delimiter": "12345678", "format": "12345678" }),
            json!({ "url": "postgres://u@h/d?connect_timeout=12345678x", "location": "file:///srv", "encoding": "12345678", "header": "12345678" }),
            json!({ "url": "postgres://u:p@12345678/x@h/d", "location": "file:///srv", "nonsense": "12345678" }),
            json!({ "url": "postgres://u:p@12345678@h/d", "location": "file:///srv", "format": ["12345678"] }),
            json!({ "url": "12345678", "location": "file:///srv", "quote": "12345678" }),
            json!("12345678"),
        ] {
            for refusal in refusals(&settings) {
                assert!(!refusal.contains("12345678"), "{settings}: {refusal}");
            }
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_by_its_option() {
        let settings = json!({ "url": "postgres://u@h/d", "password": 12_345_678 });
        let error = crate::registry().get("postgres").unwrap().open("pw", &settings).unwrap_err();
        assert_eq!(error.message, "connection 'pw': option 'password' is a number: expected text");
    }
}
