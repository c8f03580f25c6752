#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and joins what it spawns"
)]

use std::collections::HashSet;
use std::time::Duration;

use headwater_pipelines::plan::{PLAN_FORMAT, Plan};
use headwater_pipelines::spec::{Backoff, Retry};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::state::{AttemptState, RunState, StageRunState};
use crate::testing::{database, plan, start_run};
use crate::{IntentRow, NewRun, RerunMode, RunDetail, Store, StoreErrorKind, Trigger, WorkerBeat, WorkerSpec};

pub(super) fn taker() -> Taker {
    Taker {
        worker_id: Uuid::new_v4(),
        queues: vec!["default".to_owned()],
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
        unsettled: false,
    })
}

pub(super) async fn register(store: &Store, taker: &Taker) {
    let worker = WorkerSpec {
        id: taker.worker_id,
        host: taker.host.clone(),
        queues: taker.queues.clone(),
        slots: 4,
        plan_formats: taker.plan_formats.clone(),
        staging: None,
        only_run: taker.only_run,
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
    };
    store.intend(&claimed.lease, &intent).await
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

#[tokio::test(flavor = "multi_thread")]
async fn two_claimers_never_take_the_same_stage_run() {
    let db = database().await;
    let run_id = start_run(&db.store, &many(200)).await;
    let claimers = (0..2).map(|_| {
        let store = db.store.clone();
        tokio::spawn(async move {
            let taker = taker();
            let mut taken = Vec::new();
            loop {
                let claimed = store.claim(&taker, 7).await.unwrap();
                if claimed.is_empty() {
                    return taken;
                }
                taken.extend(claimed.into_iter().map(|claimed| claimed.lease.stage_run_id));
            }
        })
    });
    let mut all = Vec::new();
    for claimer in claimers.collect::<Vec<_>>() {
        all.extend(claimer.await.unwrap());
    }
    // A claimer may have found nothing while the other held the last rows.
    all.extend(db.store.claim(&taker(), 200).await.unwrap().into_iter().map(|claimed| claimed.lease.stage_run_id));
    assert_eq!(all.len(), 200);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 200);
    assert_eq!(show(&db.store, run_id).await.run.state, RunState::Running);
}

#[tokio::test]
async fn a_stale_token_changes_nothing_and_says_so() {
    let db = database().await;
    let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
    let claimed = claim_one(&db.store, &taker()).await;
    let mut stale = claimed.clone();
    stale.lease.token = Uuid::new_v4();
    for end_with in [AttemptEnd::Succeeded, failure("no", false), AttemptEnd::Canceled, AttemptEnd::Lost] {
        assert_eq!(end(&db.store, &stale, end_with).await, Finished::Stale);
    }
    assert_eq!(intend(&db.store, &stale).await.unwrap_err().kind, StoreErrorKind::Stale);
    assert_eq!(db.store.record_handle(&stale.lease, &json!(1)).await.unwrap_err().kind, StoreErrorKind::Stale);
    assert_eq!(state_of(&show(&db.store, run_id).await, "a"), StageRunState::Running);
    assert_eq!(end(&db.store, &claimed, AttemptEnd::Succeeded).await, Finished::Accepted);
    assert_eq!(end(&db.store, &claimed, AttemptEnd::Succeeded).await, Finished::Stale);
    assert_eq!(show(&db.store, run_id).await.run.state, RunState::Succeeded);
}

#[tokio::test]
async fn a_chain_is_handed_over_in_the_transaction_that_finishes() {
    let db = database().await;
    let run_id = start_run(&db.store, &plan("chain", &[("a", &[]), ("b", &["a"]), ("c", &["b"])])).await;
    let taker = taker();
    let mut claimed = claim_one(&db.store, &taker).await;
    let mut order = vec![claimed.stage.clone()];
    loop {
        let report = db.store.finish(&[finish_of(&claimed, AttemptEnd::Succeeded)], Some((&taker, 1))).await.unwrap();
        let Some(next) = report.claimed.into_iter().next() else { break };
        order.push(next.stage.clone());
        claimed = next;
    }
    assert_eq!(order, ["a", "b", "c"]);
    let run = show(&db.store, run_id).await;
    assert_eq!(run.run.state, RunState::Succeeded);
    assert!(run.run.started_at.unwrap() <= run.run.finished_at.unwrap());
    assert!(run.tasks.iter().all(|task| task.attempts == 1));
}

