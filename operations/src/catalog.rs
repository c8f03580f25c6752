//! What connections can read: as it was when they were last looked at, or as it is now.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use headwater_engine::catalog::{Catalog, CatalogChange, Difference};
use headwater_engine::connector::{Registry, TableInfo};
use headwater_engine::job::ConnectionSettings;
use headwater_engine::samples::TableSamples;
use headwater_store::{CatalogSnapshot, OpenedConnection, Suggest, Workspace};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Action, Actor, OperationError, Operations, Result};

/// Where a catalog comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotReport {
    /// Counts the states of the connection that were seen, from 1.
    pub number: i32,
    /// Identifies the state, in hexadecimal.
    pub hash: String,
    /// When the state was seen first.
    pub taken_at: DateTime<Utc>,
    /// When it was seen last: later changes are not in it.
    pub seen_at: DateTime<Utc>,
}

/// The document of `connections catalog`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CatalogReport {
    /// The connection.
    pub connection: String,
    /// The state that is shown.
    pub snapshot: SnapshotReport,
    /// What it can read, sorted by path.
    pub tables: Vec<TableInfo>,
    /// Samples of its tables by path, e.g. `public.orders`, if any may be taken.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub samples: BTreeMap<String, TableSamples>,
}

/// The document of `connections catalog --diff`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CatalogDiffReport {
    /// The connection.
    pub connection: String,
    /// The older state.
    pub before: SnapshotReport,
    /// The newest state.
    pub after: SnapshotReport,
    /// What is different, sorted by table.
    pub changes: Vec<CatalogChange>,
}

impl From<&CatalogSnapshot> for SnapshotReport {
    fn from(snapshot: &CatalogSnapshot) -> Self {
        let CatalogSnapshot { number, hash, taken_at, seen_at, .. } = snapshot;
        Self { number: *number, hash: hex(hash), taken_at: *taken_at, seen_at: *seen_at }
    }
}

/// A connection and what it could read when it was last looked at.
#[derive(Debug, Clone)]
pub struct KnownConnection {
    /// Its name.
    pub name: String,
    /// Whether tables of it can be read.
    pub is_readable: bool,
    /// Whether loads can write into it.
    pub is_writable: bool,
    /// The state of its catalog; absent if nobody ever looked.
    pub snapshot: Option<SnapshotReport>,
    /// What it can read.
    pub tables: Vec<TableInfo>,
}

impl Operations {
    /// Every connection with its newest catalog, as it was last seen.
    pub async fn known_connections(&self, actor: &Actor) -> Result<Vec<KnownConnection>> {
        let workspace = self.permit(actor, Action::ReadCatalog)?;
        let rows = workspace.connections().await?;
        let names: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
        let mut snapshots: BTreeMap<String, CatalogSnapshot> =
            workspace.newest_catalogs(&names).await?.into_iter().map(|one| (one.connection.clone(), one)).collect();
        let mut known = Vec::with_capacity(rows.len());
        for row in rows {
            let spec = self.engine.registry().get(&row.connector)?.spec();
            let snapshot = snapshots.remove(&row.name);
            known.push(KnownConnection {
                is_readable: spec.reads,
                is_writable: !spec.writes.is_empty(),
                tables: snapshot.as_ref().map(content).transpose()?.unwrap_or_default().tables,
                snapshot: snapshot.as_ref().map(SnapshotReport::from),
                name: row.name,
            });
        }
        Ok(known)
    }

    /// What a connection can read, as it was last seen. It is looked at now if nobody ever did, or if `refresh` is set.
    pub async fn catalog(&self, actor: &Actor, connection: &str, refresh: bool) -> Result<CatalogReport> {
        let workspace = self.permit(actor, Action::ReadCatalog)?;
        let snapshot = self.newest_catalog(&workspace, connection, refresh).await?;
        let tables = content(&snapshot)?.tables;
        let samples = self.table_samples(connection).await?;
        Ok(CatalogReport { connection: connection.to_owned(), snapshot: (&snapshot).into(), tables, samples })
    }

