//! Runs: creating them.

mod cancel;
mod history;
mod rerun;
mod why;

use chrono::{DateTime, Utc};
use headwater_pipelines::plan::{Plan, Stage};
use serde::Serialize;
use serde_json::{Map, Value};
use sqlx::PgTransaction;
use uuid::Uuid;

pub(crate) use cancel::cancel_in;
pub use history::{AttemptRow, RunDetail, RunFilter, RunSummary, StageRunRow, TaskRunRow};
pub use rerun::RerunMode;
pub use why::{Cause, Why};

use crate::{Result, Workspace};

/// Why a run exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A person started it.
    Manual,
    /// A schedule fired.
    Schedule,
    /// A person ran an earlier run again.
    Rerun,
    /// It fills in an interval of the past.
    Backfill,
}

impl Trigger {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Schedule => "schedule",
            Self::Rerun => "rerun",
            Self::Backfill => "backfill",
        }
    }
}

/// A run that is to be made.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// What it executes.
    pub version_id: Uuid,
    /// Values of the parameters, checked against their types.
    pub params: Map<String, Value>,
    /// Why it exists.
    pub trigger: Trigger,
    /// The data interval, half-open.
    pub interval: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// The only worker that may execute it.
    pub pinned_worker: Option<Uuid>,
}

/// A run as the transactions that make one see it.
pub(crate) struct RunDraft<'a> {
    pub(crate) version_id: Uuid,
    pub(crate) plan: &'a Plan,
    pub(crate) params: Value,
    pub(crate) trigger: Trigger,
    pub(crate) interval: Option<(DateTime<Utc>, DateTime<Utc>)>,
    pub(crate) pinned_worker: Option<Uuid>,
    pub(crate) schedule: Option<(Uuid, DateTime<Utc>)>,
    pub(crate) rerun_of: Option<Uuid>,
    /// It waits behind an earlier run: nothing of it is ready yet.
    pub(crate) held: bool,
}

impl Workspace {
    /// Makes a run with its stage runs, dependencies and task runs, and puts what depends on nothing into the queue.
    pub async fn create_run(&self, run: &NewRun) -> Result<Uuid> {
        let version = self.version(run.version_id).await?;
        let draft = RunDraft {
            version_id: run.version_id,
            plan: &version.plan,
            params: Value::Object(run.params.clone()),
            trigger: run.trigger,
            interval: run.interval,
            pinned_worker: run.pinned_worker,
            schedule: None,
            rerun_of: None,
            held: false,
        };
        let mut tx = self.durable().begin().await?;
        let run_id = insert_run(&mut tx, self.id, &draft).await?;
        let queues = queue_unblocked(&mut tx, self.id, run_id).await?;
        tx.commit().await?;
        self.store.inner.notifier.ready(queues);
        Ok(run_id)
    }
}

/// Inserts the run, its stage runs (all pending), dependencies and task runs.
pub(crate) async fn insert_run(tx: &mut PgTransaction<'_>, workspace_id: Uuid, draft: &RunDraft<'_>) -> Result<Uuid> {
    let remaining = i32::try_from(draft.plan.stages.len()).unwrap_or(i32::MAX);
    let run_id = sqlx::query_scalar!(
        r#"INSERT INTO runs (workspace_id, pipeline_id, version_id, state, trigger, params, schedule_id, fire_time,
                             interval_start, interval_end, rerun_of, pinned_worker, remaining)
           SELECT $1, v.pipeline_id, v.id, CASE WHEN $11 THEN 'pending' ELSE 'queued' END, $3, $4, $5, $6, $7, $8, $9, $10, $12
           FROM versions v WHERE v.workspace_id = $1 AND v.id = $2
           RETURNING id"#,
        workspace_id,
        draft.version_id,
        draft.trigger.as_str(),
        draft.params,
        draft.schedule.map(|(id, _)| id),
        draft.schedule.map(|(_, at)| at),
        draft.interval.map(|(start, _)| start),
        draft.interval.map(|(_, end)| end),
        draft.rerun_of,
        draft.pinned_worker,
        draft.held,
        remaining
    )
    .fetch_one(&mut **tx)
    .await?;
    insert_stage_runs(tx, workspace_id, run_id, draft.plan).await?;
    insert_deps(tx, workspace_id, run_id, draft.plan).await?;
    insert_task_runs(tx, workspace_id, run_id, draft.plan).await?;
    Ok(run_id)
}

