//! Cancels, and the fences that they may need.

use super::*;

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
    store.lose_worker(WorkerBeat { id: taker.worker_id, beat: 0, lease_time_ms: 30_000 }).await.unwrap();
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
    let rerun = db.store.default_workspace().rerun(run_id, RerunMode::FromFailure, None).await.unwrap().run_id;
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
async fn a_canceled_run_does_not_wait_for_its_wakes() {
    let db = database().await;
    let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
    let first = claim_one(&db.store, &taker()).await;
    end(&db.store, &first, AttemptEnd::Waiting(Duration::from_secs(3600))).await;
    assert_eq!(db.store.default_workspace().cancel_run(run_id).await.unwrap(), RunState::Canceled);
    assert_eq!(db.store.counts().await.unwrap().waiting, 0);
}
