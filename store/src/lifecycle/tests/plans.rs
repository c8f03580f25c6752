//! How Postgres executes the statements that come a thousand times a second.

use sqlx::{AssertSqlSafe, Row, raw_sql};

use super::*;

/// The plan that a session of the queue makes for a claim.
async fn plan_of_claim(store: &Store) -> Vec<String> {
    let mut session = store.relaxed().acquire().await.unwrap();
    let prepare = format!("PREPARE claim AS {}", include_str!("../claim.sql"));
    raw_sql(AssertSqlSafe(prepare)).execute(&mut session).await.unwrap();
    let explain = "EXPLAIN EXECUTE claim(uuid_v7(), '{default}', '{1}', 'here', NULL, 2, NULL, '{}', 256)";
    let lines = raw_sql(explain).fetch_all(&mut session).await.unwrap();
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
async fn the_admission_is_part_of_the_claim_and_the_queue_is_read_in_order() {
    let db = database().await;
    for _ in 0..100 {
        start_run(&db.store, &plan("p", &[("a", &[])])).await;
    }
    db.execute("ANALYZE").await;
    let plan = plan_of_claim(&db.store).await;
    let text = plan.join("\n");
    assert!(!text.contains("Function Scan") && !text.contains("admission"), "{text}");
    assert_eq!(text.matches("Index Scan using ready_rank").count(), 2, "{text}");
    assert!(!text.contains("Sort Key: q.rank") && !text.contains("Seq Scan on ready"), "{text}");
    // Whether there are limits is asked for once, and then no row is looked at.
    assert!(text.contains("One-Time Filter"), "{text}");
    assert_looked_up(&plan, &["runs", "stage_runs_"], 3);
}

#[tokio::test]
async fn the_admission_is_part_of_a_claim_under_limits_and_lanes_are_read_in_order() {
    let db = database().await;
    start_run(&db.store, &plan("p", &[("a", &[])])).await;
    let mut session = db.store.relaxed().acquire().await.unwrap();
    let prepare = format!("PREPARE candidates AS {}", include_str!("../candidates.sql"));
    raw_sql(AssertSqlSafe(prepare)).execute(&mut session).await.unwrap();
    let explain =
        "EXPLAIN EXECUTE candidates(uuid_v7(), '{default}', '{1}', 'here', NULL, 2, '{}', false, 0, '{}', '{}', '{}')";
    let lines = raw_sql(explain).fetch_all(&mut session).await.unwrap();
    let text = lines.iter().map(|line| line.get(0)).collect::<Vec<String>>().join("\n");
    assert!(!text.contains("admission") && !text.contains("Seq Scan on ready") && !text.contains("Gather"), "{text}");
    assert_eq!(text.matches("Index Scan using ready_rank").count(), 1, "{text}");
    assert_eq!(text.matches("Index Scan using ready_lane").count(), 4, "{text}");
    assert!(!text.contains("Sort Key: q.lane") && !text.contains("Sort Key: q_1.lane"), "{text}");
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
