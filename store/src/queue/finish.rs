//! Finishing: all attempts that ended are finished in one transaction, which counts down what depends on them and hands the
//! slots that came free what is ready next.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;
use sqlx::PgTransaction;
use uuid::Uuid;

use super::claim::{Claimed, LeaseKey, Taker};
use super::decide::AttemptEnd;
use super::settle;
use super::successes::{Ended, finish_link, finish_successes};
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
    pub async fn finish(&self, batch: &[Finish], hand_over: Option<(&Taker, usize)>) -> Result<FinishReport> {
        if batch.is_empty() {
            return Ok(FinishReport::default());
        }
        let mut ended = if batch.iter().all(is_plain_success) {
            self.finish_plainly(batch, hand_over).await?
        } else {
            self.finish_each(batch).await?
        };
        let mut claimed = std::mem::take(&mut ended.handed_over);
        if let Some((taker, slots)) = hand_over
            && claimed.len() < slots
            && (ended.more || !ended.opened.is_empty())
        {
            // The batch is finished whatever comes of this; what is not claimed now is found by polling.
            match self.claim(taker, slots - claimed.len()).await {
                Ok(more) => claimed.extend(more),
                Err(error) => tracing::warn!(%error, "nothing could be claimed after a finish"),
            }
        }
        for claimed in &claimed {
            ended.opened.remove(&claimed.lease.stage_run_id);
        }
        self.inner.notifier.ready(ended.opened.into_values().collect::<HashSet<_>>());
        let results = batch.iter().map(|finish| match ended.accepted.contains(&finish.lease.token) {
            true => Finished::Accepted,
            false => Finished::Stale,
        });
        Ok(FinishReport { results: results.collect(), claimed })
    }

    /// Successes that one statement can end: a link of a chain, or a batch.
    async fn finish_plainly(&self, batch: &[Finish], hand_over: Option<(&Taker, usize)>) -> Result<Ended> {
        let mut session = self.inner.finishes.take().await?;
        let link = match batch {
            [finish] => finish_link(&mut *session.connection, finish, hand_over).await?,
            _ => None,
        };
        let ended = match link {
            Some(ended) => ended,
            None => finish_successes(&mut *session.connection, batch, hand_over).await?,
        };
        self.inner.finishes.keep(session);
        Ok(ended)
    }

    /// Ends that need decisions, or proofs of loads: several statements under the locks of their runs.
    async fn finish_each(&self, batch: &[Finish]) -> Result<Ended> {
        let mut tx = self.durable().begin().await?;
        let canceled = lock_runs(&mut tx, batch).await?;
        let (successes, others): (Vec<&Finish>, Vec<&Finish>) = batch.iter().partition(|finish| is_success(finish));
        commit_loads(&mut tx, &successes).await?;
        let mut ended = finish_successes(&mut *tx, successes, None).await?;
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

/// Successes need no decision and go through one statement together.
fn is_success(finish: &Finish) -> bool {
    finish.end == AttemptEnd::Succeeded
}

/// Nothing has to be stored before such a success.
fn is_plain_success(finish: &Finish) -> bool {
    is_success(finish) && finish.receipts.is_empty()
}

/// The runs of a batch, each once: workspaces and ids.
pub(super) fn runs_of<'a>(batch: impl IntoIterator<Item = &'a Finish>) -> (Vec<Uuid>, Vec<Uuid>) {
    let runs = batch.into_iter().map(|finish| (finish.lease.workspace_id, finish.lease.run_id));
    runs.collect::<BTreeSet<_>>().into_iter().unzip()
}

/// Locks the runs in the order that every transaction keeps, and answers which of them are to be canceled.
async fn lock_runs(tx: &mut PgTransaction<'_>, batch: &[Finish]) -> Result<HashSet<Uuid>> {
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

/// The target holds these loads. Only the holder of the lease may say so, hence the look at the token.
async fn commit_loads(tx: &mut PgTransaction<'_>, successes: &[&Finish]) -> Result<()> {
    for finish in successes {
        for receipt in &finish.receipts {
            sqlx::query!(
                r#"UPDATE loads SET state = 'committed', receipt = $4, attempt = $5, finished_at = clock_timestamp()
                   WHERE workspace_id = $1 AND load_id = $2 AND state IN ('committing', 'failed')
                     AND EXISTS (SELECT FROM leases WHERE stage_run_id = $3 AND token = $6)"#,
                finish.lease.workspace_id,
                receipt.load_id,
                finish.lease.stage_run_id,
                receipt.receipt,
                receipt.attempt,
                finish.lease.token
            )
            .execute(&mut **tx)
            .await?;
        }
    }
    Ok(())
}
