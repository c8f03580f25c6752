//! Attempts from claim to end, and a worker from start to shutdown.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_from_its_first_stage_to_its_last() {
    let diamond = plan("p", &[("a", &[]), ("b", &["a"]), ("c", &["a"]), ("d", &["b", "c"])]);
    let runner = Scripted::new([("d", vec![Act::Load])]);
    let (_db, run) = run_plan(&diamond, &runner).await;
    assert_eq!(run.run.state, RunState::Succeeded);
    assert_eq!(run.receipts[0]["rows_written"], 3);
    assert!(run.tasks.iter().all(|task| (task.state.as_str(), task.rows, task.attempts) == ("succeeded", 7, 1)));
    let calls = runner.calls.lock().clone();
    assert_eq!((calls[0].0.as_str(), calls[3].0.as_str(), calls.len()), ("a", "d", 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn never_more_attempts_run_than_there_are_slots() {
    let names: Vec<String> = (0..60).map(|number| format!("s{number}")).collect();
    let stages: Vec<(&str, &[&str])> = names.iter().map(|name| (name.as_str(), &[][..])).collect();
    let runner = Scripted::new([]);
    let (_db, run) = run_plan(&plan("wide", &stages), &runner).await;
    assert_eq!(run.run.state, RunState::Succeeded);
    assert_eq!(runner.calls.lock().len(), 60);
    assert!(runner.most.load(Ordering::SeqCst) <= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_retried_and_its_text_is_kept_without_secrets() {
    let runner = Scripted::new([("a", vec![Act::Fail(ErrorKind::Transient), Act::Fail(ErrorKind::Config)])]);
    let (db, run) = run_plan(&retrying(plan("p", &[("a", &[]), ("b", &["a"])]), 5), &runner).await;
    assert_eq!(run.run.state, RunState::Failed);
    assert_eq!(run.run.error.as_deref(), Some("the password is ***"));
    assert_eq!((run.run.error_task.as_deref(), run.run.hint.as_deref()), (Some("a"), Some("mend it")));
    assert_eq!(runner.calls.lock().len(), 2);
    assert_eq!(run.tasks.iter().map(|task| task.state.as_str()).collect::<Vec<_>>(), ["failed", "skipped"]);
    let logs = db.store.default_workspace().logs(run.run.run_id, None, 10).await.unwrap();
    assert_eq!(logs.len(), 2);
    assert!(logs.iter().all(|line| line.level == "error" && !line.message.contains("hunter22")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_the_engine_fails_the_attempt_and_not_the_worker() {
    let runner = Scripted::new([("a", vec![Act::Panic])]);
    let (_db, run) = run_plan(&plan("p", &[("a", &[]), ("b", &[])]), &runner).await;
    assert_eq!(run.run.state, RunState::Failed);
    assert_eq!(run.run.error.as_deref(), Some("the engine panicked: on purpose"));
    assert_eq!(run.tasks[1].state, "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_are_stored_before_the_run_ends() {
    let runner = Scripted::new([("a", vec![Act::Say("connecting as hunter22")])]);
    let (db, run) = run_plan(&plan("p", &[("a", &[])]), &runner).await;
    let logs = db.store.default_workspace().logs(run.run.run_id, None, 10).await.unwrap();
    assert_eq!(logs[0].message, "connecting as ***");
    assert_eq!(logs[0].task.as_deref(), Some("a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_reaches_the_attempt_within_a_second() {
    let db = database().await;
    let runner = Scripted::new([("a", vec![Act::Hang])]);
    let worker = start(&db.store, &runner, config()).await;
    let run_id = start_run(&db.store, &plan("p", &[("a", &[]), ("b", &["a"])])).await;
    runner.started.notified().await;
    let asked = std::time::Instant::now();
    db.store.default_workspace().cancel_run(run_id).await.unwrap();
    let run = until_ended(&db.store, run_id).await;
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    assert_eq!(run.run.state, RunState::Canceled);
    assert!(run.tasks.iter().all(|task| task.state == "canceled"));
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_attempt_that_computes_without_a_pause_gives_up_its_slot_and_cannot_commit() {
    let db = database().await;
    let runner = Scripted::new([("a", vec![Act::Compute])]);
    let worker = start(&db.store, &runner, WorkerConfig { slots: 1, ..config() }).await;
    let run_id = start_run(&db.store, &moving_data(plan("p", &[("a", &[])]))).await;
    runner.started.notified().await;
    let asked = std::time::Instant::now();
    db.store.default_workspace().cancel_run(run_id).await.unwrap();
    let run = until_ended(&db.store, run_id).await;
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    assert_eq!((run.run.state, run.tasks[0].state.as_str()), (RunState::Canceled, "canceled"));
    let logs = db.store.default_workspace().logs(run_id, None, 10).await.unwrap();
    assert!(logs.iter().any(|line| line.message.contains("nothing of it is loaded")), "{logs:?}");
    // The only slot is free, while the attempt still computes.
    let next = start_run(&db.store, &moving_data(plan("q", &[("b", &[])]))).await;
    assert_eq!(until_ended(&db.store, next).await.run.state, RunState::Succeeded);
    assert!(runner.late.lock().is_empty());
    *runner.computed.0.lock() = true;
    runner.computed.1.notify_all();
    runner.answered.notified().await;
    assert_eq!(runner.late.lock()[0].as_ref().unwrap_err().kind, ErrorKind::Canceled);
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_shuts_down_hands_back_what_does_not_end() {
    let db = database().await;
    let runner = Scripted::new([("a", vec![Act::Hang, Act::Succeed])]);
    let impatient = WorkerConfig { grace: Duration::from_millis(50), ..config() };
    let first = start(&db.store, &runner, impatient).await;
    let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
    runner.started.notified().await;
    first.shutdown().await;
    assert_eq!(db.store.counts().await.unwrap().leases, 0);
    let second = start(&db.store, &runner, config()).await;
    let run = until_ended(&db.store, run_id).await;
    assert_eq!(run.run.state, RunState::Succeeded);
    let states: Vec<AttemptState> = run.attempts.iter().map(|attempt| attempt.state).collect();
    assert_eq!(states, [AttemptState::Canceled, AttemptState::Succeeded]);
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_for_one_run_claims_it_alone_and_wakes_it_itself() {
    let db = database().await;
    let runner = Scripted::new([("a", vec![Act::Wait(Duration::from_millis(50))])]);
    start_run(&db.store, &plan("other", &[("x", &[])])).await;
    let id = Uuid::new_v4();
    let run = NewRun {
        version_id: headwater_store::testing::save(&db.store, &plan("p", &[("a", &[]), ("b", &["a"])])).await,
        params: serde_json::Map::new(),
        trigger: Trigger::Manual,
        interval: None,
        pinned_worker: Some(id),
    };
    let run_id = db.store.default_workspace().create_run(&run).await.unwrap();
    let worker = start(&db.store, &runner, WorkerConfig { id: Some(id), only_run: Some(run_id), ..config() }).await;
    let run = until_ended(&db.store, run_id).await;
    assert_eq!(run.run.state, RunState::Succeeded);
    let states: Vec<AttemptState> = run.attempts.iter().map(|attempt| attempt.state).collect();
    assert_eq!(states[..2], [AttemptState::Waiting, AttemptState::Succeeded]);
    worker.shutdown().await;
    assert!(runner.calls.lock().iter().all(|(stage, _)| stage != "x"));
}
