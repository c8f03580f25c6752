#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use headwater_pipelines::plan::{PLAN_FORMATS, Plan};
use headwater_pipelines::spec::Stream;
use serde_json::json;

use super::*;
use crate::lifecycle::{AttemptEnd, Batch, Claimed, Failure, Finish, Finished, LeaseKey, LoadReceipt};
use crate::state::{TaskEnd, TaskRunState};
use crate::testing::{TestDatabase, database, plan};
use crate::{CursorName, CursorReset, IntentRow, MovedCursor, NewVersion, StoreErrorKind, Taker};

fn stream_plan(name: &str) -> Plan {
    Plan { stream: Some(Stream::default()), ..plan(name, &[("a", &[])]) }
}

async fn approve(db: &TestDatabase, plan: &Plan) {
    let text = serde_json::to_string(plan).unwrap();
    let spec = json!({ "name": plan.pipeline });
    db.store.default_workspace().apply(&NewVersion { spec_text: &text, spec: &spec, plan }, None).await.unwrap();
}

async fn with_stream() -> TestDatabase {
    let db = database().await;
    approve(&db, &stream_plan("p")).await;
    db
}

async fn claim(db: &TestDatabase) -> Option<Claimed> {
    let taker = Taker {
        worker_id: Uuid::new_v4(),
        queues: vec!["default".to_owned()],
        labels: Vec::new(),
        plan_formats: PLAN_FORMATS.to_vec(),
        host: "here".to_owned(),
        only_run: None,
    };
    db.store.claim(&taker, 1).await.unwrap().pop()
}

async fn end(db: &TestDatabase, claimed: &Claimed, end: AttemptEnd) -> Finished {
    let finish =
        Finish { lease: claimed.lease, end, tasks: Vec::new(), receipts: Vec::new(), manifest: None, host: None };
    db.store.finish(&[finish], None).await.unwrap().results[0]
}

fn failed(retryable: bool) -> AttemptEnd {
    AttemptEnd::Failed(Failure { message: "no".to_owned(), retryable, ..Failure::default() })
}

async fn row(db: &TestDatabase) -> StreamRow {
    db.store.default_workspace().stream("p").await.unwrap()
}

/// Takes the cursor, and says what a load that moves it intends.
async fn read(db: &TestDatabase, claimed: &Claimed, load_id: Uuid) -> IntentRow {
    let name = CursorName { source: "s".into(), column: "auto".into(), target: "t".into(), params: "{}".into() };
    let taken = db.store.take_cursors(&claimed.lease, load_id, &[name]).await.unwrap().unwrap().remove(0);
    let (to, id) = (taken.generation + 1, taken.id);
    let moved = json!({ "id": id, "generation": taken.generation, "to_generation": to, "position": to, "shown": to.to_string() });
    IntentRow {
        load_id,
        attempt: claimed.number,
        task: "a".to_owned(),
        intent: json!({ "cursors": [moved] }),
        cursors: vec![MovedCursor { id, generation: taken.generation }],
        slice: None,
        rejects: Vec::new(),
    }
}

/// Takes the cursor, and intends a load that moves it.
async fn intend(db: &TestDatabase, claimed: &Claimed, load_id: Uuid) -> Uuid {
    let row = read(db, claimed, load_id).await;
    assert!(db.store.intend(&claimed.lease, &row).await.unwrap());
    row.cursors[0].id
}

fn batch(claimed: &Claimed, load_id: Uuid, total: i64) -> Batch {
    let task =
        |rows| TaskEnd { task: "a".to_owned(), state: TaskRunState::Pending, rows, bytes: 0, rejected: 0, busy_us: 0 };
    let load = LoadReceipt { load_id, attempt: claimed.number, receipt: json!({ "rows_written": 5 }) };
    Batch { load, rows: 5, rejected: 0, tasks: vec![task(total)] }
}

async fn settle(db: &TestDatabase, claimed: &Claimed, load_id: Uuid, total: i64) {
    intend(db, claimed, load_id).await;
    db.store.checkpoint(&claimed.lease, Some(&batch(claimed, load_id, total)), 0).await.unwrap();
}

