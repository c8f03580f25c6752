//! Connections: added, checked, listed and removed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use headwater_engine::connector::{Connection, Connector, Health, is_like_a_name};
use headwater_engine::job::ConnectionSettings;
use headwater_engine::relations::Connections;
use headwater_store::ConnectionRow;
use headwater_store::Suggest;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Action, Actor, Applied, ConnectionChange, OperationError, Operations, Result};

/// Longest time that a new connection's catalog is read before the connection is reported as added; workers read it later.
const CATALOG_TIME: Duration = Duration::from_secs(10);

/// A connection that is to be added or replaced.
#[derive(Clone, Default)]
pub struct AddConnection {
    /// Its name.
    pub name: String,
    /// Name of the connector; absent if the location's scheme names it.
    pub connector: Option<String>,
    /// What the connector's one-line form takes, e.g. a URL.
    pub location: Option<String>,
    /// Further settings.
    pub settings: Map<String, Value>,
    /// Whether it has to work before it is stored.
    pub check: bool,
}

/// Secrets never reach logs, so the settings are left out.
impl std::fmt::Debug for AddConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AddConnection")
            .field("name", &self.name)
            .field("connector", &self.connector)
            .finish_non_exhaustive()
    }
}

/// A connection that was added.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AddedConnection {
    /// Its name.
    pub name: String,
    /// What it answered, if it was checked.
    pub health: Option<HealthReport>,
    /// The variables of the environment that it may resolve.
    pub variables: Vec<String>,
    /// Whether there was none of that name, or what happened to the one that was.
    pub change: Applied,
    /// Approved pipelines that use the name, and from now on what is behind it.
    pub users: Vec<String>,
}

/// What a connection answered when it was checked.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct HealthReport {
    /// Its name.
    pub name: String,
    /// The rest.
    #[serde(flatten)]
    pub health: Health,
}

/// The document of `connections list`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ConnectionsReport {
    /// Connections by name.
    pub connections: Vec<ConnectionReport>,
}

/// A connection without its secrets.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ConnectionReport {
    /// Its name.
    pub name: String,
    /// Name of the connector.
    #[serde(rename = "type")]
    pub connector: String,
    /// Its settings with every secret replaced.
    pub settings: Value,
    /// The variables of the environment that it may resolve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variables: Option<Vec<String>>,
}

impl From<ConnectionRow> for ConnectionReport {
    fn from(row: ConnectionRow) -> Self {
        Self { name: row.name, connector: row.connector, settings: row.shown, variables: row.variables }
    }
}

impl Operations {
    /// Adds a connection or replaces the one of that name.
    pub async fn add_connection(&self, actor: &Actor, add: AddConnection) -> Result<AddedConnection> {
        let workspace = self.permit(actor, Action::AddConnection)?;
        must_be_name(&add.name)?;
        let connector = self.connector_for(add.connector.as_deref(), add.location.as_deref())?;
        let spec = connector.spec();
        let mut fields = Map::new();
        fields.extend(add.location.map(|location| (spec.location.to_owned(), Value::String(location))));
        fields.extend(add.settings);
        let settings = ConnectionSettings { connector: spec.name.to_owned(), settings: Value::Object(fields) };
        let health = match add.check {
            true => Some(self.examine(&add.name, settings.clone()).await?),
            false => None,
        };
        let connection = self.new_connection(add.name, settings)?;
        let stored = self.stored_settings(&BTreeSet::from([connection.name.clone()])).await?;
        let ConnectionChange { change, users, .. } =
            self.connection_change(&connection, stored.get(&connection.name)).await?;
        workspace.put_connection(&self.key, &connection).await?;
        if add.check {
            // What it can read is shown and planned on later. Without it the connection works all the same.
            let looked = tokio::time::timeout(CATALOG_TIME, self.refresh_catalog(&workspace, &connection.name)).await;
            if let Ok(Err(error)) = looked {
                tracing::warn!(connection = connection.name, %error, "its catalog could not be read");
            }
        }
        Ok(AddedConnection { name: connection.name, health, variables: connection.variables, change, users })
    }

