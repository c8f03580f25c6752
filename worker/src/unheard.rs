//! Ends attempts that do not hear their cancel.
//!
//! A future can be stopped only where it yields. The engine's joins yield after some batches of output, but an operator that finds no rows for long, such
//! as a nested loop join whose condition is hardly ever met, can compute for minutes in one go. Whoever cancels does not wait for that: the attempt's end
//! is reported, and its slot is free. What it computes goes on until it yields, with its thread and its memory; then it sees the cancel and removes
//! what it wrote. It can't commit any more, since its intent is refused from then on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::control::AttemptControl;
use crate::runtimes::Runtimes;
use crate::start::own;

/// Time in which a canceled attempt has to yield.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs an attempt's work on a runtime of its own. `None` if it was canceled and does not hear it.
pub(crate) async fn run<T: Send + 'static>(
    runtimes: &Arc<Runtimes>,
    control: &AttemptControl,
    cancel: &CancellationToken,
    work: impl Future<Output = T> + Send + 'static,
) -> Option<std::io::Result<T>> {
    let heard = Arc::new(AtomicBool::new(false));
    let work = hearing(work, cancel.clone(), Arc::clone(&heard));
    let (runtimes, canceled) = (Arc::clone(runtimes), cancel.clone());
    let mut running = own(async move { runtimes.run(&canceled, work).await });
    let unheard = async {
        cancel.cancelled().await;
        tokio::time::sleep(PATIENCE).await;
        !heard.load(Ordering::SeqCst) && control.abandon()
    };
    tokio::select! {
        biased;
        ran = &mut running => return Some(ran.unwrap_or_else(|error| Err(std::io::Error::other(error)))),
        abandoned = unheard => if abandoned {
            // Its runtime is lent until it ends by itself.
            drop(running.detach());
            return None;
        }
    }
    Some(running.await.unwrap_or_else(|error| Err(std::io::Error::other(error))))
}

/// The same work, which notes that it has yielded since it was canceled: at its next turn it looks at the cancel first.
async fn hearing<T>(work: impl Future<Output = T>, cancel: CancellationToken, heard: Arc<AtomicBool>) -> T {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|turn| {
        let polled = work.as_mut().poll(turn);
        if cancel.is_cancelled() {
            heard.store(true, Ordering::SeqCst);
        }
        polled
    })
    .await
}
