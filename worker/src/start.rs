//! Starting and stopping a worker.

use std::sync::Arc;
use std::time::Duration;

use apalis::layers::catch_panic::CatchPanicLayer;
use apalis_core::error::{AbortError, BoxDynError, WorkerError};
use apalis_core::worker::builder::WorkerBuilder;
use futures::FutureExt;
use futures::future::BoxFuture;
use headwater_store::{Store, Taker};
use parking_lot::RwLock;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::active::Active;
use crate::backend::{Attempt, Queue};
use crate::config::WorkerConfig;
use crate::finisher::Finisher;
use crate::logs::LogSender;
use crate::runner::StageRunner;
use crate::runtimes::Runtimes;
use crate::{attempt, catalogs, fetch, finisher, heartbeat, logs, sweep};

/// Time that attempts have to end once they were told to.
const LAST_GRACE: Duration = Duration::from_secs(30);

/// What a worker's tasks share.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) config: WorkerConfig,
    pub(crate) runner: Arc<dyn StageRunner>,
    pub(crate) active: Arc<Active>,
    pub(crate) logs: LogSender,
    pub(crate) finisher: Finisher,
    pub(crate) taker: RwLock<Taker>,
    /// For attempts that move data, and for those that don't.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) light_slots: Arc<Semaphore>,
    /// Where attempts that move data run.
    pub(crate) runtimes: Arc<Runtimes>,
    /// Something may be ready, or a slot came free.
    pub(crate) wake: Notify,
    /// Nothing new is claimed.
    pub(crate) stopping: CancellationToken,
    /// The finisher ends when nothing is left for it.
    pub(crate) finished: CancellationToken,
}

/// Executes stage runs of the store's queue.
#[derive(Debug)]
pub struct Worker;

/// A worker that runs. Dropping it is like killing it: its attempts stop at once and the reaper finds its leases.
#[derive(Debug)]
pub struct WorkerHandle {
    shared: Arc<Shared>,
    stop_apalis: CancellationToken,
    apalis: AbortOnDropHandle<Result<(), WorkerError>>,
    fetch: AbortOnDropHandle<()>,
    finisher: AbortOnDropHandle<()>,
    logs: AbortOnDropHandle<()>,
    /// Heartbeat, listener, sweeper and the reader of old catalogs go on until the very end.
    background: [AbortOnDropHandle<()>; 4],
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).field("taker", &self.taker).finish_non_exhaustive()
    }
}

impl Worker {
    /// Registers a worker and starts it.
    pub async fn start(
        store: Store,
        runner: Arc<dyn StageRunner>,
        config: WorkerConfig,
    ) -> headwater_store::Result<WorkerHandle> {
        let id = config.id.unwrap_or_else(Uuid::new_v4);
        store.register_worker(&heartbeat::spec(&config, id)).await?;
        let staging = config.staging.clone().of_installation(store.installation_id().await?);
        let config = WorkerConfig { staging, ..config };
        let (finisher, ended) = Finisher::new();
        let (log_sender, log_entries) = LogSender::new();
        let (handed_over, handed_over_received) = mpsc::unbounded_channel();
        let (fetched, fetched_received) = mpsc::unbounded_channel();
        let taker = Taker {
            worker_id: id,
            queues: config.queues.clone(),
            labels: config.labels.clone(),
            plan_formats: WorkerConfig::plan_formats(),
            host: config.host.clone(),
            only_run: config.only_run,
        };
        let shared = Arc::new(Shared {
            slots: Arc::new(Semaphore::new(config.slots)),
            light_slots: Arc::new(Semaphore::new(config.light_slots)),
            store: store.clone(),
            config,
            runner,
            active: Arc::default(),
            logs: log_sender,
            finisher: finisher.clone(),
            taker: RwLock::new(taker),
            runtimes: Arc::default(),
            wake: Notify::new(),
            stopping: CancellationToken::new(),
            finished: CancellationToken::new(),
        });
        let queue = Queue::new(handed_over_received, fetched_received, finisher);
        let stop_apalis = CancellationToken::new();
        Ok(WorkerHandle {
            apalis: own(drive(Arc::clone(&shared), queue, stop_apalis.clone())),
            fetch: own(fetch::run(Arc::clone(&shared), fetched)),
            finisher: own(finisher::run(Arc::clone(&shared), ended, handed_over)),
            logs: own(logs::write(store, log_entries)),
            background: [
                own(heartbeat::run(Arc::clone(&shared))),
                own(fetch::listen(Arc::clone(&shared))),
                own(catalogs::run(Arc::clone(&shared))),
                own(sweep::run(Arc::clone(&shared))),
            ],
            shared,
            stop_apalis,
        })
    }
}

