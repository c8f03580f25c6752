//! What the end of a stage run does, in every situation, to all tables; and no more work than it must.

use sqlx::{Row, raw_sql};

use super::*;
use crate::Scope;
use crate::lifecycle::successes::{Ended, end_successes};

/// What the tables hold of all runs, without ids and times.
const SEEN: &str = "
    SELECT jsonb_build_object(
        'runs', (SELECT jsonb_agg(jsonb_build_array(state, remaining, failed_stages, host, finished_at IS NULL) ORDER BY id) FROM runs),
        'stage_runs', (SELECT jsonb_agg(jsonb_build_array(stage, state, pending, attempt, started_at IS NULL, finished_at IS NULL, manifest,
                                                          error, ending) ORDER BY run_id, position) FROM stage_runs),
        'attempts', (SELECT jsonb_agg(jsonb_build_array(s.stage, a.number, a.state, a.kind, a.finished_at IS NULL) ORDER BY s.run_id, s.position)
                     FROM attempts a JOIN stage_runs s ON s.id = a.stage_run_id),
        'task_runs', (SELECT jsonb_agg(jsonb_build_array(task, state, rows, bytes, rejected, busy_us) ORDER BY run_id, position) FROM task_runs),
        'ready', (SELECT jsonb_agg(jsonb_build_array(s.stage, q.queue, q.plan_format, q.worker_id IS NULL, q.host, q.labels, q.fence)
                                   ORDER BY s.run_id, s.position) FROM ready q JOIN stage_runs s ON s.id = q.stage_run_id),
        'leases', (SELECT jsonb_agg(jsonb_build_array(s.stage, l.number, l.fence, l.token = $1, l.worker_id = $2) ORDER BY s.run_id, s.position)
                   FROM leases l JOIN stage_runs s ON s.id = l.stage_run_id))";

/// A situation in which the stage run 'a' ends.
struct Case {
    name: &'static str,
    plan: Plan,
    taker: Option<Taker>,
    /// Done before 'a' is claimed, and between its claim and its end.
    before: &'static str,
    meanwhile: &'static str,
    limited: bool,
    finish: fn(&Claimed) -> Finish,
}

fn succeeded(claimed: &Claimed) -> Finish {
    let task =
        TaskEnd { task: "a".to_owned(), state: TaskRunState::Succeeded, rows: 1, bytes: 2, rejected: 3, busy_us: 4 };
    Finish { tasks: vec![task], ..finish_of(claimed, AttemptEnd::Succeeded) }
}

fn case(name: &'static str, plan: Plan) -> Case {
    Case { name, plan, taker: Some(taker()), before: "", meanwhile: "", limited: false, finish: succeeded }
}

fn cases() -> Vec<Case> {
    let link = || plan("p", &[("a", &[]), ("b", &["a"]), ("c", &["b"])]);
    let mut routed = link();
    routed.stages[1].queue = "other".to_owned();
    let mut labeled = link();
    labeled.stages[1].labels = vec!["gpu".to_owned()];
    let elsewhere = |claimed: &Claimed| Finish {
        manifest: Some(json!({ "files": ["x"] })),
        host: Some("elsewhere".to_owned()),
        ..succeeded(claimed)
    };
    let stale =
        |claimed: &Claimed| Finish { lease: LeaseKey { token: Uuid::new_v4(), ..claimed.lease }, ..succeeded(claimed) };
    vec![
        case("a link", link()),
        case("the last stage", plan("p", &[("a", &[])])),
        case("a join that waits for another stage", plan("p", &[("a", &[]), ("b", &[]), ("c", &["a", "b"])])),
        case("another queue", routed),
        case("a label that the worker lacks", labeled),
        Case { taker: None, ..case("nobody to take the next", link()) },
        Case { limited: true, ..case("a limit", link()) },
        Case { finish: elsewhere, ..case("a dataset on another host", link()) },
        Case { finish: stale, ..case("a token that isn't current", link()) },
        Case { meanwhile: "UPDATE runs SET pinned_worker = uuid_v7()", ..case("another worker's run", link()) },
        Case {
            meanwhile: "UPDATE runs SET cancel_requested_at = now(), remaining = 1;
                        UPDATE stage_runs SET state = 'canceled', finished_at = now() WHERE state = 'pending'",
            ..case("a run that is canceled", link())
        },
        Case { meanwhile: "UPDATE runs SET failed_stages = 1, remaining = 1", ..case("a run that has failed", link()) },
        Case {
            before: "UPDATE stage_runs SET attempt = 4 WHERE stage IN ('a', 'b')",
            ..case("a rerun that goes on counting", link())
        },
        Case {
            meanwhile: "INSERT INTO ready (workspace_id, stage_run_id, run_id, queue, rank, run_at, plan_format, light, lane)
                        SELECT workspace_id, id, run_id, queue, now(), now(), plan_format, light, 1 FROM stage_runs WHERE stage = 'c'",
            ..case("something else that is ready", link())
        },
    ]
}

