#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use super::*;
use crate::lifecycle::{AttemptEnd, Failure, Finish};
use crate::testing::{TestDatabase, database, plan, save};
use crate::{NewRun, Taker, Trigger};

fn hour(number: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(number * 3600, 0).unwrap()
}

/// A database with a backfill of so many hours.
async fn with_backfill(slices: i64, parallel: u32) -> (TestDatabase, Workspace, Uuid) {
    let db = database().await;
    let version_id = save(&db.store, &plan("p", &[("a", &[])])).await;
    let workspace = db.store.default_workspace();
    let slices = (0..slices).map(|number| (hour(number), hour(number + 1))).collect();
    let new = NewBackfill { version_id, params: Map::new(), slices, parallel };
    let id = workspace.create_backfill(&new).await.unwrap();
    (db, workspace, id)
}

/// Runs one stage run to its end. False if none is ready.
async fn run_one(db: &TestDatabase, end: AttemptEnd) -> bool {
    let taker = Taker {
        worker_id: Uuid::new_v4(),
        queues: vec!["default".to_owned()],
        labels: Vec::new(),
        plan_formats: vec![headwater_pipelines::plan::PLAN_FORMAT],
        host: "here".to_owned(),
        only_run: None,
    };
    let Some(claimed) = db.store.claim(&taker, 1).await.unwrap().pop() else { return false };
    let finish =
        Finish { lease: claimed.lease, end, tasks: Vec::new(), receipts: Vec::new(), manifest: None, host: None };
    db.store.finish(&[finish], None).await.unwrap();
    true
}

fn failed() -> AttemptEnd {
    let message = "no".to_owned();
    let (task, hint, kind) = (None, None, None);
    AttemptEnd::Failed(Failure { message, task, hint, kind, retryable: false, unsettled: false, gone: false })
}

async fn states(workspace: &Workspace, id: Uuid) -> String {
    let slices = workspace.backfill_slices(id).await.unwrap();
    slices.iter().map(|slice| slice.state.as_str()).collect::<Vec<_>>().join(" ")
}

async fn state(workspace: &Workspace) -> BackfillState {
    workspace.newest_backfill("p").await.unwrap().state
}

#[tokio::test]
async fn slices_run_in_their_order_and_no_more_of_them_than_are_allowed() {
    let (db, workspace, id) = with_backfill(3, 2).await;
    assert_eq!(workspace.advance_backfill(id).await.unwrap(), 2);
    assert_eq!(workspace.advance_backfill(id).await.unwrap(), 0);
    assert_eq!(states(&workspace, id).await, "queued queued waiting");
    assert!(run_one(&db, AttemptEnd::Succeeded).await);
    assert_eq!(db.store.advance_backfills().await.unwrap(), 1);
    assert_eq!(states(&workspace, id).await, "succeeded queued queued");
    assert!(run_one(&db, AttemptEnd::Succeeded).await && run_one(&db, AttemptEnd::Succeeded).await);
    assert_eq!(state(&workspace).await, BackfillState::Running);
    db.store.advance_backfills().await.unwrap();
    assert_eq!(state(&workspace).await, BackfillState::Succeeded);
    let intervals = db.value(
        "SELECT string_agg(extract(epoch FROM interval_start)::int / 3600 || trigger, ' ' ORDER BY id) FROM runs",
    );
    assert_eq!(intervals.await, "0backfill 1backfill 2backfill");
}

#[tokio::test]
async fn after_a_slice_that_failed_nothing_starts_until_it_is_resumed() {
    let (db, workspace, id) = with_backfill(3, 1).await;
    workspace.advance_backfill(id).await.unwrap();
    assert!(run_one(&db, failed()).await);
    workspace.advance_backfill(id).await.unwrap();
    assert_eq!(
        (state(&workspace).await, states(&workspace, id).await.as_str()),
        (BackfillState::Failed, "failed waiting waiting")
    );
    workspace.resume_backfill(id).await.unwrap();
    for _ in 0..3 {
        assert_eq!(workspace.advance_backfill(id).await.unwrap(), 1);
        assert!(run_one(&db, AttemptEnd::Succeeded).await);
    }
    workspace.advance_backfill(id).await.unwrap();
    assert_eq!(state(&workspace).await, BackfillState::Succeeded);
    assert_eq!(db.value("SELECT count(*) FROM runs").await, "4");
}

