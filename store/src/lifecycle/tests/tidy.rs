//! Dead rows of the queue's tables.

use super::*;

#[tokio::test]
async fn a_table_of_the_queue_with_many_dead_rows_is_vacuumed_and_one_with_few_is_not() {
    let db = database().await;
    let mut session = db.store.durable().acquire().await.unwrap();
    let dead = sqlx::raw_sql(
        "INSERT INTO leases (workspace_id, stage_run_id, run_id, attempt_id, number, token, worker_id)
         SELECT i, i, i, i, 1, i, i FROM (SELECT gen_random_uuid() AS i FROM generate_series(1, 12000)) AS ids;
         INSERT INTO ready (workspace_id, stage_run_id, run_id, queue, rank, run_at, plan_format, lane)
         SELECT stage_run_id, stage_run_id, stage_run_id, 'q', now(), now(), 1, 1 FROM leases LIMIT 100;
         DELETE FROM ready; DELETE FROM leases; SELECT pg_stat_force_next_flush()",
    );
    dead.execute(&mut session).await.unwrap();
    assert_eq!(db.store.tidy_queue().await.unwrap(), ["leases"]);
    let left = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'leases'";
    assert_eq!(sqlx::query_scalar::<_, i64>(left).fetch_one(&mut session).await.unwrap(), 0);
    assert!(db.store.tidy_queue().await.unwrap().is_empty());
}
