//! Which variables of the environment a connection may resolve.
//!
//! A stored connection resolves what it referenced when a person stored it. A connection that comes with a file is the file's author's
//! idea: it resolves only what the configuration or a flag allows, since its host would be sent the value.

use std::path::Path;

use headwater_engine::job::ConnectionSettings;
use headwater_engine::settings::references;
use headwater_store::Suggest;

use crate::{OperationError, Result};

/// Names of variables, or beginnings of names that end in `*`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedVariables(Vec<String>);

impl AllowedVariables {
    /// From names, and beginnings of names that end in `*`.
    pub fn new(patterns: impl IntoIterator<Item = String>) -> Self {
        Self(patterns.into_iter().filter(|pattern| !pattern.is_empty()).collect())
    }

    /// Whether a variable may be resolved.
    pub fn allow(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => pattern == name,
        })
    }

    /// Refuses a file's connection that references any other variable.
    pub(crate) fn check(&self, file: &str, connection: &str, settings: &ConnectionSettings) -> Result<()> {
        let Some(refused) = references(&settings.settings).into_iter().find(|name| !self.allow(name)) else {
            return Ok(());
        };
        let file =
            Path::new(file).file_name().map_or_else(|| file.to_owned(), |name| name.to_string_lossy().into_owned());
        Err(OperationError::invalid(format!(
            "connection '{connection}' of {file} references the environment variable {refused}, which a file's connection may not resolve"
        ))
        .hint("allow it by name if you trust the file: its value is sent to the connection's host")
        .suggest(Suggest::AllowVariable { name: refused }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::Value;

    use super::*;

    #[test]
    fn a_variable_is_allowed_by_its_name_or_the_beginning_of_it() {
        let allowed = AllowedVariables::new(["SHOP_URL".to_owned(), "DW_*".to_owned(), String::new()]);
        assert!(allowed.allow("SHOP_URL") && allowed.allow("DW_PASSWORD"));
        assert!(!allowed.allow("SHOP_URL_2") && !allowed.allow("AWS_SECRET_ACCESS_KEY"));
    }

    #[test]
    fn a_refused_variable_is_named_and_its_value_is_not() {
        let settings = ConnectionSettings {
            connector: "postgres".to_owned(),
            settings: Value::String("postgres://x@host/${HOME}".to_owned()),
        };
        let error = AllowedVariables::default().check("specs/a.yaml", "shop", &settings).unwrap_err();
        assert!(error.message.contains("HOME") && !error.message.contains(&std::env::var("HOME").unwrap()), "{error}");
        assert_eq!(error.suggest, Some(Suggest::AllowVariable { name: "HOME".to_owned() }));
    }
}
