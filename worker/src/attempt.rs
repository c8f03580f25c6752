//! One attempt, from its claim to the answer of the finisher.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use apalis_core::error::BoxDynError;
use futures::FutureExt;
use headwater_engine::control::{LogLevel, Progress, TaskCounts};
use headwater_engine::failpoint::failpoint;
use headwater_engine::job::{ConnectionSettings, Manifest, RunContext, StageJob, StageOutcome, StageReport};
use headwater_engine::receipt::Receipt;
use headwater_engine::{EngineError, ErrorKind, Result};
use headwater_pipelines::plan::{Plan, Stage, TaskPath};
use headwater_store::state::{TaskEnd, TaskRunState, ends_after_failure};
use headwater_store::{
    AttemptEnd, AttemptInputs, Claimed, Failure, Finish, Finished, LoadReceipt, MAX_LOG_MESSAGE_BYTES,
};
use tokio_util::sync::CancellationToken;

use crate::backend::Attempt;
use crate::control::{AttemptControl, engine_error};
use crate::fence;
use crate::finisher::{Slot, hand_back};
use crate::logs::AttemptLog;
use crate::start::{Shared, own};
use crate::unheard;

/// Executes an attempt on a task of its own, since apalis polls all of a worker's futures on one. A fault of ours still ends the
/// attempt: its lease would otherwise be kept alive by the worker's heartbeat.
pub(crate) async fn drive(shared: Arc<Shared>, attempt: Attempt) -> std::result::Result<(), BoxDynError> {
    let claimed = attempt.claimed.clone();
    let executing = {
        let shared = Arc::clone(&shared);
        own(async move { execute(&shared, attempt).await })
    };
    if let Err(error) = executing.await {
        tracing::error!(error = %error, stage = claimed.stage, "an attempt ended badly");
        let error = EngineError::bug(format!("the attempt ended badly: {error}"));
        let end = AttemptEnd::Failed(failure_of(&error, str::to_owned));
        drop(shared.finisher.send(Finish { end, ..hand_back(claimed.lease) }, None).await);
    }
    Ok(())
}

/// Executes an attempt and waits until its end is stored.
async fn execute(shared: &Arc<Shared>, attempt: Attempt) {
    let Attempt { claimed, permit } = attempt;
    let progress = Arc::new(Progress::default());
    let cancel = CancellationToken::new();
    let entry = shared.active.enter(claimed.lease, Arc::clone(&progress), cancel.clone());
    let finish = match work(shared, &claimed, progress, cancel).await {
        Ok(finish) => finish,
        Err(error) => failed_before_start(&claimed, &error),
    };
    let finish = match failpoint("before_finish") {
        Ok(()) => finish,
        Err(error) => Finish { end: AttemptEnd::Failed(failure_of(&error, str::to_owned)), ..hand_back(claimed.lease) },
    };
    let slot = Slot { permit, light: claimed.light };
    let answer = shared.finisher.send(finish, Some(slot)).await;
    drop(entry);
    if let Ok(Finished::Stale) = answer {
        tracing::warn!(stage = claimed.stage, run = %claimed.lease.run_id, "the attempt had lost its lease; its end was refused");
    }
    if let Err(error) = failpoint("after_finish") {
        tracing::warn!(error = %error, "failpoint");
    }
}

async fn work(
    shared: &Arc<Shared>,
    claimed: &Claimed,
    progress: Arc<Progress>,
    cancel: CancellationToken,
) -> Result<Finish> {
    failpoint("after_claim")?;
    let job = prepare(shared, claimed).await?;
    let secrets = shared.runner.secrets(&job.connections);
    let log = Arc::new(AttemptLog::new(shared.logs.clone(), claimed, secrets));
    let stopping = shared.stopping.clone();
    let control = Arc::new(AttemptControl::new(shared.store.clone(), claimed.lease, Arc::clone(&log), stopping));
    let finish = if claimed.fence {
        fence::fence(shared, claimed, job, &control, &log).await
    } else {
        run(shared, claimed, job, control, progress, cancel, &log).await
    };
    if !log.is_empty() {
        shared.logs.flush().await;
    }
    Ok(finish)
}

