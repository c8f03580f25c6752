//! Streams: one for each pipeline whose approved version follows its sources. The one door for their states; `advance` makes the runs.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::deadline::Tx;
use crate::state::{RunState, StreamEvent, StreamState};
use crate::{Result, StoreError, Workspace};

mod advance;
#[cfg(test)]
mod tests;

/// A stream as it is listed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StreamRow {
    /// Name of the pipeline.
    pub pipeline: String,
    /// Where it is.
    pub state: StreamState,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Its present run, or its last one.
    pub run_id: Option<Uuid>,
    /// Where that run is.
    pub run_state: Option<RunState>,
    /// When its next run starts, if the last one failed.
    pub not_before: Option<DateTime<Utc>>,
    /// Why it does not run, or why its last run failed.
    pub error: Option<String>,
    /// Batches that were committed since it was made.
    pub batches: i64,
    /// Their rows, as the targets took them.
    pub rows: i64,
    /// Rows and messages that they have rejected.
    pub rejected: i64,
    /// When the last batch was committed.
    pub committed_at: Option<DateTime<Utc>>,
    /// Rows that its loads have left for their next batches, about; absent before the first look, and while it does not run.
    pub behind: Option<i64>,
}

impl Workspace {
    /// All streams, or that of a pipeline, by pipeline.
    pub async fn streams(&self, pipeline: Option<&str>) -> Result<Vec<StreamRow>> {
        let rows = sqlx::query!(
            r#"SELECT p.name, s.state, s.since, s.run_id, s.not_before, s.error, s.batches, s.rows, s.rejected, s.committed_at,
                      r.state AS "run_state?",
                      (SELECT sum(c.behind)::bigint FROM cursors c
                       WHERE c.workspace_id = s.workspace_id AND c.pipeline_id = s.pipeline_id AND s.state = 'running') AS behind
               FROM streams s JOIN pipelines p ON p.workspace_id = s.workspace_id AND p.id = s.pipeline_id
               LEFT JOIN runs r ON r.workspace_id = s.workspace_id AND r.id = s.run_id
               WHERE s.workspace_id = $1 AND ($2::text IS NULL OR p.name = $2) ORDER BY p.name"#,
            self.id(),
            pipeline
        )
        .fetch_all(self.durable())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(StreamRow {
                    pipeline: row.name,
                    state: row.state.parse()?,
                    since: row.since,
                    run_id: row.run_id,
                    run_state: row.run_state.map(|state| state.parse()).transpose()?,
                    not_before: row.not_before,
                    error: row.error,
                    batches: row.batches,
                    rows: row.rows,
                    rejected: row.rejected,
                    committed_at: row.committed_at,
                    behind: row.behind,
                })
            })
            .collect()
    }

    /// The stream of a pipeline.
    pub async fn stream(&self, pipeline: &str) -> Result<StreamRow> {
        if let Some(row) = self.streams(Some(pipeline)).await?.pop() {
            return Ok(row);
        }
        // Says so if there is no such pipeline.
        self.current_version(pipeline).await?;
        Err(StoreError::not_found(format!("'{pipeline}' is no stream"))
            .hint("add `stream: {}` to its spec, and apply it"))
    }

    /// Lets a stream end behind its present batch.
    pub async fn pause_stream(&self, pipeline: &str) -> Result<()> {
        self.move_stream(pipeline, StreamEvent::Pause, "streams.pause").await
    }

    /// Lets a stream go on from where its loads are.
    pub async fn resume_stream(&self, pipeline: &str) -> Result<()> {
        self.move_stream(pipeline, StreamEvent::Resume, "streams.resume").await
    }

    /// Changes the state as a person asks. One that is there already is no mistake.
    async fn move_stream(&self, pipeline: &str, event: StreamEvent, action: &str) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        let found = sqlx::query!(
            "SELECT s.pipeline_id, s.state FROM streams s JOIN pipelines p ON p.workspace_id = s.workspace_id AND p.id = s.pipeline_id
             WHERE s.workspace_id = $1 AND p.name = $2 FOR UPDATE OF s",
            self.id(),
            pipeline
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(found) = found else {
            drop(tx);
            return self.stream(pipeline).await.map(drop);
        };
        if let Some(next) = found.state.parse::<StreamState>()?.next(event) {
            put_state(&mut tx, self.id(), found.pipeline_id, next, None).await?;
            self.record(&mut tx, action, pipeline, &()).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Whether a run follows its sources.
    pub async fn follows(&self, run: Uuid) -> Result<bool> {
        Ok(sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM runs WHERE workspace_id = $1 AND id = $2 AND trigger = 'stream') AS "follows!""#,
            self.id(),
            run
        )
        .fetch_one(self.durable())
        .await?)
    }
}

/// Brings a pipeline's stream in line with its new version. One that is paused stays so.
pub(crate) async fn put_stream(tx: &mut Tx, workspace_id: Uuid, pipeline_id: Uuid, is_stream: bool) -> Result<()> {
    if !is_stream {
        sqlx::query!("DELETE FROM streams WHERE workspace_id = $1 AND pipeline_id = $2", workspace_id, pipeline_id)
            .execute(&mut **tx)
            .await?;
        return Ok(());
    }
    let found = sqlx::query_scalar!(
        "INSERT INTO streams (workspace_id, pipeline_id) VALUES ($1, $2)
         ON CONFLICT (workspace_id, pipeline_id) DO UPDATE SET not_before = NULL, failures = 0 RETURNING state",
        workspace_id,
        pipeline_id
    )
    .fetch_one(&mut **tx)
    .await?;
    match found.parse::<StreamState>()? {
        StreamState::Failed => put_state(tx, workspace_id, pipeline_id, StreamState::Running, None).await,
        StreamState::Running | StreamState::Paused => Ok(()),
    }
}

/// Pauses the stream whose run is canceled, in the transaction that cancels it: else it would be made again.
pub(crate) async fn pause_canceled(tx: &mut Tx, workspace_id: Uuid, run_id: Uuid) -> Result<()> {
    let found = sqlx::query!(
        "SELECT pipeline_id, state FROM streams WHERE workspace_id = $1 AND run_id = $2 FOR UPDATE",
        workspace_id,
        run_id
    )
    .fetch_optional(&mut **tx)
    .await?;
    let Some(found) = found else { return Ok(()) };
    match found.state.parse::<StreamState>()?.next(StreamEvent::Pause) {
        Some(next) => put_state(tx, workspace_id, found.pipeline_id, next, Some("its run was canceled")).await,
        None => Ok(()),
    }
}

/// How the last run ended is no matter to a stream that is to run again.
async fn put_state(
    tx: &mut Tx,
    workspace_id: Uuid,
    pipeline_id: Uuid,
    state: StreamState,
    error: Option<&str>,
) -> Result<()> {
    sqlx::query!(
        "UPDATE streams s SET state = $3, since = clock_timestamp(), error = $4, failures = 0, not_before = NULL,
             run_id = CASE WHEN $3 = 'running' AND EXISTS (
                 SELECT FROM runs r WHERE r.workspace_id = s.workspace_id AND r.id = s.run_id AND r.state IN ('succeeded', 'failed', 'canceled'))
                 THEN NULL ELSE s.run_id END
         WHERE s.workspace_id = $1 AND s.pipeline_id = $2",
        workspace_id,
        pipeline_id,
        state.as_str(),
        error
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
