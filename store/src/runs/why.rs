//! Why a run is where it is: what each of its unfinished stages waits for, read in one snapshot.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::deadline::Tx;
use crate::limits::Scope;
use crate::state::{RunState, StageRunState};
use crate::{Result, StoreError, Workspace};

/// A worker that was silent for longer is not counted on.
const ALIVE_MS: i64 = 5_000;

/// What one unfinished stage waits for.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Why {
    /// Name of the stage.
    pub stage: String,
    /// Its tasks.
    pub tasks: Vec<String>,
    /// Where it is.
    pub state: StageRunState,
    /// Everything that must change before it goes on.
    pub causes: Vec<Cause>,
}

impl Why {
    /// Whether a worker executes it that is not silent.
    pub fn is_executed(&self) -> bool {
        let live = |cause: &Cause| matches!(cause, Cause::Running { silent_ms: Some(ms), .. } if *ms <= ALIVE_MS);
        self.causes.iter().any(live)
    }
}

/// One thing that a stage waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// The run itself waits until an earlier one of the pipeline has ended.
    Held {
        /// The earlier run.
        behind: Uuid,
    },
    /// A stage before it has not succeeded yet.
    Dependency {
        /// That stage.
        stage: String,
        /// Where it is.
        state: String,
    },
    /// It waits for a time.
    Wakes {
        /// That time.
        at: DateTime<Utc>,
    },
    /// It is tried again after a pause.
    Backoff {
        /// When the next attempt may start.
        until: DateTime<Utc>,
        /// Why the last one failed.
        after: Option<String>,
    },
    /// Somebody has paused what it belongs to.
    Paused {
        /// The scope.
        scope: Scope,
        /// Since when.
        since: DateTime<Utc>,
    },
    /// All places under a limit are taken.
    Limit {
        /// The scope.
        scope: Scope,
        /// Its places.
        slots: i32,
        /// Who has them: `pipeline/stage of run`.
        holders: Vec<String>,
    },
    /// Its staged data is on a host where no worker serves its queue.
    StagedElsewhere {
        /// The host.
        host: String,
    },
    /// No live worker serves its queue and has its labels.
    NoWorker {
        /// The queue.
        queue: String,
        /// The labels that the stage asks for.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        labels: Vec<String>,
        /// Workers that serve the queue and stop taking work.
        draining: usize,
        /// Workers that serve it and have gone silent.
        silent: usize,
    },
    /// Only the worker of the command that started the run may execute it, and that is away.
    Pinned {
        /// That worker.
        worker: Uuid,
    },
    /// Every worker of its queue is busy.
    NoSlot {
        /// Their slots.
        slots: i64,
    },
    /// Nothing: it is claimed at the next look.
    Ready {
        /// Since when it could have been.
        since: DateTime<Utc>,
    },
    /// A worker has it, and it waits there for something that others use.
    Waits {
        /// For example sessions of a connection.
        what: String,
    },
    /// A worker executes it.
    Running {
        /// The worker.
        worker: Uuid,
        /// Its host, if it is registered.
        host: Option<String>,
        /// Milliseconds since the worker's last heartbeat.
        silent_ms: Option<i64>,
        /// Whether it only takes the load's id in the target, so that nothing can commit any more.
        fence: bool,
    },
}

/// The workers that may take a row of the queue.
#[derive(Default)]
struct Seats {
    stage_run_id: Uuid,
    /// Those that serve it, wherever it is pinned to: they live, stop taking work, or are silent.
    live: i64,
    draining: i64,
    silent: i64,
    /// Live ones that it is not kept from by its worker, and of these those that are on its host too.
    of_its_worker: i64,
    able: i64,
    /// Slots of the able ones for its kind, and those that are free.
    slots: i64,
    free: i64,
}

/// A row of the queue.
struct Queued {
    queue: String,
    labels: Vec<String>,
    run_at: DateTime<Utc>,
    now: DateTime<Utc>,
    pinned: Option<Uuid>,
    host: Option<String>,
    fence: bool,
    error: Option<String>,
}

