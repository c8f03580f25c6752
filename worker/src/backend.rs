//! apalis' backend over the store's queue.
//!
//! The raw trait, not `Persisted`: an error there ends the worker. This one never returns an error and never ends: what can go
//! wrong is retried by the fetcher and the finisher, and to apalis the backend is merely pending. Slots are a semaphore of our own,
//! because `CallAll` asks the service before `poll_next`, so that a backend can't see tower's permits; a permit travels with
//! each attempt.

use std::convert::Infallible;
use std::task::{Context, Poll};

use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::task::Task;
use apalis_core::worker::context::WorkerContext;
use headwater_store::Claimed;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tower::layer::util::Identity;
use uuid::Uuid;

use crate::finisher::{Finisher, Slot, hand_back};

/// A stage run that this worker has the lease of, and the slot it runs in.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) claimed: Claimed,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// What is waiting to be started. What was handed over goes first: its lease is the older one.
#[derive(Debug)]
pub(crate) struct Queue {
    handed_over: mpsc::UnboundedReceiver<Attempt>,
    fetched: mpsc::UnboundedReceiver<Attempt>,
    finisher: Finisher,
}

impl Queue {
    pub(crate) fn new(
        handed_over: mpsc::UnboundedReceiver<Attempt>,
        fetched: mpsc::UnboundedReceiver<Attempt>,
        finisher: Finisher,
    ) -> Self {
        Self { handed_over, fetched, finisher }
    }
}

impl Backend for Queue {
    type Task = Task<Attempt>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Option<Result<Self::Task, Infallible>>> {
        for channel in [&mut self.handed_over, &mut self.fetched] {
            // A closed channel means that its sender has stopped; whether the worker ends is not for the backend to say.
            if let Poll::Ready(Some(attempt)) = channel.poll_recv(cx) {
                return Poll::Ready(Some(Ok(Task::new(attempt))));
            }
        }
        Poll::Pending
    }

    /// What was claimed and not started goes back into the queue.
    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        for channel in [&mut self.handed_over, &mut self.fetched] {
            channel.close();
            while let Ok(attempt) = channel.try_recv() {
                // Nobody waits for the answer; the finisher ends after everything that was given to it.
                let slot = Slot { light: attempt.claimed.light, permit: attempt.permit };
                drop(self.finisher.send(hand_back(attempt.claimed.lease), Some(slot)));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for Queue {
    type Args = Attempt;
    type Id = Uuid;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}
