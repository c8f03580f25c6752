//! Pipelines as people see them: what is approved, what was, and the latest run.

use chrono::{DateTime, Utc};
use headwater_pipelines::diagnostic::nearest_hint;
use headwater_pipelines::schedule;
use headwater_pipelines::spec::Schedule;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::state::RunState;
use crate::{Result, StoreError, Suggest, VersionRow, Workspace};

/// A pipeline that has an approved version.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PipelineRow {
    /// Its name.
    pub pipeline: String,
    /// Number of the approved version.
    pub version: i32,
    /// When that version was stored.
    pub approved_at: DateTime<Utc>,
    /// Its schedule, if it has one.
    pub schedule: Option<Schedule>,
    /// Whether a person has stopped the schedule.
    pub paused: bool,
    /// The next nominal time; absent while the schedule is paused.
    pub next_fire_at: Option<DateTime<Utc>>,
    /// Its newest run.
    pub latest_run: Option<Uuid>,
    /// Where that run is.
    pub latest_state: Option<RunState>,
}

/// A version, without its text.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct VersionSummary {
    /// Counts from 1 within the pipeline.
    pub number: i32,
    /// SHA-256 over text and plan, in hexadecimal.
    pub hash: String,
    /// Whether it is the approved one.
    pub current: bool,
    /// When it was stored.
    pub created_at: DateTime<Utc>,
}

impl Workspace {
    /// Pipelines with an approved version, by name.
    pub async fn list_pipelines(&self) -> Result<Vec<PipelineRow>> {
        let rows = sqlx::query!(
            r#"SELECT p.name, v.number, v.created_at, s.spec::text AS schedule, s.paused_at IS NOT NULL AS "paused!",
                      NULLIF(s.next_fire_at, 'infinity') AS next_fire_at, r.id AS "run_id?", r.state AS "state?"
               FROM pipelines p
               JOIN versions v ON v.workspace_id = p.workspace_id AND v.id = p.current_version_id
               LEFT JOIN schedules s ON s.workspace_id = p.workspace_id AND s.pipeline_id = p.id AND s.retired_at IS NULL
               LEFT JOIN LATERAL (
                   SELECT id, state FROM runs WHERE workspace_id = p.workspace_id AND pipeline_id = p.id ORDER BY id DESC LIMIT 1
               ) r ON true
               WHERE p.workspace_id = $1 ORDER BY p.name"#,
            self.id
        )
        .fetch_all(self.reads())
        .await?;
        rows.into_iter()
            .map(|row| {
                let schedule: Option<Schedule> = row.schedule.map(|text| serde_json::from_str(&text)).transpose()?;
                let offset = schedule.as_ref().map(|schedule| schedule::offset(schedule, &row.name));
                Ok(PipelineRow {
                    pipeline: row.name,
                    version: row.number,
                    approved_at: row.created_at,
                    schedule,
                    paused: row.paused,
                    next_fire_at: row.next_fire_at.filter(|_| !row.paused).zip(offset).map(|(at, offset)| at - offset),
                    latest_run: row.run_id,
                    latest_state: row.state.map(|state| state.parse()).transpose()?,
                })
            })
            .collect()
    }

    /// Versions of a pipeline, newest first; those that `run` stored without approval are among them.
    pub async fn versions(&self, pipeline: &str) -> Result<Vec<VersionSummary>> {
        let rows = sqlx::query_as!(
            VersionSummary,
            r#"SELECT v.number, encode(v.hash, 'hex') AS "hash!", v.created_at,
                      p.current_version_id IS NOT DISTINCT FROM v.id AS "current!"
               FROM pipelines p JOIN versions v ON v.workspace_id = p.workspace_id AND v.pipeline_id = p.id
               WHERE p.workspace_id = $1 AND p.name = $2 ORDER BY v.number DESC"#,
            self.id,
            pipeline
        )
        .fetch_all(self.reads())
        .await?;
        if rows.is_empty() { Err(self.unknown_pipeline(pipeline).await?) } else { Ok(rows) }
    }