    /// What changed up to the newest state of a connection: since the state of that number, since the state before a refresh, or since the one before.
    pub async fn catalog_diff(
        &self,
        actor: &Actor,
        connection: &str,
        since: Option<i32>,
        refresh: bool,
    ) -> Result<CatalogDiffReport> {
        let workspace = self.permit(actor, Action::ReadCatalog)?;
        let known = workspace.newest_catalogs(&[connection.to_owned()]).await?.pop();
        let after = self.newest_catalog(&workspace, connection, refresh).await?;
        let since = match (since, known) {
            (Some(number), _) => number,
            // What was known before is compared with what is found now: looking twice finds nothing new.
            (None, Some(known)) if refresh => known.number,
            (None, _) => (after.number - 1).max(1),
        };
        let before = workspace.catalog(connection, since).await?;
        let changes = content(&before)?.changes_to(&content(&after)?);
        let connection = connection.to_owned();
        Ok(CatalogDiffReport { connection, before: (&before).into(), after: (&after).into(), changes })
    }

    /// Looks at what a connection can read now, and records it.
    pub(crate) async fn refresh_catalog(&self, workspace: &Workspace, connection: &str) -> Result<()> {
        let (opened, catalog) = self.look_at(workspace, connection).await?;
        self.sample_tables(workspace, &opened, &catalog).await
    }

    /// The same, without samples.
    pub(crate) async fn look_at(&self, workspace: &Workspace, connection: &str) -> Result<(OpenedConnection, Catalog)> {
        let opened = workspace.open_connection(&self.key, connection).await?;
        let settings = ConnectionSettings { connector: opened.connector.clone(), settings: opened.settings.clone() };
        let catalog = self.engine.catalog(connection, settings).await?;
        workspace.put_catalog(&opened, &catalog.hash()?, &serde_json::to_value(&catalog)?).await?;
        Ok((opened, catalog))
    }

    /// The newest catalogs of connections, for planning on them. The error names a connection that was never looked at.
    pub(crate) async fn newest_catalogs(&self, connections: &[String]) -> Result<BTreeMap<String, CatalogSnapshot>> {
        let found = self.workspace.newest_catalogs(connections).await?;
        let found: BTreeMap<_, _> = found.into_iter().map(|one| (one.connection.clone(), one)).collect();
        match connections.iter().find(|name| !found.contains_key(*name)) {
            Some(name) => Err(OperationError::not_found(format!("the catalog of connection {name} was never read"))
                .suggest(Suggest::RefreshCatalog { connection: name.clone() })),
            None => Ok(found),
        }
    }

    async fn newest_catalog(&self, workspace: &Workspace, connection: &str, refresh: bool) -> Result<CatalogSnapshot> {
        let names = [connection.to_owned()];
        if !refresh && let Some(stored) = workspace.newest_catalogs(&names).await?.pop() {
            return Ok(stored);
        }
        self.refresh_catalog(workspace, connection).await?;
        let stored = workspace.newest_catalogs(&names).await?.pop();
        stored.ok_or_else(|| OperationError::bug("a catalog was stored and is not there"))
    }
}

/// The catalog of a snapshot.
pub(crate) fn content(snapshot: &CatalogSnapshot) -> Result<Catalog> {
    Ok(serde_json::from_value(snapshot.catalog.clone())?)
}

/// What is different about a table, in words.
pub fn difference_in_words(change: &Difference) -> String {
    match change {
        Difference::TableAdded => "new".to_owned(),
        Difference::TableRemoved => "gone, or no longer readable".to_owned(),
        Difference::KindChanged { before, after } => format!("was a {before}, is a {after}"),
        Difference::ColumnAdded { column, native_type } => format!("new column {column} {native_type}"),
        Difference::ColumnRemoved { column } => format!("column {column} is gone"),
        Difference::TypeChanged { column, before, after } => format!("column {column} was {before}, is {after}"),
        Difference::NullabilityChanged { column, nullable: true } => format!("column {column} can be NULL now"),
        Difference::NullabilityChanged { column, nullable: false } => format!("column {column} can no longer be NULL"),
        Difference::PrimaryKeyChanged { before, after } => {
            let key = |columns: &[String]| match columns {
                [] => "none".to_owned(),
                columns => columns.join(", "),
            };
            format!("its primary key was {}, is {}", key(before), key(after))
        }
        Difference::ConstraintsChanged => "its unique or foreign keys changed".to_owned(),
        Difference::CommentChanged { column: None } => "its comment changed".to_owned(),
        Difference::CommentChanged { column: Some(column) } => format!("the comment of column {column} changed"),
        Difference::OrderChanged => "its columns have another order".to_owned(),
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The JSON Schema of specs.
pub fn spec_schema() -> Value {
    headwater_pipelines::schema::spec_schema()
}

/// The JSON Schema of a connector's settings.
pub fn describe_connector(registry: &Registry, name: &str) -> Result<Value> {
    Ok(registry.get(name)?.settings_schema())
}
