//! What the end of an attempt does to its stage run, its run and what depends on it.

use super::*;

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
    let report = db.store.finish(&batch, Some((&taker, 2.into()))).await.unwrap();
    assert_eq!(report.claimed.len(), 1);
    end(&db.store, &report.claimed[0], AttemptEnd::Succeeded).await;
    assert_eq!(show(&db.store, run_id).await.run.state, RunState::Succeeded);
}

#[tokio::test]
async fn of_two_ends_of_one_stage_run_in_a_batch_only_the_one_with_the_current_token_leaves_anything() {
    let db = database().await;
    let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
    let current = claim_one(&db.store, &taker()).await;
    let stale = Claimed { lease: LeaseKey { token: Uuid::new_v4(), ..current.lease }, ..current.clone() };
    let ended = |claimed: &Claimed, rows: i64| {
        let task = TaskEnd {
            task: "a".to_owned(),
            state: TaskRunState::Succeeded,
            rows,
            bytes: rows,
            rejected: rows,
            busy_us: rows,
        };
        let manifest = Some(json!({ "rows": rows }));
        Finish { tasks: vec![task], manifest, host: None, ..finish_of(claimed, AttemptEnd::Succeeded) }
    };
    for batch in [[ended(&stale, 1), ended(&current, 2)], [ended(&current, 3), ended(&stale, 4)]] {
        db.store.finish(&batch, None).await.unwrap();
        let run = show(&db.store, run_id).await;
        let task = &run.tasks[0];
        assert_eq!((task.rows, task.bytes, task.rejected, task.busy_us), (2, 2, 2, 2));
        let manifest: serde_json::Value =
            sqlx::query_scalar("SELECT manifest FROM stage_runs").fetch_one(db.store.durable()).await.unwrap();
        assert_eq!(manifest, json!({ "rows": 2 }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_of_a_join_may_end_at_once_on_two_workers_while_one_of_them_beats() {
    let db = database().await;
    let join = plan("join", &[("a", &[]), ("b", &[]), ("c", &["a", "b"])]);
    let (one, two) = (taker(), taker());
    for _ in 0..30 {
        let run_id = start_run(&db.store, &join).await;
        let (a, b) = (claim_one(&db.store, &one).await, claim_one(&db.store, &two).await);
        let ends = [finish_of(&a, AttemptEnd::Succeeded), finish_of(&b, AttemptEnd::Succeeded)];
        register(&db.store, &one).await;
        let beats = [Beat {
            stage_run_id: a.lease.stage_run_id,
            token: a.lease.token,
            progress: json!({ "a": { "rows": 1 } }),
            waits_for: None,
        }];
        let (first, second, beaten) = tokio::join!(
            db.store.finish(&ends[..1], Some((&one, 1.into()))),
            db.store.finish(&ends[1..], Some((&two, 1.into()))),
            db.store.heartbeat(one.worker_id, &beats),
        );
        beaten.unwrap();
        let mut handed_over: Vec<Claimed> =
            [first, second].into_iter().flat_map(|done| done.unwrap().claimed).collect();
        assert_eq!(handed_over.len(), 1, "the last of the two hands the join over");
        let last = handed_over.remove(0);
        assert_eq!((&*last.stage, last.lease.run_id), ("c", run_id));
        assert_eq!(end(&db.store, &last, AttemptEnd::Succeeded).await, Finished::Accepted);
        assert_eq!(show(&db.store, run_id).await.run.state, RunState::Succeeded);
        db.store.remove_worker(one.worker_id).await.unwrap();
    }
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
        let beat = WorkerBeat { id: taker.worker_id, beat: 0, lease_time_ms: 30_000 };
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
    let observed = WorkerBeat { id: taker.worker_id, beat: 0, lease_time_ms: 30_000 };
    let answer = db.store.heartbeat(taker.worker_id, &[]).await.unwrap();
    assert_eq!(answer.held, [claimed.lease]);
    assert_eq!(db.store.lose_worker(observed).await.unwrap(), None);
    assert_eq!(db.store.lose_worker(WorkerBeat { beat: 1, ..observed }).await.unwrap(), Some(1));
    assert!(db.store.heartbeat(taker.worker_id, &[]).await.unwrap().lost);
    assert_eq!(end(&db.store, &claimed, AttemptEnd::Succeeded).await, Finished::Stale);
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
    let again = workspace.rerun(run_id, RerunMode::FromFailure, None).await.unwrap().run_id;
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
    let all = workspace.rerun(again, RerunMode::All, None).await.unwrap().run_id;
    assert!(show(&db.store, all).await.stage_runs.iter().all(|row| row.load_id != b.load_id && row.attempt == 0));
    let refused = workspace.rerun(again, RerunMode::FromFailure, None).await.unwrap_err();
    assert_eq!(refused.suggest, Some(crate::Suggest::Rerun { run: again, all: true }));
}

#[tokio::test]
async fn progress_is_shown_while_the_attempt_runs_and_counts_stay_after_it() {
    let db = database().await;
    let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
    let taker = taker();
    register(&db.store, &taker).await;
    let claimed = claim_one(&db.store, &taker).await;
    let counts = std::collections::BTreeMap::from([("a".to_owned(), json!({ "rows": 5, "bytes": 40 }))]);
    db.store.heartbeat(taker.worker_id, &[crate::Beat::new(&claimed.lease, &counts, None).unwrap()]).await.unwrap();
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
