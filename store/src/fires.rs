//! Fires: a compare-and-set on a schedule's next time, so that any number of schedulers make one run of it.
//!
//! `schedules.next_fire_at` is when a schedule is to be looked at: its next nominal time plus the pipeline's own offset (`jitter`). NULL
//! means that it is to be computed, infinity that no time is left. Outside of this module and `schedules` all times are nominal ones.

use chrono::{DateTime, TimeDelta, Utc};
use headwater_pipelines::schedule;
use headwater_pipelines::spec::{Overlap, Schedule};
use serde_json::Value;
use uuid::Uuid;

use crate::deadline::Tx;
use crate::runs::{RunDraft, Trigger, insert_run, queue_unblocked};
use crate::{Result, Store, StoreError};

/// A schedule that something must be done about: its time has come, or it has no time yet.
#[derive(Debug, Clone)]
pub struct DueSchedule {
    /// The workspace.
    pub workspace_id: Uuid,
    /// The schedule.
    pub id: Uuid,
    /// Name of the pipeline.
    pub pipeline: String,
    /// What the spec says.
    pub schedule: Schedule,
    /// Bumped by every edit: a plan made before one is refused.
    pub generation: i32,
    /// Where `every` counts from.
    pub anchor: DateTime<Utc>,
    /// When it was approved, changed or resumed: earlier times are not its own.
    pub since: DateTime<Utc>,
    /// The last nominal time that was dealt with.
    pub last_fire_at: Option<DateTime<Utc>>,
    /// The time that has come; `None` if none was computed yet.
    pub next_fire_at: Option<DateTime<Utc>>,
    /// How much later than its times the pipeline's runs start.
    pub offset: TimeDelta,
    /// Now, on the database's clock.
    pub now: DateTime<Utc>,
}

/// What is to be done about one nominal time.
#[derive(Debug, Clone)]
pub struct Fire {
    /// The nominal time.
    pub at: DateTime<Utc>,
    /// Whether it makes a run.
    pub outcome: FireOutcome,
    /// Why not, if it does not.
    pub reason: Option<String>,
    /// The data interval of its run.
    pub interval: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

/// What becomes of a nominal time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FireOutcome {
    /// It makes a run, unless an earlier one is in its way.
    Fired,
    /// It makes none.
    Skipped,
    /// A later one stands for it.
    Coalesced,
}

impl FireOutcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Skipped => "skipped",
            Self::Coalesced => "coalesced",
        }
    }
}

/// Everything that a scheduler wants to do about a due schedule, in one step.
#[derive(Debug, Clone)]
pub struct FirePlan {
    /// Times that have come, oldest first; none if only the next time is to be set.
    pub fires: Vec<Fire>,
    /// The next time; `None` if none is left.
    pub next_fire_at: Option<DateTime<Utc>>,
}

/// A run that a fire made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FiredRun {
    /// The run.
    pub run_id: Uuid,
    /// Its nominal time.
    pub at: DateTime<Utc>,
    /// Whether it waits behind an earlier run.
    pub held: bool,
}

impl Store {
    /// Schedules whose time has come or that have none yet, of all workspaces. One that this build can't read is set aside.
    pub async fn due_schedules(&self) -> Result<Vec<DueSchedule>> {
        let rows = sqlx::query!(
            r#"SELECT s.workspace_id, s.id, p.name, s.spec::text AS "spec!", s.generation, s.anchor, s.since, s.last_fire_at,
                      s.next_fire_at, clock_timestamp() AS "now!"
               FROM schedules s JOIN pipelines p ON p.workspace_id = s.workspace_id AND p.id = s.pipeline_id
               WHERE s.paused_at IS NULL AND s.retired_at IS NULL
                 AND (s.next_fire_at IS NULL OR s.next_fire_at <= clock_timestamp())
                 AND (s.set_aside_until IS NULL OR s.set_aside_until <= clock_timestamp())
               ORDER BY s.next_fire_at NULLS FIRST LIMIT 500"#
        )
        .fetch_all(self.durable())
        .await?;
        let mut due = Vec::with_capacity(rows.len());
        for row in rows {
            let schedule: Schedule = match serde_json::from_str(&row.spec) {
                Ok(schedule) => schedule,
                Err(error) => {
                    let problem = format!("this build can't read it: {error}");
                    self.set_schedule_aside(row.workspace_id, row.id, &problem).await?;
                    continue;
                }
            };
            let offset = schedule::offset(&schedule, &row.name);
            due.push(DueSchedule {
                workspace_id: row.workspace_id,
                id: row.id,
                pipeline: row.name,
                schedule,
                generation: row.generation,
                anchor: row.anchor,
                since: row.since,
                last_fire_at: row.last_fire_at,
                next_fire_at: row.next_fire_at.map(|at| at - offset),
                offset,
                now: row.now,
            });
        }
        Ok(due)
    }

