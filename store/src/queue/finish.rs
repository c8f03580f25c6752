//! Finishing: all attempts that ended are finished in one transaction, which counts down what depends on them and hands the
//! slots that came free what is ready next.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgExecutor, PgTransaction};
use uuid::Uuid;

use super::claim::{Claimed, LeaseKey, Taker};
use super::decide::AttemptEnd;
use super::settle;
use crate::state::TaskEnd;
use crate::{Result, Store, StoreError};

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
        let mut ended = if batch.iter().all(is_lone_success) {
            let mut session = self.inner.finishes.take().await?;
            let ended = finish_successes(&mut *session.connection, batch, hand_over).await?;
            self.inner.finishes.keep(session);
            ended
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

/// What statements of a finish did.
#[derive(Debug, Default)]
struct Ended {
    /// Tokens that were current.
    accepted: HashSet<Uuid>,
    /// Stage runs that became ready, and their queues.
    opened: HashMap<Uuid, String>,
    /// Stage runs that went to the worker directly.
    handed_over: Vec<Claimed>,
    /// Something that the worker could take was ready before.
    more: bool,
}

/// Successes need no decision and go through one statement together.
fn is_success(finish: &Finish) -> bool {
    finish.end == AttemptEnd::Succeeded
}

/// Nothing has to be stored before such a success.
fn is_lone_success(finish: &Finish) -> bool {
    is_success(finish) && finish.receipts.is_empty()
}

/// The runs of a batch, each once: workspaces and ids.
fn runs_of<'a>(batch: impl IntoIterator<Item = &'a Finish>) -> (Vec<Uuid>, Vec<Uuid>) {
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

/// Finishes successes, and hands over for as many slots what they make ready.
async fn finish_successes<'a>(
    executor: impl PgExecutor<'_>,
    successes: impl IntoIterator<Item = &'a Finish>,
    hand_over: Option<(&Taker, usize)>,
) -> Result<Ended> {
    let successes: Vec<&Finish> = successes.into_iter().collect();
    if successes.is_empty() {
        return Ok(Ended::default());
    }
    let stage_runs: Vec<Uuid> = successes.iter().map(|finish| finish.lease.stage_run_id).collect();
    let attempts = || successes.iter().map(|finish| finish.lease.attempt_id);
    let tokens: Vec<Uuid> = successes.iter().map(|finish| finish.lease.token).collect();
    let sealed = || successes.iter().filter_map(|finish| Some((finish, finish.manifest.as_ref()?)));
    let sealing: Vec<Uuid> = sealed().map(|(finish, _)| finish.lease.token).collect();
    let manifests: Vec<String> = sealed().map(|(_, manifest)| manifest.to_string()).collect();
    let hosts: Vec<Option<String>> = sealed().map(|(finish, _)| finish.host.clone()).collect();
    let numbered = (1..).zip(&successes);
    let counts = settle::Columns::of(numbered.flat_map(|(n, finish)| finish.tasks.iter().map(move |task| (n, task))));
    let (workspaces, runs) = runs_of(successes.iter().copied());
    let made_with = made_with(&stage_runs);
    let taker = hand_over.map(|(taker, _)| taker);
    let rows = sqlx::query_file_as!(
        Row,
        "src/queue/finish.sql",
        &stage_runs,
        &tokens,
        &sealing,
        &manifests,
        &hosts as &[Option<String>],
        &counts.finishes,
        &counts.tasks,
        &counts.rows,
        &counts.bytes,
        &counts.rejected,
        &counts.busy_us,
        &workspaces,
        &runs,
        taker.map(|taker| taker.worker_id),
        taker.map_or(&[][..], |taker| taker.queues.as_slice()),
        taker.map_or(&[][..], |taker| taker.plan_formats.as_slice()),
        taker.map(|taker| &*taker.host),
        taker.and_then(|taker| taker.only_run),
        taker.map_or(&[][..], |taker| taker.labels.as_slice()),
        hand_over.map_or(0, |(_, slots)| i64::try_from(slots).unwrap_or(i64::MAX)),
        made_with.start(),
        made_with.end(),
        attempts().min(),
        attempts().max()
    )
    .fetch_all(executor)
    .await?;
    let mut ended = Ended::default();
    for row in rows {
        ended.more |= row.more;
        match row.what.as_str() {
            "ended" => ended.accepted.extend(row.token),
            "opened" => ended.opened.extend(row.stage_run_id.zip(row.queue)),
            _ => ended.handed_over.push(row.claimed()?),
        }
    }
    Ok(ended)
}

/// Bounds of the ids of all that was made together with these stage runs, in one statement: a day of the clock to either side. What a larger step of the
/// clock hid would not be counted down, and the reconciler would open it.
fn made_with(stage_runs: &[Uuid]) -> RangeInclusive<Uuid> {
    // An id begins with 48 bits of milliseconds.
    const DAY: u128 = (24 * 3600 * 1000) << 80;
    let ids = || stage_runs.iter().map(Uuid::as_u128);
    let first = ids().min().unwrap_or(u128::MIN).saturating_sub(DAY);
    let last = ids().max().unwrap_or(u128::MAX).saturating_add(DAY);
    Uuid::from_u128(first)..=Uuid::from_u128(last)
}

/// A row of the answer; `what` says which columns it has.
struct Row {
    what: String,
    more: bool,
    token: Option<Uuid>,
    stage_run_id: Option<Uuid>,
    queue: Option<String>,
    workspace_id: Option<Uuid>,
    run_id: Option<Uuid>,
    attempt_id: Option<Uuid>,
    number: Option<i32>,
    stage: Option<String>,
    load_id: Option<Uuid>,
    wake_at: Option<DateTime<Utc>>,
    version_id: Option<Uuid>,
    params: Option<Value>,
    interval_start: Option<DateTime<Utc>>,
    interval_end: Option<DateTime<Utc>>,
}

impl Row {
    /// What was handed over.
    fn claimed(self) -> Result<Claimed> {
        fn there<T>(value: Option<T>) -> Result<T> {
            value.ok_or_else(|| StoreError::bug("a stage run was handed over without all it needs"))
        }
        Ok(Claimed {
            lease: LeaseKey {
                workspace_id: there(self.workspace_id)?,
                run_id: there(self.run_id)?,
                stage_run_id: there(self.stage_run_id)?,
                attempt_id: there(self.attempt_id)?,
                token: there(self.token)?,
            },
            number: there(self.number)?,
            stage: there(self.stage)?,
            queue: there(self.queue)?,
            load_id: there(self.load_id)?,
            version_id: there(self.version_id)?,
            params: there(self.params)?,
            interval_start: self.interval_start,
            interval_end: self.interval_end,
            fence: false,
            woken_at: self.wake_at,
        })
    }
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