/// Collects what the engine needs: the plan, inputs of earlier attempts and stages where there are any, connections.
async fn prepare(shared: &Arc<Shared>, claimed: &Claimed) -> Result<StageJob> {
    let workspace = shared.store.workspace(claimed.lease.workspace_id);
    let plan = workspace.plan(claimed.version_id).await.map_err(engine_error)?;
    let stage = stage_of(&plan, &claimed.stage)?;
    let inputs = if claimed.number > 1 || !stage.staged_inputs.is_empty() {
        workspace.attempt_inputs(claimed).await.map_err(engine_error)?
    } else {
        AttemptInputs::default()
    };
    let backfill = claimed.interval_start.is_some()
        && (plan.has_cursors() || plan.replaces_keys())
        && workspace.is_backfill(claimed.lease.run_id).await.map_err(engine_error)?;
    let follows = plan.stream.is_some() && workspace.follows(claimed.lease.run_id).await.map_err(engine_error)?;
    let names: Vec<String> = plan.connections_of(stage).into_iter().collect();
    let opened = if names.is_empty() {
        Vec::new()
    } else {
        let key = &shared.config.master_key;
        workspace.open_connections_for_run(key, claimed.lease.run_id, &names).await.map_err(engine_error)?
    };
    let connections = opened.into_iter().map(|connection| {
        (connection.name, ConnectionSettings { connector: connection.connector, settings: connection.settings })
    });
    let params: BTreeMap<_, _> = match &claimed.params {
        serde_json::Value::Object(params) => params.clone().into_iter().collect(),
        _ => BTreeMap::new(),
    };
    let manifests = manifests_of(stage, &inputs)?;
    Ok(StageJob {
        stage: claimed.stage.clone(),
        run: RunContext {
            run_id: claimed.lease.run_id,
            stage_run_id: claimed.lease.stage_run_id,
            interval_start: claimed.interval_start,
            interval_end: claimed.interval_end,
            backfill,
            follows,
            params,
        },
        // A fence takes the load that may be in its target, which is a batch of its own for a stream.
        load_id: inputs.committing.filter(|_| claimed.fence).unwrap_or(claimed.load_id),
        attempt: claimed.number,
        counted: inputs.counted.into_iter().map(counts_of).collect(),
        token: claimed.lease.token,
        predecessors: inputs.handles,
        connections: connections.collect(),
        staging: shared.config.staging.clone(),
        manifests,
        woken_at: claimed.woken_at,
        plan,
    })
}

/// Counters as the engine takes them.
fn counts_of(end: TaskEnd) -> (String, TaskCounts) {
    let number = |count: i64| u64::try_from(count).unwrap_or_default();
    let counts = TaskCounts {
        rows: number(end.rows),
        bytes: number(end.bytes),
        rejected: number(end.rejected),
        busy_us: number(end.busy_us),
    };
    (end.task, counts)
}

fn stage_of<'a>(plan: &'a Plan, name: &str) -> Result<&'a Stage> {
    plan.stage(name).ok_or_else(|| EngineError::bug(format!("the plan has no stage '{name}'")))
}

fn manifests_of(stage: &Stage, inputs: &AttemptInputs) -> Result<BTreeMap<TaskPath, Manifest>> {
    let named = stage.staged_inputs.iter().map(|task| {
        let document = inputs.manifests.get(task.as_str()).ok_or_else(|| {
            EngineError::bug(format!("dataset '{task}' was materialised and has no manifest"))
                .hint("run everything again with `headwater runs rerun … --all`")
        })?;
        let manifest = serde_json::from_value(document.clone()).map_err(|error| {
            EngineError::bug(format!("the manifest of dataset '{task}' can't be read")).caused_by(error)
        })?;
        Ok((task.clone(), manifest))
    });
    named.collect()
}

async fn run(
    shared: &Arc<Shared>,
    claimed: &Claimed,
    job: StageJob,
    control: Arc<AttemptControl>,
    progress: Arc<Progress>,
    cancel: CancellationToken,
    log: &AttemptLog,
) -> Finish {
    let plan = Arc::clone(&job.plan);
    let (runner, counted) = (Arc::clone(&shared.runner), Arc::clone(&progress));
    let (line, canceling) = (Arc::clone(&control), cancel.clone());
    let moves_data = !claimed.light || job.run.follows;
    let running = async move {
        let running = runner.run_stage(job, line, Arc::clone(&counted), canceling);
        AssertUnwindSafe(running).catch_unwind().await.unwrap_or_else(|panic| {
            let words = words_of(panic.as_ref());
            broken(EngineError::bug(format!("the engine panicked: {words}")), &counted)
        })
    };
    let report = if !moves_data {
        running.await
    } else {
        match unheard::run(&shared.runtimes, &control, &cancel, running).await {
            Some(Ok(report)) => report,
            Some(Err(error)) => {
                broken(EngineError::transient(format!("the attempt could not run: {error}")), &progress)
            }
            None => {
                let message = "the attempt was canceled in the middle of a long computation, which ends at its next pause; nothing of it is loaded";
                log.say(LogLevel::Warn, None, message);
                report_of(StageOutcome::Canceled, &progress)
            }
        }
    };
    if let StageOutcome::Failed(error) = &report.outcome {
        log.say(LogLevel::Error, error.task.as_deref(), &error.message);
    }
    finish_of(claimed, &plan, report, log)
}

/// The report of an attempt that ended without one.
fn broken(error: EngineError, progress: &Progress) -> StageReport {
    report_of(StageOutcome::Failed(error), progress)
}

