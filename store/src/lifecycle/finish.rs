//! Finishing: all attempts that ended are finished in one transaction, which counts down what depends on them and hands the
//! slots that came free what is ready next.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;
use uuid::Uuid;

use super::claim::{Claimed, LeaseKey, Slots, Taker};
use super::decide::AttemptEnd;
use super::settle;
use super::successes::{Ended, end_successes};
use crate::deadline::Tx;
use crate::state::TaskEnd;
use crate::{Result, Store};

/// The end of one attempt.
#[derive(Debug, Clone)]
pub struct Finish {
    /// The lease it had.
    pub lease: LeaseKey,
    /// How it ended.
    pub end: AttemptEnd,
    /// Counters of its tasks, and where they end should the stage run end with this attempt.
    pub tasks: Vec<TaskEnd>,
    /// What its load did.
    pub receipts: Vec<LoadReceipt>,
    /// The sealed list of files of a stage that materialises a dataset.
    pub manifest: Option<Value>,
    /// The only host that can read those files.
    pub host: Option<String>,
}

/// The proof of a load.
#[derive(Debug, Clone)]
pub struct LoadReceipt {
    /// The load.
    pub load_id: Uuid,
    /// The attempt whose rows are in the target.
    pub attempt: i32,
    /// The receipt.
    pub receipt: Value,
}

/// What became of one attempt's finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// It counts.
    Accepted,
    /// The lease token was not the current one: nothing was changed.
    Stale,
}

/// What a batch of finishes did.
#[derive(Debug, Default)]
pub struct FinishReport {
    /// One for each finish, in the order given.
    pub results: Vec<Finished>,
    /// Stage runs handed over to the worker.
    pub claimed: Vec<Claimed>,
}

impl Store {
    /// Finishes a batch, and claims for the worker as many stage runs as slots came free. What the batch makes ready is handed over in the
    /// same transaction if nothing else waits that the worker could take; otherwise the ordinary claim follows, by rank. Either way a
    /// hand-over passes the admission of a claim, and nothing of better rank is passed over.
    pub async fn finish(&self, batch: &[Finish], hand_over: Option<(&Taker, Slots)>) -> Result<FinishReport> {
        if batch.is_empty() {
            return Ok(FinishReport::default());
        }
        let mut ended = if batch.iter().all(is_success) {
            self.finish_successes(batch, hand_over).await?
        } else {
            self.finish_each(batch).await?
        };
        let mut claimed = std::mem::take(&mut ended.handed_over);
        if let Some((taker, slots)) = hand_over
            && let left = slots.after(&claimed)
            && !left.is_none()
            && (ended.more || !ended.opened.is_empty())
        {
            // The batch is finished whatever comes of this; what is not claimed now is found by polling.
            match self.claim(taker, left).await {
                Ok(more) => claimed.extend(more),
                Err(error) => tracing::warn!(%error, "nothing could be claimed after a finish"),
            }
        }
        for claimed in &claimed {
            ended.opened.remove(&claimed.lease.stage_run_id);
        }
        self.inner.notifier.ready(ended.opened.into_values().collect::<HashSet<_>>());
        self.recognise(batch, &mut ended.accepted).await?;
        let results = batch.iter().map(|finish| match ended.accepted.contains(&finish.lease.token) {
            true => Finished::Accepted,
            false => Finished::Stale,
        });
        Ok(FinishReport { results: results.collect(), claimed })
    }

    /// A finish whose answer got lost is repeated and finds its lease gone: the attempt has ended as it says, so it counts.
    async fn recognise(&self, batch: &[Finish], accepted: &mut HashSet<Uuid>) -> Result<()> {
        let stale = || batch.iter().filter(|finish| !accepted.contains(&finish.lease.token));
        let attempts: Vec<Uuid> = stale().map(|finish| finish.lease.attempt_id).collect();
        if attempts.is_empty() {
            return Ok(());
        }
        let ended =
            sqlx::query!("SELECT id, state FROM attempts WHERE id = ANY ($1) AND state <> 'running'", &attempts)
                .fetch_all(self.durable())
                .await?;
        let ended: HashMap<Uuid, String> = ended.into_iter().map(|row| (row.id, row.state)).collect();
        let own = stale().filter(|finish| {
            let state = ended.get(&finish.lease.attempt_id);
            state.is_some_and(|state| finish.end.states().iter().any(|own| own.as_str() == state))
        });
        let own: Vec<Uuid> = own.map(|finish| finish.lease.token).collect();
        accepted.extend(own);
        Ok(())
    }

    async fn finish_successes(&self, batch: &[Finish], hand_over: Option<(&Taker, Slots)>) -> Result<Ended> {
        let mut session = self.inner.finishes.take().await?;
        let ended = end_successes(&mut session.connection, batch, hand_over).await?;
        self.inner.finishes.keep(session);
        Ok(ended)
    }

    /// A batch in which some ends need decisions: several statements under the locks of their runs.
    async fn finish_each(&self, batch: &[Finish]) -> Result<Ended> {
        let mut tx = self.durable().begin().await?;
        let canceled = lock_runs(&mut tx, batch).await?;
        let (successes, others): (Vec<&Finish>, Vec<&Finish>) = batch.iter().partition(|finish| is_success(finish));
        let mut ended = end_successes(&mut *tx, successes, None).await?;
        for finish in others {
            let cancel_requested = canceled.contains(&finish.lease.run_id);
            if settle::settle(&mut tx, finish, cancel_requested, &mut ended.opened).await? {
                ended.accepted.insert(finish.lease.token);
            }
        }
        tx.commit().await?;
        // What else waits was not looked for.
        Ok(Ended { more: true, ..ended })
    }
}

/// Successes need no decision and go through one function together.
fn is_success(finish: &Finish) -> bool {
    finish.end == AttemptEnd::Succeeded
}

/// The runs of a batch, each once: workspaces and ids.
fn runs_of<'a>(batch: impl IntoIterator<Item = &'a Finish>) -> (Vec<Uuid>, Vec<Uuid>) {
    let runs = batch.into_iter().map(|finish| (finish.lease.workspace_id, finish.lease.run_id));
    runs.collect::<BTreeSet<_>>().into_iter().unzip()
}

/// Locks the runs in the order that every transaction keeps, and answers which of them are to be canceled.
async fn lock_runs(tx: &mut Tx, batch: &[Finish]) -> Result<HashSet<Uuid>> {
    let (workspaces, runs) = runs_of(batch);
    let rows = sqlx::query!(
        r#"SELECT r.id, r.cancel_requested_at IS NOT NULL AS "canceled!"
           FROM runs r WHERE r.workspace_id = ANY ($1) AND r.id = ANY ($2)
           ORDER BY r.id FOR NO KEY UPDATE"#,
        &workspaces,
        &runs
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().filter(|row| row.canceled).map(|row| row.id).collect())
}
