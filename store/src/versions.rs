//! Versions of pipelines. A version is immutable and found again by the hash of its content.

use chrono::{DateTime, Utc};
use headwater_pipelines::plan::Plan;
use headwater_pipelines::spec::Schedule;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::deadline::Tx;
use crate::state::DraftEvent;
use crate::{MasterKey, NewConnection, Result, StoreError, Suggest, Workspace};

/// What is to be stored as a version.
#[derive(Debug, Clone)]
pub struct NewVersion<'a> {
    /// The text that its author wrote.
    pub spec_text: &'a str,
    /// The spec as read from the text.
    pub spec: &'a Value,
    /// The plan made from it, whose pipeline is the one that gets the version.
    pub plan: &'a Plan,
}

/// Everything that one `apply` changes.
#[derive(Debug, Clone, Default)]
pub struct Change<'a> {
    /// Connections to store.
    pub connections: Vec<NewConnection>,
    /// Versions to make current, each with its schedule. No two are of one pipeline.
    pub pipelines: Vec<(NewVersion<'a>, Option<&'a Schedule>)>,
    /// Drafts that are approved with these versions, each with its pipeline. One that is no longer open stays as it is.
    pub drafts: Vec<(Uuid, String)>,
}

/// What the audit says of an applied version.
#[derive(Serialize)]
struct Applied {
    version_id: Uuid,
}

/// A version that was made the approved one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AppliedVersion {
    pub(crate) id: Uuid,
    /// Number of the version that was approved before.
    pub(crate) replaced: Option<i32>,
}

/// A stored version.
#[derive(Debug, Clone)]
pub struct VersionRow {
    /// Its id.
    pub id: Uuid,
    /// The pipeline it belongs to.
    pub pipeline_id: Uuid,
    /// The pipeline's name.
    pub pipeline: String,
    /// Counts from 1 within the pipeline.
    pub number: i32,
    /// SHA-256 over text and plan, in hexadecimal.
    pub hash: String,
    /// Whether it is the pipeline's current version.
    pub current: bool,
    /// The text that its author wrote.
    pub spec_text: String,
    /// The spec as read from the text.
    pub spec: Value,
    /// The plan.
    pub plan: Plan,
    /// When it was stored first.
    pub created_at: DateTime<Utc>,
}

impl Workspace {
    /// Stores a version unless one of the same content exists, and answers with that one's row. Never makes it current.
    pub async fn save_version(&self, version: &NewVersion<'_>) -> Result<VersionRow> {
        let mut tx = self.durable().begin().await?;
        let id = insert_version(&mut tx, self.id, version).await?;
        tx.commit().await?;
        self.version(id).await
    }

    /// Stores one version and makes it current. See [`Workspace::apply_all`].
    pub async fn apply(&self, version: &NewVersion<'_>, schedule: Option<&Schedule>) -> Result<VersionRow> {
        let mut tx = self.durable().begin().await?;
        let id = self.apply_in(&mut tx, version, schedule).await?.id;
        tx.commit().await?;
        self.version(id).await
    }

    /// Stores connections, makes versions current and brings the pipelines' schedules up to date: all of it or nothing. An edit of a
    /// schedule bumps its generation, so that a fire planned before it is refused; a spec without one retires the schedule.
    pub async fn apply_all(&self, key: &MasterKey, change: &Change<'_>) -> Result<Vec<VersionRow>> {
        let mut tx = self.durable().begin().await?;
        for connection in &change.connections {
            self.put_connection_in(&mut tx, key, connection).await?;
        }
        // Drafts are locked before pipelines, as their approval does.
        let mut drafts = change.drafts.clone();
        drafts.sort();
        let mut open = Vec::new();
        for (draft, pipeline) in drafts {
            if self.lock_draft(&mut tx, draft).await?.0.next(DraftEvent::Approve).is_some() {
                open.push((draft, pipeline));
            }
        }
        // Pipelines are locked in the order of their names, so that two changes wait for each other instead of deadlocking.
        let mut pipelines: Vec<_> = change.pipelines.iter().collect();
        pipelines.sort_by(|(a, _), (b, _)| a.plan.pipeline.cmp(&b.plan.pipeline));
        let mut ids = Vec::with_capacity(pipelines.len());
        for (version, schedule) in pipelines {
            let id = self.apply_in(&mut tx, version, *schedule).await?.id;
            for (draft, _) in open.iter().filter(|(_, pipeline)| *pipeline == version.plan.pipeline) {
                self.mark_approved(&mut tx, *draft, id).await?;
            }
            ids.push(id);
        }
        tx.commit().await?;
        let mut rows = Vec::with_capacity(ids.len());
        for id in ids {
            rows.push(self.version(id).await?);
        }
        Ok(rows)
    }

