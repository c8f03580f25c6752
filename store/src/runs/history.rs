//! Runs: reading their history.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::rows::{AttemptRow, RunDetail, RunFilter, RunSummary, StageRunRow, TaskRunRow};
use crate::ids::{AMBIGUOUS_SHOWN, Beginning};
use crate::{Result, StoreError, Suggest, Workspace};

impl Workspace {
    /// Runs, newest first.
    pub async fn list_runs(&self, filter: &RunFilter) -> Result<Vec<RunSummary>> {
        self.summaries(filter, None).await
    }

    /// One run.
    pub async fn run(&self, run_id: Uuid) -> Result<RunSummary> {
        let found = self.summaries(&RunFilter::default(), Some(run_id)).await?.pop();
        found.ok_or_else(|| StoreError::not_found(format!("there is no run {run_id}")).suggest(Suggest::ListRuns))
    }

    /// The one run whose id begins like this: with digits of an id, dashes or not.
    pub async fn find_run(&self, prefix: &str) -> Result<Uuid> {
        let beginning = Beginning::read("run", prefix, Suggest::ListRuns)?;
        let found = sqlx::query_scalar!(
            "SELECT id FROM runs WHERE workspace_id = $1 AND id >= $2 AND id <= $3 ORDER BY id DESC LIMIT $4",
            self.id,
            beginning.from,
            beginning.to,
            AMBIGUOUS_SHOWN + 1
        )
        .fetch_all(self.reads())
        .await?;
        beginning.only(&found)
    }

    async fn summaries(&self, filter: &RunFilter, only: Option<Uuid>) -> Result<Vec<RunSummary>> {
        let states: Vec<String> = filter.states.iter().map(|state| state.as_str().to_owned()).collect();
        let states = (!states.is_empty()).then_some(states);
        let rows = sqlx::query!(
            r#"SELECT r.id, p.name, v.number, r.state, r.trigger, r.fire_time, r.created_at, r.started_at, r.finished_at,
                      r.cancel_requested_at IS NOT NULL AS "cancel_requested!", r.error_message, r.error_task, r.error_hint
               FROM runs r
               JOIN pipelines p ON p.workspace_id = r.workspace_id AND p.id = r.pipeline_id
               JOIN versions v ON v.workspace_id = r.workspace_id AND v.id = r.version_id
               WHERE r.workspace_id = $1 AND ($2::text[] IS NULL OR r.state = ANY ($2)) AND ($3::text IS NULL OR p.name = $3)
                 AND ($4::uuid IS NULL OR r.id < $4) AND ($6::uuid IS NULL OR r.id = $6)
               ORDER BY r.id DESC LIMIT $5"#,
            self.id,
            states as Option<Vec<String>>,
            filter.pipeline.as_deref(),
            filter.before,
            filter.limit.unwrap_or(20),
            only
        )
        .fetch_all(self.reads())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(RunSummary {
                    run_id: row.id,
                    pipeline: row.name,
                    version: row.number,
                    state: row.state.parse()?,
                    trigger: row.trigger,
                    fire_time: row.fire_time,
                    created_at: row.created_at,
                    started_at: row.started_at,
                    finished_at: row.finished_at,
                    cancel_requested: row.cancel_requested,
                    error: row.error_message,
                    error_task: row.error_task,
                    hint: row.error_hint,
                })
            })
            .collect()
    }

    /// Everything about one run, with the progress of the latest heartbeats.
    pub async fn show_run(&self, run_id: Uuid) -> Result<RunDetail> {
        let run = self.run(run_id).await?;
        let more = sqlx::query!(
            "SELECT version_id, params, interval_start, interval_end, rerun_of FROM runs WHERE workspace_id = $1 AND id = $2",
            self.id,
            run_id
        )
        .fetch_one(self.reads())
        .await?;
        let (stage_runs, tasks, attempts, receipts) = tokio::try_join!(
            self.stage_runs(run_id),
            self.task_rows(run_id),
            self.attempt_rows(run_id),
            self.receipts(run_id)
        )?;
        Ok(RunDetail {
            run,
            version_id: more.version_id,
            params: more.params,
            interval_start: more.interval_start,
            interval_end: more.interval_end,
            rerun_of: more.rerun_of,
            tasks: tasks_of(tasks, &stage_runs, &attempts),
            attempts: attempts_of(attempts, &stage_runs)?,
            stage_runs,
            receipts,
        })
    }

    async fn stage_runs(&self, run_id: Uuid) -> Result<Vec<StageRunRow>> {
        let rows = sqlx::query!(
            "SELECT id, stage, state, queue, load_id, attempt, run_at, wake_at, reused_from, started_at, finished_at, error
             FROM stage_runs WHERE workspace_id = $1 AND run_id = $2 ORDER BY position",
            self.id,
            run_id
        )
        .fetch_all(self.reads())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(StageRunRow {
                    id: row.id,
                    stage: row.stage,
                    state: row.state.parse()?,
                    queue: row.queue,
                    load_id: row.load_id,
                    attempt: row.attempt,
                    run_at: row.run_at,
                    wake_at: row.wake_at,
                    reused_from: row.reused_from,
                    started_at: row.started_at,
                    finished_at: row.finished_at,
                    error: row.error,
                })
            })
            .collect()
    }

    async fn task_rows(&self, run_id: Uuid) -> Result<Vec<TaskRow>> {
        Ok(sqlx::query_as!(
            TaskRow,
            r#"SELECT t.task, t.kind, t.position, t.stage_run_id, t.state, t.rows, t.bytes, t.rejected, t.busy_us,
                      l.progress AS "progress?"
               FROM task_runs t LEFT JOIN leases l ON l.stage_run_id = t.stage_run_id AND l.run_id = $2
               WHERE t.workspace_id = $1 AND t.run_id = $2"#,
            self.id,
            run_id
        )
        .fetch_all(self.reads())
        .await?)
    }

    async fn attempt_rows(&self, run_id: Uuid) -> Result<Vec<AttemptRecord>> {
        // An array and not a join: whatever the planner believes of the tables, each is looked up by its index.
        Ok(sqlx::query_as!(
            AttemptRecord,
            "SELECT id, stage_run_id, number, kind, worker_id, state, started_at, finished_at, error
             FROM attempts
             WHERE workspace_id = $1 AND stage_run_id = ANY (ARRAY(
                 SELECT id FROM stage_runs WHERE workspace_id = $1 AND run_id = $2))
             ORDER BY id",
            self.id,
            run_id
        )
        .fetch_all(self.reads())
        .await?)
    }

    async fn receipts(&self, run_id: Uuid) -> Result<Vec<Value>> {
        let rows = sqlx::query_scalar!(
            r#"SELECT l.receipt AS "receipt!"
               FROM stage_runs s
               JOIN loads l ON l.workspace_id = s.workspace_id AND (l.load_id = s.load_id OR (l.run_id = $2 AND l.stage_run_id = s.id))
               WHERE s.workspace_id = $1 AND s.run_id = $2 AND l.state = 'committed' ORDER BY s.position, l.created_at"#,
            self.id,
            run_id
        )
        .fetch_all(self.reads())
        .await?;
        Ok(rows)
    }
}

