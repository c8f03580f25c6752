//! Who gets a stage run, and who loses it.

use super::*;

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
async fn a_finish_that_is_repeated_because_its_answer_got_lost_recognises_its_own() {
    let db = database().await;
    let run_id = start_run(&db.store, &plan("p", &[("a", &[]), ("b", &[])])).await;
    for end_with in [AttemptEnd::Succeeded, failure("no", false)] {
        let claimed = claim_one(&db.store, &taker()).await;
        assert_eq!(end(&db.store, &claimed, end_with.clone()).await, Finished::Accepted);
        assert_eq!(end(&db.store, &claimed, end_with).await, Finished::Accepted);
    }
    assert_eq!(show(&db.store, run_id).await.run.state, RunState::Failed);
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
    assert_eq!(end(&db.store, &claimed, failure("no", false)).await, Finished::Stale);
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
        let report =
            db.store.finish(&[finish_of(&claimed, AttemptEnd::Succeeded)], Some((&taker, 1.into()))).await.unwrap();
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
async fn a_hand_over_passes_over_nothing_that_is_of_better_rank() {
    let db = database().await;
    let taker = taker();
    start_run(&db.store, &plan("chain", &[("a", &[]), ("b", &["a"])])).await;
    let claimed = claim_one(&db.store, &taker).await;
    start_run(&db.store, &plan("other", &[("older", &[])])).await;
    let report =
        db.store.finish(&[finish_of(&claimed, AttemptEnd::Succeeded)], Some((&taker, 1.into()))).await.unwrap();
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
    db.store.lose_worker(WorkerBeat { id: mine.worker_id, beat: 0, lease_time_ms: 30_000 }).await.unwrap();
    skip_delays(&db.store).await;
    let other = taker();
    assert_eq!(claim_one(&db.store, &other).await.lease.run_id, run_id);
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
async fn a_stage_with_labels_goes_to_a_worker_that_has_them_all_and_why_says_so() {
    let db = database().await;
    let mut plan = plan("labeled", &[("a", &[]), ("b", &["a"])]);
    plan.plan_format = LABELED_PLAN_FORMAT;
    plan.stages.iter_mut().for_each(|stage| stage.labels = vec!["eu".to_owned(), "gpu".to_owned()]);
    let run_id = start_run(&db.store, &plan).await;
    let with = |labels: &[&str]| Taker {
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        plan_formats: vec![PLAN_FORMAT, LABELED_PLAN_FORMAT],
        ..taker()
    };
    let (half, able, unaware) = (with(&["eu"]), with(&["gpu", "us", "eu"]), taker());
    for taker in [&half, &unaware] {
        register(&db.store, taker).await;
        assert!(db.store.claim(taker, 9).await.unwrap().is_empty());
    }
    let why = db.store.default_workspace().why(run_id, Some("a")).await.unwrap().remove(0).causes;
    assert!(matches!(&why[..], [Cause::NoWorker { labels, .. }] if labels[..] == ["eu", "gpu"]), "{why:?}");
    assert!(!db.store.is_served(&plan.stages[0], Duration::from_secs(60)).await.unwrap());
    register(&db.store, &able).await;
    assert!(db.store.is_served(&plan.stages[0], Duration::from_secs(60)).await.unwrap());
    let first = claim_one(&db.store, &able).await;
    let finish = finish_of(&first, AttemptEnd::Succeeded);
    let handed_over = db.store.finish(&[finish], Some((&half, 9.into()))).await.unwrap().claimed;
    assert!(handed_over.is_empty(), "a hand-over passes the same admission");
    let second = claim_one(&db.store, &able).await;
    assert_eq!(end(&db.store, &second, AttemptEnd::Canceled).await, Finished::Accepted);
    assert!(db.store.claim(&half, 9).await.unwrap().is_empty(), "what is handed back asks for the same");
    claim_one(&db.store, &able).await;
}
