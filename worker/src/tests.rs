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
use headwater_engine::catalog::Catalog;
use headwater_engine::connector::Taken;
use headwater_engine::control::{Control, Intent, LogLevel, Progress};
use headwater_engine::job::{ConnectionSettings, StageJob, StageOutcome, StageReport};
use headwater_engine::receipt::Receipt;
use headwater_engine::staging::StagingArea;
use headwater_engine::{EngineError, ErrorKind};
use headwater_pipelines::plan::{Plan, Work};
use headwater_pipelines::spec::{Backoff, Retry};
use headwater_store::state::{AttemptState, RunState};
use headwater_store::testing::{TestDatabase, database, plan, start_run};
use headwater_store::{MasterKey, NewRun, RunDetail, Store, Taker, Trigger, WorkerBeat};
use parking_lot::{Condvar, Mutex};
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{StageRunner, Worker, WorkerConfig, WorkerHandle};

mod life;
mod loss;

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
    /// Keeps its thread busy until it is released, whatever happens meanwhile, then asks to commit.
    Compute,
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
    /// The intent of an attempt that hangs is stored.
    intended: Notify,
    /// Releases the attempts that compute.
    computed: (Mutex<bool>, Condvar),
    /// What they were answered.
    late: Mutex<Vec<Result<Receipt, EngineError>>>,
    answered: Notify,
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
            changes: None,
            columns: headwater_engine::connector::ColumnChanges::default(),
            rows_rejected: 0,
            bytes: 30,
            files: 1,
            version: None,
            duration_ms: 1,
            peak_memory: 0,
            cursors: Vec::new(),
            adopted: false,
        }
    }

    async fn intend(job: &StageJob, control: &Arc<dyn Control>) -> Result<Receipt, EngineError> {
        let receipt = Self::receipt(job);
        let intent = Intent {
            load_id: job.load_id,
            attempt: job.attempt,
            task: job.stage.clone(),
            receipt: receipt.clone(),
            cursors: Vec::new(),
            slice: None,
            rejects: Vec::new(),
        };
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
                self.intended.notify_one();
                cancel.cancelled().await;
                return Ok((StageOutcome::Canceled, Vec::new()));
            }
            Act::Hang => {
                cancel.cancelled().await;
                return Ok((StageOutcome::Canceled, Vec::new()));
            }
            Act::Compute => {
                {
                    let mut released = self.computed.0.lock();
                    self.computed.1.wait_while(&mut released, |released| !*released);
                }
                let late = Self::intend(job, control).await;
                self.late.lock().push(late);
                self.answered.notify_one();
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

    async fn catalog(&self, _: &str, _: ConnectionSettings) -> headwater_engine::Result<Catalog> {
        Ok(Catalog::default())
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
    config.light_slots = 4;
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

/// The same plan with stages that need a slot.
fn moving_data(mut plan: Plan) -> Plan {
    for task in plan.tasks.values_mut() {
        task.work = Work::Transform { sql: "SELECT 1".to_owned(), reads: Vec::new() };
    }
    plan
}

fn retrying(mut plan: Plan, attempts: u32) -> Plan {
    let delay = Duration::from_millis(20);
    plan.stages[0].retry = Retry { attempts, backoff: Backoff::Constant, delay, max_delay: delay };
    plan
}
