//! Running one attempt of a stage: one streaming plan, pulled by the stage's head.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use datafusion::logical_expr::LogicalPlan;
use futures::FutureExt;
use futures::future::BoxFuture;
use headwater_pipelines::plan::{Head, Plan, Relation, Stage, Work};
use tokio_util::sync::CancellationToken;

use crate::connector::{Demand, Registry, SinkRequest, Taken};
use crate::control::{Control, LogLevel, Progress};
use crate::error::{EngineError, Result};
use crate::failpoint::failpoint;
use crate::job::{ConnectionSettings, StageJob, StageOutcome, StageReport};
use crate::memory::StagePool;
use crate::parameters;
use crate::relations::Connections;
use crate::session::{EngineConfig, SessionFactory};
use crate::{settings, staging};

mod build;
mod changes;
mod counted;
mod cursors;
mod deletes;
mod follow;
mod history;
mod load;
mod pull;
mod slice;

use build::{Builder, Built};
use cursors::Cursors;
use follow::Batch;
use load::LoadEnd;

/// Plans, checks and runs stages. One per process: its stages share one memory pool.
#[derive(Debug, Clone)]
pub struct Engine {
    registry: Registry,
    sessions: SessionFactory,
}

impl Engine {
    /// An engine over these connectors.
    pub fn new(registry: Registry, config: EngineConfig) -> Self {
        Self { registry, sessions: SessionFactory::new(config) }
    }

    /// The connectors.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The factory of sessions.
    pub fn sessions(&self) -> &SessionFactory {
        &self.sessions
    }

    /// Runs one attempt. Never panics and never leaves half a load visible; what went wrong is in the report.
    ///
    /// The future is boxed here: the code of one that is not is compiled again in every crate that awaits it, with all of DataFusion that it holds.
    pub fn run_stage(
        &self,
        job: StageJob,
        control: Arc<dyn Control>,
        progress: Arc<Progress>,
        cancel: CancellationToken,
    ) -> BoxFuture<'_, StageReport> {
        self.attempt(job, control, progress, cancel).boxed()
    }

    async fn attempt(
        &self,
        job: StageJob,
        control: Arc<dyn Control>,
        progress: Arc<Progress>,
        cancel: CancellationToken,
    ) -> StageReport {
        let mut report = StageReport {
            outcome: StageOutcome::Succeeded,
            tasks: Default::default(),
            receipts: Vec::new(),
            manifest: None,
        };
        let attempt =
            Attempt { engine: self, job: &job, control: &control, progress: &progress, cancel: &cancel, batch: None };
        let ran = match attempt.stage().map(|stage| (stage, stage.timeout.filter(|_| !job.run.follows))) {
            Ok((stage, Some(limit))) => match tokio::time::timeout(limit, attempt.run(stage, &mut report)).await {
                Ok(ran) => ran,
                Err(_) => {
                    staging::discard(&job).await;
                    Err(timed_out("attempt", limit))
                }
            },
            Ok((stage, None)) => attempt.run(stage, &mut report).await,
            Err(error) => Err(error),
        };
        report.tasks =
            progress.counts().into_iter().filter(|(task, _)| job.plan.tasks.contains_key(task.as_str())).collect();
        match ran {
            Ok(outcome) => report.outcome = outcome,
            Err(error) => {
                report.receipts.clear();
                report.manifest = None;
                report.outcome = match error.kind {
                    crate::ErrorKind::Canceled => StageOutcome::Canceled,
                    _ => StageOutcome::Failed(error.in_task(&job.stage)),
                };
            }
        }
        report
    }

    /// The literal secrets of these connections, to be erased from whatever is logged: those that are stored and those that
    /// `${NAME}` stands for.
    pub fn secrets(&self, connections: &BTreeMap<String, ConnectionSettings>) -> Vec<String> {
        let of = |(name, connection): (&String, &ConnectionSettings)| {
            let Ok(connector) = self.registry.get(&connection.connector) else { return Vec::new() };
            let resolved = settings::resolve(name, &connection.settings, &|variable| std::env::var(variable).ok());
            connector.secrets(&resolved.unwrap_or_else(|_| connection.settings.clone()))
        };
        connections.iter().flat_map(of).collect()
    }

    /// Takes a load's id in its target, so that no late attempt can commit it; or finds the commit that is there.
    pub fn fence<'a>(&'a self, job: &'a StageJob) -> BoxFuture<'a, Result<Option<Taken>>> {
        self.take_load_id(job).boxed()
    }

    async fn take_load_id(&self, job: &StageJob) -> Result<Option<Taken>> {
        let stage = find_stage(&job.plan, &job.stage)?;
        let Some(request) = sink_of(&job.plan, stage) else { return Ok(None) };
        let connections = Connections::new(self.registry.clone(), job.connections.clone());
        let sink = connections.open(&request.0)?.sink(&request.1).await?;
        let taken = sink.fence(job.load_id).await;
        connections.close().await;
        taken
    }
}

