//! `headwater up` and `headwater serve`: the long-running roles.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use headwater_scheduler::{Scheduler, SchedulerConfig, SchedulerHandle};
use headwater_server::Server;
use headwater_store::Beside;
use headwater_worker::{Worker, WorkerConfig, WorkerHandle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::args::Role;
use crate::config::Config;
use crate::context::{Context, Opening};
use crate::output;

pub(super) async fn serve(config: Config, roles: &[Role]) -> Result<ExitCode> {
    let context = Context::open(config, Opening::Migrate(Beside::Nothing)).await?;
    let served = run_roles(&context, roles).await;
    let closed = context.close().await;
    served?;
    closed?;
    Ok(ExitCode::SUCCESS)
}

async fn run_roles(context: &Context, roles: &[Role]) -> Result<()> {
    // Before anything is announced: whoever reads that it is ready may tell it to end.
    let mut signals = Signals::listen()?;
    let stop = CancellationToken::new();
    let server = match roles.contains(&Role::Server) {
        true => Some(Server::bind((context.config.bind, context.config.port).into(), context.store.clone()).await?),
        false => None,
    };
    let worker = match roles.contains(&Role::Worker) {
        true => Some(start_worker(context).await?),
        false => None,
    };
    let scheduler = match roles.contains(&Role::Scheduler) {
        true => Some(Scheduler::start(context.store.clone(), scheduler(context))),
        false => None,
    };
    let address = server.as_ref().map(|server| format!(" on http://{}", server.address()));
    output::error_line(&format!("headwater is ready{}; Ctrl-C ends it", address.unwrap_or_default()));
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
    output::error_line("ending: running stages finish first; a second signal ends at once");
    tokio::select! {
        () = drain(worker, scheduler) => Ok(()),
        () = signals.next() => std::process::exit(130),
    }
}

async fn start_worker(context: &Context) -> Result<WorkerHandle> {
    let config = WorkerConfig {
        queues: context.config.queues.clone(),
        labels: context.config.labels.clone(),
        slots: context.config.slots,
        lease_time: context.config.lease_time,
        ..WorkerConfig::new(context.staging()?, Arc::clone(&context.key), headwater_engine::host_name())
    };
    Ok(Worker::start(context.store.clone(), Arc::new(context.engine.clone()), config).await?)
}

fn scheduler(context: &Context) -> SchedulerConfig {
    let config = &context.config;
    SchedulerConfig { lease_time: config.lease_time, retention: config.retention, ..SchedulerConfig::default() }
}

async fn drain(worker: Option<WorkerHandle>, scheduler: Option<SchedulerHandle>) {
    if let Some(scheduler) = scheduler {
        scheduler.shutdown().await;
    }
    if let Some(worker) = worker {
        worker.shutdown().await;
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

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