    /// A version by its number.
    pub async fn numbered_version(&self, pipeline: &str, number: i32) -> Result<VersionRow> {
        let found = sqlx::query_scalar!(
            r#"SELECT v.id FROM pipelines p JOIN versions v ON v.workspace_id = p.workspace_id AND v.pipeline_id = p.id
               WHERE p.workspace_id = $1 AND p.name = $2 AND v.number = $3"#,
            self.id,
            pipeline,
            number
        )
        .fetch_optional(self.reads())
        .await?;
        if let Some(id) = found {
            return self.version(id).await;
        }
        let newest = self.versions(pipeline).await?.first().map_or(0, |version| version.number);
        Err(StoreError::not_found(format!("pipeline '{pipeline}' has no version {number}"))
            .hint(format!("its versions are 1 to {newest}")))
    }

    /// Withdraws a pipeline's approval, retires its schedule, ends its stream and pauses its backfill. Its versions and runs stay, and what runs goes on; a later `apply`
    /// brings it back.
    pub async fn remove_pipeline(&self, pipeline: &str) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        let removed = sqlx::query_scalar!(
            "UPDATE pipelines SET current_version_id = NULL
             WHERE workspace_id = $1 AND name = $2 AND current_version_id IS NOT NULL RETURNING id",
            self.id,
            pipeline
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(pipeline_id) = removed else {
            drop(tx);
            return Err(self.unknown_pipeline(pipeline).await?);
        };
        crate::schedules::put_schedule(&mut tx, self.id, pipeline_id, None).await?;
        crate::backfills::pause_of(&mut tx, self.id, pipeline_id).await?;
        crate::streams::put_stream(&mut tx, self.id, pipeline_id, false).await?;
        self.record(&mut tx, "pipelines.remove", pipeline, &()).await?;
        tx.commit().await?;
        Ok(())
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

    /// Fails with the nearest names if there is no such pipeline.
    pub(crate) async fn must_have_pipeline(&self, pipeline: &str) -> Result<()> {
        if self.pipelines().await?.iter().any(|name| name == pipeline) {
            return Ok(());
        }
        Err(self.unknown_pipeline(pipeline).await?)
    }

    pub(crate) async fn unknown_pipeline(&self, pipeline: &str) -> Result<StoreError> {
        let names = self.pipelines().await?;
        let error = StoreError::not_found(format!("there is no approved pipeline named '{pipeline}'"));
        Ok(match nearest_hint(pipeline, names.iter().map(String::as_str)) {
            Some(hint) => error.hint(hint).suggest(Suggest::ListPipelines),
            None => error.suggest(Suggest::Apply),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use serde_json::json;

    use crate::NewVersion;
    use crate::testing::{database, plan, start_run};

    #[tokio::test]
    async fn a_removed_pipeline_keeps_its_versions_and_runs_and_comes_back_with_apply() {
        let db = database().await;
        let workspace = db.store.default_workspace();
        let (plan, spec) = (plan("p", &[("a", &[])]), json!({ "name": "p" }));
        let version = NewVersion { spec_text: "name: p", spec: &spec, plan: &plan };
        workspace.apply(&version, None).await.unwrap();
        let run_id = start_run(&db.store, &plan).await;
        let listed = workspace.list_pipelines().await.unwrap();
        assert_eq!((&*listed[0].pipeline, listed[0].latest_run), ("p", Some(run_id)));
        workspace.remove_pipeline("p").await.unwrap();
        assert!(workspace.list_pipelines().await.unwrap().is_empty());
        assert_eq!(workspace.versions("p").await.unwrap().len(), 2);
        assert!(workspace.show_run(run_id).await.is_ok());
        assert!(workspace.remove_pipeline("p").await.is_err());
        workspace.apply(&version, None).await.unwrap();
        assert_eq!(workspace.list_pipelines().await.unwrap()[0].version, 1);
    }
}