fn timed_out(what: &str, limit: Duration) -> EngineError {
    let limit = headwater_pipelines::duration::format(limit);
    EngineError::transient(format!("the {what} ran longer than its timeout of {limit}"))
        .hint("raise `timeout`, or make the stage smaller")
}

fn find_stage<'a>(plan: &'a Plan, name: &str) -> Result<&'a Stage> {
    plan.stage(name).ok_or_else(|| EngineError::bug(format!("the plan has no stage '{name}'")))
}

/// Connection and target of a stage whose head is a load.
fn sink_of(plan: &Plan, stage: &Stage) -> Option<(String, SinkRequest)> {
    match &plan.tasks.get(stage.name.as_str())?.work {
        work @ Work::Load { into, .. } => Some((into.connection.clone(), SinkRequest::of(work)?)),
        _ => None,
    }
}

/// What a stage needs of each connection.
fn demands(plan: &Plan, stage: &Stage, parallelism: usize) -> BTreeMap<String, Demand> {
    let mut demands: BTreeMap<String, Demand> = BTreeMap::new();
    let mut note = |name: &str, change: fn(&mut Demand)| {
        let demand = demands.entry(name.to_owned()).or_default();
        demand.parallelism = parallelism;
        change(demand);
    };
    let mut direct = std::collections::BTreeSet::new();
    for work in stage.tasks.iter().filter_map(|task| plan.tasks.get(task)).map(|task| &task.work) {
        match work {
            // Keys are scanned once the rows are read, by the sessions that have read them.
            Work::Extract { source, .. } => note(source.connection(), |demand| demand.reads += 1),
            Work::Load { into, .. } => note(&into.connection, |demand| demand.writes = true),
            _ => {}
        }
        for relation in work.reads() {
            if let Relation::Table(table) = relation
                && direct.insert(table)
            {
                note(&table.connection, |demand| demand.reads += 1);
            }
        }
    }
    demands
}

/// One attempt and what it talks to.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    engine: &'a Engine,
    job: &'a StageJob,
    control: &'a Arc<dyn Control>,
    progress: &'a Arc<Progress>,
    cancel: &'a CancellationToken,
    /// Set for a batch of a stream.
    batch: Option<Batch>,
}

