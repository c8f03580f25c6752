//! Counts for dashboards. Each is one cheap query over hot tables or a partial index.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{Result, Rollup, Store};

/// The control plane's counts at one moment.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Counts {
    /// What is ready, by queue.
    pub queues: Vec<QueueDepth>,
    /// Leases held.
    pub leases: i64,
    /// Stage runs that wait for time to pass.
    pub waiting: i64,
    /// Workers registered.
    pub workers: i64,
    /// Their slots in all.
    pub slots: i64,
    /// Runs that are not finished, by state.
    pub live_runs: Vec<(String, i64)>,
    /// Runs, stage runs and loads that have ended, by state.
    pub ended: Vec<Rollup>,
}

/// One queue.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct QueueDepth {
    /// Its name.
    pub queue: String,
    /// Stage runs that may be claimed now.
    pub ready: i64,
    /// Stage runs that may be claimed later (retry).
    pub delayed: i64,
    /// How long the oldest of those that may be claimed has been ready, in seconds.
    pub oldest_ready_s: f64,
}

impl Store {
    /// Counts everything.
    pub async fn counts(&self) -> Result<Counts> {
        let queues = sqlx::query_as!(
            QueueDepth,
            r#"SELECT queue, count(*) FILTER (WHERE run_at <= clock_timestamp()) AS "ready!",
                      count(*) FILTER (WHERE run_at > clock_timestamp()) AS "delayed!",
                      COALESCE(extract(epoch FROM clock_timestamp() - min(run_at) FILTER (WHERE run_at <= clock_timestamp())), 0)::float8
                          AS "oldest_ready_s!"
               FROM ready GROUP BY queue ORDER BY queue"#
        )
        .fetch_all(self.reads())
        .await?;
        let totals = sqlx::query!(
            r#"SELECT (SELECT count(*) FROM leases) AS "leases!", (SELECT count(*) FROM wakes) AS "waiting!",
                      count(*) AS "workers!", COALESCE(sum(slots), 0)::bigint AS "slots!"
               FROM workers"#
        )
        .fetch_one(self.reads())
        .await?;
        let live = sqlx::query!(
            r#"SELECT state, count(*) AS "count!" FROM runs WHERE state IN ('pending', 'queued', 'running')
               GROUP BY state ORDER BY state"#
        )
        .fetch_all(self.reads())
        .await?;
        Ok(Counts {
            queues,
            leases: totals.leases,
            waiting: totals.waiting,
            workers: totals.workers,
            slots: totals.slots,
            ended: self.rollups().await?,
            live_runs: live.into_iter().map(|row| (row.state, row.count)).collect(),
        })
    }
}
