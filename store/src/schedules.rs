//! Schedules: one for each pipeline whose current version has one.

use chrono::{DateTime, Utc};
use headwater_pipelines::schedule;
use headwater_pipelines::spec::Schedule;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::deadline::Tx;
use crate::{Result, StoreError, Suggest, Workspace};

/// A schedule.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ScheduleRow {
    /// Its id.
    pub id: Uuid,
    /// Name of the pipeline.
    pub pipeline: String,
    /// What the spec says.
    pub schedule: Schedule,
    /// Bumped by every edit.
    pub generation: i32,
    /// Where `every` counts from.
    pub anchor: DateTime<Utc>,
    /// Whether a person has stopped it.
    pub paused: bool,
    /// The last nominal time that was dealt with.
    pub last_fire_at: Option<DateTime<Utc>>,
    /// Why no run was made at that time; absent if one was.
    pub last_skipped: Option<String>,
    /// The next one; the scheduler fills it in. Absent while the schedule is paused.
    pub next_fire_at: Option<DateTime<Utc>>,
    /// Whether no time is left.
    pub ended: bool,
}

impl Workspace {
    /// All schedules in force, by pipeline.
    pub async fn schedules(&self) -> Result<Vec<ScheduleRow>> {
        let rows = sqlx::query!(
            r#"SELECT s.id, p.name, s.spec::text AS "spec!", s.generation, s.anchor, s.paused_at IS NOT NULL AS "paused!",
                      s.last_fire_at, NULLIF(s.next_fire_at, 'infinity') AS next_fire_at,
                      COALESCE(s.next_fire_at = 'infinity', false) AS "ended!",
                      CASE WHEN f.outcome <> 'fired' THEN COALESCE(f.reason, f.outcome) END AS last_skipped
               FROM schedules s JOIN pipelines p ON p.workspace_id = s.workspace_id AND p.id = s.pipeline_id
               LEFT JOIN fires f ON f.workspace_id = s.workspace_id AND f.schedule_id = s.id AND f.fire_at = s.last_fire_at
               WHERE s.workspace_id = $1 AND s.retired_at IS NULL ORDER BY p.name"#,
            self.id()
        )
        .fetch_all(self.durable())
        .await?;
        rows.into_iter()
            .map(|row| {
                let schedule: Schedule = serde_json::from_str(&row.spec)?;
                let offset = schedule::offset(&schedule, &row.name);
                Ok(ScheduleRow {
                    id: row.id,
                    pipeline: row.name,
                    schedule,
                    generation: row.generation,
                    anchor: row.anchor,
                    paused: row.paused,
                    last_fire_at: row.last_fire_at,
                    last_skipped: row.last_skipped,
                    next_fire_at: row.next_fire_at.filter(|_| !row.paused).map(|at| at - offset),
                    ended: row.ended,
                })
            })
            .collect()
    }

    /// Stops a pipeline's schedule. Fires that fall into the pause are not caught up.
    pub async fn pause_schedule(&self, pipeline: &str) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        let changed = sqlx::query!(
            r#"UPDATE schedules s SET paused_at = COALESCE(s.paused_at, clock_timestamp()), generation = s.generation + 1
               FROM pipelines p
               WHERE s.workspace_id = $1 AND p.workspace_id = $1 AND p.id = s.pipeline_id AND p.name = $2
                 AND s.retired_at IS NULL"#,
            self.id(),
            pipeline
        )
        .execute(&mut *tx)
        .await?;
        if changed.rows_affected() == 0 {
            drop(tx);
            return Err(self.no_schedule(pipeline).await?);
        }
        self.record(&mut tx, "schedules.pause", pipeline, &()).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Starts a pipeline's schedule again, from now.
    pub async fn resume_schedule(&self, pipeline: &str) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        let changed = sqlx::query!(
            r#"UPDATE schedules s
               SET paused_at = NULL, generation = s.generation + 1,
                   since = CASE WHEN s.paused_at IS NULL THEN s.since ELSE clock_timestamp() END,
                   next_fire_at = CASE WHEN s.paused_at IS NULL THEN s.next_fire_at END,
                   last_fire_at = CASE WHEN s.paused_at IS NULL THEN s.last_fire_at END
               FROM pipelines p
               WHERE s.workspace_id = $1 AND p.workspace_id = $1 AND p.id = s.pipeline_id AND p.name = $2
                 AND s.retired_at IS NULL"#,
            self.id(),
            pipeline
        )
        .execute(&mut *tx)
        .await?;
        if changed.rows_affected() == 0 {
            drop(tx);
            return Err(self.no_schedule(pipeline).await?);
        }
        self.record(&mut tx, "schedules.resume", pipeline, &()).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn no_schedule(&self, pipeline: &str) -> Result<StoreError> {
        let names: Vec<String> = self.schedules().await?.into_iter().map(|row| row.pipeline).collect();
        let hint = match names.is_empty() {
            true => "apply a spec that has a `schedule`".to_owned(),
            false => format!("the pipelines with a schedule are {}", names.join(", ")),
        };
        Ok(StoreError::not_found(format!("there is no schedule for a pipeline named '{pipeline}'"))
            .hint(hint)
            .suggest(Suggest::ListSchedules))
    }
}

/// Brings a pipeline's schedule in line with its new version. An unchanged schedule keeps its generation and its next fire.
pub(crate) async fn put_schedule(
    tx: &mut Tx,
    workspace_id: Uuid,
    pipeline_id: Uuid,
    schedule: Option<&Schedule>,
) -> Result<()> {
    let Some(schedule) = schedule else {
        sqlx::query!(
            r#"UPDATE schedules SET retired_at = clock_timestamp(), next_fire_at = NULL, generation = generation + 1
               WHERE workspace_id = $1 AND pipeline_id = $2 AND retired_at IS NULL"#,
            workspace_id,
            pipeline_id
        )
        .execute(&mut **tx)
        .await?;
        return Ok(());
    };
    let spec = serde_json::to_string(schedule)?;
    sqlx::query!(
        r#"INSERT INTO schedules AS s (workspace_id, pipeline_id, spec) VALUES ($1, $2, $3::text::json)
           ON CONFLICT (workspace_id, pipeline_id) DO UPDATE
           SET spec = EXCLUDED.spec, generation = s.generation + 1, anchor = clock_timestamp(), since = clock_timestamp(), retired_at = NULL,
               next_fire_at = NULL, last_fire_at = NULL
           WHERE s.spec::text <> EXCLUDED.spec::text OR s.retired_at IS NOT NULL"#,
        workspace_id,
        pipeline_id,
        spec
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
