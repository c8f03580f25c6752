//! Keeps the leases, carries progress, and brings word of cancels.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use headwater_store::{BeatAnswer, LeaseKey, WorkerSpec};
use tokio::time::Instant;
use uuid::Uuid;

use crate::config::WorkerConfig;
use crate::finisher::hand_back;
use crate::start::Shared;

/// A lease without an attempt is handed back after this time.
const STRAY: Duration = Duration::from_secs(2);

/// Beats until the task is ended.
///
/// The lease time is counted on our own monotonic clock, from before the last beat that was answered was sent: the reaper can't
/// have seen that beat earlier. At two thirds of it the attempts are stopped, which leaves them a third to end.
pub(crate) async fn run(shared: Arc<Shared>) {
    let lease_time = shared.config.lease_time;
    let mut last_sent = Instant::now();
    let mut stopped = false;
    let mut strays = Strays::default();
    loop {
        tokio::time::sleep(shared.config.beat_interval).await;
        let sent = Instant::now();
        let known = shared.active.tokens();
        let worker_id = shared.taker.read().worker_id;
        let beat = shared.store.heartbeat(worker_id, &shared.active.beats()).await_at_most(lease_time / 3).await;
        match beat {
            Some(Ok(answer)) if answer.lost => {
                tracing::warn!(worker = %worker_id, "this worker was given up; it stops its attempts and starts anew");
                shared.active.cancel_all();
                start_anew(&shared).await;
            }
            Some(Ok(answer)) => {
                last_sent = sent;
                stopped = false;
                obey(&shared, &answer, &known);
                strays.hand_back(&shared, &answer.held);
            }
            Some(Err(error)) => tracing::warn!(error = %error, "heartbeat failed"),
            None => tracing::warn!("heartbeat not answered in time"),
        }
        if !stopped && last_sent.elapsed() > lease_time * 2 / 3 {
            tracing::error!(
                silent_ms = last_sent.elapsed().as_millis(),
                "the leases are about to run out; attempts are stopped"
            );
            shared.active.cancel_all();
            stopped = true;
        }
    }
}

/// Stops what is to be canceled, and what was known before the beat and has no lease any more.
fn obey(shared: &Shared, answer: &BeatAnswer, known: &HashSet<Uuid>) {
    shared.active.cancel_stage_runs(&answer.canceled);
    let held: HashSet<Uuid> = answer.held.iter().map(|lease| lease.token).collect();
    let gone: HashSet<Uuid> = known.difference(&held).copied().collect();
    if !gone.is_empty() {
        shared.active.cancel_tokens(&gone);
    }
}

/// Leases of this worker that it has no attempt for: the answer to their claim was lost. Its own heartbeat would keep them for ever.
#[derive(Default)]
struct Strays {
    since: HashMap<Uuid, Instant>,
}

impl Strays {
    /// Hands back what was not in hand for a while; a claim takes a moment to become an attempt.
    fn hand_back(&mut self, shared: &Shared, held: &[LeaseKey]) {
        let in_hand = shared.active.tokens();
        let strays: Vec<&LeaseKey> = held.iter().filter(|lease| !in_hand.contains(&lease.token)).collect();
        self.since.retain(|token, _| strays.iter().any(|lease| lease.token == *token));
        for lease in strays {
            let since = *self.since.entry(lease.token).or_insert_with(Instant::now);
            if since.elapsed() > STRAY {
                tracing::warn!(stage_run = %lease.stage_run_id, "a lease without an attempt is handed back");
                // Nobody waits for the answer. Should this end be lost too, the lease is a stray again.
                drop(shared.finisher.send(hand_back(*lease), None));
                self.since.remove(&lease.token);
            }
        }
    }
}

/// A worker that was given up is dead to the store: it comes back as another incarnation.
async fn start_anew(shared: &Shared) {
    let id = Uuid::new_v4();
    match shared.store.register_worker(&spec(&shared.config, id)).await {
        Ok(()) => {
            shared.taker.write().worker_id = id;
            shared.wake.notify_one();
        }
        Err(error) => tracing::warn!(error = %error, "not registered again yet"),
    }
}

/// How the worker introduces itself.
pub(crate) fn spec(config: &WorkerConfig, id: Uuid) -> WorkerSpec {
    WorkerSpec {
        id,
        host: config.host.clone(),
        queues: config.queues.clone(),
        labels: config.labels.clone(),
        slots: i32::try_from(config.slots).unwrap_or(i32::MAX),
        light_slots: i32::try_from(config.light_slots).unwrap_or(i32::MAX),
        plan_formats: WorkerConfig::plan_formats(),
        staging: Some(config.staging.url().to_string()),
        only_run: config.only_run,
        lease_time: config.lease_time,
    }
}

/// A future that is given up after a time.
trait AwaitAtMost: Future + Sized {
    async fn await_at_most(self, time: Duration) -> Option<Self::Output> {
        tokio::time::timeout(time, self).await.ok()
    }
}

impl<F: Future> AwaitAtMost for F {}
