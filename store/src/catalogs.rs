//! Snapshots of what connections can read. Their content is the engine's; here they are versions of a document.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

use crate::{OpenedConnection, Result, Store, StoreError, Suggest, Workspace};

/// States of one connection that are kept.
const KEPT: i32 = 50;

/// A connection whose catalog could not be read is tried again after so many seconds.
const AGAIN_S: f64 = 3600.0;

/// What a connection could read at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogSnapshot {
    /// The connection's name.
    pub connection: String,
    /// Counts the states of the connection that were seen, from 1.
    pub number: i32,
    /// Identifies the state.
    pub hash: Vec<u8>,
    /// The engine's document.
    pub catalog: Value,
    /// When the state was seen first.
    pub taken_at: DateTime<Utc>,
    /// When it was seen last.
    pub seen_at: DateTime<Utc>,
}

struct Row {
    connection: String,
    number: i32,
    hash: Vec<u8>,
    catalog: String,
    taken_at: DateTime<Utc>,
    seen_at: DateTime<Utc>,
}

impl TryFrom<Row> for CatalogSnapshot {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let Row { connection, number, hash, catalog, taken_at, seen_at } = row;
        Ok(Self { connection, number, hash, catalog: serde_json::from_str(&catalog)?, taken_at, seen_at })
    }
}

