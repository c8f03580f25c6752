//! The worker that executes a run in this process: operations ask for it, and know nothing of workers.

use std::sync::Arc;

use async_trait::async_trait;
use headwater_engine::stage::Engine;
use headwater_engine::staging::StagingArea;
use headwater_operations::{Execution, Executor, LocalWork, OperationError};
use headwater_scheduler::{Scheduler, SchedulerConfig, SchedulerHandle};
use headwater_store::{MasterKey, Store};
use headwater_worker::{Worker, WorkerConfig, WorkerHandle};

use crate::config::Config;
use crate::context::staging;

/// Starts workers of this process.
pub(crate) struct LocalExecutor {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) engine: Arc<Engine>,
    pub(crate) key: Arc<MasterKey>,
}

impl LocalExecutor {
    /// A worker's settings in this process.
    pub(crate) fn worker_config(&self, staging: StagingArea) -> WorkerConfig {
        WorkerConfig {
            slots: self.config.slots,
            lease_time: self.config.lease_time,
            ..WorkerConfig::new(staging, Arc::clone(&self.key), headwater_engine::host_name())
        }
    }

    /// Starts a worker.
    pub(crate) async fn start_worker(&self, config: WorkerConfig) -> headwater_store::Result<WorkerHandle> {
        let engine = Arc::clone(&self.engine);
        Worker::start(self.store.clone(), engine, config).await
    }
}

#[async_trait]
impl Executor for LocalExecutor {
    async fn start(&self, work: LocalWork) -> Result<Box<dyn Execution>, OperationError> {
        let staging = staging(&self.config).map_err(|error| OperationError::invalid(format!("{error:#}")))?;
        let config = WorkerConfig {
            id: Some(work.worker_id),
            queues: work.queues,
            labels: work.labels,
            only_run: Some(work.run_id),
            ..self.worker_config(staging)
        };
        let worker = self.start_worker(config).await?;
        let config = SchedulerConfig { fires: false, lease_time: self.config.lease_time, ..SchedulerConfig::default() };
        let chores = Scheduler::start(self.store.clone(), config);
        Ok(Box::new(Local { worker, chores }))
    }
}

/// A worker for one run, and the chores that wake, reap and repair; with no other process there, nobody else would do them.
struct Local {
    worker: WorkerHandle,
    chores: SchedulerHandle,
}

#[async_trait]
impl Execution for Local {
    async fn shutdown(self: Box<Self>) {
        self.chores.shutdown().await;
        self.worker.shutdown().await;
    }
}