#[tokio::test]
async fn a_canceled_backfill_cancels_its_runs_and_can_be_taken_up_again() {
    let (db, workspace, id) = with_backfill(2, 1).await;
    workspace.advance_backfill(id).await.unwrap();
    workspace.cancel_backfill(id).await.unwrap();
    assert_eq!(db.value("SELECT string_agg(state, ' ') FROM runs").await, "canceled");
    assert_eq!(workspace.advance_backfill(id).await.unwrap(), 0, "nothing of it starts any more");
    workspace.resume_backfill(id).await.unwrap();
    assert_eq!(states(&workspace, id).await, "waiting waiting");
    assert_eq!(workspace.advance_backfill(id).await.unwrap(), 1);
}

#[tokio::test]
async fn a_paused_backfill_starts_nothing() {
    let (db, workspace, id) = with_backfill(2, 1).await;
    workspace.advance_backfill(id).await.unwrap();
    workspace.pause_backfill(id).await.unwrap();
    assert!(run_one(&db, AttemptEnd::Succeeded).await);
    assert_eq!(workspace.advance_backfill(id).await.unwrap(), 0);
    assert_eq!(states(&workspace, id).await, "succeeded waiting");
    workspace.resume_backfill(id).await.unwrap();
    assert_eq!(workspace.advance_backfill(id).await.unwrap(), 1);
}

#[tokio::test]
async fn a_pipeline_whose_approval_is_withdrawn_starts_no_further_slice() {
    let (db, workspace, id) = with_backfill(2, 1).await;
    workspace.advance_backfill(id).await.unwrap();
    db.execute("UPDATE pipelines SET current_version_id = (SELECT id FROM versions)").await;
    workspace.remove_pipeline("p").await.unwrap();
    assert!(run_one(&db, AttemptEnd::Succeeded).await, "what runs goes on");
    assert_eq!(workspace.advance_backfill(id).await.unwrap(), 0);
    assert_eq!(
        (state(&workspace).await, states(&workspace, id).await.as_str()),
        (BackfillState::Paused, "succeeded waiting")
    );
}

#[tokio::test]
async fn only_slices_under_way_are_looked_at_again() {
    let (db, workspace, id) = with_backfill(3, 1).await;
    workspace.advance_backfill(id).await.unwrap();
    assert!(run_one(&db, AttemptEnd::Succeeded).await);
    workspace.advance_backfill(id).await.unwrap();
    let found = workspace.slices_under_way(id).await.unwrap();
    assert_eq!((found.len(), found[0].from, found[0].state.as_str()), (1, hour(1), "queued"));
}

#[tokio::test]
async fn a_slice_waits_while_another_run_loads_its_interval() {
    let (db, workspace, id) = with_backfill(3, 3).await;
    let run = NewRun {
        version_id: save(&db.store, &plan("p", &[("a", &[])])).await,
        params: Map::new(),
        trigger: Trigger::Manual,
        interval: Some((hour(1), hour(2))),
        pinned_worker: None,
    };
    workspace.create_run(&run).await.unwrap();
    assert_eq!(workspace.advance_backfill(id).await.unwrap(), 2);
    assert_eq!(states(&workspace, id).await, "queued waiting queued");
}

