//! Workers that go silent, and what becomes of what they held.

use super::*;

/// What a reaper does once it has seen the same beat for the lease time. The last beat of a worker that was dropped may still be on its way.
async fn give_up(store: &Store, worker_id: Uuid) {
    loop {
        let watched = store.watched_workers().await.unwrap();
        let beat: WorkerBeat = watched.iter().map(|worker| worker.beat).find(|beat| beat.id == worker_id).unwrap();
        if store.lose_worker(beat).await.unwrap().is_some() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_worker_held_is_done_by_another() {
    let db = database().await;
    let runner = Scripted::new([("a", vec![Act::HangCommitting, Act::Load])]);
    let first = start(&db.store, &runner, config()).await;
    let first_id = first.id();
    let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
    runner.intended.notified().await;
    drop(first);
    give_up(&db.store, first_id).await;
    let second = start(&db.store, &runner, config()).await;
    let run = until_ended(&db.store, run_id).await;
    assert_eq!(run.run.state, RunState::Succeeded);
    assert_eq!(run.attempts[0].state, AttemptState::Lost);
    assert_eq!(run.receipts[0]["attempt"], 2);
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_whose_claim_was_never_answered_is_handed_back() {
    let db = database().await;
    let runner = Scripted::new([("a", vec![Act::Succeed, Act::Succeed])]);
    let elsewhere = WorkerConfig { queues: vec!["other".to_owned()], ..config() };
    let worker = start(&db.store, &runner, elsewhere).await;
    let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
    let taker = Taker {
        worker_id: worker.id(),
        queues: vec!["default".to_owned()],
        labels: Vec::new(),
        plan_formats: WorkerConfig::plan_formats(),
        host: "here".to_owned(),
        only_run: None,
    };
    assert_eq!(db.store.claim(&taker, 1).await.unwrap().len(), 1);
    let run = until(&db.store, run_id, |run| run.attempts[0].state != AttemptState::Running).await;
    assert_eq!(run.attempts[0].state, AttemptState::Canceled);
    assert_eq!(db.store.counts().await.unwrap().leases, 0);
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_given_up_stops_its_attempts_and_comes_back_as_another() {
    let db = database().await;
    let runner = Scripted::new([("a", vec![Act::Hang, Act::Succeed])]);
    let worker = start(&db.store, &runner, config()).await;
    let before = worker.id();
    let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
    runner.started.notified().await;
    while db.store.lose_worker(db.store.watched_workers().await.unwrap()[0].beat).await.unwrap().is_none() {}
    let run = until_ended(&db.store, run_id).await;
    assert_eq!(run.run.state, RunState::Succeeded);
    assert_ne!(worker.id(), before);
    assert_eq!(run.attempts[1].worker_id, worker.id());
    worker.shutdown().await;
}

/// A run that is canceled after its attempt was lost behind its intent, and a worker that finds that.
async fn fence_after_loss(found: Option<Taken>) -> (RunDetail, Arc<Scripted>) {
    let db = database().await;
    let runner = Scripted::new([("a", vec![Act::HangCommitting])]);
    let first = start(&db.store, &runner, config()).await;
    let first_id = first.id();
    let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
    runner.intended.notified().await;
    drop(first);
    give_up(&db.store, first_id).await;
    db.store.default_workspace().cancel_run(run_id).await.unwrap();
    *runner.fence.lock() = found;
    let second = start(&db.store, &runner, config()).await;
    let run = until_ended(&db.store, run_id).await;
    second.shutdown().await;
    (run, runner)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_load_is_fenced_before_its_run_is_canceled() {
    let (run, runner) = fence_after_loss(None).await;
    assert_eq!((run.run.state, run.tasks[0].state.as_str()), (RunState::Canceled, "canceled"));
    assert_eq!((runner.fences.load(Ordering::SeqCst), runner.calls.lock().len()), (1, 1));
    assert!(run.receipts.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_that_finds_the_commit_adopts_it() {
    let (run, _) = fence_after_loss(Some(Taken { attempt: 1, version: Some("4".to_owned()) })).await;
    assert_eq!((run.run.state, run.tasks[0].state.as_str()), (RunState::Canceled, "succeeded"));
    assert_eq!((&run.receipts[0]["adopted"], &run.receipts[0]["version"]), (&json!(true), &json!("4")));
    assert_eq!(run.tasks[0].rows, 3);
}