impl Workspace {
    /// Says what every unfinished stage of a run waits for, or only the stages of one task. Empty for a run that has ended.
    pub async fn why(&self, run_id: Uuid, task: Option<&str>) -> Result<Vec<Why>> {
        let mut tx = self.reads().begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut *tx).await?;
        let behind = self.behind(&mut tx, run_id).await?;
        let mut waits = self.dependencies(&mut tx, run_id).await?;
        let mut limits = self.full_limits(&mut tx, run_id).await?;
        let mut seats = self.seats(&mut tx, run_id).await?;
        let tasks = self.tasks_by_stage(&mut tx, run_id).await?;
        let rows = sqlx::query!(
            r#"SELECT s.id, s.stage, s.state, s.queue, s.labels, s.wake_at, s.error->>'message' AS error,
                      q.run_at AS "run_at?", q.worker_id AS pinned, q.host AS "host?", q.fence AS "fence?",
                      l.worker_id AS "holder?", l.fence AS "fencing?", l.waits_for AS "waits_for?", w.host AS "holder_host?",
                      (extract(epoch FROM clock_timestamp() - w.beat_at) * 1000)::bigint AS silent_ms,
                      clock_timestamp() AS "now!"
               FROM stage_runs s
               LEFT JOIN ready q ON q.stage_run_id = s.id
               LEFT JOIN leases l ON l.stage_run_id = s.id
               LEFT JOIN workers w ON w.id = l.worker_id
               WHERE s.workspace_id = $1 AND s.run_id = $2
                 AND s.state NOT IN ('succeeded', 'failed', 'canceled', 'skipped')
               ORDER BY s.position"#,
            self.id,
            run_id
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        let mut answers = Vec::new();
        for row in rows {
            let tasks = tasks.get(&row.id).cloned().unwrap_or_default();
            if task.is_some_and(|task| !tasks.iter().any(|other| other == task)) {
                continue;
            }
            let state: StageRunState = row.state.parse()?;
            let mut causes = waits.remove(&row.id).unwrap_or_default();
            causes.extend(behind.filter(|_| state == StageRunState::Pending).map(|behind| Cause::Held { behind }));
            causes.extend(row.wake_at.filter(|_| state == StageRunState::Waiting).map(|at| Cause::Wakes { at }));
            causes.extend(row.waits_for.map(|what| Cause::Waits { what }));
            if let Some(worker) = row.holder {
                let fence = row.fencing.unwrap_or(false);
                causes.push(Cause::Running { worker, host: row.holder_host, silent_ms: row.silent_ms, fence });
            }
            if let Some(run_at) = row.run_at {
                let queued = Queued {
                    queue: row.queue,
                    labels: row.labels,
                    run_at,
                    now: row.now,
                    pinned: row.pinned,
                    host: row.host,
                    fence: row.fence.unwrap_or(false),
                    error: row.error,
                };
                let seats = seats.remove(&row.id).unwrap_or_default();
                causes.extend(queued.causes(limits.remove(&row.id).unwrap_or_default(), &seats));
            }
            answers.push(Why { stage: row.stage, tasks, state, causes });
        }
        Ok(answers)
    }

