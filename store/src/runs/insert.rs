//! Making a run: one call of the database's function.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use headwater_pipelines::plan::{Plan, Stage};
use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::Trigger;
use crate::{Result, StoreError, Who};

/// How much less urgent a backfill is than other runs of its pipeline: a point of priority is a minute of the queue.
const BACKFILLS_BEHIND: i32 = 10;

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
    /// Set if somebody starts it: who, and what the audit says of it.
    pub(crate) started: Option<(&'a Who, Value)>,
}

/// Inserts the run with its stage runs, dependencies and task runs, and puts into the queue what depends on nothing, unless the run is held
/// or a rerun, which first takes over what the old run achieved. Answers with its id and the queues.
pub(crate) async fn insert_run(
    executor: impl PgExecutor<'_>,
    workspace_id: Uuid,
    draft: &RunDraft<'_>,
) -> Result<(Uuid, Vec<String>)> {
    let mut stages = Stages::of(draft.plan, draft.trigger)?;
    if draft.trigger == Trigger::Backfill {
        stages.priorities.iter_mut().for_each(|priority| *priority = priority.saturating_sub(BACKFILLS_BEHIND));
    }
    let deps = Deps::of(draft.plan);
    let tasks = Tasks::of(draft.plan);
    let row = sqlx::query_file!(
        "src/runs/insert.sql",
        workspace_id,
        draft.version_id,
        if draft.held { "pending" } else { "queued" },
        draft.trigger.as_str(),
        draft.params,
        draft.schedule.map(|(id, _)| id),
        draft.schedule.map(|(_, at)| at),
        draft.interval.map(|(start, _)| start),
        draft.interval.map(|(_, end)| end),
        draft.rerun_of,
        draft.pinned_worker,
        draft.plan.plan_format,
        !draft.held && draft.rerun_of.is_none(),
        &stages.names,
        &stages.pending,
        &stages.queues,
        &stages.priorities,
        &stages.retries,
        &stages.connections,
        &stages.labels,
        &stages.lights,
        &deps.ups,
        &deps.downs,
        &tasks.stages,
        &tasks.names,
        &tasks.kinds,
        &tasks.positions,
        draft.started.as_ref().map(|(who, _)| who.actor.as_str()),
        draft.started.as_ref().map(|(who, _)| who.face.as_str()),
        draft.started.as_ref().map(|(_, detail)| detail) as Option<&Value>
    )
    .fetch_one(executor)
    .await?;
    let id = row.id.ok_or_else(|| StoreError::not_found(format!("there is no version {}", draft.version_id)))?;
    Ok((id, row.queues))
}

/// A plan has far fewer stages and tasks than that.
fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// The stages that a stage comes after, each once.
fn known_ups<'a>(plan: &Plan, stage: &'a Stage) -> BTreeSet<&'a str> {
    stage.after.iter().map(String::as_str).filter(|up| plan.stage(up).is_some()).collect()
}

/// Columns of the stage runs, in the plan's order.
struct Stages {
    names: Vec<String>,
    pending: Vec<i32>,
    queues: Vec<String>,
    priorities: Vec<i32>,
    retries: Vec<Value>,
    /// Joined by commas, which names of connections and labels don't hold.
    connections: Vec<String>,
    labels: Vec<String>,
    /// Whether the stage moves no data.
    lights: Vec<bool>,
}

/// A stage that takes a light slot: its tasks all move no data, or it follows its sources, which is waiting for the most part and has no end that a data
/// slot could be kept for.
fn is_light(plan: &Plan, trigger: Trigger, stage: &Stage) -> bool {
    if trigger == Trigger::Stream {
        return true;
    }
    let works = stage.tasks.iter().filter_map(|task| plan.tasks.get(task)).map(|task| &task.work);
    works.into_iter().all(|work| work.kind().is_light())
}

impl Stages {
    fn of(plan: &Plan, trigger: Trigger) -> Result<Self> {
        let stages = &plan.stages;
        Ok(Self {
            names: stages.iter().map(|stage| stage.name.clone()).collect(),
            pending: stages.iter().map(|stage| number(known_ups(plan, stage).len())).collect(),
            queues: stages.iter().map(|stage| stage.queue.clone()).collect(),
            priorities: stages.iter().map(|stage| stage.priority).collect(),
            retries: stages.iter().map(|stage| serde_json::to_value(&stage.retry)).collect::<Result<_, _>>()?,
            connections: stages.iter().map(|stage| Vec::from_iter(plan.connections_of(stage)).join(",")).collect(),
            labels: stages.iter().map(|stage| stage.labels.join(",")).collect(),
            lights: stages.iter().map(|stage| is_light(plan, trigger, stage)).collect(),
        })
    }
}

/// Positions of stages, of which the second waits for the first.
struct Deps {
    ups: Vec<i32>,
    downs: Vec<i32>,
}

impl Deps {
    fn of(plan: &Plan) -> Self {
        let positions: HashMap<&str, i32> = plan.stages.iter().map(|stage| &*stage.name).zip(0..).collect();
        let pairs = plan.stages.iter().zip(0..).flat_map(|(stage, down)| {
            let ups: Vec<i32> =
                known_ups(plan, stage).into_iter().filter_map(|up| positions.get(up).copied()).collect();
            ups.into_iter().map(move |up| (up, down))
        });
        let (ups, downs) = pairs.unzip();
        Self { ups, downs }
    }
}

/// Columns of the task runs.
#[derive(Default)]
struct Tasks {
    /// Positions of their stages.
    stages: Vec<i32>,
    names: Vec<String>,
    kinds: Vec<String>,
    positions: Vec<i32>,
}

impl Tasks {
    fn of(plan: &Plan) -> Self {
        let mut tasks = Self::default();
        for (stage, at) in plan.stages.iter().zip(0..) {
            for task in &stage.tasks {
                let Some((position, _, planned)) = plan.tasks.get_full(task) else { continue };
                tasks.stages.push(at);
                tasks.names.push(task.to_string());
                tasks.kinds.push(planned.work.kind().as_str().to_owned());
                tasks.positions.push(number(position));
            }
        }
        tasks
    }
}
