//! Claims into free slots, and listens for wake-ups.

use std::sync::Arc;
use std::time::Duration;

use headwater_store::{Slots, Wakeup};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::backend::Attempt;
use crate::start::Shared;

/// Pause before listening again after the connection was lost.
const LISTEN_AGAIN: Duration = Duration::from_millis(500);

/// Claims whenever something may be ready and a slot is free, until the worker stops.
pub(crate) async fn run(shared: Arc<Shared>, fetched: mpsc::UnboundedSender<Attempt>) {
    let mut failing = false;
    loop {
        match wake_own(&shared).await.and(claim(&shared, &fetched).await) {
            Ok(()) => failing = false,
            // Said once; the next poll tries again.
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(error = %error, "nothing can be claimed");
            }
            Err(_) => {}
        }
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = shared.wake.notified() => {}
            () = tokio::time::sleep(shared.config.poll_interval) => {}
        }
    }
}

/// A worker that executes a single run may be the only process there is: it wakes what waits itself, as a scheduler would.
async fn wake_own(shared: &Shared) -> headwater_store::Result<()> {
    if shared.config.only_run.is_some() {
        shared.store.wake_due().await?;
    }
    Ok(())
}

async fn claim(shared: &Shared, fetched: &mpsc::UnboundedSender<Attempt>) -> headwater_store::Result<()> {
    if shared.stopping.is_cancelled() {
        return Ok(());
    }
    let (mut data, mut light) = (free(&shared.slots), free(&shared.light_slots));
    let taker = shared.taker.read().clone();
    let slots = Slots { data: data.len(), light: light.len() };
    for claimed in shared.store.claim(&taker, slots).await? {
        let permits = if claimed.light { &mut light } else { &mut data };
        let Some(permit) = permits.pop() else { continue };
        // The backend is gone only when the worker is, and then the reaper finds the lease.
        let _ = fetched.send(Attempt { claimed, permit });
    }
    Ok(())
}

/// All slots of a kind that are free.
fn free(slots: &Arc<Semaphore>) -> Vec<OwnedSemaphorePermit> {
    std::iter::from_fn(|| Arc::clone(slots).try_acquire_owned().ok()).collect()
}

/// Turns notifications into wake-ups of the fetcher and cancels of attempts.
pub(crate) async fn listen(shared: Arc<Shared>) {
    loop {
        match shared.store.listen().await {
            Ok(mut listener) => {
                shared.wake.notify_one();
                while let Ok(wakeup) = listener.next().await {
                    match wakeup {
                        Wakeup::Ready(queue) if shared.config.queues.contains(&queue) => shared.wake.notify_one(),
                        Wakeup::Ready(_) => {}
                        Wakeup::Canceled(run_id) => shared.active.cancel_run(run_id),
                        Wakeup::Reconnected => shared.wake.notify_one(),
                    }
                }
            }
            Err(error) => tracing::debug!(error = %error, "not listening; polling goes on"),
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}
