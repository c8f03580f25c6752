//! What every connector does with its settings.

use headwater_engine::connector::ConnectorSpec;
use headwater_engine::{EngineError, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads a connection's settings; unknown fields are errors.
pub(crate) fn read<T: DeserializeOwned>(name: &str, spec: &ConnectorSpec, settings: &Value) -> Result<T> {
    serde_json::from_value(settings.clone()).map_err(|error| {
        EngineError::config(format!("connection '{name}': {error}"))
            .hint(format!("a {} connection looks like this:\n{}", spec.name, spec.example))
    })
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