#[tokio::test]
async fn a_join_becomes_ready_only_when_all_before_it_have_succeeded() {
    let db = database().await;
    start_run(&db.store, &plan("join", &[("a", &[]), ("b", &[]), ("c", &["a", "b"])])).await;
    let taker = taker();
    let first = db.store.claim(&taker, 10).await.unwrap();
    assert_eq!(first.len(), 2);
    end(&db.store, &first[0], AttemptEnd::Succeeded).await;
    assert!(db.store.claim(&taker, 10).await.unwrap().is_empty());
    end(&db.store, &first[1], AttemptEnd::Succeeded).await;
    assert_eq!(claim_one(&db.store, &taker).await.stage, "c");
}

#[tokio::test]
async fn both_sides_of_a_join_may_end_in_one_batch() {
    let db = database().await;
    let run_id = start_run(&db.store, &plan("join", &[("a", &[]), ("b", &[]), ("c", &["a", "b"])])).await;
    let taker = taker();
    let batch: Vec<Finish> = db
        .store
        .claim(&taker, 10)
        .await
        .unwrap()
        .iter()
        .map(|claimed| finish_of(claimed, AttemptEnd::Succeeded))
        .collect();
    let report = db.store.finish(&batch, Some((&taker, 2))).await.unwrap();
    assert_eq!(report.claimed.len(), 1);
    end(&db.store, &report.claimed[0], AttemptEnd::Succeeded).await;
    assert_eq!(show(&db.store, run_id).await.run.state, RunState::Succeeded);
}

#[tokio::test]
async fn a_hand_over_passes_over_nothing_that_is_of_better_rank() {
    let db = database().await;
    let taker = taker();
    start_run(&db.store, &plan("chain", &[("a", &[]), ("b", &["a"])])).await;
    let claimed = claim_one(&db.store, &taker).await;
    start_run(&db.store, &plan("other", &[("older", &[])])).await;
    let report = db.store.finish(&[finish_of(&claimed, AttemptEnd::Succeeded)], Some((&taker, 1))).await.unwrap();
    assert_eq!(report.claimed[0].stage, "older");
    assert_eq!(claim_one(&db.store, &taker).await.stage, "b");
}

#[tokio::test]
async fn priority_goes_first_and_age_counts_like_priority() {
    let db = database().await;
    let mut three = plan("p", &[("low", &[]), ("high", &[]), ("old", &[])]);
    three.stages[1].priority = 5;
    start_run(&db.store, &three).await;
    sqlx::query("UPDATE ready SET rank = rank - interval '10 minutes' FROM stage_runs s WHERE s.id = stage_run_id AND s.stage = 'old'")
        .execute(db.store.durable())
        .await
        .unwrap();
    let taker = taker();
    let mut order = Vec::new();
    for _ in 0..3 {
        order.push(claim_one(&db.store, &taker).await.stage);
    }
    assert_eq!(order, ["old", "high", "low"]);
}

#[tokio::test]
async fn a_transient_failure_is_queued_for_later_and_counted() {
    let db = database().await;
    let run_id = start_run(&db.store, &with_retry(plan("p", &[("b", &[])]), 2)).await;
    let taker = taker();
    let first = claim_one(&db.store, &taker).await;
    end(&db.store, &first, failure("connection reset", true)).await;
    assert!(db.store.claim(&taker, 1).await.unwrap().is_empty());
    let run = show(&db.store, run_id).await;
    assert_eq!(state_of(&run, "b"), StageRunState::Queued);
    assert!(run.stage_runs[0].run_at.is_some());
    skip_delays(&db.store).await;
    let second = claim_one(&db.store, &taker).await;
    assert_eq!((second.number, second.load_id), (2, first.load_id));
    end(&db.store, &second, failure("connection reset", true)).await;
    let run = show(&db.store, run_id).await;
    assert_eq!(run.run.state, RunState::Failed);
    assert_eq!(run.attempts.iter().map(|attempt| attempt.state).collect::<Vec<_>>(), [AttemptState::Failed; 2]);
}

