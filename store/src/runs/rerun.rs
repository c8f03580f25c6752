//! Running a finished run again.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{MadeRun, RunDraft, Trigger, insert_run, queue_unblocked};
use crate::deadline::Tx;
use crate::staged::gone_for_rerun;
use crate::state::RunState;
use crate::{Result, StoreError, Suggest, Workspace};

/// How much of a run is done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RerunMode {
    /// What succeeded is taken over; what did not keeps its load id, so that rows that are in the target after all are not loaded twice.
    FromFailure,
    /// Everything, as new loads.
    All,
}

/// What the audit says of a rerun.
#[derive(Serialize)]
struct Again {
    run_id: Uuid,
    all: bool,
}

/// A finished run that is to be done again, locked.
struct Old {
    id: Uuid,
    version_id: Uuid,
    state: RunState,
    params: Value,
    interval: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Workspace {
    /// Makes a new run of the same version, parameters, interval and connections as a finished one. If that one was run again in the same
    /// way before, and the newer run is unfinished or has succeeded, it is the answer; if the newer one has failed, that one is done
    /// again. So a load id and an attempt's number are never given out twice.
    pub async fn rerun(&self, run_id: Uuid, mode: RerunMode, pinned_worker: Option<Uuid>) -> Result<MadeRun> {
        if self.follows(run_id).await? {
            return Err(StoreError::invalid(
                "the run followed its sources, and the next run of its stream goes on from there",
            )
            .hint("headwater streams list"));
        }
        let mut tx = self.durable().begin().await?;
        let mut old = self.lock_run(&mut tx, run_id).await?;
        refuse_pointless(&old, mode)?;
        while let Some(newer) = self.newest_rerun(&mut tx, old.id, mode).await? {
            old = self.lock_run(&mut tx, newer).await?;
            if !old.state.is_final() || old.state == RunState::Succeeded {
                return Ok(MadeRun { run_id: old.id, existing: true });
            }
        }
        let plan = self.plan(old.version_id).await?;
        let draft = RunDraft {
            version_id: old.version_id,
            plan: &plan,
            params: old.params,
            trigger: Trigger::Rerun,
            interval: old.interval,
            pinned_worker,
            schedule: None,
            rerun_of: Some(old.id),
            held: false,
            started: None,
        };
        let (new_id, _) = insert_run(&mut *tx, self.id, &draft).await?;
        sqlx::query!(
            "UPDATE runs r SET rerun_all = $3, backfill_id = o.backfill_id, full_refresh = o.full_refresh FROM runs o
             WHERE r.workspace_id = $1 AND r.id = $2 AND o.workspace_id = $1 AND o.id = $4",
            self.id,
            new_id,
            mode == RerunMode::All,
            old.id
        )
        .execute(&mut *tx)
        .await?;
        self.inherit_connections(&mut tx, old.id, new_id).await?;
        if mode == RerunMode::FromFailure {
            let again = gone_for_rerun(&mut tx, &plan, self.id, old.id, new_id).await?;
            take_over(&mut tx, self.id, old.id, new_id, &again).await?;
        }
        let queues = queue_unblocked(&mut tx, self.id, new_id).await?;
        let again = Again { run_id: new_id, all: mode == RerunMode::All };
        self.record(&mut tx, "runs.rerun", &run_id.to_string(), &again).await?;
        tx.commit().await?;
        self.store.inner.notifier.ready(queues);
        Ok(MadeRun { run_id: new_id, existing: false })
    }

    /// A run under its lock, which whoever does it again has to hold.
    async fn lock_run(&self, tx: &mut Tx, run_id: Uuid) -> Result<Old> {
        let row = sqlx::query!(
            "SELECT version_id, state, params, interval_start, interval_end FROM runs
             WHERE workspace_id = $1 AND id = $2 FOR NO KEY UPDATE",
            self.id,
            run_id
        )
        .fetch_optional(&mut **tx)
        .await?
        .ok_or_else(|| StoreError::not_found(format!("there is no run {run_id}")).suggest(Suggest::ListRuns))?;
        Ok(Old {
            id: run_id,
            version_id: row.version_id,
            state: row.state.parse()?,
            params: row.params,
            interval: row.interval_start.zip(row.interval_end),
        })
    }

    /// The newest run that does this one again in the same way. Reruns that are older than the column count as from failure.
    async fn newest_rerun(&self, tx: &mut Tx, run_id: Uuid, mode: RerunMode) -> Result<Option<Uuid>> {
        Ok(sqlx::query_scalar!(
            "SELECT id FROM runs WHERE rerun_of = $2 AND workspace_id = $1 AND COALESCE(rerun_all, false) = $3
             ORDER BY id DESC LIMIT 1",
            self.id,
            run_id,
            mode == RerunMode::All
        )
        .fetch_optional(&mut **tx)
        .await?)
    }
}

fn refuse_pointless(old: &Old, mode: RerunMode) -> Result<()> {
    let Old { id, state, .. } = old;
    if !state.is_final() {
        return Err(StoreError::invalid(format!("run {id} is {state}: only a finished run can be run again"))
            .hint("wait for it, or cancel it")
            .suggest(Suggest::CancelRun { run: *id }));
    }
    if mode == RerunMode::FromFailure && *state == RunState::Succeeded {
        return Err(StoreError::invalid(format!("run {id} succeeded: nothing of it is left to do"))
            .hint("everything can be done again, as new loads")
            .suggest(Suggest::Rerun { run: *id, all: true }));
    }
    Ok(())
}

/// Carries over what the old run achieved: successes but for the stages that run `again`, load ids, and the numbers of attempts, which go on counting
/// because the target knows attempts by number.
async fn take_over(tx: &mut Tx, workspace_id: Uuid, old_id: Uuid, new_id: Uuid, again: &[String]) -> Result<()> {
    sqlx::query!(
        r#"UPDATE stage_runs n
           SET attempt = o.attempt,
               load_id = CASE WHEN l.fenced THEN n.load_id ELSE o.load_id END,
               state = CASE WHEN done.kept THEN 'succeeded' ELSE n.state END,
               reused_from = CASE WHEN done.kept THEN o.id END,
               manifest = CASE WHEN done.kept THEN o.manifest END,
               started_at = CASE WHEN done.kept THEN o.started_at END,
               finished_at = CASE WHEN done.kept THEN o.finished_at END
           FROM stage_runs o LEFT JOIN loads l ON l.workspace_id = o.workspace_id AND l.load_id = o.load_id
           CROSS JOIN LATERAL (SELECT o.state = 'succeeded' AND o.stage <> ALL ($4) AS kept) AS done
           WHERE n.workspace_id = $1 AND n.run_id = $3 AND o.workspace_id = $1 AND o.run_id = $2 AND o.stage = n.stage"#,
        workspace_id,
        old_id,
        new_id,
        again
    )
    .execute(&mut **tx)
    .await?;
    let reused: i64 = sqlx::query_scalar!(
        r#"WITH reused AS (
               SELECT id, reused_from FROM stage_runs WHERE workspace_id = $1 AND run_id = $2 AND state = 'succeeded'),
           tasks AS (
               UPDATE task_runs n SET state = o.state, rows = o.rows, bytes = o.bytes, rejected = o.rejected, busy_us = o.busy_us
               FROM reused JOIN task_runs o ON o.workspace_id = $1 AND o.stage_run_id = reused.reused_from
               WHERE n.workspace_id = $1 AND n.stage_run_id = reused.id AND n.task = o.task),
           blocked AS (
               SELECT d.down_id, count(*) AS ups FROM reused JOIN deps d ON d.workspace_id = $1 AND d.up_id = reused.id
               GROUP BY d.down_id),
           downs AS (
               UPDATE stage_runs s SET pending = s.pending - blocked.ups::int FROM blocked
               WHERE s.workspace_id = $1 AND s.id = blocked.down_id)
           SELECT count(*) AS "count!" FROM reused"#,
        workspace_id,
        new_id
    )
    .fetch_one(&mut **tx)
    .await?;
    sqlx::query!(
        "UPDATE runs n SET remaining = n.remaining - $4, host = o.host FROM runs o
         WHERE n.workspace_id = $1 AND n.id = $3 AND o.workspace_id = $1 AND o.id = $2",
        workspace_id,
        old_id,
        new_id,
        i32::try_from(reused).unwrap_or(i32::MAX)
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;
    use crate::testing::{database, plan, start_run};

    async fn canceled(workspace: &Workspace) -> Uuid {
        let run_id = start_run(workspace.store(), &plan("p", &[("a", &[])])).await;
        workspace.cancel_run(run_id).await.unwrap();
        run_id
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn two_reruns_of_one_run_at_the_same_time_are_one_run() {
        let db = database().await;
        let workspace = db.store.default_workspace();
        let run_id = canceled(&workspace).await;
        let again = || workspace.rerun(run_id, RerunMode::FromFailure, None);
        let (first, second) = tokio::join!(again(), again());
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!(first.run_id, second.run_id);
        assert!(first.existing != second.existing, "one of them made it");
    }

    #[tokio::test]
    async fn a_rerun_of_a_run_whose_rerun_has_failed_goes_on_from_the_newer_one() {
        let db = database().await;
        let workspace = db.store.default_workspace();
        let run_id = canceled(&workspace).await;
        let first = workspace.rerun(run_id, RerunMode::FromFailure, None).await.unwrap();
        workspace.cancel_run(first.run_id).await.unwrap();
        let second = workspace.rerun(run_id, RerunMode::FromFailure, None).await.unwrap();
        assert!(!second.existing);
        assert_eq!(workspace.show_run(second.run_id).await.unwrap().rerun_of, Some(first.run_id));
    }

    #[tokio::test]
    async fn a_rerun_of_everything_and_one_from_the_failure_do_not_stand_for_each_other() {
        let db = database().await;
        let workspace = db.store.default_workspace();
        let run_id = canceled(&workspace).await;
        let rest = workspace.rerun(run_id, RerunMode::FromFailure, None).await.unwrap();
        let all = workspace.rerun(run_id, RerunMode::All, None).await.unwrap();
        assert_ne!(rest.run_id, all.run_id);
        assert_eq!(workspace.rerun(run_id, RerunMode::All, None).await.unwrap(), MadeRun { existing: true, ..all });
    }
}
