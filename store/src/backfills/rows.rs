//! Backfills as people see them.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::state::BackfillState;
use crate::{Result, StoreError, Workspace};

/// A backfill and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BackfillRow {
    /// Its id.
    pub backfill_id: Uuid,
    /// Name of the pipeline.
    pub pipeline: String,
    /// Number of the version that its runs execute.
    pub version: i32,
    /// Where it is.
    pub state: BackfillState,
    /// Where its first slice begins.
    pub from: DateTime<Utc>,
    /// Where its last slice ends, exclusive.
    pub to: DateTime<Utc>,
    /// Slices at a time.
    pub parallel: i32,
    /// How many slices there are.
    pub slices: i64,
    /// How many have succeeded.
    pub succeeded: i64,
    /// How many have failed or were canceled.
    pub failed: i64,
    /// How many are under way.
    pub running: i64,
    /// When it was started.
    pub created_at: DateTime<Utc>,
    /// Who started it.
    pub created_by: Option<String>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// A slice of a backfill.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SliceRow {
    /// Where it begins.
    pub from: DateTime<Utc>,
    /// Where it ends, exclusive.
    pub to: DateTime<Utc>,
    /// `waiting`, or where its run is.
    pub state: String,
    /// Its run.
    pub run_id: Option<Uuid>,
}

impl Workspace {
    /// Backfills, newest first: all, or those of a pipeline.
    pub async fn backfills(&self, pipeline: Option<&str>, limit: i64) -> Result<Vec<BackfillRow>> {
        self.backfill_rows(None, pipeline, limit).await
    }

    /// One backfill.
    pub async fn backfill(&self, id: Uuid) -> Result<BackfillRow> {
        let found = self.backfill_rows(Some(id), None, 1).await?.pop();
        found.ok_or_else(|| StoreError::not_found(format!("there is no backfill {id}")))
    }

    async fn backfill_rows(&self, id: Option<Uuid>, pipeline: Option<&str>, limit: i64) -> Result<Vec<BackfillRow>> {
        let rows = sqlx::query!(
            r#"SELECT b.id, p.name, v.number, b.state, b.starts_at, b.ends_at, b.parallel, b.created_at, b.created_by, b.ended_at,
                      s.slices AS "slices!", s.succeeded AS "succeeded!", s.failed AS "failed!", s.running AS "running!"
               FROM backfills b
               JOIN pipelines p ON p.workspace_id = b.workspace_id AND p.id = b.pipeline_id
               JOIN versions v ON v.workspace_id = b.workspace_id AND v.id = b.version_id
               CROSS JOIN LATERAL (
                   SELECT count(*) AS slices, count(*) FILTER (WHERE e.state = 'succeeded') AS succeeded,
                          count(*) FILTER (WHERE e.state IN ('failed', 'canceled')) AS failed,
                          count(*) FILTER (WHERE e.state IN ('pending', 'queued', 'running')) AS running
                   FROM backfill_slices s
                   LEFT JOIN runs r ON r.workspace_id = s.workspace_id AND r.id = s.run_id AND s.ended IS NULL
                   CROSS JOIN LATERAL (SELECT COALESCE(s.ended, r.state) AS state) e
                   WHERE s.workspace_id = b.workspace_id AND s.backfill_id = b.id) s
               WHERE b.workspace_id = $1 AND ($2::text IS NULL OR p.name = $2) AND ($4::uuid IS NULL OR b.id = $4)
               ORDER BY b.id DESC LIMIT $3"#,
            self.id(),
            pipeline,
            limit,
            id
        )
        .fetch_all(self.durable())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(BackfillRow {
                    backfill_id: row.id,
                    pipeline: row.name,
                    version: row.number,
                    state: row.state.parse()?,
                    from: row.starts_at,
                    to: row.ends_at,
                    parallel: row.parallel,
                    slices: row.slices,
                    succeeded: row.succeeded,
                    failed: row.failed,
                    running: row.running,
                    created_at: row.created_at,
                    created_by: row.created_by,
                    ended_at: row.ended_at,
                })
            })
            .collect()
    }

    /// The newest backfill of a pipeline.
    pub async fn newest_backfill(&self, pipeline: &str) -> Result<BackfillRow> {
        if let Some(row) = self.backfills(Some(pipeline), 1).await?.pop() {
            return Ok(row);
        }
        // Says so if there is no such pipeline.
        self.current_version(pipeline).await?;
        Err(StoreError::not_found(format!("'{pipeline}' has no backfill"))
            .hint(format!("start one: headwater backfill {pipeline} --from 2026-01-01 --to 2026-02-01")))
    }

    /// Slices of a backfill, in their order.
    pub async fn backfill_slices(&self, id: Uuid) -> Result<Vec<SliceRow>> {
        self.slice_rows(id, false).await
    }

    /// Those slices of a backfill of whose runs no end was seen yet, in their order.
    pub async fn slices_under_way(&self, id: Uuid) -> Result<Vec<SliceRow>> {
        self.slice_rows(id, true).await
    }

    async fn slice_rows(&self, id: Uuid, under_way: bool) -> Result<Vec<SliceRow>> {
        let rows = sqlx::query!(
            r#"SELECT s.starts_at, s.ends_at, s.run_id,
                      COALESCE(s.ended, r.state, CASE WHEN s.run_id IS NULL THEN 'waiting' ELSE 'failed' END) AS "state!"
               FROM backfill_slices s
               LEFT JOIN runs r ON r.workspace_id = s.workspace_id AND r.id = s.run_id AND s.ended IS NULL
               WHERE s.workspace_id = $1 AND s.backfill_id = $2 AND (NOT $3::boolean OR (s.run_id IS NOT NULL AND s.ended IS NULL))
               ORDER BY s.starts_at"#,
            self.id(),
            id,
            under_way
        )
        .fetch_all(self.durable())
        .await?;
        let slice = rows.into_iter().map(|row| SliceRow {
            from: row.starts_at,
            to: row.ends_at,
            state: row.state,
            run_id: row.run_id,
        });
        Ok(slice.collect())
    }

    /// Whether a run fills in its data interval, as the run did that it does again. (Runs that an older version made don't say so themselves.)
    pub async fn is_backfill(&self, run: Uuid) -> Result<bool> {
        Ok(sqlx::query_scalar!(
            r#"WITH RECURSIVE chain AS (
                   SELECT id, rerun_of, trigger, backfill_id FROM runs WHERE workspace_id = $1 AND id = $2
                   UNION ALL
                   SELECT r.id, r.rerun_of, r.trigger, r.backfill_id FROM chain c JOIN runs r ON r.workspace_id = $1 AND r.id = c.rerun_of)
               SELECT EXISTS (SELECT FROM chain WHERE trigger = 'backfill' OR backfill_id IS NOT NULL) AS "is!""#,
            self.id(),
            run
        )
        .fetch_one(self.durable())
        .await?)
    }
}