#[tokio::test]
async fn a_stream_has_one_run_and_the_next_one_follows_its_end() {
    let db = with_stream().await;
    assert_eq!(db.store.advance_streams().await.unwrap(), 1);
    assert_eq!(db.store.advance_streams().await.unwrap(), 0, "it has a run");
    let claimed = claim(&db).await.unwrap();
    assert!(claimed.light, "it takes no data slot");
    assert!(db.store.goes_on(&claimed.lease).await.unwrap());
    assert_eq!(end(&db, &claimed, AttemptEnd::Succeeded).await, Finished::Accepted);
    assert_eq!(db.store.advance_streams().await.unwrap(), 1);
    assert_ne!(row(&db).await.run_id, Some(claimed.lease.run_id));
    assert_eq!(db.value("SELECT string_agg(trigger, ' ') FROM runs").await, "stream stream");
}

#[tokio::test]
async fn any_number_of_schedulers_make_one_run() {
    let db = with_stream().await;
    let made = futures::future::join_all((0..8).map(|_| db.store.advance_streams())).await;
    assert_eq!(made.into_iter().map(Result::unwrap).sum::<u64>(), 1);
    assert_eq!(db.value("SELECT count(*) FROM runs").await, "1");
}

#[tokio::test]
async fn a_failure_that_may_pass_is_followed_by_a_pause_and_any_other_stops_the_stream() {
    let db = with_stream().await;
    db.store.advance_streams().await.unwrap();
    end(&db, &claim(&db).await.unwrap(), failed(true)).await;
    db.execute("UPDATE ready SET run_at = clock_timestamp()").await;
    while let Some(again) = claim(&db).await {
        end(&db, &again, failed(true)).await;
        db.execute("UPDATE ready SET run_at = clock_timestamp()").await;
    }
    assert_eq!(db.store.advance_streams().await.unwrap(), 0);
    let waiting = row(&db).await;
    assert_eq!((waiting.state, waiting.error.as_deref()), (StreamState::Running, Some("no")));
    assert!(waiting.not_before.is_some());
    assert_eq!(db.store.advance_streams().await.unwrap(), 0, "it waits");
    db.execute("UPDATE streams SET not_before = clock_timestamp()").await;
    assert_eq!(db.store.advance_streams().await.unwrap(), 1);
    end(&db, &claim(&db).await.unwrap(), failed(false)).await;
    db.store.advance_streams().await.unwrap();
    assert_eq!(row(&db).await.state, StreamState::Failed);
    db.store.default_workspace().resume_stream("p").await.unwrap();
    assert_eq!(db.store.advance_streams().await.unwrap(), 1);
    assert_eq!(row(&db).await.error, None);
}

#[tokio::test]
async fn a_new_version_starts_a_stream_that_failed_and_none_that_is_paused() {
    let db = with_stream().await;
    let workspace = db.store.default_workspace();
    workspace.pause_stream("p").await.unwrap();
    let mut changed = stream_plan("p");
    changed.stream = Some(Stream { rows: Some(7), every: None });
    approve(&db, &changed).await;
    assert_eq!(row(&db).await.state, StreamState::Paused);
    db.execute("UPDATE streams SET state = 'failed', error = 'x'").await;
    approve(&db, &stream_plan("p")).await;
    assert_eq!((row(&db).await.state, row(&db).await.error), (StreamState::Running, None));
    approve(&db, &plan("p", &[("a", &[])])).await;
    assert_eq!(workspace.stream("p").await.unwrap_err().kind, StoreErrorKind::NotFound);
}

#[tokio::test]
async fn a_run_goes_on_as_long_as_its_stream_runs_its_version_and_its_turn_is_not_over() {
    let db = with_stream().await;
    let goes_on = async |lease: &LeaseKey| db.store.goes_on(lease).await.unwrap();
    db.store.advance_streams().await.unwrap();
    let lease = claim(&db).await.unwrap().lease;
    assert!(goes_on(&lease).await);
    db.execute("UPDATE runs SET started_at = started_at - interval '61 min'").await;
    assert!(!goes_on(&lease).await);
    db.execute("UPDATE runs SET started_at = clock_timestamp()").await;
    approve(&db, &Plan { stream: Some(Stream { rows: Some(7), every: None }), ..stream_plan("p") }).await;
    assert!(!goes_on(&lease).await, "another version is approved");
    approve(&db, &stream_plan("p")).await;
    assert!(goes_on(&lease).await);
    db.store.default_workspace().pause_stream("p").await.unwrap();
    assert!(!goes_on(&lease).await);
}

