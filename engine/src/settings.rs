//! `${NAME}` in a connection's settings, resolved from the environment at the moment the connection is opened.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::error::{EngineError, Result};

/// Replaces every `${NAME}` in every string by the value that `lookup` gives; `$${` stands for a literal `${`.
pub fn resolve(connection: &str, settings: &Value, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Value> {
    Ok(match settings {
        Value::String(text) => Value::String(resolve_text(connection, text, lookup)?),
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| resolve(connection, item, lookup)).collect::<Result<_>>()?)
        }
        Value::Object(fields) => {
            let resolved = fields.iter().map(|(key, value)| Ok((key.clone(), resolve(connection, value, lookup)?)));
            Value::Object(resolved.collect::<Result<_>>()?)
        }
        other => other.clone(),
    })
}

fn resolve_text(connection: &str, text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        if let Some(before) = rest[..start].strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = &rest[start + 2..];
            continue;
        }
        let behind = &rest[start + 2..];
        let end = behind.find('}').ok_or_else(|| {
            EngineError::config(format!("connection '{connection}': a '${{' in its settings is not closed"))
                .hint("write ${NAME}")
        })?;
        let name = &behind[..end];
        let value = lookup(name).ok_or_else(|| {
            EngineError::config(format!(
                "connection '{connection}' needs the environment variable {name}, which is not set"
            ))
            .hint(format!("export {name}=… where the worker runs"))
        })?;
        out.push_str(&rest[..start]);
        out.push_str(&value);
        rest = &behind[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Names of the variables that the settings reference, wherever they stand. A `${` that is not closed names none: resolving it reports that.
pub fn references(settings: &Value) -> BTreeSet<String> {
    match settings {
        Value::String(text) => references_in(text),
        Value::Array(items) => items.iter().flat_map(references).collect(),
        Value::Object(fields) => fields.values().flat_map(references).collect(),
        _ => BTreeSet::new(),
    }
}

fn references_in(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let behind = &rest[start + 2..];
        if !rest[..start].ends_with('$')
            && let Some(end) = behind.find('}')
        {
            names.insert(behind[..end].to_owned());
        }
        rest = behind;
    }
    names
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        (name == "SECRET").then(|| "s3cr$t".to_owned())
    }

    #[test]
    fn variables_are_resolved_at_any_depth_and_escapes_kept() {
        let settings =
            serde_json::json!({ "url": "postgres://a:${SECRET}@h", "options": ["$${x}", "${SECRET}${SECRET}"] });
        let resolved = resolve("shop", &settings, &lookup).unwrap();
        assert_eq!(
            resolved,
            serde_json::json!({ "url": "postgres://a:s3cr$t@h", "options": ["${x}", "s3cr$ts3cr$t"] })
        );
    }

    #[test]
    fn the_variables_of_settings_are_found_at_any_depth_and_escapes_passed_over() {
        let settings =
            serde_json::json!({ "url": "postgres://a:${SECRET}@h", "options": ["$${NOT}", "${A}${B}", "${open"] });
        assert_eq!(Vec::from_iter(references(&settings)), ["A", "B", "SECRET"]);
    }

    #[test]
    fn a_missing_variable_is_named_with_its_connection() {
        let error = resolve("shop", &Value::String("${OTHER}".to_owned()), &lookup).unwrap_err();
        assert_eq!(error.message, "connection 'shop' needs the environment variable OTHER, which is not set");
    }

    proptest::proptest! {
        #[test]
        fn any_setting_is_resolved_or_refused_without_a_panic(parts in proptest::collection::vec("\\$|\\{|\\}|SECRET|\\PC", 0..20)) {
            let text = parts.concat();
            let resolved = resolve("shop", &Value::String(text.clone()), &lookup);
            if !text.contains("${") {
                proptest::prop_assert_eq!(resolved.ok(), Some(Value::String(text)));
            }
        }
    }
}
