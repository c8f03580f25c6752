//! The process is killed, or frozen, at every step of a load; then the run is finished by another process, and software that shares
//! no code with Headwater reads the target.

use serde_json::Value;

use crate::killed::at_each_step;
use crate::stores;
use crate::support::{World, eventually, python};

/// Rows of the source: several batches, so that the first one is not all.
const ROWS: i64 = 20_000;

/// Steps at which the target has the commit and the store does not know it yet.
const COMMITTED: [&str; 2] = ["after_commit", "before_finish"];

/// Something to load into.
#[derive(Debug, Clone, Copy)]
enum Target {
    Delta,
    Postgres,
    Files,
    /// Delta in a bucket of the S3 server.
    StoredDelta,
    /// Files in a bucket of the S3 server.
    StoredFiles,
}

impl Target {
    fn connection(self, world: &World) -> String {
        let folder = world.folder.join("target").display().to_string();
        match self {
            Self::Delta => format!("{{ type: delta, location: \"file://{folder}\" }}"),
            Self::Postgres => format!("{{ type: postgres, url: \"{}\" }}", world.url()),
            Self::Files => format!("{{ type: files, location: \"file://{folder}\", format: parquet }}"),
            Self::StoredDelta | Self::StoredFiles => {
                let bucket = stores::bucket();
                // The server keeps objects as files, which others then read.
                std::os::unix::fs::symlink(&bucket.folder, folder).unwrap();
                let further =
                    if matches!(self, Self::StoredDelta) { "type: delta" } else { "type: files, format: parquet" };
                let options = serde_json::to_string(&bucket.options).unwrap();
                format!("{{ {further}, location: \"{}\", options: {options} }}", bucket.location)
            }
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Postgres => "public.copied",
            Self::Delta | Self::Files | Self::StoredDelta | Self::StoredFiles => "copied",
        }
    }

    /// Number of rows, number of distinct ids and sum of the amounts, as others see them.
    fn contents(self, world: &World) -> String {
        let path = world.folder.join("target/copied").display().to_string();
        match self {
            Self::Delta | Self::StoredDelta => {
                python(&sums("import deltalake", "deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table()"), &[&path])
            }
            Self::Files | Self::StoredFiles => {
                python(&sums("import pyarrow.dataset", "pyarrow.dataset.dataset(sys.argv[1]).to_table()"), &[&path])
            }
            Self::Postgres => world.query("SELECT count(*), count(DISTINCT id), sum(amount) FROM copied"),
        }
    }

    /// Number of rows in a target that perhaps nothing was ever loaded into.
    fn rows(self, world: &World) -> String {
        let path = world.folder.join("target/copied").display().to_string();
        match self {
            Self::Delta | Self::StoredDelta => python("import deltalake, sys\nprint(deltalake.DeltaTable(sys.argv[1]).count())", &[&path]),
            Self::Files | Self::StoredFiles => python(
                "import os, sys, pyarrow.dataset as d\np = sys.argv[1]\n\
                 print(d.dataset(p, format='parquet').count_rows() if os.path.isdir(p) else 0)",
                &[&path],
            ),
            Self::Postgres => world.query(
                "SELECT CASE WHEN to_regclass('copied') IS NULL THEN 0
                 ELSE (xpath('/row/c/text()', query_to_xml('SELECT count(*) AS c FROM copied', false, true, '')))[1]::text::int END",
            ),
        }
    }
}

fn sums(import: &str, table: &str) -> String {
    format!(
        "import sys, pyarrow.compute as c\n{import}\nt = {table}\n\
         print(t.num_rows, len(t['id'].unique()), c.sum(t['amount']), sep='|')"
    )
}

/// A world with a source table and a pipeline that appends it to the target, and what the target has to hold.
fn world(target: Target) -> (World, String) {
    let world = World::new();
    let expected = world.query(&format!(
        "CREATE TABLE orders (id bigint PRIMARY KEY, amount numeric(12,2) NOT NULL, note text);
         INSERT INTO orders SELECT i, (i * 37 % 100000) / 100.0, 'order ' || i FROM generate_series(1, {ROWS}) i;
         SELECT count(*), count(DISTINCT id), sum(amount) FROM orders"
    ));
    let spec = format!(
        "name: crash\n\
         connections:\n  source: {{ type: postgres, url: \"{}\" }}\n  target: {}\n\
         tasks:\n  orders: {{ extract: {{ from: source.public.orders }} }}\n  \
         checked: {{ check: {{ input: orders, rules: [ {{ not_null: [id] }} ] }} }}\n  \
         publish: {{ load: {{ input: checked, into: target.{}, mode: append }} }}\n",
        world.url(),
        target.connection(&world),
        target.path(),
    );
    world.write("crash.yaml", &spec);
    (world, expected)
}

/// The run's only receipt, after it has succeeded.
fn receipt(run: &Value, place: &str) -> Value {
    assert_eq!(run["state"], "succeeded", "{place}: {run:#}");
    let receipts = run["receipts"].as_array().unwrap();
    assert_eq!(receipts.len(), 1, "{place}: {run:#}");
    assert_eq!(receipts[0]["rows_written"], ROWS, "{place}");
    receipts[0].clone()
}

