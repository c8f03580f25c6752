//! The end of a link does what the statement for batches does, and no more work than it must.

use sqlx::{Row, raw_sql};

use super::*;
use crate::Scope;
use crate::queue::successes::{Ended, finish_link, finish_successes};

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
            meanwhile: "INSERT INTO ready (workspace_id, stage_run_id, run_id, queue, rank, run_at, plan_format)
                        SELECT workspace_id, id, run_id, queue, now(), now(), plan_format FROM stage_runs WHERE stage = 'c'",
            ..case("something else that is ready", link())
        },
    ]
}

/// Ends 'a' in a database of its own; answers with what was said of it, and with what the tables hold then.
async fn play(case: &Case, by_link: bool) -> (String, serde_json::Value) {
    let db = database().await;
    start_run(&db.store, &case.plan).await;
    raw_sql(case.before).execute(db.store.durable()).await.unwrap();
    let taker = case.taker.clone().unwrap_or_else(taker);
    let claimed = claim_one(&db.store, &taker).await;
    assert_eq!(claimed.stage, "a");
    raw_sql(case.meanwhile).execute(db.store.durable()).await.unwrap();
    if case.limited {
        db.store.default_workspace().set_limit(&Scope::Workspace, 9).await.unwrap();
    }
    let finish = (case.finish)(&claimed);
    let hand_over = case.taker.as_ref().map(|taker| (taker, 1));
    let ended = match by_link {
        true => finish_link(db.store.durable(), &finish, hand_over).await.unwrap().expect("a link"),
        false => finish_successes(db.store.durable(), [&finish], hand_over).await.unwrap(),
    };
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
async fn the_end_of_a_link_does_what_a_batch_of_one_does() {
    for case in cases() {
        assert_eq!(play(&case, true).await, play(&case, false).await, "{}", case.name);
    }
}

#[tokio::test]
async fn an_end_that_several_stage_runs_depend_on_is_no_link_and_changes_nothing_as_one() {
    let db = database().await;
    let run_id = start_run(&db.store, &plan("p", &[("a", &[]), ("b", &["a"]), ("c", &["a"])])).await;
    let taker = taker();
    let claimed = claim_one(&db.store, &taker).await;
    let finish = finish_of(&claimed, AttemptEnd::Succeeded);
    assert!(finish_link(db.store.durable(), &finish, Some((&taker, 1))).await.unwrap().is_none());
    assert_eq!(state_of(&show(&db.store, run_id).await, "a"), StageRunState::Running);
    let report = db.store.finish(&[finish], Some((&taker, 1))).await.unwrap();
    assert_eq!((report.results[0], report.claimed.len()), (Finished::Accepted, 1));
}

#[tokio::test]
async fn a_link_looks_only_into_its_month_and_reads_nothing_from_end_to_end() {
    let db = database().await;
    for _ in 0..50 {
        start_run(&db.store, &plan("p", &[("a", &[]), ("b", &["a"])])).await;
    }
    let taker = taker();
    let claimed = claim_one(&db.store, &taker).await;
    raw_sql("ANALYZE").execute(db.store.durable()).await.unwrap();
    let mut session = db.store.durable().acquire().await.unwrap();
    raw_sql("BEGIN").execute(&mut *session).await.unwrap();
    let finish = succeeded(&claimed);
    finish_link(&mut *session, &finish, Some((&taker, 1))).await.unwrap().expect("a link");
    let looks = "SELECT relname::text, seq_scan, idx_scan FROM pg_stat_xact_user_tables
                 WHERE relname ~ '^(runs|stage_runs_.*|attempts_.*|task_runs_.*|deps_.*)$' AND COALESCE(seq_scan, 0) + COALESCE(idx_scan, 0) > 0";
    let rows = sqlx::query(looks).fetch_all(&mut *session).await.unwrap();
    raw_sql("ROLLBACK").execute(&mut *session).await.unwrap();
    let looked: Vec<(String, i64, i64)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(looked.len(), 5, "one partition of each: {looked:?}");
    assert!(looked.iter().all(|(_, from_end_to_end, _)| *from_end_to_end == 0), "{looked:?}");
}
