#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and joins what it spawns"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use headwater_engine::connector::Taken;
use headwater_engine::control::{Control, Intent, LogLevel, Progress};
use headwater_engine::job::{ConnectionSettings, StageJob, StageOutcome, StageReport};
use headwater_engine::receipt::Receipt;
use headwater_engine::staging::StagingArea;
use headwater_engine::{EngineError, ErrorKind};
use headwater_pipelines::plan::Plan;
use headwater_pipelines::spec::{Backoff, Retry};
use headwater_store::state::{AttemptState, RunState};
use headwater_store::testing::{TestDatabase, database, plan, start_run};
use headwater_store::{MasterKey, NewRun, RunDetail, Store, Taker, Trigger, WorkerBeat};
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{StageRunner, Worker, WorkerConfig, WorkerHandle};

/// Longest time that a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a scripted attempt does.
#[derive(Debug, Clone)]
enum Act {
    Succeed,
    /// Writes its intent and reports its receipt.
    Load,
    /// Writes its intent and hangs until it is canceled or its process is gone.
    HangCommitting,
    /// Hangs until it is canceled.
    Hang,
    Fail(ErrorKind),
    Wait(Duration),
    Panic,
    Say(&'static str),
}

/// Runs scripts instead of stages: one act for each attempt of a stage, the last one for all that follow.
#[derive(Default)]
struct Scripted {
    acts: BTreeMap<&'static str, Vec<Act>>,
    calls: Mutex<Vec<(String, i32)>>,
    running: AtomicUsize,
    most: AtomicUsize,
    started: Notify,
    fence: Mutex<Option<Taken>>,
    fences: AtomicUsize,
}

impl Scripted {
    fn new(acts: impl IntoIterator<Item = (&'static str, Vec<Act>)>) -> Arc<Self> {
        Arc::new(Self { acts: acts.into_iter().collect(), ..Self::default() })
    }

    fn act(&self, stage: &str, attempt: i32) -> Act {
        let acts = self.acts.get(stage).map(Vec::as_slice).unwrap_or_default();
        let index = usize::try_from(attempt - 1).unwrap();
        acts.get(index).or(acts.last()).cloned().unwrap_or(Act::Succeed)
    }

    fn receipt(job: &StageJob) -> Receipt {
        Receipt {
            task: job.stage.clone(),
            load_id: job.load_id,
            attempt: job.attempt,
            target: "lake.orders".to_owned(),
            mode: "append".to_owned(),
            rows_read: 3,
            rows_written: 3,
            rows_rejected: 0,
            bytes: 30,
            files: 1,
            version: None,
            duration_ms: 1,
            peak_memory: 0,
            adopted: false,
        }
    }

    async fn intend(job: &StageJob, control: &Arc<dyn Control>) -> Result<Receipt, EngineError> {
        let receipt = Self::receipt(job);
        let intent =
            Intent { load_id: job.load_id, attempt: job.attempt, task: job.stage.clone(), receipt: receipt.clone() };
        control.intend(&intent).await?;
        Ok(receipt)
    }

    async fn perform(
        &self,
        act: Act,
        job: &StageJob,
        control: &Arc<dyn Control>,
        cancel: &CancellationToken,
    ) -> Result<(StageOutcome, Vec<Receipt>), EngineError> {
        match act {
            Act::Succeed => {}
            Act::Load => return Ok((StageOutcome::Succeeded, vec![Self::intend(job, control).await?])),
            Act::HangCommitting => {
                Self::intend(job, control).await?;
                cancel.cancelled().await;
                return Ok((StageOutcome::Canceled, Vec::new()));
            }
            Act::Hang => {
                cancel.cancelled().await;
                return Ok((StageOutcome::Canceled, Vec::new()));
            }
            Act::Fail(kind) => {
                return Err(EngineError::new(kind, "the password is hunter22").in_task(&job.stage).hint("mend it"));
            }
            Act::Wait(_) if job.woken_at.is_some() => {}
            Act::Wait(time) => return Ok((StageOutcome::Waiting(time), Vec::new())),
            Act::Panic => panic!("on purpose"),
            Act::Say(text) => control.log(LogLevel::Info, Some(&job.stage), text),
        }
        Ok((StageOutcome::Succeeded, Vec::new()))
    }
}

#[async_trait]
impl StageRunner for Scripted {
    async fn run_stage(
        &self,
        job: StageJob,
        control: Arc<dyn Control>,
        progress: Arc<Progress>,
        cancel: CancellationToken,
    ) -> StageReport {
        self.calls.lock().push((job.stage.clone(), job.attempt));
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        self.started.notify_one();
        progress.task(&job.stage).add(7, 70);
        let act = self.act(&job.stage, job.attempt);
        let performed = self.perform(act, &job, &control, &cancel).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        let (outcome, receipts) = performed.unwrap_or_else(|error| match error.kind {
            ErrorKind::Canceled => (StageOutcome::Canceled, Vec::new()),
            _ => (StageOutcome::Failed(error), Vec::new()),
        });
        StageReport { outcome, tasks: progress.counts(), receipts, manifest: None }
    }