/// A task that ends with its handle.
#[allow(clippy::disallowed_methods, reason = "the one place that spawns, and the handle owns the task")]
pub(crate) fn own<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> AbortOnDropHandle<T> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

/// apalis' worker: takes attempts out of the queue and drives each through the layers, on a task of its own.
fn drive(shared: Arc<Shared>, queue: Queue, stop: CancellationToken) -> BoxFuture<'static, Result<(), WorkerError>> {
    let name = format!("headwater-{}", shared.taker.read().worker_id);
    let worker = WorkerBuilder::new(name).backend(queue).layer(CatchPanicLayer::with_panic_handler(panicked)).build(
        move |attempt: Attempt| -> BoxFuture<'static, Result<(), BoxDynError>> {
            let shared = Arc::clone(&shared);
            async move { attempt::drive(shared, attempt).await }.boxed()
        },
    );
    let signal = async move {
        stop.cancelled().await;
        Ok::<(), WorkerError>(())
    };
    worker.run_until(signal).boxed()
}

/// Attempts catch their own panics; what reaches this net is a fault of the net's users.
#[allow(clippy::borrowed_box, reason = "the layer's signature")]
fn panicked(_: &Box<dyn std::any::Any + Send>) -> AbortError {
    AbortError::new(std::io::Error::other("the handler of an attempt panicked"))
}

impl WorkerHandle {
    /// The worker's incarnation. It changes when the worker was given up and came back.
    pub fn id(&self) -> Uuid {
        self.shared.taker.read().worker_id
    }

    /// Attempts in hand.
    pub fn active(&self) -> usize {
        self.shared.active.tokens().len()
    }

    /// Stops gracefully: claims nothing more, lets attempts end by themselves for the configured grace, then tells them to stop,
    /// which hands their stage runs back, and takes leave of the store.
    pub async fn shutdown(self) {
        let Self { shared, stop_apalis, apalis, fetch, finisher, logs, background } = self;
        shared.stopping.cancel();
        let id = shared.taker.read().worker_id;
        if let Err(error) = shared.store.drain_worker(id).await {
            tracing::debug!(error = %error, "the store was not told that the worker drains");
        }
        join("fetcher", fetch).await;
        stop_apalis.cancel();
        let mut apalis = apalis;
        if tokio::time::timeout(shared.config.grace, &mut apalis).await.is_err() {
            shared.active.cancel_all();
            if tokio::time::timeout(LAST_GRACE, &mut apalis).await.is_err() {
                tracing::warn!(
                    attempts = shared.active.tokens().len(),
                    "attempts did not end in time; their leases are given up"
                );
                drop(apalis);
            }
        }
        shared.finished.cancel();
        join("finisher", finisher).await;
        shared.logs.flush().await;
        drop(logs);
        // A beat of a worker that has taken leave would find itself given up, and register it anew.
        for task in background {
            task.abort();
            let _ = task.await;
        }
        sweep::sweep(&shared).await;
        let id = shared.taker.read().worker_id;
        if let Err(error) = shared.store.remove_worker(id).await {
            tracing::warn!(error = %error, "the worker could not take leave; the reaper will notice");
        }
    }

    /// Tells every attempt to stop now; those of runs that are not canceled are handed back.
    pub fn cancel_attempts(&self) {
        self.shared.active.cancel_all();
    }
}

async fn join(what: &str, task: AbortOnDropHandle<()>) {
    if let Err(error) = task.await {
        tracing::error!(error = %error, "the {what} of the worker ended badly");
    }
}
