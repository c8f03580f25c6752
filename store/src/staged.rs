//! Runs whose staged datasets are still there. Files are the workers' to remove; this says which.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

use crate::{Result, Store, StoreError};

/// Runs whose files are removed at a time.
const BATCH: i64 = 100;

impl Store {
    /// Runs whose staged datasets nobody needs any more, and that this host can remove: those that have succeeded, those that ended otherwise longer ago
    /// than a rerun may come, and those that are forgotten.
    pub async fn staged_to_clear(&self, host: &str, rerun_window: Duration) -> Result<Vec<Uuid>> {
        let window = PgInterval::try_from(rerun_window).map_err(|error| {
            StoreError::invalid(format!("a rerun window of {rerun_window:?} is no interval")).caused_by(error)
        })?;
        Ok(sqlx::query_scalar!(
            r#"SELECT s.run_id FROM staged_runs s LEFT JOIN runs r ON r.workspace_id = s.workspace_id AND r.id = s.run_id
               WHERE (s.host IS NULL OR s.host = $1)
                 AND (r.id IS NULL OR r.state = 'succeeded' OR r.finished_at < clock_timestamp() - $2::interval)
               ORDER BY s.run_id LIMIT $3"#,
            host,
            window,
            BATCH
        )
        .fetch_all(self.relaxed())
        .await?)
    }

    /// The staged datasets of this run are gone.
    pub async fn staged_cleared(&self, run_id: Uuid) -> Result<()> {
        sqlx::query!("DELETE FROM staged_runs WHERE run_id = $1", run_id).execute(self.relaxed()).await?;
        Ok(())
    }

    /// Those of the runs that may still need their staged files: they are live, or their files are to be removed in their own time.
    pub async fn staged_in_use(&self, runs: &[Uuid]) -> Result<HashSet<Uuid>> {
        let used = sqlx::query_scalar!(
            r#"SELECT r.id AS "id!" FROM runs r WHERE r.id = ANY ($1) AND r.workspace_id = ANY (ARRAY(SELECT id FROM workspaces))
                 AND r.state IN ('pending', 'queued', 'running')
               UNION SELECT s.run_id FROM staged_runs s WHERE s.run_id = ANY ($1)"#,
            runs
        )
        .fetch_all(self.relaxed())
        .await?;
        Ok(used.into_iter().collect())
    }
}
