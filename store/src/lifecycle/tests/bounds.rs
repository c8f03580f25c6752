//! Statements that run on a timer, for each claim or for each end are bounded by the work that there is: none reads a million rows of history.
//!
//! The server itself reports the plan of every statement, those inside of functions included, with the rows that it looked at.

use serde_json::Value;

use super::*;
use crate::Scope;
use crate::testing::{explained, explaining_database};

/// Runs that have ended, each with a stage run, an attempt, a task run and a load.
const HISTORY: u64 = 1_000_000;

/// A statement may look at so many rows of a table in one node of its plan.
const MOST_ROWS: f64 = 2_000.0;

const FILL: &str = "
    SET session_replication_role = replica;
    CREATE TEMP TABLE old AS
        SELECT (left(first_id(now() - interval '3 days' + n * interval '100 milliseconds')::text, 13) || right(gen_random_uuid()::text, 23))::uuid AS id, n
        FROM generate_series(1, $ROWS) AS n;
    INSERT INTO runs (workspace_id, id, pipeline_id, version_id, state, trigger, remaining, created_at, started_at, finished_at)
        SELECT v.workspace_id, o.id, v.pipeline_id, v.id, CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'succeeded' END, 'manual', 0, now(), now(), now()
        FROM old o, (SELECT * FROM versions LIMIT 1) AS v;
    INSERT INTO stage_runs (workspace_id, id, run_id, stage, position, state, pending, queue, priority, retry, plan_format, started_at, finished_at)
        SELECT w.id, o.id, o.id, 'a', 0, 'succeeded', 0, 'default', 0, '{}', 1, now(), now() FROM old o, workspaces w;
    INSERT INTO attempts (workspace_id, id, run_id, stage_run_id, number, worker_id, state, finished_at)
        SELECT w.id, o.id, o.id, o.id, 1, o.id, 'succeeded', now() FROM old o, workspaces w;
    INSERT INTO task_runs (workspace_id, id, run_id, stage_run_id, task, kind, position, state)
        SELECT w.id, o.id, o.id, o.id, 'a', 'wait', 0, 'succeeded' FROM old o, workspaces w;
    INSERT INTO loads (workspace_id, load_id, run_id, stage_run_id, task, state, attempt, intent, receipt)
        SELECT w.id, o.id, o.id, o.id, 'a', 'committed', 1, '{}', '{}' FROM old o, workspaces w;
    INSERT INTO fires (workspace_id, schedule_id, generation, fire_at, outcome, created_at)
        SELECT w.id, w.id, 1, now() - n * interval '1 second', 'skipped', now() FROM old o, workspaces w;
    SET session_replication_role = origin;
    ANALYZE";

/// Every node of a plan that looks into a table with history, and the rows that it looked at.
fn looks(plan: &Value, found: &mut Vec<(String, f64)>) {
    if let Some(table) = plan["Relation Name"].as_str() {
        let history = ["runs", "loads", "fires", "ready"].contains(&table)
            || ["stage_runs", "attempts", "task_runs", "deps", "logs"].iter().any(|history| table.starts_with(history));
        let count = |name: &str| plan[name].as_f64().unwrap_or_default();
        let rows = (count("Actual Rows") + count("Rows Removed by Filter") + count("Rows Removed by Index Recheck"))
            * count("Actual Loops").max(1.0);
        if history {
            found.push((format!("{} on {table}", plan["Node Type"].as_str().unwrap_or_default()), rows));
        }
    }
    plan["Plans"].as_array().into_iter().flatten().for_each(|below| looks(below, found));
}

async fn beat_and_claim_and_finish(store: &Store, taker: &Taker) {
    let claimed = store.claim(taker, 4).await.unwrap();
    store.heartbeat(taker.worker_id, &[]).await.unwrap();
    let batch: Vec<Finish> = claimed.iter().map(|claimed| finish_of(claimed, AttemptEnd::Succeeded)).collect();
    store.finish(&batch, Some((taker, 4.into()))).await.unwrap();
    let one = store.claim(taker, 1).await.unwrap();
    for claimed in &one {
        end(store, claimed, AttemptEnd::Waiting(Duration::from_millis(1))).await;
    }
}