    async fn fence(&self, _: StageJob) -> headwater_engine::Result<Option<Taken>> {
        self.fences.fetch_add(1, Ordering::SeqCst);
        Ok(self.fence.lock().clone())
    }

    fn secrets(&self, _: &BTreeMap<String, ConnectionSettings>) -> Vec<String> {
        vec!["hunter22".to_owned()]
    }
}

fn config() -> WorkerConfig {
    let key = Arc::new(MasterKey::from_bytes(&[1; 32]).unwrap());
    let staging = StagingArea::open(&"file:///tmp/hw-staging/".parse().unwrap(), &Default::default()).unwrap();
    let mut config = WorkerConfig::new(staging, key, "here");
    config.beat_interval = Duration::from_millis(100);
    config.slots = 4;
    config
}

async fn start(store: &Store, runner: &Arc<Scripted>, config: WorkerConfig) -> WorkerHandle {
    Worker::start(store.clone(), Arc::clone(runner) as Arc<dyn StageRunner>, config).await.unwrap()
}

/// Looks until the run is as wished.
async fn until(store: &Store, run_id: Uuid, wished: impl Fn(&RunDetail) -> bool) -> RunDetail {
    let looking = async {
        loop {
            let run = store.default_workspace().show_run(run_id).await.unwrap();
            if wished(&run) {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, looking).await {
        Ok(run) => run,
        Err(_) => panic!("never came: {:#?}", store.default_workspace().show_run(run_id).await.unwrap()),
    }
}

async fn until_ended(store: &Store, run_id: Uuid) -> RunDetail {
    until(store, run_id, |run| run.run.state.is_final()).await
}

/// Runs a plan on one worker to its end.
async fn run_plan(plan: &Plan, runner: &Arc<Scripted>) -> (TestDatabase, RunDetail) {
    let db = database().await;
    let worker = start(&db.store, runner, config()).await;
    let run_id = start_run(&db.store, plan).await;
    let run = until_ended(&db.store, run_id).await;
    worker.shutdown().await;
    assert!(db.store.workers().await.unwrap().is_empty());
    assert_eq!(db.store.counts().await.unwrap().leases, 0);
    (db, run)
}

fn retrying(mut plan: Plan, attempts: u32) -> Plan {
    let delay = Duration::from_millis(20);
    plan.stages[0].retry = Retry { attempts, backoff: Backoff::Constant, delay, max_delay: delay };
    plan
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_from_its_first_stage_to_its_last() {
    let diamond = plan("p", &[("a", &[]), ("b", &["a"]), ("c", &["a"]), ("d", &["b", "c"])]);
    let runner = Scripted::new([("d", vec![Act::Load])]);
    let (_db, run) = run_plan(&diamond, &runner).await;
    assert_eq!(run.run.state, RunState::Succeeded);
    assert_eq!(run.receipts[0]["rows_written"], 3);
    assert!(run.tasks.iter().all(|task| (task.state.as_str(), task.rows, task.attempts) == ("succeeded", 7, 1)));
    let calls = runner.calls.lock().clone();
    assert_eq!((calls[0].0.as_str(), calls[3].0.as_str(), calls.len()), ("a", "d", 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn never_more_attempts_run_than_there_are_slots() {
    let names: Vec<String> = (0..60).map(|number| format!("s{number}")).collect();
    let stages: Vec<(&str, &[&str])> = names.iter().map(|name| (name.as_str(), &[][..])).collect();
    let runner = Scripted::new([]);
    let (_db, run) = run_plan(&plan("wide", &stages), &runner).await;
    assert_eq!(run.run.state, RunState::Succeeded);
    assert_eq!(runner.calls.lock().len(), 60);
    assert!(runner.most.load(Ordering::SeqCst) <= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_retried_and_its_text_is_kept_without_secrets() {
    let runner = Scripted::new([("a", vec![Act::Fail(ErrorKind::Transient), Act::Fail(ErrorKind::Config)])]);
    let (db, run) = run_plan(&retrying(plan("p", &[("a", &[]), ("b", &["a"])]), 5), &runner).await;
    assert_eq!(run.run.state, RunState::Failed);
    assert_eq!(run.run.error.as_deref(), Some("the password is ***"));
    assert_eq!((run.run.error_task.as_deref(), run.run.hint.as_deref()), (Some("a"), Some("mend it")));
    assert_eq!(runner.calls.lock().len(), 2);
    assert_eq!(run.tasks.iter().map(|task| task.state.as_str()).collect::<Vec<_>>(), ["failed", "skipped"]);
    let logs = db.store.default_workspace().logs(run.run.run_id, None, 10).await.unwrap();
    assert_eq!(logs.len(), 2);
    assert!(logs.iter().all(|line| line.level == "error" && !line.message.contains("hunter22")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_the_engine_fails_the_attempt_and_not_the_worker() {
    let runner = Scripted::new([("a", vec![Act::Panic])]);
    let (_db, run) = run_plan(&plan("p", &[("a", &[]), ("b", &[])]), &runner).await;
    assert_eq!(run.run.state, RunState::Failed);
    assert_eq!(run.run.error.as_deref(), Some("the engine panicked: on purpose"));
    assert_eq!(run.tasks[1].state, "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_are_stored_before_the_run_ends() {
    let runner = Scripted::new([("a", vec![Act::Say("connecting as hunter22")])]);
    let (db, run) = run_plan(&plan("p", &[("a", &[])]), &runner).await;
    let logs = db.store.default_workspace().logs(run.run.run_id, None, 10).await.unwrap();
    assert_eq!(logs[0].message, "connecting as ***");
    assert_eq!(logs[0].task.as_deref(), Some("a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_reaches_the_attempt_within_a_second() {
    let db = database().await;
    let runner = Scripted::new([("a", vec![Act::Hang])]);
    let worker = start(&db.store, &runner, config()).await;
    let run_id = start_run(&db.store, &plan("p", &[("a", &[]), ("b", &["a"])])).await;
    runner.started.notified().await;
    let asked = std::time::Instant::now();
    db.store.default_workspace().cancel_run(run_id).await.unwrap();
    let run = until_ended(&db.store, run_id).await;
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    assert_eq!(run.run.state, RunState::Canceled);
    assert!(run.tasks.iter().all(|task| task.state == "canceled"));
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_shuts_down_hands_back_what_does_not_end() {
    let db = database().await;
    let runner = Scripted::new([("a", vec![Act::Hang, Act::Succeed])]);
    let impatient = WorkerConfig { grace: Duration::from_millis(50), ..config() };
    let first = start(&db.store, &runner, impatient).await;
    let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
    runner.started.notified().await;
    first.shutdown().await;
    assert_eq!(db.store.counts().await.unwrap().leases, 0);
    let second = start(&db.store, &runner, config()).await;
    let run = until_ended(&db.store, run_id).await;
    assert_eq!(run.run.state, RunState::Succeeded);
    let states: Vec<AttemptState> = run.attempts.iter().map(|attempt| attempt.state).collect();
    assert_eq!(states, [AttemptState::Canceled, AttemptState::Succeeded]);
    second.shutdown().await;
}

/// What a reaper does once it has seen the same beat for the lease time.
async fn give_up(store: &Store, worker_id: Uuid) {
    let beats = store.worker_beats().await.unwrap();
    let beat: WorkerBeat = *beats.iter().find(|beat| beat.id == worker_id).unwrap();
    store.lose_worker(beat).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_worker_held_is_done_by_another() {
    let db = database().await;
    let runner = Scripted::new([("a", vec![Act::HangCommitting, Act::Load])]);
    let first = start(&db.store, &runner, config()).await;
    let first_id = first.id();
    let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
    until(&db.store, run_id, |run| run.attempts.len() == 1 && !runner.calls.lock().is_empty()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(first);
    give_up(&db.store, first_id).await;
    let second = start(&db.store, &runner, config()).await;
    let run = until_ended(&db.store, run_id).await;
    assert_eq!(run.run.state, RunState::Succeeded);
    assert_eq!(run.attempts[0].state, AttemptState::Lost);
    assert_eq!(run.receipts[0]["attempt"], 2);
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_whose_claim_was_never_answered_is_handed_back() {
    let db = database().await;
    let runner = Scripted::new([("a", vec![Act::Succeed, Act::Succeed])]);
    let elsewhere = WorkerConfig { queues: vec!["other".to_owned()], ..config() };
    let worker = start(&db.store, &runner, elsewhere).await;
    let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
    let taker = Taker {
        worker_id: worker.id(),
        queues: vec!["default".to_owned()],
        plan_formats: WorkerConfig::plan_formats(),
        host: "here".to_owned(),
        only_run: None,
    };
    assert_eq!(db.store.claim(&taker, 1).await.unwrap().len(), 1);
    let run = until(&db.store, run_id, |run| run.attempts[0].state != AttemptState::Running).await;
    assert_eq!(run.attempts[0].state, AttemptState::Canceled);
    assert_eq!(db.store.counts().await.unwrap().leases, 0);
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_given_up_stops_its_attempts_and_comes_back_as_another() {
    let db = database().await;
    let runner = Scripted::new([("a", vec![Act::Hang, Act::Succeed])]);
    let worker = start(&db.store, &runner, config()).await;
    let before = worker.id();
    let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
    runner.started.notified().await;
    while db.store.lose_worker(db.store.worker_beats().await.unwrap()[0]).await.unwrap().is_none() {}
    let run = until_ended(&db.store, run_id).await;
    assert_eq!(run.run.state, RunState::Succeeded);
    assert_ne!(worker.id(), before);
    assert_eq!(run.attempts[1].worker_id, worker.id());
    worker.shutdown().await;
}

/// A run that is canceled after its attempt was lost behind its intent, and a worker that finds that.
async fn fence_after_loss(found: Option<Taken>) -> (RunDetail, Arc<Scripted>) {
    let db = database().await;
    let runner = Scripted::new([("a", vec![Act::HangCommitting])]);
    let first = start(&db.store, &runner, config()).await;
    let first_id = first.id();
    let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
    runner.started.notified().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(first);
    give_up(&db.store, first_id).await;
    db.store.default_workspace().cancel_run(run_id).await.unwrap();
    *runner.fence.lock() = found;
    let second = start(&db.store, &runner, config()).await;
    let run = until_ended(&db.store, run_id).await;
    second.shutdown().await;
    (run, runner)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_load_is_fenced_before_its_run_is_canceled() {
    let (run, runner) = fence_after_loss(None).await;
    assert_eq!((run.run.state, run.tasks[0].state.as_str()), (RunState::Canceled, "canceled"));
    assert_eq!((runner.fences.load(Ordering::SeqCst), runner.calls.lock().len()), (1, 1));
    assert!(run.receipts.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_that_finds_the_commit_adopts_it() {
    let (run, _) = fence_after_loss(Some(Taken { attempt: 1, version: Some("4".to_owned()) })).await;
    assert_eq!((run.run.state, run.tasks[0].state.as_str()), (RunState::Canceled, "succeeded"));
    assert_eq!((&run.receipts[0]["adopted"], &run.receipts[0]["version"]), (&json!(true), &json!("4")));
    assert_eq!(run.tasks[0].rows, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_for_one_run_claims_it_alone_and_wakes_it_itself() {
    let db = database().await;
    let runner = Scripted::new([("a", vec![Act::Wait(Duration::from_millis(50))])]);
    start_run(&db.store, &plan("other", &[("x", &[])])).await;
    let id = Uuid::new_v4();
    let run = NewRun {
        version_id: headwater_store::testing::save(&db.store, &plan("p", &[("a", &[]), ("b", &["a"])])).await,
        params: serde_json::Map::new(),
        trigger: Trigger::Manual,
        interval: None,
        pinned_worker: Some(id),
    };
    let run_id = db.store.default_workspace().create_run(&run).await.unwrap();
    let worker = start(&db.store, &runner, WorkerConfig { id: Some(id), only_run: Some(run_id), ..config() }).await;
    let run = until_ended(&db.store, run_id).await;
    assert_eq!(run.run.state, RunState::Succeeded);
    let states: Vec<AttemptState> = run.attempts.iter().map(|attempt| attempt.state).collect();
    assert_eq!(states[..2], [AttemptState::Waiting, AttemptState::Succeeded]);
    worker.shutdown().await;
    assert!(runner.calls.lock().iter().all(|(stage, _)| stage != "x"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_takes_a_few_milliseconds_a_task() {
    let names: Vec<String> = (0..40).map(|number| format!("s{number:02}")).collect();
    let ups: Vec<Vec<&str>> =
        (0..40).map(|number| if number == 0 { vec![] } else { vec![names[number - 1].as_str()] }).collect();
    let stages: Vec<(&str, &[&str])> =
        names.iter().zip(&ups).map(|(name, up)| (name.as_str(), up.as_slice())).collect();
    let runner = Scripted::new([]);
    let (_db, run) = run_plan(&plan("chain", &stages), &runner).await;
    let took = run.run.finished_at.unwrap() - run.run.started_at.unwrap();
    // The goal is 2 ms on an idle machine; this only notices if hand-over has stopped working, when each task waits for a poll.
    assert!(took.num_milliseconds() < 40 * 100, "{took}");
    println_for_the_curious(took);
}

#[allow(clippy::print_stderr, reason = "shown with --nocapture")]
fn println_for_the_curious(took: chrono::TimeDelta) {
    eprintln!("chain of 40: {:.2} ms a task", took.as_seconds_f64() * 1000.0 / 40.0);
}
