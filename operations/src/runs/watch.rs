//! Watching a run: a stream of events, made from what the control plane knows, so that it looks the same for any worker.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use futures::Stream;
use headwater_store::state::AttemptState;
use headwater_store::{AttemptRow, RunDetail};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::start::WORKER_IS_ALIVE;
use super::{Origin, RunReport, Site, Started};
use crate::{Execution, Executor, LocalWork, Operations, Result};

/// How often the run is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Something that happened to a run.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    /// It is watched from here on.
    Placed {
        /// The run.
        run_id: Uuid,
        /// Its pipeline.
        pipeline: String,
        /// Number of the version that it executes.
        version: i32,
        /// Its tasks as [`task_label`] names them, in the order of the spec; groups are left out.
        tasks: Vec<String>,
        /// Where it comes from.
        origin: Origin,
        /// Where it is executed.
        site: Site,
        /// How long its worker may be silent before the run goes on elsewhere, in milliseconds.
        lease_time_ms: u64,
    },
    /// No worker serves its queues any more: it goes on in the process that watches it.
    TakenOver,
    /// A task changed its state, or made progress.
    Task(TaskProgress),
    /// An attempt ended without success and another one follows.
    Retried {
        /// The stage.
        stage: String,
        /// Number of the attempt that ended.
        attempt: i32,
        /// Where it ended.
        state: AttemptState,
        /// Why.
        cause: Option<String>,
    },
    /// It has ended.
    Ended(Box<RunReport>),
}

/// What a task has done so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TaskProgress {
    /// Its path.
    pub path: String,
    /// The stage that executes it, if several do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Where it is.
    pub state: String,
    /// Rows that left it.
    pub rows: i64,
    /// Their bytes.
    pub bytes: i64,
    /// How long its stage has been running, in milliseconds.
    pub elapsed_ms: Option<i64>,
}

/// A task as it is shown: with its stage, if several execute it.
pub fn task_label(path: &str, stage: Option<&str>) -> String {
    stage.map_or_else(|| path.to_owned(), |stage| format!("{path} ({stage})"))
}

/// A run that is being watched.
pub struct Watch<'a> {
    operations: &'a Operations,
    executor: &'a dyn Executor,
    started: Started,
    local: Option<Box<dyn Execution>>,
    events: VecDeque<RunEvent>,
    tasks: BTreeMap<(Uuid, String), TaskProgress>,
    attempts: BTreeSet<Uuid>,
    served_at: Instant,
    phase: Phase,
}

/// How far a watch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing was looked at yet.
    New,
    /// It is looked at again and again.
    Watching,
    /// The run has ended.
    Ended,
}

impl std::fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("run_id", &self.started.run_id)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl<'a> Watch<'a> {
    pub(super) fn new(operations: &'a Operations, started: Started, executor: &'a dyn Executor) -> Self {
        Self {
            operations,
            executor,
            started,
            local: None,
            events: VecDeque::new(),
            tasks: BTreeMap::new(),
            attempts: BTreeSet::new(),
            served_at: Instant::now(),
            phase: Phase::New,
        }
    }

    /// The run.
    pub fn run_id(&self) -> Uuid {
        self.started.run_id
    }