    /// Makes a version the approved one of its pipeline.
    pub(crate) async fn apply_in(
        &self,
        tx: &mut Tx,
        version: &NewVersion<'_>,
        schedule: Option<&Schedule>,
    ) -> Result<AppliedVersion> {
        let id = insert_version(tx, self.id, version).await?;
        let pipeline = &version.plan.pipeline;
        let row = sqlx::query!(
            r#"UPDATE pipelines p SET current_version_id = $2
               FROM (SELECT p.id, v.number
                     FROM pipelines p LEFT JOIN versions v ON v.workspace_id = p.workspace_id AND v.id = p.current_version_id
                     WHERE p.workspace_id = $1 AND p.name = $3) was
               WHERE p.workspace_id = $1 AND p.id = was.id
               RETURNING p.id, was.number AS "replaced?""#,
            self.id,
            id,
            pipeline
        )
        .fetch_one(&mut **tx)
        .await?;
        crate::schedules::put_schedule(tx, self.id, row.id, schedule).await?;
        crate::streams::put_stream(tx, self.id, row.id, version.plan.stream.is_some()).await?;
        self.record(tx, "pipelines.apply", pipeline, &Applied { version_id: id }).await?;
        Ok(AppliedVersion { id, replaced: row.replaced })
    }

    /// The version of that id.
    pub async fn version(&self, id: Uuid) -> Result<VersionRow> {
        let row = sqlx::query!(
            r#"SELECT v.id, v.pipeline_id, p.name, v.number, encode(v.hash, 'hex') AS "hash!", v.spec_text,
                      v.spec::text AS "spec!", v.plan::text AS "plan!", v.created_at,
                      p.current_version_id IS NOT DISTINCT FROM v.id AS "current!"
               FROM versions v JOIN pipelines p ON p.workspace_id = v.workspace_id AND p.id = v.pipeline_id
               WHERE v.workspace_id = $1 AND v.id = $2"#,
            self.id,
            id
        )
        .fetch_optional(self.durable())
        .await?
        .ok_or_else(|| StoreError::not_found(format!("there is no version {id}")))?;
        Ok(VersionRow {
            id: row.id,
            pipeline_id: row.pipeline_id,
            pipeline: row.name,
            number: row.number,
            hash: row.hash,
            current: row.current,
            spec_text: row.spec_text,
            spec: serde_json::from_str(&row.spec)?,
            plan: serde_json::from_str(&row.plan)?,
            created_at: row.created_at,
        })
    }

    /// The approved version of a pipeline.
    pub async fn current_version(&self, pipeline: &str) -> Result<VersionRow> {
        let found = sqlx::query_scalar!(
            "SELECT current_version_id FROM pipelines WHERE workspace_id = $1 AND name = $2",
            self.id,
            pipeline
        )
        .fetch_optional(self.durable())
        .await?;
        match found {
            Some(Some(id)) => self.version(id).await,
            Some(None) => {
                Err(StoreError::not_found(format!("pipeline '{pipeline}' has no approved version"))
                    .suggest(Suggest::Apply))
            }
            None => Err(self.unknown_pipeline(pipeline).await?),
        }
    }
}

