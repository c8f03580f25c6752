//! Shared datasets staged in an object store: any worker takes any stage.

use std::process::Command;

use serde_json::Value;

use crate::stores::{Bucket, SECRET, bucket};
use crate::support::{World, eventually};

/// A world whose pipeline stages one dataset for two loads.
fn world() -> World {
    let world = World::new();
    world.query("CREATE TABLE orders AS SELECT i AS id FROM generate_series(1, 5000) i");
    let folder = world.folder.join("lake").display().to_string();
    world.write(
        "shared.yaml",
        &format!(
            "name: shared\n\
             connections:\n  source: {{ type: postgres, url: \"{}\" }}\n  lake: {{ type: delta, location: \"file://{folder}\" }}\n\
             tasks:\n  orders: {{ extract: {{ from: source.public.orders }} }}\n  \
             even: {{ transform: SELECT id FROM orders WHERE id % 2 = 0 }}\n  \
             one: {{ load: {{ input: even, into: lake.one, mode: append }} }}\n  \
             two: {{ load: {{ input: even, into: lake.two, mode: append }}, needs: [one] }}\n",
            world.url(),
        ),
    );
    world
}

/// A command of a machine of its own: it has nothing in common with others but the control plane and the staging area.
fn on_machine(world: &World, machine: &str, arguments: &[&str]) -> Command {
    let mut command = world.command(arguments);
    command.env("HEADWATER_DATA_DIR", world.folder.join(machine)).env("HEADWATER_MASTER_KEY", "11".repeat(32));
    command
}

/// The staging area in the settings file, with its secret in the environment.
fn stage_by_file(world: &World, bucket: &Bucket, command: &mut Command) {
    let options = bucket.options.iter().filter(|(name, _)| *name != "secret_access_key");
    let options: Vec<String> = options.map(|(name, value)| format!("{name} = {value}")).collect();
    let config = format!(
        "staging = \"{}/staging\"\n[staging_options]\n{}\nsecret_access_key = \"${{STAGING_SECRET}}\"\n",
        bucket.location,
        options.join("\n")
    );
    world.write("headwater.toml", &config);
    command.env("STAGING_SECRET", SECRET).args(["--config", "headwater.toml"]);
}

/// The staging area, and all that reaches it, in the environment.
fn stage_by_environment(bucket: &Bucket, command: &mut Command) {
    let option = |name: &str| bucket.options[name].as_str().unwrap().to_owned();
    command
        .env("HEADWATER_STAGING", format!("{}/staging", bucket.location))
        .env("AWS_ENDPOINT_URL", option("endpoint"))
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_REGION", option("region"))
        .env("AWS_ACCESS_KEY_ID", option("access_key_id"))
        .env("AWS_SECRET_ACCESS_KEY", option("secret_access_key"));
}

fn staged(bucket: &Bucket) -> usize {
    fn count(folder: &std::path::Path) -> usize {
        let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
    }
    count(&bucket.folder.join("staging"))
}

#[test]
fn a_run_that_staged_in_an_object_store_is_finished_on_another_machine() {
    let (world, bucket) = (world(), bucket());
    let mut first = on_machine(&world, "first", &["run", "shared.yaml"]);
    stage_by_file(&world, &bucket, first.env("HEADWATER_FAILPOINTS", "after_write=kill"));
    let killed = world.start(first).wait();
    assert!(killed.was_killed(), "{killed}");
    assert!(staged(&bucket) > 0, "the shared dataset is in the bucket");
    std::fs::remove_dir_all(world.folder.join("first")).unwrap();
    let mut second = on_machine(&world, "second", &["runs", "rerun", "--json"]);
    stage_by_file(&world, &bucket, &mut second);
    let done = world.start(second).wait();
    assert!(done.status.success(), "{done}");
    let run: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(run["state"], "succeeded", "{run:#}");
    let receipts = run["receipts"].as_array().unwrap().iter();
    let written: Vec<_> = receipts.map(|receipt| receipt["rows_written"].clone()).collect();
    assert_eq!(written, [2500, 2500], "{run:#}");
    // The dataset was computed once, by the first machine.
    let tasks = run["tasks"].as_array().unwrap();
    let even = tasks.iter().find(|task| task["path"] == "even").unwrap();
    assert_eq!(even["attempts"], 1, "{run:#}");
}

#[test]
fn a_run_that_staged_in_an_object_store_is_pinned_to_no_host() {
    let (world, bucket) = (world(), bucket());
    let mut first = on_machine(&world, "first", &["run", "shared.yaml"]);
    stage_by_environment(&bucket, first.env("HEADWATER_FAILPOINTS", "after_write=stop"));
    let frozen = world.start(first);
    eventually("the process is frozen", || frozen.is_stopped());
    assert!(staged(&bucket) > 0, "the shared dataset is in the bucket");
    let pinned = world.control("SELECT count(*) FILTER (WHERE host IS NOT NULL), count(*) FROM runs");
    assert_eq!(pinned, "0|1");
    frozen.signal("KILL");
    assert!(frozen.wait().was_killed());
}

#[test]
fn staged_files_that_are_missing_fail_the_load_and_the_next_rerun_makes_them_again() {
    let world = world();
    let mut first = on_machine(&world, "here", &["run", "shared.yaml"]);
    first.env("HEADWATER_FAILPOINTS", "after_write=kill");
    assert!(world.start(first).wait().was_killed());
    std::fs::remove_dir_all(world.folder.join("here/staging")).unwrap();
    let rerun = || {
        let again = on_machine(&world, "here", &["runs", "rerun", "--json"]);
        world.start(again).wait()
    };
    let missing = rerun();
    assert_eq!(missing.code(), Some(1), "{missing}");
    let error = serde_json::from_str::<Value>(&missing.stdout).unwrap()["error"].clone();
    assert!(error["message"].as_str().unwrap().contains("a staged file is gone"), "{missing}");
    assert!(error["hint"].as_str().unwrap().contains("rerun"), "{missing}");
    let mended = rerun();
    let run: Value = serde_json::from_str(&mended.stdout).unwrap();
    let receipts = run["receipts"].as_array().unwrap().iter();
    let written: Vec<_> = receipts.map(|receipt| receipt["rows_written"].clone()).collect();
    assert_eq!(written, [2500, 2500], "{run:#}");
}