fn report_of(outcome: StageOutcome, progress: &Progress) -> StageReport {
    StageReport { outcome, tasks: progress.counts(), receipts: Vec::new(), manifest: None }
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let words = panic.downcast_ref::<String>().map(String::as_str);
    words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}

/// What the engine reported, as the store takes it.
fn finish_of(claimed: &Claimed, plan: &Plan, report: StageReport, log: &AttemptLog) -> Finish {
    let failure = match &report.outcome {
        StageOutcome::Failed(error) if error.kind != ErrorKind::Canceled => {
            Some(failure_of(error, |text| log.redact(text)))
        }
        _ => None,
    };
    let tasks = task_ends(plan, &claimed.stage, &report, failure.as_ref());
    let end = match (failure, &report.outcome) {
        (Some(failure), _) => AttemptEnd::Failed(failure),
        (None, StageOutcome::Succeeded) => AttemptEnd::Succeeded,
        (None, StageOutcome::Waiting(time)) => AttemptEnd::Waiting(*time),
        (None, StageOutcome::Canceled | StageOutcome::Failed(_)) => AttemptEnd::Canceled,
    };
    let receipts = if end == AttemptEnd::Succeeded {
        report.receipts.iter().filter_map(load_receipt).collect()
    } else {
        Vec::new()
    };
    Finish {
        lease: claimed.lease,
        end,
        tasks,
        receipts,
        host: report.manifest.as_ref().and_then(|manifest| manifest.host.clone()),
        manifest: report.manifest.and_then(|manifest| serde_json::to_value(manifest).ok()),
    }
}

fn task_ends(plan: &Plan, stage: &str, report: &StageReport, failure: Option<&Failure>) -> Vec<TaskEnd> {
    let Some(stage) = plan.stage(stage) else { return Vec::new() };
    let states = match (&report.outcome, failure) {
        (StageOutcome::Failed(_), Some(failure)) => ends_after_failure(plan, stage, failure.task.as_deref()),
        (StageOutcome::Succeeded, _) => with_state(stage, TaskRunState::Succeeded),
        _ => with_state(stage, TaskRunState::Canceled),
    };
    states
        .into_iter()
        .map(|(task, state)| {
            let counts = report.tasks.get(&task).copied().unwrap_or_default();
            task_end(task, state, counts)
        })
        .collect()
}

pub(crate) fn with_state(stage: &Stage, state: TaskRunState) -> Vec<(String, TaskRunState)> {
    stage.tasks.iter().map(|task| (task.to_string(), state)).collect()
}

pub(crate) fn task_end(task: String, state: TaskRunState, counts: TaskCounts) -> TaskEnd {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    TaskEnd {
        task,
        state,
        rows: number(counts.rows),
        bytes: number(counts.bytes),
        rejected: number(counts.rejected),
        busy_us: number(counts.busy_us),
    }
}

pub(crate) fn load_receipt(receipt: &Receipt) -> Option<LoadReceipt> {
    let document = serde_json::to_value(receipt).ok()?;
    Some(LoadReceipt { load_id: receipt.load_id, attempt: receipt.attempt, receipt: document })
}

/// An error as it is kept: without secrets, no longer than a line of the log, and without NUL, which the database's text can't hold.
pub(crate) fn failure_of(error: &EngineError, redact: impl Fn(&str) -> String) -> Failure {
    let clean = |text: &str| {
        let mut text = redact(text).replace('\0', "\u{fffd}");
        text.truncate(text.floor_char_boundary(MAX_LOG_MESSAGE_BYTES));
        text
    };
    Failure {
        message: clean(&error.message),
        task: error.task.clone(),
        hint: error.hint.as_deref().map(clean),
        kind: Some(word(error.kind).to_owned()),
        retryable: error.kind.is_retryable(),
        // Whoever lost the connection may have lost the answer to its commit with it.
        unsettled: matches!(error.kind, ErrorKind::Transient | ErrorKind::Bug),
        gone: error.kind == ErrorKind::Gone,
    }
}

/// A kind of error as it is kept.
fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Transient => "transient",
        ErrorKind::Config => "config",
        ErrorKind::Data => "data",
        ErrorKind::Conflict => "conflict",
        ErrorKind::Unseen => "unseen",
        ErrorKind::Gone => "gone",
        ErrorKind::Canceled => "canceled",
        ErrorKind::Bug => "bug",
    }
}

/// An attempt that the control plane was away for is handed back: nothing of it has failed.
fn failed_before_start(claimed: &Claimed, error: &EngineError) -> Finish {
    let end = match error.kind {
        ErrorKind::Canceled | ErrorKind::Transient => AttemptEnd::Canceled,
        _ => AttemptEnd::Failed(Failure { unsettled: false, ..failure_of(error, str::to_owned) }),
    };
    Finish { end, ..hand_back(claimed.lease) }
}