/// Ends 'a' in a database of its own, alone or together with a stage of another run; returns what was said of it, and what the tables hold of its run.
async fn play(case: &Case, alone: bool) -> (String, serde_json::Value) {
    let db = database().await;
    start_run(&db.store, &case.plan).await;
    raw_sql(case.before).execute(db.store.durable()).await.unwrap();
    let taker = case.taker.clone().unwrap_or_else(taker);
    let claimed = claim_one(&db.store, &taker).await;
    assert_eq!(claimed.stage, "a");
    raw_sql(case.meanwhile).execute(db.store.durable()).await.unwrap();
    let finish = (case.finish)(&claimed);
    let mut batch = vec![finish.clone()];
    if !alone {
        let mut other = plan("other", &[("z", &[])]);
        other.stages[0].queue = "others".to_owned();
        start_run(&db.store, &other).await;
        let others = Taker { queues: vec!["others".to_owned()], ..super::taker() };
        batch.push(finish_of(&claim_one(&db.store, &others).await, AttemptEnd::Succeeded));
    }
    if case.limited {
        db.store.default_workspace().set_limit(&Scope::Workspace, 9).await.unwrap();
    }
    let hand_over = case.taker.as_ref().map(|taker| (taker, 1.into()));
    let mut tx = db.store.durable().begin().await.unwrap();
    let ended = end_successes(&mut *tx, &batch, hand_over).await.unwrap();
    tx.commit().await.unwrap();
    let seen = sqlx::query(SEEN).bind(claimed.lease.token).bind(taker.worker_id).fetch_one(db.store.durable()).await;
    (said(&ended, &finish), seen.unwrap().get(0))
}

fn said(ended: &Ended, finish: &Finish) -> String {
    let handed_over = ended.handed_over.iter().map(|next| {
        let inputs = (&next.params, next.interval_start, next.interval_end, next.woken_at, next.fence);
        format!("{} {} {} {inputs:?}", next.stage, next.number, next.queue)
    });
    let queues = ended.opened.values().collect::<Vec<_>>();
    let accepted = ended.accepted.contains(&finish.lease.token);
    format!(
        "accepted {accepted}, more {}, opened {queues:?}, handed over {:?}",
        ended.more,
        handed_over.collect::<Vec<_>>()
    )
}

#[tokio::test]
async fn an_end_leaves_in_each_situation_what_it_should() {
    for case in cases() {
        let (said, seen) = play(&case, true).await;
        let seen = serde_json::to_string_pretty(&seen).unwrap();
        insta::assert_snapshot!(case.name.replace([' ', '\''], "_"), format!("{said}\n{seen}"));
    }
}

