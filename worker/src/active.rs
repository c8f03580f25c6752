//! The attempts that a worker has in hand, and the ways to stop them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use headwater_engine::control::Progress;
use headwater_store::{Beat, LeaseKey};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Attempts by lease token.
#[derive(Debug, Default)]
pub(crate) struct Active {
    attempts: Mutex<HashMap<Uuid, InHand>>,
}

#[derive(Debug)]
struct InHand {
    lease: LeaseKey,
    progress: Arc<Progress>,
    cancel: CancellationToken,
}

/// Takes the attempt off the list when it is dropped, however the attempt ends.
#[derive(Debug)]
pub(crate) struct Entry {
    active: Arc<Active>,
    token: Uuid,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.active.attempts.lock().remove(&self.token);
    }
}

impl Active {
    pub(crate) fn enter(
        self: &Arc<Self>,
        lease: LeaseKey,
        progress: Arc<Progress>,
        cancel: CancellationToken,
    ) -> Entry {
        self.attempts.lock().insert(lease.token, InHand { lease, progress, cancel });
        Entry { active: Arc::clone(self), token: lease.token }
    }

    /// Progress of the attempts that have made some or wait, for a heartbeat.
    pub(crate) fn beats(&self) -> Vec<Beat> {
        let attempts = self.attempts.lock();
        let seen = attempts.values().map(|hand| (&hand.lease, hand.progress.counts(), hand.progress.waiting()));
        seen.filter(|(_, counts, waiting)| !counts.is_empty() || waiting.ever)
            .filter_map(|(lease, counts, waiting)| Beat::new(lease, &counts, waiting.now).ok())
            .collect()
    }

    /// Tokens of all attempts.
    pub(crate) fn tokens(&self) -> HashSet<Uuid> {
        self.attempts.lock().keys().copied().collect()
    }

    /// Stops the attempts of a run.
    pub(crate) fn cancel_run(&self, run_id: Uuid) {
        self.cancel_where(|hand| hand.lease.run_id == run_id);
    }

    /// Stops the attempts of these stage runs.
    pub(crate) fn cancel_stage_runs(&self, stage_runs: &[Uuid]) {
        self.cancel_where(|hand| stage_runs.contains(&hand.lease.stage_run_id));
    }

    /// Stops the attempts that have lost their lease.
    pub(crate) fn cancel_tokens(&self, tokens: &HashSet<Uuid>) {
        self.cancel_where(|hand| tokens.contains(&hand.lease.token));
    }

    /// Stops all attempts.
    pub(crate) fn cancel_all(&self) {
        self.cancel_where(|_| true);
    }

    fn cancel_where(&self, chosen: impl Fn(&InHand) -> bool) {
        self.attempts.lock().values().filter(|hand| chosen(hand)).for_each(|hand| hand.cancel.cancel());
    }
}
