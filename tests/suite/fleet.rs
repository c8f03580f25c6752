//! Several processes on one control plane: who works on what, and what keeps work back.

use crate::support::{World, eventually};

/// A world with an approved pipeline of one wait, on its own queue and with a label.
fn world() -> World {
    let world = World::new();
    world.write("pause.yaml", "name: pause\ntasks:\n  only: { wait: 1ms, queue: slow, labels: [gpu] }\n");
    world.succeed(&["apply", "pause.yaml"]);
    world
}

/// What `runs why` says about the only stage.
fn why(world: &World) -> String {
    let answer = world.json(&["runs", "why", "--json"]);
    answer["stages"][0]["causes"][0]["kind"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn why_is_true_at_every_step_of_a_runs_life() {
    let world = world();
    let waiting = world.start(world.command(&["run", "pause", "--remote"]));
    eventually("the run is there", || world.json(&["runs", "list", "--json"])["runs"].as_array().unwrap().len() == 1);
    assert_eq!(why(&world), "no_worker");
    let told = world.succeed(&["runs", "why"]);
    let hint = "no worker serves queue slow with labels gpu; headwater serve --roles worker --queues slow --labels gpu";
    assert!(told.split_whitespace().collect::<Vec<_>>().join(" ").contains(hint), "{told}");
    world.succeed(&["pause", "queue:slow"]);
    let roles = ["serve", "--roles", "worker,scheduler", "--queues", "slow", "--labels", "gpu,eu"];
    let serving = world.start(world.command(&roles));
    eventually("the worker is there", || {
        !world.json(&["workers", "list", "--json"])["workers"].as_array().unwrap().is_empty()
    });
    assert_eq!(why(&world), "paused");
    assert_eq!(world.json(&["limits", "list", "--json"])["limits"][0]["scope"], "queue:slow");
    world.succeed(&["resume", "queue:slow"]);
    let done = waiting.wait();
    assert_eq!(done.code(), Some(0), "{done}");
    let told = world.succeed(&["runs", "why"]);
    assert!(told.contains("waits for nothing: the run is succeeded"), "{told}");
    serving.signal("TERM");
    assert_eq!(serving.wait().code(), Some(0));
    assert!(world.json(&["workers", "list", "--json"])["workers"].as_array().unwrap().is_empty());
}

#[test]
fn a_scope_that_is_none_is_refused_with_how_it_is_written() {
    let world = world();
    let done = world.run(&["pause", "slow"]);
    assert_eq!(done.code(), Some(2), "{done}");
    assert!(done.stderr.contains("pipeline:NAME, queue:NAME, connection:NAME or workspace"), "{done}");
    let done = world.run(&["limits", "set", "pipeline:puase", "1"]);
    assert_eq!(done.code(), Some(1), "{done}");
    assert!(done.stderr.contains("pause"), "{done}");
}

#[test]
fn a_followed_log_ends_with_the_run_and_has_every_line() {
    let world = World::new();
    world.query("CREATE TABLE t (id bigint); INSERT INTO t VALUES (1), (-1)");
    world.succeed(&["connections", "add", "shop", &world.url()]);
    world.succeed(&["connections", "add", "lake", "delta", &format!("file://{}/lake", world.folder.display())]);
    world.write(
        "warned.yaml",
        "name: warned\ntasks:\n  first: { wait: 2s }\n  rows: { extract: { from: shop.public.t } }\n  \
         looked_at: { check: { input: rows, rules: [ { sql: \"id > 0\", name: positive } ], on_failure: warn } }\n  \
         publish: { load: { input: looked_at, into: lake.t, mode: append }, needs: [first] }\n",
    );
    let running = world.start(world.command(&["run", "warned.yaml"]));
    eventually("the run is there", || world.json(&["runs", "list", "--json"])["runs"].as_array().unwrap().len() == 1);
    let followed = world.succeed(&["runs", "logs", "--follow"]);
    assert!(followed.contains("rule positive is violated by 1 row,"), "{followed}");
    assert_eq!(followed, world.succeed(&["runs", "logs"]));
    assert_eq!(running.wait().code(), Some(0));
}
