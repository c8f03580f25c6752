//! Runs: creating them.

mod cancel;
mod history;
mod rerun;
mod rows;
mod why;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use headwater_pipelines::plan::{Plan, Stage};
use serde::Serialize;
use serde_json::{Map, Value};
use sqlx::PgTransaction;
use uuid::Uuid;

pub(crate) use cancel::cancel_in;
pub use rerun::RerunMode;
pub use rows::{AttemptRow, RunDetail, RunFilter, RunSummary, StageRunRow, TaskRunRow};
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
        let plan = self.plan(run.version_id).await?;
        let draft = RunDraft {
            version_id: run.version_id,
            plan: &plan,
            params: Value::Object(run.params.clone()),
            trigger: run.trigger,
            interval: run.interval,
            pinned_worker: run.pinned_worker,
            schedule: None,
            rerun_of: None,
            held: false,
        };
        let mut tx = self.durable().begin().await?;
        let (run_id, queues) = insert_run(&mut tx, self.id, &draft).await?;
        tx.commit().await?;
        self.store.inner.notifier.ready(queues);
        Ok(run_id)
    }
}

/// Inserts the run with its stage runs, dependencies and task runs, and puts into the queue what depends on nothing, unless the run is held
/// or a rerun, which first takes over what the old run achieved. Answers with its id and the queues.
pub(crate) async fn insert_run(
    tx: &mut PgTransaction<'_>,
    workspace_id: Uuid,
    draft: &RunDraft<'_>,
) -> Result<(Uuid, Vec<String>)> {
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
    let open = !draft.held && draft.rerun_of.is_none();
    let ids = insert_stage_runs(tx, workspace_id, run_id, draft.plan, open).await?;
    insert_deps(tx, workspace_id, run_id, draft.plan, &ids).await?;
    insert_task_runs(tx, workspace_id, run_id, draft.plan, &ids).await?;
    let queues = if open { enqueue(tx, workspace_id, run_id).await? } else { Vec::new() };
    Ok((run_id, queues))
}

/// Ids of a run's stage runs by the names of their stages.
type StageIds = HashMap<String, Uuid>;

/// Inserts stage runs, of an open run as queued if they depend on nothing.
async fn insert_stage_runs(
    tx: &mut PgTransaction<'_>,
    workspace_id: Uuid,
    run_id: Uuid,
    plan: &Plan,
    open: bool,
) -> Result<StageIds> {
    let stages = &plan.stages;
    let names: Vec<String> = stages.iter().map(|stage| stage.name.clone()).collect();
    let positions: Vec<i32> = (0i32..).take(stages.len()).collect();
    let pending: Vec<i32> =
        stages.iter().map(|stage| i32::try_from(known_ups(plan, stage).len()).unwrap_or(0)).collect();
    let queues: Vec<String> = stages.iter().map(|stage| stage.queue.clone()).collect();
    // Names of labels and connections hold no comma.
    let labels: Vec<String> = stages.iter().map(|stage| stage.labels.join(",")).collect();
    let priorities: Vec<i32> = stages.iter().map(|stage| stage.priority).collect();
    let retries = stages.iter().map(|stage| serde_json::to_value(&stage.retry)).collect::<Result<Vec<_>, _>>()?;
    let connections: Vec<String> =
        stages.iter().map(|stage| Vec::from_iter(plan.connections_of(stage)).join(",")).collect();
    let rows = sqlx::query!(
        r#"INSERT INTO stage_runs (workspace_id, run_id, stage, position, state, pending, queue, priority, retry, plan_format,
                                   connections, labels)
           SELECT $1, $2, s.name, s.position, CASE WHEN $11 AND s.pending = 0 THEN 'queued' ELSE 'pending' END, s.pending,
                  s.queue, s.priority, s.retry, $3, string_to_array(s.connections, ','),
                  string_to_array(s.labels, ',')
           FROM unnest($4::text[], $5::int[], $6::int[], $7::text[], $8::int[], $9::jsonb[], $10::text[], $12::text[])
                AS s (name, position, pending, queue, priority, retry, connections, labels)
           RETURNING stage, id"#,
        workspace_id,
        run_id,
        plan.plan_format,
        &names,
        &positions,
        &pending,
        &queues,
        &priorities,
        &retries,
        &connections,
        open,
        &labels
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.stage, row.id)).collect())
}

