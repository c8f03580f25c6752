//! Finishing: all attempts that ended are finished in one transaction, which counts down what depends on them and hands the
//! slots that came free what is ready next.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use sqlx::PgTransaction;
use uuid::Uuid;

use super::claim::{Claimed, LeaseKey, Taker, claim_on};
use super::decide::AttemptEnd;
use super::settle;
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
    /// Finishes a batch, and claims for the worker as many stage runs as slots came free. The claim is the ordinary one, by rank:
    /// so a hand-over passes the same admission as any claim, nothing of better rank is passed over, and no run can keep a
    /// slot to itself by handing over to itself.
    pub async fn finish(&self, batch: &[Finish], hand_over: Option<(&Taker, usize)>) -> Result<FinishReport> {
        if batch.is_empty() {
            return Ok(FinishReport::default());
        }
        let mut tx = self.durable().begin().await?;
        let canceled = lock_runs(&mut tx, batch).await?;
        let mut accepted = HashSet::new();
        let mut opened = finish_successes(&mut tx, batch, &mut accepted).await?;
        for finish in batch.iter().filter(|finish| !is_plain_success(finish)) {
            let cancel_requested = canceled.contains(&finish.lease.run_id);
            if settle::settle(&mut tx, finish, cancel_requested, &mut opened).await? {
                accepted.insert(finish.lease.token);
            }
        }
        let mut claimed = match hand_over {
            Some((taker, slots)) => claim_on(&mut *tx, taker, slots, None).await?,
            None => Vec::new(),
        };
        tx.commit().await?;
        if let Some((taker, slots)) = hand_over.filter(|_| claimed.is_empty()) {
            // The batch is finished whatever comes of this; what is not claimed now is found by polling.
            match self.claim_limited(taker, slots).await {
                Ok(more) => claimed = more,
                Err(error) => tracing::warn!(%error, "nothing could be claimed after a finish"),
            }
        }
        for claimed in &claimed {
            opened.remove(&claimed.lease.stage_run_id);
        }
        self.inner.notifier.ready(opened.into_values().collect::<HashSet<_>>());
        let results = batch
            .iter()
            .map(|finish| if accepted.contains(&finish.lease.token) { Finished::Accepted } else { Finished::Stale })
            .collect();
        Ok(FinishReport { results, claimed })
    }
}

/// Successes that need no decision go through one statement together.
fn is_plain_success(finish: &Finish) -> bool {
    finish.end == AttemptEnd::Succeeded
}

/// Locks the runs in the order that every transaction keeps, and answers which of them are to be canceled.
async fn lock_runs(tx: &mut PgTransaction<'_>, batch: &[Finish]) -> Result<HashSet<Uuid>> {
    let mut pairs: Vec<(Uuid, Uuid)> =
        batch.iter().map(|finish| (finish.lease.workspace_id, finish.lease.run_id)).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let (workspaces, runs): (Vec<Uuid>, Vec<Uuid>) = pairs.into_iter().unzip();
    let rows = sqlx::query!(
        r#"SELECT r.id, r.cancel_requested_at IS NOT NULL AS "canceled!"
           FROM runs r WHERE (r.workspace_id, r.id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
           ORDER BY r.id FOR NO KEY UPDATE"#,
        &workspaces,
        &runs
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().filter(|row| row.canceled).map(|row| row.id).collect())
}

/// Finishes all plain successes. Answers with the stage runs that became ready, and their queues.
async fn finish_successes(
    tx: &mut PgTransaction<'_>,
    batch: &[Finish],
    accepted: &mut HashSet<Uuid>,
) -> Result<HashMap<Uuid, String>> {
    let successes: Vec<&Finish> = batch.iter().filter(|finish| is_plain_success(finish)).collect();
    if successes.is_empty() {
        return Ok(HashMap::new());
    }
    commit_loads(tx, &successes).await?;
    let stage_runs: Vec<Uuid> = successes.iter().map(|finish| finish.lease.stage_run_id).collect();
    let tokens: Vec<Uuid> = successes.iter().map(|finish| finish.lease.token).collect();
    let sealed = || successes.iter().filter_map(|finish| Some((finish, finish.manifest.as_ref()?)));
    let sealing: Vec<Uuid> = sealed().map(|(finish, _)| finish.lease.stage_run_id).collect();
    let manifests: Vec<String> = sealed().map(|(_, manifest)| manifest.to_string()).collect();
    let hosts: Vec<Option<String>> = sealed().map(|(finish, _)| finish.host.clone()).collect();
    let counts = settle::Columns::of(
        successes.iter().flat_map(|finish| finish.tasks.iter().map(|task| (finish.lease.stage_run_id, task))),
    );
    let rows = sqlx::query_file!(
        "src/queue/finish.sql",
        &stage_runs,
        &tokens,
        &sealing,
        &manifests,
        &hosts as &[Option<String>],
        &counts.stage_runs,
        &counts.tasks,
        &counts.rows,
        &counts.bytes,
        &counts.rejected,
        &counts.busy_us
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut opened = HashMap::new();
    for row in rows {
        accepted.extend(row.token);
        opened.extend(row.opened.zip(row.queue));
    }
    Ok(opened)
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