async fn insert_stage_runs(tx: &mut PgTransaction<'_>, workspace_id: Uuid, run_id: Uuid, plan: &Plan) -> Result<()> {
    let stages = &plan.stages;
    let names: Vec<String> = stages.iter().map(|stage| stage.name.clone()).collect();
    let positions: Vec<i32> = (0i32..).take(stages.len()).collect();
    let pending: Vec<i32> =
        stages.iter().map(|stage| i32::try_from(known_ups(plan, stage).len()).unwrap_or(0)).collect();
    let queues: Vec<String> = stages.iter().map(|stage| stage.queue.clone()).collect();
    let priorities: Vec<i32> = stages.iter().map(|stage| stage.priority).collect();
    let retries = stages.iter().map(|stage| serde_json::to_value(&stage.retry)).collect::<Result<Vec<_>, _>>()?;
    // Names of connections hold no comma.
    let connections: Vec<String> = stages.iter().map(|stage| connections(plan, stage).join(",")).collect();
    sqlx::query!(
        r#"INSERT INTO stage_runs (workspace_id, run_id, stage, position, state, pending, queue, priority, retry, plan_format,
                                   connections)
           SELECT $1, $2, s.name, s.position, 'pending', s.pending, s.queue, s.priority, s.retry, $3,
                  string_to_array(s.connections, ',')
           FROM unnest($4::text[], $5::int[], $6::int[], $7::text[], $8::int[], $9::jsonb[], $10::text[])
                AS s (name, position, pending, queue, priority, retry, connections)"#,
        workspace_id,
        run_id,
        plan.plan_format,
        &names,
        &positions,
        &pending,
        &queues,
        &priorities,
        &retries,
        &connections
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The connections that a stage reads or writes, each once.
fn connections(plan: &Plan, stage: &Stage) -> Vec<String> {
    let tasks = stage.tasks.iter().filter_map(|task| plan.tasks.get(task));
    let names: std::collections::BTreeSet<String> = tasks.flat_map(|task| task.work.connections()).collect();
    names.into_iter().collect()
}

/// The stages that a stage comes after, each once.
fn known_ups<'a>(plan: &Plan, stage: &'a Stage) -> std::collections::BTreeSet<&'a str> {
    stage.after.iter().map(String::as_str).filter(|up| plan.stage(up).is_some()).collect()
}

async fn insert_deps(tx: &mut PgTransaction<'_>, workspace_id: Uuid, run_id: Uuid, plan: &Plan) -> Result<()> {
    let pairs =
        plan.stages.iter().flat_map(|stage| known_ups(plan, stage).into_iter().map(move |up| (up, &stage.name)));
    let (ups, downs): (Vec<String>, Vec<String>) = pairs.map(|(up, down)| (up.to_owned(), down.clone())).unzip();
    if ups.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r#"WITH stage AS MATERIALIZED (SELECT id, stage FROM stage_runs WHERE workspace_id = $1 AND run_id = $2)
           INSERT INTO deps (workspace_id, run_id, up_id, down_id)
           SELECT $1, $2, up.id, down.id
           FROM unnest($3::text[], $4::text[]) AS d (up, down)
           JOIN stage up ON up.stage = d.up JOIN stage down ON down.stage = d.down"#,
        workspace_id,
        run_id,
        &ups,
        &downs
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn insert_task_runs(tx: &mut PgTransaction<'_>, workspace_id: Uuid, run_id: Uuid, plan: &Plan) -> Result<()> {
    let mut stages = Vec::new();
    let mut tasks = Vec::new();
    let mut kinds = Vec::new();
    let mut positions: Vec<i32> = Vec::new();
    for stage in &plan.stages {
        for task in &stage.tasks {
            let Some((position, _, planned)) = plan.tasks.get_full(task) else { continue };
            stages.push(stage.name.clone());
            tasks.push(task.clone());
            kinds.push(planned.work.kind().to_owned());
            positions.push(i32::try_from(position).unwrap_or(i32::MAX));
        }
    }
    sqlx::query!(
        r#"WITH stage AS MATERIALIZED (SELECT id, stage FROM stage_runs WHERE workspace_id = $1 AND run_id = $2)
           INSERT INTO task_runs (workspace_id, run_id, stage_run_id, task, kind, position)
           SELECT $1, $2, stage.id, t.task, t.kind, t.position
           FROM unnest($3::text[], $4::text[], $5::text[], $6::int[]) AS t (stage, task, kind, position)
           JOIN stage ON stage.stage = t.stage"#,
        workspace_id,
        run_id,
        &stages,
        &tasks,
        &kinds,
        &positions
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Puts every pending stage run of a released run that depends on nothing into the queue, and names the queues.
pub(crate) async fn queue_unblocked(
    tx: &mut PgTransaction<'_>,
    workspace_id: Uuid,
    run_id: Uuid,
) -> Result<Vec<String>> {
    let queues = sqlx::query_scalar!(
        r#"WITH open AS (
               UPDATE stage_runs s SET state = 'queued'
               FROM runs r
               WHERE s.workspace_id = $1 AND s.run_id = $2 AND s.state = 'pending' AND s.pending = 0
                 AND r.workspace_id = $1 AND r.id = $2 AND r.state <> 'pending'
               RETURNING s.workspace_id, s.id, s.run_id, s.queue, s.priority, s.plan_format, r.pinned_worker, r.host),
           queued AS (
               INSERT INTO ready (workspace_id, stage_run_id, run_id, queue, rank, run_at, plan_format, worker_id, host)
               SELECT workspace_id, id, run_id, queue, clock_timestamp() - priority * interval '1 minute', clock_timestamp(),
                      plan_format, pinned_worker, host
               FROM open
               RETURNING queue)
           SELECT DISTINCT queue FROM queued"#,
        workspace_id,
        run_id
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(queues)
}