    /// Leaves a schedule alone for a while, since something about it can't be read or done, and keeps the reason where people see it.
    pub async fn set_schedule_aside(&self, workspace_id: Uuid, id: Uuid, problem: &str) -> Result<()> {
        sqlx::query!(
            "UPDATE schedules SET problem = $3, set_aside_until = clock_timestamp() + interval '1 minute' WHERE workspace_id = $1 AND id = $2",
            workspace_id,
            id,
            problem
        )
        .execute(self.durable())
        .await?;
        Ok(())
    }

    /// Carries a plan out if the schedule is still as it was read: moves its time on, records every fire and makes the runs, in one
    /// transaction. Answers `None` if another scheduler, an edit or a pause came first.
    pub async fn fire(&self, due: &DueSchedule, plan: &FirePlan) -> Result<Option<Vec<FiredRun>>> {
        let mut tx = self.durable().begin().await?;
        let Some(pipeline_id) = move_on(&mut tx, due, plan).await? else { return Ok(None) };
        let mut made = Vec::new();
        let mut canceled = Vec::new();
        let mut queues = Vec::new();
        for fire in &plan.fires {
            match fire.outcome {
                FireOutcome::Fired => {
                    let run = make_run(&mut tx, due, pipeline_id, fire, &mut canceled, &mut queues).await?;
                    made.extend(run);
                }
                _ => record(&mut tx, due, fire.at, fire.outcome, fire.reason.as_deref(), None).await?,
            }
        }
        tx.commit().await?;
        canceled.into_iter().for_each(|run_id| self.inner.notifier.canceled(run_id));
        self.inner.notifier.ready(queues);
        Ok(Some(made))
    }

    /// Lets every held run go whose pipeline has no other run under way, oldest first. Answers with the number released.
    pub async fn release_held(&self) -> Result<u64> {
        let candidates = sqlx::query!(
            r#"SELECT DISTINCT ON (workspace_id, pipeline_id) workspace_id, pipeline_id, id FROM runs
               WHERE state = 'pending' ORDER BY workspace_id, pipeline_id, id"#
        )
        .fetch_all(self.durable())
        .await?;
        let mut released = 0;
        for candidate in candidates {
            let mut tx = self.durable().begin().await?;
            let changed = sqlx::query!(
                r#"UPDATE runs SET state = 'queued'
                   WHERE workspace_id = $1 AND id = $2 AND state = 'pending' AND NOT EXISTS (
                       SELECT FROM runs o WHERE o.workspace_id = $1 AND o.pipeline_id = $3 AND o.id < $2
                         AND o.state IN ('pending', 'queued', 'running'))"#,
                candidate.workspace_id,
                candidate.id,
                candidate.pipeline_id
            )
            .execute(&mut *tx)
            .await?;
            if changed.rows_affected() == 1 {
                let queues = queue_unblocked(&mut tx, candidate.workspace_id, candidate.id).await?;
                tx.commit().await?;
                self.inner.notifier.ready(queues);
                released += 1;
            }
        }
        Ok(released)
    }
}

/// The compare-and-set. Answers with the pipeline if it was ours to move.
async fn move_on(tx: &mut Tx, due: &DueSchedule, plan: &FirePlan) -> Result<Option<Uuid>> {
    let last = plan.fires.last().map(|fire| fire.at);
    Ok(sqlx::query_scalar!(
        r#"UPDATE schedules SET next_fire_at = COALESCE($5, 'infinity'::timestamptz), last_fire_at = COALESCE($6, last_fire_at),
               problem = NULL, set_aside_until = NULL
           WHERE workspace_id = $1 AND id = $2 AND generation = $3 AND next_fire_at IS NOT DISTINCT FROM $4
             AND paused_at IS NULL AND retired_at IS NULL
           RETURNING pipeline_id"#,
        due.workspace_id,
        due.id,
        due.generation,
        due.next_fire_at.map(|at| at + due.offset),
        plan.next_fire_at.map(|at| at + due.offset),
        last
    )
    .fetch_optional(&mut **tx)
    .await?)
}

