//! One door for each change of state: no second copy of a rule stands anywhere.

use std::path::Path;

use super::*;

/// The text of every source of this crate that is not a test, and of the migrations since there is one door.
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.display().to_string();
            if path.is_dir() {
                walk(&path, found);
            } else if !name.contains("tests") && (name.ends_with(".rs") || name.ends_with(".sql")) {
                found.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join("src"), &mut found);
    walk(&root.join("../migrations"), &mut found);
    found.retain(|(name, _)| {
        !name.contains("migrations/") || name.as_str() >= root.join("../migrations/0012").to_str().unwrap()
    });
    found.sort();
    found
}

fn places(words: &str) -> Vec<String> {
    let with = sources().into_iter().filter(|(_, text)| text.to_lowercase().contains(words));
    with.map(|(name, _)| name.rsplit('/').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn one_statement_puts_stage_runs_into_the_queue() {
    let db = database().await;
    let functions = "SELECT string_agg(proname, ', ') FROM pg_proc
                     WHERE pronamespace = 'headwater'::regnamespace AND prosrc ~* 'insert\\s+into\\s+ready'";
    assert_eq!(db.value(functions).await, "open_stage_runs");
    assert_eq!(places("insert into ready"), ["0015_lifecycle.sql", "0018_lanes.sql"], "the second replaces the first");
}

#[tokio::test]
async fn one_function_says_what_a_worker_may_take() {
    let db = database().await;
    let functions = "SELECT string_agg(proname || ' ' || provolatile::text || ' ' || proretset, ', ') FROM pg_proc
                     WHERE pronamespace = 'headwater'::regnamespace AND prosrc ~ '<@'";
    assert_eq!(db.value(functions).await, "admission s true");
    assert_eq!(places("<@"), ["0015_lifecycle.sql"]);
    // Nor in Rust: it would compare the plan formats of a worker.
    assert_eq!(places("plan_formats.contains").len() + places("labels.contains").len(), 0);
}

#[tokio::test]
async fn one_function_says_how_a_run_ends() {
    let db = database().await;
    let functions = "SELECT string_agg(proname, ', ') FROM pg_proc
                     WHERE pronamespace = 'headwater'::regnamespace AND prosrc ~ 'failed_stages > 0'";
    assert_eq!(db.value(functions).await, "run_state_after");
    assert_eq!(places("then 'failed' else 'succeeded'"), ["0015_lifecycle.sql"]);
}
