//! Ends attempts in batches: whatever ended while the last transaction was in flight goes into the next one. No timer.

use std::sync::Arc;
use std::time::Duration;

use headwater_store::{AttemptEnd, Claimed, Failure, Finish, FinishReport, Finished, LeaseKey, Slots, StoreError};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::backend::Attempt;
use crate::start::Shared;

/// Attempts ended in one transaction. More would keep other transactions waiting for the runs' locks.
const LARGEST_BATCH: usize = 256;

/// Slots kept for what a batch makes ready. Those of a larger batch go back at once: there is more in the queue, and it is claimed while the
/// batch is being stored, on another connection.
const LARGEST_HAND_OVER: usize = 8;

/// Longest pause between two tries while the database can't be reached.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Times that a batch may take too long. What is too much for one transaction would be tried for ever.
const MOST_LATE: u32 = 2;

/// The end of an attempt on its way to the store.
#[derive(Debug)]
pub(crate) struct Ended {
    finish: Finish,
    slot: Option<Slot>,
    answer: oneshot::Sender<Finished>,
}

/// The slot of an attempt, and its kind.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) permit: OwnedSemaphorePermit,
    pub(crate) light: bool,
}

/// Where ends of attempts are handed in.
#[derive(Debug, Clone)]
pub(crate) struct Finisher {
    ended: mpsc::UnboundedSender<Ended>,
}

impl Finisher {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Ended>) {
        let (ended, received) = mpsc::unbounded_channel();
        (Self { ended }, received)
    }

    /// Hands an end in. The slot goes with it: it is passed on to what is handed over, or comes free.
    pub(crate) fn send(&self, finish: Finish, slot: Option<Slot>) -> oneshot::Receiver<Finished> {
        let (answer, wait) = oneshot::channel();
        // A closed channel drops the sender of the answer, which the receiver notices.
        let _ = self.ended.send(Ended { finish, slot, answer });
        wait
    }
}

/// The end of an attempt that was never started, or stopped without being asked by its run.
pub(crate) fn hand_back(lease: LeaseKey) -> Finish {
    Finish { lease, end: AttemptEnd::Canceled, tasks: Vec::new(), receipts: Vec::new(), manifest: None, host: None }
}

/// Runs until `shared.finished` is canceled and everything handed in is done.
pub(crate) async fn run(
    shared: Arc<Shared>,
    mut ended: mpsc::UnboundedReceiver<Ended>,
    handed_over: mpsc::UnboundedSender<Attempt>,
) {
    loop {
        let first = tokio::select! {
            biased;
            next = ended.recv() => next,
            () = shared.finished.cancelled() => ended.try_recv().ok(),
        };
        let Some(first) = first else { return };
        let mut batch = vec![first];
        while batch.len() < LARGEST_BATCH {
            let Ok(next) = ended.try_recv() else { break };
            batch.push(next);
        }
        finish(&shared, batch, &handed_over).await;
    }
}

async fn finish(shared: &Shared, batch: Vec<Ended>, handed_over: &mpsc::UnboundedSender<Attempt>) {
    let mut finishes = Vec::with_capacity(batch.len());
    let mut kept = Kept::default();
    let mut answers = Vec::with_capacity(batch.len());
    for ended in batch {
        finishes.push(ended.finish);
        kept.extend(ended.slot);
        answers.push(ended.answer);
    }
    if kept.cut() {
        shared.wake.notify_one();
    }
    let (results, claimed) = store_batch(shared, &finishes, kept.slots()).await;
    // What is handed over comes last: the task that is woken last runs next on this thread, and others wait or go to another one.
    for (answer, result) in answers.into_iter().zip(results) {
        // An attempt that no longer waits for its answer has been dropped with the worker.
        let _ = answer.send(result);
    }
    for claimed in claimed {
        let Some(permit) = kept.take(claimed.light) else { continue };
        // The backend is gone only when the worker is, and then the reaper finds the lease.
        let _ = handed_over.send(Attempt { claimed, permit });
    }
    if !kept.slots().is_none() {
        drop(kept);
        shared.wake.notify_one();
    }
}

/// Slots that ends of attempts brought along, for what is handed over.
#[derive(Debug, Default)]
struct Kept {
    data: Vec<OwnedSemaphorePermit>,
    light: Vec<OwnedSemaphorePermit>,
}

impl Kept {
    fn extend(&mut self, slot: Option<Slot>) {
        if let Some(Slot { permit, light }) = slot {
            if light { self.light.push(permit) } else { self.data.push(permit) }
        }
    }

    /// Gives back what is more than a hand-over takes. Returns whether anything was.
    fn cut(&mut self) -> bool {
        let before = self.slots();
        self.data.truncate(LARGEST_HAND_OVER);
        self.light.truncate(LARGEST_HAND_OVER);
        before != self.slots()
    }

    fn slots(&self) -> Slots {
        Slots { data: self.data.len(), light: self.light.len() }
    }

