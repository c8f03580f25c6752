//! `headwater up` and `headwater serve`: the long-running roles.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use headwater_operations::OperationError;
use headwater_scheduler::{Scheduler, SchedulerConfig, SchedulerHandle};
use headwater_server::Server;
use headwater_store::Beside;
use headwater_worker::{WorkerConfig, WorkerHandle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::config::Config;
use crate::context::{Context, Opening, staging};
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Address of the server
    #[arg(long, env = "HEADWATER_BIND", value_name = "ADDRESS")]
    pub(crate) bind: Option<std::net::IpAddr>,
    /// Port of the server [default: 7700]
    #[arg(long, env = "HEADWATER_PORT")]
    pub(crate) port: Option<u16>,
    /// Concurrent stages that move data [default: one per core, as far as memory allows]
    #[arg(long, env = "HEADWATER_SLOTS")]
    pub(crate) slots: Option<usize>,
    /// Queues that the worker serves [default: default]
    #[arg(long, env = "HEADWATER_QUEUES", value_delimiter = ',')]
    pub(crate) queues: Vec<String>,
    /// Labels of the worker; a stage with labels runs on a worker that has all of them
    #[arg(long, env = "HEADWATER_LABELS", value_delimiter = ',')]
    pub(crate) labels: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RoleArgs {
    /// Roles of this process
    #[arg(long, value_enum, value_delimiter = ',', required = true)]
    roles: Vec<Role>,
    #[command(flatten)]
    serve: ServeArgs,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// HTTP: health, readiness, metrics.
    Server,
    /// Fires schedules, declares silent workers lost, repairs, reports failed runs.
    Scheduler,
    /// Executes stages.
    Worker,
}

pub(super) async fn up(config: Config, args: &ServeArgs) -> Result<ExitCode> {
    roles(config.serving(args), &[Role::Server, Role::Scheduler, Role::Worker]).await
}

pub(super) async fn serve(config: Config, args: &RoleArgs) -> Result<ExitCode> {
    roles(config.serving(&args.serve), &args.roles).await
}

async fn roles(config: Config, roles: &[Role]) -> Result<ExitCode> {
    // Before anything is started: whoever sees a part of it may ask it to end, and the embedded Postgres must not be left behind.
    let mut signals = Signals::listen()?;
    let (context, is_asked) = signals.noted(Context::open(config, Opening::Migrate(Beside::Nothing))).await;
    let context = context?;
    let served = match is_asked {
        true => Ok(()),
        false => run_roles(&context, roles, signals).await,
    };
    let closed = context.close().await;
    served?;
    closed?;
    Ok(ExitCode::SUCCESS)
}

async fn run_roles(context: &Context, roles: &[Role], mut signals: Signals) -> Result<()> {
    let stop = CancellationToken::new();
    let config = &context.config;
    let server = match roles.contains(&Role::Server) {
        true => Some(Server::bind((config.bind, config.port).into(), context.operations.clone()).await?),
        false => None,
    };
    let worker = match roles.contains(&Role::Worker) {
        true => Some(start_worker(context).await?),
        false => None,
    };
    let scheduler = roles.contains(&Role::Scheduler).then(|| Chores::start(context));
    let address = server.as_ref().map(|server| format!(" on http://{}", server.address()));
    output::error_line(&format!("headwater is ready{}; Ctrl-C stops it", address.unwrap_or_default()));
    let serving = async {
        match server {
            Some(server) => server.serve(stop.clone()).await.context("the server ended"),
            None => {
                stop.cancelled().await;
                Ok(())
            }
        }
    };
    let ended = async {
        signals.next().await;
        stop.cancel();
        Ok::<(), anyhow::Error>(())
    };
    tokio::try_join!(serving, ended)?;
    output::error_line("stopping: running stages finish first; a second signal stops at once");
    tokio::select! {
        () = drain(worker, scheduler) => Ok(()),
        () = signals.next() => std::process::exit(130),
    }
}

async fn start_worker(context: &Context) -> Result<WorkerHandle> {
    let config = WorkerConfig {
        queues: context.config.queues.clone(),
        labels: context.config.labels.clone(),
        ..context.executor.worker_config(staging(&context.config)?)
    };
    Ok(context.executor.start_worker(config).await.map_err(OperationError::from)?)
}

/// The scheduler, and the watch that reports runs which fail.
struct Chores {
    scheduler: SchedulerHandle,
    failures: AbortOnDropHandle<()>,
    /// Ends the watch, after the worker has ended: its last runs may fail.
    watched: CancellationToken,
}

impl Chores {
    #[allow(clippy::disallowed_methods, reason = "the handle owns the task")]
    fn start(context: &Context) -> Self {
        let config = SchedulerConfig {
            lease_time: context.config.lease_time,
            retention: context.config.retention,
            ..SchedulerConfig::default()
        };
        let watched = CancellationToken::new();
        let failures = context.operations.failure_watch().run(watched.clone());
        Self {
            scheduler: Scheduler::start(context.executor.store.clone(), config),
            failures: AbortOnDropHandle::new(tokio::spawn(failures)),
            watched,
        }
    }
}

async fn drain(worker: Option<WorkerHandle>, chores: Option<Chores>) {
    let watch = match chores {
        Some(Chores { scheduler, failures, watched }) => {
            scheduler.shutdown().await;
            Some((failures, watched))
        }
        None => None,
    };
    if let Some(worker) = worker {
        worker.shutdown().await;
    }
    if let Some((failures, watched)) = watch {
        watched.cancel();
        if let Err(error) = failures.await {
            tracing::error!(%error, "the watch for failed runs ended badly");
        }
    }
}

/// What asks the process to end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Does something to its end, and notes whether the process was asked to end meanwhile. A second time it does so at once.
    async fn noted<T>(&mut self, work: impl Future<Output = T>) -> (T, bool) {
        let mut work = std::pin::pin!(work);
        let mut is_asked = false;
        loop {
            tokio::select! {
                done = &mut work => return (done, is_asked),
                () = self.next() => match is_asked {
                    true => std::process::exit(130),
                    false => is_asked = true,
                },
            }
        }
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