/// Makes the run of one fire, as far as `overlap` lets it. The schedule's row is locked, so no other fire of it counts meanwhile. Of a backfill only slices
/// of the same time count.
async fn make_run(
    tx: &mut Tx,
    due: &DueSchedule,
    pipeline_id: Uuid,
    fire: &Fire,
    canceled: &mut Vec<Uuid>,
    queues: &mut Vec<String>,
) -> Result<Option<FiredRun>> {
    let live = sqlx::query!(
        r#"SELECT id, state FROM runs
           WHERE workspace_id = $1 AND pipeline_id = $2 AND state IN ('pending', 'queued', 'running')
             AND (trigger <> 'backfill' OR (interval_start < $4 AND interval_end > $3)) ORDER BY id"#,
        due.workspace_id,
        pipeline_id,
        fire.interval.map(|(start, _)| start),
        fire.interval.map(|(_, end)| end)
    )
    .fetch_all(&mut **tx)
    .await?;
    let max_queued = usize::try_from(due.schedule.max_queued()).unwrap_or(usize::MAX);
    let mut held = false;
    if let Some(earlier) = live.first() {
        match due.schedule.overlap {
            Overlap::Allow => {}
            Overlap::Skip => {
                let reason = format!("run {} was not finished (overlap: skip)", earlier.id);
                record(tx, due, fire.at, FireOutcome::Skipped, Some(&reason), None).await?;
                return Ok(None);
            }
            Overlap::Queue if live.iter().filter(|run| run.state == "pending").count() >= max_queued => {
                let reason = format!("{max_queued} runs were waiting already (max_queued: {max_queued})");
                record(tx, due, fire.at, FireOutcome::Skipped, Some(&reason), None).await?;
                return Ok(None);
            }
            Overlap::Queue => held = true,
            Overlap::CancelRunning => {
                for run in &live {
                    crate::runs::cancel_in(tx, due.workspace_id, run.id).await?;
                    canceled.push(run.id);
                }
            }
        }
    }
    let (run_id, ready) = insert_fired(tx, due, pipeline_id, fire, held).await?;
    queues.extend(ready);
    record(tx, due, fire.at, FireOutcome::Fired, None, Some(run_id)).await?;
    Ok(Some(FiredRun { run_id, at: fire.at, held }))
}

async fn insert_fired(
    tx: &mut Tx,
    due: &DueSchedule,
    pipeline_id: Uuid,
    fire: &Fire,
    held: bool,
) -> Result<(Uuid, Vec<String>)> {
    let version = sqlx::query!(
        r#"SELECT v.id, v.plan::text AS "plan!"
           FROM pipelines p JOIN versions v ON v.workspace_id = p.workspace_id AND v.id = p.current_version_id
           WHERE p.workspace_id = $1 AND p.id = $2"#,
        due.workspace_id,
        pipeline_id
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or_else(|| StoreError::bug("a schedule's pipeline has no approved version"))?;
    let plan: headwater_pipelines::plan::Plan = serde_json::from_str(&version.plan)?;
    let defaults = plan.params.iter().filter_map(|(name, param)| Some((name.clone(), param.default.clone()?)));
    let params = Value::Object(defaults.collect());
    let draft = RunDraft {
        version_id: version.id,
        plan: &plan,
        params,
        trigger: Trigger::Schedule,
        interval: fire.interval,
        pinned_worker: None,
        schedule: Some((due.id, fire.at)),
        rerun_of: None,
        held,
        started: None,
    };
    insert_run(&mut **tx, due.workspace_id, &draft).await
}

async fn record(
    tx: &mut Tx,
    due: &DueSchedule,
    at: DateTime<Utc>,
    outcome: FireOutcome,
    reason: Option<&str>,
    run_id: Option<Uuid>,
) -> Result<()> {
    sqlx::query!(
        r#"INSERT INTO fires (workspace_id, schedule_id, generation, fire_at, outcome, reason, run_id)
           VALUES ($1, $2, $3, $4, $5, $6, $7)
           ON CONFLICT (workspace_id, schedule_id, fire_at) DO NOTHING"#,
        due.workspace_id,
        due.id,
        due.generation,
        at,
        outcome.as_str(),
        reason,
        run_id
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
