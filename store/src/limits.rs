//! Limits on what runs at a time, and pauses. The claim honours them (lifecycle/limited.rs).

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::deadline::Tx;
use crate::{Result, StoreError, Suggest, Workspace};

/// What a limit or a pause is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Everything in the workspace.
    Workspace,
    /// The stages of a pipeline's runs.
    Pipeline(String),
    /// The stages that are routed to a queue.
    Queue(String),
    /// The stages that read or write a connection.
    Connection(String),
}

/// A limit, a pause, or both.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LimitRow {
    /// What it is about.
    pub scope: Scope,
    /// Attempts at a time.
    pub slots: Option<i32>,
    /// Since when nothing new starts.
    pub paused_at: Option<DateTime<Utc>>,
    /// Attempts that run now.
    pub held: i64,
}

impl Scope {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Pipeline(_) => "pipeline",
            Self::Queue(_) => "queue",
            Self::Connection(_) => "connection",
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Workspace => "",
            Self::Pipeline(name) | Self::Queue(name) | Self::Connection(name) => name,
        }
    }

    pub(crate) fn of(kind: &str, name: String) -> Result<Self> {
        match kind {
            "workspace" => Ok(Self::Workspace),
            "pipeline" => Ok(Self::Pipeline(name)),
            "queue" => Ok(Self::Queue(name)),
            "connection" => Ok(Self::Connection(name)),
            _ => Err(StoreError::bug(format!("'{kind}' is no kind of limit"))),
        }
    }
}

/// `queue:default`, or `workspace`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workspace => f.write_str("workspace"),
            scope => write!(f, "{}:{}", scope.kind(), scope.name()),
        }
    }
}

impl FromStr for Scope {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            None if text == "workspace" => Ok(Self::Workspace),
            Some((kind @ ("pipeline" | "queue" | "connection"), name)) if !name.is_empty() => {
                Self::of(kind, name.to_owned())
            }
            _ => Err(StoreError::invalid(format!("'{text}' is nothing that can be limited or paused"))
                .hint("write pipeline:NAME, queue:NAME, connection:NAME or workspace")),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Scope {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scope".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(workspace|(pipeline|queue|connection):.+)$",
            "description": "What a limit or a pause is about: `queue:default`, or `workspace`.",
        })
    }
}

/// What the audit says of a limit.
#[derive(Serialize)]
struct Limited {
    slots: i32,
}

/// What one row holds for a scope.
#[derive(Clone, Copy)]
enum Bound {
    Limit,
    Pause,
}

impl Workspace {
    /// Limits concurrent attempts. What runs already goes on.
    pub async fn set_limit(&self, scope: &Scope, slots: u32) -> Result<()> {
        let slots = i32::try_from(slots).ok().filter(|slots| *slots > 0).ok_or_else(|| {
            StoreError::invalid("a limit is at least 1")
                .hint("a pause lets nothing start")
                .suggest(Suggest::Pause { scope: scope.clone() })
        })?;
        self.must_exist(scope).await?;
        let mut tx = self.durable().begin().await?;
        sqlx::query!(
            "INSERT INTO limits (workspace_id, kind, name, slots) VALUES ($1, $2, $3, $4)
             ON CONFLICT (workspace_id, kind, name) DO UPDATE SET slots = EXCLUDED.slots",
            self.id,
            scope.kind(),
            scope.name(),
            slots
        )
        .execute(&mut *tx)
        .await?;
        self.record(&mut tx, "limits.set", &scope.to_string(), &Limited { slots }).await?;
        tx.commit().await?;
        self.wake_all().await
    }