impl<'a> Attempt<'a> {
    fn stage(&self) -> Result<&'a Stage> {
        find_stage(&self.job.plan, &self.job.stage)
    }

    async fn run(&self, stage: &Stage, report: &mut StageReport) -> Result<StageOutcome> {
        failpoint("after_claim")?;
        if self.cancel.is_cancelled() {
            return Ok(StageOutcome::Canceled);
        }
        let head = &self.job.plan.tasks[stage.name.as_str()].work;
        if let Work::Wait { duration } = head {
            let over = self.job.woken_at.is_some() || duration.is_zero();
            return Ok(if over { StageOutcome::Succeeded } else { StageOutcome::Waiting(*duration) });
        }
        if let (true, Some(stream), Work::Load { mode, .. }) = (self.job.run.follows, &self.job.plan.stream, head) {
            return Box::pin(self.follow(stage, stream, *mode)).await;
        }
        let connections = Connections::new(self.engine.registry.clone(), self.job.connections.clone());
        // Moving data takes a large future, which an attempt that only waits is not to be moved about with.
        let ran = match self.reserve(stage, &connections).await {
            Ok(()) => Box::pin(self.flow(stage, head, &connections, report)).await,
            Err(error) => Err(error),
        };
        connections.close().await;
        ran
    }

    /// Reserves the sessions that the stage needs, in the order of the connections' names, which every stage keeps.
    async fn reserve(&self, stage: &Stage, connections: &Connections) -> Result<()> {
        for (name, demand) in demands(&self.job.plan, stage, self.engine.sessions.config().parallelism) {
            let connection = connections.open(&name).map_err(|error| error.in_task(&stage.name))?;
            self.progress.wait_for(Some(format!("sessions of connection '{name}'")));
            let reserved = self.stopped_by_cancel(connection.reserve(&demand)).await;
            self.progress.wait_for(None);
            reserved?;
        }
        Ok(())
    }

    async fn flow(
        &self,
        stage: &Stage,
        head: &Work,
        connections: &Connections,
        report: &mut StageReport,
    ) -> Result<StageOutcome> {
        match (stage.head, head) {
            (Head::Action, Work::Load { .. }) => match self.load(stage, connections).await? {
                LoadEnd::Committed(receipt, _) => report.receipts.push(*receipt),
                LoadEnd::Nothing => {
                    self.control.log(LogLevel::Info, Some(&stage.name), "there are no new rows: nothing is loaded");
                }
                LoadEnd::Later(why) => {
                    self.control.log(LogLevel::Info, Some(&stage.name), &why);
                    return Ok(StageOutcome::Waiting(cursors::pause(self.job.attempt)));
                }
            },
            (Head::Dataset, _) => {
                let (cursors, pool) = (Cursors::default(), self.pool());
                let parameters = parameters::bind(&self.job.plan.params, &self.job.run)?;
                let builder = Builder {
                    attempt: self,
                    connections,
                    parameters: &parameters,
                    pool: &pool,
                    cursors: &cursors,
                    is_complete: false,
                };
                let built = builder.build(stage).await?;
                if built.rejects.are_possible() {
                    return Err(EngineError::bug("rows are set aside of a dataset that no single load takes"));
                }
                let stream = pull::stream(&built, &builder).await?;
                let written = staging::write(self.job, &stage.name, stream, self.cancel).await;
                match (written, built.verdicts(&builder).await) {
                    (Ok(manifest), Ok(())) => report.manifest = Some(manifest),
                    (Err(error), _) | (_, Err(error)) => {
                        staging::discard(self.job).await;
                        return Err(error);
                    }
                }
            }
            (Head::Action, other) => return Err(EngineError::bug(format!("a {} can't head a stage", other.kind()))),
        }
        Ok(StageOutcome::Succeeded)
    }

    /// What the attempt's memory is taken from.
    fn pool(&self) -> Arc<StagePool> {
        Arc::new(StagePool::new(Arc::clone(self.engine.sessions.pool())))
    }

    /// Waits for a piece of work, or for the run to be canceled, whichever comes first.
    async fn stopped_by_cancel<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(EngineError::canceled("the run was canceled")),
            done = work => done,
        }
    }
}

/// Rows that the stage's sources gave: those of its extracts, what could not be read included, and of tables and datasets that it reads directly.
fn rows_read(plan: &Plan, stage: &Stage, progress: &Progress) -> u64 {
    let counts = progress.counts();
    let is_transformed =
        |task: &str| plan.tasks.get(task).is_some_and(|task| !matches!(task.work, Work::Extract { .. }));
    let own = |task: &String| stage.tasks.iter().any(|own| own == task) && is_transformed(task);
    counts.iter().filter(|(task, _)| !own(task)).map(|(_, counts)| counts.rows + counts.rejected).sum()
}

/// The plan of the dataset that a stage's head reads or is.
fn head_plan(built: &Built, plan: &Plan, stage: &Stage) -> Result<LogicalPlan> {
    let relation = match &plan.tasks[stage.name.as_str()].work {
        Work::Load { input, .. } => input.clone(),
        _ => Relation::Task(stage.name.as_str().into()),
    };
    built.relations.plan(&relation)
}