#[tokio::test]
async fn a_stage_that_fails_for_good_skips_what_depends_on_it_and_fails_the_run() {
    let db = database().await;
    let stages = plan("p", &[("a", &[]), ("b", &[]), ("c", &["b"]), ("d", &["c"]), ("e", &["a"])]);
    let run_id = start_run(&db.store, &stages).await;
    let taker = taker();
    let claimed = db.store.claim(&taker, 10).await.unwrap();
    let b = claimed.iter().find(|claimed| claimed.stage == "b").unwrap();
    let a = claimed.iter().find(|claimed| claimed.stage == "a").unwrap();
    end(&db.store, b, failure("duplicate key", false)).await;
    let run = show(&db.store, run_id).await;
    assert_eq!(run.run.state, RunState::Running);
    assert_eq!([state_of(&run, "c"), state_of(&run, "d")], [StageRunState::Skipped; 2]);
    end(&db.store, a, AttemptEnd::Succeeded).await;
    let e = claim_one(&db.store, &taker).await;
    end(&db.store, &e, AttemptEnd::Succeeded).await;
    let run = show(&db.store, run_id).await;
    assert_eq!(run.run.state, RunState::Failed);
    assert_eq!(run.run.error.as_deref(), Some("duplicate key"));
    assert_eq!(run.run.error_task.as_deref(), Some("b"));
    assert_eq!(run.run.hint.as_deref(), Some("mend it"));
    let states: Vec<&str> = run.tasks.iter().map(|task| task.state.as_str()).collect();
    assert_eq!(states, ["succeeded", "failed", "skipped", "skipped", "succeeded"]);
}

#[tokio::test]
async fn a_stage_run_that_kills_its_worker_three_times_fails() {
    let db = database().await;
    let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
    for round in 1..=3 {
        let taker = taker();
        register(&db.store, &taker).await;
        skip_delays(&db.store).await;
        assert_eq!(claim_one(&db.store, &taker).await.number, round);
        let beat = WorkerBeat { id: taker.worker_id, beat: 0 };
        assert_eq!(db.store.lose_worker(beat).await.unwrap(), Some(1));
    }
    let run = show(&db.store, run_id).await;
    assert_eq!(run.run.state, RunState::Failed);
    assert!(run.run.error.unwrap().contains("went silent 3 times"));
}

#[tokio::test]
async fn a_worker_that_has_beaten_meanwhile_is_not_lost() {
    let db = database().await;
    start_run(&db.store, &plan("p", &[("a", &[])])).await;
    let taker = taker();
    register(&db.store, &taker).await;
    let claimed = claim_one(&db.store, &taker).await;
    let observed = WorkerBeat { id: taker.worker_id, beat: 0 };
    let answer = db.store.heartbeat(taker.worker_id, &[]).await.unwrap();
    assert_eq!(answer.held, [claimed.lease]);
    assert_eq!(db.store.lose_worker(observed).await.unwrap(), None);
    assert_eq!(db.store.lose_worker(WorkerBeat { beat: 1, ..observed }).await.unwrap(), Some(1));
    assert!(db.store.heartbeat(taker.worker_id, &[]).await.unwrap().lost);
    assert_eq!(end(&db.store, &claimed, AttemptEnd::Succeeded).await, Finished::Stale);
}

#[tokio::test]
async fn a_canceled_run_ends_what_nobody_holds_and_waits_for_the_rest() {
    let db = database().await;
    let run_id = start_run(&db.store, &plan("p", &[("a", &[]), ("b", &[]), ("c", &["a"])])).await;
    let taker = taker();
    register(&db.store, &taker).await;
    let held = claim_one(&db.store, &taker).await;
    let workspace = db.store.default_workspace();
    assert_eq!(workspace.cancel_run(run_id).await.unwrap(), RunState::Running);
    let run = show(&db.store, run_id).await;
    assert_eq!(run.stage_runs.iter().filter(|row| row.state == StageRunState::Canceled).count(), 2);
    let answer = db.store.heartbeat(taker.worker_id, &[]).await.unwrap();
    assert_eq!(answer.canceled, [held.lease.stage_run_id]);
    assert!(db.store.claim(&taker, 10).await.unwrap().is_empty());
    end(&db.store, &held, AttemptEnd::Canceled).await;
    assert_eq!(show(&db.store, run_id).await.run.state, RunState::Canceled);
    assert_eq!(workspace.cancel_run(run_id).await.unwrap(), RunState::Canceled);
}