#[tokio::test]
async fn a_pipeline_has_one_backfill_at_a_time() {
    let (db, workspace, id) = with_backfill(1, 1).await;
    let version_id = save(&db.store, &plan("p", &[("a", &[])])).await;
    let new = NewBackfill { version_id, params: Map::new(), slices: vec![(hour(5), hour(6))], parallel: 1 };
    let refused = workspace.create_backfill(&new).await.unwrap_err();
    assert!(refused.message.contains("under way"), "{refused}");
    workspace.cancel_backfill(id).await.unwrap();
    workspace.create_backfill(&new).await.unwrap();
    let refused = workspace.resume_backfill(id).await.unwrap_err();
    assert!(refused.message.contains("under way"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_advance_a_backfill_at_once_make_each_run_once() {
    let (db, workspace, id) = with_backfill(40, 40).await;
    let looks = (0..8).map(|_| workspace.advance_backfill(id));
    for look in futures::future::join_all(looks).await {
        look.unwrap();
    }
    workspace.advance_backfill(id).await.unwrap();
    assert_eq!(db.value("SELECT count(*) || ' ' || count(DISTINCT interval_start) FROM runs").await, "40 40");
}

#[tokio::test]
async fn a_backfill_is_forgotten_with_the_history_once_it_has_ended() {
    let (db, workspace, id) = with_backfill(2, 1).await;
    db.store.keep_history(Duration::ZERO).await.unwrap();
    assert_eq!(states(&workspace, id).await, "waiting waiting");
    workspace.cancel_backfill(id).await.unwrap();
    db.store.keep_history(Duration::ZERO).await.unwrap();
    assert_eq!(db.value("SELECT count(*) FROM backfill_slices").await, "0");
}

#[tokio::test]
async fn a_rerun_of_a_slice_is_a_backfill_too() {
    let (db, workspace, id) = with_backfill(1, 1).await;
    workspace.advance_backfill(id).await.unwrap();
    assert!(run_one(&db, failed()).await);
    let first = workspace.backfill_slices(id).await.unwrap()[0].run_id.unwrap();
    let again = workspace.rerun(first, crate::RerunMode::All, None).await.unwrap().run_id;
    assert!(workspace.is_backfill(again).await.unwrap());
    // As it is once the first run is forgotten.
    db.execute("UPDATE runs SET rerun_of = NULL").await;
    assert!(workspace.is_backfill(again).await.unwrap());
    assert_eq!(db.value(&format!("SELECT count(*) FROM runs WHERE backfill_id = '{id}'")).await, "2");
}

/// Begins the next stage run that is ready.
async fn begin(db: &TestDatabase) -> crate::lifecycle::Claimed {
    let taker = Taker {
        worker_id: Uuid::new_v4(),
        queues: vec!["default".to_owned()],
        labels: Vec::new(),
        plan_formats: vec![headwater_pipelines::plan::PLAN_FORMAT],
        host: "here".to_owned(),
        only_run: None,
    };
    db.store.claim(&taker, 1).await.unwrap().pop().unwrap()
}

/// An attempt intends a load that replaces the rows of these keys of a table.
async fn intend(db: &TestDatabase, claimed: &crate::lifecycle::Claimed, target: &str, keys: &[u128]) -> Result<bool> {
    let keys = keys.iter().map(|key| (Uuid::from_u128(*key), format!("day = {key}"))).collect();
    let row = crate::IntentRow {
        load_id: claimed.load_id,
        attempt: claimed.number,
        task: "a".to_owned(),
        intent: serde_json::json!({}),
        cursors: Vec::new(),
        slice: Some(SliceKeys { target: target.to_owned(), keys }),
        rejects: Vec::new(),
    };
    db.store.intend(&claimed.lease, &row).await
}

#[tokio::test]
async fn a_key_is_of_one_slice_of_a_backfill() {
    let (db, workspace, id) = with_backfill(3, 3).await;
    workspace.advance_backfill(id).await.unwrap();
    let (first, second, third) = (begin(&db).await, begin(&db).await, begin(&db).await);
    intend(&db, &first, "lake.t", &[1, 2]).await.unwrap();
    // The same slice may be loaded again, another table has keys of its own.
    intend(&db, &first, "lake.t", &[2, 1]).await.unwrap();
    intend(&db, &second, "lake.other", &[2]).await.unwrap();
    let error = intend(&db, &second, "lake.t", &[3, 2]).await.unwrap_err();
    assert!(error.message.contains("day = 2") && error.message.contains("lake.t"), "{error}");
    assert!(error.hint.unwrap().contains("--timezone"));
    assert_eq!(
        db.value("SELECT count(*) FROM backfill_keys WHERE target = 'lake.t'").await,
        "2",
        "nothing of it stays"
    );
    intend(&db, &third, "lake.t", &[3]).await.unwrap();
    workspace.cancel_backfill(id).await.unwrap();
}

#[tokio::test]
async fn of_two_slices_that_take_a_key_at_once_one_is_refused() {
    let (db, workspace, id) = with_backfill(2, 2).await;
    workspace.advance_backfill(id).await.unwrap();
    let (first, second) = (begin(&db).await, begin(&db).await);
    let (keys, turned): (Vec<u128>, Vec<u128>) = ((1..200).collect(), (1..200).rev().collect());
    let both = tokio::join!(intend(&db, &first, "lake.t", &keys), intend(&db, &second, "lake.t", &turned));
    assert_eq!(usize::from(both.0.is_ok()) + usize::from(both.1.is_ok()), 1, "{both:?}");
}