    /// The next event; `None` once the run has ended. Dropping the future loses nothing but a worker that is being started.
    pub async fn next(&mut self) -> Result<Option<RunEvent>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            match self.phase {
                Phase::Ended => return Ok(None),
                Phase::New => self.place(),
                Phase::Watching => self.look().await?,
            }
        }
    }

    /// All events, one after the other.
    pub fn into_stream(self) -> impl Stream<Item = Result<RunEvent>> + 'a {
        futures::stream::try_unfold(self, |mut watch| async move {
            let next = watch.next().await?;
            if next.is_none() {
                watch.close().await;
                return Ok(None);
            }
            Ok(next.map(|event| (event, watch)))
        })
    }

    /// Ends a worker of this process that executes the run. What it was doing is handed back.
    pub async fn close(&mut self) {
        if let Some(local) = self.local.take() {
            local.shutdown().await;
        }
    }

    fn place(&mut self) {
        let Started { run_id, pipeline, version, origin, site, plan, .. } = &self.started;
        let tasks = plan.tasks.iter().flat_map(|(path, task)| {
            let is_shared = task.stages.len() > 1;
            task.stages.iter().map(move |stage| task_label(path.as_str(), is_shared.then_some(stage.as_str())))
        });
        let lease_time = self.operations.settings.lease_time.as_millis();
        self.events.push_back(RunEvent::Placed {
            run_id: *run_id,
            pipeline: pipeline.clone(),
            version: *version,
            tasks: tasks.collect(),
            origin: *origin,
            site: *site,
            lease_time_ms: u64::try_from(lease_time).unwrap_or(u64::MAX),
        });
        self.phase = Phase::Watching;
    }

    async fn look(&mut self) -> Result<()> {
        let detail = self.operations.workspace.show_run(self.started.run_id).await?;
        self.tell(&detail);
        if detail.run.state.is_final() {
            self.close().await;
            self.phase = Phase::Ended;
            // Read again: the worker may have written its last figures while it ended.
            let report = self.operations.report(self.started.run_id).await?;
            self.events.push_back(RunEvent::Ended(Box::new(report)));
            return Ok(());
        }
        self.execute().await?;
        if self.events.is_empty() {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Sees to it that somebody executes the run: this process, if it is pinned to it or once no worker is left that would. A worker
    /// that was killed does not deregister, and counts as alive for a moment.
    async fn execute(&mut self) -> Result<()> {
        if self.local.is_some() {
            return Ok(());
        }
        if let Some(worker) = self.started.worker.take() {
            return self.start_worker(worker).await;
        }
        if self.started.site == Site::Workers && self.served_at.elapsed() >= WORKER_IS_ALIVE {
            self.served_at = Instant::now();
            if !self.operations.is_served(&self.started.plan).await? {
                self.events.push_back(RunEvent::TakenOver);
                return self.start_worker(Uuid::new_v4()).await;
            }
        }
        Ok(())
    }

    async fn start_worker(&mut self, worker: Uuid) -> Result<()> {
        let work = LocalWork::of(worker, self.started.run_id, &self.started.plan);
        self.local = Some(self.executor.start(work).await?);
        Ok(())
    }

    /// Makes events of what is new.
    fn tell(&mut self, detail: &RunDetail) {
        for attempt in &detail.attempts {
            self.tell_attempt(attempt, detail);
        }
        for task in &detail.tasks {
            let elapsed = task.started_at.map(|start| task.finished_at.unwrap_or_else(chrono::Utc::now) - start);
            let progress = TaskProgress {
                path: task.path.clone(),
                stage: detail.shared_stage(task).map(str::to_owned),
                state: task.state.clone(),
                rows: task.rows,
                bytes: task.bytes,
                elapsed_ms: elapsed.map(|time| time.num_milliseconds()),
            };
            let before = self.tasks.insert((task.stage_run_id, task.path.clone()), progress.clone());
            let news = match &before {
                None => progress.state != "pending",
                Some(before) => {
                    (&before.state, before.rows, before.bytes) != (&progress.state, progress.rows, progress.bytes)
                }
            };
            if news {
                self.events.push_back(RunEvent::Task(progress));
            }
        }
    }

    fn tell_attempt(&mut self, attempt: &AttemptRow, detail: &RunDetail) {
        let ended_badly = matches!(attempt.state, AttemptState::Failed | AttemptState::Lost);
        let goes_on =
            detail.stage_runs.iter().any(|stage| stage.id == attempt.stage_run_id && stage.finished_at.is_none());
        if attempt.kind == "run" && ended_badly && goes_on && self.attempts.insert(attempt.id) {
            self.events.push_back(RunEvent::Retried {
                stage: attempt.stage.clone(),
                attempt: attempt.number,
                state: attempt.state,
                cause: attempt.cause(),
            });
        }
    }
}