    /// Connections by name, without their secrets.
    pub async fn connections(&self, actor: &Actor) -> Result<ConnectionsReport> {
        let rows = self.permit(actor, Action::ReadConnections)?.connections().await?;
        Ok(ConnectionsReport { connections: rows.into_iter().map(ConnectionReport::from).collect() })
    }

    /// Uses a connection to see whether it works.
    pub async fn check_connection(&self, actor: &Actor, name: &str) -> Result<HealthReport> {
        self.permit(actor, Action::CheckConnection)?;
        let connection = self.open_stored(name).await?;
        let health = connection.check().await;
        connection.close().await;
        Ok(HealthReport { name: name.to_owned(), health: health? })
    }

    /// Removes a connection that no approved pipeline uses.
    pub async fn remove_connection(&self, actor: &Actor, name: &str) -> Result<()> {
        Ok(self.permit(actor, Action::RemoveConnection)?.remove_connection(name).await?)
    }

    /// A stored connection, opened.
    pub(crate) async fn open_stored(&self, name: &str) -> Result<Arc<dyn Connection>> {
        let opened = self.workspace.open_connection(&self.key, name).await?;
        let settings = ConnectionSettings { connector: opened.connector, settings: opened.settings };
        Ok(self.opened(name, settings).open(name)?)
    }

    async fn examine(&self, name: &str, settings: ConnectionSettings) -> Result<HealthReport> {
        let connections = self.opened(name, settings);
        let health = connections.open(name)?.check().await;
        connections.close().await;
        Ok(HealthReport { name: name.to_owned(), health: health? })
    }

    fn opened(&self, name: &str, settings: ConnectionSettings) -> Connections {
        Connections::new(self.engine.registry().clone(), BTreeMap::from([(name.to_owned(), settings)]))
    }

    fn connector_for(&self, kind: Option<&str>, location: Option<&str>) -> Result<&Arc<dyn Connector>> {
        let registry = self.engine.registry();
        if let Some(kind) = kind {
            return Ok(registry.get(kind)?);
        }
        let location = location.ok_or_else(|| {
            OperationError::invalid("the connection has neither a connector nor a location")
                .hint("name a connector, or a location such as postgres://user@host/database")
                .suggest(Suggest::AddConnection { name: None })
        })?;
        registry.for_location(location).ok_or_else(|| {
            let scheme = location.split_once("://").map(|(scheme, _)| scheme).filter(|scheme| is_like_a_name(scheme));
            let schemes: Vec<&str> = registry.iter().flat_map(|connector| connector.spec().schemes).copied().collect();
            let names: Vec<&str> = registry.iter().map(|connector| connector.spec().name).collect();
            let near = scheme
                .and_then(|scheme| headwater_pipelines::diagnostic::nearest_hint(scheme, schemes.iter().copied()));
            let near =
                near.filter(|hint| hint.starts_with("did you mean")).map(|hint| format!("{hint} ")).unwrap_or_default();
            let message = match scheme {
                Some(scheme) => format!("no connector is named by the scheme '{scheme}'"),
                None => "the location names no connector".to_owned(),
            };
            OperationError::invalid(message)
                .hint(format!("{near}the connectors are {}; name one before the location", names.join(", ")))
                .suggest(Suggest::AddConnection { name: None })
        })
    }
}

fn must_be_name(name: &str) -> Result<()> {
    let good = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if good {
        return Ok(());
    }
    // A url that stands in the place of the name may hold a password.
    let shown = if is_like_a_name(name) { format!("'{name}'") } else { "like this".to_owned() };
    Err(OperationError::invalid(format!("a connection can't be named {shown}"))
        .hint("begin with a letter; use letters, digits and underscores"))
}
