//! Runtimes for attempts that move data.
//!
//! DataFusion yields at its leaves and exchanges only, so a join of large tables keeps the threads of its runtime busy for seconds. Heartbeats, finishes
//! and other attempts would wait behind it. Each attempt that moves data therefore has a runtime to itself, and the operating system shares the
//! cores out between their threads. What concerns the control plane stays on the runtime that the worker was started on.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::start::own;

/// How often a runtime on which a canceled plan may still compute is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Runtimes that are free, kept for the next attempt: at most as many as there were attempts at a time.
#[derive(Debug, Default)]
pub(crate) struct Runtimes {
    free: Mutex<Vec<DataRuntime>>,
}

impl Runtimes {
    /// Runs a piece of work on a runtime of its own. Dropping the future ends the work. Fails if no thread can be had, or the work panics.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        cancel: &CancellationToken,
        work: impl Future<Output = T> + Send + 'static,
    ) -> std::io::Result<T> {
        let kept = self.free.lock().pop();
        let lent = Lent { runtimes: Arc::clone(self), runtime: Some(kept.map_or_else(DataRuntime::new, Ok)?) };
        let handle = lent.handle().ok_or_else(|| std::io::Error::other("a runtime was lent twice"))?;
        let done = AbortOnDropHandle::new(handle.spawn(work)).await;
        if cancel.is_cancelled() {
            drop(own(lent.once_idle()).detach());
        }
        done.map_err(|error| std::io::Error::other(format!("the attempt ended badly: {error}")))
    }
}

/// A runtime that goes back when it is dropped.
struct Lent {
    runtimes: Arc<Runtimes>,
    runtime: Option<DataRuntime>,
}

impl Lent {
    /// Gives the runtime back when nothing is left on it. The tasks of a canceled plan end where they yield, and would keep the next attempt waiting.
    async fn once_idle(self) {
        while self.handle().is_some_and(|handle| handle.metrics().num_alive_tasks() > 0) {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn handle(&self) -> Option<Handle> {
        Some(self.runtime.as_ref()?.0.as_ref()?.handle().clone())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.runtimes.free.lock().extend(self.runtime.take());
    }
}

/// A runtime that may be dropped anywhere.
#[derive(Debug)]
struct DataRuntime(Option<Runtime>);

impl DataRuntime {
    /// With a thread for each core: a plan has that many partitions.
    fn new() -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let mut runtime = Builder::new_multi_thread();
        runtime.worker_threads(cores).thread_name("headwater-data").enable_all();
        Ok(Self(Some(runtime.build()?)))
    }
}

impl Drop for DataRuntime {
    fn drop(&mut self) {
        // Waiting for its threads is not allowed on another runtime.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
