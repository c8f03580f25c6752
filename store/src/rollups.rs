//! Counts of what has ended, and the failures that have not been reported yet.
//!
//! The transaction that ends a run notes it in `ended_runs` (a trigger). Whoever takes the note out adds the run, its stage runs and its
//! loads to `rollups` and reports its failure: once, however many processes look. Nothing here reads history that was counted before.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::{Result, Store};

/// Upper bounds of the durations that are told apart, in seconds; the last one is open.
pub const BOUNDS: [f64; 7] = [0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0];

/// What has ended in one state.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Rollup {
    /// run, stage_run or load.
    pub kind: String,
    /// The state it ended in.
    pub state: String,
    /// How many.
    pub count: i64,
    /// How long they took in all, in seconds.
    pub seconds: f64,
    /// How many took at most each of [`BOUNDS`].
    pub buckets: Vec<i64>,
}

/// A run that has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRun {
    /// The run.
    pub run_id: Uuid,
    /// Its pipeline.
    pub pipeline: String,
    /// The task at fault.
    pub task: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
}

impl Store {
    /// Counts runs that have ended and are not counted yet, at most so many, and answers with those that failed.
    pub async fn roll_up(&self, most: i64) -> Result<Vec<FailedRun>> {
        let mut tx = self.relaxed().begin().await?;
        let ended = sqlx::query!(
            r#"DELETE FROM ended_runs WHERE run_id = ANY (ARRAY(
                   SELECT run_id FROM ended_runs LIMIT $1 FOR UPDATE SKIP LOCKED))
               RETURNING workspace_id, run_id"#,
            most
        )
        .fetch_all(&mut *tx)
        .await?;
        if ended.is_empty() {
            return Ok(Vec::new());
        }
        let workspaces: BTreeSet<Uuid> = ended.iter().map(|row| row.workspace_id).collect();
        let workspaces = Vec::from_iter(workspaces);
        let ended: Vec<Uuid> = ended.into_iter().map(|row| row.run_id).collect();
        // Rows in the order of their key: two processes that count at a time wait for each other instead of deadlocking.
        sqlx::query!(
            r#"INSERT INTO rollups AS r (workspace_id, kind, state, count, seconds, buckets)
               SELECT workspace_id, kind, state, count(*), sum(took), ARRAY[
                          count(*) FILTER (WHERE took <= 0.01), count(*) FILTER (WHERE took <= 0.1), count(*) FILTER (WHERE took <= 1),
                          count(*) FILTER (WHERE took <= 10), count(*) FILTER (WHERE took <= 60), count(*) FILTER (WHERE took <= 600),
                          count(*) FILTER (WHERE took <= 3600)]
               FROM (
                   SELECT workspace_id, 'run' AS kind, state::text AS state,
                          extract(epoch FROM finished_at - COALESCE(started_at, finished_at))::float8 AS took
                   FROM runs WHERE workspace_id = ANY ($2) AND id = ANY ($1)
                   UNION ALL
                   SELECT workspace_id, 'stage_run', state::text,
                          extract(epoch FROM finished_at - COALESCE(started_at, finished_at))::float8
                   FROM stage_runs WHERE run_id = ANY ($1) AND reused_from IS NULL AND finished_at IS NOT NULL
                   UNION ALL
                   SELECT l.workspace_id, 'load', l.state, extract(epoch FROM l.finished_at - COALESCE(s.started_at, l.finished_at))::float8
                   FROM loads l JOIN stage_runs s ON s.workspace_id = l.workspace_id AND s.id = l.stage_run_id
                   WHERE l.run_id = ANY ($1) AND l.finished_at IS NOT NULL
               ) AS ended
               GROUP BY workspace_id, kind, state ORDER BY workspace_id, kind, state
               ON CONFLICT (workspace_id, kind, state) DO UPDATE
               SET count = r.count + EXCLUDED.count, seconds = r.seconds + EXCLUDED.seconds,
                   buckets = ARRAY(SELECT a + b FROM unnest(r.buckets, EXCLUDED.buckets) AS both_of (a, b))"#,
            &ended,
            &workspaces
        )
        .execute(&mut *tx)
        .await?;
        let failed = sqlx::query_as!(
            FailedRun,
            r#"SELECT r.id AS run_id, p.name AS pipeline, r.error_task AS task, r.error_message AS error, r.finished_at AS "finished_at!"
               FROM runs r JOIN pipelines p ON p.workspace_id = r.workspace_id AND p.id = r.pipeline_id
               WHERE r.workspace_id = ANY ($2) AND r.id = ANY ($1) AND r.state = 'failed' ORDER BY r.finished_at"#,
            &ended,
            &workspaces
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(failed)
    }

    /// What has ended, of all workspaces.
    pub async fn rollups(&self) -> Result<Vec<Rollup>> {
        // There are a few rows for each workspace.
        let rows = sqlx::query!(
            r#"SELECT kind, state, sum(count)::bigint AS "count!", sum(seconds) AS "seconds!",
                      ARRAY[sum(buckets[1]), sum(buckets[2]), sum(buckets[3]), sum(buckets[4]), sum(buckets[5]), sum(buckets[6]),
                            sum(buckets[7])]::bigint[] AS "buckets!"
               FROM rollups GROUP BY kind, state ORDER BY kind, state"#
        )
        .fetch_all(self.reads())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| Rollup {
                kind: row.kind,
                state: row.state,
                count: row.count,
                seconds: row.seconds,
                buckets: row.buckets,
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use crate::testing::{database, plan, start_run};

    #[tokio::test]
    async fn a_run_that_has_ended_is_counted_once_with_its_stages() {
        let db = database().await;
        let workspace = db.store.default_workspace();
        let run_id = start_run(&db.store, &plan("p", &[("a", &[]), ("b", &[])])).await;
        assert!(db.store.roll_up(100).await.unwrap().is_empty());
        assert!(db.store.rollups().await.unwrap().is_empty(), "it has not ended");
        workspace.cancel_run(run_id).await.unwrap();
        for _ in 0..2 {
            db.store.roll_up(100).await.unwrap();
            let counted = db.store.rollups().await.unwrap();
            let counted: Vec<_> =
                counted.iter().map(|row| (&*row.kind, &*row.state, row.count, row.buckets[0])).collect();
            assert_eq!(counted, [("run", "canceled", 1, 1), ("stage_run", "canceled", 2, 2)]);
        }
    }
}
