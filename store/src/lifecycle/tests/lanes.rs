//! What limits and pauses hold back costs a claim nothing, changes no order, and holds back nobody else.

use sqlx::raw_sql;

use super::*;
use crate::Scope;

/// More rows than the head of the queue that a claim looks at first.
const HELD_BACK: usize = 300;

fn queue(name: &str) -> Scope {
    Scope::Queue(name.to_owned())
}

fn in_queue(mut plan: Plan, queue: &str) -> Plan {
    plan.stages.iter_mut().for_each(|stage| stage.queue = queue.to_owned());
    plan
}

/// A worker of this queue too.
fn taker_of(queue: &str) -> Taker {
    Taker { queues: vec!["default".to_owned(), queue.to_owned()], ..taker() }
}

/// Stage runs that wait in a paused queue, before anything else.
async fn hold_back(store: &Store) {
    start_run(store, &in_queue(many(HELD_BACK), "paused")).await;
    store.default_workspace().pause(&queue("paused")).await.unwrap();
}

async fn stage_runs(store: &Store, sql: &'static str) -> Vec<Uuid> {
    sqlx::query_scalar(sql).fetch_all(store.durable()).await.unwrap()
}

#[tokio::test]
async fn behind_what_is_held_back_stage_runs_of_all_lanes_are_claimed_in_the_order_of_their_rank() {
    let db = database().await;
    hold_back(&db.store).await;
    for round in 0..4 {
        for pipeline in ["x", "y", "z"] {
            let mut plan = plan(pipeline, &[("a", &[]), ("b", &[])]);
            plan.stages[1].priority = (round * 7) % 5;
            start_run(&db.store, &plan).await;
        }
    }
    let ranked = stage_runs(&db.store, "SELECT stage_run_id FROM ready WHERE queue = 'default' ORDER BY rank").await;
    assert_eq!(ranked.len(), 24);
    let taker = taker_of("paused");
    let mut claimed = Vec::new();
    for slots in [1, 5, 1, 2, 9, 1, 30] {
        let more = db.store.claim(&taker, slots).await.unwrap();
        let next = &ranked[claimed.len()..(claimed.len() + slots).min(ranked.len())];
        let more: HashSet<Uuid> = more.iter().map(|claimed| claimed.lease.stage_run_id).collect();
        assert_eq!(more, next.iter().copied().collect(), "{slots} slots");
        claimed.extend(more);
    }
    assert_eq!(claimed.len(), 24);
}

#[tokio::test]
async fn a_pause_holds_back_what_waited_before_it_and_its_end_lets_the_oldest_go_first() {
    let db = database().await;
    start_run(&db.store, &in_queue(many(2), "paused")).await;
    start_run(&db.store, &plan("other", &[("a", &[])])).await;
    let (taker, workspace) = (taker_of("paused"), db.store.default_workspace());
    workspace.pause(&queue("paused")).await.unwrap();
    assert_eq!(claim_one(&db.store, &taker).await.stage, "a");
    assert!(db.store.claim(&taker, 9).await.unwrap().is_empty());
    start_run(&db.store, &plan("other", &[("a", &[])])).await;
    workspace.resume(&queue("paused")).await.unwrap();
    assert_eq!(claim_one(&db.store, &taker).await.stage, "s0");
}

#[tokio::test]
async fn a_fence_in_a_paused_queue_is_claimed_at_once() {
    let db = database().await;
    hold_back(&db.store).await;
    let run_id = start_run(&db.store, &in_queue(plan("load", &[("a", &[])]), "paused")).await;
    raw_sql("UPDATE stage_runs SET exposed = true WHERE stage = 'a'").execute(db.store.durable()).await.unwrap();
    db.store.default_workspace().cancel_run(run_id).await.unwrap();
    let taker = taker_of("paused");
    let fence = claim_one(&db.store, &taker).await;
    assert_eq!((fence.fence, fence.lease.run_id), (true, run_id));
    assert!(db.store.claim(&taker, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_fence_of_a_queue_that_a_worker_does_not_serve_hides_none_that_it_serves() {
    let db = database().await;
    for name in ["theirs", "paused"] {
        let run_id = start_run(&db.store, &in_queue(plan(name, &[("a", &[])]), name)).await;
        raw_sql("UPDATE stage_runs SET exposed = true").execute(db.store.durable()).await.unwrap();
        db.store.default_workspace().cancel_run(run_id).await.unwrap();
    }
    hold_back(&db.store).await;
    let claimed = db.store.claim(&taker_of("paused"), 9).await.unwrap();
    assert_eq!(claimed.iter().map(|claimed| claimed.queue.as_str()).collect::<Vec<_>>(), ["paused"]);
}

#[tokio::test]
async fn stage_runs_of_one_pipeline_with_other_connections_are_in_other_lanes() {
    let db = database().await;
    hold_back(&db.store).await;
    start_run(&db.store, &plan("p", &[("a", &[]), ("b", &["a"]), ("c", &["a"])])).await;
    raw_sql(
        "UPDATE stage_runs SET connections = '{lake,shop}' WHERE stage = 'b';
         INSERT INTO limits (workspace_id, kind, name, paused_at) SELECT id, 'connection', 'shop', now() FROM workspaces",
    )
    .execute(db.store.durable())
    .await
    .unwrap();
    let taker = taker_of("paused");
    end(&db.store, &claim_one(&db.store, &taker).await, AttemptEnd::Succeeded).await;
    let claimed = db.store.claim(&taker, 9).await.unwrap();
    assert_eq!(claimed.iter().map(|claimed| claimed.stage.as_str()).collect::<Vec<_>>(), ["c"]);
}

#[tokio::test]
async fn what_this_worker_cannot_take_in_a_lane_holds_back_nothing_behind_it() {
    let db = database().await;
    hold_back(&db.store).await;
    start_run(&db.store, &plan("p", &[("a", &[])])).await;
    raw_sql("UPDATE ready SET worker_id = uuid_v7() WHERE queue = 'default'")
        .execute(db.store.durable())
        .await
        .unwrap();
    let run_id = start_run(&db.store, &plan("p", &[("a", &[])])).await;
    assert_eq!(claim_one(&db.store, &taker_of("paused")).await.lease.run_id, run_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_limits_on_a_stage_both_hold_however_many_claim_at_once() {
    let db = database().await;
    let workspace = db.store.default_workspace();
    hold_back(&db.store).await;
    let (mut narrow, mut wide) = (many(40), many(40));
    (narrow.pipeline, wide.pipeline) = ("narrow".to_owned(), "wide".to_owned());
    let (text, spec) = (serde_json::to_string(&narrow).unwrap(), json!({}));
    workspace.apply(&crate::NewVersion { spec_text: &text, spec: &spec, plan: &narrow }, None).await.unwrap();
    let runs = [start_run(&db.store, &narrow).await, start_run(&db.store, &wide).await];
    workspace.set_limit(&Scope::Pipeline("narrow".to_owned()), 3).await.unwrap();
    workspace.set_limit(&queue("default"), 11).await.unwrap();
    let claimers = (0..8).map(|_| {
        let store = db.store.clone();
        tokio::spawn(async move { store.claim(&taker_of("paused"), 4).await.unwrap() })
    });
    let mut claimed = Vec::new();
    for claimer in claimers.collect::<Vec<_>>() {
        claimed.extend(claimer.await.unwrap());
    }
    let counts = runs.map(|run| claimed.iter().filter(|claimed| claimed.lease.run_id == run).count());
    assert_eq!(counts, [3, 8]);
    assert!(db.store.claim(&taker_of("paused"), 9).await.unwrap().is_empty());
}
