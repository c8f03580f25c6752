//! Workers: registration, heartbeats, and what the reaper needs.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use headwater_pipelines::plan::Stage;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::lifecycle::{AttemptEnd, Finish, LeaseKey};
use crate::{Result, Store, process};

/// A worker that is about to start.
#[derive(Debug, Clone)]
pub struct WorkerSpec {
    /// Random, new for each start.
    pub id: Uuid,
    /// Where it runs.
    pub host: String,
    /// The queues it serves.
    pub queues: Vec<String>,
    /// The labels it has.
    pub labels: Vec<String>,
    /// Attempts that move data at a time.
    pub slots: i32,
    /// Attempts at a time that only wait or ask.
    pub light_slots: i32,
    /// The plan formats it can execute.
    pub plan_formats: Vec<i32>,
    /// Where it stages datasets.
    pub staging: Option<String>,
    /// Set for a worker that executes a single run.
    pub only_run: Option<Uuid>,
    /// How long it may be silent before its attempts are given to others.
    pub lease_time: Duration,
}

/// A registered worker.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WorkerRow {
    /// Its incarnation.
    pub id: Uuid,
    /// Where it runs.
    pub host: String,
    /// The queues it serves.
    pub queues: Vec<String>,
    /// The labels it has.
    pub labels: Vec<String>,
    /// Attempts that move data at a time.
    pub slots: i32,
    /// Those it executes now.
    pub busy: i64,
    /// Attempts at a time that only wait or ask.
    pub light_slots: i32,
    /// Those it executes now.
    pub light_busy: i64,
    /// Set for a worker that executes a single run.
    pub only_run: Option<Uuid>,
    /// Whether it takes nothing new.
    pub draining: bool,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// Time since its last heartbeat on the database's clock, in milliseconds.
    pub silent_ms: i64,
}

/// Progress of one lease.
#[derive(Debug, Clone)]
pub struct Beat {
    /// The stage run.
    pub stage_run_id: Uuid,
    /// The lease's token.
    pub token: Uuid,
    /// Counters by task.
    pub progress: Value,
    /// What the attempt waits for before it begins.
    pub waits_for: Option<String>,
}

/// What a heartbeat is answered.
#[derive(Debug, Clone, Default)]
pub struct BeatAnswer {
    /// The worker was given up: its attempts must stop and it must start anew.
    pub lost: bool,
    /// Stage runs of the worker whose run is to be canceled.
    pub canceled: Vec<Uuid>,
    /// The leases it holds.
    pub held: Vec<LeaseKey>,
}

/// A beat as the reaper sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerBeat {
    /// The worker.
    pub id: Uuid,
    /// Its counter.
    pub beat: i64,
    /// How long it may be silent, in milliseconds: its own setting, not the observer's.
    pub lease_time_ms: i64,
}

/// What is known of a worker from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watched {
    /// Its beat.
    pub beat: WorkerBeat,
    /// Whether its process has ended, which only an observer on its machine can know.
    pub is_gone: bool,
}

impl Store {
    /// Registers a worker. Claims need it.
    pub async fn register_worker(&self, worker: &WorkerSpec) -> Result<()> {
        sqlx::query!(
            "INSERT INTO workers (id, host, queues, slots, plan_formats, staging, only_run, labels, lease_time_ms, light_slots, process)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            worker.id,
            worker.host,
            &worker.queues,
            worker.slots,
            &worker.plan_formats,
            worker.staging,
            worker.only_run,
            &worker.labels,
            i64::try_from(worker.lease_time.as_millis()).unwrap_or(i64::MAX),
            worker.light_slots,
            process::this()
        )
        .execute(self.durable())
        .await?;
        Ok(())
    }

