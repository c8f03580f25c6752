//! Executing a run in the process that asked for it. The face brings the worker, so that operations depend on none.

use std::collections::BTreeSet;

use async_trait::async_trait;
use headwater_pipelines::plan::Plan;
use uuid::Uuid;

use crate::Result;

/// What a worker of this process is to do.
#[derive(Debug, Clone)]
pub struct LocalWork {
    /// The worker's id: the run may be pinned to it.
    pub worker_id: Uuid,
    /// The one run that it executes.
    pub run_id: Uuid,
    /// The queues of the run's stages.
    pub queues: Vec<String>,
    /// The labels that its stages ask for.
    pub labels: Vec<String>,
}

impl LocalWork {
    pub(crate) fn of(worker_id: Uuid, run_id: Uuid, plan: &Plan) -> Self {
        let queues: BTreeSet<&String> = plan.stages.iter().map(|stage| &stage.queue).collect();
        let labels: BTreeSet<&String> = plan.stages.iter().flat_map(|stage| &stage.labels).collect();
        Self {
            worker_id,
            run_id,
            queues: queues.into_iter().cloned().collect(),
            labels: labels.into_iter().cloned().collect(),
        }
    }
}

/// Starts workers in this process.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Starts a worker for one run, with the chores that nobody else might do.
    async fn start(&self, work: LocalWork) -> Result<Box<dyn Execution>>;
}

/// A worker that runs in this process.
#[async_trait]
pub trait Execution: Send {
    /// Ends it gracefully.
    async fn shutdown(self: Box<Self>);
}
