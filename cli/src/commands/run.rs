//! `headwater run`: make a run and see it through.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use headwater_engine::parameters;
use headwater_pipelines::plan::{Plan, check_value};
use headwater_scheduler::{Scheduler, SchedulerConfig, SchedulerHandle};
use headwater_store::{NewRun, RerunMode, Trigger, VersionRow};
use headwater_worker::{Worker, WorkerConfig, WorkerHandle};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::runs::document;
use crate::args::RunArgs;
use crate::context::Context;
use crate::failure::hinted;
use crate::output;
use crate::sources::{Source, is_spec};
use crate::watch;

/// A worker that was silent for longer doesn't count as serving a queue.
const WORKER_IS_ALIVE: Duration = Duration::from_secs(5);

pub(super) async fn run(context: &Context, args: RunArgs) -> Result<ExitCode> {
    let version = version(context, &args.target).await?;
    let params = bind(&version.plan, &args.params)?;
    let local = args.local || (!args.remote && !is_served(context, &version.plan).await?);
    let worker_id = local.then(Uuid::new_v4);
    let new =
        NewRun { version_id: version.id, params, trigger: Trigger::Manual, interval: None, pinned_worker: worker_id };
    let run = context.workspace.create_run(&new).await?;
    see_through(context, run, &version.plan, Executor::of(worker_id, args.remote), args.json).await
}

pub(super) async fn rerun(context: &Context, run: Uuid, mode: RerunMode, json: bool) -> Result<ExitCode> {
    let old = context.workspace.show_run(run).await?;
    let version = context.workspace.version(old.version_id).await?;
    if mode == RerunMode::FromFailure && !old.run.state.is_final() {
        return resume(context, run, &version.plan, json).await;
    }
    let worker_id = (!is_served(context, &version.plan).await?).then(Uuid::new_v4);
    let run = context.workspace.rerun(run, mode, worker_id).await?;
    see_through(context, run, &version.plan, Executor::of(worker_id, false), json).await
}

/// Sees an unfinished run through. If its worker died, the reaper finds that out and the run goes on here.
async fn resume(context: &Context, run: Uuid, plan: &Plan, json: bool) -> Result<ExitCode> {
    output::error_line(&format!(
        "run {run} is not finished: it goes on once its worker has been silent for {} s, unless that finishes it",
        context.config.lease_time.as_secs_f32()
    ));
    see_through(context, run, plan, Executor::Us(Uuid::new_v4()), json).await
}

/// Who executes a run that this command watches.
#[derive(Clone, Copy)]
enum Executor {
    /// This process, as the worker with this id.
    Us(Uuid),
    /// The workers of its queues, and this process once none is left.
    Workers,
    /// The workers of its queues, whether one is there or not.
    WorkersAlone,
}

impl Executor {
    fn of(worker_id: Option<Uuid>, remote: bool) -> Self {
        match worker_id {
            Some(id) => Self::Us(id),
            None if remote => Self::WorkersAlone,
            None => Self::Workers,
        }
    }
}