    /// Bumps the worker's beat and stores progress. Progress of a row that is being finished is passed over rather than waited for.
    pub async fn heartbeat(&self, worker_id: Uuid, beats: &[Beat]) -> Result<BeatAnswer> {
        let beaten =
            sqlx::query!("UPDATE workers SET beat = beat + 1, beat_at = clock_timestamp() WHERE id = $1", worker_id)
                .execute(self.beats())
                .await?;
        if beaten.rows_affected() == 0 {
            return Ok(BeatAnswer { lost: true, ..BeatAnswer::default() });
        }
        if !beats.is_empty() {
            let stage_runs: Vec<Uuid> = beats.iter().map(|beat| beat.stage_run_id).collect();
            let tokens: Vec<Uuid> = beats.iter().map(|beat| beat.token).collect();
            // Looked up by id in one document: joined with the leases, the batch would be gone through for each of them.
            let progress: serde_json::Map<String, Value> =
                beats.iter().map(|beat| (beat.stage_run_id.to_string(), beat.progress.clone())).collect();
            let waits: serde_json::Map<String, Value> = beats
                .iter()
                .filter_map(|beat| Some((beat.stage_run_id.to_string(), Value::String(beat.waits_for.clone()?))))
                .collect();
            sqlx::query!(
                r#"UPDATE leases SET progress = $3::jsonb -> stage_run_id::text, waits_for = $4::jsonb ->> stage_run_id::text
                   WHERE stage_run_id = ANY (ARRAY(
                       SELECT stage_run_id FROM leases
                       WHERE stage_run_id = ANY ($1)
                         AND ((stage_run_id, token) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))) IS TRUE
                       FOR UPDATE SKIP LOCKED))"#,
                &stage_runs,
                &tokens,
                Value::Object(progress),
                Value::Object(waits)
            )
            .execute(self.beats())
            .await?;
        }
        let rows = sqlx::query!(
            r#"SELECT l.workspace_id, l.run_id, l.stage_run_id, l.attempt_id, l.token, l.fence,
                      r.cancel_requested_at IS NOT NULL AS "canceled!"
               FROM leases l JOIN runs r ON r.workspace_id = l.workspace_id AND r.id = l.run_id
               WHERE l.worker_id = $1"#,
            worker_id
        )
        .fetch_all(self.beats())
        .await?;
        Ok(BeatAnswer {
            lost: false,
            canceled: rows.iter().filter(|row| row.canceled && !row.fence).map(|row| row.stage_run_id).collect(),
            held: rows
                .into_iter()
                .map(|row| LeaseKey {
                    workspace_id: row.workspace_id,
                    run_id: row.run_id,
                    stage_run_id: row.stage_run_id,
                    attempt_id: row.attempt_id,
                    token: row.token,
                })
                .collect(),
        })
    }

    /// Says that a worker takes nothing new.
    pub async fn drain_worker(&self, worker_id: Uuid) -> Result<()> {
        sqlx::query!("UPDATE workers SET draining = true WHERE id = $1", worker_id).execute(self.durable()).await?;
        Ok(())
    }

    /// Removes a worker that has stopped by itself. Leases that it still has are given up at once, and runs that were pinned to it
    /// are open to all.
    pub async fn remove_worker(&self, worker_id: Uuid) -> Result<()> {
        sqlx::query!("DELETE FROM workers WHERE id = $1", worker_id).execute(self.durable()).await?;
        self.give_up_leases(worker_id).await?;
        self.unpin(worker_id).await
    }

    /// Every worker's beat, for an observer that compares them over time on its own clock.
    pub async fn watched_workers(&self) -> Result<Vec<Watched>> {
        let rows =
            sqlx::query!("SELECT id, beat, lease_time_ms, process FROM workers").fetch_all(self.relaxed()).await?;
        let watched = rows.into_iter().map(|row| Watched {
            beat: WorkerBeat { id: row.id, beat: row.beat, lease_time_ms: row.lease_time_ms },
            is_gone: row.process.as_deref().is_some_and(process::is_gone),
        });
        Ok(watched.collect())
    }

    /// Gives a worker up if its beat is still the one observed. Its attempts are lost; what they held goes on elsewhere. Answers
    /// with the number of attempts lost, or `None` if it has beaten meanwhile.
    pub async fn lose_worker(&self, observed: WorkerBeat) -> Result<Option<usize>> {
        let gone = sqlx::query!("DELETE FROM workers WHERE id = $1 AND beat = $2", observed.id, observed.beat)
            .execute(self.durable())
            .await?;
        if gone.rows_affected() == 0 {
            return Ok(None);
        }
        let lost = self.give_up_leases(observed.id).await?;
        self.unpin(observed.id).await?;
        Ok(Some(lost))
    }

    /// Live workers, oldest first.
    pub async fn workers(&self) -> Result<Vec<WorkerRow>> {
        Ok(sqlx::query_as!(
            WorkerRow,
            r#"SELECT w.id, w.host, w.queues, w.labels, w.slots, w.light_slots, w.only_run, w.draining, w.started_at,
                      b.busy AS "busy!", b.light_busy AS "light_busy!",
                      (extract(epoch FROM clock_timestamp() - w.beat_at) * 1000)::bigint AS "silent_ms!"
               FROM workers w
               CROSS JOIN LATERAL (
                   SELECT count(*) FILTER (WHERE NOT s.light OR l.fence) AS busy, count(*) FILTER (WHERE s.light AND NOT l.fence) AS light_busy
                   FROM leases l JOIN stage_runs s ON s.workspace_id = l.workspace_id AND s.id = l.stage_run_id
                   WHERE l.worker_id = w.id) AS b
               ORDER BY w.started_at"#
        )
        .fetch_all(self.durable())
        .await?)
    }

    /// Whether a worker that beat within the given time takes stages like this one for everybody, in whatever format their plan is.
    pub async fn is_served(&self, stage: &Stage, within: Duration) -> Result<bool> {
        let served = sqlx::query_scalar!(
            r#"SELECT EXISTS (
                   SELECT FROM workers w
                   CROSS JOIN LATERAL admission($1, w.plan_formats[1], NULL, NULL, $2, NULL,
                                                w.id, w.queues, w.plan_formats, w.host, w.only_run, w.labels)
                   WHERE NOT w.draining AND clock_timestamp() - w.beat_at <= $3 * interval '1 second') AS "served!""#,
            stage.queue,
            &stage.labels,
            within.as_secs_f64()
        );
        Ok(served.fetch_one(self.durable()).await?)
    }

    /// Ends every attempt of a worker as lost. Also mends leases whose worker is no longer registered.
    pub(crate) async fn give_up_leases(&self, worker_id: Uuid) -> Result<usize> {
        let rows = sqlx::query!(
            "SELECT workspace_id, run_id, stage_run_id, attempt_id, token FROM leases WHERE worker_id = $1 ORDER BY run_id",
            worker_id
        )
        .fetch_all(self.durable())
        .await?;
        let batch: Vec<Finish> = rows
            .into_iter()
            .map(|row| Finish {
                lease: LeaseKey {
                    workspace_id: row.workspace_id,
                    run_id: row.run_id,
                    stage_run_id: row.stage_run_id,
                    attempt_id: row.attempt_id,
                    token: row.token,
                },
                end: AttemptEnd::Lost,
                tasks: Vec::new(),
                receipts: Vec::new(),
                manifest: None,
                host: None,
            })
            .collect();
        match self.finish(&batch, None).await {
            Ok(report) => return Ok(report.results.len()),
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                tracing::error!(%error, worker = %worker_id, "the attempts of a lost worker can't be ended together")
            }
        }
        // One that can't be ended keeps none of the others.
        let mut given_up = 0;
        for lost in &batch {
            match self.finish(std::slice::from_ref(lost), None).await {
                Ok(_) => given_up += 1,
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    tracing::error!(%error, stage_run = %lost.lease.stage_run_id, "a lost attempt can't be ended")
                }
            }
        }
        Ok(given_up)
    }

    /// Opens runs that only this worker might execute to every worker.
    async fn unpin(&self, worker_id: Uuid) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        let runs = sqlx::query_scalar!(
            r#"WITH pinned AS (
                   SELECT workspace_id, id FROM runs WHERE pinned_worker = $1 AND state IN ('pending', 'queued', 'running')
                   ORDER BY id FOR NO KEY UPDATE)
               UPDATE runs SET pinned_worker = NULL FROM pinned
               WHERE runs.workspace_id = pinned.workspace_id AND runs.id = pinned.id
               RETURNING runs.id"#,
            worker_id
        )
        .fetch_all(&mut *tx)
        .await?;
        if runs.is_empty() {
            return Ok(());
        }
        let queues = sqlx::query_scalar!(
            "UPDATE ready SET worker_id = NULL
             WHERE stage_run_id = ANY (ARRAY(SELECT id FROM stage_runs WHERE run_id = ANY ($1))) AND worker_id = $2
             RETURNING queue",
            &runs,
            worker_id
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        self.inner.notifier.ready(queues);
        Ok(())
    }
}

/// Counters by task as a document, for a heartbeat.
impl Beat {
    /// A beat from counters by task.
    pub fn new<C: Serialize>(
        lease: &LeaseKey,
        counts: &BTreeMap<String, C>,
        waits_for: Option<String>,
    ) -> Result<Self> {
        let progress = serde_json::to_value(counts)?;
        Ok(Self { stage_run_id: lease.stage_run_id, token: lease.token, progress, waits_for })
    }
}