    /// The oldest unfinished run of the pipeline, if this one is held behind it. Fails if there is no such run.
    async fn behind(&self, tx: &mut Tx, run_id: Uuid) -> Result<Option<Uuid>> {
        let row = sqlx::query!(
            r#"SELECT r.state, (SELECT o.id FROM runs o WHERE o.workspace_id = r.workspace_id AND o.pipeline_id = r.pipeline_id
                                AND o.id < r.id AND o.state IN ('pending', 'queued', 'running') ORDER BY o.id LIMIT 1) AS behind
               FROM runs r WHERE r.workspace_id = $1 AND r.id = $2"#,
            self.id,
            run_id
        )
        .fetch_optional(&mut **tx)
        .await?
        .ok_or_else(|| StoreError::not_found(format!("there is no run {run_id}")))?;
        Ok(row.behind.filter(|_| row.state == RunState::Pending.as_str()))
    }

    async fn dependencies(&self, tx: &mut Tx, run_id: Uuid) -> Result<HashMap<Uuid, Vec<Cause>>> {
        let rows = sqlx::query!(
            "SELECT d.down_id, u.stage, u.state
             FROM deps d JOIN stage_runs u ON u.workspace_id = d.workspace_id AND u.id = d.up_id
             WHERE d.workspace_id = $1 AND d.run_id = $2 AND u.state <> 'succeeded' ORDER BY u.position",
            self.id,
            run_id
        )
        .fetch_all(&mut **tx)
        .await?;
        Ok(grouped(rows.into_iter().map(|row| (row.down_id, Cause::Dependency { stage: row.stage, state: row.state }))))
    }

    /// Pauses and full limits that stages of the run are under.
    async fn full_limits(&self, tx: &mut Tx, run_id: Uuid) -> Result<HashMap<Uuid, Vec<Cause>>> {
        let rows = sqlx::query!(
            r#"SELECT q.stage_run_id, v.kind AS "kind!", v.name AS "name!", v.slots, v.paused_at,
                      ARRAY(SELECT p.name || '/' || h.stage || ' of ' || h.run_id FROM leases l
                            JOIN stage_run_limits o ON o.workspace_id = l.workspace_id AND o.stage_run_id = l.stage_run_id
                            JOIN stage_runs h ON h.workspace_id = l.workspace_id AND h.id = l.stage_run_id
                            JOIN runs r ON r.workspace_id = h.workspace_id AND r.id = h.run_id
                            JOIN pipelines p ON p.workspace_id = r.workspace_id AND p.id = r.pipeline_id
                            WHERE o.workspace_id = v.workspace_id AND o.kind = v.kind AND o.name = v.name AND NOT l.fence
                            ORDER BY l.claimed_at) AS "holders!"
               FROM ready q JOIN stage_run_limits v ON v.workspace_id = q.workspace_id AND v.stage_run_id = q.stage_run_id
               WHERE q.workspace_id = $1 AND q.stage_run_id = ANY (ARRAY(SELECT id FROM stage_runs WHERE workspace_id = $1 AND run_id = $2))
               ORDER BY v.kind, v.name"#,
            self.id,
            run_id
        )
        .fetch_all(&mut **tx)
        .await?;
        let mut found = Vec::new();
        for row in rows {
            let scope = Scope::of(&row.kind, row.name)?;
            if let Some(since) = row.paused_at {
                found.push((row.stage_run_id, Cause::Paused { scope: scope.clone(), since }));
            }
            if let Some(slots) = row.slots.filter(|slots| row.holders.len() >= usize::try_from(*slots).unwrap_or(0)) {
                found.push((row.stage_run_id, Cause::Limit { scope, slots, holders: row.holders }));
            }
        }
        Ok(grouped(found))
    }

    async fn tasks_by_stage(&self, tx: &mut Tx, run_id: Uuid) -> Result<HashMap<Uuid, Vec<String>>> {
        let rows = sqlx::query!(
            "SELECT stage_run_id, task FROM task_runs WHERE workspace_id = $1 AND run_id = $2 ORDER BY position",
            self.id,
            run_id
        )
        .fetch_all(&mut **tx)
        .await?;
        Ok(grouped(rows.into_iter().map(|row| (row.stage_run_id, row.task))))
    }

    /// Who may take each row of the run in the queue, by the admission of a claim: without host and worker, with its worker, and with both.
    async fn seats(&self, tx: &mut Tx, run_id: Uuid) -> Result<HashMap<Uuid, Seats>> {
        let seats = sqlx::query_file_as!(Seats, "src/runs/seats.sql", self.id, run_id, ALIVE_MS as f64);
        Ok(seats.fetch_all(&mut **tx).await?.into_iter().map(|seats| (seats.stage_run_id, seats)).collect())
    }
}

/// Everything that belongs to one stage run, in the order it came.
fn grouped<T>(pairs: impl IntoIterator<Item = (Uuid, T)>) -> HashMap<Uuid, Vec<T>> {
    let mut groups: HashMap<Uuid, Vec<T>> = HashMap::new();
    pairs.into_iter().for_each(|(stage_run, item)| groups.entry(stage_run).or_default().push(item));
    groups
}

impl Queued {
    /// Why it is still in the queue.
    fn causes(&self, limits: Vec<Cause>, seats: &Seats) -> Vec<Cause> {
        let mut causes = if self.fence { Vec::new() } else { limits };
        if self.run_at > self.now {
            causes.push(Cause::Backoff { until: self.run_at, after: self.error.clone() });
        }
        causes.extend(self.no_seat(seats));
        if causes.is_empty() {
            causes.push(Cause::Ready { since: self.run_at });
        }
        causes
    }

    /// What keeps every worker from taking it.
    fn no_seat(&self, seats: &Seats) -> Option<Cause> {
        if let Some(worker) = self.pinned.filter(|_| seats.of_its_worker == 0) {
            return Some(Cause::Pinned { worker });
        }
        if seats.live == 0 {
            let count = |workers| usize::try_from(workers).unwrap_or_default();
            return Some(Cause::NoWorker {
                queue: self.queue.clone(),
                labels: self.labels.clone(),
                draining: count(seats.draining),
                silent: count(seats.silent),
            });
        }
        if let Some(host) = self.host.as_ref().filter(|_| seats.able == 0) {
            return Some(Cause::StagedElsewhere { host: host.clone() });
        }
        (seats.free == 0).then_some(Cause::NoSlot { slots: seats.slots })
    }
}