/// A row of `task_runs` with the progress that its lease holds.
struct TaskRow {
    task: String,
    kind: String,
    position: i32,
    stage_run_id: Uuid,
    state: String,
    rows: i64,
    bytes: i64,
    rejected: i64,
    busy_us: i64,
    progress: Option<Value>,
}

/// Task runs in the order of the spec, with what their stage runs and attempts say about them.
fn tasks_of(mut rows: Vec<TaskRow>, stage_runs: &[StageRunRow], attempts: &[AttemptRecord]) -> Vec<TaskRunRow> {
    let stages: HashMap<Uuid, (usize, &StageRunRow)> =
        stage_runs.iter().enumerate().map(|(position, stage)| (stage.id, (position, stage))).collect();
    let mut tries: HashMap<Uuid, i64> = HashMap::new();
    for attempt in attempts.iter().filter(|attempt| attempt.kind == "run") {
        *tries.entry(attempt.stage_run_id).or_default() += 1;
    }
    rows.sort_by_key(|row| (row.position, stages.get(&row.stage_run_id).map(|(position, _)| *position)));
    let tasks = rows.into_iter().map(|row| {
        let stage = stages.get(&row.stage_run_id).map(|(_, stage)| *stage);
        let live = row.progress.as_ref().and_then(|progress| progress.get(&row.task));
        let count = |name: &str, ended: i64| {
            let live = live.and_then(|counts| counts.get(name)).and_then(Value::as_i64);
            live.map_or(ended, |live| live.max(ended))
        };
        TaskRunRow {
            rows: count("rows", row.rows),
            bytes: count("bytes", row.bytes),
            rejected: count("rejected", row.rejected),
            busy_us: count("busy_us", row.busy_us),
            state: stage.filter(|_| row.state == "pending").map_or(row.state, |stage| stage.state.to_string()),
            path: row.task,
            kind: row.kind,
            stage_run_id: row.stage_run_id,
            attempts: tries.get(&row.stage_run_id).copied().unwrap_or_default(),
            started_at: stage.and_then(|stage| stage.started_at),
            finished_at: stage.and_then(|stage| stage.finished_at),
        }
    });
    tasks.collect()
}

/// A row of `attempts`.
struct AttemptRecord {
    id: Uuid,
    stage_run_id: Uuid,
    number: i32,
    kind: String,
    worker_id: Uuid,
    state: String,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    error: Option<Value>,
}

/// Attempts with the names of their stages.
fn attempts_of(rows: Vec<AttemptRecord>, stage_runs: &[StageRunRow]) -> Result<Vec<AttemptRow>> {
    let names: HashMap<Uuid, &str> = stage_runs.iter().map(|stage| (stage.id, &*stage.stage)).collect();
    let attempts = rows.into_iter().map(|row| {
        Ok(AttemptRow {
            id: row.id,
            stage: names.get(&row.stage_run_id).copied().unwrap_or_default().to_owned(),
            stage_run_id: row.stage_run_id,
            number: row.number,
            kind: row.kind,
            worker_id: row.worker_id,
            state: row.state.parse()?,
            started_at: row.started_at,
            finished_at: row.finished_at,
            error: row.error,
        })
    });
    attempts.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use crate::StoreErrorKind;
    use crate::testing::{database, plan, start_run};

    #[tokio::test]
    async fn a_run_is_found_by_a_beginning_of_its_id_that_no_other_shares() {
        let db = database().await;
        let workspace = db.store.default_workspace();
        let first = start_run(&db.store, &plan("p", &[("a", &[])])).await;
        let second = start_run(&db.store, &plan("p", &[("a", &[])])).await;
        assert_eq!(workspace.find_run(&first.to_string()[..34]).await.unwrap(), first);
        assert_eq!(workspace.find_run(&second.simple().to_string()).await.unwrap(), second);
        let error = workspace.find_run("0").await.unwrap_err();
        assert!(error.hint.unwrap().contains(&second.to_string()), "both begin with it");
        assert_eq!(workspace.find_run("ffff").await.unwrap_err().kind, StoreErrorKind::NotFound);
    }
}
