//! Until when staged datasets are kept, and what a rerun does without them.

use super::*;
use crate::testing::TestDatabase;

/// A plan whose dataset `d`, made of the dataset `c`, is read by `x` and `y`.
fn shared() -> Plan {
    let mut plan = plan("p", &[("c", &[]), ("d", &["c"]), ("x", &["d"]), ("y", &["d", "x"])]);
    for (stage, input) in [(1, "c"), (2, "d"), (3, "d")] {
        plan.stages[stage].staged_inputs = vec![input.into()];
    }
    plan
}

/// Ends the next stage, which has to be this one, with a manifest if it is a dataset's.
async fn succeed(db: &TestDatabase, stage: &str) {
    let claimed = claim_one(&db.store, &taker()).await;
    assert_eq!(claimed.stage, stage);
    let manifest = matches!(stage, "c" | "d").then(|| json!({ "files": [] }));
    let finish = Finish { manifest, ..finish_of(&claimed, AttemptEnd::Succeeded) };
    db.store.finish(&[finish], None).await.unwrap();
}

async fn fail(db: &TestDatabase, stage: &str, gone: bool) {
    let claimed = claim_one(&db.store, &taker()).await;
    assert_eq!(claimed.stage, stage);
    end(&db.store, &claimed, AttemptEnd::Failed(Failure { gone, ..Failure::default() })).await;
}

/// A run whose load `y` failed after all else had succeeded.
async fn failed_run(db: &TestDatabase, gone: bool) -> Uuid {
    let run_id = start_run(&db.store, &shared()).await;
    for stage in ["c", "d", "x"] {
        succeed(db, stage).await;
    }
    fail(db, "y", gone).await;
    run_id
}

async fn rerun(db: &TestDatabase, run_id: Uuid) -> Uuid {
    db.store.default_workspace().rerun(run_id, RerunMode::FromFailure, None).await.unwrap().run_id
}

async fn due(db: &TestDatabase, window: Duration) -> Vec<Uuid> {
    db.store.claim_staged_to_clear("here", window).await.unwrap()
}

const NEVER: Duration = Duration::from_secs(86_400);
const NONE: [Uuid; 0] = [];

#[tokio::test]
async fn staged_datasets_of_a_failed_run_are_kept_for_the_window_and_while_a_rerun_reads_them() {
    let db = database().await;
    let run_id = failed_run(&db, false).await;
    assert_eq!(due(&db, NEVER).await, NONE);
    let again = rerun(&db, run_id).await;
    assert_eq!(due(&db, Duration::ZERO).await, NONE, "the rerun holds them, whenever the first run ended");
    fail(&db, "y", false).await;
    let third = rerun(&db, again).await;
    assert_eq!(due(&db, Duration::ZERO).await, NONE);
    succeed(&db, "y").await;
    assert_eq!(show(&db.store, third).await.run.state, RunState::Succeeded);
    assert_eq!(due(&db, NEVER).await, [run_id], "nobody needs them once the last rerun has succeeded");
    assert_eq!(due(&db, NEVER).await, NONE, "they are being removed");
    db.store.staged_cleared(run_id).await.unwrap();
}

#[tokio::test]
async fn a_rerun_makes_datasets_again_that_are_being_removed() {
    let db = database().await;
    let run_id = failed_run(&db, false).await;
    assert_eq!(due(&db, Duration::ZERO).await, [run_id]);
    let again = rerun(&db, run_id).await;
    for stage in ["c", "d", "y"] {
        succeed(&db, stage).await;
    }
    let run = show(&db.store, again).await;
    assert_eq!(run.run.state, RunState::Succeeded);
    let reused: Vec<&str> =
        run.stage_runs.iter().filter(|row| row.reused_from.is_some()).map(|row| row.stage.as_str()).collect();
    assert_eq!(reused, ["x"], "a load that has committed does not load again");
}

#[tokio::test]
async fn a_rerun_makes_datasets_again_whose_files_an_attempt_missed() {
    let db = database().await;
    let run_id = failed_run(&db, true).await;
    rerun(&db, run_id).await;
    for stage in ["c", "d", "y"] {
        succeed(&db, stage).await;
    }
}

#[tokio::test]
async fn a_rerun_leaves_datasets_that_nothing_reads_any_more() {
    let db = database().await;
    let mut plan = shared();
    plan.stages[3].staged_inputs.clear();
    let run_id = start_run(&db.store, &plan).await;
    for stage in ["c", "d", "x"] {
        succeed(&db, stage).await;
    }
    fail(&db, "y", true).await;
    rerun(&db, run_id).await;
    succeed(&db, "y").await;
}

#[tokio::test]
async fn a_removal_that_was_begun_and_not_ended_is_begun_again() {
    let db = database().await;
    let run_id = failed_run(&db, false).await;
    assert_eq!(due(&db, Duration::ZERO).await, [run_id]);
    db.execute("UPDATE staged_runs SET clearing_since = clearing_since - interval '2 minutes'").await;
    assert_eq!(due(&db, Duration::ZERO).await, [run_id]);
}
