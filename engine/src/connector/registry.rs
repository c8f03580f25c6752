//! The connectors that there are.

use std::sync::Arc;

use super::Connector;
use crate::error::{EngineError, Result};

/// All connectors, sorted by name. Built once by the binary and handed down.
#[derive(Debug, Clone)]
pub struct Registry {
    connectors: Arc<[Arc<dyn Connector>]>,
}

impl Registry {
    /// Takes the connectors, sorted by name.
    pub fn new(mut connectors: Vec<Arc<dyn Connector>>) -> Self {
        connectors.sort_by_key(|connector| connector.spec().name);
        Self { connectors: connectors.into() }
    }

    /// All of them, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Connector>> {
        self.connectors.iter()
    }

    /// The connector of that name; the error lists the valid names.
    pub fn get(&self, name: &str) -> Result<&Arc<dyn Connector>> {
        self.connectors.iter().find(|connector| connector.spec().name == name).ok_or_else(|| {
            let names: Vec<&str> = self.connectors.iter().map(|connector| connector.spec().name).collect();
            EngineError::config(format!("there is no connector named '{name}'"))
                .hint(format!("the connectors are {}", names.join(", ")))
        })
    }

    /// The connector that a location's scheme names, e.g. `postgres://…`.
    pub fn for_location(&self, location: &str) -> Option<&Arc<dyn Connector>> {
        let scheme = location.split_once("://")?.0;
        self.connectors.iter().find(|connector| connector.spec().schemes.contains(&scheme))
    }
}
