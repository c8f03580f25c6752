//! What the database itself refuses, whatever a statement says.

use super::*;

#[tokio::test]
async fn a_row_that_breaks_a_rule_is_refused_by_the_name_of_the_rule() {
    let db = database().await;
    start_run(&db.store, &plan("p", &[("a", &[])])).await;
    db.store.claim(&taker(), 1).await.unwrap();
    let broken = [
        ("UPDATE runs SET state = 'done'", "runs_state"),
        ("UPDATE runs SET remaining = -1", "countdown_ends"),
        ("UPDATE runs SET state = 'failed', remaining = 0", "runs_end"),
        ("UPDATE runs SET state = 'failed', finished_at = now()", "runs_end"),
        ("UPDATE runs SET finished_at = now()", "runs_end"),
        ("UPDATE stage_runs SET state = 'done'", "stage_runs_state"),
        ("UPDATE stage_runs SET pending = -1", "countdown_ends"),
        ("UPDATE stage_runs SET ending = 'succeeded'", "stage_runs_ending"),
        ("UPDATE stage_runs SET state = 'skipped'", "stage_runs_end"),
        ("UPDATE stage_runs SET finished_at = now()", "stage_runs_end"),
        ("UPDATE stage_runs SET state = 'waiting'", "stage_runs_end"),
        ("UPDATE attempts SET state = 'done'", "attempts_state"),
        ("UPDATE attempts SET state = 'lost'", "attempts_end"),
        ("UPDATE attempts SET kind = 'walk'", "attempts_kind"),
        ("UPDATE attempts SET number = 0", "attempts_number"),
        ("UPDATE task_runs SET state = 'running'", "task_runs_state"),
    ];
    for (statement, rule) in broken {
        let error = sqlx::query(statement).execute(db.store.durable()).await.unwrap_err();
        let refused = error.as_database_error().and_then(|error| error.constraint());
        assert_eq!(refused, Some(rule), "{statement}: {error}");
    }
}