#[tokio::test]
async fn a_canceled_run_pauses_its_stream() {
    let db = with_stream().await;
    db.store.advance_streams().await.unwrap();
    let run = row(&db).await.run_id.unwrap();
    let claimed = claim(&db).await.unwrap();
    db.store.default_workspace().cancel_run(run).await.unwrap();
    assert_eq!(db.store.advance_streams().await.unwrap(), 0);
    assert_eq!(
        (row(&db).await.state, row(&db).await.error.as_deref()),
        (StreamState::Paused, Some("its run was canceled"))
    );
    db.store.default_workspace().resume_stream("p").await.unwrap();
    assert_eq!(db.store.advance_streams().await.unwrap(), 0, "its run has not ended");
    end(&db, &claimed, AttemptEnd::Canceled).await;
    assert_eq!(
        db.store.advance_streams().await.unwrap(),
        1,
        "it goes on though the run that was canceled ended only now"
    );
}

#[tokio::test]
async fn a_checkpoint_commits_the_batch_once_moves_the_cursor_and_forgets_failures() {
    let db = with_stream().await;
    db.store.advance_streams().await.unwrap();
    let claimed = claim(&db).await.unwrap();
    db.execute("UPDATE stage_runs SET failures = 1, lost = 2, exposed = true").await;
    let load = Uuid::new_v4();
    intend(&db, &claimed, load).await;
    for _ in 0..2 {
        db.store.checkpoint(&claimed.lease, Some(&batch(&claimed, load, 5)), 3).await.unwrap();
    }
    let after = row(&db).await;
    assert_eq!((after.batches, after.rows, after.behind), (1, 5, Some(3)));
    assert_eq!(db.value("SELECT generation || ' ' || shown FROM cursors").await, "1 1");
    assert_eq!(db.value("SELECT failures || ' ' || lost || ' ' || exposed FROM stage_runs").await, "0 0 false");
    assert_eq!(db.value("SELECT rows || ' ' || state FROM task_runs").await, "5 pending");
    settle(&db, &claimed, Uuid::new_v4(), 9).await;
    assert_eq!(db.value("SELECT generation || ' ' || shown FROM cursors").await, "2 2");
    assert_eq!(db.value("SELECT rows || ' ' || state FROM task_runs").await, "9 pending");
}

#[tokio::test]
async fn an_attempt_without_its_lease_settles_nothing() {
    let db = with_stream().await;
    db.store.advance_streams().await.unwrap();
    let claimed = claim(&db).await.unwrap();
    let load = Uuid::new_v4();
    intend(&db, &claimed, load).await;
    let stale = LeaseKey { token: Uuid::new_v4(), ..claimed.lease };
    let refused = db.store.checkpoint(&stale, Some(&batch(&claimed, load, 5)), 0).await.unwrap_err();
    assert_eq!(refused.kind, StoreErrorKind::Stale);
    assert_eq!(db.value("SELECT state FROM loads").await, "committing");
}

#[tokio::test]
async fn an_attempt_after_a_lost_one_finds_the_batch_that_may_be_in_the_target() {
    let db = with_stream().await;
    db.store.advance_streams().await.unwrap();
    let first = claim(&db).await.unwrap();
    settle(&db, &first, Uuid::new_v4(), 5).await;
    let load = Uuid::new_v4();
    intend(&db, &first, load).await;
    end(&db, &first, AttemptEnd::Lost).await;
    db.execute("UPDATE ready SET run_at = clock_timestamp()").await;
    let second = claim(&db).await.unwrap();
    let inputs = db.store.default_workspace().attempt_inputs(&second).await.unwrap();
    assert_eq!(inputs.committing, Some(load));
    assert_eq!(inputs.counted.iter().map(|task| task.rows).sum::<i64>(), 5);
    intend(&db, &second, load).await;
}

