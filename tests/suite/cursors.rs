//! Loads that go on where they were: each row once, whatever is killed, frozen, restored or made anew. Targets are read by software that shares no code with Headwater.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::killed::{at_each_step, run_through};
use crate::support::{World, eventually, python};

const TABLE: &str = "CREATE TABLE orders (id bigint PRIMARY KEY, note text NOT NULL, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());";

/// A world with a source, and a pipeline that loads its new rows into a lake.
pub(crate) fn world(load: &str) -> World {
    let world = World::new();
    world.query(TABLE);
    world.write("p.yaml", &spec(&world, load));
    world
}

pub(crate) fn spec(world: &World, load: &str) -> String {
    format!(
        "name: p\nconnections:\n  source: {{ type: postgres, url: \"{}\" }}\n  lake: {{ type: delta, location: \"file://{}\" }}\n\
         tasks:\n  orders: {{ extract: {{ from: source.public.orders, cursor: updated_at }} }}\n{load}",
        world.url(),
        world.folder.join("lake").display()
    )
}

pub(crate) const APPEND: &str = "  publish: { load: { input: orders, into: lake.orders, mode: append } }\n";
const UPSERT: &str =
    "  publish: { load: { input: orders, into: lake.orders, mode: upsert, keys: [id], order_by: updated_at } }\n";
const INTO_POSTGRES: &str = "  publish: { load: { input: orders, into: source.public.copied, mode: append } }\n";

/// Rows of the lake's table, as `id:note` in order.
fn lake(world: &World, table: &str) -> String {
    let path = world.folder.join("lake").join(table).display().to_string();
    let program = "import deltalake, sys\nt = deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table().to_pylist()\n\
                   print(' '.join(sorted(f\"{r['id']}:{r['note']}\" for r in t)))";
    python(program, &[&path])
}

fn run(world: &World) -> Value {
    let run = world.json(&["run", "p.yaml", "--json"]);
    assert_eq!(run["state"], "succeeded", "{run:#}");
    run
}

/// Rows that a run wrote.
fn written(run: &Value) -> i64 {
    run["receipts"].as_array().unwrap().iter().map(|receipt| receipt["rows_written"].as_i64().unwrap()).sum()
}

/// Runs until the lake holds what it has to: transactions of other tests delay rows.
fn run_until(world: &World, table: &str, rows: &str) {
    eventually(rows, || {
        run(world);
        lake(world, table) == rows
    });
}

/// A client of the source that stays.
pub(crate) struct Writer {
    psql: Child,
    answers: BufReader<ChildStdout>,
}

impl Writer {
    pub(crate) fn new(world: &World) -> Self {
        let mut command = Command::new("psql");
        command.args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1"]).arg(world.url());
        let mut psql = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(psql.stdout.take().unwrap());
        Self { psql, answers }
    }