/// Kills a run at one place, finishes it, and compares.
fn killed_at(target: Target, point: &str) {
    let place = format!("{target:?} {point}");
    let (world, expected) = world(target);
    let mut command = world.command(&["run", "crash.yaml"]);
    command.env("HEADWATER_FAILPOINTS", format!("{point}=kill"));
    let done = world.start(command).wait();
    assert!(done.was_killed(), "{place}: {done}");
    let finished = point == "after_finish";
    let recover: &[&str] = if finished { &["runs", "show", "--json"] } else { &["runs", "rerun", "--json"] };
    let run = world.json(recover);
    let receipt = receipt(&run, &place);
    // The commit is the first attempt's exactly where that one had come to it.
    assert_eq!(receipt["attempt"] == 1, COMMITTED.contains(&point) || finished, "{place}: {run:#}");
    assert!(receipt["adopted"] == true || !COMMITTED.contains(&point), "{place}: {run:#}");
    assert_eq!(target.contents(&world), expected, "{place}");
    assert_eq!(world.json(&["runs", "list", "--json"])["runs"].as_array().unwrap().len(), 1, "{place}");
}

/// All places at one target, two at a time.
fn killed_anywhere(target: Target) {
    at_each_step(|point| killed_at(target, point));
}

#[test]
fn a_process_killed_at_any_step_of_a_delta_load_leaves_every_row_once() {
    killed_anywhere(Target::Delta);
}

#[test]
fn a_process_killed_at_any_step_of_a_postgres_load_leaves_every_row_once() {
    killed_anywhere(Target::Postgres);
}

#[test]
fn a_process_killed_at_any_step_of_a_files_load_leaves_every_row_once() {
    killed_anywhere(Target::Files);
}

#[test]
fn a_process_killed_at_any_step_of_a_delta_load_on_s3_leaves_every_row_once() {
    killed_anywhere(Target::StoredDelta);
}

#[test]
fn a_process_killed_at_any_step_of_a_files_load_on_s3_leaves_every_row_once() {
    killed_anywhere(Target::StoredFiles);
}

/// Freezes a run at one place for longer than its lease, lets another process finish it, and thaws the first.
fn frozen_at(target: Target, point: &str) {
    let place = format!("{target:?} {point}");
    let (world, expected) = world(target);
    let mut command = world.command(&["run", "crash.yaml"]);
    command.env("HEADWATER_FAILPOINTS", format!("{point}=stop"));
    let frozen = world.start(command);
    eventually("the process is frozen", || frozen.is_stopped());
    let run = world.json(&["runs", "rerun", "--json"]);
    assert_ne!(receipt(&run, &place)["attempt"], 1, "{place}: {run:#}");
    assert_eq!(target.contents(&world), expected, "{place}: before the thaw");
    frozen.signal("CONT");
    let thawed = frozen.wait();
    assert_eq!(thawed.code(), Some(0), "{place}: the run has succeeded, if not by this process: {thawed}");
    assert_eq!(target.contents(&world), expected, "{place}: after the thaw");
}

#[test]
fn a_process_frozen_for_longer_than_its_lease_cannot_commit_after_its_successor() {
    for (target, point) in [
        (Target::Delta, "after_write"),
        (Target::Delta, "after_intent"),
        (Target::Postgres, "after_intent"),
        (Target::Files, "after_intent"),
        (Target::StoredDelta, "after_intent"),
        (Target::StoredFiles, "after_intent"),
    ] {
        frozen_at(target, point);
    }
}

/// Freezes a run before its commit, cancels it, waits until another worker has fenced it, and thaws it.
fn canceled_while_frozen(target: Target) {
    let (world, _) = world(target);
    let mut command = world.command(&["run", "crash.yaml"]);
    command.env("HEADWATER_FAILPOINTS", "after_intent=stop");
    let frozen = world.start(command);
    eventually("the process is frozen", || frozen.is_stopped());
    world.succeed(&["runs", "cancel", "--newest"]);
    let serving = world.serve("");
    eventually("the run has ended", || world.json(&["runs", "show", "--json"])["state"] == "canceled");
    frozen.signal("CONT");
    let thawed = frozen.wait();
    assert_eq!(thawed.code(), Some(1), "{target:?}: {thawed}");
    let run = world.json(&["runs", "show", "--json"]);
    assert_eq!(run["state"], "canceled", "{target:?}: {run:#}");
    assert_eq!(run["receipts"].as_array().unwrap().len(), 0, "{target:?}: {run:#}");
    assert_eq!(target.rows(&world), "0", "{target:?}: it committed after its run was canceled");
    serving.signal("TERM");
    assert_eq!(serving.wait().code(), Some(0));
}

#[test]
fn a_canceled_run_cannot_commit_however_late_its_process_wakes() {
    [Target::Delta, Target::Postgres, Target::Files, Target::StoredDelta, Target::StoredFiles]
        .into_iter()
        .for_each(canceled_while_frozen);
}

#[test]
fn a_run_whose_process_died_is_finished_by_the_next_worker_that_comes() {
    let (world, expected) = world(Target::Delta);
    let mut command = world.command(&["run", "crash.yaml"]);
    command.env("HEADWATER_FAILPOINTS", "after_commit=kill");
    assert!(world.start(command).wait().was_killed());
    let serving = world.serve("");
    eventually("the run is finished", || world.json(&["runs", "show", "--json"])["state"] == "succeeded");
    serving.signal("TERM");
    let served = serving.wait();
    assert_eq!(served.code(), Some(0), "{served}");
    assert_eq!(Target::Delta.contents(&world), expected);
    assert_eq!(receipt(&world.json(&["runs", "show", "--json"]), "serve")["adopted"], true);
}
