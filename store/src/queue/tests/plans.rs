//! How Postgres executes the statements that come a thousand times a second.

use sqlx::{AssertSqlSafe, Row, raw_sql};

use super::*;

/// The plan that a session of the queue makes for finishes, with bounds of ids that one expression gives.
async fn plan_of_finish(store: &Store, ids: &str) -> Vec<String> {
    let mut session = store.durable().acquire().await.unwrap();
    let prepare = format!("PREPARE finish AS {}", include_str!("../finish.sql"));
    raw_sql(AssertSqlSafe(prepare)).execute(&mut *session).await.unwrap();
    let nothing = ["NULL"; 20].join(", ");
    let explain = format!("EXPLAIN EXECUTE finish({nothing}, {ids}, {ids}, {ids}, {ids})");
    let lines = raw_sql(AssertSqlSafe(explain)).fetch_all(&mut *session).await.unwrap();
    session.close().await.unwrap();
    lines.iter().map(|line| line.get(0)).collect()
}

/// Every look into these tables is for a row by its id, and there are at least so many.
fn assert_looked_up(plan: &[String], tables: &[&str], least: usize) {
    let looks: Vec<&[String]> = plan
        .windows(2)
        .filter(|two| two[0].contains("Scan") && tables.iter().any(|table| two[0].contains(&format!(" on {table}"))))
        .collect();
    assert!(looks.len() >= least, "{plan:#?}");
    for look in looks {
        assert!(look[1].contains("Index Cond") && !look[1].contains(">="), "{look:#?}");
    }
}

#[tokio::test]
async fn a_finish_looks_only_into_the_months_of_what_it_finishes() {
    let db = database().await;
    let month = |history: &str| {
        format!(
            "CREATE TABLE {history}_202501 PARTITION OF {history}
             FOR VALUES FROM (first_id('2025-01-01+0')) TO (first_id('2025-02-01+0'))"
        )
    };
    let months = ["stage_runs", "deps", "attempts", "task_runs"].map(month).join(";");
    raw_sql(AssertSqlSafe(months)).execute(db.store.durable()).await.unwrap();
    let looks = async |ids: &str| {
        let lines = plan_of_finish(&db.store, ids).await;
        lines.iter().filter(|line| line.contains("Scan") && line.contains("_202501")).count()
    };
    assert!(looks("first_id('2025-01-15+0')").await > 0);
    assert_eq!(looks("uuid_v7()").await, 0);
}

#[tokio::test]
async fn a_finish_that_was_planned_for_few_rows_looks_them_up_all_the_same() {
    let db = database().await;
    for _ in 0..100 {
        start_run(&db.store, &plan("p", &[("a", &[]), ("b", &["a"])])).await;
    }
    db.store.claim(&taker(), 100).await.unwrap();
    raw_sql("ANALYZE").execute(db.store.durable()).await.unwrap();
    let lines = plan_of_finish(&db.store, "uuid_v7()").await;
    assert_looked_up(&lines, &["runs", "stage_runs_", "attempts_", "task_runs_", "deps_"], 8);
}

#[tokio::test]
async fn the_reconciler_looks_up_what_live_runs_have_and_reads_no_history() {
    let db = database().await;
    for _ in 0..300 {
        start_run(&db.store, &plan("p", &[("a", &[]), ("b", &["a"])])).await;
    }
    raw_sql("ANALYZE").execute(db.store.durable()).await.unwrap();
    let explain = format!("EXPLAIN {}", include_str!("../../reconcile/suspects.sql"));
    let lines = raw_sql(AssertSqlSafe(explain)).fetch_all(db.store.reads()).await.unwrap();
    let lines: Vec<String> = lines.iter().map(|line| line.get(0)).collect();
    assert_looked_up(&lines, &["stage_runs_", "deps_"], 3);
}
