//! Claiming: rows of `ready` become leases and attempts.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::state::{TaskEnd, TaskRunState};
use crate::{Result, Store, Workspace};

/// Who claims, and what it can take.
#[derive(Debug, Clone)]
pub struct Taker {
    /// The worker's incarnation.
    pub worker_id: Uuid,
    /// The queues it serves.
    pub queues: Vec<String>,
    /// The labels it has.
    pub labels: Vec<String>,
    /// The plan formats it can execute.
    pub plan_formats: Vec<i32>,
    /// Its host: staged datasets on a local disk pin a run to theirs.
    pub host: String,
    /// Set for a worker that executes a single run.
    pub only_run: Option<Uuid>,
}

/// Free slots of both kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    /// For stages that move data, and for fences.
    pub data: usize,
    /// For stages that only wait or ask.
    pub light: usize,
}

impl Slots {
    /// No slot at all.
    pub const NONE: Self = Self { data: 0, light: 0 };

    /// Whether there is none of either kind.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// What is left after these were claimed.
    pub(super) fn after(self, claimed: &[Claimed]) -> Self {
        let light = claimed.iter().filter(|claimed| claimed.light).count();
        Self { data: self.data.saturating_sub(claimed.len() - light), light: self.light.saturating_sub(light) }
    }
}

/// So many of each kind.
impl From<usize> for Slots {
    fn from(slots: usize) -> Self {
        Self { data: slots, light: slots }
    }
}

/// What names a lease. Whoever answers with another token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseKey {
    /// The workspace.
    pub workspace_id: Uuid,
    /// The run.
    pub run_id: Uuid,
    /// The stage run.
    pub stage_run_id: Uuid,
    /// The attempt.
    pub attempt_id: Uuid,
    /// Random, made at the claim.
    pub token: Uuid,
}

/// A stage run that was claimed.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The lease.
    pub lease: LeaseKey,
    /// The attempt's number: counts from 1 within the load.
    pub number: i32,
    /// Name of the stage.
    pub stage: String,
    /// The routing lane.
    pub queue: String,
    /// It moves no data, and takes a light slot.
    pub light: bool,
    /// The stage's load.
    pub load_id: Uuid,
    /// What the run executes.
    pub version_id: Uuid,
    /// Values of the parameters.
    pub params: Value,
    /// Start of the data interval.
    pub interval_start: Option<DateTime<Utc>>,
    /// End of the data interval, exclusive.
    pub interval_end: Option<DateTime<Utc>>,
    /// Not to be run: its load id is to be taken in the target so that no late attempt can commit it.
    pub fence: bool,
    /// When the stage run was due to wake, on the attempt that follows a wait.
    pub woken_at: Option<DateTime<Utc>>,
}

/// What an attempt needs beside its plan, read only by those that need it.
#[derive(Debug, Clone, Default)]
pub struct AttemptInputs {
    /// What earlier attempts of the load recorded, oldest first.
    pub handles: Vec<Value>,
    /// Manifests of the stages before it that materialised a dataset, by stage name.
    pub manifests: BTreeMap<String, Value>,
    /// What batches of the stage run have counted by task: rows, bytes, rejected rows and microseconds.
    pub counted: Vec<TaskEnd>,
    /// A load of the stage run that may be in its target.
    pub committing: Option<Uuid>,
}

impl Store {
    /// Takes stage runs out of the queue, at most as many of each kind as there are slots for it.
    pub async fn claim(&self, taker: &Taker, slots: impl Into<Slots>) -> Result<Vec<Claimed>> {
        let slots = slots.into();
        let mut session = self.inner.claims.take().await?;
        let claimed = claim_on(&mut session.connection, taker, slots, None).await?;
        self.inner.claims.keep(session);
        if claimed.is_empty() { self.claim_limited(taker, slots).await } else { Ok(claimed) }
    }

    /// Another lease of the same attempt is impossible: whether this one still holds.
    pub async fn lease_holds(&self, lease: &LeaseKey) -> Result<bool> {
        Ok(sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM leases WHERE stage_run_id = $1 AND token = $2) AS "holds!""#,
            lease.stage_run_id,
            lease.token
        )
        .fetch_one(self.durable())
        .await?)
    }
}

