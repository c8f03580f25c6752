//! The statements that end plain successes: one for a batch, one for a link of a chain.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::claim::{Claimed, LeaseKey, Taker};
use super::finish::{Finish, runs_of};
use super::settle;
use crate::{Result, StoreError};

/// What statements of a finish did.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// Tokens that were current.
    pub(super) accepted: HashSet<Uuid>,
    /// Stage runs that became ready, and their queues.
    pub(super) opened: HashMap<Uuid, String>,
    /// Stage runs that went to the worker directly.
    pub(super) handed_over: Vec<Claimed>,
    /// Something that the worker could take was ready before.
    pub(super) more: bool,
}

impl Ended {
    /// From the answer of a statement.
    fn read(rows: Vec<Row>) -> Result<Self> {
        let mut ended = Self::default();
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
}

/// Finishes successes, and hands over for as many slots what they make ready.
pub(super) async fn finish_successes<'a>(
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
    Ended::read(rows)
}

/// Finishes a single success that at most one stage run depends on, and hands that one over if there is a slot. Answers `None`, having changed
/// nothing, if more depend on it.
pub(super) async fn finish_link(
    executor: impl PgExecutor<'_>,
    finish: &Finish,
    hand_over: Option<(&Taker, usize)>,
) -> Result<Option<Ended>> {
    let lease = &finish.lease;
    let counts = settle::Columns::of(finish.tasks.iter().map(|task| (1, task)));
    let made_with = made_with(&[lease.stage_run_id]);
    let taker = hand_over.filter(|(_, slots)| *slots > 0).map(|(taker, _)| taker);
    let rows = sqlx::query_file_as!(
        Row,
        "src/queue/link.sql",
        lease.workspace_id,
        lease.run_id,
        lease.stage_run_id,
        lease.attempt_id,
        lease.token,
        finish.manifest.as_ref().map(Value::to_string),
        finish.host,
        &counts.tasks,
        &counts.rows,
        &counts.bytes,
        &counts.rejected,
        &counts.busy_us,
        taker.map(|taker| taker.worker_id),
        taker.map_or(&[][..], |taker| taker.queues.as_slice()),
        taker.map_or(&[][..], |taker| taker.plan_formats.as_slice()),
        taker.map(|taker| &*taker.host),
        taker.and_then(|taker| taker.only_run),
        taker.map_or(&[][..], |taker| taker.labels.as_slice()),
        made_with.start(),
        made_with.end()
    )
    .fetch_all(executor)
    .await?;
    if rows.iter().any(|row| row.what == "many") {
        return Ok(None);
    }
    Ended::read(rows).map(Some)
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