#[tokio::test]
async fn an_end_does_in_a_batch_what_it_does_alone() {
    for case in cases() {
        let ((alone, tables), (batched, with_others)) = (play(&case, true).await, play(&case, false).await);
        assert_eq!(alone, batched, "{}", case.name);
        for (table, rows) in tables.as_object().unwrap() {
            for row in rows.as_array().into_iter().flatten() {
                assert!(with_others[table].as_array().unwrap().contains(row), "{}: {table} lacks {row}", case.name);
            }
        }
    }
}

#[tokio::test]
async fn an_end_hands_over_to_as_many_slots_of_a_kind_as_there_are() {
    let db = database().await;
    let run_id = start_run(&db.store, &plan("p", &[("a", &[]), ("b", &["a"]), ("c", &["a"])])).await;
    let taker = taker();
    let claimed = claim_one(&db.store, &taker).await;
    let report =
        db.store.finish(&[finish_of(&claimed, AttemptEnd::Succeeded)], Some((&taker, 1.into()))).await.unwrap();
    assert_eq!((report.results[0], report.claimed.len()), (Finished::Accepted, 1));
    let states = ["b", "c"].map(|stage| (stage, ()));
    let run = show(&db.store, run_id).await;
    let running = states.iter().filter(|(stage, ())| state_of(&run, stage) == StageRunState::Running).count();
    assert_eq!(running, 1);
}

#[tokio::test]
async fn an_end_looks_only_into_its_month_and_reads_nothing_from_end_to_end() {
    let db = database().await;
    let month = |history: &str| {
        format!(
            "CREATE TABLE {history}_202501 PARTITION OF {history}
             FOR VALUES FROM (first_id('2025-01-01+0')) TO (first_id('2025-02-01+0'))"
        )
    };
    db.execute(&["stage_runs", "deps", "attempts", "task_runs"].map(month).join(";")).await;
    for _ in 0..50 {
        start_run(&db.store, &plan("p", &[("a", &[]), ("b", &["a"])])).await;
    }
    let taker = taker();
    let claimed = claim_one(&db.store, &taker).await;
    db.execute("ANALYZE").await;
    let mut tx = db.store.durable().begin().await.unwrap();
    let finish = succeeded(&claimed);
    let ended = end_successes(&mut *tx, [&finish], Some((&taker, 1.into()))).await.unwrap();
    assert_eq!(ended.handed_over.len() + ended.opened.len(), 1);
    let looks = "SELECT relname::text, seq_scan, idx_scan FROM pg_stat_xact_user_tables
                 WHERE relname ~ '^(runs|stage_runs_.*|attempts_.*|task_runs_.*|deps_.*)$' AND COALESCE(seq_scan, 0) + COALESCE(idx_scan, 0) > 0";
    let rows = sqlx::query(looks).fetch_all(&mut *tx).await.unwrap();
    let looked: Vec<(String, i64, i64)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(looked.len(), 5, "one partition of each: {looked:?}");
    assert!(looked.iter().all(|(_, from_end_to_end, _)| *from_end_to_end == 0), "{looked:?}");
}

#[tokio::test]
async fn only_a_hand_over_does_not_wait_for_the_disk() {
    let link = || plan("p", &[("a", &[]), ("b", &["a"])]);
    for (plan, taker, expected) in
        [(link(), Some(taker()), "off"), (link(), None, "on"), (plan("p", &[("a", &[])]), Some(taker()), "on")]
    {
        let db = database().await;
        start_run(&db.store, &plan).await;
        let claimed = claim_one(&db.store, &super::taker()).await;
        let mut tx = db.store.durable().begin().await.unwrap();
        let hand_over = taker.as_ref().map(|taker| (taker, 1.into()));
        end_successes(&mut *tx, &[succeeded(&claimed)], hand_over).await.unwrap();
        let commit = sqlx::query("SHOW synchronous_commit").fetch_one(&mut *tx).await.unwrap();
        assert_eq!(commit.get::<String, _>(0), expected, "{} of {}", claimed.stage, plan.stages.len());
        tx.commit().await.unwrap();
    }
}
