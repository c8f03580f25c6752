//! Ends attempts that hear neither their cancel nor their timeout.
//!
//! A future can be stopped only where it yields. The engine's joins yield after some batches of output, but an operator that finds no rows for long, such
//! as a nested loop join whose condition is hardly ever met, can compute for minutes in one go. Nobody waits for that: the attempt's end is reported, and its
//! slot is free. What it computes goes on until it yields, with its thread and its memory; then it sees the cancel and removes what it wrote. It can't commit any more, since its intent is refused from then on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::control::AttemptControl;
use crate::runtimes::Runtimes;
use crate::start::own;

/// Time in which an attempt that is to end has to yield.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why an attempt that does not yield was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// It was told to stop.
    Canceled,
    /// It took longer than this.
    TimedOut(Duration),
}

/// Whether an attempt is to end, and whether it has yielded since.
#[derive(Debug, Default)]
struct Call {
    made: AtomicBool,
    heard: AtomicBool,
}

/// Runs an attempt's work on a runtime of its own. Fails if the work is to end and does not hear it.
pub(crate) async fn run<T: Send + 'static>(
    runtimes: &Arc<Runtimes>,
    control: &AttemptControl,
    cancel: &CancellationToken,
    limit: Option<Duration>,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<std::io::Result<T>, GivenUp> {
    let call = Arc::new(Call::default());
    let work = hearing(work, Arc::clone(&call));
    let (runtimes, canceled) = (Arc::clone(runtimes), cancel.clone());
    let mut running = own(async move { runtimes.run(&canceled, work).await });
    let unheard = async {
        let why = to_end(cancel, limit).await;
        call.made.store(true, Ordering::SeqCst);
        tokio::time::sleep(PATIENCE).await;
        (!call.heard.load(Ordering::SeqCst) && control.abandon()).then_some(why)
    };
    tokio::select! {
        biased;
        ran = &mut running => return Ok(ran.unwrap_or_else(|error| Err(std::io::Error::other(error)))),
        given_up = unheard => if let Some(why) = given_up {
            // Its runtime is lent until it ends by itself, which it does once it sees the cancel.
            cancel.cancel();
            drop(running.detach());
            return Err(why);
        }
    }
    Ok(running.await.unwrap_or_else(|error| Err(std::io::Error::other(error))))
}

/// Waits until an attempt is to end.
async fn to_end(cancel: &CancellationToken, limit: Option<Duration>) -> GivenUp {
    match limit {
        Some(limit) => match tokio::time::timeout(limit, cancel.cancelled()).await {
            Ok(()) => GivenUp::Canceled,
            Err(_) => GivenUp::TimedOut(limit),
        },
        None => {
            cancel.cancelled().await;
            GivenUp::Canceled
        }
    }
}

/// The same work, which notes that it has yielded since it was to end: at its next turn it looks at its cancel and its timeout first.
async fn hearing<T>(work: impl Future<Output = T>, call: Arc<Call>) -> T {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|turn| {
        let polled = work.as_mut().poll(turn);
        if call.made.load(Ordering::SeqCst) {
            call.heard.store(true, Ordering::SeqCst);
        }
        polled
    })
    .await
}
