//! Making the runs of streams. Any number of schedulers do it: the row of the stream is locked.

use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use super::put_state;
use crate::deadline::Tx;
use crate::lifecycle::interval;
use crate::runs::{RunDraft, Trigger, insert_run};
use crate::state::{RunState, StreamEvent, StreamState};
use crate::{Result, Store, StoreError, Workspace};

/// The pause behind the first run that failed; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// How often the pause doubles: up to 320 s.
const DOUBLINGS: u32 = 6;

impl Store {
    /// Looks at every stream that has no run under way. Answers with the number of runs that were made. One that can't be advanced does not stop the
    /// others.
    pub async fn advance_streams(&self) -> Result<u64> {
        let due = sqlx::query!(
            "SELECT s.workspace_id, s.pipeline_id FROM streams s
             LEFT JOIN runs r ON r.workspace_id = s.workspace_id AND r.id = s.run_id
             WHERE s.state = 'running' AND (s.not_before IS NULL OR s.not_before <= clock_timestamp())
               AND (r.id IS NULL OR r.state IN ('succeeded', 'failed', 'canceled'))
             ORDER BY s.workspace_id, s.pipeline_id"
        )
        .fetch_all(self.durable())
        .await?;
        let (mut made, mut problem) = (0, None);
        for row in due {
            match self.workspace(row.workspace_id).advance_stream(row.pipeline_id).await {
                Ok(runs) => made += runs,
                Err(error) => problem = Some(error),
            }
        }
        problem.map_or(Ok(made), Err)
    }
}

/// How the last run of a stream ended.
struct Last {
    state: RunState,
    error: Option<String>,
    /// Another try may help.
    may_pass: bool,
}

impl Workspace {
    /// Notes how the last run of a stream ended, and starts the next one. Answers with the number of runs that were made.
    async fn advance_stream(&self, pipeline_id: Uuid) -> Result<u64> {
        let mut tx = self.durable().begin().await?;
        let row = sqlx::query!(
            r#"SELECT s.state, s.run_id, s.failures, v.id AS "version_id?", v.plan::text AS plan
               FROM streams s
               JOIN pipelines p ON p.workspace_id = s.workspace_id AND p.id = s.pipeline_id
               LEFT JOIN versions v ON v.workspace_id = p.workspace_id AND v.id = p.current_version_id
               WHERE s.workspace_id = $1 AND s.pipeline_id = $2 AND s.state = 'running'
                 AND (s.not_before IS NULL OR s.not_before <= clock_timestamp()) FOR UPDATE OF s SKIP LOCKED"#,
            self.id(),
            pipeline_id
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else { return Ok(0) };
        let last = match row.run_id {
            Some(run) => self.last(&mut tx, run).await?,
            None => None,
        };
        let state: StreamState = row.state.parse()?;
        let after = |event| state.next(event).ok_or_else(|| StoreError::bug(format!("a stream that is {state} ended")));
        match last {
            Some(last) if !last.state.is_final() => return Ok(0),
            Some(Last { state: RunState::Failed, error, may_pass }) => {
                match may_pass {
                    true => put_off(&mut tx, self.id(), pipeline_id, row.failures, error.as_deref()).await?,
                    false => {
                        put_state(&mut tx, self.id(), pipeline_id, after(StreamEvent::Fail)?, error.as_deref()).await?;
                    }
                }
                tx.commit().await?;
                return Ok(0);
            }
            _ => {}
        }
        let (Some(version_id), Some(plan)) = (row.version_id, row.plan) else { return Ok(0) };
        let draft = RunDraft {
            version_id,
            plan: &serde_json::from_str(&plan)?,
            params: Value::Object(serde_json::Map::new()),
            trigger: Trigger::Stream,
            interval: None,
            pinned_worker: None,
            schedule: None,
            rerun_of: None,
            held: false,
            started: None,
        };
        let (run, queues) = insert_run(&mut *tx, self.id(), &draft).await?;
        sqlx::query!(
            "UPDATE streams SET run_id = $3 WHERE workspace_id = $1 AND pipeline_id = $2",
            self.id(),
            pipeline_id,
            run
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        self.store.inner.notifier.ready(queues);
        Ok(1)
    }

    async fn last(&self, tx: &mut Tx, run: Uuid) -> Result<Option<Last>> {
        let row = sqlx::query!(
            r#"SELECT r.state, r.error_message, NOT EXISTS (
                   SELECT FROM stage_runs s WHERE s.workspace_id = r.workspace_id AND s.run_id = r.id AND s.state = 'failed'
                     AND (s.error ->> 'retryable') IS DISTINCT FROM 'true') AS "may_pass!"
               FROM runs r WHERE r.workspace_id = $1 AND r.id = $2"#,
            self.id(),
            run
        )
        .fetch_optional(&mut **tx)
        .await?;
        row.map(|row| Ok(Last { state: row.state.parse()?, error: row.error_message, may_pass: row.may_pass }))
            .transpose()
    }
}

/// Lets the next run wait, the longer the more have failed.
async fn put_off(tx: &mut Tx, workspace_id: Uuid, pipeline_id: Uuid, failures: i32, error: Option<&str>) -> Result<()> {
    let pause = FIRST_PAUSE * 2u32.pow(u32::try_from(failures).unwrap_or_default().min(DOUBLINGS));
    sqlx::query!(
        "UPDATE streams SET run_id = NULL, failures = failures + 1, not_before = clock_timestamp() + $3, error = $4
         WHERE workspace_id = $1 AND pipeline_id = $2",
        workspace_id,
        pipeline_id,
        interval(pause)?,
        error
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