    pub(crate) fn say(&mut self, sql: &str) {
        writeln!(self.psql.stdin.as_mut().unwrap(), "{sql};\n\\echo done").unwrap();
        let mut line = String::new();
        while !line.ends_with("done\n") {
            assert!(self.answers.read_line(&mut line).unwrap() > 0, "psql ended: {line}");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}

#[test]
fn rows_of_a_transaction_that_commits_late_are_loaded_once() {
    let world = world(APPEND);
    world.query("INSERT INTO orders VALUES (1, 'a')");
    run_until(&world, "orders", "1:a");
    let mut writer = Writer::new(&world);
    writer.say("BEGIN; INSERT INTO orders VALUES (2, 'b'); SAVEPOINT s; INSERT INTO orders VALUES (3, 'c'); RELEASE s");
    world.query("INSERT INTO orders VALUES (4, 'd')");
    run(&world);
    let between = lake(&world, "orders");
    assert!(["1:a", "1:a 4:d"].contains(&between.as_str()), "{between}");
    writer.say("INSERT INTO orders VALUES (5, 'e'); COMMIT");
    run_until(&world, "orders", "1:a 2:b 3:c 4:d 5:e");
    let again = run(&world);
    assert_eq!(written(&again), 0, "nothing is new: {again:#}");
    assert_eq!(lake(&world, "orders"), "1:a 2:b 3:c 4:d 5:e");
}

#[test]
fn a_run_without_new_rows_commits_nothing() {
    let world = world(APPEND);
    world.query("INSERT INTO orders VALUES (1, 'a')");
    run_until(&world, "orders", "1:a");
    run(&world);
    let log = world.folder.join("lake/orders/_delta_log");
    let commits = || std::fs::read_dir(&log).unwrap().count();
    let before = commits();
    let empty = run(&world);
    assert_eq!((commits(), empty["receipts"].as_array().unwrap().len()), (before, 0), "{empty:#}");
}

#[test]
fn rows_that_change_are_merged_and_the_receipt_says_how_far_the_load_has_read() {
    let world = world(UPSERT);
    world.query("INSERT INTO orders VALUES (1, 'a'), (2, 'b')");
    run_until(&world, "orders", "1:a 2:b");
    world.query(
        "UPDATE orders SET note = 'B', updated_at = clock_timestamp() WHERE id = 2; INSERT INTO orders VALUES (3, 'c')",
    );
    run_until(&world, "orders", "1:a 2:B 3:c");
    let receipt = world.control("SELECT receipt -> 'cursors' -> 0 FROM loads ORDER BY created_at DESC LIMIT 1");
    let receipt: Value = serde_json::from_str(&receipt).unwrap();
    assert_eq!(receipt["task"], "orders");
    assert!(receipt["from"].as_str().unwrap().starts_with("updated_at 20"), "{receipt}");
    assert!(receipt["to"].as_str().unwrap() > receipt["from"].as_str().unwrap(), "{receipt}");
    let cursors = world.json(&["cursors", "list", "p", "--json"]);
    assert_eq!(cursors["cursors"][0]["position"], receipt["to"], "{cursors:#}");
    assert_eq!(cursors["cursors"][0]["source"], "source.public.orders", "{cursors:#}");
}

/// Loads some rows, then is killed at one place while it loads further ones, and is finished by another process.
fn killed_at(load: &str, contents: impl Fn(&World) -> String, point: &str) {
    let world = world(load);
    world.query("INSERT INTO orders VALUES (1, 'a'), (2, 'b')");
    eventually("the first rows are loaded", || {
        run(&world);
        contents(&world) == "1:a 2:b"
    });
    world.query("INSERT INTO orders VALUES (3, 'c')");
    run_through(&world, point, || {});
    world.query("INSERT INTO orders VALUES (4, 'd')");
    eventually(point, || {
        run(&world);
        let found = contents(&world);
        assert!(found.matches("3:c").count() < 2, "{point}: {found}");
        found == "1:a 2:b 3:c 4:d"
    });
}

fn killed_anywhere(load: &str, contents: impl Fn(&World) -> String + Copy + Send + Sync) {
    at_each_step(|point| killed_at(load, contents, point));
}

#[test]
fn a_process_killed_at_any_step_of_an_incremental_delta_load_leaves_every_row_once() {
    killed_anywhere(APPEND, |world| lake(world, "orders"));
}

#[test]
fn a_process_killed_at_any_step_of_an_incremental_postgres_load_leaves_every_row_once() {
    killed_anywhere(INTO_POSTGRES, |world| {
        world.query("SELECT string_agg(id || ':' || note, ' ' ORDER BY id) FROM copied")
    });
}

#[test]
fn runs_of_one_cursor_take_turns() {
    let world = world(APPEND);
    world.query("INSERT INTO orders VALUES (1, 'a')");
    run_until(&world, "orders", "1:a");
    world.query("INSERT INTO orders SELECT i, 'n' FROM generate_series(2, 500) i");
    let started: Vec<_> = (0..4).map(|_| world.start(world.command(&["run", "p.yaml"]))).collect();
    for running in started {
        let done = running.wait();
        assert!(done.status.success(), "{done}");
    }
    let path = world.folder.join("lake/orders").display().to_string();
    let count = "import deltalake, sys\nt = deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table()\nprint(t.num_rows, len(t['id'].unique()))";
    eventually("all rows, each once", || {
        run(&world);
        let counted = python(count, &[&path]);
        let (rows, distinct) = counted.split_once(' ').unwrap();
        assert_eq!(rows, distinct);
        counted == "500 500"
    });
}

#[test]
fn a_frozen_process_does_not_commit_rows_that_its_successor_has_loaded() {
    let world = world(APPEND);
    world.query("INSERT INTO orders VALUES (1, 'a')");
    run_until(&world, "orders", "1:a");
    world.query("INSERT INTO orders VALUES (2, 'b')");
    let mut command = world.command(&["run", "p.yaml"]);
    command.env("HEADWATER_FAILPOINTS", "after_intent=stop");
    let frozen = world.start(command);
    eventually("the process is frozen", || frozen.is_stopped());
    let rerun = world.json(&["runs", "rerun", "--json"]);
    assert_eq!(rerun["state"], "succeeded", "{rerun:#}");
    assert_eq!(lake(&world, "orders"), "1:a 2:b");
    world.query("INSERT INTO orders VALUES (3, 'c')");
    run_until(&world, "orders", "1:a 2:b 3:c");
    frozen.signal("CONT");
    frozen.wait();
    assert_eq!(lake(&world, "orders"), "1:a 2:b 3:c");
}

#[test]
fn of_two_loads_below_one_cursor_the_one_that_failed_catches_up_alone() {
    let load = "  publish: { load: { input: orders, into: lake.orders, mode: append } }\n  \
                copy: { load: { input: orders, into: source.public.copied, mode: append } }\n";
    let world = world(load);
    world.query("CREATE TABLE copied (id bigint, note text CHECK (note <> 'b'), updated_at timestamptz); INSERT INTO orders VALUES (1, 'a')");
    run_until(&world, "orders", "1:a");
    world.query("INSERT INTO orders VALUES (2, 'b')");
    eventually("the row is in the lake", || {
        world.run(&["run", "p.yaml"]);
        lake(&world, "orders") == "1:a 2:b"
    });
    let told = world.run(&["run", "p.yaml"]).stderr;
    assert!(
        told.contains("orders (copy): ") && told.lines().count() < 40,
        "a task of two stages is told of once for each: {told}"
    );
    let copied = || world.query("SELECT string_agg(id || ':' || note, ' ' ORDER BY id) FROM copied");
    assert_eq!(copied(), "1:a");
    world.query("ALTER TABLE copied DROP CONSTRAINT copied_note_check; INSERT INTO orders VALUES (3, 'c')");
    run_until(&world, "orders", "1:a 2:b 3:c");
    eventually("the other load has all rows, each once", || {
        run(&world);
        copied() == "1:a 2:b 3:c"
    });
    assert_eq!(lake(&world, "orders"), "1:a 2:b 3:c");
}

#[test]
fn a_target_that_was_made_anew_is_refused_until_everything_is_loaded_again() {
    let world = world(APPEND);
    world.query("INSERT INTO orders VALUES (1, 'a'), (2, 'b')");
    run_until(&world, "orders", "1:a 2:b");
    std::fs::remove_dir_all(world.folder.join("lake/orders")).unwrap();
    world.query("INSERT INTO orders VALUES (3, 'c')");
    let refused = world.run(&["run", "p.yaml"]);
    assert!(!refused.status.success(), "{refused}");
    assert!(refused.to_string().contains("does not hold the rows up to which the cursor has read"), "{refused}");
    assert!(refused.to_string().contains("--full-refresh"), "{refused}");
    let full = world.json(&["run", "p.yaml", "--full-refresh", "--json"]);
    assert_eq!(full["state"], "succeeded", "{full:#}");
    run_until(&world, "orders", "1:a 2:b 3:c");
}

#[test]
fn a_control_plane_that_is_behind_its_target_loads_nothing_twice() {
    let world = world(APPEND);
    world.query("INSERT INTO orders VALUES (1, 'a')");
    run_until(&world, "orders", "1:a");
    let backup = world.control("SELECT row_to_json(c) FROM (SELECT generation, position, shown FROM cursors) c");
    world.query("INSERT INTO orders VALUES (2, 'b')");
    run_until(&world, "orders", "1:a 2:b");
    // As if it were restored from a backup.
    world.control(&format!(
        "UPDATE cursors SET generation = (b ->> 'generation')::bigint, position = b -> 'position', shown = b ->> 'shown' FROM (SELECT '{backup}'::jsonb AS b) x"
    ));
    let refused = world.run(&["run", "p.yaml"]);
    assert!(!refused.status.success() && refused.to_string().contains("behind the position"), "{refused}");
    assert_eq!(lake(&world, "orders"), "1:a 2:b");
}

#[test]
fn a_full_refresh_replaces_what_the_target_holds() {
    for load in [APPEND, UPSERT] {
        let world = world(load);
        world.query("INSERT INTO orders VALUES (1, 'a'), (2, 'b')");
        run_until(&world, "orders", "1:a 2:b");
        world.query("DELETE FROM orders WHERE id = 1; INSERT INTO orders VALUES (3, 'c')");
        world.json(&["run", "p.yaml", "--full-refresh", "--json"]);
        run_until(&world, "orders", "2:b 3:c");
        let cursor = world.json(&["cursors", "list", "--json"])["cursors"][0].clone();
        assert_eq!(cursor["refresh"], false, "{cursor:#}");
    }
}

#[test]
fn a_full_refresh_that_fails_leaves_the_target_and_the_next_run_as_they_were() {
    let world = world(UPSERT);
    world.query("INSERT INTO orders VALUES (1, 'a'), (2, 'b')");
    run_until(&world, "orders", "1:a 2:b");
    world.query("DELETE FROM orders WHERE id = 1; ALTER TABLE orders RENAME TO away");
    let failed = world.run(&["run", "p.yaml", "--full-refresh"]);
    assert!(!failed.status.success(), "{failed}");
    world.query("ALTER TABLE away RENAME TO orders; INSERT INTO orders VALUES (3, 'c')");
    run_until(&world, "orders", "1:a 2:b 3:c");
}

#[test]
fn a_rerun_of_a_full_refresh_is_one_and_takes_the_last_row_of_each_key() {
    let world = World::new();
    world.query("CREATE TABLE orders (id bigint, note text NOT NULL, updated_at timestamptz NOT NULL DEFAULT clock_timestamp())");
    world.write("p.yaml", &spec(&world, UPSERT));
    world.query("INSERT INTO orders VALUES (1, 'a'), (2, 'b')");
    run_until(&world, "orders", "1:a 2:b");
    world.query("DELETE FROM orders WHERE id = 2; INSERT INTO orders VALUES (1, 'later'), (3, 'c')");
    eventually("a crash in the middle of the refresh", || {
        let mut command = world.command(&["run", "p.yaml", "--full-refresh"]);
        command.env("HEADWATER_FAILPOINTS", "after_write=kill");
        world.start(command).wait().was_killed()
    });
    let rerun = world.json(&["runs", "rerun", "--json"]);
    assert_eq!(rerun["state"], "succeeded", "{rerun:#}");
    run_until(&world, "orders", "1:later 3:c");
}

#[test]
fn a_reset_cursor_reads_everything_or_goes_on_from_its_value() {
    let world = world(UPSERT);
    world.query("INSERT INTO orders VALUES (1, 'a')");
    run_until(&world, "orders", "1:a");
    world.succeed(&["apply", "p.yaml"]);
    world.query("ALTER TABLE orders ALTER note TYPE varchar(9); INSERT INTO orders VALUES (2, 'b')");
    world.query("VACUUM FULL orders");
    let refused = world.run(&["run", "p.yaml"]);
    assert!(refused.to_string().contains("was rewritten since the last load"), "{refused}");
    let reset = world.json(&["cursors", "reset", "p", "--keep-value", "--json"]);
    assert_eq!((reset["cursors"].as_i64(), reset["keeps_value"].as_bool()), (Some(1), Some(true)), "{reset:#}");
    run_until(&world, "orders", "1:a 2:b");
    world.succeed(&["cursors", "reset", "p"]);
    run_until(&world, "orders", "1:a 2:b");
    let shown = world.succeed(&["cursors", "show", "p"]);
    assert!(shown.contains("source.public.orders into lake.orders"), "{shown}");
}

#[test]
fn a_reset_that_would_append_rows_again_says_so_or_is_refused() {
    let world = world(APPEND);
    world.query("INSERT INTO orders VALUES (1, 'a')");
    run_until(&world, "orders", "1:a");
    world.succeed(&["apply", "p.yaml"]);
    let refused = world.run(&["cursors", "reset", "p", "--keep-value"]);
    assert!(refused.to_string().contains("lake.orders is appended to"), "{refused}");
    let warned = world.succeed(&["cursors", "reset", "p"]);
    assert!(warned.contains("warning: it appends to lake.orders"), "{warned}");
}
