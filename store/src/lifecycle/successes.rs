//! The end of attempts that succeeded, with what their loads and datasets left: a function of the database for one, and one for many.

use std::collections::{HashMap, HashSet};
use std::ops::DerefMut;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::claim::{Claimed, LeaseKey, Slots, Taker};
use super::finish::Finish;
use super::open::made_with;
use super::settle;
use crate::deadline::Statements;
use crate::{Result, StoreError};

/// What the end of successes did.
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
    /// From the function's answer.
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

/// Ends successes, and hands over for as many slots what they make ready.
pub(super) async fn end_successes<'a>(
    session: &mut Statements<impl DerefMut<Target = PgConnection> + Send>,
    successes: impl IntoIterator<Item = &'a Finish>,
    hand_over: Option<(&Taker, Slots)>,
) -> Result<Ended> {
    let successes: Vec<&Finish> = successes.into_iter().collect();
    match successes[..] {
        [] => return Ok(Ended::default()),
        [one] => {
            if let Some(ended) = end_one(session, one, hand_over).await? {
                return Ok(ended);
            }
        }
        _ => {}
    }
    end_many(session, &successes, hand_over).await
}

/// Ends a success by statements for one row each. Answers with none, having changed nothing, if several stage runs wait for it.
async fn end_one(
    session: &mut Statements<impl DerefMut<Target = PgConnection> + Send>,
    finish: &Finish,
    hand_over: Option<(&Taker, Slots)>,
) -> Result<Option<Ended>> {
    let lease = &finish.lease;
    let counts = settle::Columns::of(finish.tasks.iter().map(|task| (1, task)));
    let loads = Loads::of(&[finish]);
    let made_with = made_with(&[lease.stage_run_id]);
    let taker = hand_over.map(|(taker, _)| taker);
    let slots = hand_over.map_or(Slots::NONE, |(_, slots)| slots);
    let rows = sqlx::query_file_as!(
        Row,
        "src/lifecycle/success.sql",
        lease.workspace_id,
        lease.run_id,
        lease.stage_run_id,
        lease.attempt_id,
        lease.token,
        finish.manifest.as_ref().map(Value::to_string),
        finish.host.as_ref(),
        &counts.tasks,
        &counts.rows,
        &counts.bytes,
        &counts.rejected,
        &counts.busy_us,
        &loads.ids,
        &loads.attempts,
        &loads.receipts,
        taker.map(|taker| taker.worker_id),
        taker.map_or(&[][..], |taker| taker.queues.as_slice()),
        taker.map_or(&[][..], |taker| taker.plan_formats.as_slice()),
        taker.map(|taker| &*taker.host),
        taker.and_then(|taker| taker.only_run),
        taker.map_or(&[][..], |taker| taker.labels.as_slice()),
        number(slots.data),
        number(slots.light),
        made_with.start(),
        made_with.end()
    )
    .fetch_all(session)
    .await?;
    if rows.iter().any(|row| row.what == "many") {
        return Ok(None);
    }
    Ended::read(rows).map(Some)
}

/// Ends successes by statements for all of them.
async fn end_many(
    session: &mut Statements<impl DerefMut<Target = PgConnection> + Send>,
    successes: &[&Finish],
    hand_over: Option<(&Taker, Slots)>,
) -> Result<Ended> {
    let ends = Ends::of(successes);
    let counts = settle::Columns::of(
        (1..).zip(successes).flat_map(|(n, finish)| finish.tasks.iter().map(move |task| (n, task))),
    );
    let loads = Loads::of(successes);
    let made_with = made_with(&ends.stage_runs);
    let taker = hand_over.map(|(taker, _)| taker);
    let slots = hand_over.map_or(Slots::NONE, |(_, slots)| slots);
    let rows = sqlx::query_file_as!(
        Row,
        "src/lifecycle/successes.sql",
        &ends.workspaces,
        &ends.runs,
        &ends.stage_runs,
        &ends.attempts,
        &ends.tokens,
        &ends.manifests as &[Option<String>],
        &ends.hosts as &[Option<String>],
        &counts.finishes,
        &counts.tasks,
        &counts.rows,
        &counts.bytes,
        &counts.rejected,
        &counts.busy_us,
        &loads.ends,
        &loads.ids,
        &loads.attempts,
        &loads.receipts,
        taker.map(|taker| taker.worker_id),
        taker.map_or(&[][..], |taker| taker.queues.as_slice()),
        taker.map_or(&[][..], |taker| taker.plan_formats.as_slice()),
        taker.map(|taker| &*taker.host),
        taker.and_then(|taker| taker.only_run),
        taker.map_or(&[][..], |taker| taker.labels.as_slice()),
        number(slots.data),
        number(slots.light),
        made_with.start(),
        made_with.end(),
        ends.attempts.iter().min(),
        ends.attempts.iter().max()
    )
    .fetch_all(session)
    .await?;
    Ended::read(rows)
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Columns with an element for each end.
struct Ends {
    workspaces: Vec<Uuid>,
    runs: Vec<Uuid>,
    stage_runs: Vec<Uuid>,
    attempts: Vec<Uuid>,
    tokens: Vec<Uuid>,
    manifests: Vec<Option<String>>,
    hosts: Vec<Option<String>>,
}

impl Ends {
    fn of(successes: &[&Finish]) -> Self {
        let leases = || successes.iter().map(|finish| &finish.lease);
        Self {
            workspaces: leases().map(|lease| lease.workspace_id).collect(),
            runs: leases().map(|lease| lease.run_id).collect(),
            stage_runs: leases().map(|lease| lease.stage_run_id).collect(),
            attempts: leases().map(|lease| lease.attempt_id).collect(),
            tokens: leases().map(|lease| lease.token).collect(),
            manifests: successes.iter().map(|finish| finish.manifest.as_ref().map(Value::to_string)).collect(),
            hosts: successes.iter().map(|finish| finish.host.clone()).collect(),
        }
    }
}

/// Proofs of loads as columns.
#[derive(Default)]
struct Loads {
    /// Numbers of the ends that they belong to, the first being 1.
    ends: Vec<i32>,
    ids: Vec<Uuid>,
    attempts: Vec<i32>,
    receipts: Vec<String>,
}

impl Loads {
    fn of(successes: &[&Finish]) -> Self {
        let mut loads = Self::default();
        for (end, finish) in (1..).zip(successes) {
            for receipt in &finish.receipts {
                loads.ends.push(end);
                loads.ids.push(receipt.load_id);
                loads.attempts.push(receipt.attempt);
                loads.receipts.push(receipt.receipt.to_string());
            }
        }
        loads
    }
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
    light: Option<bool>,
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
            light: there(self.light)?,
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
