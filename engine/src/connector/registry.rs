//! The connectors that there are.

use std::sync::Arc;

use super::{Asked, Connector};
use crate::error::{EngineError, Result};

/// Whether a text may be shown where a name is expected: letters, digits, `_` and `-` alone. A mistyped url would show its password.
pub fn is_like_a_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 63 && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
}

/// All connectors, sorted by name. Built once by the binary and handed down.
#[derive(Debug, Clone)]
pub struct Registry {
    connectors: Arc<[Arc<dyn Connector>]>,
    asked: Arc<Asked>,
}

impl Registry {
    /// Takes the connectors, sorted by name.
    pub fn new(mut connectors: Vec<Arc<dyn Connector>>) -> Self {
        connectors.sort_by_key(|connector| connector.spec().name);
        Self { connectors: connectors.into(), asked: Arc::default() }
    }

    /// Which of the connections that were opened by it are being asked something.
    pub fn asked(&self) -> &Arc<Asked> {
        &self.asked
    }

    /// All of them, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Connector>> {
        self.connectors.iter()
    }

    /// The connector of that name; the error lists the valid names.
    pub fn get(&self, name: &str) -> Result<&Arc<dyn Connector>> {
        self.connectors.iter().find(|connector| connector.spec().name == name).ok_or_else(|| {
            let names: Vec<&str> = self.connectors.iter().map(|connector| connector.spec().name).collect();
            let names = names.join(", ");
            if is_like_a_name(name) {
                return EngineError::config(format!("there is no connector named '{name}'"))
                    .hint(format!("the connectors are {names}"));
            }
            EngineError::config(
                "what stands for the connector's name is none, and is not repeated: it may hold a password",
            )
            .hint(format!(
                "the connectors are {names}; a location begins with one and ://, e.g. postgres://user@host/database"
            ))
        })
    }

    /// The connector that a location's scheme names, e.g. `postgres://…`.
    pub fn for_location(&self, location: &str) -> Option<&Arc<dyn Connector>> {
        let scheme = location.split_once("://")?.0;
        self.connectors.iter().find(|connector| connector.spec().schemes.contains(&scheme))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_url_in_the_place_of_a_connectors_name_is_not_repeated() {
        let registry = Registry::new(Vec::new());
        for url in ["postgres//app:s3cr3tPW@h/db", "postgresql:app:s3cr3tPW@h", "app s3cr3tPW"] {
            let error = registry.get(url).unwrap_err();
            assert!(!format!("{error:?}").contains("s3cr3tPW"), "{error:?}");
            assert!(error.hint.unwrap().contains("postgres://"));
        }
        assert_eq!(registry.get("postgrse").unwrap_err().message, "there is no connector named 'postgrse'");
    }
}
