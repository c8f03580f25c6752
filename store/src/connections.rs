//! Connections: saved settings, sealed as a whole.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{MasterKey, Result, StoreError, Workspace};

/// A connection, fit to be shown.
#[derive(Debug, Clone, Serialize)]
pub struct ConnectionRow {
    /// Its name.
    pub name: String,
    /// Name of the connector.
    pub connector: String,
    /// Its settings with every secret replaced.
    pub shown: Value,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
}

/// A connection with its secrets.
#[derive(Clone)]
pub struct OpenedConnection {
    /// Its name.
    pub name: String,
    /// Name of the connector.
    pub connector: String,
    /// Its settings, secrets included.
    pub settings: Value,
}

/// Secrets never reach logs, so the settings are left out.
impl std::fmt::Debug for OpenedConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedConnection")
            .field("name", &self.name)
            .field("connector", &self.connector)
            .finish_non_exhaustive()
    }
}

impl Workspace {
    /// Adds a connection or replaces the one of that name. `shown` are the settings without their secrets.
    pub async fn put_connection(
        &self,
        key: &MasterKey,
        name: &str,
        connector: &str,
        settings: &Value,
        shown: &Value,
    ) -> Result<()> {
        let sealed = key.seal(&self.bound_to(name), &serde_json::to_vec(settings)?)?;
        sqlx::query!(
            r#"INSERT INTO connections (workspace_id, name, connector, shown, sealed) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (workspace_id, name) DO UPDATE
               SET connector = EXCLUDED.connector, shown = EXCLUDED.shown, sealed = EXCLUDED.sealed, updated_at = clock_timestamp()"#,
            self.id(),
            name,
            connector,
            shown,
            sealed
        )
        .execute(self.durable())
        .await?;
        Ok(())
    }

    /// All connections by name, without their secrets.
    pub async fn connections(&self) -> Result<Vec<ConnectionRow>> {
        Ok(sqlx::query_as!(
            ConnectionRow,
            "SELECT name, connector, shown, created_at, updated_at FROM connections WHERE workspace_id = $1 ORDER BY name",
            self.id()
        )
        .fetch_all(self.durable())
        .await?)
    }

    /// One connection with its secrets.
    pub async fn open_connection(&self, key: &MasterKey, name: &str) -> Result<OpenedConnection> {
        let mut opened = self.open_connections(key, &[name.to_owned()]).await?;
        opened.pop().ok_or_else(|| StoreError::bug("a connection was opened and is not there"))
    }

    /// The named connections with their secrets, sorted by name. The error names those that do not exist.
    pub async fn open_connections(&self, key: &MasterKey, names: &[String]) -> Result<Vec<OpenedConnection>> {
        let rows = sqlx::query!(
            "SELECT name, connector, sealed FROM connections WHERE workspace_id = $1 AND name = ANY ($2) ORDER BY name",
            self.id(),
            names
        )
        .fetch_all(self.durable())
        .await?;
        if let Some(missing) = names.iter().find(|name| rows.iter().all(|row| row.name != **name)) {
            return Err(self.unknown_connection(missing).await?);
        }
        rows.into_iter()
            .map(|row| {
                let plain = key.open(&self.bound_to(&row.name), &row.sealed).ok_or_else(|| {
                    StoreError::invalid(format!(
                        "the secrets of connection '{}' can't be decrypted with this master key",
                        row.name
                    ))
                    .hint("use the HEADWATER_MASTER_KEY (or the data directory) it was added with, or add it again")
                })?;
                Ok(OpenedConnection {
                    name: row.name,
                    connector: row.connector,
                    settings: serde_json::from_slice(&plain)?,
                })
            })
            .collect()
    }

    /// Removes a connection.
    pub async fn remove_connection(&self, name: &str) -> Result<()> {
        let removed = sqlx::query!("DELETE FROM connections WHERE workspace_id = $1 AND name = $2", self.id(), name)
            .execute(self.durable())
            .await?;
        if removed.rows_affected() == 0 { Err(self.unknown_connection(name).await?) } else { Ok(()) }
    }

    async fn unknown_connection(&self, name: &str) -> Result<StoreError> {
        let names: Vec<String> = self.connections().await?.into_iter().map(|row| row.name).collect();
        let hint = match names.is_empty() {
            true => format!("add it with `headwater connections add {name} …`"),
            false => format!("the connections are {}; add one with `headwater connections add`", names.join(", ")),
        };
        Ok(StoreError::not_found(format!("there is no connection named '{name}'")).hint(hint))
    }

    /// What a sealed row is bound to.
    fn bound_to(&self, name: &str) -> Vec<u8> {
        let mut bound = Uuid::as_bytes(&self.id()).to_vec();
        bound.extend_from_slice(name.as_bytes());
        bound
    }
}