#[tokio::test]
async fn no_statement_of_a_running_fleet_reads_history() {
    let db = explaining_database(&FILL.replace("$ROWS", &HISTORY.to_string()), |store| async move {
        save(&store, &plan("p", &[("a", &[])])).await;
    })
    .await;
    let store = &db.store;
    for _ in 0..20 {
        start_run(store, &plan("p", &[("a", &[]), ("b", &["a"]), ("c", &["b"])])).await;
    }
    let taker = taker();
    register(store, &taker).await;
    beat_and_claim_and_finish(store, &taker).await;
    let queue = Scope::Queue("nobody's".to_owned());
    store.default_workspace().set_limit(&queue, 1).await.unwrap();
    beat_and_claim_and_finish(store, &taker).await;
    store.wake_due().await.unwrap();
    store.release_held().await.unwrap();
    store.due_schedules().await.unwrap();
    store.watched_workers().await.unwrap();
    store.reconcile().await.unwrap();
    store.counts().await.unwrap();
    store.tidy_queue().await.unwrap();
    store.claim_staged_to_clear("here", Duration::from_secs(60)).await.unwrap();
    store.keep_history(Duration::from_secs(30 * 86_400)).await.unwrap();
    let statements = explained(&db);
    assert!(statements.len() > 60, "only {} statements were reported", statements.len());
    let seen = assert_bounded(&statements);
    assert!(seen > 60, "only {seen} looks into tables with history were reported");
}

/// No statement looked at more rows than it may. Returns how many nodes of plans looked into tables with history.
fn assert_bounded(statements: &[(String, Value)]) -> usize {
    let mut seen = 0;
    for (text, plan) in statements {
        let mut found = Vec::new();
        looks(&plan["Plan"], &mut found);
        for (node, rows) in found {
            seen += 1;
            assert!(
                rows <= MOST_ROWS && (!node.starts_with("Seq Scan") || node.ends_with("on ready")),
                "{node} looked at {rows} rows of history: {text}\n{plan:#}"
            );
        }
    }
    seen
}

/// A million stage runs of 50 pipelines that wait in two queues. One is paused; the other has a limit of one, which is taken.
const HELD_BACK: &str = "
    SET session_replication_role = replica;
    INSERT INTO pipelines (workspace_id, name) SELECT id, 'held' || n FROM workspaces, generate_series(1, 50) AS n;
    INSERT INTO runs (workspace_id, pipeline_id, version_id, state, trigger, remaining)
        SELECT workspace_id, id, id, 'queued', 'manual', $ROWS / 50 FROM pipelines WHERE name LIKE 'held%';
    INSERT INTO stage_runs (workspace_id, run_id, stage, position, state, pending, queue, priority, retry, plan_format)
        SELECT workspace_id, id, 'a', n, 'queued', 0, CASE WHEN n % 2 = 0 THEN 'paused' ELSE 'full' END, 0, '{}', 1
        FROM runs, generate_series(1, $ROWS / 50) AS n;
    SELECT count(*) FROM open_stage_runs(ARRAY(SELECT id FROM stage_runs), first_id(now() - interval '1 day'), first_id(now() + interval '1 day'),
                                         interval '0', false);
    WITH taken AS (
        DELETE FROM ready WHERE stage_run_id = (SELECT stage_run_id FROM ready WHERE queue = 'full' LIMIT 1) RETURNING *)
    INSERT INTO leases (workspace_id, stage_run_id, run_id, attempt_id, number, token, worker_id)
        SELECT workspace_id, stage_run_id, run_id, stage_run_id, 1, stage_run_id, stage_run_id FROM taken;
    INSERT INTO limits (workspace_id, kind, name, slots, paused_at)
        SELECT id, 'queue', 'paused', NULL::integer, now() FROM workspaces UNION ALL SELECT id, 'queue', 'full', 1, NULL FROM workspaces;
    SET session_replication_role = origin;
    ANALYZE";

#[tokio::test]
async fn a_claim_reads_nothing_of_what_limits_and_pauses_hold_back() {
    let db = explaining_database(&HELD_BACK.replace("$ROWS", &HISTORY.to_string()), |_| async {}).await;
    let run_id = start_run(&db.store, &plan("p", &[("a", &[]), ("b", &[]), ("c", &["a"])])).await;
    let taker = Taker { queues: ["paused", "full", "default"].map(str::to_owned).to_vec(), ..taker() };
    register(&db.store, &taker).await;
    let claimed = db.store.claim(&taker, 4).await.unwrap();
    assert_eq!(claimed.iter().map(|claimed| claimed.lease.run_id).collect::<Vec<_>>(), [run_id; 2]);
    let batch: Vec<Finish> = claimed.iter().map(|claimed| finish_of(claimed, AttemptEnd::Succeeded)).collect();
    let handed_over = db.store.finish(&batch, Some((&taker, 4.into()))).await.unwrap().claimed;
    assert_eq!(handed_over.iter().map(|claimed| claimed.stage.as_str()).collect::<Vec<_>>(), ["c"]);
    assert!(db.store.claim(&taker, 4).await.unwrap().is_empty());
    let statements = explained(&db);
    assert!(statements.iter().filter(|(text, _)| text.contains("lanes AS")).count() >= 6, "all lanes were looked at");
    assert_bounded(&statements);
    // With a place under the limit, the claim that takes it is as short.
    db.execute("DELETE FROM leases WHERE attempt_id = stage_run_id").await;
    assert_eq!(db.store.claim(&taker, 4).await.unwrap()[0].queue, "full");
    assert_bounded(&explained(&db));
}
