//! The reconciler's part in the store: finds what breaks an invariant, mends it and says why.
//!
//! Each search is one statement, so it sees one moment; each repair happens under the run's lock. In a healthy system it finds nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use crate::deadline::Tx;
use crate::lifecycle::{AttemptEnd, Finish, LeaseKey, open};
use crate::{Result, Store};

/// Something that was mended, or that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// The run, if it is about one.
    pub run_id: Option<Uuid>,
    /// What was wrong and what was done.
    pub what: String,
}

impl Repair {
    fn of_run(run_id: Uuid, what: impl Into<String>) -> Self {
        Self { run_id: Some(run_id), what: what.into() }
    }
}

impl Store {
    /// Looks at every invariant once.
    pub async fn reconcile(&self) -> Result<Vec<Repair>> {
        let mut repairs = self.mend_orphans().await?;
        for (workspace_id, run_id) in self.suspects().await? {
            repairs.extend(self.mend_run(workspace_id, run_id).await?);
        }
        repairs.extend(self.doubtful_loads().await?);
        Ok(repairs)
    }

    /// Leases and pinned work of workers that are not registered.
    async fn mend_orphans(&self) -> Result<Vec<Repair>> {
        let mut repairs = Vec::new();
        let holders = sqlx::query_scalar!(
            "SELECT DISTINCT l.worker_id FROM leases l WHERE NOT EXISTS (SELECT FROM workers w WHERE w.id = l.worker_id)"
        )
        .fetch_all(self.durable())
        .await?;
        for worker_id in holders {
            let lost = self.give_up_leases(worker_id).await?;
            let what = format!("worker {worker_id} is not registered; its {lost} leases were given up");
            repairs.push(Repair { run_id: None, what });
        }
        let pinned = sqlx::query_scalar!(
            r#"SELECT DISTINCT q.worker_id AS "worker_id!" FROM ready q
               WHERE q.worker_id IS NOT NULL AND q.run_at < clock_timestamp() - interval '1 minute'
                 AND NOT EXISTS (SELECT FROM workers w WHERE w.id = q.worker_id)"#
        )
        .fetch_all(self.durable())
        .await?;
        for worker_id in pinned {
            self.remove_worker(worker_id).await?;
            let what = format!("worker {worker_id} never came for its run, which is open to all workers now");
            repairs.push(Repair { run_id: None, what });
        }
        Ok(repairs)
    }

    /// Live runs that look wrong at one moment.
    async fn suspects(&self) -> Result<Vec<(Uuid, Uuid)>> {
        let rows = sqlx::query_file!("src/reconcile/suspects.sql").fetch_all(self.reads()).await?;
        Ok(rows.into_iter().map(|row| (row.workspace_id, row.id)).collect())
    }

    /// Mends one run under its lock.
    async fn mend_run(&self, workspace_id: Uuid, run_id: Uuid) -> Result<Vec<Repair>> {
        let mut tx = self.durable().begin().await?;
        let live = sqlx::query_scalar!(
            "SELECT id FROM runs WHERE workspace_id = $1 AND id = $2 AND state IN ('queued', 'running') FOR NO KEY UPDATE",
            workspace_id,
            run_id
        )
        .fetch_optional(&mut *tx)
        .await?;
        if live.is_none() {
            return Ok(Vec::new());
        }
        let mut repairs = Vec::new();
        for stage in skip_behind(&mut tx, workspace_id, run_id).await? {
            repairs.push(Repair::of_run(run_id, format!("stage '{stage}' waited for a stage that will never succeed")));
        }
        for stage in unblock(&mut tx, workspace_id, run_id).await? {
            repairs.push(Repair::of_run(run_id, format!("stage '{stage}' waited for stages that had all succeeded")));
        }
        for stage in requeue(&mut tx, workspace_id, run_id).await? {
            repairs.push(Repair::of_run(run_id, format!("stage '{stage}' was queued and not in the queue")));
        }
        for stage in set_wakes(&mut tx, workspace_id, run_id).await? {
            repairs.push(Repair::of_run(run_id, format!("nothing would have woken stage '{stage}'")));
        }
        let lost = lease_again(&mut tx, workspace_id, run_id).await?;
        if recount(&mut tx, workspace_id, run_id).await? {
            repairs.push(Repair::of_run(run_id, "its count of unfinished stages was wrong"));
        }
        tx.commit().await?;
        if !lost.is_empty() {
            repairs
                .push(Repair::of_run(run_id, format!("{} running stages had no lease and were given up", lost.len())));
            self.finish(&lost, None).await?;
        }
        Ok(repairs)
    }

