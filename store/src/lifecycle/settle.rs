//! Ends of attempts that need a decision: failures, cancels, waits, losses, fences. One at a time, in the batch's transaction.

use std::collections::HashMap;
use std::time::Duration;

use headwater_pipelines::spec::Retry;
use uuid::Uuid;

use super::claim::LeaseKey;
use super::decide::{AttemptEnd, Decision, Ending, Failure, Next, Situation, decide};
use super::finish::Finish;
use super::open::{interval, open};
use crate::deadline::Tx;
use crate::staged::mark_lost;
use crate::state::{AttemptState, RunState, StageRunEvent, StageRunState, TaskEnd};
use crate::{Result, StoreError};

/// Settles one end; the caller holds the run's lock. Answers false, having changed nothing, if the token is stale.
pub(super) async fn settle(
    tx: &mut Tx,
    finish: &Finish,
    cancel_requested: bool,
    opened: &mut HashMap<Uuid, String>,
) -> Result<bool> {
    let lease = &finish.lease;
    let freed = sqlx::query!(
        "DELETE FROM leases WHERE stage_run_id = $1 AND token = $2 RETURNING attempt_id, number",
        lease.stage_run_id,
        lease.token
    )
    .fetch_optional(&mut **tx)
    .await?;
    let Some(freed) = freed else { return Ok(false) };
    let (situation, earlier) = read_situation(tx, lease, freed.number, cancel_requested).await?;
    let decision = decide(&finish.end, &situation);
    end_attempt(tx, lease, freed.attempt_id, &finish.end, &decision).await?;
    if matches!(&finish.end, AttemptEnd::Failed(failure) if failure.gone) {
        mark_lost(tx, lease.run_id).await?;
    }
    match &decision.next {
        Next::Succeed => return Err(StoreError::bug("a success was settled one by one")),
        Next::End(ending, failure) => {
            let failure = failure.clone().or(earlier);
            end_stage_run(tx, finish, *ending, &decision, failure.as_ref()).await?;
        }
        Next::Requeue(delay) => {
            move_on(tx, lease, StageRunEvent::Requeue, &decision, Move { at: *delay, ending: None }).await?;
            let queue = put_back(tx, lease, *delay, false).await?;
            if delay.is_zero() {
                opened.insert(lease.stage_run_id, queue);
            }
        }
        Next::Wait(time) => {
            move_on(tx, lease, StageRunEvent::Wait, &decision, Move { at: *time, ending: None }).await?;
            fall_asleep(tx, lease).await?;
        }
        Next::Fence(ending, delay) => {
            move_on(tx, lease, StageRunEvent::Requeue, &decision, Move { at: *delay, ending: Some(*ending) }).await?;
            let queue = put_back(tx, lease, *delay, true).await?;
            opened.insert(lease.stage_run_id, queue);
        }
    }
    Ok(true)
}

async fn read_situation(
    tx: &mut Tx,
    lease: &LeaseKey,
    number: i32,
    cancel_requested: bool,
) -> Result<(Situation, Option<Failure>)> {
    let row = sqlx::query!(
        r#"SELECT s.failures, s.lost, s.retry, s.exposed, s.ending, s.error,
                  EXISTS (SELECT FROM loads l WHERE l.workspace_id = s.workspace_id AND l.run_id = s.run_id AND l.stage_run_id = s.id
                          AND l.state = 'committing' AND l.attempt = $3) AS "intended!"
           FROM stage_runs s WHERE s.workspace_id = $1 AND s.id = $2"#,
        lease.workspace_id,
        lease.stage_run_id,
        number
    )
    .fetch_one(&mut **tx)
    .await?;
    let retry: Retry = serde_json::from_value(row.retry)?;
    let earlier = row.error.map(serde_json::from_value).transpose()?;
    let ending = row.ending.map(|ending| if ending == "failed" { Ending::Failed } else { Ending::Canceled });
    let situation = Situation {
        failures: row.failures,
        lost: row.lost,
        retry,
        exposed: row.exposed,
        intended: row.intended,
        ending,
        cancel_requested,
    };
    Ok((situation, earlier))
}