#[tokio::test]
async fn an_intent_after_a_cancel_is_refused_and_one_before_it_may_commit() {
    let db = database().await;
    let workspace = db.store.default_workspace();
    let taker = taker();
    let refused_run = start_run(&db.store, &plan("p", &[("a", &[])])).await;
    let claimed = claim_one(&db.store, &taker).await;
    workspace.cancel_run(refused_run).await.unwrap();
    assert_eq!(intend(&db.store, &claimed).await.unwrap_err().kind, StoreErrorKind::Canceled);
    end(&db.store, &claimed, AttemptEnd::Canceled).await;

    let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
    let claimed = claim_one(&db.store, &taker).await;
    intend(&db.store, &claimed).await.unwrap();
    workspace.cancel_run(run_id).await.unwrap();
    let finish = Finish { receipts: vec![receipt(&claimed)], ..finish_of(&claimed, AttemptEnd::Succeeded) };
    db.store.finish(&[finish], None).await.unwrap();
    let run = show(&db.store, run_id).await;
    assert_eq!((run.run.state, state_of(&run, "a")), (RunState::Canceled, StageRunState::Succeeded));
    assert_eq!(run.receipts, [json!({ "rows_written": 3 })]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_and_an_intent_that_race_agree_on_who_came_first() {
    let db = database().await;
    for _ in 0..20 {
        let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
        let claimed = claim_one(&db.store, &taker()).await;
        let (workspace, store, other) = (db.store.default_workspace(), db.store.clone(), claimed.clone());
        let cancel = tokio::spawn(async move { workspace.cancel_run(run_id).await.unwrap() });
        let intent = tokio::spawn(async move { intend(&store, &other).await });
        cancel.await.unwrap();
        match intent.await.unwrap() {
            Ok(()) => {
                let finish = Finish { receipts: vec![receipt(&claimed)], ..finish_of(&claimed, AttemptEnd::Succeeded) };
                db.store.finish(&[finish], None).await.unwrap();
            }
            Err(error) => {
                assert_eq!(error.kind, StoreErrorKind::Canceled);
                end(&db.store, &claimed, AttemptEnd::Canceled).await;
            }
        }
        assert_eq!(show(&db.store, run_id).await.run.state, RunState::Canceled);
    }
}

/// An attempt that was lost after its intent, in a run that is canceled: the next claim is a fence.
async fn lost_while_committing(store: &Store) -> (Uuid, Claimed, Claimed) {
    let run_id = start_run(store, &plan("p", &[("a", &[]), ("b", &["a"])])).await;
    let taker = taker();
    register(store, &taker).await;
    let first = claim_one(store, &taker).await;
    intend(store, &first).await.unwrap();
    store.lose_worker(WorkerBeat { id: taker.worker_id, beat: 0 }).await.unwrap();
    store.default_workspace().cancel_run(run_id).await.unwrap();
    let run = show(store, run_id).await;
    assert_eq!((run.run.state, state_of(&run, "a")), (RunState::Running, StageRunState::Queued));
    let fence = claim_one(store, &taker).await;
    assert!(fence.fence);
    assert_eq!(fence.load_id, first.load_id);
    (run_id, first, fence)
}

#[tokio::test]
async fn a_load_that_might_still_commit_is_fenced_before_its_stage_run_is_canceled() {
    let db = database().await;
    let (run_id, _, fence) = lost_while_committing(&db.store).await;
    end(&db.store, &fence, AttemptEnd::Fenced).await;
    let run = show(&db.store, run_id).await;
    assert_eq!((run.run.state, state_of(&run, "a")), (RunState::Canceled, StageRunState::Canceled));
    // The load id is taken in the target for ever, so the rerun has a new one.
    let rerun = db.store.default_workspace().rerun(run_id, RerunMode::FromFailure, None).await.unwrap();
    assert_ne!(show(&db.store, rerun).await.stage_runs[0].load_id, fence.load_id);
}

#[tokio::test]
async fn a_fence_that_finds_the_commit_makes_the_stage_run_a_success() {
    let db = database().await;
    let (run_id, first, fence) = lost_while_committing(&db.store).await;
    let intent = db.store.default_workspace().recorded_intent(first.load_id, first.number).await.unwrap();
    assert_eq!(intent, Some(json!({ "attempt": 1 })));
    let adopted = LoadReceipt { attempt: first.number, ..receipt(&first) };
    let finish = Finish { receipts: vec![adopted], ..finish_of(&fence, AttemptEnd::Succeeded) };
    db.store.finish(&[finish], None).await.unwrap();
    let run = show(&db.store, run_id).await;
    assert_eq!((run.run.state, state_of(&run, "a")), (RunState::Canceled, StageRunState::Succeeded));
    assert_eq!(run.receipts.len(), 1);
}

#[tokio::test]
async fn a_fence_whose_target_is_down_is_tried_again() {
    let db = database().await;
    let (run_id, _, fence) = lost_while_committing(&db.store).await;
    end(&db.store, &fence, failure("connection refused", true)).await;
    assert_eq!(show(&db.store, run_id).await.run.state, RunState::Running);
    skip_delays(&db.store).await;
    let again = claim_one(&db.store, &taker()).await;
    assert!(again.fence);
    end(&db.store, &again, AttemptEnd::Fenced).await;
    assert_eq!(show(&db.store, run_id).await.run.state, RunState::Canceled);
}

#[tokio::test]
async fn a_waiting_stage_run_holds_nothing_and_is_woken_when_due() {
    let db = database().await;
    let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
    let taker = taker();
    let first = claim_one(&db.store, &taker).await;
    assert_eq!(first.woken_at, None);
    end(&db.store, &first, AttemptEnd::Waiting(Duration::from_secs(3600))).await;
    assert_eq!(db.store.counts().await.unwrap().leases, 0);
    assert_eq!(db.store.wake_due().await.unwrap(), 0);
    sqlx::query("UPDATE wakes SET wake_at = clock_timestamp()").execute(db.store.durable()).await.unwrap();
    assert_eq!(db.store.wake_due().await.unwrap(), 1);
    let second = claim_one(&db.store, &taker).await;
    assert!(second.woken_at.is_some());
    end(&db.store, &second, AttemptEnd::Succeeded).await;
    assert_eq!(show(&db.store, run_id).await.run.state, RunState::Succeeded);
}

#[tokio::test]
async fn a_canceled_run_does_not_wait_for_its_wakes() {
    let db = database().await;
    let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
    let first = claim_one(&db.store, &taker()).await;
    end(&db.store, &first, AttemptEnd::Waiting(Duration::from_secs(3600))).await;
    assert_eq!(db.store.default_workspace().cancel_run(run_id).await.unwrap(), RunState::Canceled);
    assert_eq!(db.store.counts().await.unwrap().waiting, 0);
}

#[tokio::test]
async fn a_pinned_run_is_claimed_by_its_worker_alone_until_that_is_lost() {
    let db = database().await;
    let mine = taker();
    register(&db.store, &mine).await;
    let version_id = crate::testing::save(&db.store, &plan("p", &[("a", &[])])).await;
    let run = NewRun {
        version_id,
        params: serde_json::Map::new(),
        trigger: Trigger::Manual,
        interval: None,
        pinned_worker: Some(mine.worker_id),
    };
    let run_id = db.store.default_workspace().create_run(&run).await.unwrap();
    start_run(&db.store, &plan("other", &[("x", &[])])).await;
    let only_mine = Taker { only_run: Some(run_id), ..mine.clone() };
    assert_eq!(db.store.claim(&taker(), 10).await.unwrap()[0].stage, "x");
    assert_eq!(db.store.claim(&only_mine, 10).await.unwrap().len(), 1);
    db.store.lose_worker(WorkerBeat { id: mine.worker_id, beat: 0 }).await.unwrap();
    skip_delays(&db.store).await;
    let other = taker();
    assert_eq!(claim_one(&db.store, &other).await.lease.run_id, run_id);
}

#[tokio::test]
async fn a_rerun_from_failure_takes_successes_over_and_keeps_the_load_ids_of_the_rest() {
    let db = database().await;
    let workspace = db.store.default_workspace();
    let run_id = start_run(&db.store, &plan("p", &[("a", &[]), ("b", &["a"]), ("c", &["b"])])).await;
    let taker = taker();
    let a = claim_one(&db.store, &taker).await;
    let finish = Finish { manifest: Some(json!({ "files": [1] })), ..finish_of(&a, AttemptEnd::Succeeded) };
    db.store.finish(&[finish], None).await.unwrap();
    let b = claim_one(&db.store, &taker).await;
    db.store.record_handle(&b.lease, &json!({ "pid": 7 })).await.unwrap();
    assert!(workspace.rerun(run_id, RerunMode::FromFailure, None).await.is_err());
    end(&db.store, &b, failure("no", false)).await;
    let again = workspace.rerun(run_id, RerunMode::FromFailure, None).await.unwrap();
    let b2 = claim_one(&db.store, &taker).await;
    assert_eq!((b2.stage.as_str(), b2.load_id, b2.number), ("b", b.load_id, 2));
    let inputs = workspace.attempt_inputs(&b2).await.unwrap();
    assert_eq!(inputs.handles, [json!({ "pid": 7 })]);
    assert_eq!(inputs.manifests["a"], json!({ "files": [1] }));
    end(&db.store, &b2, AttemptEnd::Succeeded).await;
    end(&db.store, &claim_one(&db.store, &taker).await, AttemptEnd::Succeeded).await;
    let run = show(&db.store, again).await;
    assert_eq!(run.run.state, RunState::Succeeded);
    assert_eq!(run.rerun_of, Some(run_id));
    assert!(run.stage_runs[0].reused_from.is_some());
    let all = workspace.rerun(again, RerunMode::All, None).await.unwrap();
    assert!(show(&db.store, all).await.stage_runs.iter().all(|row| row.load_id != b.load_id && row.attempt == 0));
    assert!(workspace.rerun(again, RerunMode::FromFailure, None).await.unwrap_err().hint.unwrap().contains("--all"));
}

#[tokio::test]
async fn the_reconciler_mends_what_has_lost_its_row_and_finds_nothing_in_a_healthy_run() {
    let db = database().await;
    let run_id = start_run(&db.store, &plan("p", &[("a", &[]), ("b", &[]), ("c", &["a"])])).await;
    let taker = taker();
    register(&db.store, &taker).await;
    let claimed = claim_one(&db.store, &taker).await;
    assert!(db.store.reconcile().await.unwrap().is_empty());
    sqlx::query("DELETE FROM ready").execute(db.store.durable()).await.unwrap();
    sqlx::query("DELETE FROM leases").execute(db.store.durable()).await.unwrap();
    let repairs = db.store.reconcile().await.unwrap();
    assert_eq!(repairs.len(), 2, "{repairs:?}");
    assert_eq!(end(&db.store, &claimed, AttemptEnd::Succeeded).await, Finished::Stale);
    assert!(db.store.reconcile().await.unwrap().is_empty());
    skip_delays(&db.store).await;
    for _ in 0..3 {
        end(&db.store, &claim_one(&db.store, &taker).await, AttemptEnd::Succeeded).await;
    }
    assert_eq!(show(&db.store, run_id).await.run.state, RunState::Succeeded);
}

#[tokio::test]
async fn a_lease_of_an_unknown_worker_is_given_up() {
    let db = database().await;
    start_run(&db.store, &plan("p", &[("a", &[])])).await;
    claim_one(&db.store, &taker()).await;
    assert_eq!(db.store.reconcile().await.unwrap().len(), 1);
    assert_eq!(db.store.counts().await.unwrap().leases, 0);
}

#[tokio::test]
async fn progress_is_shown_while_the_attempt_runs_and_counts_stay_after_it() {
    let db = database().await;
    let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
    let taker = taker();
    register(&db.store, &taker).await;
    let claimed = claim_one(&db.store, &taker).await;
    let counts = std::collections::BTreeMap::from([("a".to_owned(), json!({ "rows": 5, "bytes": 40 }))]);
    db.store.heartbeat(taker.worker_id, &[crate::Beat::new(&claimed.lease, &counts).unwrap()]).await.unwrap();
    let task = show(&db.store, run_id).await.tasks.remove(0);
    assert_eq!((task.state.as_str(), task.rows, task.bytes), ("running", 5, 40));
    let done = crate::state::TaskEnd {
        task: "a".to_owned(),
        state: crate::state::TaskRunState::Succeeded,
        rows: 9,
        bytes: 72,
        rejected: 1,
        busy_us: 3,
    };
    let finish = Finish { tasks: vec![done], ..finish_of(&claimed, AttemptEnd::Succeeded) };
    db.store.finish(&[finish], None).await.unwrap();
    let task = show(&db.store, run_id).await.tasks.remove(0);
    assert_eq!((task.state.as_str(), task.rows, task.rejected), ("succeeded", 9, 1));
}

#[tokio::test]
async fn log_lines_come_back_in_order_and_long_ones_are_cut() {
    let db = database().await;
    let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
    let claimed = claim_one(&db.store, &taker()).await;
    let line = |message: &str| crate::LogLine {
        lease: claimed.lease,
        attempt_id: claimed.attempt_id,
        level: "info",
        task: None,
        message: message.to_owned(),
        at: chrono::Utc::now(),
    };
    let long = "é".repeat(crate::MAX_LOG_MESSAGE_BYTES);
    db.store.append_logs(&[line("one"), line("two\0"), line(&long)]).await.unwrap();
    let workspace = db.store.default_workspace();
    let rows = workspace.logs(run_id, None, 10).await.unwrap();
    assert_eq!((rows[0].message.as_str(), rows[1].message.as_str()), ("one", "two\u{fffd}"));
    assert_eq!(rows[2].message.len(), crate::MAX_LOG_MESSAGE_BYTES);
    assert_eq!(workspace.logs(run_id, Some(rows[1].id), 10).await.unwrap().len(), 1);
}