impl Workspace {
    /// Reads handles of earlier attempts and manifests of earlier stages.
    pub async fn attempt_inputs(&self, claimed: &Claimed) -> Result<AttemptInputs> {
        let handles = sqlx::query_scalar!(
            r#"WITH RECURSIVE chain AS (
                   SELECT id, rerun_of FROM runs WHERE workspace_id = $1 AND id = $4
                   UNION ALL
                   SELECT r.id, r.rerun_of FROM chain c JOIN runs r ON r.workspace_id = $1 AND r.id = c.rerun_of)
               SELECT h.handle AS "handle!"
               FROM chain
               JOIN stage_runs s ON s.workspace_id = $1 AND s.run_id = chain.id AND s.load_id = $2
               JOIN attempts a ON a.workspace_id = $1 AND a.stage_run_id = s.id AND a.id <> $3,
                    jsonb_array_elements(a.handles) WITH ORDINALITY AS h (handle, n)
               ORDER BY a.id, h.n"#,
            self.id(),
            claimed.load_id,
            claimed.lease.attempt_id,
            claimed.lease.run_id
        )
        .fetch_all(self.durable())
        .await?;
        let manifests = sqlx::query!(
            r#"SELECT up.stage, up.manifest::text AS "manifest!"
               FROM stage_runs up
               WHERE up.workspace_id = $1 AND up.run_id = $2 AND up.manifest IS NOT NULL AND up.state = 'succeeded'"#,
            self.id(),
            claimed.lease.run_id
        )
        .fetch_all(self.durable())
        .await?;
        let manifests = manifests
            .into_iter()
            .map(|row| Ok((row.stage, serde_json::from_str(&row.manifest)?)))
            .collect::<Result<_>>()?;
        Ok(AttemptInputs { handles, manifests, ..self.batches(claimed).await? })
    }

    /// What earlier attempts at a stream's stage have left.
    async fn batches(&self, claimed: &Claimed) -> Result<AttemptInputs> {
        let counted = sqlx::query!(
            "SELECT task, rows, bytes, rejected, busy_us FROM task_runs WHERE workspace_id = $1 AND stage_run_id = $2 AND rows > 0",
            self.id(),
            claimed.lease.stage_run_id
        )
        .fetch_all(self.durable())
        .await?;
        let committing = sqlx::query_scalar!(
            "SELECT load_id FROM loads WHERE workspace_id = $1 AND run_id = $2 AND stage_run_id = $3 AND state = 'committing'",
            self.id(),
            claimed.lease.run_id,
            claimed.lease.stage_run_id
        )
        .fetch_optional(self.durable())
        .await?;
        let end = |task, rows, bytes, rejected, busy_us| TaskEnd {
            task,
            state: TaskRunState::Pending,
            rows,
            bytes,
            rejected,
            busy_us,
        };
        let counted = counted.into_iter().map(|row| end(row.task, row.rows, row.bytes, row.rejected, row.busy_us));
        Ok(AttemptInputs { counted: counted.collect(), committing, ..AttemptInputs::default() })
    }
}

/// The one statement of a claim. Rows go by rank, which has priority and age in it; rows that another claimer holds are passed
/// over. Without `admitted` it claims nothing where limits are set.
pub(super) async fn claim_on(
    executor: impl PgExecutor<'_>,
    taker: &Taker,
    slots: Slots,
    admitted: Option<&[Uuid]>,
) -> Result<Vec<Claimed>> {
    if slots.is_none() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query_file!(
        "src/lifecycle/claim.sql",
        taker.worker_id,
        &taker.queues,
        &taker.plan_formats,
        taker.host,
        taker.only_run,
        number(slots.data),
        admitted as Option<&[Uuid]>,
        &taker.labels,
        number(slots.light)
    )
    .fetch_all(executor)
    .await?;
    let claimed = rows.into_iter().map(|row| Claimed {
        lease: LeaseKey {
            workspace_id: row.workspace_id,
            run_id: row.run_id,
            stage_run_id: row.stage_run_id,
            attempt_id: row.attempt_id,
            token: row.token,
        },
        number: row.number,
        stage: row.stage,
        queue: row.queue,
        light: row.light,
        load_id: row.load_id,
        version_id: row.version_id,
        params: row.params,
        interval_start: row.interval_start,
        interval_end: row.interval_end,
        fence: row.fence,
        woken_at: row.wake_at,
    });
    Ok(claimed.collect())
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
