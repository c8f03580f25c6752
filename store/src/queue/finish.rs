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
        let claimed = match hand_over {
            Some((taker, slots)) => claim_on(&mut *tx, taker, slots).await?,
            None => Vec::new(),
        };
        tx.commit().await?;
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
    let mut pairs: Vec<(Uuid, Uuid)> = batch.iter().map(|finish| (finish.lease.workspace_id, finish.lease.run_id)).collect();
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
    let manifests: Vec<Option<String>> =
        successes.iter().map(|finish| finish.manifest.as_ref().map(Value::to_string)).collect();
    let hosts: Vec<Option<String>> = successes.iter().map(|finish| finish.host.clone()).collect();
    let counts = settle::Columns::of(successes.iter().flat_map(|finish| {
        finish.tasks.iter().map(|task| (finish.lease.stage_run_id, task))
    }));
    let rows = sqlx::query!(
        r#"WITH ended AS (
               SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) AS e (stage_run_id, token, manifest, host)),
           freed AS (
               DELETE FROM leases USING ended
               WHERE leases.stage_run_id = ended.stage_run_id AND leases.token = ended.token
               RETURNING leases.workspace_id, leases.stage_run_id, leases.attempt_id, leases.run_id, leases.token,
                         ended.manifest, ended.host),
           attempted AS (
               UPDATE attempts a SET state = 'succeeded', finished_at = clock_timestamp() FROM freed f
               WHERE a.workspace_id = f.workspace_id AND a.id = f.attempt_id),
           staged AS (
               UPDATE stage_runs s SET state = 'succeeded', finished_at = clock_timestamp(), manifest = f.manifest::json,
                      error = NULL, ending = NULL
               FROM freed f WHERE s.workspace_id = f.workspace_id AND s.id = f.stage_run_id),
           counted AS (
               UPDATE task_runs t SET state = 'succeeded', rows = c.rows, bytes = c.bytes, rejected = c.rejected, busy_us = c.busy_us
               FROM unnest($5::uuid[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])
                    AS c (stage_run_id, task, rows, bytes, rejected, busy_us)
               JOIN freed f ON f.stage_run_id = c.stage_run_id
               WHERE t.workspace_id = f.workspace_id AND t.stage_run_id = f.stage_run_id AND t.task = c.task),
           totals AS (
               UPDATE runs r
               SET remaining = r.remaining - n.ended::int,
                   host = COALESCE(r.host, n.host),
                   state = CASE WHEN r.remaining > n.ended THEN r.state
                                WHEN r.cancel_requested_at IS NOT NULL THEN 'canceled'
                                WHEN r.failed_stages > 0 THEN 'failed' ELSE 'succeeded' END,
                   finished_at = CASE WHEN r.remaining = n.ended THEN clock_timestamp() END
               FROM (SELECT workspace_id, run_id, count(*) AS ended, max(host) AS host FROM freed GROUP BY 1, 2) AS n
               WHERE r.workspace_id = n.workspace_id AND r.id = n.run_id
               RETURNING r.workspace_id, r.id, r.pinned_worker, r.host),
           below AS (
               SELECT d.workspace_id, d.run_id, d.down_id, count(*) AS ups
               FROM freed f JOIN deps d ON d.workspace_id = f.workspace_id AND d.up_id = f.stage_run_id GROUP BY 1, 2, 3),
           counted_down AS (
               UPDATE stage_runs s
               SET pending = s.pending - below.ups::int,
                   state = CASE WHEN s.pending = below.ups THEN 'queued' ELSE s.state END
               FROM below WHERE s.workspace_id = below.workspace_id AND s.id = below.down_id AND s.state = 'pending'
               RETURNING s.workspace_id, s.id, s.run_id, s.queue, s.priority, s.plan_format, s.pending),
           opened AS (
               INSERT INTO ready (workspace_id, stage_run_id, run_id, queue, rank, run_at, plan_format, worker_id, host)
               SELECT c.workspace_id, c.id, c.run_id, c.queue, clock_timestamp() - c.priority * interval '1 minute',
                      clock_timestamp(), c.plan_format, t.pinned_worker, t.host
               FROM counted_down c JOIN totals t ON t.workspace_id = c.workspace_id AND t.id = c.run_id
               WHERE c.pending = 0
               RETURNING stage_run_id, queue)
           SELECT token AS "token?", NULL::uuid AS "opened?", NULL::text AS "queue?" FROM freed
           UNION ALL SELECT NULL, stage_run_id, queue FROM opened"#,
        &stage_runs,
        &tokens,
        &manifests as &[Option<String>],
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