/// Executes a run, here or by workers, watches it, and prints what came of it.
async fn see_through(context: &Context, run: Uuid, plan: &Plan, executor: Executor, json: bool) -> Result<ExitCode> {
    let how = if matches!(executor, Executor::Us(_)) { "in this process" } else { "by the workers of its queues" };
    output::error_line(&format!("run {run} of {} is executed {how}", plan.pipeline));
    let mut local = match executor {
        Executor::Us(id) => Some(Local::start(context, id, run, plan).await?),
        Executor::Workers | Executor::WorkersAlone => None,
    };
    let watch = watch::until_end(context, run, plan);
    let watched = match executor {
        Executor::Workers => tokio::select! {
            watched = watch => watched,
            error = stand_in(context, run, plan, &mut local) => Err(error),
        },
        Executor::Us(_) | Executor::WorkersAlone => watch.await,
    };
    if let Some(local) = local {
        local.shutdown().await;
    }
    watched?;
    let detail = context.workspace.show_run(run).await?;
    if json {
        output::json(&document(&detail))?;
    } else {
        super::runs::show_detail(&detail);
    }
    Ok(if detail.run.state.as_str() == "succeeded" { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Goes on with a watched run here once no worker is left that would: one that was killed takes no leave, and counts as
/// alive for a moment. Answers only if that can't be done.
async fn stand_in(context: &Context, run: Uuid, plan: &Plan, local: &mut Option<Local>) -> anyhow::Error {
    while local.is_none() {
        tokio::time::sleep(WORKER_IS_ALIVE).await;
        match is_served(context, plan).await {
            Ok(true) => continue,
            Ok(false) => output::error_line("no worker serves the run's queues any more: it goes on in this process"),
            Err(error) => return error,
        }
        match Local::start(context, Uuid::new_v4(), run, plan).await {
            Ok(started) => *local = Some(started),
            Err(error) => return error,
        }
    }
    std::future::pending().await
}

async fn version(context: &Context, target: &str) -> Result<VersionRow> {
    let path = Path::new(target);
    if !is_spec(path) && !path.is_file() {
        return Ok(context.workspace.current_version(target).await?);
    }
    if !path.is_file() {
        return Err(hinted(
            format!("there is no file '{target}'"),
            "give the path of a spec, or the name of an approved pipeline",
        ));
    }
    let source = Source::load_valid(context, path).await?;
    source.store_connections(context).await?;
    Ok(context.workspace.save_version(&source.version()?).await?)
}

/// Values of the parameters, checked against their types before a run exists.
fn bind(plan: &Plan, given: &[(String, String)]) -> Result<Map<String, Value>> {
    let mut params = Map::new();
    for (name, text) in given {
        let Some(param) = plan.params.get(name) else {
            let hint = headwater_pipelines::diagnostic::nearest_hint(name, plan.params.keys().map(String::as_str));
            return Err(hinted(
                format!("pipeline {} has no parameter '{name}'", plan.pipeline),
                hint.unwrap_or_else(|| "it takes no parameters".to_owned()),
            ));
        };
        let value = parameters::parse(param.kind, text);
        check_value(param.kind, &value)
            .map_err(|reason| hinted(format!("parameter '{name}': {reason}"), format!("--param {name}=…")))?;
        params.insert(name.clone(), value);
    }
    if let Some((name, _)) =
        plan.params.iter().find(|(name, param)| param.default.is_none() && !params.contains_key(*name))
    {
        return Err(hinted(format!("parameter '{name}' has no value and no default"), format!("--param {name}=…")));
    }
    Ok(params)
}

async fn is_served(context: &Context, plan: &Plan) -> Result<bool> {
    for stage in &plan.stages {
        if !context.store.is_served(stage, WORKER_IS_ALIVE).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A worker for one run, and the chores that wake, reap and mend; with no other process there, nobody else would do them.
struct Local {
    worker: WorkerHandle,
    chores: SchedulerHandle,
}

impl Local {
    async fn start(context: &Context, id: Uuid, run: Uuid, plan: &Plan) -> Result<Self> {
        let worker = start_worker(context, id, run, plan).await?;
        let lease_time = context.config.lease_time;
        let config = SchedulerConfig { fires: false, lease_time, ..SchedulerConfig::default() };
        let chores = Scheduler::start(context.store.clone(), config);
        Ok(Self { worker, chores })
    }

    async fn shutdown(self) {
        self.chores.shutdown().await;
        self.worker.shutdown().await;
    }
}

async fn start_worker(context: &Context, id: Uuid, run: Uuid, plan: &Plan) -> Result<WorkerHandle> {
    let queues: BTreeSet<&String> = plan.stages.iter().map(|stage| &stage.queue).collect();
    let labels: BTreeSet<&String> = plan.stages.iter().flat_map(|stage| &stage.labels).collect();
    let config = WorkerConfig {
        id: Some(id),
        queues: queues.into_iter().cloned().collect(),
        labels: labels.into_iter().cloned().collect(),
        slots: context.config.slots,
        lease_time: context.config.lease_time,
        only_run: Some(run),
        ..WorkerConfig::new(context.staging()?, Arc::clone(&context.key), headwater_engine::host_name())
    };
    Ok(Worker::start(context.store.clone(), Arc::new(context.engine.clone()), config).await?)
}