    /// Loads that nobody will settle any more. The protocol fences before a stage run ends, so there should be none.
    async fn doubtful_loads(&self) -> Result<Vec<Repair>> {
        let rows = sqlx::query!(
            r#"SELECT l.run_id, l.load_id, s.state
               FROM loads l JOIN stage_runs s ON s.workspace_id = l.workspace_id AND s.id = l.stage_run_id
               WHERE l.state = 'committing' AND s.state IN ('succeeded', 'failed', 'canceled', 'skipped')"#
        )
        .fetch_all(self.durable())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let what = format!(
                    "load {} is committing though its stage is {}: look into the target",
                    row.load_id, row.state
                );
                Repair::of_run(row.run_id, what)
            })
            .collect())
    }
}

/// Pending though something before it, near or far, has ended without success.
async fn skip_behind(tx: &mut Tx, workspace_id: Uuid, run_id: Uuid) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        r#"WITH RECURSIVE behind AS (
               SELECT d.down_id FROM stage_runs u JOIN deps d ON d.workspace_id = u.workspace_id AND d.up_id = u.id
               WHERE u.workspace_id = $1 AND u.run_id = $2 AND u.state IN ('failed', 'canceled', 'skipped')
               UNION
               SELECT d.down_id FROM behind b JOIN deps d ON d.workspace_id = $1 AND d.up_id = b.down_id),
           skipped AS (
               UPDATE stage_runs s SET state = 'skipped', finished_at = clock_timestamp()
               WHERE s.workspace_id = $1 AND s.id = ANY (ARRAY(SELECT down_id FROM behind)) AND s.state = 'pending'
               RETURNING s.id, s.stage),
           tasks AS (
               UPDATE task_runs t SET state = 'skipped' FROM skipped
               WHERE t.workspace_id = $1 AND t.stage_run_id = skipped.id AND t.state = 'pending')
           SELECT stage FROM skipped"#,
        workspace_id,
        run_id
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// Pending though everything before it has succeeded.
async fn unblock(tx: &mut Tx, workspace_id: Uuid, run_id: Uuid) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        r#"UPDATE stage_runs s SET pending = 0, state = 'queued'
           WHERE s.workspace_id = $1 AND s.run_id = $2 AND s.state = 'pending' AND NOT EXISTS (
               SELECT FROM deps d JOIN stage_runs u ON u.workspace_id = d.workspace_id AND u.id = d.up_id
               WHERE d.workspace_id = $1 AND d.run_id = $2 AND d.down_id = s.id AND u.state <> 'succeeded')
           RETURNING s.stage"#,
        workspace_id,
        run_id
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// Queued without a row in the queue.
async fn requeue(tx: &mut Tx, workspace_id: Uuid, run_id: Uuid) -> Result<Vec<String>> {
    let missing = sqlx::query!(
        r#"SELECT s.id, s.stage, s.ending IS NOT NULL AS "fence!",
                  GREATEST(ceil(extract(epoch FROM COALESCE(s.run_at, clock_timestamp()) - clock_timestamp())), 0)::bigint AS "delay_s!"
           FROM stage_runs s
           WHERE s.workspace_id = $1 AND s.run_id = $2 AND s.state = 'queued' AND NOT EXISTS (SELECT FROM ready q WHERE q.stage_run_id = s.id)"#,
        workspace_id,
        run_id
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut together: BTreeMap<(bool, i64), Vec<Uuid>> = BTreeMap::new();
    for row in &missing {
        together.entry((row.fence, row.delay_s)).or_default().push(row.id);
    }
    for ((fence, delay_s), ids) in together {
        open(&mut **tx, &ids, Duration::from_secs(delay_s.unsigned_abs()), fence).await?;
    }
    Ok(missing.into_iter().map(|row| row.stage).collect())
}

/// Waiting without anything that would wake it.
async fn set_wakes(tx: &mut Tx, workspace_id: Uuid, run_id: Uuid) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        r#"WITH put AS (
               INSERT INTO wakes (workspace_id, stage_run_id, run_id, wake_at)
               SELECT s.workspace_id, s.id, s.run_id, s.wake_at FROM stage_runs s
               WHERE s.workspace_id = $1 AND s.run_id = $2 AND s.state = 'waiting'
                 AND NOT EXISTS (SELECT FROM wakes w WHERE w.stage_run_id = s.id)
               ON CONFLICT DO NOTHING
               RETURNING stage_run_id)
           SELECT s.stage FROM put JOIN stage_runs s ON s.workspace_id = $1 AND s.id = put.stage_run_id"#,
        workspace_id,
        run_id
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// Running without a lease: it gets one that nobody holds, so that it can be given up like any other.
async fn lease_again(tx: &mut Tx, workspace_id: Uuid, run_id: Uuid) -> Result<Vec<Finish>> {
    let rows = sqlx::query!(
        r#"INSERT INTO leases (workspace_id, stage_run_id, run_id, attempt_id, number, token, worker_id, fence)
           SELECT s.workspace_id, s.id, s.run_id, a.id, a.number, gen_random_uuid(), a.worker_id, a.kind = 'fence'
           FROM stage_runs s
           JOIN attempts a ON a.workspace_id = s.workspace_id AND a.stage_run_id = s.id AND a.number = s.attempt
           WHERE s.workspace_id = $1 AND s.run_id = $2 AND s.state = 'running'
             AND NOT EXISTS (SELECT FROM leases l WHERE l.stage_run_id = s.id)
           ON CONFLICT DO NOTHING
           RETURNING stage_run_id, attempt_id, token"#,
        workspace_id,
        run_id
    )
    .fetch_all(&mut **tx)
    .await?;
    let lost = rows.into_iter().map(|row| Finish {
        lease: LeaseKey {
            workspace_id,
            run_id,
            stage_run_id: row.stage_run_id,
            attempt_id: row.attempt_id,
            token: row.token,
        },
        end: AttemptEnd::Lost,
        tasks: Vec::new(),
        receipts: Vec::new(),
        manifest: None,
        host: None,
    });
    Ok(lost.collect())
}

/// Counts what is left anew, and ends a run of which nothing is.
async fn recount(tx: &mut Tx, workspace_id: Uuid, run_id: Uuid) -> Result<bool> {
    let changed = sqlx::query!(
        r#"WITH counted AS (
               SELECT count(*) FILTER (WHERE state NOT IN ('succeeded', 'failed', 'canceled', 'skipped'))::int AS left_over,
                      count(*) FILTER (WHERE state = 'failed')::int AS failed
               FROM stage_runs WHERE workspace_id = $1 AND run_id = $2)
           UPDATE runs r
           SET remaining = c.left_over, failed_stages = c.failed,
               state = run_state_after(r.state, c.left_over, c.failed, r.cancel_requested_at),
               finished_at = CASE WHEN c.left_over = 0 THEN clock_timestamp() END
           FROM counted c
           WHERE r.workspace_id = $1 AND r.id = $2 AND (r.remaining <> c.left_over OR c.left_over = 0)"#,
        workspace_id,
        run_id
    )
    .execute(&mut **tx)
    .await?;
    Ok(changed.rows_affected() > 0)
}