#[tokio::test]
async fn a_canceled_stream_whose_batch_may_be_in_the_target_is_fenced_first() {
    let db = with_stream().await;
    db.store.advance_streams().await.unwrap();
    let first = claim(&db).await.unwrap();
    let load = Uuid::new_v4();
    intend(&db, &first, load).await;
    db.store.default_workspace().cancel_run(first.lease.run_id).await.unwrap();
    end(&db, &first, AttemptEnd::Lost).await;
    let fence = claim(&db).await.unwrap();
    assert!(fence.fence);
    let inputs = db.store.default_workspace().attempt_inputs(&fence).await.unwrap();
    assert_eq!(inputs.committing, Some(load));
    end(&db, &fence, AttemptEnd::Fenced).await;
    assert_eq!(db.value("SELECT state || ' ' || fenced FROM loads").await, "failed true");
    assert_eq!(db.value("SELECT state FROM runs").await, "canceled");
}

#[tokio::test]
async fn the_receipts_of_the_last_hundred_batches_are_kept() {
    let db = with_stream().await;
    db.store.advance_streams().await.unwrap();
    let claimed = claim(&db).await.unwrap();
    for number in 1..=103 {
        settle(&db, &claimed, Uuid::new_v4(), 5 * number).await;
    }
    assert_eq!(db.value("SELECT count(*) FROM loads").await, "100");
    assert_eq!(db.value("SELECT count(*) FROM intents").await, "100");
    assert_eq!((row(&db).await.batches, row(&db).await.rows), (103, 515));
    let shown = db.store.default_workspace().show_run(claimed.lease.run_id).await.unwrap();
    assert_eq!(shown.receipts.len(), 100);
}

#[tokio::test]
async fn a_look_that_found_nothing_forgets_the_workers_that_were_lost_before() {
    let db = with_stream().await;
    db.store.advance_streams().await.unwrap();
    let claimed = claim(&db).await.unwrap();
    db.execute("UPDATE stage_runs SET failures = 1, lost = 2, exposed = true").await;
    db.execute("UPDATE streams SET failures = 2, error = 'x', not_before = clock_timestamp()").await;
    db.store.record_handle(&claimed.lease, &json!({ "pid": 7 })).await.unwrap();
    db.store.checkpoint(&claimed.lease, None, 0).await.unwrap();
    assert_eq!(db.value("SELECT handles FROM attempts").await, "[]", "they would grow with each batch");
    assert_eq!(
        db.value("SELECT failures || ' ' || (error IS NULL AND not_before IS NULL) FROM streams").await,
        "0 true"
    );
    assert_eq!(db.value("SELECT failures || ' ' || lost || ' ' || exposed FROM stage_runs").await, "0 0 true");
}

#[tokio::test]
async fn a_paused_pipeline_ends_the_run_of_its_stream_and_starts_no_batch() {
    let db = with_stream().await;
    db.store.advance_streams().await.unwrap();
    let claimed = claim(&db).await.unwrap();
    db.store.default_workspace().pause(&crate::Scope::Pipeline("p".to_owned())).await.unwrap();
    assert!(!db.store.goes_on(&claimed.lease).await.unwrap());
    end(&db, &claimed, AttemptEnd::Succeeded).await;
    assert_eq!(db.store.advance_streams().await.unwrap(), 1);
    assert!(claim(&db).await.is_none());
}

#[tokio::test]
async fn what_was_read_before_its_cursor_started_over_is_not_loaded() {
    let db = with_stream().await;
    db.store.advance_streams().await.unwrap();
    let claimed = claim(&db).await.unwrap();
    for reset in [CursorReset::KeepValue, CursorReset::Start] {
        let stale = read(&db, &claimed, Uuid::new_v4()).await;
        db.store.default_workspace().reset_cursors("p", None, reset).await.unwrap();
        assert!(!db.store.intend(&claimed.lease, &stale).await.unwrap(), "{reset:?}");
        settle(&db, &claimed, Uuid::new_v4(), 5).await;
    }
}