/// The stages that a stage comes after, each once.
fn known_ups<'a>(plan: &Plan, stage: &'a Stage) -> std::collections::BTreeSet<&'a str> {
    stage.after.iter().map(String::as_str).filter(|up| plan.stage(up).is_some()).collect()
}

async fn insert_deps(
    tx: &mut PgTransaction<'_>,
    workspace_id: Uuid,
    run_id: Uuid,
    plan: &Plan,
    ids: &StageIds,
) -> Result<()> {
    let pairs = plan.stages.iter().flat_map(|stage| known_ups(plan, stage).into_iter().map(|up| (up, &*stage.name)));
    let (ups, downs): (Vec<Uuid>, Vec<Uuid>) =
        pairs.filter_map(|(up, down)| ids.get(up).copied().zip(ids.get(down).copied())).unzip();
    if ups.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO deps (workspace_id, run_id, up_id, down_id)
         SELECT $1, $2, d.up, d.down FROM unnest($3::uuid[], $4::uuid[]) AS d (up, down)",
        workspace_id,
        run_id,
        &ups,
        &downs
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn insert_task_runs(
    tx: &mut PgTransaction<'_>,
    workspace_id: Uuid,
    run_id: Uuid,
    plan: &Plan,
    ids: &StageIds,
) -> Result<()> {
    let mut stage_runs: Vec<Uuid> = Vec::new();
    let mut tasks = Vec::new();
    let mut kinds = Vec::new();
    let mut positions: Vec<i32> = Vec::new();
    for stage in &plan.stages {
        for task in &stage.tasks {
            let Some((position, _, planned)) = plan.tasks.get_full(task) else { continue };
            stage_runs.extend(ids.get(&stage.name));
            tasks.push(task.clone());
            kinds.push(planned.work.kind().to_owned());
            positions.push(i32::try_from(position).unwrap_or(i32::MAX));
        }
    }
    sqlx::query!(
        "INSERT INTO task_runs (workspace_id, run_id, stage_run_id, task, kind, position)
         SELECT $1, $2, t.stage_run_id, t.task, t.kind, t.position
         FROM unnest($3::uuid[], $4::text[], $5::text[], $6::int[]) AS t (stage_run_id, task, kind, position)",
        workspace_id,
        run_id,
        &stage_runs,
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
    sqlx::query!(
        "UPDATE stage_runs SET state = 'queued' WHERE workspace_id = $1 AND run_id = $2 AND state = 'pending' AND pending = 0",
        workspace_id,
        run_id
    )
    .execute(&mut **tx)
    .await?;
    enqueue(tx, workspace_id, run_id).await
}

/// Makes queued stage runs of a run ready of which none is yet, and names their queues.
async fn enqueue(tx: &mut PgTransaction<'_>, workspace_id: Uuid, run_id: Uuid) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        r#"WITH entered AS (
               INSERT INTO ready (workspace_id, stage_run_id, run_id, queue, rank, run_at, plan_format, worker_id, host, labels)
               SELECT s.workspace_id, s.id, s.run_id, s.queue, clock_timestamp() - s.priority * interval '1 minute',
                      clock_timestamp(), s.plan_format, r.pinned_worker, r.host, s.labels
               FROM runs r JOIN stage_runs s ON s.workspace_id = r.workspace_id AND s.run_id = r.id
               WHERE r.workspace_id = $1 AND r.id = $2 AND s.state = 'queued'
               RETURNING queue)
           SELECT DISTINCT queue FROM entered"#,
        workspace_id,
        run_id
    )
    .fetch_all(&mut **tx)
    .await?)
}
