//! Samples of tables, and the rules for what may be sampled. Rules and samples are documents of the engine's; here is kept that no sample outlives the
//! rules it was taken under.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::deadline::Tx;
use crate::{OpenedConnection, Result, StoreError, Suggest, Workspace};

/// What may be sampled of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleRules {
    /// `none`, `values` or `rows`.
    pub policy: String,
    /// Masks of columns.
    pub masks: Vec<ColumnMask>,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// A column whose values nobody sees as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnMask {
    /// Its table, below the connection.
    pub path: Vec<String>,
    /// Its name.
    pub column: String,
    /// `hash`, `partial`, `redact`, `round` or `null`.
    pub mask: String,
}

/// What the audit says of a policy and of a mask.
#[derive(Serialize)]
struct Policy<'a> {
    policy: &'a str,
}
#[derive(Serialize)]
struct Masked<'a> {
    mask: Option<&'a str>,
}

impl Workspace {
    /// Changes what may be sampled of a connection. What was sampled before is removed.
    pub async fn set_samples(&self, connection: &str, policy: &str) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        let connection_id = self.rule_anew(&mut tx, connection).await?;
        sqlx::query!(
            "UPDATE connections SET samples = $3 WHERE workspace_id = $1 AND id = $2",
            self.id(),
            connection_id,
            policy
        )
        .execute(&mut *tx)
        .await?;
        self.record(&mut tx, "connections.samples", connection, &Policy { policy }).await?;
        Ok(tx.commit().await?)
    }

    /// Masks a column, or ends its mask. What was sampled before is removed.
    pub async fn set_mask(&self, connection: &str, path: &[String], column: &str, mask: Option<&str>) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        let connection_id = self.rule_anew(&mut tx, connection).await?;
        sqlx::query!(
            "DELETE FROM column_masks WHERE workspace_id = $1 AND connection_id = $2 AND path = $3 AND column_name = $4",
            self.id(),
            connection_id,
            path,
            column
        )
        .execute(&mut *tx)
        .await?;
        if let Some(mask) = mask {
            sqlx::query!(
                "INSERT INTO column_masks (workspace_id, connection_id, path, column_name, mask) VALUES ($1, $2, $3, $4, $5)",
                self.id(),
                connection_id,
                path,
                column,
                mask
            )
            .execute(&mut *tx)
            .await?;
        }
        let subject = format!("{connection}.{}.{column}", path.join("."));
        self.record(&mut tx, "connections.mask", &subject, &Masked { mask }).await?;
        Ok(tx.commit().await?)
    }

    /// Removes the samples of a connection and notes that other rules hold from now on; the caller holds its row until the end of the transaction.
    async fn rule_anew(&self, tx: &mut Tx, connection: &str) -> Result<Uuid> {
        let id = sqlx::query_scalar!(
            "UPDATE connections SET samples_ruled_at = clock_timestamp() WHERE workspace_id = $1 AND name = $2 RETURNING id",
            self.id(),
            connection
        )
        .fetch_optional(&mut **tx)
        .await?
        .ok_or_else(|| missing(connection))?;
        sqlx::query!("DELETE FROM table_samples WHERE workspace_id = $1 AND connection_id = $2", self.id(), id)
            .execute(&mut **tx)
            .await?;
        Ok(id)
    }

    /// What may be sampled of a connection.
    pub async fn sample_rules(&self, connection: &str) -> Result<SampleRules> {
        let rules = sqlx::query!(
            "SELECT id, samples, samples_ruled_at FROM connections WHERE workspace_id = $1 AND name = $2",
            self.id(),
            connection
        )
        .fetch_optional(self.durable())
        .await?
        .ok_or_else(|| missing(connection))?;
        let masks = sqlx::query_as!(
            ColumnMask,
            r#"SELECT path, column_name AS "column", mask FROM column_masks
               WHERE workspace_id = $1 AND connection_id = $2 ORDER BY path, column_name"#,
            self.id(),
            rules.id
        )
        .fetch_all(self.durable())
        .await?;
        Ok(SampleRules { policy: rules.samples, masks, since: rules.samples_ruled_at })
    }

    /// Keeps the samples of a table. Nothing is kept if the connection's rules or settings are no longer those that they were taken under.
    pub async fn put_samples(
        &self,
        opened: &OpenedConnection,
        rules: &SampleRules,
        path: &[String],
        samples: &Value,
    ) -> Result<()> {
        sqlx::query!(
            "WITH ruled AS (
                 SELECT c.workspace_id, c.id, c.updated_at FROM connections c
                 WHERE c.workspace_id = $1 AND c.name = $2 AND c.samples_ruled_at = $3 AND c.updated_at = $4 FOR SHARE)
             INSERT INTO table_samples (workspace_id, connection_id, path, samples, settings_of)
             SELECT r.workspace_id, r.id, $5, $6, r.updated_at FROM ruled r
             ON CONFLICT (workspace_id, connection_id, path) DO UPDATE
             SET samples = EXCLUDED.samples, settings_of = EXCLUDED.settings_of, read_at = EXCLUDED.read_at",
            self.id(),
            opened.name,
            rules.since,
            opened.changed_at,
            path,
            samples
        )
        .execute(self.durable())
        .await?;
        Ok(())
    }

    /// The samples of a connection's tables, by path.
    pub async fn samples(&self, connection: &str) -> Result<Vec<(Vec<String>, Value)>> {
        let rows = sqlx::query!(
            "SELECT t.path, t.samples FROM connections c
             JOIN table_samples t ON t.workspace_id = c.workspace_id AND t.connection_id = c.id AND t.settings_of = c.updated_at
             WHERE c.workspace_id = $1 AND c.name = $2 ORDER BY t.path",
            self.id(),
            connection
        )
        .fetch_all(self.reads())
        .await?;
        Ok(rows.into_iter().map(|row| (row.path, row.samples)).collect())
    }
}

