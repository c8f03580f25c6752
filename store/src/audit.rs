//! The audit: one row for each change that somebody asked for, in the transaction of the change.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::deadline::Tx;
use crate::{Result, StoreError, Workspace};

/// How somebody reached Headwater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Face {
    /// The command line.
    CommandLine,
    /// The HTTP API.
    Http,
    /// The Model Context Protocol.
    Mcp,
    /// The assistant.
    Assistant,
}

impl Face {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CommandLine => "command_line",
            Self::Http => "http",
            Self::Mcp => "mcp",
            Self::Assistant => "assistant",
        }
    }
}

/// On whose behalf something is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The person or program.
    pub actor: String,
    /// How they reached Headwater.
    pub face: Face,
}

/// One row of the audit.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AuditRow {
    /// Grows with time.
    pub id: Uuid,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Who asked for it.
    pub actor: String,
    /// How they reached Headwater.
    pub face: String,
    /// What was done, e.g. `runs.cancel`.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// The rest; nothing secret.
    pub detail: Value,
}

impl Workspace {
    /// The same workspace, whose changes are recorded as somebody's.
    #[must_use]
    pub fn acting(&self, who: Who) -> Self {
        Self { who: Some(Arc::new(who)), ..self.clone() }
    }

    /// The newest rows of the audit, newest first.
    pub async fn audit(&self, limit: i64) -> Result<Vec<AuditRow>> {
        Ok(sqlx::query_as!(
            AuditRow,
            "SELECT id, at, actor, face, action, subject, detail FROM audit WHERE workspace_id = $1 ORDER BY id DESC LIMIT $2",
            self.id,
            limit
        )
        .fetch_all(self.reads())
        .await?)
    }

    /// Records a change in its transaction. What the control plane does by itself is not recorded.
    pub(crate) async fn record(
        &self,
        tx: &mut Tx,
        action: &str,
        subject: &str,
        detail: &(impl Serialize + Sync),
    ) -> Result<()> {
        let Some(who) = &self.who else { return Ok(()) };
        let detail = serde_json::to_value(detail)
            .map_err(|error| StoreError::bug("a change can't be described").caused_by(error))?;
        sqlx::query!(
            "INSERT INTO audit (workspace_id, actor, face, action, subject, detail) VALUES ($1, $2, $3, $4, $5, $6)",
            self.id,
            who.actor,
            who.face.as_str(),
            action,
            subject,
            detail
        )
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;
    use crate::Scope;
    use crate::testing::{database, plan, start_run};

    fn ada() -> Who {
        Who { actor: "ada".to_owned(), face: Face::CommandLine }
    }

    #[tokio::test]
    async fn a_change_on_somebodys_behalf_leaves_one_row_and_a_refused_one_leaves_none() {
        let db = database().await;
        let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
        let workspace = db.store.default_workspace().acting(ada());
        workspace.cancel_run(run_id).await.unwrap();
        assert!(workspace.pause(&Scope::Pipeline("nosuch".to_owned())).await.is_err());
        let rows = workspace.audit(10).await.unwrap();
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!((&*row.actor, &*row.face, &*row.action), ("ada", "command_line", "runs.cancel"));
        assert_eq!(row.subject, run_id.to_string());
    }

    #[tokio::test]
    async fn a_row_of_the_audit_can_be_neither_changed_nor_removed() {
        let db = database().await;
        let workspace = db.store.default_workspace().acting(ada());
        workspace.pause(&Scope::Workspace).await.unwrap();
        for statement in ["UPDATE audit SET actor = 'eve'", "DELETE FROM audit", "TRUNCATE audit"] {
            let refused = sqlx::query(statement).execute(db.store.durable()).await.unwrap_err();
            assert!(refused.to_string().contains("immutable"), "{statement}: {refused}");
        }
        assert_eq!(workspace.audit(10).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_the_control_plane_does_by_itself_is_not_recorded() {
        let db = database().await;
        db.store.default_workspace().pause(&Scope::Workspace).await.unwrap();
        assert_eq!(db.store.default_workspace().audit(10).await.unwrap().len(), 0);
    }
}
