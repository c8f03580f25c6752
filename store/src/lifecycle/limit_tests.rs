//! Limits, pauses, and why a run is where it is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and joins what it spawns"
)]

use headwater_pipelines::plan::Plan;
use uuid::Uuid;

use super::tests::{claim_one, end, failure, finish_of, many, register, taker, with_retry};
use super::*;
use crate::testing::{database, plan, start_run};
use crate::{Cause, Scope, Store, StoreErrorKind, Workspace};

async fn approve(store: &Store, plan: &Plan) {
    let text = serde_json::to_string(plan).unwrap();
    let spec = serde_json::json!({});
    let version = crate::NewVersion { spec_text: &text, spec: &spec, plan };
    store.default_workspace().apply(&version, None).await.unwrap();
}

async fn causes(workspace: &Workspace, run: Uuid, stage: &str) -> Vec<Cause> {
    let answers = workspace.why(run, None).await.unwrap();
    answers.into_iter().find(|why| why.stage == stage).unwrap().causes
}

fn queue() -> Scope {
    Scope::Queue("default".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_holds_however_many_claim_at_once() {
    let db = database().await;
    start_run(&db.store, &many(60)).await;
    db.store.default_workspace().set_limit(&queue(), 5).await.unwrap();
    let claimers = (0..8).map(|_| {
        let store = db.store.clone();
        tokio::spawn(async move { store.claim(&taker(), 3).await.unwrap().len() })
    });
    let mut total = 0;
    for claimed in claimers.collect::<Vec<_>>() {
        total += claimed.await.unwrap();
    }
    assert_eq!(total, 5);
    assert_eq!(db.store.default_workspace().limits().await.unwrap()[0].held, 5);
}

#[tokio::test]
async fn a_hand_over_honours_limits_and_takes_the_place_that_came_free() {
    let db = database().await;
    start_run(&db.store, &many(10)).await;
    db.store.default_workspace().set_limit(&Scope::Workspace, 2).await.unwrap();
    let taker = taker();
    let first = db.store.claim(&taker, 10).await.unwrap();
    assert_eq!(first.len(), 2);
    let done = [finish_of(&first[0], AttemptEnd::Succeeded)];
    let report = db.store.finish(&done, Some((&taker, 8.into()))).await.unwrap();
    assert_eq!((report.results[0], report.claimed.len()), (Finished::Accepted, 1));
}

#[tokio::test]
async fn what_a_full_limit_holds_back_does_not_hold_back_others() {
    let db = database().await;
    approve(&db.store, &many(5)).await;
    start_run(&db.store, &many(5)).await;
    start_run(&db.store, &plan("other", &[("a", &[]), ("b", &[])])).await;
    db.store.default_workspace().set_limit(&Scope::Pipeline("many".to_owned()), 1).await.unwrap();
    let claimed = db.store.claim(&taker(), 10).await.unwrap();
    let stages: Vec<&str> = claimed.iter().map(|claimed| claimed.stage.as_str()).collect();
    assert_eq!(stages, ["s0", "a", "b"]);
}

#[tokio::test]
async fn what_is_paused_starts_nothing_until_it_is_resumed() {
    let db = database().await;
    let workspace = db.store.default_workspace();
    let run = start_run(&db.store, &many(1)).await;
    let taker = taker();
    register(&db.store, &taker).await;
    workspace.pause(&queue()).await.unwrap();
    assert!(db.store.claim(&taker, 4).await.unwrap().is_empty());
    let answer = causes(&workspace, run, "s0").await;
    assert!(matches!(&answer[..], [Cause::Paused { scope, .. }] if *scope == queue()), "{answer:?}");
    workspace.set_limit(&queue(), 3).await.unwrap();
    workspace.resume(&queue()).await.unwrap();
    assert_eq!(workspace.limits().await.unwrap()[0].slots, Some(3), "the limit is kept");
    assert_eq!(db.store.claim(&taker, 4).await.unwrap().len(), 1);
    workspace.remove_limit(&queue()).await.unwrap();
    assert_eq!(workspace.resume(&queue()).await.unwrap_err().kind, StoreErrorKind::NotFound);
}

#[tokio::test]
async fn a_pipeline_that_is_not_there_cannot_be_paused() {
    let db = database().await;
    approve(&db.store, &many(1)).await;
    let error = db.store.default_workspace().pause(&Scope::Pipeline("mnay".to_owned())).await.unwrap_err();
    assert!(error.hint.unwrap().contains("many"));
    assert!("queue".parse::<Scope>().unwrap_err().hint.unwrap().contains("queue:NAME"));
    assert_eq!("connection:shop".parse::<Scope>().unwrap().to_string(), "connection:shop");
}

#[tokio::test]
async fn why_names_the_dependency_and_who_runs_it() {
    let db = database().await;
    let workspace = db.store.default_workspace();
    let run = start_run(&db.store, &plan("chain", &[("a", &[]), ("b", &["a"])])).await;
    let absent = causes(&workspace, run, "a").await;
    assert_eq!(absent, [Cause::NoWorker { queue: "default".to_owned(), labels: Vec::new(), draining: 0, silent: 0 }]);
    let taker = taker();
    register(&db.store, &taker).await;
    assert!(matches!(causes(&workspace, run, "a").await[..], [Cause::Ready { .. }]));
    let claimed = claim_one(&db.store, &taker).await;
    let running = causes(&workspace, run, "a").await;
    assert!(matches!(&running[..], [Cause::Running { worker, host: Some(host), fence: false, .. }]
        if *worker == taker.worker_id && host == "here"));
    let below = causes(&workspace, run, "b").await;
    assert_eq!(below, [Cause::Dependency { stage: "a".to_owned(), state: "running".to_owned() }]);
    assert!(workspace.why(run, Some("b")).await.unwrap().iter().all(|why| why.stage == "b"));
    end(&db.store, &claimed, AttemptEnd::Waiting(std::time::Duration::from_secs(60))).await;
    assert!(matches!(causes(&workspace, run, "a").await[..], [Cause::Wakes { .. }]));
}

#[tokio::test]
async fn why_names_the_backoff_and_the_failure_before_it() {
    let db = database().await;
    let run = start_run(&db.store, &with_retry(many(1), 3)).await;
    let taker = taker();
    register(&db.store, &taker).await;
    let claimed = claim_one(&db.store, &taker).await;
    end(&db.store, &claimed, failure("the source is away", true)).await;
    let answer = causes(&db.store.default_workspace(), run, "s0").await;
    assert!(matches!(&answer[..], [Cause::Backoff { after: Some(after), .. }] if after == "the source is away"));
}

#[tokio::test]
async fn why_names_the_limit_and_who_holds_it() {
    let db = database().await;
    let workspace = db.store.default_workspace();
    let first = start_run(&db.store, &many(1)).await;
    let second = start_run(&db.store, &plan("other", &[("a", &[])])).await;
    workspace.set_limit(&queue(), 1).await.unwrap();
    let taker = taker();
    register(&db.store, &taker).await;
    claim_one(&db.store, &taker).await;
    let answer = causes(&workspace, second, "a").await;
    assert_eq!(answer, [Cause::Limit { scope: queue(), slots: 1, holders: vec![format!("many/s0 of {first}")] }]);
}

#[tokio::test]
async fn why_names_the_host_that_has_the_staged_data() {
    let db = database().await;
    let run = start_run(&db.store, &plan("chain", &[("a", &[]), ("b", &["a"])])).await;
    let taker = taker();
    register(&db.store, &taker).await;
    let claimed = claim_one(&db.store, &taker).await;
    let staged = Finish {
        manifest: Some(serde_json::json!({})),
        host: Some("there".to_owned()),
        ..finish_of(&claimed, AttemptEnd::Succeeded)
    };
    db.store.finish(&[staged], None).await.unwrap();
    let answer = causes(&db.store.default_workspace(), run, "b").await;
    assert_eq!(answer, [Cause::StagedElsewhere { host: "there".to_owned() }]);
}

#[tokio::test]
async fn why_names_busy_workers() {
    let db = database().await;
    let run = start_run(&db.store, &many(5)).await;
    let taker = taker();
    register(&db.store, &taker).await;
    let claimed = db.store.claim(&taker, 4).await.unwrap();
    // Those that became ready in one moment are claimed in any order.
    let is_claimed = |name: &String| claimed.iter().any(|claimed| claimed.stage == *name);
    let left: Vec<String> = (0..5).map(|n| format!("s{n}")).filter(|name| !is_claimed(name)).collect();
    assert_eq!(left.len(), 1);
    assert_eq!(causes(&db.store.default_workspace(), run, &left[0]).await, [Cause::NoSlot { slots: 4 }]);
}

#[tokio::test]
async fn why_says_nothing_about_a_run_that_has_ended() {
    let db = database().await;
    let run = start_run(&db.store, &many(1)).await;
    let claimed = claim_one(&db.store, &taker()).await;
    end(&db.store, &claimed, AttemptEnd::Succeeded).await;
    assert!(db.store.default_workspace().why(run, None).await.unwrap().is_empty());
    let missing = db.store.default_workspace().why(Uuid::new_v4(), None).await.unwrap_err();
    assert_eq!(missing.kind, StoreErrorKind::NotFound);
}