    fn take(&mut self, light: bool) -> Option<OwnedSemaphorePermit> {
        if light { self.light.pop() } else { self.data.pop() }
    }
}

/// Where ends of attempts are stored.
trait Ends: Sync {
    /// Stores them together, and claims what can be handed over for so many slots.
    fn end(&self, finishes: &[Finish], slots: Slots) -> impl Future<Output = Result<FinishReport, StoreError>> + Send;
}

impl Ends for Shared {
    async fn end(&self, finishes: &[Finish], slots: Slots) -> Result<FinishReport, StoreError> {
        let taker = self.taker.read().clone();
        let hand_over = (!self.stopping.is_cancelled()).then_some((&taker, slots));
        self.store.finish(finishes, hand_over).await
    }
}

/// Stores a batch, however long the database can't be reached. A batch that is refused, or takes too long, is stored one by one, so that
/// one end that can't be stored does not hold up the others.
async fn store_batch(ends: &impl Ends, finishes: &[Finish], slots: Slots) -> (Vec<Finished>, Vec<Claimed>) {
    let mut report = match persist(ends, finishes, slots).await {
        Ok(report) => return (report.results, report.claimed),
        Err(error) if finishes.len() == 1 => {
            let result = store_as_failure(ends, &finishes[0], &error).await;
            return (vec![result], Vec::new());
        }
        Err(_) => FinishReport::default(),
    };
    for finish in finishes {
        match persist(ends, std::slice::from_ref(finish), Slots::NONE).await {
            Ok(one) => report.results.extend(one.results),
            Err(error) => report.results.push(store_as_failure(ends, finish, &error).await),
        }
    }
    (report.results, report.claimed)
}

/// Tries until the database has answered. Only a batch of several gives up: when it has taken too long for the last time.
async fn persist(ends: &impl Ends, finishes: &[Finish], slots: Slots) -> Result<FinishReport, StoreError> {
    let mut pause = Duration::from_millis(50);
    let mut late = 0;
    loop {
        let error = match ends.end(finishes, slots).await {
            Err(error) if error.is_transient() => error,
            answer => return answer,
        };
        late += u32::from(error.is_late());
        if late == MOST_LATE && finishes.len() > 1 {
            tracing::warn!(error = %error, attempts = finishes.len(), "ends of attempts take too long together");
            return Err(error);
        }
        tracing::warn!(error = %error, attempts = finishes.len(), "ends of attempts not stored yet");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// An end that the database refuses is a fault of ours. The attempt still has to end.
async fn store_as_failure(ends: &impl Ends, finish: &Finish, error: &StoreError) -> Finished {
    tracing::error!(error = %error, stage_run = %finish.lease.stage_run_id, "the end of an attempt was refused");
    let failure = Failure {
        message: format!("the end of the attempt could not be stored: {error}"),
        unsettled: true,
        ..Failure::default()
    };
    let failed = Finish {
        lease: finish.lease,
        end: AttemptEnd::Failed(failure),
        tasks: Vec::new(),
        receipts: Vec::new(),
        manifest: None,
        host: None,
    };
    match persist(ends, std::slice::from_ref(&failed), Slots::NONE).await {
        Ok(report) => report.results.first().copied().unwrap_or(Finished::Stale),
        Err(error) => {
            tracing::error!(error = %error, stage_run = %finish.lease.stage_run_id, "an attempt could not be ended");
            Finished::Stale
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::io;

    use headwater_store::StoreErrorKind;
    use parking_lot::Mutex;
    use uuid::Uuid;

    use super::*;

    /// A database that takes too long for more than one end at a time.
    #[derive(Default)]
    struct Slow {
        batches: Mutex<Vec<usize>>,
    }

    impl Ends for Slow {
        async fn end(&self, finishes: &[Finish], _: Slots) -> Result<FinishReport, StoreError> {
            self.batches.lock().push(finishes.len());
            if finishes.len() == 1 {
                return Ok(FinishReport { results: vec![Finished::Accepted], claimed: Vec::new() });
            }
            let late = StoreError::new(StoreErrorKind::Unavailable, "it did not answer in time");
            Err(StoreError { source: Some(Box::new(io::Error::from(io::ErrorKind::TimedOut))), ..late })
        }
    }

    fn lease() -> LeaseKey {
        let [workspace_id, run_id, stage_run_id, attempt_id, token] = std::array::from_fn(|_| Uuid::new_v4());
        LeaseKey { workspace_id, run_id, stage_run_id, attempt_id, token }
    }

    #[tokio::test]
    async fn a_batch_that_takes_too_long_twice_is_stored_one_by_one() {
        let slow = Slow::default();
        let batch = [hand_back(lease()), hand_back(lease()), hand_back(lease())];
        let stored = tokio::time::timeout(Duration::from_secs(60), store_batch(&slow, &batch, Slots::NONE));
        assert_eq!(stored.await.unwrap().0, [Finished::Accepted; 3]);
        assert_eq!(*slow.batches.lock(), [3, 3, 1, 1, 1]);
    }
}