fn missing(connection: &str) -> StoreError {
    StoreError::not_found(format!("there is no connection named '{connection}'")).suggest(Suggest::ListConnections)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;
    use crate::testing::database;
    use crate::{MasterKey, NewConnection};

    fn key() -> MasterKey {
        MasterKey::from_bytes(&[3; 32]).unwrap()
    }

    async fn put(workspace: &Workspace, host: &str) -> OpenedConnection {
        let connection = NewConnection {
            name: "shop".to_owned(),
            connector: "postgres".to_owned(),
            settings: json!({ "host": host }),
            shown: json!({}),
            variables: Vec::new(),
        };
        workspace.put_connection(&key(), &connection).await.unwrap();
        workspace.open_connection(&key(), "shop").await.unwrap()
    }

    #[tokio::test]
    async fn no_sample_outlives_the_rules_it_was_taken_under() {
        let db = database().await;
        let workspace = db.store.default_workspace();
        let opened = put(&workspace, "one").await;
        let path = ["public".to_owned(), "people".to_owned()];
        workspace.set_samples("shop", "rows").await.unwrap();
        let rules = workspace.sample_rules("shop").await.unwrap();
        workspace.put_samples(&opened, &rules, &path, &json!({ "rows": 1 })).await.unwrap();
        assert_eq!(workspace.samples("shop").await.unwrap(), [(path.to_vec(), json!({ "rows": 1 }))]);
        workspace.set_mask("shop", &path, "name", Some("hash")).await.unwrap();
        assert_eq!(workspace.samples("shop").await.unwrap(), [], "they were not behind the mask");
        workspace.put_samples(&opened, &rules, &path, &json!({ "rows": 2 })).await.unwrap();
        assert_eq!(workspace.samples("shop").await.unwrap(), [], "whoever read them before comes too late");
        let masks = workspace.sample_rules("shop").await.unwrap().masks;
        assert_eq!(masks, [ColumnMask { path: path.to_vec(), column: "name".to_owned(), mask: "hash".to_owned() }]);
    }

    #[tokio::test]
    async fn samples_belong_to_the_settings_that_they_were_read_with() {
        let db = database().await;
        let workspace = db.store.default_workspace();
        let opened = put(&workspace, "one").await;
        workspace.set_samples("shop", "values").await.unwrap();
        let rules = workspace.sample_rules("shop").await.unwrap();
        workspace.put_samples(&opened, &rules, &["t".to_owned()], &json!({})).await.unwrap();
        put(&workspace, "two").await;
        assert_eq!(workspace.samples("shop").await.unwrap(), []);
        workspace.put_samples(&opened, &rules, &["u".to_owned()], &json!({})).await.unwrap();
        assert_eq!(workspace.samples("shop").await.unwrap(), []);
        assert_eq!(workspace.sample_rules("shop").await.unwrap().policy, "values", "a person's decision stays");
    }
}