async fn end_attempt(
    tx: &mut Tx,
    lease: &LeaseKey,
    attempt_id: Uuid,
    end: &AttemptEnd,
    decision: &Decision,
) -> Result<()> {
    let state = AttemptState::Running
        .next(decision.attempt)
        .ok_or_else(|| StoreError::bug(format!("an attempt can't end by {:?}", decision.attempt)))?;
    let error = match end {
        AttemptEnd::Failed(failure) => Some(serde_json::to_value(failure)?),
        AttemptEnd::Lost => Some(serde_json::json!({ "message": "its worker went silent" })),
        _ => None,
    };
    sqlx::query!(
        "UPDATE attempts SET state = $3::text, error = $4, finished_at = clock_timestamp()
         WHERE workspace_id = $1 AND id = $2 AND state = 'running'",
        lease.workspace_id,
        attempt_id,
        state.as_str(),
        error
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// When a stage run goes on, and how it must end once its load is fenced.
struct Move {
    at: Duration,
    ending: Option<Ending>,
}

/// Leaves `running` for a state that is not final.
async fn move_on(tx: &mut Tx, lease: &LeaseKey, event: StageRunEvent, decision: &Decision, go: Move) -> Result<()> {
    let state = after(event)?;
    let error = decision.failure.as_ref().map(serde_json::to_value).transpose()?;
    sqlx::query!(
        r#"UPDATE stage_runs
           SET state = $3::text, failures = failures + $4, lost = CASE WHEN $5 > 0 THEN lost + $5 ELSE 0 END, exposed = $6, ending = $7::text, error = COALESCE($8, error),
               run_at = CASE WHEN $3 = 'queued' THEN clock_timestamp() + $9 END,
               wake_at = CASE WHEN $3 = 'waiting' THEN clock_timestamp() + $9 ELSE wake_at END
           WHERE workspace_id = $1 AND id = $2 AND state = 'running'"#,
        lease.workspace_id,
        lease.stage_run_id,
        state.as_str(),
        i32::from(decision.failed),
        i32::from(decision.lost),
        decision.exposed,
        go.ending.map(Ending::as_str),
        error,
        interval(go.at)?
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn after(event: StageRunEvent) -> Result<StageRunState> {
    StageRunState::Running.next(event).ok_or_else(|| StoreError::bug(format!("a running stage run can't {event:?}")))
}

/// Back into the queue. The time there begins anew, so that a retry does not overtake what waited meanwhile.
async fn put_back(tx: &mut Tx, lease: &LeaseKey, delay: Duration, fence: bool) -> Result<String> {
    let mut queues = open(&mut **tx, &[lease.stage_run_id], delay, fence).await?;
    queues.pop().ok_or_else(|| StoreError::bug("a stage run could not be put back into the queue"))
}

async fn fall_asleep(tx: &mut Tx, lease: &LeaseKey) -> Result<()> {
    sqlx::query!(
        r#"INSERT INTO wakes (workspace_id, stage_run_id, run_id, wake_at)
           SELECT workspace_id, id, run_id, wake_at FROM stage_runs WHERE workspace_id = $1 AND id = $2"#,
        lease.workspace_id,
        lease.stage_run_id
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The stage run fails or is canceled for good: its tasks and load end, what depends on it is skipped, and the run counts down.
async fn end_stage_run(
    tx: &mut Tx,
    finish: &Finish,
    ending: Ending,
    decision: &Decision,
    failure: Option<&Failure>,
) -> Result<()> {
    let lease = &finish.lease;
    let error = failure.map(serde_json::to_value).transpose()?;
    sqlx::query!(
        r#"UPDATE stage_runs
           SET state = $3::text, failures = failures + $4, lost = lost + $5, error = $6, ending = NULL, finished_at = clock_timestamp()
           WHERE workspace_id = $1 AND id = $2 AND state = 'running'"#,
        lease.workspace_id,
        lease.stage_run_id,
        after(ending.event())?.as_str(),
        i32::from(decision.failed),
        i32::from(decision.lost),
        error
    )
    .execute(&mut **tx)
    .await?;
    end_tasks(tx, finish, ending).await?;
    sqlx::query!(
        r#"UPDATE loads l SET state = 'failed', fenced = l.fenced OR $3, finished_at = clock_timestamp()
           WHERE l.workspace_id = $1 AND l.run_id = $4 AND l.stage_run_id = $2 AND l.state = 'committing'"#,
        lease.workspace_id,
        lease.stage_run_id,
        finish.end == AttemptEnd::Fenced,
        lease.run_id
    )
    .execute(&mut **tx)
    .await?;
    let skipped = skip_below(tx, lease).await?;
    let failure = match ending {
        Ending::Failed => Some(failure.cloned().unwrap_or_default()),
        Ending::Canceled => None,
    };
    count_ended(tx, lease.workspace_id, lease.run_id, 1 + skipped, failure.as_ref()).await?;
    Ok(())
}

/// Tasks keep the counters they have. If nobody says which task is at fault it is the head, which gives the stage its name.
async fn end_tasks(tx: &mut Tx, finish: &Finish, ending: Ending) -> Result<()> {
    let lease = &finish.lease;
    let ends = Columns::of(finish.tasks.iter().map(|task| (1, task)));
    sqlx::query!(
        r#"UPDATE task_runs t
           SET state = CASE WHEN $3 = 'canceled' THEN 'canceled' ELSE COALESCE(x.state, x.by_default) END,
               rows = COALESCE(x.rows, t.rows), bytes = COALESCE(x.bytes, t.bytes),
               rejected = COALESCE(x.rejected, t.rejected), busy_us = COALESCE(x.busy_us, t.busy_us)
           FROM (SELECT o.id, c.state, c.rows, c.bytes, c.rejected, c.busy_us,
                        CASE WHEN o.task = s.stage THEN 'failed' ELSE 'canceled' END AS by_default
                 FROM task_runs o
                 JOIN stage_runs s ON s.workspace_id = o.workspace_id AND s.id = o.stage_run_id
                 LEFT JOIN unnest($4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[])
                      AS c (task, state, rows, bytes, rejected, busy_us) ON c.task = o.task
                 WHERE o.workspace_id = $1 AND o.stage_run_id = $2) AS x
           WHERE t.workspace_id = $1 AND t.stage_run_id = $2 AND t.id = x.id AND t.state = 'pending'"#,
        lease.workspace_id,
        lease.stage_run_id,
        ending.as_str(),
        &ends.tasks,
        &ends.states,
        &ends.rows,
        &ends.bytes,
        &ends.rejected,
        &ends.busy_us
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn skip_below(tx: &mut Tx, lease: &LeaseKey) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"WITH RECURSIVE below AS (
               SELECT down_id FROM deps WHERE workspace_id = $1 AND up_id = $2
               UNION
               SELECT d.down_id FROM below b JOIN deps d ON d.workspace_id = $1 AND d.up_id = b.down_id),
           skipped AS (
               UPDATE stage_runs s SET state = 'skipped', finished_at = clock_timestamp() FROM below
               WHERE s.workspace_id = $1 AND s.id = below.down_id AND s.state = 'pending' RETURNING s.id),
           tasks AS (
               UPDATE task_runs t SET state = 'skipped' FROM skipped
               WHERE t.workspace_id = $1 AND t.stage_run_id = skipped.id AND t.state = 'pending')
           SELECT count(*) AS "count!" FROM skipped"#,
        lease.workspace_id,
        lease.stage_run_id
    )
    .fetch_one(&mut **tx)
    .await?)
}

/// Counts down a locked run by stage runs that ended without success, and ends it with the last one. The first failure is the one
/// that the run shows.
pub(crate) async fn count_ended(
    tx: &mut Tx,
    workspace_id: Uuid,
    run_id: Uuid,
    ended: i64,
    failure: Option<&Failure>,
) -> Result<RunState> {
    let state: String = sqlx::query_scalar!(
        r#"UPDATE runs
           SET remaining = remaining - $3, failed_stages = failed_stages + $4,
               error_message = COALESCE(error_message, $5), error_task = CASE WHEN error_message IS NULL THEN $6 ELSE error_task END,
               error_hint = CASE WHEN error_message IS NULL THEN $7 ELSE error_hint END,
               state = run_state_after(state, remaining - $3, failed_stages + $4, cancel_requested_at),
               finished_at = CASE WHEN remaining = $3 THEN clock_timestamp() END
           WHERE workspace_id = $1 AND id = $2
           RETURNING state"#,
        workspace_id,
        run_id,
        i32::try_from(ended).unwrap_or(i32::MAX),
        i32::from(failure.is_some()),
        failure.map(|failure| failure.message.clone()),
        failure.and_then(|failure| failure.task.clone()),
        failure.and_then(|failure| failure.hint.clone())
    )
    .fetch_one(&mut **tx)
    .await?;
    state.parse()
}

/// Ends of tasks as columns, for `unnest`.
#[derive(Default)]
pub(super) struct Columns {
    /// Numbers of the finishes that they belong to, the first of a batch being 1.
    pub(super) finishes: Vec<i32>,
    pub(super) tasks: Vec<String>,
    pub(super) states: Vec<String>,
    pub(super) rows: Vec<i64>,
    pub(super) bytes: Vec<i64>,
    pub(super) rejected: Vec<i64>,
    pub(super) busy_us: Vec<i64>,
}

impl Columns {
    pub(super) fn of<'a>(ends: impl Iterator<Item = (i32, &'a TaskEnd)>) -> Self {
        let mut columns = Self::default();
        for (finish, end) in ends {
            columns.finishes.push(finish);
            columns.tasks.push(end.task.clone());
            columns.states.push(end.state.as_str().to_owned());
            columns.rows.push(end.rows);
            columns.bytes.push(end.bytes);
            columns.rejected.push(end.rejected);
            columns.busy_us.push(end.busy_us);
        }
        columns
    }
}