    /// Removes a limit. A pause stays.
    pub async fn remove_limit(&self, scope: &Scope) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        if !self.lift(&mut tx, scope, Bound::Limit).await? {
            return Err(StoreError::not_found(format!("there is no limit on {scope}")).suggest(Suggest::ListLimits));
        }
        self.record(&mut tx, "limits.remove", &scope.to_string(), &()).await?;
        tx.commit().await?;
        self.wake_all().await
    }

    /// From now on nothing of the scope starts. What runs already goes on, and what must end in a target may still be fenced.
    pub async fn pause(&self, scope: &Scope) -> Result<()> {
        self.must_exist(scope).await?;
        let mut tx = self.durable().begin().await?;
        sqlx::query!(
            "INSERT INTO limits (workspace_id, kind, name, paused_at) VALUES ($1, $2, $3, clock_timestamp())
             ON CONFLICT (workspace_id, kind, name) DO UPDATE SET paused_at = COALESCE(limits.paused_at, EXCLUDED.paused_at)",
            self.id,
            scope.kind(),
            scope.name()
        )
        .execute(&mut *tx)
        .await?;
        self.record(&mut tx, "pauses.add", &scope.to_string(), &()).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Ends a pause. A limit stays.
    pub async fn resume(&self, scope: &Scope) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        if !self.lift(&mut tx, scope, Bound::Pause).await? {
            return Err(StoreError::not_found(format!("{scope} is not paused")).suggest(Suggest::ListLimits));
        }
        self.record(&mut tx, "pauses.end", &scope.to_string(), &()).await?;
        tx.commit().await?;
        self.wake_all().await
    }

    /// Takes one of the two away from a scope; the row goes with the last. Answers whether there was one.
    async fn lift(&self, tx: &mut Tx, scope: &Scope, bound: Bound) -> Result<bool> {
        let changed = sqlx::query_scalar!(
            r#"WITH kept AS (
                   UPDATE limits SET slots = CASE WHEN NOT $4 THEN slots END, paused_at = CASE WHEN $4 THEN paused_at END
                   WHERE workspace_id = $1 AND kind = $2 AND name = $3 AND slots IS NOT NULL AND paused_at IS NOT NULL
                   RETURNING 1),
               gone AS (
                   DELETE FROM limits
                   WHERE workspace_id = $1 AND kind = $2 AND name = $3 AND CASE WHEN $4 THEN paused_at IS NULL ELSE slots IS NULL END
                   RETURNING 1)
               SELECT (SELECT count(*) FROM kept) + (SELECT count(*) FROM gone) AS "changed!""#,
            self.id,
            scope.kind(),
            scope.name(),
            matches!(bound, Bound::Limit)
        );
        Ok(changed.fetch_one(&mut **tx).await? > 0)
    }

    /// All limits and pauses, with the attempts that run under each.
    pub async fn limits(&self) -> Result<Vec<LimitRow>> {
        let rows = sqlx::query!(
            r#"SELECT kind AS "kind!", name AS "name!", slots, paused_at, held AS "held!" FROM limits_in_use
               WHERE workspace_id = $1 ORDER BY kind, name"#,
            self.id
        )
        .fetch_all(self.durable())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(LimitRow {
                    scope: Scope::of(&row.kind, row.name)?,
                    slots: row.slots,
                    paused_at: row.paused_at,
                    held: row.held,
                })
            })
            .collect()
    }

    /// Pipelines and connections must be there; queues are names that specs make up.
    async fn must_exist(&self, scope: &Scope) -> Result<()> {
        match scope {
            Scope::Pipeline(name) => self.must_have_pipeline(name).await,
            Scope::Connection(name) => self.must_have_connection(name).await,
            Scope::Workspace | Scope::Queue(_) => Ok(()),
        }
    }

    /// What was held back may start: workers look at once.
    async fn wake_all(&self) -> Result<()> {
        let queues = sqlx::query_scalar!("SELECT DISTINCT queue FROM ready WHERE workspace_id = $1", self.id)
            .fetch_all(self.durable())
            .await?;
        self.store.inner.notifier.ready(queues);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;
    use crate::testing::database;
    use crate::{MasterKey, NewConnection};

    #[tokio::test]
    async fn a_limit_or_pause_of_an_unknown_connection_is_refused_with_the_nearest_name() {
        let db = database().await;
        let workspace = db.store.default_workspace();
        let shop = NewConnection {
            name: "shop".to_owned(),
            connector: "postgres".to_owned(),
            settings: json!({}),
            shown: json!({}),
            variables: Vec::new(),
        };
        workspace.put_connection(&MasterKey::from_bytes(&[3; 32]).unwrap(), &shop).await.unwrap();
        workspace.set_limit(&Scope::Connection("shop".to_owned()), 4).await.unwrap();
        let unknown = Scope::Connection("shpo".to_owned());
        for error in [workspace.set_limit(&unknown, 4).await.unwrap_err(), workspace.pause(&unknown).await.unwrap_err()]
        {
            assert_eq!(error.hint.unwrap(), "did you mean 'shop'?");
        }
        workspace.pause(&Scope::Queue("any".to_owned())).await.unwrap();
    }
}