impl Workspace {
    /// Records what a connection can read, as it was opened. The state that was seen last stays one snapshot for as long as it does not change. Settings that
    /// were changed meanwhile reach something else, so what was read is refused.
    pub async fn put_catalog(&self, opened: &OpenedConnection, hash: &[u8; 32], catalog: &Value) -> Result<()> {
        let connection = opened.name.as_str();
        let mut tx = self.durable().begin().await?;
        let stored = sqlx::query!(
            "SELECT id, updated_at FROM connections WHERE workspace_id = $1 AND name = $2 FOR UPDATE",
            self.id(),
            connection
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or_else(|| missing(connection))?;
        if opened.changed_at != Some(stored.updated_at) {
            return Err(StoreError::invalid(format!("connection {connection} was changed while its catalog was read"))
                .suggest(Suggest::RefreshCatalog { connection: connection.to_owned() }));
        }
        let connection_id = stored.id;
        let newest = sqlx::query!(
            "SELECT number, hash FROM catalog_snapshots WHERE workspace_id = $1 AND connection_id = $2 ORDER BY number DESC LIMIT 1",
            self.id(),
            connection_id
        )
        .fetch_optional(&mut *tx)
        .await?;
        let number = newest.as_ref().map_or(0, |newest| newest.number);
        if newest.is_some_and(|newest| newest.hash == hash) {
            sqlx::query!(
                "UPDATE catalog_snapshots SET seen_at = clock_timestamp(), catalog = $4::text::json, settings_of = $5
                 WHERE workspace_id = $1 AND connection_id = $2 AND number = $3",
                self.id(),
                connection_id,
                number,
                catalog.to_string(),
                stored.updated_at
            )
            .execute(&mut *tx)
            .await?;
        } else {
            sqlx::query!(
                "INSERT INTO catalog_snapshots (workspace_id, connection_id, number, hash, catalog, settings_of)
                 VALUES ($1, $2, $3, $4, $5::text::json, $6)",
                self.id(),
                connection_id,
                number + 1,
                hash,
                catalog.to_string(),
                stored.updated_at
            )
            .execute(&mut *tx)
            .await?;
            sqlx::query!(
                "DELETE FROM catalog_snapshots WHERE workspace_id = $1 AND connection_id = $2 AND number <= $3",
                self.id(),
                connection_id,
                number + 1 - KEPT
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The newest snapshots of the named connections, by name; a connection that was never looked at with its present settings has none.
    pub async fn newest_catalogs(&self, connections: &[String]) -> Result<Vec<CatalogSnapshot>> {
        let rows = sqlx::query_as!(
            Row,
            r#"SELECT c.name AS connection, s.number, s.hash, s.catalog::text AS "catalog!", s.taken_at, s.seen_at
               FROM connections c
               CROSS JOIN LATERAL (SELECT * FROM catalog_snapshots s WHERE s.workspace_id = c.workspace_id AND s.connection_id = c.id
                                     AND s.settings_of = c.updated_at ORDER BY s.number DESC LIMIT 1) AS s
               WHERE c.workspace_id = $1 AND c.name = ANY ($2) ORDER BY c.name"#,
            self.id(),
            connections
        )
        .fetch_all(self.reads())
        .await?;
        rows.into_iter().map(CatalogSnapshot::try_from).collect()
    }

    /// One snapshot of a connection.
    pub async fn catalog(&self, connection: &str, number: i32) -> Result<CatalogSnapshot> {
        let row = sqlx::query_as!(
            Row,
            r#"SELECT c.name AS connection, s.number, s.hash, s.catalog::text AS "catalog!", s.taken_at, s.seen_at
               FROM connections c JOIN catalog_snapshots s ON s.workspace_id = c.workspace_id AND s.connection_id = c.id
               WHERE c.workspace_id = $1 AND c.name = $2 AND s.number = $3"#,
            self.id(),
            connection,
            number
        )
        .fetch_optional(self.reads())
        .await?;
        let none = || StoreError::not_found(format!("connection {connection} has no catalog {number}"));
        row.ok_or_else(|| none().suggest(Suggest::ShowCatalog { connection: connection.to_owned() }))?.try_into()
    }
}

impl Store {
    /// Takes a connection whose catalog nobody has looked at for this long, so that one worker reads it again.
    pub async fn claim_stale_catalog(&self, age: Duration) -> Result<Option<(Uuid, String)>> {
        let age = PgInterval::try_from(age).map_err(|error| {
            StoreError::invalid(format!("a catalog's age of {age:?} is no interval")).caused_by(error)
        })?;
        let claimed = sqlx::query!(
            r#"UPDATE connections SET catalog_tried_at = clock_timestamp()
               WHERE (workspace_id, id) IN (
                   SELECT c.workspace_id, c.id FROM connections c
                   WHERE (c.catalog_tried_at IS NULL OR c.catalog_tried_at < clock_timestamp() - $2 * interval '1 second')
                     AND NOT EXISTS (SELECT FROM catalog_snapshots s WHERE s.workspace_id = c.workspace_id AND s.connection_id = c.id
                                     AND s.settings_of = c.updated_at AND s.seen_at > clock_timestamp() - $1::interval)
                   ORDER BY c.catalog_tried_at NULLS FIRST LIMIT 1 FOR UPDATE SKIP LOCKED)
               RETURNING workspace_id, name"#,
            age,
            AGAIN_S
        )
        .fetch_optional(self.relaxed())
        .await?;
        Ok(claimed.map(|row| (row.workspace_id, row.name)))
    }
}

fn missing(connection: &str) -> StoreError {
    StoreError::not_found(format!("there is no connection named '{connection}'")).suggest(Suggest::ListConnections)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;
    use crate::testing::{TestDatabase, database};
    use crate::{MasterKey, NewConnection};

    async fn shop() -> (TestDatabase, Workspace) {
        let db = database().await;
        let workspace = db.store.default_workspace();
        workspace.put_connection(&key(), &connection("one")).await.unwrap();
        (db, workspace)
    }

    fn connection(host: &str) -> NewConnection {
        NewConnection {
            name: "shop".to_owned(),
            connector: "postgres".to_owned(),
            settings: json!({ "host": host }),
            shown: json!({}),
            variables: Vec::new(),
        }
    }

    fn key() -> MasterKey {
        MasterKey::from_bytes(&[3; 32]).unwrap()
    }

    async fn put(workspace: &Workspace, hash: &[u8; 32], catalog: &Value) -> Result<()> {
        let opened = workspace.open_connection(&key(), "shop").await?;
        workspace.put_catalog(&opened, hash, catalog).await
    }

    async fn newest(workspace: &Workspace) -> CatalogSnapshot {
        workspace.newest_catalogs(&["shop".to_owned()]).await.unwrap().remove(0)
    }

    #[tokio::test]
    async fn a_state_that_is_seen_again_is_the_same_snapshot_and_another_state_the_next_one() {
        let (_db, workspace) = shop().await;
        assert_eq!(workspace.newest_catalogs(&["shop".to_owned()]).await.unwrap(), []);
        put(&workspace, &[1; 32], &json!({ "rows": 1 })).await.unwrap();
        let first = newest(&workspace).await;
        put(&workspace, &[1; 32], &json!({ "rows": 2 })).await.unwrap();
        let again = newest(&workspace).await;
        assert_eq!((again.number, &again.catalog, again.taken_at), (1, &json!({ "rows": 2 }), first.taken_at));
        assert!(again.seen_at > first.seen_at);
        put(&workspace, &[2; 32], &json!({ "rows": 3 })).await.unwrap();
        assert_eq!(newest(&workspace).await.number, 2);
        assert_eq!(workspace.catalog("shop", 1).await.unwrap(), again);
        let refused = workspace.catalog("shop", 3).await.unwrap_err();
        assert!(refused.message.contains("no catalog 3"), "{refused}");
    }

    #[tokio::test]
    async fn a_catalog_belongs_to_the_settings_that_it_was_read_with() {
        let (_db, workspace) = shop().await;
        let names = ["shop".to_owned()];
        put(&workspace, &[1; 32], &json!({})).await.unwrap();
        workspace.put_connection(&key(), &connection("one")).await.unwrap();
        assert_eq!(workspace.newest_catalogs(&names).await.unwrap().len(), 1, "the same settings again change nothing");
        let opened = workspace.open_connection(&key(), "shop").await.unwrap();
        workspace.put_connection(&key(), &connection("two")).await.unwrap();
        assert_eq!(workspace.newest_catalogs(&names).await.unwrap(), []);
        let late = workspace.put_catalog(&opened, &[2; 32], &json!({})).await.unwrap_err();
        assert!(late.message.contains("was changed"), "{late}");
        put(&workspace, &[1; 32], &json!({})).await.unwrap();
        assert_eq!(newest(&workspace).await.number, 1, "the other system looks the same");
    }

    #[tokio::test]
    async fn old_states_are_forgotten_and_all_go_with_the_connection() {
        let (db, workspace) = shop().await;
        for state in 0..60 {
            put(&workspace, &[state; 32], &json!({})).await.unwrap();
        }
        assert_eq!(db.value("SELECT count(*) || ' ' || min(number) FROM catalog_snapshots").await, "50 11");
        workspace.remove_connection("shop").await.unwrap();
        assert_eq!(db.value("SELECT count(*) FROM catalog_snapshots").await, "0");
    }

    #[tokio::test]
    async fn a_stale_catalog_is_given_to_one_worker_and_a_fresh_one_to_none() {
        let (db, workspace) = shop().await;
        let day = Duration::from_secs(86_400);
        let claimed = db.store.claim_stale_catalog(day).await.unwrap();
        assert_eq!(claimed, Some((workspace.id(), "shop".to_owned())));
        assert_eq!(db.store.claim_stale_catalog(day).await.unwrap(), None, "it is being read");
        put(&workspace, &[1; 32], &json!({})).await.unwrap();
        db.execute("UPDATE connections SET catalog_tried_at = NULL").await;
        assert_eq!(db.store.claim_stale_catalog(day).await.unwrap(), None);
        db.execute("UPDATE catalog_snapshots SET seen_at = seen_at - interval '2 days'").await;
        assert!(db.store.claim_stale_catalog(day).await.unwrap().is_some());
    }
}
