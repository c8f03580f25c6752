//! Pipelines and their versions. A version is immutable and found again by the hash of its content.

use chrono::{DateTime, Utc};
use headwater_pipelines::plan::Plan;
use headwater_pipelines::spec::Schedule;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::deadline::Tx;
use crate::{Result, StoreError, Workspace};

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

    /// Stores a version, makes it current and brings the pipeline's schedule up to date. An edit of the schedule bumps its
    /// generation, so that a fire planned before it is refused; a spec without one retires the schedule.
    pub async fn apply(&self, version: &NewVersion<'_>, schedule: Option<&Schedule>) -> Result<VersionRow> {
        let mut tx = self.durable().begin().await?;
        let id = insert_version(&mut tx, self.id, version).await?;
        let pipeline_id = sqlx::query_scalar!(
            "UPDATE pipelines SET current_version_id = $2 WHERE workspace_id = $1 AND name = $3 RETURNING id",
            self.id,
            id,
            version.plan.pipeline
        )
        .fetch_one(&mut *tx)
        .await?;
        crate::schedules::put_schedule(&mut tx, self.id, pipeline_id, schedule).await?;
        tx.commit().await?;
        self.version(id).await
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
            Some(None) => Err(StoreError::not_found(format!("pipeline '{pipeline}' has no approved version"))
                .hint("approve one with `headwater apply FILE`")),
            None => Err(self.unknown_pipeline(pipeline).await?),
        }
    }

    /// Names of all pipelines that have an approved version, sorted.
    pub async fn pipelines(&self) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar!(
            "SELECT name FROM pipelines WHERE workspace_id = $1 AND current_version_id IS NOT NULL ORDER BY name",
            self.id
        )
        .fetch_all(self.durable())
        .await?)
    }

    /// Says which pipelines there are if this one is not.
    pub(crate) async fn must_have_pipeline(&self, pipeline: &str) -> Result<()> {
        if self.pipelines().await?.iter().any(|name| name == pipeline) {
            return Ok(());
        }
        Err(self.unknown_pipeline(pipeline).await?)
    }

    async fn unknown_pipeline(&self, pipeline: &str) -> Result<StoreError> {
        let names = self.pipelines().await?;
        let hint = match names.is_empty() {
            true => "approve one with `headwater apply FILE`".to_owned(),
            false => format!("the pipelines are {}", names.join(", ")),
        };
        Ok(StoreError::not_found(format!("there is no pipeline named '{pipeline}'")).hint(hint))
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
