//! What connections can read, and what specs and connections may hold.

use headwater_engine::connector::{Registry, TableInfo};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{Action, Actor, Operations, Result};

/// The document of `connections catalog`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CatalogReport {
    /// The connection.
    pub connection: String,
    /// What it can read, sorted by path.
    pub tables: Vec<TableInfo>,
}

impl Operations {
    /// What a connection can read.
    pub async fn catalog(&self, actor: &Actor, connection: &str, columns: bool) -> Result<CatalogReport> {
        self.permit(actor, Action::ReadCatalog)?;
        let opened = self.open_stored(connection).await?;
        let tables = opened.catalog(columns).await;
        opened.close().await;
        Ok(CatalogReport { connection: connection.to_owned(), tables: tables? })
    }
}

/// The JSON Schema of specs.
pub fn spec_schema() -> Value {
    headwater_pipelines::schema::spec_schema()
}

/// The JSON Schema of a connector's settings.
pub fn describe_connector(registry: &Registry, name: &str) -> Result<Value> {
    Ok(registry.get(name)?.settings_schema())
}