async fn insert_version(tx: &mut Tx, workspace_id: Uuid, version: &NewVersion<'_>) -> Result<Uuid> {
    let plan = serde_json::to_string(version.plan)?;
    let spec = serde_json::to_string(version.spec)?;
    let hash = content_hash(version.spec_text, &plan);
    sqlx::query!(
        "INSERT INTO pipelines (workspace_id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        workspace_id,
        version.plan.pipeline
    )
    .execute(&mut **tx)
    .await?;
    // The pipeline's row is the lock under which its versions are numbered.
    let pipeline_id = sqlx::query_scalar!(
        "SELECT id FROM pipelines WHERE workspace_id = $1 AND name = $2 FOR NO KEY UPDATE",
        workspace_id,
        version.plan.pipeline
    )
    .fetch_one(&mut **tx)
    .await?;
    let existing = sqlx::query_scalar!(
        "SELECT id FROM versions WHERE workspace_id = $1 AND pipeline_id = $2 AND hash = $3",
        workspace_id,
        pipeline_id,
        &hash[..]
    )
    .fetch_optional(&mut **tx)
    .await?;
    if let Some(id) = existing {
        return Ok(id);
    }
    Ok(sqlx::query_scalar!(
        r#"INSERT INTO versions (workspace_id, pipeline_id, number, hash, spec_text, spec, plan, plan_format)
           SELECT $1, $2, 1 + COALESCE((SELECT max(number) FROM versions WHERE workspace_id = $1 AND pipeline_id = $2), 0),
                  $3, $4, $5::text::json, $6::text::json, $7
           RETURNING id"#,
        workspace_id,
        pipeline_id,
        &hash[..],
        version.spec_text,
        spec,
        plan,
        version.plan.plan_format
    )
    .fetch_one(&mut **tx)
    .await?)
}

/// Lengths go into the hash so that no text can pass for another text and plan.
fn content_hash(spec_text: &str, plan: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [spec_text, plan] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use headwater_pipelines::plan::{Relation, TableRef, Work};
    use headwater_pipelines::spec::WriteMode;
    use serde_json::json;

    use super::*;
    use crate::testing::{database, plan};

    fn key() -> MasterKey {
        MasterKey::from_bytes(&[3; 32]).unwrap()
    }

    fn connection(name: &str) -> NewConnection {
        NewConnection {
            name: name.to_owned(),
            connector: "delta".to_owned(),
            settings: json!({ "location": "/srv" }),
            shown: json!({ "location": "/srv" }),
            variables: Vec::new(),
        }
    }

    /// A plan whose one task loads from a connection into `lake`.
    fn copy(pipeline: &str) -> Plan {
        let mut plan = plan(pipeline, &[("publish", &[])]);
        let table = |connection: &str| TableRef { connection: connection.to_owned(), path: vec!["orders".to_owned()] };
        if let Some((_, task)) = plan.tasks.first_mut() {
            task.work = Work::Load {
                input: Relation::Table(table("shop")),
                into: table("lake"),
                mode: WriteMode::Append,
                keys: Vec::new(),
                order_by: None,
                partition_by: Vec::new(),
                schema: headwater_pipelines::spec::LoadSchema::default(),
                deletes: None,
                history: None,
            };
        }
        plan
    }

    #[tokio::test]
    async fn a_change_of_several_files_is_made_whole_or_not_at_all() {
        let db = database().await;
        let workspace = db.store.default_workspace();
        let (good, bad, spec) = (copy("good"), copy("worse"), json!({}));
        // Postgres keeps no NUL in text, so that the second version is refused after the first one was stored.
        let first = NewVersion { spec_text: "name: good", spec: &spec, plan: &good };
        let second = NewVersion { spec_text: "name: worse\0", spec: &spec, plan: &bad };
        let broken = Change {
            connections: vec![connection("lake")],
            pipelines: vec![(first.clone(), None), (second, None)],
            drafts: Vec::new(),
        };
        assert!(workspace.apply_all(&key(), &broken).await.is_err());
        assert!(workspace.connections().await.unwrap().is_empty());
        assert!(workspace.pipelines().await.unwrap().is_empty());
        let whole =
            Change { connections: vec![connection("lake")], pipelines: vec![(first, None)], drafts: Vec::new() };
        assert_eq!(workspace.apply_all(&key(), &whole).await.unwrap()[0].pipeline, "good");
        assert_eq!(workspace.connections().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_connection_that_an_approved_pipeline_uses_is_not_removed() {
        let db = database().await;
        let workspace = db.store.default_workspace();
        let (plan, spec) = (copy("orders"), json!({}));
        let version = NewVersion { spec_text: "name: orders", spec: &spec, plan: &plan };
        let change =
            Change { connections: vec![connection("lake")], pipelines: vec![(version, None)], drafts: Vec::new() };
        workspace.apply_all(&key(), &change).await.unwrap();
        let error = workspace.remove_connection("lake").await.unwrap_err();
        assert_eq!(error.message, "connection 'lake' is used by the approved pipeline orders");
        workspace.remove_pipeline("orders").await.unwrap();
        workspace.remove_connection("lake").await.unwrap();
    }
}
