#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and joins what it spawns"
)]

use std::collections::HashSet;
use std::time::Duration;

use headwater_pipelines::plan::{LABELED_PLAN_FORMAT, PLAN_FORMAT, Plan};
use headwater_pipelines::spec::{Backoff, Retry};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::state::{AttemptState, RunState, StageRunState, TaskEnd, TaskRunState};
use crate::testing::{database, plan, save, start_run};
use crate::{
    Beat, Cause, IntentRow, NewRun, RerunMode, RunDetail, Store, StoreErrorKind, Trigger, WorkerBeat, WorkerSpec,
};

mod bounds;
mod cancels;
mod claims;
mod door;
mod ends;
mod lanes;
mod links;
mod plans;
mod rules;
mod staged;
mod tidy;

pub(super) fn taker() -> Taker {
    Taker {
        worker_id: Uuid::new_v4(),
        queues: vec!["default".to_owned()],
        labels: Vec::new(),
        plan_formats: vec![PLAN_FORMAT],
        host: "here".to_owned(),
        only_run: None,
    }
}

pub(super) fn finish_of(claimed: &Claimed, end: AttemptEnd) -> Finish {
    Finish { lease: claimed.lease, end, tasks: Vec::new(), receipts: Vec::new(), manifest: None, host: None }
}

pub(super) fn failure(message: &str, retryable: bool) -> AttemptEnd {
    AttemptEnd::Failed(Failure {
        message: message.to_owned(),
        task: Some("b".to_owned()),
        hint: Some("mend it".to_owned()),
        retryable,
        ..Failure::default()
    })
}

pub(super) async fn register(store: &Store, taker: &Taker) {
    let worker = WorkerSpec {
        id: taker.worker_id,
        host: taker.host.clone(),
        queues: taker.queues.clone(),
        labels: taker.labels.clone(),
        slots: 4,
        light_slots: 4,
        plan_formats: taker.plan_formats.clone(),
        staging: None,
        only_run: taker.only_run,
        lease_time: Duration::from_secs(30),
    };
    store.register_worker(&worker).await.unwrap();
}

pub(super) async fn end(store: &Store, claimed: &Claimed, end: AttemptEnd) -> Finished {
    store.finish(&[finish_of(claimed, end)], None).await.unwrap().results[0]
}

pub(super) async fn claim_one(store: &Store, taker: &Taker) -> Claimed {
    let mut claimed = store.claim(taker, 1).await.unwrap();
    claimed.pop().expect("something is ready")
}

async fn show(store: &Store, run_id: Uuid) -> RunDetail {
    store.default_workspace().show_run(run_id).await.unwrap()
}

fn state_of(run: &RunDetail, stage: &str) -> StageRunState {
    run.stage_runs.iter().find(|row| row.stage == stage).unwrap().state
}

/// Makes whatever is queued for later claimable now.
async fn skip_delays(store: &Store) {
    sqlx::query("UPDATE ready SET run_at = clock_timestamp()").execute(store.durable()).await.unwrap();
}

async fn intend(store: &Store, claimed: &Claimed) -> crate::Result<()> {
    let intent = IntentRow {
        load_id: claimed.load_id,
        attempt: claimed.number,
        task: claimed.stage.clone(),
        intent: json!({ "attempt": claimed.number }),
        cursors: Vec::new(),
        slice: None,
        rejects: Vec::new(),
    };
    store.intend(&claimed.lease, &intent).await.map(|_| ())
}

fn receipt(claimed: &Claimed) -> LoadReceipt {
    LoadReceipt { load_id: claimed.load_id, attempt: claimed.number, receipt: json!({ "rows_written": 3 }) }
}

pub(super) fn many(count: usize) -> Plan {
    let names: Vec<String> = (0..count).map(|n| format!("s{n}")).collect();
    let stages: Vec<(&str, &[&str])> = names.iter().map(|name| (name.as_str(), &[][..])).collect();
    plan("many", &stages)
}

pub(super) fn with_retry(mut plan: Plan, attempts: u32) -> Plan {
    let retry = Retry {
        attempts,
        backoff: Backoff::Constant,
        delay: Duration::from_secs(60),
        max_delay: Duration::from_secs(60),
    };
    plan.stages.iter_mut().for_each(|stage| stage.retry = retry.clone());
    plan
}
